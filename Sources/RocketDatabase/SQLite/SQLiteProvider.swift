package import Foundation
package import Logging

/// Databases as files: `management.db` in the data directory and `apps/<name>.db`.
package final class SQLiteProvider: DatabaseProvider {
    package let driver = "sqlite"
    package let isShared = false
    package let directory: URL
    private let settings: SQLiteSettings
    private let logger: Logger
    /// Opening and removing files blocks; it has a queue of its own.
    let files = BlockingQueue("rocket.sqlite.files", isConcurrent: true)

    /// - Parameter directory: the data directory, which is made where it is not there.
    package init(directory: URL, settings: SQLiteSettings = SQLiteSettings(), logger: Logger) throws {
        self.directory = directory
        self.settings = settings
        self.logger = logger
        SQLiteMemory.bound
        try FileManager.default.createDirectory(
            at: directory.appendingPathComponent("apps"),
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
    }

    package func databaseName(ofApp name: String) -> String {
        name + ".db"
    }

    package func draftName(_ identity: String) -> String {
        "~\(identity).db"
    }

    package func exists(_ databaseName: String) async throws -> Bool {
        FileManager.default.fileExists(atPath: file(databaseName).path)
    }

    /// A second link to the file and the end of the first, as renaming would replace a file that is there. A crash
    /// in between leaves both names to one file.
    package func rename(_ databaseName: String, to newName: String) async throws -> Bool {
        let (old, new) = (file(databaseName).path, file(newName).path)
        return try await files.run {
            // Closing writes the log into the file, and says nothing where it can't: without its log the file is damaged.
            guard try Self.size(old + "-wal") == 0 else {
                throw DatabaseFailure.unavailable(cause: "\(old): what is in its log could not be written into it")
            }
            guard link(old, new) == 0 else {
                if errno == EEXIST { return false }
                throw DatabaseFailure.unavailable(cause: "\(new): \(String(cString: strerror(errno)))")
            }
            try FileManager.default.removeItem(atPath: old)
            return true
        }
    }

    package func isSame(_ databaseName: String, _ otherName: String) async throws -> Bool {
        let paths = (file(databaseName).path, file(otherName).path)
        return try await files.run {
            guard let number = try Self.fileNumber(paths.0) else { return false }
            return try Self.fileNumber(paths.1) == number
        }
    }

    /// The number that all names of a file share; nil where there is no file.
    private static func fileNumber(_ path: String) throws -> UInt64? {
        try information(path).map { UInt64($0.st_ino) }
    }

    private static func size(_ path: String) throws -> Int {
        try information(path).map { Int($0.st_size) } ?? 0
    }

    private static func information(_ path: String) throws -> stat? {
        var info = stat()
        guard stat(path, &info) == 0 else {
            if errno == ENOENT { return nil }
            throw DatabaseFailure.unavailable(cause: "\(path): \(String(cString: strerror(errno)))")
        }
        return info
    }

    package func announce(_ hint: String) async {}

    package func listen(_ body: @escaping @Sendable (String) -> Void) async {}

    package func openManagement() async throws -> any AppDatabase {
        let url = directory.appendingPathComponent("management.db")
        _ = try await files.run { try Self.make(url) }
        return try await open(at: url)
    }

    package func create(_ databaseName: String) async throws -> Bool {
        let url = file(databaseName)
        return try await files.run { try Self.make(url) }
    }

    /// Makes an empty file that only its owner can read, which SQLite takes for an empty database.
    ///
    /// - Returns: false where a file is there already.
    static func make(_ url: URL) throws -> Bool {
        let descriptor = Foundation.open(url.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            if errno == EEXIST { return false }
            throw DatabaseFailure.unavailable(cause: "\(url.path): \(String(cString: strerror(errno)))")
        }
        Foundation.close(descriptor)
        return true
    }

    package func open(_ databaseName: String) async throws -> any AppDatabase {
        let url = file(databaseName)
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw DatabaseFailure.unavailable(cause: "\(url.path) is not there")
        }
        return try await open(at: url)
    }

    package func drop(_ databaseName: String) async throws {
        let url = file(databaseName)
        try await files.run {
            for suffix in ["", "-wal", "-shm", "-journal"]
            where FileManager.default.fileExists(atPath: url.path + suffix) {
                try FileManager.default.removeItem(atPath: url.path + suffix)
            }
        }
    }

    package func close() async {}

    func file(_ databaseName: String) -> URL {
        directory.appendingPathComponent("apps").appendingPathComponent(databaseName)
    }

    private func open(at url: URL) async throws -> any AppDatabase {
        try await files.run { [settings, logger] in
            try SQLiteDatabase(path: url.path, settings: settings, logger: logger)
        }
    }
}
