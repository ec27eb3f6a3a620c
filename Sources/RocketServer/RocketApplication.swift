package import Hummingbird
package import Logging
import NIOCore
import RocketEngine

/// The servers that carry the responder: one on TCP for clients, one on a socket file for the command line.
package enum RocketApplication {
    /// - Parameter onRunning: called with the port once connections are accepted.
    package static func make(
        responder: RocketResponder,
        settings: ServerSettings,
        address: BindAddress,
        logger: Logger,
        onRunning: @escaping @Sendable (Int?) async -> Void = { _ in }
    ) -> Application<RocketResponder> {
        let count = ConnectionCount(maximum: settings.maximumConnections)
        return Application(
            responder: responder,
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: handlers(settings, count, responder.faults)
                )
            ),
            configuration: ApplicationConfiguration(address: address, serverName: nil, backlog: 1024),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port) },
            logger: logger
        )
    }

    private static func handlers(
        _ settings: ServerSettings,
        _ count: ConnectionCount,
        _ faults: FaultPoints
    ) -> [any RemovableChannelHandler] {
        let handlers: [any RemovableChannelHandler] = [
            HeadGuard.Installer(),
            ConnectionBound(count),
            FlushBeforeClose(
                limit: .seconds(settings.headSeconds),
                limitAtStop: .seconds(settings.graceSeconds)
            ),
            ConnectionDeadlines(headSeconds: settings.headSeconds, bodySeconds: settings.bodySeconds),
        ]
        return faults.has(.answerLost) ? handlers + [AnswerLoss(faults)] : handlers
    }
}
