package import Logging
import RocketPlanning

/// Databases of one PostgreSQL server: one for the management of the apps, and one for each app.
package final class PostgresProvider: DatabaseProvider {
    package let driver = "postgres"
    package let isShared = true
    private let settings: PostgresSettings
    private let reactor: PostgresReactor
    /// Makes and drops databases, over a connection to the management database.
    private let administration: PostgresDatabase
    /// Asks whether databases are there and sends hints, which must not wait for one that is being made.
    private let inquiries: PostgresDatabase
    private let logger: Logger

    /// - Throws: ``DatabaseFailure/unavailable(cause:)`` where this process can make no thread for it.
    package init(settings: PostgresSettings, logger: Logger) throws {
        self.settings = settings
        self.logger = logger
        let reactor = try PostgresReactor(settings, logger)
        self.reactor = reactor
        administration = Self.database(
            settings.managementDatabase,
            2,
            settings,
            reactor,
            statementLimit: Self.administrationLimit
        )
        inquiries = Self.database(settings.managementDatabase, 2, settings, reactor)
    }

    /// Copying or removing the files of a database takes as long as the disk does.
    private static let administrationLimit = Duration.seconds(300)

    private static func database(
        _ name: String,
        _ connections: Int,
        _ settings: PostgresSettings,
        _ reactor: PostgresReactor,
        statementLimit: Duration? = nil
    ) -> PostgresDatabase {
        PostgresDatabase(
            PostgresTarget(
                parameters: settings.parameters,
                database: name,
                maximumConnections: connections,
                statementLimit: statementLimit ?? settings.statementLimit
            ),
            on: reactor,
            lockMilliseconds: Int(settings.lockLimit.components.seconds * 1000)
        )
    }

    package func databaseName(ofApp name: String) -> String {
        settings.appPrefix + name
    }

    package func openManagement() async throws -> any AppDatabase {
        do {
            _ = try await inquiries.read([SQLStatement("SELECT 1", output: .values)])
        } catch {
            guard settings.makesManagementDatabase else { throw error }
            try await makeManagement(after: error)
        }
        return Self.database(settings.managementDatabase, settings.appPoolSize, settings, reactor)
    }

    /// Makes the management database where the server answers and lacks it.
    private func makeManagement(after failure: any Error) async throws {
        let maintenance = Self.database("postgres", 1, settings, reactor, statementLimit: Self.administrationLimit)
        do {
            guard try await !Self.exists(settings.managementDatabase, maintenance) else { throw failure }
            logger.notice("making the database \(settings.managementDatabase)")
            try await Self.make(settings.managementDatabase, maintenance)
        } catch DatabaseFailure.uniqueViolation {
            // Another server was faster.
        } catch is DatabaseFailure {
            await maintenance.close()
            throw failure
        } catch {
            await maintenance.close()
            throw error
        }
        await maintenance.close()
    }

    package func draftName(_ identity: String) -> String {
        "\(settings.appPrefix)~\(identity)"
    }

    package func exists(_ databaseName: String) async throws -> Bool {
        try await Self.exists(databaseName, inquiries)
    }

    package func create(_ databaseName: String) async throws -> Bool {
        do {
            try await Self.make(databaseName, administration)
            return true
        } catch DatabaseFailure.uniqueViolation {
            return false
        }
    }

    package func rename(_ databaseName: String, to newName: String) async throws -> Bool {
        let (old, new) = (SQLDialect.postgres.quote(databaseName), SQLDialect.postgres.quote(newName))
        do {
            try await administration.execute("ALTER DATABASE \(old) RENAME TO \(new)")
            return true
        } catch DatabaseFailure.uniqueViolation {
            return false
        }
    }

    package func isSame(_ databaseName: String, _ otherName: String) async throws -> Bool { false }

    /// The channel of the hints, in the management database.
    private static let channel = "rocket"

    package func announce(_ hint: String) async {
        let statement = SQLStatement("SELECT pg_notify($1, $2)", binds: [.text(Self.channel), .text(hint)])
        do {
            _ = try await inquiries.write([statement])
        } catch {
            // The others find out by themselves, a little later.
            logger.debug("a hint was not sent", metadata: ["cause": "\(error)"])
        }
    }

    package func listen(_ body: @escaping @Sendable (String) -> Void) async {
        let target = PostgresTarget(
            parameters: settings.parameters,
            database: settings.managementDatabase,
            maximumConnections: 1,
            statementLimit: settings.statementLimit
        )
        reactor.post(.listen(target, channel: Self.channel, body))
    }

    private static func exists(_ name: String, _ database: PostgresDatabase) async throws -> Bool {
        let statement = SQLStatement(
            "SELECT 1 FROM pg_database WHERE datname = $1",
            binds: [.text(name)],
            output: .values
        )
        return try await !database.read([statement])[0].rows.isEmpty
    }

    /// From the template that nobody may have changed, in the one encoding that JSON has, sorting by code point.
    private static func make(_ name: String, _ database: PostgresDatabase) async throws {
        try await database.execute(
            "CREATE DATABASE \(SQLDialect.postgres.quote(name)) TEMPLATE template0 ENCODING 'UTF8'"
                + " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    }

    package func open(_ databaseName: String) async throws -> any AppDatabase {
        guard try await Self.exists(databaseName, inquiries) else {
            throw DatabaseFailure.unavailable(cause: "the database \(databaseName) is not there")
        }
        return Self.database(databaseName, settings.appPoolSize, settings, reactor)
    }

    /// A connection of its own to a database, which takes none of an app's.
    func ownDatabase(_ databaseName: String) -> PostgresDatabase {
        Self.database(databaseName, 1, settings, reactor, statementLimit: Self.administrationLimit)
    }

    package func drop(_ databaseName: String) async throws {
        // Connections of other servers are ended by FORCE; ours are closed already.
        try await administration.execute(
            "DROP DATABASE IF EXISTS \(SQLDialect.postgres.quote(databaseName)) WITH (FORCE)"
        )
    }

    package func close() async {
        await reactor.stop()
    }
}
