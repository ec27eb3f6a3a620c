import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import RocketAutomation
import RocketEngine
import RocketModel
import RocketServer
import ServiceLifecycle
import UnixSignals

/// A server from start to stop: on TCP for clients, on a socket in the data directory for commands.
enum RunningServer {
    /// Serves until SIGTERM or SIGINT.
    ///
    /// - Parameter onReady: called with the address once connections are accepted.
    /// - Throws: ``CommandFailure`` with one line that says what to do.
    static func run(_ configuration: LoadedConfiguration, onReady: @escaping @Sendable (String) async -> Void)
        async throws
    {
        // Tasks run on the event loops themselves: a request changes threads only where it goes to the database.
        let isInstalled = NIOSingletons.unsafeTryInstallSingletonPosixEventLoopGroupAsConcurrencyGlobalExecutor()
        let sink = LogSink()
        let logger = makeLogger(configuration, sink)
        defer { sink.flush() }
        if !isInstalled {
            // As in a program that Swift's libraries are linked into: NIO finds the hook by its name.
            logger.warning("tasks do not run on the event loops, which costs a third of the speed")
        }
        raiseFileLimit()
        guard let instance = try await RocketInstance.open(configuration, logger: logger) else {
            let directory = configuration.text("database.data_dir") ?? ""
            throw CommandFailure(
                "\(directory): another rocket holds this data directory; stop it, or choose another with --data-dir",
                .unavailable
            )
        }
        do {
            try await serve(instance, onReady)
        } catch {
            await instance.close()
            throw words(for: error, instance.settings)
        }
        await instance.close()
        logger.notice("stopped")
    }

    /// As many files as the system lets this process have: each open app takes some, and each connection one. The lower
    /// limit that shells set is for programs that use select(2).
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(fileLimit, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // Where it is refused the old limit holds.
        _ = setrlimit(fileLimit, &limit)
    }

    /// Half of the files that this process may open are for databases and calls.
    private static func boundedByFiles(_ settings: ServerSettings) -> ServerSettings {
        var limit = rlimit()
        guard getrlimit(fileLimit, &limit) == 0 else { return settings }
        var settings = settings
        settings.maximumConnections = min(settings.maximumConnections, max(1, Int(clamping: limit.rlim_cur / 2)))
        return settings
    }

    #if canImport(Glibc)
        private static let fileLimit = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
        private static let fileLimit = RLIMIT_NOFILE
    #endif

    private static func makeLogger(_ configuration: LoadedConfiguration, _ sink: LogSink) -> Logger {
        let now = EngineDependencies.system(logger: Logger(label: "rocket")).now
        let level = configuration.text("log.level").flatMap { Logger.Level(rawValue: $0) } ?? .info
        let format = configuration.text("log.format").flatMap { LineLogHandler.Format(rawValue: $0) } ?? .text
        return Logger(label: "rocket") { _ in LineLogHandler(level: level, format: format, sink: sink, now: now) }
    }

    private static func serve(_ instance: RocketInstance, _ onReady: @escaping @Sendable (String) async -> Void)
        async throws
    {
        var quiet = instance.logger
        quiet.logLevel = .critical
        let settings = boundedByFiles(instance.settings)
        let logger = instance.logger
        let clients = RocketApplication.make(
            responder: instance.responder,
            settings: settings,
            address: .hostname(settings.host, port: settings.port),
            logger: quiet
        ) { port in
            let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
            let address = "http://\(host):\(port ?? settings.port)"
            logger.notice("listening on \(address)")
            await onReady(address)
        }
        var services: [any Service] = [
            clients, AppHousekeeping(apps: instance.apps), WorkService(worker: instance.worker),
        ]
        if let commands = commandSocket(instance, quiet) { services.insert(commands, at: 0) }
        var group = ServiceGroupConfiguration(
            services: services,
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: quiet
        )
        group.maximumGracefulShutdownDuration = .seconds(settings.graceSeconds)
        try await ServiceGroup(configuration: group).run()
    }

    /// The longest path of a socket that every system takes (unix(7): 108 bytes with the NUL on Linux, 104 elsewhere).
    private static let maximumSocketPath = 103

    private static func commandSocket(_ instance: RocketInstance, _ logger: Logger) -> Application<RocketResponder>? {
        guard let directory = instance.directory else { return nil }
        let path = RocketInstance.socketPath(in: directory)
        guard path.utf8.count <= maximumSocketPath else {
            instance.logger.warning("\(path) is too long for a socket: commands need the server stopped")
            return nil
        }
        // The lock on the directory is ours, so a socket that is there is a dead server's.
        unlink(path)
        return RocketApplication.make(
            responder: instance.responder,
            settings: instance.settings,
            address: .unixDomainSocket(path: path),
            logger: logger
        ) { _ in
            chmod(path, 0o600)
        }
    }

    private static func words(for error: any Error, _ settings: ServerSettings) -> any Error {
        guard let failure = error as? IOError else {
            let cause = firstLine("\(error)")
            return CommandFailure("can't listen on \(settings.host):\(settings.port): \(cause)", .unavailable)
        }
        switch failure.errnoCode {
        case EADDRINUSE:
            return CommandFailure(
                "port \(settings.port) is in use: stop what uses it, or choose another with --port",
                .unavailable
            )
        case EACCES:
            return CommandFailure(
                "port \(settings.port) needs more rights: choose one from 1024 with --port",
                .unavailable
            )
        case EADDRNOTAVAIL:
            return CommandFailure(
                "\(settings.host) is no address of this machine: choose another with --host",
                .unavailable
            )
        default:
            return CommandFailure(
                "can't listen on \(settings.host):\(settings.port): \(firstLine("\(failure)"))",
                .unavailable
            )
        }
    }
}

/// Sends what writes have left to be told.
private struct WorkService: Service {
    let worker: Worker

    func run() async throws {
        await cancelWhenGracefulShutdown { await worker.work() }
    }
}

/// Keeps up with other servers and closes apps that nobody has asked for in a while.
private struct AppHousekeeping: Service {
    let apps: AppRegistry

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await apps.keepHouse()
        }
    }
}
