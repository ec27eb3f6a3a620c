import RocketModel
import Testing

/// A text that is refused, and where.
struct JSONFaultRow: Sendable {
    let text: String
    let offset: Int
    let reason: String

    init(_ text: String, _ offset: Int, _ reason: String) {
        self.text = text
        self.offset = offset
        self.reason = reason
    }
}

private func fault(in bytes: [UInt8]) -> JSONSyntaxError? {
    do throws(JSONSyntaxError) {
        _ = try JSONParser.parse(bytes)
        return nil
    } catch {
        return error
    }
}

private func fault(in text: String) -> JSONSyntaxError? {
    fault(in: Array(text.utf8))
}

/// `content` between the quotes of a JSON string.
private func quoted(_ content: String) -> String {
    "\"" + content + "\""
}

private func nested(_ depth: Int, opening: (Int) -> String, closing: (Int) -> String) -> String {
    (0..<depth).map(opening).joined() + "1" + (0..<depth).reversed().map(closing).joined()
}

private func arrays(_ depth: Int) -> String {
    nested(depth, opening: { _ in "[" }, closing: { _ in "]" })
}

private func objects(_ depth: Int) -> String {
    nested(depth, opening: { _ in "{\"a\":" }, closing: { _ in "}" })
}

private func mixed(_ depth: Int) -> String {
    nested(
        depth,
        opening: { $0.isMultiple(of: 2) ? "[0," : "{\"a\":" },
        closing: { $0.isMultiple(of: 2) ? "]" : "}" }
    )
}

struct JSONParserTests {
    // MARK: whole documents

    @Test func readsALargeDocument() throws {
        let document = try readObject(SampleDocument.text)

        #expect(document.count == 15)
        #expect(document["version"] == 1)
        #expect(document["title"] == .string("Crème brûlée & Co. — \"quoted\" \\ back/slash"))
        #expect(document["controls"] == .string("\u{08}\u{0C}\n\r\t\u{0}\u{1F}\u{7F}"))
        #expect(document["emoji"] == .string("😀 😀 👩‍👩‍👧 \u{E9} e\u{301}"))
        #expect(document["scripts"]?.arrayValue?.last == "ß")
        #expect(document["literals"] == [true, false, .null])
        #expect(document["empty"]?.objectValue?.names == ["object", "array", "string", "nested"])
        #expect(document["spaces"] == [1, 2, 3])
        #expect(document["many"]?.objectValue?.count == 20)
    }

    @Test func refusesADocumentThatIsCutOffAnywhere() {
        let bytes = Array(SampleDocument.text.utf8)
        let read = (0..<bytes.count).filter { fault(in: Array(bytes[..<$0])) == nil }
        #expect(read == [], "cut at these bytes the document was still read")
        #expect(fault(in: bytes) == nil)
    }

    @Test func neverCrashesOnMutatedDocumentsAndWritesWhatItReads() throws {
        let original = Array(SampleDocument.text.utf8)
        var generator = SeededGenerator(seed: 0x5EED)
        var readCount = 0
        for round in 0..<3000 {
            let bytes = mutated(original, using: &generator)
            let value: JSONValue
            do throws(JSONSyntaxError) { value = try JSONParser.parse(bytes) } catch { continue }
            readCount += 1
            let again = try JSONParser.parse(value.jsonBytes)
            #expect(again == value, "round \(round)")
        }
        #expect(readCount > 50, "mutations that leave the document readable are part of the test")
        #expect(readCount < 3000)
    }

    private func mutated(_ original: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
        let structure = Array("{}[]\",:\\-+.eE019ntfu \n".utf8)
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            let other = Int.random(in: 0..<bytes.count, using: &generator)
            let structural = structure[Int.random(in: 0..<structure.count, using: &generator)]
            switch Int.random(in: 0..<7, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[place] = UInt8.random(in: UInt8(ascii: "a")...UInt8(ascii: "z"), using: &generator)
            case 2: bytes[place] = structural
            case 3: bytes.insert(structural, at: place)
            case 4: bytes.remove(at: place)
            case 5: bytes.swapAt(place, other)
            default: bytes.replaceSubrange(place..<place, with: bytes[other..<min(other + 12, bytes.count)])
            }
        }
        return bytes
    }

    // MARK: the place of a fault

    @Test(arguments: [
        JSONFaultRow("", 0, "ends where a value is due"),
        JSONFaultRow("  \n", 3, "ends where a value is due"),
        JSONFaultRow("{} x", 3, "text after the value"),
        JSONFaultRow("tru", 0, "expected true"),
        JSONFaultRow("falsy", 0, "expected false"),
        JSONFaultRow("[nul]", 1, "expected null"),
        JSONFaultRow("01", 1, "leading zero"),
        JSONFaultRow("-", 1, "expected a digit"),
        JSONFaultRow("1.", 2, "a digit after '.'"),
        JSONFaultRow("1e", 2, "a digit in the exponent"),
        JSONFaultRow("[1,]", 3, "no value begins"),
        JSONFaultRow("[1 2]", 3, "expected ',' or ']'"),
        JSONFaultRow("{\"a\":1,}", 7, "a member's name in quotes"),
        JSONFaultRow("{\"a\" 1}", 5, "expected ':'"),
        JSONFaultRow("{\"a\":1 2}", 7, "expected ',' or '}'"),
        JSONFaultRow("{\"a\":1,\"a\":2}", 7, "\"a\" is given twice"),
        JSONFaultRow("\"abc", 4, "ends inside a string"),
        JSONFaultRow("\"a\nb\"", 2, "control character"),
        JSONFaultRow("\"\\x\"", 2, "no such escape"),
        JSONFaultRow("\"\\u12\"", 3, "four hex digits"),
        JSONFaultRow("\"\\ud800\"", 3, "lone surrogate"),
    ])
    func tellsWhereAndWhyATextIsRefused(row: JSONFaultRow) {
        let error = fault(in: row.text)
        #expect(error?.offset == row.offset)
        #expect(error?.reason.contains(row.reason) == true, "\(error?.reason ?? "it was read")")
    }

    @Test(arguments: [
        "", " ", "\t\r\n ", "\u{FEFF}{}", "\u{FEFF}", "{}{}", "[] []", "1 2", "null,", "{}]", "1\u{0}", "\u{0}1",
        "'a'", "{'a':1}", "{a:1}", "{1:1}", "{null:1}", "// c\n1", "/* c */1", "1 // c", "# c\n1",
        "[1,]", "[,1]", "[,]", "[1,,2]", "{\"a\":1,}", "{,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}", "{\"a\"}", "{\"a\":}", "{\"a\"::1}", "{\"a\"=1}", "{:1}", "{\"a\",\"b\"}", "{\"a\":1 \"b\":2}",
        "[", "[1", "[1,", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "]", "}", "[}", "{]", "[1}",
        "\"", "\"abc", "\"abc\\", "\"abc\\\"", "abc", "nul", "nulll", "True", "TRUE", "NULL", "undefined", "truefalse",
        "\u{A0}1", "\u{0B}1", "\u{0C}1", "\u{2028}1", "[1;2]", "(1)", "<a/>", "`a`", "\u{201C}a\u{201D}", "\\u0031",
    ])
    func refusesATextThatIsNotOneJSONValue(text: String) {
        #expect(fault(in: text) != nil)
    }

    @Test(arguments: [" 1", "1 ", "\t1\r\n", "\n\n 1 \t"])
    func takesTheFourKindsOfWhitespaceRoundAValue(text: String) throws {
        #expect(try readJSON(text) == 1)
    }

    // MARK: numbers

    @Test(arguments: [
        "0", "-0", "1", "-1", "10", "1.0", "1.50", "0.00", "-0.0", "1e2", "1E2", "1e+2", "1e-2", "1.5e10", "-12.5E-3",
        "0e0", "1e400", "0.1e-400", "9007199254740993", "12345678901234567890.123456789", "-9223372036854775809",
        "3.14159265358979323846264338327950288419716939937510",
    ])
    func keepsTheDigitsOfANumber(text: String) throws {
        #expect(try readJSON(text) == .number(JSONNumber(unchecked: text)))
        #expect(try readJSON("[\(text)]").jsonText == "[\(text)]")
        #expect(try readJSON("{\"a\":\(text) }").jsonText == "{\"a\":\(text)}")
    }

    @Test func keepsFourHundredDigits() throws {
        let digits = String(repeating: "7", count: 400)
        #expect(try readJSON(digits).jsonText == digits)
        #expect(try readJSON("-0." + digits).jsonText == "-0." + digits)
    }

    @Test func readsNumbersOf4096CharactersAndNoLonger() throws {
        let longest = "-" + String(repeating: "1", count: 4095)
        #expect(try readJSON(longest).jsonText == longest)
        #expect(fault(in: longest + "1")?.reason.contains("at most 4096 characters") == true)
        #expect(fault(in: "[0." + String(repeating: "0", count: 4095) + "]") != nil)
        #expect(fault(in: "1e" + String(repeating: "0", count: 100_000)) != nil)
    }

    @Test(arguments: [
        "01", "-01", "00", "-00", "007.5", "+1", "+0", ".5", "-.5", "1.", "-1.", "1.e5", "1.E", "1e", "1e+", "1E-",
        "1e1.5",
        "1ee5", "1e+-5", "--1", "-", "-a", "-+1", "1-", "1+1", "1..2", "1.2.3", "0x10", "0b1", "0o7", "NaN", "-NaN",
        "Infinity", "-Infinity", "inf", "1_000", "1,000", "1 000", "1f", "1n", "½", "\u{0661}", "\u{FF11}", "1\u{0661}",
    ])
    func refusesWhatIsNoJSONNumber(text: String) {
        #expect(fault(in: text) != nil)
        #expect(fault(in: "{\"a\":\(text)}") != nil)
        #expect(fault(in: "[0,[\(text)]]") != nil)
    }

    // MARK: strings

    @Test(arguments: [
        (#"\""#, "\""), (#"\\"#, "\\"), (#"\/"#, "/"), (#"\b"#, "\u{08}"), (#"\f"#, "\u{0C}"), (#"\n"#, "\n"),
        (#"\r"#, "\r"), (#"\t"#, "\t"), (#"\u0041"#, "A"), (#"\u00e9"#, "\u{E9}"), (#"\u00E9"#, "\u{E9}"),
        (#"\u0000"#, "\u{0}"), (#"\ud7ff"#, "\u{D7FF}"), (#"\ue000"#, "\u{E000}"), (#"\uFFFF"#, "\u{FFFF}"),
        (#"a\u0041b"#, "aAb"), (#"\\u0041"#, "\\u0041"), (#"\r\n"#, "\r\n"), (#"é\n日"#, "é\n日"),
    ])
    func readsEveryEscape(content: String, expected: String) throws {
        #expect(try readJSON(quoted(content)) == .string(expected))
    }

    @Test(arguments: [
        (#"\ud83d\ude00"#, "\u{1F600}"), (#"\uD83D\uDE00"#, "\u{1F600}"), (#"\uD800\uDC00"#, "\u{10000}"),
        (#"\uDBFF\uDFFF"#, "\u{10FFFF}"), (#"x\ud834\udd1ey"#, "x\u{1D11E}y"),
        (#"\ud83d\ude00\ud83d\ude01"#, "\u{1F600}\u{1F601}"),
    ])
    func joinsSurrogatePairs(content: String, expected: String) throws {
        #expect(try readJSON(quoted(content)) == .string(expected))
    }

    @Test(arguments: [
        #"\ud800"#, #"\udbff"#, #"\udc00"#, #"\udfff"#, #"\uDFFFabc"#, #"x\ud83d"#, #"\ud800x"#, #"\ud800\n"#,
        #"\ud800\\"#, #"\ud800\ud800"#, #"\ud800\u0041"#, #"\ud800\ue000"#, #"\ude00\ud83d"#, #"\ud83d\\ude00"#,
        #"\ud83d \ude00"#, #"\ud83d\ude00\ud83d"#, #"\ud83d\ude00\ude00"#,
    ])
    func refusesALoneSurrogate(content: String) {
        #expect(fault(in: quoted(content))?.reason.contains("lone surrogate") == true)
        #expect(fault(in: "{\(quoted(content)):1}")?.reason.contains("lone surrogate") == true)
    }

    @Test func refusesEveryEscapeThatJSONDoesNotHave() {
        let known = Set("\"\\/bfnrtu".utf8)
        for byte in UInt8(0)...255 where !known.contains(byte) {
            let bytes = [UInt8(ascii: "\""), UInt8(ascii: "\\"), byte, UInt8(ascii: "\"")]
            #expect(fault(in: bytes)?.reason.contains("no such escape") == true, "byte \(byte)")
        }
    }

    @Test(arguments: [
        #"\u"#, #"\u1"#, #"\u12"#, #"\u123"#, #"\u12G4"#, #"\u 123"#, #"\u+123"#, #"\u-123"#, #"\u12 4"#, #"\u{41}"#,
        #"\u004g"#, #"\u00é"#, #"\ud83d\u"#, #"\ud83d\uZZZZ"#, #"\ud83d\ude0"#,
    ])
    func refusesAnEscapeWithoutFourHexDigits(content: String) {
        #expect(fault(in: quoted(content))?.reason.contains("four hex digits") == true)
    }

    @Test func refusesControlCharactersInStrings() {
        let quote = UInt8(ascii: "\"")
        for byte in UInt8(0)..<0x20 {
            #expect(fault(in: [quote, byte, quote])?.reason.contains("control character") == true, "byte \(byte)")
            let afterEscape = Array(#""a\n"#.utf8) + [byte, quote]
            #expect(fault(in: afterEscape)?.reason.contains("control character") == true, "byte \(byte)")
        }
    }

    @Test func takesTheCharacterDelete() throws {
        #expect(try readJSON("\"\u{7F}\"") == .string("\u{7F}"))
    }

    @Test(
        arguments: [
            [0xC0, 0xAF], [0xC1, 0xBF], [0xC0, 0x80], [0xE0, 0x80, 0xAF], [0xE0, 0x9F, 0xBF], [0xF0, 0x80, 0x80, 0xAF],
            [0xF0, 0x8F, 0xBF, 0xBF], [0x80], [0xBF], [0x61, 0x80, 0x62], [0xC3, 0xA9, 0xA9], [0xC3], [0xC3, 0x28],
            [0xE2], [0xE2, 0x82], [0xE2, 0x82, 0x28], [0xF0], [0xF0, 0x9F], [0xF0, 0x9F, 0x98],
            [0xF0, 0x9F, 0x98, 0x28],
            [0xED, 0xA0, 0x80], [0xED, 0xAF, 0xBF], [0xED, 0xB0, 0x80], [0xED, 0xBF, 0xBF],
            [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
            [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xFF, 0xFE],
        ] as [[UInt8]]
    )
    func refusesBytesThatAreNotUTF8(bytes: [UInt8]) {
        for (before, after) in [("\"", "\""), ("\"é\\n", "\""), ("{\"\\t", "\":1}"), ("{\"a\":[\"", "\"]}")] {
            let text: [UInt8] = Array(before.utf8) + bytes + Array(after.utf8)
            #expect(fault(in: text)?.reason.contains("UTF-8") == true, "between \(before) and \(after)")
        }
        #expect(fault(in: bytes) != nil)
    }

    // MARK: names

    @Test func refusesADuplicateName() {
        #expect(fault(in: #"{"a":1,"a":1}"#)?.reason.contains("twice") == true)
        #expect(fault(in: #"{"":1,"":2}"#)?.reason.contains("twice") == true)
        #expect(fault(in: #"[{"x":{"a":1,"b":2,"a":3}}]"#)?.reason.contains("twice") == true)
    }

    @Test(arguments: [
        #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"a":2}"#, #"{"é":1,"\u00e9":2}"#, #"{"/":1,"\/":2}"#,
        #"{"😀":1,"\ud83d\ude00":2}"#,
    ])
    func refusesADuplicateNameThatIsSpelledInAnotherWay(text: String) {
        #expect(fault(in: text)?.reason.contains("twice") == true)
    }

    @Test func refusesADuplicateAmongAnyNumberOfNames() {
        for count in 1...40 {
            let members = (0..<count).map { "\"m\($0)\":\($0)" }
            #expect(fault(in: "{\(members.joined(separator: ","))}") == nil)
            for duplicate in 0..<count {
                let text = "{\((members + ["\"m\(duplicate)\":0"]).joined(separator: ","))}"
                #expect(fault(in: text)?.reason.contains("\"m\(duplicate)\" is given twice") == true)
            }
        }
    }

    @Test func refusesAnEscapedDuplicateAmongManyNames() {
        let members = (0..<30).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
        #expect(fault(in: "{\(members),\"\\u006d7\":0}")?.reason.contains("twice") == true)
        #expect(fault(in: "{\(members),\"M7\":0}") == nil)
    }

    @Test func keepsNamesThatDifferInTheirBytesOnly() throws {
        let two = try readObject(#"{"\u00e9":1,"e\u0301":2}"#)
        #expect(two.names.map { Array($0.utf8) } == [[0xC3, 0xA9], [0x65, 0xCC, 0x81]])
        #expect(two["\u{E9}"] == 1)
        #expect(two["e\u{301}"] == 2)

        let members = (0..<30).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
        let many = try readObject("{\(members),\"\u{E9}\":1,\"e\u{301}\":2}")
        #expect(many.count == 32)
        #expect(many["\u{E9}"] == 1)
        #expect(many["e\u{301}"] == 2)
    }

    @Test func takesTheSameNameInDifferentObjects() throws {
        #expect(try readJSON(#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#).objectValue?.count == 2)
    }

    @Test func keepsTheOrderOfMembers() throws {
        let object = try readObject(#"{"z":1,"a":2,"m":{"2":0,"1":0},"b":3}"#)
        #expect(object.names == ["z", "a", "m", "b"])
        #expect(object["m"]?.objectValue?.names == ["2", "1"])
    }

    // MARK: depth

    @Test func readsNestingTo64AndNoDeeper() throws {
        for make in [arrays, objects, mixed] {
            #expect(fault(in: make(64)) == nil)
            #expect(fault(in: make(65))?.reason.contains("deeper than 64") == true)
        }
        #expect(fault(in: arrays(65))?.offset == 64)
    }

    @Test func countsDepthAndNotNumberOfContainers() throws {
        let wide = "[" + Array(repeating: arrays(63), count: 100).joined(separator: ",") + "]"
        #expect(fault(in: wide) == nil)
        let deep = "[" + Array(repeating: "[]", count: 100).joined(separator: ",") + "," + arrays(64) + "]"
        #expect(fault(in: deep)?.reason.contains("deeper than 64") == true)
    }

    @Test(arguments: ["[", "{\"a\":", "[{\"a\":", "[[],["])
    func doesNotCrashOnHundredThousandLevels(opening: String) {
        let text = String(repeating: opening, count: 100_000)
        #expect(fault(in: text)?.reason.contains("deeper than 64") == true)
    }
}
