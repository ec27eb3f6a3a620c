package import Foundation
package import Logging
package import RocketDatabase
import RocketPlanning

/// The stores that every test of behaviour runs on.
package enum TestStore: String, CaseIterable, Sendable {
    case sqlite
    case postgres

    /// Databases of their own for one test.
    package func makeProvider(in directory: URL) throws -> any DatabaseProvider {
        switch self {
        case .sqlite: try SQLiteProvider(directory: directory, logger: .silent)
        case .postgres: try PostgresProvider(settings: TestCluster.settings(for: directory), logger: .silent)
        }
    }

    /// Removes what a provider of this directory has made, and the directory.
    package func remove(_ directory: TemporaryDirectory) async throws {
        if self == .postgres { try await TestCluster.dropDatabases(of: directory.url) }
        try directory.remove()
    }
}

/// The throw-away PostgreSQL of the tests, which `make test` starts.
package enum TestCluster {
    package static let environmentName = "TEST_POSTGRES_URL"

    /// - Throws: where no cluster was started: a test that can't run fails.
    package static func url() throws -> String {
        guard let url = ProcessInfo.processInfo.environment[environmentName], !url.isEmpty else {
            throw TestFailure(
                "\(environmentName) is not set, so nothing is tested on PostgreSQL: run \"make test\", which starts one"
            )
        }
        return url
    }

    /// Names of databases that no other test has.
    private static func prefix(_ directory: URL) -> String {
        "test_" + directory.lastPathComponent.lowercased().replacing("rocket-test-", with: "").prefix(13)
    }

    package static func managementDatabase(for directory: URL) -> String { prefix(directory) }

    package static func settings(for directory: URL) throws -> PostgresSettings {
        var settings = try PostgresSettings(connectionText: try url())
        settings.managementDatabase = prefix(directory)
        settings.appPrefix = prefix(directory) + "_"
        settings.poolSize = 12
        settings.appPoolSize = 4
        return settings
    }

    fileprivate static func dropDatabases(of directory: URL) async throws {
        var settings = try PostgresSettings(connectionText: try url())
        settings.managementDatabase = "postgres"
        let provider = try PostgresProvider(settings: settings, logger: .silent)
        let database = try await provider.openManagement()
        let names = SQLStatement(
            "SELECT datname FROM pg_database WHERE starts_with(datname, $1)",
            binds: [.text(prefix(directory))],
            output: .values
        )
        for name in try await database.read([names])[0].rows.compactMap(\.first?.textValue) {
            try await provider.drop(name)
        }
        await provider.close()
    }
}

extension Logger {
    /// A logger for tests: what goes wrong is asserted, not read. With TEST_LOG=1 it can be read as well.
    package static var silent: Logger {
        guard ProcessInfo.processInfo.environment["TEST_LOG"] == "1" else {
            return Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        }
        return Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
    }
}

/// A directory for one test.
package struct TemporaryDirectory: Sendable {
    package let url: URL

    package init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "rocket-test-\(UUID().uuidString)",
            isDirectory: true
        )
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    package func remove() throws {
        try FileManager.default.removeItem(at: url)
    }
}
