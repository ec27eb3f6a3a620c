import RocketModel
import Testing

/// A JSON value for a field of a type, and what it comes to: the value as ``written(_:)`` shows it, or the words that
/// the refusal must have.
struct CoercionRow: Sendable, CustomTestStringConvertible {
    let type: FieldType
    let precision: Int?
    let input: String
    let outcome: String

    init(_ type: FieldType, _ input: String, _ outcome: String, precision: Int? = nil) {
        self.type = type
        self.precision = precision
        self.input = input
        self.outcome = outcome
    }

    var shape: ValueShape { ValueShape(type: type, precision: precision) }
    var testDescription: String { "\(type.rawValue) \(input)" }
}

/// The kind of a value and the value itself.
private func written(_ value: FieldValue) -> String {
    switch value {
    case .null: "null"
    case .text(let text): "text \(text)"
    case .whole(let whole): "whole \(whole)"
    case .double(let double): "double \(double)"
    case .decimal(let number): "decimal \(number)"
    case .boolean(let flag): "boolean \(flag)"
    case .uuid(let id): "uuid \(id.text)"
    case .timestamp(let instant): "timestamp \(instant.rfc3339)"
    case .date(let date): "date \(date.text)"
    case .json(let json): "json \(json.jsonText)"
    }
}

private func refusal(_ work: () throws -> FieldValue) -> String? {
    do {
        let value = try work()
        return "it was read as \(written(value))"
    } catch {
        return (error as? CoercionFailure)?.message
    }
}

private let sampleID = "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d"

private let accepted: [CoercionRow] = [
    .init(.string, "\"\"", "text "),
    .init(.string, #""héllo\n😀""#, "text héllo\n😀"),
    .init(.text, #""long text""#, "text long text"),
    .init(.text, #""5""#, "text 5"),
    .init(.int, "0", "whole 0"),
    .init(.int, "-0", "whole 0"),
    .init(.int, "2147483647", "whole 2147483647"),
    .init(.int, "-2147483648", "whole -2147483648"),
    .init(.int, "1.0", "whole 1"),
    .init(.int, "1.50e1", "whole 15"),
    .init(.int, "1e3", "whole 1000"),
    .init(.bigint, "9223372036854775807", "whole 9223372036854775807"),
    .init(.bigint, "-9223372036854775808", "whole -9223372036854775808"),
    .init(.bigint, #""9223372036854775807""#, "whole 9223372036854775807"),
    .init(.bigint, #""-5""#, "whole -5"),
    .init(.bigint, "1e3", "whole 1000"),
    .init(.float, "1", "double 1.0"),
    .init(.float, "1.5", "double 1.5"),
    .init(.float, "-2.5e-3", "double -0.0025"),
    .init(.float, "-0", "double 0.0"),
    .init(.float, "1e308", "double 1e+308"),
    .init(.float, "1e-400", "double 0.0"),
    .init(.decimal, "1.50", "decimal 1.50"),
    .init(.decimal, "1e2", "decimal 100"),
    .init(.decimal, "-0", "decimal 0"),
    .init(.decimal, #""0.10""#, "decimal 0.10"),
    .init(.decimal, "12345678901234567890.123456789", "decimal 12345678901234567890.123456789"),
    .init(.decimal, "1.5", "decimal 1.50", precision: 2),
    .init(.decimal, "1.500", "decimal 1.50", precision: 2),
    .init(.decimal, "1", "decimal 1.00", precision: 2),
    .init(.decimal, "0", "decimal 0.00", precision: 2),
    .init(.decimal, #""-1.2""#, "decimal -1.20", precision: 2),
    .init(.decimal, "1.0", "decimal 1", precision: 0),
    .init(.decimal, "999999999999999999.99", "decimal 999999999999999999.99", precision: 2),
    .init(.decimal, "-999999999999999999", "decimal -999999999999999999.0", precision: 1),
    .init(.boolean, "true", "boolean true"),
    .init(.boolean, "false", "boolean false"),
    .init(.uuid, "\"\(sampleID)\"", "uuid \(sampleID)"),
    .init(.uuid, "\"\(sampleID.uppercased())\"", "uuid \(sampleID)"),
    .init(.timestamp, #""2026-02-05T14:30:00.5+01:00""#, "timestamp 2026-02-05T13:30:00.500000Z"),
    .init(.date, #""2026-02-05""#, "date 2026-02-05"),
    .init(.json, "true", "json true"),
    .init(.json, "1.50", "json 1.50"),
    .init(.json, #""x""#, #"json "x""#),
    .init(.json, #"[1,[null,{}]]"#, "json [1,[null,{}]]"),
    .init(.json, #"{"b":1,"aa":3,"a":{"c":null}}"#, #"json {"a":{"c":null},"b":1,"aa":3}"#),
    .init(.json, "[1e3,-0,1.50,1e-3]", "json [1000,0,1.50,0.001]"),
    .init(.file, "\"\(sampleID.uppercased())\"", "json {\"id\":\"\(sampleID)\"}"),
    .init(.file, #"{"id":"x","size":5}"#, #"json {"id":"x","size":5}"#),
]

private let refused: [CoercionRow] = [
    .init(.string, "1", "expected a string, got 1"),
    .init(.string, "true", "expected a string, got true"),
    .init(.string, "[]", "expected a string, got an array"),
    .init(.string, "{}", "expected a string, got an object"),
    .init(.string, #""a\u0000b""#, "NUL"),
    .init(.text, "1.50", "expected a string, got 1.50"),
    .init(.text, #""\u0000""#, "NUL"),
    .init(.int, "2147483648", "from -2147483648 to 2147483647, got 2147483648"),
    .init(.int, "-2147483649", "from -2147483648 to 2147483647, got -2147483649"),
    .init(.int, "1.5", "expected a whole number from -2147483648 to 2147483647, got 1.5"),
    .init(.int, "1e400", "got 1e400"),
    .init(.int, "12345678901234567890123", "got 12345678901234567890123"),
    .init(.int, #""5""#, #"got "5""#),
    .init(.int, "false", "got false"),
    .init(
        .bigint,
        "9223372036854775808",
        "expected a whole number in 64 bits, or its digits in a string, got 9223372036854775808"
    ),
    .init(.bigint, #""9223372036854775808""#, #"got "9223372036854775808""#),
    .init(.bigint, "1.5", "got 1.5"),
    .init(.bigint, #""1.5""#, #"got "1.5""#),
    .init(.bigint, #""1e5""#, #"got "1e5""#),
    .init(.bigint, #""5.0""#, #"got "5.0""#),
    .init(.bigint, #""007""#, #"got "007""#),
    .init(.bigint, #""abc""#, #"got "abc""#),
    .init(.bigint, "\"\"", #"got """#),
    .init(.bigint, #"" 5""#, #"got " 5""#),
    .init(.bigint, #""0x10""#, #"got "0x10""#),
    .init(.bigint, "[5]", "got an array"),
    .init(.float, #""1.5""#, #"expected a number, got "1.5""#),
    .init(.float, "1e400", "expected a number, got 1e400"),
    .init(.float, "-1e400", "got -1e400"),
    .init(.float, "true", "got true"),
    .init(.decimal, #""abc""#, #"expected a number, or its digits in a string, got "abc""#),
    .init(.decimal, #""1,5""#, #"got "1,5""#),
    .init(.decimal, "true", "got true"),
    .init(.decimal, "{}", "got an object"),
    .init(.decimal, "1e1000", "at most 1000 digits"),
    .init(.decimal, "1.234", "expected at most 2 fraction digits, got 1.234", precision: 2),
    .init(.decimal, #""0.001""#, "expected at most 2 fraction digits, got 0.001", precision: 2),
    .init(.decimal, "1.25", "expected at most 1 fraction digit, got 1.25", precision: 1),
    .init(.decimal, "0.5", "expected at most 0 fraction digits, got 0.5", precision: 0),
    .init(
        .decimal,
        "1000000000000000000",
        "expected at most 18 digits before the point, got 1000000000000000000",
        precision: 2
    ),
    .init(.decimal, "1e18", "expected at most 18 digits before the point, got 1e18", precision: 0),
    .init(.boolean, "1", "expected true or false, got 1"),
    .init(.boolean, "0", "expected true or false, got 0"),
    .init(.boolean, #""true""#, #"expected true or false, got "true""#),
    .init(.uuid, #""x""#, #"expected a UUID such as 0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d, got "x""#),
    .init(.uuid, #""0190b1c27d4e7a3b8c5d1e2f3a4b5c6d""#, "expected a UUID"),
    .init(.uuid, "5", "got 5"),
    .init(
        .timestamp,
        #""2026-02-05""#,
        #"expected an RFC 3339 time with an offset, such as 2026-02-05T14:30:00Z, got "2026-02-05""#
    ),
    .init(.timestamp, #""2026-02-05T14:30:00""#, "with an offset"),
    .init(.timestamp, "1770301800", "got 1770301800"),
    .init(.date, #""2026-02-30""#, #"expected a date such as 2026-02-05, got "2026-02-30""#),
    .init(.date, #""2026-02-05T00:00:00Z""#, "expected a date"),
    .init(.date, "20260205", "got 20260205"),
    .init(.json, #""a\u0000b""#, "NUL"),
    .init(.json, #"{"a":[1,{"b":["\u0000"]}]}"#, "NUL"),
    .init(.json, #"{"a":{"\u0000":1}}"#, "NUL"),
    .init(.json, "[1e1000]", "at most 1000 digits"),
    .init(.file, #""x""#, #"expected the id of an uploaded file, or its metadata object, got "x""#),
    .init(.file, "5", "got 5"),
    .init(.file, "[]", "got an array"),
    .init(.file, #"{"name":"a\u0000"}"#, "NUL"),
]

private let acceptedTexts: [CoercionRow] = [
    .init(.string, "", "text "),
    .init(.string, "5", "text 5"),
    .init(.text, "a b", "text a b"),
    .init(.int, "-5", "whole -5"),
    .init(.int, "2147483647", "whole 2147483647"),
    .init(.bigint, "9223372036854775807", "whole 9223372036854775807"),
    .init(.float, "1.5", "double 1.5"),
    .init(.float, "-1e3", "double -1000.0"),
    .init(.decimal, "1.50", "decimal 1.50"),
    .init(.decimal, "1.5", "decimal 1.500", precision: 3),
    .init(.boolean, "true", "boolean true"),
    .init(.boolean, "false", "boolean false"),
    .init(.uuid, sampleID.uppercased(), "uuid \(sampleID)"),
    .init(.timestamp, "2026-02-05T14:30:00Z", "timestamp 2026-02-05T14:30:00.000000Z"),
    .init(.date, "2026-02-05", "date 2026-02-05"),
]

private let refusedTexts: [CoercionRow] = [
    .init(.string, "a\u{0}b", "NUL"),
    .init(.text, "\u{0}", "NUL"),
    .init(.int, "", #"expected a whole number from -2147483648 to 2147483647, got """#),
    .init(.int, "abc", #"got "abc""#),
    .init(.int, "1.5", "got 1.5"),
    .init(.int, " 5", #"got " 5""#),
    .init(.int, "+5", #"got "+5""#),
    .init(.int, "0x10", #"got "0x10""#),
    .init(.int, "2147483648", "got 2147483648"),
    .init(.bigint, "9223372036854775808", #"got "9223372036854775808""#),
    .init(.bigint, "abc", #"got "abc""#),
    .init(.float, "abc", #"expected a number, got "abc""#),
    .init(.float, "nan", #"got "nan""#),
    .init(.float, "inf", #"got "inf""#),
    .init(.float, "0x1p3", #"got "0x1p3""#),
    .init(.float, "1e400", "got 1e400"),
    .init(.decimal, "abc", #"got "abc""#),
    .init(.decimal, "1.234", "at most 2 fraction digits", precision: 2),
    .init(.boolean, "1", #"expected true or false, got "1""#),
    .init(.boolean, "TRUE", #"got "TRUE""#),
    .init(.boolean, "", #"got """#),
    .init(.uuid, "x", #"got "x""#),
    .init(.timestamp, "2026-02-05T14:30:00 01:00", "with an offset"),
    .init(.date, "2026-13-01", #"got "2026-13-01""#),
    .init(.json, "{}", "a json field can't be compared with a text"),
    .init(.file, sampleID, "a file field can't be compared with a text"),
]

struct FieldValueTests {
    @Test func everyTypeHasRowsInTheTables() {
        let all = Set(FieldType.allCases)
        #expect(Set(accepted.map(\.type)) == all)
        #expect(Set(refused.map(\.type)) == all)
        #expect(Set(refusedTexts.map(\.type)) == all)
        #expect(Set(acceptedTexts.map(\.type)) == all.subtracting([.json, .file]))
    }

    @Test(arguments: accepted)
    func readsAJSONValueThatFitsItsType(row: CoercionRow) throws {
        let value = try row.shape.value(of: readJSON(row.input))
        #expect(written(value) == row.outcome)
    }

    @Test(arguments: refused)
    func refusesAJSONValueThatDoesNotFitAndSaysWhatWould(row: CoercionRow) throws {
        let json = try readJSON(row.input)
        let message = refusal { try row.shape.value(of: json) }
        #expect(message?.contains(row.outcome) == true, "\(message ?? "")")
    }

    @Test(arguments: acceptedTexts)
    func readsATextThatFitsItsType(row: CoercionRow) throws {
        let value = try row.shape.value(ofText: row.input)
        #expect(written(value) == row.outcome)
    }

    @Test(arguments: refusedTexts)
    func refusesATextThatDoesNotFitAndSaysWhatWould(row: CoercionRow) {
        let message = refusal { try row.shape.value(ofText: row.input) }
        #expect(message?.contains(row.outcome) == true, "\(message ?? "")")
    }

    @Test(arguments: accepted)
    func readsBackWhatItAnswers(row: CoercionRow) throws {
        let value = try row.shape.value(of: readJSON(row.input))
        let answered = try readJSON(value.json.jsonText)
        #expect(try row.shape.value(of: answered) == value)
        #expect(answered == value.json)
    }

    @Test(arguments: FieldType.allCases)
    func readsNullWhateverTheType(type: FieldType) throws {
        let value = try ValueShape(type: type).value(of: .null)
        #expect(value == .null)
        #expect(value.isNull)
        #expect(value.json == .null)
    }

    @Test(arguments: [
        CoercionRow(.bigint, "\"9007199254740993\"", "9007199254740993"),
        CoercionRow(.decimal, "1.5", "1.50", precision: 2),
        CoercionRow(.decimal, "\"1e3\"", "1000"), CoercionRow(.float, "2.0", "2"), CoercionRow(.float, "0.1", "0.1"),
        CoercionRow(.date, "\"2026-02-05\"", "\"2026-02-05\""),
        CoercionRow(.timestamp, "\"2026-02-05T14:30:00Z\"", "\"2026-02-05T14:30:00.000000Z\""),
    ])
    func answersInOneForm(row: CoercionRow) throws {
        let value = try row.shape.value(of: readJSON(row.input))
        #expect(value.json.jsonText == row.outcome)
    }

    @Test func shortensALongValueInItsMessage() {
        let long = String(repeating: "x", count: 10_000)
        let message = refusal { try ValueShape(type: .uuid).value(ofText: long) } ?? ""
        #expect(message.hasSuffix("got \"" + String(repeating: "x", count: 57) + "...\""))
    }

    @Test func comparesTextByItsBytes() {
        #expect(FieldValue.text("\u{E9}") != .text("e\u{301}"))
        #expect(FieldValue.text("\u{E9}") == .text("\u{E9}"))
        #expect(FieldValue.text("1") != .whole(1))
    }

    @Test func comparesDecimalsByValue() throws {
        let shape = ValueShape(type: .decimal)
        #expect(try shape.value(ofText: "1.50") == shape.value(ofText: "1.5"))
        #expect(try shape.value(ofText: "1.50") != shape.value(ofText: "1.51"))
    }
}

struct FieldTypeTests {
    @Test func readsItsNamesAndTheOtherNameOfInt() {
        for type in FieldType.allCases { #expect(FieldType(name: type.rawValue) == type) }
        #expect(FieldType(name: "integer") == .int)
    }

    @Test(arguments: ["", "Int", "INT", "varchar", "datetime", "uuid ", "jsonb", "bool"])
    func refusesOtherNames(name: String) {
        #expect(FieldType(name: name) == nil)
    }

    @Test func onlyDocumentsCannotBeComparedAndTruthHasNoOrder() {
        #expect(FieldType.allCases.filter { !$0.isComparable } == [.json, .file])
        #expect(FieldType.allCases.filter { !$0.isOrdered } == [.boolean, .json, .file])
        #expect(FieldType.allCases.filter(\.isText) == [.string, .text])
        #expect(FieldType.allCases.filter(\.isWhole) == [.int, .bigint])
    }
}
