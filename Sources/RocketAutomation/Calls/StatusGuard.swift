import NIOCore
import NIOHTTP1

/// Ends connections on which a status comes that is none (RFC 9110 part 15): AsyncHTTPClient 1.37 takes one below 100 for
/// an interim answer, and ends the process when that answer ends.
final class StatusGuard: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart

    private struct NoStatus: Error, CustomStringConvertible {
        let code: UInt
        var description: String { "it answered with the status \(code), which is none" }
    }

    private var hasFailed = false

    /// Adds one to a connection, before any of its answers is looked at.
    static let add: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
        channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
            try pipeline.addHandler(StatusGuard(), position: .after(decoder))
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        if case .head(let head) = unwrapInboundIn(data), head.status.code < 100 {
            hasFailed = true
            context.fireErrorCaught(NoStatus(code: head.status.code))
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
    }
}
