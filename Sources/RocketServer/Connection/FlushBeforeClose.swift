import NIOCore
import NIOHTTPTypes

/// Lets an answer that is written go out before its connection is closed: closing throws away what the socket has not
/// taken yet, which is much of a long answer to a client that reads slowly.
final class FlushBeforeClose: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limit: TimeAmount
    private let limitAtStop: TimeAmount
    /// Answers that are written to their end, and not out yet.
    private var leaving = 0
    /// Those who want the connection closed.
    private var closing: [EventLoopPromise<Void>] = []
    private var isClosing = false
    private var isStopping = false

    /// - Parameters:
    ///   - limit: how long a client may take to read the rest of an answer.
    ///   - limitAtStop: the same while the server stops.
    init(limit: TimeAmount, limitAtStop: TimeAmount) {
        self.limit = limit
        self.limitAtStop = limitAtStop
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { isStopping = true }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else { return context.write(data, promise: promise) }
        leaving += 1
        let isOut = promise ?? context.eventLoop.makePromise()
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        isOut.futureResult.whenComplete { _ in
            let (handler, context) = loopBound.value
            handler.leaving -= 1
            if handler.isClosing, handler.leaving == 0 { handler.closeNow(context) }
        }
        context.write(data, promise: isOut)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard case .all = mode, leaving > 0, context.channel.isActive else {
            return context.close(mode: mode, promise: promise)
        }
        if let promise { closing.append(promise) }
        guard !isClosing else { return }
        isClosing = true
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: isStopping ? limitAtStop : limit) {
            let (handler, context) = loopBound.value
            handler.closeNow(context)
        }
    }

    private func closeNow(_ context: ChannelHandlerContext) {
        guard isClosing else { return }
        isClosing = false
        let promises = closing
        closing = []
        let isClosed = context.eventLoop.makePromise(of: Void.self)
        isClosed.futureResult.whenComplete { result in
            for promise in promises { promise.completeWith(result) }
        }
        context.close(mode: .all, promise: isClosed)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // The channel is gone, and so is what was on its way.
        for promise in closing { promise.succeed() }
        closing = []
    }
}
