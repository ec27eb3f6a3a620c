package import Foundation
package import Logging
package import RocketDatabase
import RocketPlanning

/// The stores that every test of behaviour runs on.
package enum TestStore: String, CaseIterable, Sendable {
    case sqlite

    /// Databases of their own for one test, gone after it.
    package func makeProvider(in directory: URL) throws -> any DatabaseProvider {
        switch self {
        case .sqlite: try SQLiteProvider(directory: directory, logger: .silent)
        }
    }
}

extension Logger {
    /// A logger for tests: what goes wrong is asserted, not read.
    package static var silent: Logger {
        Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
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
