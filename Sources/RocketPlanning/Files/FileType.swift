/// What a file is by its first bytes: clients may say what they like. The signatures are those of the MIME Sniffing
/// Standard (https://mimesniff.spec.whatwg.org/), part 6, and of formats that people keep in records.
package enum FileType {
    /// How many bytes are looked at.
    package static let sampleBytes = 1024

    private struct Signature {
        let offset: Int
        let bytes: [UInt8]
        let type: String

        init(_ bytes: [UInt8], _ type: String, at offset: Int = 0) {
            self.bytes = bytes
            self.type = type
            self.offset = offset
        }

        init(_ text: String, _ type: String, at offset: Int = 0) {
            self.init(Array(text.utf8), type, at: offset)
        }

        func matches(_ sample: [UInt8]) -> Bool {
            sample.count >= offset + bytes.count && sample[offset..<offset + bytes.count].elementsEqual(bytes)
        }
    }

    private static let signatures = [
        Signature([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "image/png"),
        Signature([0xFF, 0xD8, 0xFF], "image/jpeg"), Signature("GIF87a", "image/gif"),
        Signature("GIF89a", "image/gif"), Signature("BM", "image/bmp"), Signature("WEBPVP", "image/webp", at: 8),
        Signature("ftypavif", "image/avif", at: 4), Signature("ftypheic", "image/heic", at: 4),
        Signature([0x49, 0x49, 0x2A, 0x00], "image/tiff"), Signature([0x4D, 0x4D, 0x00, 0x2A], "image/tiff"),
        Signature([0x00, 0x00, 0x01, 0x00], "image/x-icon"), Signature("%PDF-", "application/pdf"),
        Signature("%!PS-Adobe-", "application/postscript"), Signature("ftypqt", "video/quicktime", at: 4),
        Signature("ftypM4A", "audio/mp4", at: 4), Signature("ftyp", "video/mp4", at: 4),
        Signature([0x1A, 0x45, 0xDF, 0xA3], "video/webm"), Signature("OggS\0", "application/ogg"),
        Signature("ID3", "audio/mpeg"), Signature([0xFF, 0xFB], "audio/mpeg"), Signature("fLaC", "audio/flac"),
        Signature("WAVE", "audio/wave", at: 8), Signature("AVI ", "video/avi", at: 8),
        Signature("MThd", "audio/midi"), Signature([0x1F, 0x8B, 0x08], "application/gzip"),
        Signature("PK\u{3}\u{4}", "application/zip"), Signature("PK\u{5}\u{6}", "application/zip"),
        Signature("Rar!\u{1A}\u{7}", "application/x-rar-compressed"),
        Signature([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "application/x-7z-compressed"),
        Signature([0x28, 0xB5, 0x2F, 0xFD], "application/zstd"), Signature("wOFF", "font/woff"),
        Signature("wOF2", "font/woff2"), Signature("SQLite format 3\0", "application/vnd.sqlite3"),
    ]

    /// Kinds of archive that only their names tell apart.
    private static let archives = [
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
        "odp": "application/vnd.oasis.opendocument.presentation", "epub": "application/epub+zip",
    ]

    /// Kinds of text that only their names tell apart.
    private static let texts = [
        "csv": "text/csv", "json": "application/json", "md": "text/markdown", "xml": "application/xml",
        "svg": "image/svg+xml", "html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript",
        "ics": "text/calendar", "vcf": "text/vcard", "yaml": "application/yaml", "yml": "application/yaml",
    ]

    /// - Parameter sample: the first ``sampleBytes`` of the file, or all of it.
    package static func sniff(_ sample: [UInt8], filename: String) -> String {
        let ending = filename.split(separator: ".").count > 1 ? filename.split(separator: ".").last : nil
        let name = ending.map { $0.lowercased() } ?? ""
        if let known = signatures.first(where: { $0.matches(sample) })?.type {
            return known == "application/zip" ? archives[name] ?? known : known
        }
        return isText(sample) ? texts[name] ?? "text/plain" : "application/octet-stream"
    }

    /// Without the bytes that text has none of (part 5 of the standard, "binary data byte"), and UTF-8 but for a character that the
    /// end of the sample cuts.
    private static func isText(_ sample: [UInt8]) -> Bool {
        let hasBinary = sample.contains { byte in
            switch byte {
            case 0x00...0x08, 0x0B, 0x0E...0x1A, 0x1C...0x1F: true
            default: false
            }
        }
        guard !hasBinary else { return false }
        return (0..<4).contains { cut in
            sample.count >= cut && String(validating: sample.dropLast(cut), as: UTF8.self) != nil
        }
    }

    /// What a browser may show in its own window: nothing that can run a script.
    package static func isShownInline(_ type: String) -> Bool {
        switch type {
        case "image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "application/pdf",
            "text/plain":
            true
        default: type.hasPrefix("audio/") || type.hasPrefix("video/")
        }
    }
}
