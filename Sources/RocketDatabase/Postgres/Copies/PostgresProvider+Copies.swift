import Foundation
import RocketModel
import RocketPlanning

extension PostgresProvider {
    package func backUp(_ databaseName: String, to path: String) async throws -> [String] {
        let file = try CopyFile(path: path)
        try await file.begin()
        let leftOut = try await send(databaseName, to: file)
        try await file.end()
        return leftOut
    }

    package func restore(_ databaseName: String, from path: String) async throws -> Bool {
        guard try await create(databaseName) else { return false }
        try await fill(databaseName) { copy in try await Self.read(path, into: copy) }
        return true
    }

    package func copy(_ databaseName: String, to newName: String) async throws -> Bool {
        guard try await create(newName) else { return false }
        try await fill(newName) { copy in _ = try await send(databaseName, to: copy) }
        return true
    }

    /// How often tables may change just as a copy begins.
    private static let maximumTries = 5

    private func send(_ databaseName: String, to sink: any CopySink) async throws -> [String] {
        let source = ownDatabase(databaseName)
        do {
            let leftOut = try await send(source, to: sink)
            await source.close()
            return leftOut
        } catch {
            await source.close()
            throw error
        }
    }

    private func send(_ source: PostgresDatabase, to sink: any CopySink) async throws -> [String] {
        for _ in 0..<Self.maximumTries {
            let tables = try await source.read([CopyCatalog.tableNames])[0].rows.compactMap { $0.first?.textValue }
            do {
                return try await source.readAtOneMoment(CopyScript(tables: tables, outbox: CopyOutbox(sink)))
            } catch is TablesChanged {
                continue
            }
        }
        throw DatabaseFailure.overloaded
    }

    private func fill(_ databaseName: String, _ body: (CopiedDatabase) async throws -> Void) async throws {
        let target = ownDatabase(databaseName)
        do {
            try await body(CopiedDatabase(target))
        } catch {
            await target.close()
            throw error
        }
        await target.close()
    }

    // MARK: files

    private static let wantedBytes = 1 << 20
    private static let maximumRows = 2000

    /// - Throws: ``DatabaseFailure/unavailable(cause:)`` for a file that is no copy, or no whole one.
    private static func read(_ path: String, into copy: CopiedDatabase) async throws {
        let lines = try LineReader(path: path)
        guard try await lines.next().flatMap(object) == CopyText.head else {
            throw DatabaseFailure.unavailable(cause: "\(path) is no copy of a PostgreSQL database of this version")
        }
        var rows: [String] = []
        var bytes = 0
        var count = 0
        while let line = try await lines.next() {
            if line.hasPrefix("[") {
                rows.append(line)
                bytes += line.utf8.count
                count += 1
                guard bytes >= wantedBytes || rows.count >= maximumRows else { continue }
            }
            if !rows.isEmpty { try await copy.take([.rows(rows)]) }
            (rows, bytes) = ([], 0)
            guard !line.hasPrefix("[") else { continue }
            let object = object(line)
            if object == CopyText.end(rows: count), try await lines.next() == nil { return }
            guard let piece = object.flatMap(CopyText.piece), piece.isPlausible else {
                throw DatabaseFailure.unavailable(cause: "\(path) is damaged")
            }
            try await copy.take([piece])
        }
        throw DatabaseFailure.unavailable(cause: "\(path) has no end: it was cut off")
    }

    private static func object(_ line: String) -> JSONObject? {
        do throws(JSONSyntaxError) { return try JSONParser.parse(line).objectValue } catch { return nil }
    }
}

/// The lines of a file, one after the other, read on a queue of its own.
private final class LineReader: Sendable {
    private let queue = BlockingQueue("rocket.postgres.copy")
    private let source: Source

    /// `@unchecked Sendable`: it is touched on the queue only.
    private final class Source: @unchecked Sendable {
        private let handle: FileHandle
        private var buffer = Data()
        private var isAtEnd = false

        init(_ handle: FileHandle) {
            self.handle = handle
        }

        func next() throws -> String? {
            var searched = 0
            while true {
                if let end = buffer[(buffer.startIndex + searched)...].firstIndex(of: UInt8(ascii: "\n")) {
                    let line = String(decoding: buffer[..<end], as: UTF8.self)
                    buffer = buffer[(end + 1)...]
                    return line
                }
                guard !isAtEnd else { return nil }
                searched = buffer.count
                let piece = try handle.read(upToCount: 1 << 20) ?? Data()
                isAtEnd = piece.isEmpty
                // What is used up is let go.
                buffer = Data(buffer) + piece
            }
        }
    }

    init(path: String) throws {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw DatabaseFailure.unavailable(cause: "\(path) can't be read")
        }
        source = Source(handle)
    }

    func next() async throws -> String? {
        try await queue.run { [source] in try source.next() }
    }
}
