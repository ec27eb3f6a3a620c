import HTTPTypes
import Hummingbird
import NIOCore
import RocketModel

/// What a route answers.
struct Reply: Sendable {
    var status: HTTPResponse.Status
    var headers: HTTPFields
    var body: ByteBuffer
    /// What is sent piece by piece in the place of the body.
    var stream: ResponseBody?

    init(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], body: ByteBuffer) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    init(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], stream: ResponseBody) {
        self.status = status
        self.headers = headers
        body = ByteBuffer()
        self.stream = stream
    }

    init(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], json: JSONValue) {
        self.init(status, headers: headers, body: ByteBuffer(bytes: json.jsonBytes))
    }

    /// `{"data": …}`
    init(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], data: JSONValue) {
        self.init(status, headers: headers, json: ["data": data])
    }

    /// `{"data": …, "meta": …}`
    init(_ status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], data: JSONValue, meta: JSONValue) {
        self.init(status, headers: headers, json: ["data": data, "meta": meta])
    }
}

extension Reply {
    /// What is kept of it for whoever sends the same request again.
    var kept: KeptAnswer {
        var headers: [String: String] = [:]
        for name in [HTTPField.Name.eTag, .location] { headers[name.canonicalName] = self.headers[name] }
        return KeptAnswer(status: status.code, headers: headers, body: String(buffer: body))
    }

    init(kept answer: KeptAnswer) {
        var headers: HTTPFields = [.idempotencyReplayed: "true"]
        for (name, value) in answer.headers { if let name = HTTPField.Name(name) { headers[name] = value } }
        self.init(.init(code: answer.status), headers: headers, body: ByteBuffer(string: answer.body))
    }
}

extension HTTPField.Name {
    static let idempotencyKey = HTTPField.Name(literal: "Idempotency-Key")
    static let idempotencyReplayed = HTTPField.Name(literal: "Idempotency-Replayed")
    static let requestID = HTTPField.Name(literal: "X-Request-Id")
    static let depth = HTTPField.Name(literal: "Rocket-Depth")
    static let traceparent = HTTPField.Name(literal: "traceparent")
    static let tracestate = HTTPField.Name(literal: "tracestate")
    static let nosniff = HTTPField.Name(literal: "X-Content-Type-Options")
    static let forwardedFor = HTTPField.Name(literal: "X-Forwarded-For")

    /// A name that is written in this code.
    private init(literal name: String) {
        guard let parsed = HTTPField.Name(name) else { preconditionFailure("\(name) is no header name") }
        self = parsed
    }
}
