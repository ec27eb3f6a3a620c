package import Hummingbird
package import Logging
import NIOCore

/// What Hummingbird hands along with a request.
package struct RocketContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The address of the other end of the connection, which may be a proxy's: see ``Call/clientAddress``.
    package let peer: String
    /// Whether the request came over the server's own socket in the data directory, which only the user who runs
    /// the server can open. It administers the platform without a token.
    package let isControl: Bool

    package init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        let address = source.channel.remoteAddress
        peer = address?.ipAddress ?? "local"
        isControl = source.channel.localAddress?.protocol == .unix
    }

    /// A request from within the process.
    package init(logger: Logger, isControl: Bool, peer: String = "local") {
        coreContext = CoreRequestContextStorage(source: LocalSource(logger: logger))
        self.peer = peer
        self.isControl = isControl
    }

    private struct LocalSource: RequestContextSource {
        let logger: Logger
    }
}
