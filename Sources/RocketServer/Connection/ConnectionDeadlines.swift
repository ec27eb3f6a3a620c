import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Closes connections that keep the server waiting: for the head of a request, for its body, or for room to send an
/// answer. A slow client holds one connection for so long and no longer, whatever it trickles.
final class ConnectionDeadlines: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum Waiting {
        case head(since: NIODeadline)
        case body(since: NIODeadline)
        /// A file, which may be large: what arrives of it gives it more time.
        case file(until: NIODeadline)
        /// The client waits for us.
        case nothing
    }

    private let headLimit: TimeAmount
    private let bodyLimit: TimeAmount
    private var waiting = Waiting.nothing
    private var responseIsDone = true
    /// Since when the client takes nothing of what waits to be sent; nil while it does.
    private var stalledSince: NIODeadline?
    private var task: RepeatedTask?

    init(headSeconds: Int64, bodySeconds: Int64) {
        headLimit = .seconds(headSeconds)
        bodyLimit = .seconds(bodySeconds)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        waiting = .head(since: .now())
        let interval = TimeAmount.milliseconds(max(100, min(headLimit, bodyLimit).nanoseconds / 8_000_000))
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        task = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let (handler, context) = loopBound.value
            handler.check(context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        task?.cancel()
        task = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        task?.cancel()
        task = nil
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stalledSince = context.channel.isWritable ? nil : .now()
        context.fireChannelWritabilityChanged()
    }

    private func check(_ context: ChannelHandlerContext) {
        if let stalledSince, NIODeadline.now() - stalledSince > headLimit { return context.close(promise: nil) }
        switch waiting {
        case .head(let since) where NIODeadline.now() - since > headLimit: context.close(promise: nil)
        case .body(let since) where NIODeadline.now() - since > bodyLimit: context.close(promise: nil)
        case .file(let until) where NIODeadline.now() > until: context.close(promise: nil)
        case .head, .body, .file, .nothing: break
        }
    }

    /// The least that a file may arrive with on the way; less is a client that trickles.
    private static let leastBytesPerSecond = 16 * 1024

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            if head.headerFields[.expect]?.lowercased() == "100-continue" {
                // Else a client such as curl waits a second before it sends a large body.
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
            let isFile = head.path?.prefix { $0 != "?" }.hasSuffix("/_files/upload") ?? false
            waiting = isFile ? .file(until: .now() + bodyLimit) : .body(since: .now())
            responseIsDone = false
        case .body(let bytes):
            if case .file(let until) = waiting {
                let time = TimeAmount.nanoseconds(
                    Int64(bytes.readableBytes) * 1_000_000_000 / Int64(Self.leastBytesPerSecond)
                )
                // What came fast is no credit for waiting long.
                waiting = .file(until: min(until + time, .now() + bodyLimit))
            }
        case .end: waiting = responseIsDone ? .head(since: .now()) : .nothing
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            responseIsDone = true
            switch waiting {
            case .nothing: waiting = .head(since: .now())
            // What still comes of a file that is answered is nobody's.
            case .file: waiting = .body(since: .now())
            case .head, .body: break
            }
        }
        context.write(data, promise: promise)
    }
}
