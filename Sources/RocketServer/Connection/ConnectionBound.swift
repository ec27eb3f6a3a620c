import HTTPTypes
import NIOCore
import NIOHTTPTypes
import RocketModel
import Synchronization

/// How many connections a server has, and how many are being told that it is full: these take nobody's place.
final class ConnectionCount: Sendable {
    enum Place: Sendable {
        case served
        case refused
        /// There is no room even to be told so.
        case closed
    }

    private let served = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)
    private let maximum: Int
    /// Each holds a file for a moment, and those are for databases.
    static let maximumRefused = 256

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// Gives a connection its place until ``leave(_:)``.
    func enter() -> Place {
        if Self.take(served, upTo: maximum) { return .served }
        return Self.take(refused, upTo: Self.maximumRefused) ? .refused : .closed
    }

    func leave(_ place: Place) {
        switch place {
        case .served: served.subtract(1, ordering: .relaxed)
        case .refused: refused.subtract(1, ordering: .relaxed)
        case .closed: break
        }
    }

    private static func take(_ count: borrowing Atomic<Int>, upTo maximum: Int) -> Bool {
        guard count.add(1, ordering: .relaxed).newValue > maximum else { return true }
        count.subtract(1, ordering: .relaxed)
        return false
    }
}

/// Tells whoever connects to a full server so, at once, and asks nothing of them: without files for its connections a
/// server can't even say no.
final class ConnectionBound: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private let count: ConnectionCount
    /// Nil before it is asked for, and after it is given back.
    private var place: ConnectionCount.Place?

    init(_ count: ConnectionCount) {
        self.count = count
    }

    func handlerAdded(context: ChannelHandlerContext) {
        place = count.enter()
        if context.channel.isActive { turnAway(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        turnAway(context)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if let place { count.leave(place) }
        place = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .served = place { context.fireChannelRead(data) }
    }

    private func turnAway(_ context: ChannelHandlerContext) {
        switch place {
        case .refused: refuse(context)
        case .closed: context.close(promise: nil)
        case .served, nil: break
        }
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
