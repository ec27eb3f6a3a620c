import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

/// Brings the heads of HTTP/1 requests into the form that what is behind it goes by, while their version can still be
/// seen: who names a host, and after which answer the connection ends.
///
/// A head without a host, or with two, goes on with none, which ``RocketResponder`` refuses (RFC 9112 part 3.2). The
/// connection ends where the client says so in any of the ways that there are (part 9.6), where a head is refused, and
/// where it asks for another protocol or for a tunnel: it gets none, and the parser has stopped there.
final class HeadGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let gate: InputGate
    /// For each request that is not answered yet, whether its answer is the last.
    private var isLast = CircularBuffer<Bool>()
    /// Whether a request has come to its head and not to its end.
    private var isReceiving = false
    /// Whether the last answer has begun.
    private var isEnding = false
    /// Whether what is written is the answer to nothing.
    private var isSurplus = false

    init(_ gate: InputGate) {
        self.gate = gate
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else {
            if case .end = unwrapInboundIn(data) { isReceiving = false }
            return context.fireChannelRead(data)
        }
        isReceiving = true
        let hosts = head.headers["host"]
        let namesHost = hosts.count == 1 && !hosts[0].contains(",") || hosts.isEmpty && head.version == .http1_0
        let ends = !namesHost || Self.endsConnection(head)
        if Self.stopsTheParser(head) { gate.shut() }
        isLast.append(ends)
        if hosts.isEmpty, namesHost { head.headers.add(name: "host", value: "") }
        if !namesHost { head.headers.remove(name: "host") }
        if ends { head.headers.replaceOrAdd(name: "connection", value: "close") }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    private static func stopsTheParser(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT || head.headers.contains(name: "upgrade")
    }

    private static func endsConnection(_ head: HTTPRequestHead) -> Bool {
        if head.version == .http1_0 || stopsTheParser(head) { return true }
        if head.headers.contains(name: "transfer-encoding"), head.headers.contains(name: "content-length") {
            return true
        }
        return head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
    }

    /// Where the body of a request is broken, nobody knows where the next request would begin.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError, isReceiving, !isLast.isEmpty {
            isLast[isLast.index(before: isLast.endIndex)] = true
        }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where !(100..<200).contains(head.status.code):
            // Hummingbird answers a body that is broken once more where its request is answered already.
            isSurplus = isLast.isEmpty && isReceiving
            isEnding = isLast.popFirst() ?? true
            if isEnding { head.headers.replaceOrAdd(name: "connection", value: "close") }
            pass(wrapOutboundOut(.head(head)), to: context, promise: promise)
        case .end where isEnding: pass(data, to: context, promise: closing(context, after: promise))
        default: pass(data, to: context, promise: promise)
        }
    }

    private func pass(_ data: NIOAny, to context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        if isSurplus { promise?.succeed() } else { context.write(data, promise: promise) }
    }

    /// How long a client may go on after the last answer before its connection is closed whatever it does: closing at once
    /// would take the answer back where something is on its way (RFC 9112 part 9.6).
    private static let patience = TimeAmount.seconds(2)

    private func closing(
        _ context: ChannelHandlerContext,
        after promise: EventLoopPromise<Void>?
    ) -> EventLoopPromise<Void> {
        let eventLoop = context.eventLoop
        let isOut = promise ?? eventLoop.makePromise()
        let loopBound = NIOLoopBound(context, eventLoop: eventLoop)
        isOut.futureResult.whenSuccess {
            eventLoop.scheduleTask(in: Self.patience) { loopBound.value.close(promise: nil) }
        }
        return isOut
    }

    /// Puts a guard where it belongs, before the heads lose their version, and goes.
    final class Installer: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = NIOAny

        func handlerAdded(context: ChannelHandlerContext) {
            let pipeline = context.pipeline.syncOperations
            do {
                let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
                let gate = InputGate()
                try pipeline.addHandler(gate, position: .first)
                try pipeline.addHandler(HeadGuard(gate), position: .before(codec))
            } catch {
                // Nobody is served without it.
                context.close(promise: nil)
            }
            pipeline.removeHandler(context: context, promise: nil)
        }
    }
}
