import HTTPTypes
import RocketTestSupport

/// A form with files, as clients send it.
struct Form {
    var boundary = "----boundary42"
    var parts: [(disposition: String, content: [UInt8])] = []

    static func file(_ name: String, _ content: [UInt8]) -> Form {
        Form(parts: [(#"form-data; name="file"; filename="\#(name)""#, content)])
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for part in parts {
            bytes += Array("--\(boundary)\r\nContent-Disposition: \(part.disposition)\r\n".utf8)
            bytes += Array("Content-Type: text/html\r\n\r\n".utf8) + part.content + Array("\r\n".utf8)
        }
        return bytes + Array("--\(boundary)--\r\n".utf8)
    }

    func send(_ app: TestApp) async throws -> TestAnswer {
        let headers: HTTPFields = [.contentType: "multipart/form-data; boundary=\(boundary)"]
        return try await app.send(.post, "_files/upload", headers: headers, body: bytes)
    }
}
