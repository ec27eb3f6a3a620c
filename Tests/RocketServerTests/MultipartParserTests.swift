import Testing

@testable import RocketServer

struct MultipartParserTests {
    /// What a body gives, with pieces of content put together.
    private static func events(_ body: [UInt8], boundary: String = "b", piece: Int) throws -> [String] {
        var parser = MultipartParser(boundary: boundary)
        var events: [String] = []
        var content: [UInt8]?
        var rest = body[...]
        while true {
            while let event = try parser.next() {
                switch event {
                case .part(let headers):
                    events.append("part \(headers.name) \(headers.filename ?? "-")")
                    content = []
                case .content(let bytes): content? += bytes
                case .partEnd: events.append(String(decoding: content ?? [], as: UTF8.self))
                case .end: events.append("end")
                }
            }
            guard !rest.isEmpty else { return events }
            parser.append(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
        }
    }

    /// The same whatever the pieces in which it arrives.
    private static func everyWay(_ text: String, boundary: String = "b") throws -> [String] {
        let whole = try events(Array(text.utf8), boundary: boundary, piece: text.utf8.count + 1)
        for piece in [1, 2, 3, 7, 64] {
            #expect(try events(Array(text.utf8), boundary: boundary, piece: piece) == whole, "in pieces of \(piece)")
        }
        return whole
    }

    @Test func partsAreGivenInTheirOrder() throws {
        let text =
            "a preamble\r\n--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b  \r\ncontent-type: a/b\r\n"
            + "CONTENT-DISPOSITION: form-data; name=y; filename=\"z.txt\"\r\n\r\n2\r\n\r\n--c\r\n-\r\n--b--\r\nmore"
        #expect(try Self.everyWay(text) == ["part x -", "1", "part y z.txt", "2\r\n\r\n--c\r\n-", "end"])
    }

    @Test func contentMayBeEmptyAndMayLookLikeADelimiter() throws {
        let text =
            "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n--b\r\n"
            + "Content-Disposition: form-data; name=y\r\n\r\n\r\r\n-\r\n--a\r\n\r\n--b--"
        #expect(try Self.everyWay(text) == ["part x -", "", "part y -", "\r\r\n-\r\n--a\r\n", "end"])
    }

    @Test func aFormWithoutPartsEnds() throws {
        #expect(try Self.everyWay("--b--\r\n") == ["end"])
        #expect(try Self.everyWay("") == [])
        #expect(try Self.everyWay("--b\r\nContent-Disposition: form-data; name=x\r\n\r\nhalf") == ["part x -"])
    }

    @Test(arguments: [
        "--b\r\n\r\ncontent\r\n--b--", "--b\r\nContent-Disposition: form-data\r\n\r\n\r\n--b--",
        "--b\r\nContent-Disposition: attachment; name=x\r\n\r\n\r\n--b--", "--bc\r\n\r\n", "--b\r\nno colon\r\n\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"x\r\n\r\n\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=x\r\nContent-Disposition: form-data; name=y\r\n\r\n",
        "--b\r\nX: " + String(repeating: "x", count: 9000),
        "--b" + String(repeating: " ", count: 300),
    ])
    func whatIsNoFormIsRefused(text: String) {
        for piece in [1, 100_000] {
            #expect(throws: MultipartParser.Malformed.self) { try Self.events(Array(text.utf8), piece: piece) }
        }
    }

    @Test(arguments: [
        (#"filename="a b.txt""#, "a b.txt"), (#"filename="a\"b\\c.txt""#, #"a"b\c.txt"#),
        (#"filename="a%22b.txt""#, #"a"b.txt"#), (#"filename="é.txt""#, "é.txt"), (#"filename="""#, ""),
        (#"filename="x.txt"; filename*=UTF-8''na%C3%AFve.txt"#, "naïve.txt"),
        (#"filename="x.txt"; filename*=ISO-8859-1''na%EFve.txt"#, "x.txt"),
        (#"filename="C:\temp\x.txt""#, #"C:\temp\x.txt"#),
    ])
    func namesOfFilesAreReadAsClientsWriteThem(parameter: String, name: String) {
        #expect(MultipartHeaders("Content-Disposition: form-data; name=\"file\"; \(parameter)")?.filename == name)
    }

    @Test(
        arguments: [
            (nil, ByteRange.all), ("bytes=0-0", .part(0...0)), ("bytes=5-", .part(5...9)), ("bytes=-3", .part(7...9)),
            ("bytes=-30", .part(0...9)), ("bytes=8-100", .part(8...9)), ("BYTES= 1 - 2", .part(1...2)),
            ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=99999999999999999999-", .unsatisfiable),
            ("bytes=0-99999999999999999999", .part(0...9)), ("bytes=3-2", .all), ("bytes=a-b", .all),
            ("bytes=0-1,3-4", .all),
            ("lines=0-1", .all), ("bytes", .all), ("bytes=-", .all), ("bytes=1-2-3", .all), ("bytes=+1-2", .all),
        ] as [(String?, ByteRange)]
    )
    func rangesAreReadAsTheStandardSays(header: String?, range: ByteRange) {
        #expect(ByteRange(header, size: 10) == range)
    }

    @Test func anEmptyFileHasNoRange() {
        #expect(ByteRange("bytes=0-", size: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-1", size: 0) == .unsatisfiable)
        #expect(ByteRange(nil, size: 0) == .all)
    }
}
