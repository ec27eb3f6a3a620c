import Foundation
import Logging
import RocketDatabase
import RocketEngine
import RocketModel
import RocketServer

/// A Rocket on a data directory, put together from its configuration: all but the sockets.
struct RocketInstance: Sendable {
    let responder: RocketResponder
    let apps: AppRegistry
    let settings: ServerSettings
    let logger: Logger
    let directory: URL
    private let lock: DataDirectoryLock

    /// The socket on which commands reach a server that runs.
    static func socketPath(in directory: URL) -> String {
        directory.appendingPathComponent("rocket.sock").path
    }

    /// - Returns: nil where another process holds the data directory.
    /// - Throws: ``CommandFailure``.
    static func open(_ configuration: LoadedConfiguration, logger: Logger) async throws -> RocketInstance? {
        // Nothing that this process makes is for others to read: databases, secrets, sockets.
        umask(0o077)
        try checkPasswords(configuration)
        let directory = URL(fileURLWithPath: configuration.text("database.data_dir") ?? "data", isDirectory: true)
        guard let lock = try DataDirectoryLock(directory: directory) else { return nil }
        let dependencies = EngineDependencies.system(logger: logger)
        let secrets = try SecretsFile.secrets(for: configuration, in: directory, randomBytes: dependencies.randomBytes)
        do {
            var store = SQLiteSettings()
            store.synchronous = configuration.text("database.synchronous").flatMap(SQLiteSynchronous.init) ?? .full
            store.statementLimit = .seconds(configuration.whole("server.request_timeout_s"))
            let apps = try await AppRegistry(
                provider: try SQLiteProvider(directory: directory, settings: store, logger: logger),
                settings: appSettings(configuration),
                dependencies: dependencies
            )
            let settings = serverSettings(configuration)
            let services = ServerServices(apps: apps, secrets: secrets, settings: settings)
            return RocketInstance(
                responder: RocketResponder(services: services),
                apps: apps,
                settings: settings,
                logger: logger,
                directory: directory,
                lock: lock
            )
        } catch DatabaseFailure.unavailable(let cause) {
            lock.release()
            throw CommandFailure("the database can't be opened: \(firstLine(cause))", .unavailable)
        } catch {
            lock.release()
            throw CommandFailure(
                "\(directory.path): can't start on this directory: \(firstLine("\(error)"))",
                .unavailable
            )
        }
    }

    /// - Throws: ``CommandFailure`` for a first password that can't be one, or that everybody knows in production.
    private static func checkPasswords(_ configuration: LoadedConfiguration) throws {
        for name in ["admin_password", "platform_password"] {
            guard let password = configuration.text(name) else { continue }
            if let problem = PasswordPolicy.problem(with: password) {
                throw CommandFailure("\(name): \(problem)", .configuration)
            }
            if configuration.isProduction, password == "changeme" {
                throw CommandFailure("\(name): production takes no default password", .configuration)
            }
        }
    }

    private static func appSettings(_ configuration: LoadedConfiguration) -> AppSettings {
        var settings = AppSettings()
        settings.maximumOpen = configuration.whole("database.max_open_apps")
        settings.bcryptCost = configuration.whole("auth.bcrypt_cost")
        settings.loginLimits.perAccount = configuration.whole("auth.failures_per_account")
        settings.loginLimits.perAddress = configuration.whole("auth.failures_per_address")
        let fallback = configuration.isProduction ? nil : "changeme"
        settings.adminPassword = configuration.text("admin_password") ?? fallback
        settings.platformPassword = configuration.text("platform_password") ?? fallback
        return settings
    }

    private static func serverSettings(_ configuration: LoadedConfiguration) -> ServerSettings {
        var settings = ServerSettings()
        settings.host = configuration.text("server.host") ?? settings.host
        settings.port = configuration.whole("server.port")
        settings.maximumBodyBytes = configuration.whole("server.max_body_bytes")
        settings.bodySeconds = Int64(configuration.whole("server.request_timeout_s"))
        settings.graceSeconds = Int64(configuration.whole("server.grace_s"))
        return settings
    }

    func close() async {
        await apps.close()
        lock.release()
    }
}
