import RocketModel
import Testing

struct JSONValueTests {
    @Test func objectsAreEqualInAnyOrderOfTheirMembers() throws {
        let value = try readJSON(#"{"a":1,"b":[1,{"c":2,"d":3}]}"#)
        #expect(try readJSON(#"{"b":[1,{"d":3,"c":2}],"a":1}"#) == value)
    }

    @Test(arguments: [
        (#"{"a":1}"#, #"{"a":1,"b":2}"#), (#"{"a":1}"#, #"{"a":2}"#), (#"{"a":1}"#, #"{"b":1}"#), ("[1,2]", "[2,1]"),
        ("1", "1.0"), ("1", "true"), ("null", "false"), (#""1""#, "1"), ("{}", "[]"), (#""\u00e9""#, #""e\u0301""#),
        (#"{"\u00e9":1}"#, #"{"e\u0301":1}"#),
    ])
    func differentDocumentsAreNotEqual(left: String, right: String) throws {
        #expect(try readJSON(left) != readJSON(right))
    }

    @Test func equalValuesHaveEqualHashes() throws {
        let texts = [#"{"a":[1,"x",null],"b":{"c":true}}"#, #"{"b":{"c":true},"a":[1,"x",null]}"#]
        let values = try texts.map { try readJSON($0) }
        #expect(Set(values).count == 1)
    }

    @Test func aMemberIsReplacedInItsPlaceAddedAtTheEndAndTakenOut() throws {
        var object = try readObject(#"{"a":1,"b":2}"#)
        object["a"] = 5
        object["c"] = 3
        #expect(JSONValue.object(object).jsonText == #"{"a":5,"b":2,"c":3}"#)
        object["a"] = nil
        object["nothing"] = nil
        #expect(JSONValue.object(object).jsonText == #"{"b":2,"c":3}"#)
        #expect(object["a"] == nil)
    }

    @Test(arguments: [
        ("null", "null"), ("true", "a boolean"), ("1", "a number"), (#""x""#, "a string"), ("[]", "an array"),
        ("{}", "an object"),
    ])
    func namesItsKind(text: String, kind: String) throws {
        #expect(try readJSON(text).kind == kind)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("1.0", 1), ("1e3", 1000), ("-1.50e1", -15), ("9223372036854775807", Int64.max),
            ("-9223372036854775808", Int64.min),
        ] as [(String, Int64)]
    )
    func aWholeNumberIsReadHoweverItIsWritten(text: String, whole: Int64) {
        #expect(JSONNumber(unchecked: text).int64 == whole)
    }

    @Test(arguments: ["0.5", "1e-1", "9223372036854775808", "-9223372036854775809", "1e19", "1e400", "1e999999999"])
    func aNumberThatIsNotWholeOrTooLargeIsNoInt64(text: String) {
        #expect(JSONNumber(unchecked: text).int64 == nil)
    }
}
