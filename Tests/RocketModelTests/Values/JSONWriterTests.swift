import RocketModel
import Testing

struct JSONWriterTests {
    @Test(arguments: [
        ("", #""#), ("plain", "plain"), ("\"", #"\""#), ("\\", #"\\"#), ("/", "/"), ("\u{08}", #"\b"#), ("\t", #"\t"#),
        ("\n", #"\n"#), ("\u{0C}", #"\f"#), ("\r", #"\r"#), ("\r\n", #"\r\n"#), ("\u{0}", #"\u0000"#),
        ("\u{0B}", #"\u000b"#), ("\u{1F}", #"\u001f"#), ("\u{7F}", "\u{7F}"), ("é", "é"), ("e\u{301}", "e\u{301}"),
        ("日本語", "日本語"), ("😀", "😀"), ("\u{2028}", "\u{2028}"), ("a\"b\\c\nd", #"a\"b\\c\nd"#),
        ("\"\u{301}", "\\\"\u{301}"),
    ])
    func escapesWhatMustBeEscapedAndNothingElse(text: String, content: String) {
        #expect(Array(JSONValue.string(text).jsonText.utf8) == Array("\"\(content)\"".utf8))
    }

    @Test func writesNoControlCharacterAndReadsEachOneBack() throws {
        for code in UInt8(0)..<0x20 {
            let value = JSONValue.string("a" + String(Character(Unicode.Scalar(code))) + "b")
            #expect(value.jsonBytes.allSatisfy { $0 >= 0x20 }, "code \(code)")
            #expect(try JSONParser.parse(value.jsonBytes) == value, "code \(code)")
        }
    }

    @Test func writesADocumentThatReadsBackTheSame() throws {
        let document = try readJSON(SampleDocument.text)
        let text = document.jsonText
        #expect(try readJSON(text) == document)
        #expect(try readJSON(text).jsonText == text)
        #expect(text.hasPrefix(#"{"version":1,"exported_at":"#))
        #expect(text.contains(#""numbers":[0,-0,1,-1,1.0,1.50,1e2,1E+2,1e-2,-12.5e3,0.1,9007199254740993,"#))
        #expect(text.contains(#""spaces":[1,2,3]"#))
    }

    @Test(arguments: [
        "null", "true", "false", "0", "-1.50", #""x""#, "[]", "{}", "[1,[2,[]],{}]", #"{"b":1,"a":{"d":null,"c":[]}}"#,
        #"{"":"","a b":"\\\"\n"}"#,
    ])
    func writesCompactTextAsItWasRead(text: String) throws {
        #expect(try readJSON(text).jsonText == text)
    }

    @Test(
        arguments: [
            (0, "0"), (9, "9"), (10, "10"), (-1, "-1"), (-10, "-10"), (Int64.max, "9223372036854775807"),
            (Int64.min, "-9223372036854775808"),
        ] as [(Int64, String)]
    )
    func writesIntegers(value: Int64, text: String) {
        var writer = JSONWriter()
        writer.integer(value)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == text)
    }

    @Test func putsItsPiecesBehindEachOther() {
        var writer = JSONWriter(capacity: 64)
        writer.raw("{")
        writer.string("a\"")
        writer.raw(":")
        writer.boolean(true)
        writer.raw(",\"b\":")
        Array("2026-02-05".utf8).withUnsafeBufferPointer { writer.quoted($0) }
        writer.raw(",\"c\":")
        writer.double(1.5)
        writer.raw("}")
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #"{"a\"":true,"b":"2026-02-05","c":1.5}"#)
    }

    @Test(
        arguments: [
            (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (-1.0, "-1"), (1.5, "1.5"), (0.1, "0.1"), (100.0, "100"),
            (1234567.0, "1234567"),
            (0.30000000000000004, "0.30000000000000004"), (1e21, "1e+21"), (5e-324, "5e-324"),
            (Double.greatestFiniteMagnitude, "1.7976931348623157e+308"),
        ] as [(Double, String)]
    )
    func writesADoubleInItsFewestDigits(value: Double, text: String) {
        #expect(doubleText(value) == text)
    }

    @Test func writesEveryDoubleSoThatItReadsBackTheSame() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<5000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            let text = doubleText(value)
            #expect(try readJSON(text) == .number(JSONNumber(unchecked: text)))
            #expect(Double(text)?.bitPattern == value.bitPattern, "\(text)")
        }
    }
}
