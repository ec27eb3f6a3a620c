import RocketModel
import Testing

/// A field's JSON, and the one violation that it brings.
struct FieldFault: Sendable, CustomTestStringConvertible {
    let text: String
    let path: String
    let rule: ViolatedRule
    let words: String

    init(_ text: String, _ path: String, _ rule: ViolatedRule, _ words: String) {
        self.text = text
        self.path = path
        self.rule = rule
        self.words = words
    }

    var testDescription: String { text }
}

private let faults: [FieldFault] = [
    .init(#"{"type":"int"}"#, "name", .required, "is required"),
    .init(#"{"name":"_f","type":"int"}"#, "name", .type, "is no name"),
    .init(#"{"name":"F","type":"int"}"#, "name", .type, "is no name"),
    .init(#"{"name":"f"}"#, "type", .required, "is required"),
    .init(#"{"name":"f","type":5}"#, "type", .type, "expected a string, got a number"),
    .init(#"{"name":"f","type":"strng"}"#, "type", .enum, #"did you mean "string"?"#),
    .init(#"{"name":"f","type":"varchar"}"#, "type", .enum, "none of string, text, int, bigint"),
    .init(#"{"name":"f","type":"int","precision":2}"#, "precision", .type, "only a decimal has a precision"),
    .init(#"{"name":"f","type":"decimal","precision":101}"#, "precision", .type, "from 0 to 100"),
    .init(#"{"name":"f","type":"decimal","precision":-1}"#, "precision", .type, "from 0 to 100"),
    .init(#"{"name":"f","type":"decimal","precision":1.5}"#, "precision", .type, "from 0 to 100"),
    .init(#"{"name":"f","type":"decimal","precision":"2"}"#, "precision", .type, "from 0 to 100"),
    .init(#"{"name":"f","type":"string","enum":[]}"#, "enum", .enum, "allows nothing"),
    .init(#"{"name":"f","type":"string","enum":"a"}"#, "enum", .type, "expected an array, got a string"),
    .init(#"{"name":"f","type":"json","enum":[1]}"#, "enum", .type, "a json field can't have an enum"),
    .init(#"{"name":"f","type":"int","enum":[1,"x"]}"#, "enum[1]", .type, "expected a whole number"),
    .init(#"{"name":"f","type":"int","enum":[1,null]}"#, "enum[1]", .type, "null is no value"),
    .init(#"{"name":"f","type":"decimal","precision":1,"enum":[1.25]}"#, "enum[0]", .type, "at most 1 fraction digit"),
    .init(#"{"name":"f","type":"int","default":"x"}"#, "default", .type, "expected a whole number"),
    .init(#"{"name":"f","type":"date","default":"2026-02-30"}"#, "default", .type, "expected a date"),
    .init(#"{"name":"f","type":"string","enum":["a","b"],"default":"c"}"#, "default", .enum, #""c" is not in "enum""#),
    .init(#"{"name":"f","type":"string","auto":"create"}"#, "auto", .type, "only a timestamp or a date"),
    .init(#"{"name":"f","type":"timestamp","auto":"always"}"#, "auto", .enum, "none of create, update"),
    .init(#"{"name":"f","type":"timestamp","auto":"updat"}"#, "auto", .enum, #"did you mean "update"?"#),
    .init(#"{"name":"f","type":"json","unique":true}"#, "unique", .type, "a json field can't be unique"),
    .init(#"{"name":"f","type":"file","unique":true}"#, "unique", .type, "a file field can't be unique"),
    .init(#"{"name":"f","type":"int","required":"yes"}"#, "required", .type, "expected true or false, got a string"),
    .init(#"{"name":"f","type":"int","nullable":1}"#, "nullable", .type, "expected true or false, got a number"),
    .init(#"{"name":"f","type":"int","requierd":true}"#, "requierd", .unknown, #"did you mean "required"?"#),
    .init(#"{"name":"f","type":"int","label":"F"}"#, "label", .unknown, "is not known here"),
]

struct FieldDefinitionTests {
    @Test func fillsInItsDefaults() throws {
        let (field, violations) = FieldDefinition.read(try readObject(#"{"name":"f","type":"integer"}"#), path: "")
        #expect(violations == [])
        #expect(field == FieldDefinition(name: "f", type: .int))
        let text = field.json.jsonText
        #expect(text == #"{"name":"f","type":"int","required":false,"unique":false,"nullable":false}"#)
    }

    @Test func readsEverythingThatADefinitionSays() throws {
        let text =
            #"""
            {"name":"f","type":"decimal","required":true,"unique":true,"nullable":true,"default":1.5,\#
            "enum":[1.50,"2"],"precision":2}
            """#
        let (field, violations) = FieldDefinition.read(try readObject(text), path: "")
        #expect(violations == [])
        #expect(field.required && field.unique && field.nullable)
        #expect(!field.isMandatory)
        #expect(field.precision == 2)
        #expect(field.shape == ValueShape(type: .decimal, precision: 2))
        #expect(field.allowedValues?.map(\.jsonText) == ["1.50", "\"2\""])
        #expect(field.json.jsonText == text)
    }

    @Test(arguments: [
        #"{"name":"f","type":"timestamp","auto":"create"}"#, #"{"name":"f","type":"date","auto":"update"}"#,
        #"{"name":"f","type":"json","default":[1,{"a":null}]}"#,
        #"{"name":"f","type":"string","enum":["a"],"default":"a"}"#,
        #"{"name":"f","type":"decimal","enum":[1.50],"default":1.5}"#, #"{"name":"f","type":"boolean","unique":true}"#,
        #"{"name":"f","type":"string","required":true,"default":null}"#, #"{"name":"select","type":"string"}"#,
    ])
    func takesWhatIsRightAndReadsBackWhatItWrites(text: String) throws {
        let (field, violations) = FieldDefinition.read(try readObject(text), path: "fields[0]")
        let (again, laterViolations) = FieldDefinition.read(try #require(field.json.objectValue), path: "fields[0]")
        #expect(violations == [])
        #expect(laterViolations == [])
        #expect(again == field)
    }

    @Test(arguments: faults)
    func namesTheOneFault(fault: FieldFault) throws {
        let (_, violations) = FieldDefinition.read(try readObject(fault.text), path: "fields[3]")
        #expect(violations.map(\.field) == ["fields[3].\(fault.path)"])
        #expect(violations.map(\.rule) == [fault.rule])
        #expect(violations.first?.message.contains(fault.words) == true, "\(violations)")
    }

    @Test(arguments: ["ctid", "cmin", "cmax", "xmin", "xmax", "tableoid", "rowid", "oid"])
    func refusesTheColumnsThatDatabasesHaveOfTheirOwn(name: String) throws {
        let (_, violations) = FieldDefinition.read(["name": .string(name), "type": "int"], path: "fields[0]")
        #expect(violations.map(\.field) == ["fields[0].name"])
        #expect(violations.first?.message.contains("\"\(name)\"") == true)
    }

    @Test func namesEveryFaultAtOnce() throws {
        let text =
            #"{"name":"Bad","type":"int","enum":["x",null],"default":"y","precision":3,"auto":"never","unknown":1}"#
        let (_, violations) = FieldDefinition.read(try readObject(text), path: "fields[7]")
        let paths = ["auto", "default", "enum[0]", "enum[1]", "name", "precision", "unknown"]
        #expect(violations.compactMap(\.field).sorted() == paths.map { "fields[7].\($0)" })
    }

    @Test func anUnknownTypeBringsNoViolationsOfATypeThatWasNotMeant() throws {
        let text = #"{"name":"f","type":"strng","unique":true,"enum":["a"],"default":"a"}"#
        let (_, violations) = FieldDefinition.read(try readObject(text), path: "fields[0]")
        #expect(violations.map(\.field) == ["fields[0].type"])
    }
}
