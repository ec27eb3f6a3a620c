import HTTPTypes
import NIOCore
import NIOHTTPTypes
import RocketEngine

/// Ends connections instead of answering, now and then: ``FaultPoints/Point/answerLost``.
final class AnswerLoss: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let faults: FaultPoints
    private var isLost = false

    init(_ faults: FaultPoints) {
        self.faults = faults
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .head(let head) = unwrapOutboundIn(data), head.status.kind != .informational, !isLost {
            isLost = faults.draws(.answerLost)
            if isLost { context.close(promise: nil) }
        }
        guard !isLost else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        context.write(data, promise: promise)
    }
}
