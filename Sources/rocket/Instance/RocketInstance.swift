import Foundation
import Logging
import RocketAutomation
import RocketDatabase
import RocketEngine
import RocketModel
import RocketServer

/// A Rocket on its databases, put together from its configuration: all but the sockets.
struct RocketInstance: Sendable {
    let responder: RocketResponder
    let apps: AppRegistry
    let worker: Worker
    private let sender: CallSender
    let settings: ServerSettings
    let logger: Logger
    /// The data directory that this process holds; nil on PostgreSQL, which any number of processes may work on.
    let directory: URL?
    private let lock: DataDirectoryLock?

    /// The socket on which commands reach a server that runs.
    static func socketPath(in directory: URL) -> String {
        directory.appendingPathComponent("rocket.sock").path
    }

    /// - Returns: nil where another process holds the data directory.
    /// - Throws: ``CommandFailure``.
    static func open(
        _ configuration: LoadedConfiguration,
        makesDatabase: Bool = true,
        logger: Logger
    ) async throws -> RocketInstance? {
        // Nothing that this process makes is for others to read: databases, secrets, sockets.
        umask(0o077)
        try checkPasswords(configuration)
        let settings = try serverSettings(configuration)
        switch try StoreChoice(configuration, makesDatabase: makesDatabase) {
        case .sqlite: return try await openFiles(configuration, settings, logger)
        case .postgres(let store): return try await openPostgres(store, configuration, settings, logger)
        }
    }

    private static func openFiles(
        _ configuration: LoadedConfiguration,
        _ settings: ServerSettings,
        _ logger: Logger
    ) async throws -> RocketInstance? {
        let directory = URL(fileURLWithPath: configuration.text("database.data_dir") ?? "data", isDirectory: true)
        guard let lock = try DataDirectoryLock(directory: directory) else { return nil }
        do {
            let metrics = PrometheusRegistry()
            var dependencies = EngineDependencies.system(logger: logger)
            dependencies.metrics = EngineMetrics(metrics)
            dependencies.faults = configuration.faults
            let secrets = try await ServerSecrets(configuration).complete {
                try SecretsFile.stored($0, in: directory, dependencies.randomBytes)
            }
            var store = SQLiteSettings()
            store.synchronous = configuration.text("database.synchronous").flatMap(SQLiteSynchronous.init) ?? .full
            store.statementLimit = .seconds(configuration.whole("server.request_timeout_s"))
            let apps = try await AppRegistry(
                provider: watched(
                    try SQLiteProvider(directory: directory, settings: store, logger: logger),
                    dependencies.faults
                ),
                settings: appSettings(configuration),
                dependencies: dependencies
            )
            let calls = try callSettings(configuration)
            return RocketInstance(apps, calls, secrets, settings, logger, directory, lock, metrics)
        } catch {
            lock.release()
            throw words(for: error, "\(directory.path): can't start on this directory")
        }
    }

    private static func openPostgres(
        _ store: PostgresSettings,
        _ configuration: LoadedConfiguration,
        _ settings: ServerSettings,
        _ logger: Logger
    ) async throws -> RocketInstance {
        let chosen = try ServerSecrets(configuration)
        let metrics = PrometheusRegistry()
        var madeDependencies = EngineDependencies.system(logger: logger)
        madeDependencies.metrics = EngineMetrics(metrics)
        madeDependencies.faults = configuration.faults
        let dependencies = madeDependencies
        do {
            let apps = try await AppRegistry(
                provider: watched(try PostgresProvider(settings: store, logger: logger), dependencies.faults),
                settings: appSettings(configuration),
                dependencies: dependencies
            )
            let secrets = try await chosen.complete { names in
                try await apps.sharedSecrets(names) { Data(dependencies.randomBytes(32)).base64EncodedString() }
            }
            return RocketInstance(apps, try callSettings(configuration), secrets, settings, logger, nil, nil, metrics)
        } catch {
            throw words(for: error, "can't start on PostgreSQL")
        }
    }

    /// The provider itself, but where commits are to be followed by faults.
    private static func watched(_ provider: any DatabaseProvider, _ faults: FaultPoints) -> any DatabaseProvider {
        guard faults.has(.afterCommit) else { return provider }
        return WatchedProvider(provider) { faults.pass(.afterCommit) }
    }

    private static func words(for error: any Error, _ place: String) -> any Error {
        switch error {
        case let failure as CommandFailure: failure
        case DatabaseFailure.unavailable(let cause): CommandFailure("\(place): \(firstLine(cause))", .unavailable)
        default: CommandFailure("\(place): \(firstLine("\(error)"))", .unavailable)
        }
    }

    private init(
        _ apps: AppRegistry,
        _ calls: CallSettings,
        _ secrets: Secrets,
        _ settings: ServerSettings,
        _ logger: Logger,
        _ directory: URL?,
        _ lock: DataDirectoryLock?,
        _ metrics: PrometheusRegistry
    ) {
        self.settings = settings
        self.apps = apps
        sender = CallSender(
            addresses: calls.addresses,
            templates: calls.templates,
            secretBox: SecretBox(secrets),
            now: apps.dependencies.now
        )
        let deliveries = Deliveries(sender: sender, dependencies: apps.dependencies, settings: calls.deliveries)
        let services = ServerServices(
            apps: apps,
            secrets: secrets,
            settings: settings,
            caller: sender,
            metrics: metrics
        )
        let workflows = WorkflowRunner(
            caller: sender,
            calls: services.calls,
            dependencies: apps.dependencies,
            settings: calls.workflows
        )
        worker = Worker(apps: apps, kinds: [deliveries, workflows])
        responder = RocketResponder(services: services)
        self.logger = logger
        self.directory = directory
        self.lock = lock
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
        settings.filesDirectory =
            configuration.text("files.dir") ?? (configuration.text("database.data_dir") ?? "data") + "/files"
        settings.historyDays = Int64(configuration.whole("history.log_days"))
        settings.loginLimits.perAccount = configuration.whole("auth.failures_per_account")
        settings.loginLimits.perAddress = configuration.whole("auth.failures_per_address")
        let fallback = configuration.isProduction ? nil : "changeme"
        settings.adminPassword = configuration.text("admin_password") ?? fallback
        settings.platformPassword = configuration.text("platform_password") ?? fallback
        return settings
    }

    /// What calls to the outside may do.
    private struct CallSettings {
        let addresses: CallAddresses
        let templates: HeaderTemplate
        let deliveries: DeliverySettings
        let workflows: WorkflowSettings
    }

    /// - Throws: ``CommandFailure`` for an entry that is no network.
    private static func callSettings(_ configuration: LoadedConfiguration) throws -> CallSettings {
        let allowed = try configuration.list("webhooks.allowed_networks").map { text in
            do {
                return try IPNetwork(text)
            } catch {
                throw CommandFailure("webhooks.allowed_networks: \"\(text)\" is no network", .configuration)
            }
        }
        let names: [String]? =
            configuration.isGiven("webhooks.env") || configuration.isProduction
            ? configuration.list("webhooks.env") : nil
        var deliveries = DeliverySettings()
        deliveries.timeout = .seconds(configuration.whole("webhooks.timeout_s"))
        deliveries.logDays = Int64(configuration.whole("webhooks.log_days"))
        var workflows = WorkflowSettings()
        workflows.timeout = deliveries.timeout
        workflows.logDays = Int64(configuration.whole("workflows.log_days"))
        return CallSettings(
            addresses: CallAddresses(refusesInner: configuration.isProduction, allowed: allowed),
            templates: HeaderTemplate(
                environment: HeaderTemplate.choose(names, from: ProcessInfo.processInfo.environment)
            ),
            deliveries: deliveries,
            workflows: workflows
        )
    }

    /// - Throws: ``CommandFailure`` with the entries of a list that can't be.
    private static func serverSettings(_ configuration: LoadedConfiguration) throws -> ServerSettings {
        var settings = ServerSettings()
        settings.host = configuration.text("server.host") ?? settings.host
        settings.port = configuration.whole("server.port")
        settings.maximumConnections = configuration.whole("server.max_connections")
        settings.maximumBodyBytes = configuration.whole("server.max_body_bytes")
        settings.maximumFileBytes = configuration.whole("files.max_bytes")
        settings.fileBytesPerDay = Int64(configuration.whole("files.max_bytes_per_day"))
        settings.bodySeconds = Int64(configuration.whole("server.request_timeout_s"))
        settings.synchronousCallLimit = .seconds(configuration.whole("webhooks.sync_timeout_s"))
        settings.waitingWrites = (
            perApp: max(1, configuration.whole("app_pool_size") / 2),
            total: max(1, configuration.whole("database.pool_size") / 2)
        )
        settings.graceSeconds = Int64(configuration.whole("server.grace_s"))
        settings.metricsToken = configuration.text("metrics.token")
        settings.trustedProxies = try parsed("server.trusted_proxies", of: configuration) { try TrustedProxies($0) }
        settings.crossOrigin = try parsed("server.cors_origins", of: configuration) { try CrossOrigin($0) }
        return settings
    }

    private static func parsed<Value>(
        _ name: String,
        of configuration: LoadedConfiguration,
        _ parse: ([String]) throws -> Value
    ) throws -> Value {
        do {
            return try parse(configuration.list(name))
        } catch {
            throw CommandFailure("\(name): \(error)", .configuration)
        }
    }

    func close() async {
        await sender.close()
        await apps.close()
        lock?.release()
    }
}
