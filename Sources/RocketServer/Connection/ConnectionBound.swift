import HTTPTypes
import NIOCore
import NIOHTTPTypes
import RocketModel
import Synchronization

/// How many connections a server has.
final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)
    private let maximum: Int

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// - Returns: whether there is room for one more; it counts either way until ``leave()``.
    func enter() -> Bool { count.add(1, ordering: .relaxed).newValue <= maximum }
    func leave() { count.subtract(1, ordering: .relaxed) }
}

/// Tells whoever connects to a full server so, at once, and asks nothing of them: without files for its connections a
/// server can't even say no.
final class ConnectionBound: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private let count: ConnectionCount
    private var isCounted = false
    private var isRefused = false

    init(_ count: ConnectionCount) {
        self.count = count
    }

    func handlerAdded(context: ChannelHandlerContext) {
        isCounted = true
        isRefused = !count.enter()
        if isRefused, context.channel.isActive { refuse(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        if isRefused { refuse(context) }
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if isCounted { count.leave() }
        isCounted = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isRefused { context.fireChannelRead(data) }
    }

    /// How long the client has to read the answer: closing at once would take it back where a request is on its way.
    private static let patience = TimeAmount.seconds(1)

    private func refuse(_ context: ChannelHandlerContext) {
        var reply = Reply(RequestFailure.unavailable("The server has as many connections as it takes; try again"))
        reply.headers[.contentType] = "application/json; charset=utf-8"
        reply.headers[.contentLength] = String(reply.body.readableBytes)
        reply.headers[.connection] = "close"
        context.write(
            wrapOutboundOut(.head(HTTPResponse(status: reply.status, headerFields: reply.headers))),
            promise: nil
        )
        context.write(wrapOutboundOut(.body(reply.body)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.patience) { loopBound.value.close(promise: nil) }
    }
}
