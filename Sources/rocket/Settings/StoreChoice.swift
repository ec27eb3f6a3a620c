import RocketDatabase

/// Where the data is kept, as the configuration says.
enum StoreChoice {
    /// Files in the data directory.
    case sqlite
    case postgres(PostgresSettings)

    private static let parts = [
        "database.host", "database.port", "database.user", "database.password", "database.name",
    ]

    /// - Throws: ``CommandFailure`` for settings that contradict each other.
    /// - Parameter makesDatabase: whether a management database that is not there is made.
    init(_ configuration: LoadedConfiguration, makesDatabase: Bool = true) throws {
        let url = configuration.text("database.url")
        if url == "" { throw CommandFailure("database.url is empty", .configuration) }
        guard configuration.text("database.driver") == "postgres" else {
            if url != nil {
                throw CommandFailure(
                    "database.url is PostgreSQL's, but database.driver is sqlite: leave out one of them",
                    .configuration
                )
            }
            self = .sqlite
            return
        }
        var settings = try url.map { try Self.read($0, configuration) } ?? Self.read(configuration)
        settings.makesManagementDatabase = makesDatabase
        settings.poolSize = configuration.whole("database.pool_size")
        settings.appPoolSize = min(configuration.whole("app_pool_size"), settings.poolSize)
        settings.statementLimit = .seconds(configuration.whole("server.request_timeout_s"))
        self = .postgres(settings)
    }

    private static func read(_ url: String, _ configuration: LoadedConfiguration) throws -> PostgresSettings {
        if let part = parts.first(where: configuration.isGiven) {
            throw CommandFailure("\(part) says what database.url says already: leave out one of them", .configuration)
        }
        do {
            return try PostgresSettings(connectionText: url)
        } catch {
            throw CommandFailure("database.url: \(error)", .configuration)
        }
    }

    private static func read(_ configuration: LoadedConfiguration) -> PostgresSettings {
        var parameters: [String: String] = [:]
        for name in ["host", "port", "user", "password"] {
            parameters[name] = configuration.text("database.\(name)")
        }
        return PostgresSettings(
            parameters: parameters,
            managementDatabase: configuration.text("database.name") ?? "rocket"
        )
    }
}
