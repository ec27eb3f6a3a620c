import Foundation
import RocketModel
import RocketPlanning
import Synchronization

/// A copy that goes to a file.
final class CopyFile: CopySink {
    private let handle: FileHandle
    private let queue = BlockingQueue("rocket.postgres.copy")
    private let rows = Mutex(0)

    /// - Throws: ``DatabaseFailure/unavailable(cause:)`` where the file is there already, or can't be.
    init(path: String) throws {
        let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw DatabaseFailure.unavailable(cause: "\(path): \(String(cString: strerror(errno)))")
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    func begin() async throws { try await write([JSONValue.object(CopyText.head).jsonText]) }

    func take(_ pieces: [CopyPiece]) async throws {
        for piece in pieces {
            if case .rows(let texts) = piece { rows.withLock { $0 += texts.count } }
            try await write(CopyText.lines(of: piece))
        }
    }

    func end() async throws {
        try await write([JSONValue.object(CopyText.end(rows: rows.withLock { $0 })).jsonText])
        try await onQueue { [handle] in
            try handle.synchronize()
            try handle.close()
        }
    }

    private func write(_ lines: [String]) async throws {
        try await onQueue { [handle] in
            var data = Data()
            for line in lines {
                data.append(contentsOf: line.utf8)
                data.append(UInt8(ascii: "\n"))
            }
            try handle.write(contentsOf: data)
        }
    }

    private func onQueue(_ work: @escaping @Sendable () throws -> Void) async throws {
        do {
            try await queue.run(work)
        } catch {
            throw DatabaseFailure.unavailable(cause: error.localizedDescription)
        }
    }
}

/// A copy that becomes a database: one that is empty, and that nobody else knows.
final class CopiedDatabase: CopySink {
    private let database: PostgresDatabase
    private let table = Mutex<CopiedTable?>(nil)

    init(_ database: PostgresDatabase) {
        self.database = database
    }

    func take(_ pieces: [CopyPiece]) async throws {
        for piece in pieces {
            switch piece {
            case .sequence(let name, let type):
                try await run([SQLStatement("CREATE SEQUENCE \(SQLDialect.postgres.quote(name)) AS \(type)")])
            case .table(let table):
                self.table.withLock { $0 = table }
                try await run([SQLStatement(table.create)])
            case .rows(let rows):
                if let table = table.withLock({ $0 }) { try await run([Self.insert(rows, into: table)]) }
            case .afterwards(let statements):
                try await run(statements.map { SQLStatement($0) } + [SQLStatement("ANALYZE")])
            }
        }
    }

    /// PostgreSQL itself takes the rows apart and the texts for values.
    private static func insert(_ rows: [String], into table: CopiedTable) -> SQLStatement {
        guard !table.columns.isEmpty else {
            return SQLStatement(
                "INSERT INTO \(SQLDialect.postgres.quote(table.name)) SELECT FROM generate_series(1, $1::bigint)",
                binds: [.integer(Int64(rows.count))]
            )
        }
        let names = table.columns.map { SQLDialect.postgres.quote($0.name) }.joined(separator: ", ")
        let values = table.columns.enumerated().map { "(v->>\($0))::\($1.type)" }.joined(separator: ", ")
        return SQLStatement(
            "INSERT INTO \(SQLDialect.postgres.quote(table.name)) (\(names)) OVERRIDING SYSTEM VALUE SELECT \(values)"
                + " FROM json_array_elements($1::json) AS _row(v)",
            binds: [.text("[\(rows.joined(separator: ","))]")]
        )
    }

    private func run(_ statements: [SQLStatement]) async throws {
        _ = try await database.write(CopySession.settings + statements, mode: .alone)
    }
}
