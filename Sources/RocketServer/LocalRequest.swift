package import HTTPTypes
import Hummingbird
package import Logging
import NIOCore
import Synchronization

/// A request from within the process: for commands where no server runs, and for tests.
package enum LocalRequest {
    package struct Answer: Sendable {
        package let status: HTTPResponse.Status
        package let headers: HTTPFields
        package let body: [UInt8]
    }

    /// - Parameters:
    ///   - isControl: whether it has the rights of the server's own socket.
    ///   - peer: the address that it is said to come from.
    package static func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        headers: HTTPFields = [:],
        body: [UInt8] = [],
        to responder: RocketResponder,
        logger: Logger,
        isControl: Bool = true,
        peer: String = "local"
    ) async throws -> Answer {
        let head = HTTPRequest(
            method: method,
            scheme: "http",
            authority: "localhost",
            path: path,
            headerFields: headers
        )
        let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: body)))
        let response = try await responder.respond(
            to: request,
            context: RocketContext(logger: logger, isControl: isControl, peer: peer)
        )
        let collector = Collector()
        try await response.body.write(collector)
        return Answer(status: response.status, headers: response.headers, body: collector.bytes)
    }

    private final class Collector: ResponseBodyWriter {
        private let collected = Mutex<[UInt8]>([])

        var bytes: [UInt8] { collected.withLock { $0 } }

        func write(_ buffer: ByteBuffer) {
            collected.withLock { $0.append(contentsOf: buffer.readableBytesView) }
        }

        func finish(_ trailingHeaders: HTTPFields?) {}
    }
}
