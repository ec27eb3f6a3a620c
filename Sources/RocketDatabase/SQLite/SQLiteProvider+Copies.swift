import Foundation
import GRDB

// Copies by SQLite's own backup (https://www.sqlite.org/backup.html): pages, so that a copy has all that the file has. It
// is taken in one step, which in WAL mode sees one moment and keeps no writer waiting; the log only can't be emptied
// meanwhile.

extension SQLiteProvider {
    package func backUp(_ databaseName: String, to path: String) async throws -> [String] {
        let source = file(databaseName)
        try await files.run {
            guard try Self.make(URL(fileURLWithPath: path)) else {
                throw DatabaseFailure.unavailable(cause: "\(path) is there already")
            }
            try Self.copyPages(from: source.path, to: path)
        }
        return []
    }

    package func restore(_ databaseName: String, from path: String) async throws -> Bool {
        let target = file(databaseName)
        return try await files.run {
            guard try Self.make(target) else { return false }
            do {
                try Self.copyFile(from: path, to: target)
            } catch let failure as DatabaseFailure {
                throw failure
            } catch {
                throw DatabaseFailure.unavailable(cause: "\(path): \(error.localizedDescription)")
            }
            return true
        }
    }

    package func copy(_ databaseName: String, to newName: String) async throws -> Bool {
        let (source, target) = (file(databaseName), file(newName))
        return try await files.run {
            guard try Self.make(target) else { return false }
            try Self.copyPages(from: source.path, to: target.path)
            return true
        }
    }

    private static func copyPages(from source: String, to target: String) throws {
        do {
            var reading = Configuration()
            reading.readonly = true
            reading.label = "rocket.sqlite.copy"
            let sourceQueue = try DatabaseQueue(path: source, configuration: reading)
            let targetQueue = try DatabaseQueue(path: target)
            try sourceQueue.backup(to: targetQueue, pagesPerStep: -1)
            try targetQueue.close()
            try sourceQueue.close()
            try sync(target)
        } catch let failure as DatabaseFailure {
            throw failure
        } catch {
            throw DatabaseFailure.unavailable(cause: "copying \(source) to \(target): \(error)")
        }
    }

    /// A file that nothing has open, in pieces.
    private static func copyFile(from source: String, to target: URL) throws {
        let reading = try FileHandle(forReadingFrom: URL(fileURLWithPath: source))
        defer { try? reading.close() }
        // An empty file would pass for an empty database (https://www.sqlite.org/fileformat.html part 1.3).
        guard try reading.read(upToCount: 16) == Data("SQLite format 3\0".utf8) else {
            throw DatabaseFailure.unavailable(cause: "\(source) is no database")
        }
        try reading.seek(toOffset: 0)
        let writing = try FileHandle(forWritingTo: target)
        defer { try? writing.close() }
        while let piece = try reading.read(upToCount: 1 << 20), !piece.isEmpty { try writing.write(contentsOf: piece) }
        try writing.synchronize()
    }

    private static func sync(_ path: String) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? handle.close() }
        try handle.synchronize()
    }
}
