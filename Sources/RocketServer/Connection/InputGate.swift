import NIOCore

/// Stands before the parser, and lets nothing more in once it is shut: a parser that has stopped at a request for another
/// protocol keeps all that comes behind it.
final class InputGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var isShut = false

    func shut() { isShut = true }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !isShut { context.fireChannelRead(data) }
    }
}
