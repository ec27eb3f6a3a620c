/// `Content-Disposition` (RFC 6266): the name in ASCII for old clients, and as it is (RFC 8187).
enum ContentDisposition {
    static func header(_ filename: String, isShown: Bool) -> String {
        let kind = isShown ? "inline" : "attachment"
        let plain = String(
            filename.unicodeScalars.map { scalar -> Character in
                let isPlain = (0x20...0x7E).contains(scalar.value) && scalar != "\"" && scalar != "\\" && scalar != "%"
                return isPlain ? Character(scalar) : "_"
            }
        )
        guard plain != filename else { return "\(kind); filename=\"\(plain)\"" }
        return "\(kind); filename=\"\(plain)\"; filename*=UTF-8''\(percentEncoded(filename))"
    }
}
