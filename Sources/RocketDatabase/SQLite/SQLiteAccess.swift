import GRDB
import GRDBSQLite
import RocketModel
import RocketPlanning

/// A connection while its queue is ours: runs scripts and statements. Values are bound and rows are read through
/// SQLite's own interface, so that no object stands between a column and the answer's bytes.
struct SQLiteAccess: ~Copyable {
    private let database: Database
    private let statements: StatementCache
    private let deadline: StatementDeadline

    init(database: Database, statements: StatementCache, deadline: StatementDeadline) {
        self.database = database
        self.statements = statements
        self.deadline = deadline
    }

    var isInTransaction: Bool {
        sqlite3_get_autocommit(database.sqliteConnection) == 0
    }

    /// Where a script has come to without leaving the database.
    enum Progress<Outcome> {
        case done(Outcome)
        case calls(OutsideCall)
    }

    /// Runs a script within the transaction that is open, to its end or to its next call.
    func advance<Script: TransactionScript>(
        _ script: inout Script,
        mode: WriteMode
    ) throws -> Progress<Script.Outcome> {
        guard !deadline.isCancelled else { throw DatabaseFailure.unavailable(cause: "the database is closed") }
        deadline.restart(isUnbounded: mode == .alone)
        var results: [StatementResult] = []
        while true {
            switch try script.next(results) {
            case .done(let outcome): return .done(outcome)
            case .call(let call): return .calls(call)
            case .run(let statements), .finish(let statements): results = try statements.map { try run($0) }
            }
        }
    }

    /// Runs a reading script. A single statement sees one moment by itself; more need a transaction.
    func readConsistently<Script: TransactionScript>(_ script: Script) throws -> Script.Outcome {
        deadline.restart()
        var script = script
        var isOpen = false
        defer { if isOpen { rollBack() } }
        var results: [StatementResult] = []
        while true {
            switch try script.next(results) {
            case .done(let outcome): return outcome
            case .call: throw DatabaseFailure.fault(cause: "a read calls outside")
            case .finish(let statements) where statements.count == 1: results = [try run(statements[0])]
            case .run(let statements), .finish(let statements):
                if !isOpen {
                    try execute("BEGIN")
                    isOpen = true
                }
                results = try statements.map { try run($0) }
            }
        }
    }

    func execute(_ text: String) throws {
        _ = try run(SQLStatement(text))
    }

    func rollBack() {
        guard isInTransaction else { return }
        do {
            try execute("ROLLBACK")
            // A change of tables may have ended between turning it on and off, and a setting is not rolled back.
            try execute("PRAGMA writable_schema = OFF")
        } catch {
            // SQLite has rolled back by itself: after a full disk, an I/O error or an interrupt.
            assert(!isInTransaction, "\(error)")
        }
    }

    // MARK: statements

    func run(_ statement: SQLStatement) throws -> StatementResult {
        let prepared: Statement
        do {
            prepared = try statements.statement(statement.text, database)
        } catch {
            throw failure()
        }
        let handle = prepared.sqliteStatement
        defer {
            sqlite3_reset(handle)
            if !statement.binds.isEmpty { sqlite3_clear_bindings(handle) }
        }
        for (index, value) in statement.binds.enumerated() {
            guard bind(value, at: Int32(index + 1), handle) == SQLITE_OK else { throw failure() }
        }
        var collector = RowCollector(statement.output, columnCount: sqlite3_column_count(handle))
        while true {
            switch sqlite3_step(handle) {
            case SQLITE_ROW: collector.add(handle)
            case SQLITE_DONE:
                return collector.finish(changes: Int(sqlite3_changes(database.sqliteConnection)))
            default: throw failure()
            }
        }
    }

    /// SQLite copies the text: the bound string may be gone before the statement is.
    private static var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

    private func bind(_ value: SQLValue, at index: Int32, _ handle: OpaquePointer) -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(handle, index)
        case .integer(let whole): return sqlite3_bind_int64(handle, index, whole)
        case .double(let double): return sqlite3_bind_double(handle, index, double)
        case .text(let text) where text.isEmpty:
            // An empty buffer has no address, and SQLite would take that for null.
            return sqlite3_bind_text(handle, index, "", 0, Self.transient)
        case .text(var text):
            return text.withUTF8 { utf8 in
                utf8.withMemoryRebound(to: CChar.self) {
                    sqlite3_bind_text(handle, index, $0.baseAddress, Int32($0.count), Self.transient)
                }
            }
        }
    }

    private func failure() -> DatabaseFailure {
        let connection = database.sqliteConnection
        let message = String(cString: sqlite3_errmsg(connection))
        switch sqlite3_extended_errcode(connection) {
        case SQLITE_CONSTRAINT_UNIQUE_CODE, SQLITE_CONSTRAINT_PRIMARYKEY_CODE, SQLITE_CONSTRAINT_ROWID_CODE:
            return uniqueViolation(message)
        case SQLITE_CONSTRAINT_FOREIGNKEY_CODE, SQLITE_CONSTRAINT_TRIGGER_CODE:
            return .foreignKeyViolation(cause: message)
        default: break
        }
        if deadline.isCancelled { return .unavailable(cause: "the database is closed") }
        if deadline.isOver { return .timedOut(cause: message) }
        // The lowest byte: GRDB has turned extended codes on, and there are many kinds of I/O errors.
        switch sqlite3_errcode(connection) & 0xFF {
        case SQLITE_CONSTRAINT where message.hasPrefix("FOREIGN KEY"): return .foreignKeyViolation(cause: message)
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_CORRUPT,
            SQLITE_NOTADB, SQLITE_INTERRUPT, SQLITE_NOMEM:
            return .unavailable(cause: message)
        case SQLITE_ERROR where message.hasPrefix("no such ") || message.contains(" has no column named "):
            return .schemaMismatch(cause: message)
        case SQLITE_ERROR where message.hasPrefix("too many columns"):
            return .valueRefused(table: "", column: "", cause: message)
        default: return .fault(cause: message)
        }
    }

    // https://www.sqlite.org/rescode.html: extended codes are macros that Swift can't read.
    private var SQLITE_CONSTRAINT_UNIQUE_CODE: Int32 { SQLITE_CONSTRAINT | 8 << 8 }
    private var SQLITE_CONSTRAINT_PRIMARYKEY_CODE: Int32 { SQLITE_CONSTRAINT | 6 << 8 }
    private var SQLITE_CONSTRAINT_ROWID_CODE: Int32 { SQLITE_CONSTRAINT | 10 << 8 }
    private var SQLITE_CONSTRAINT_FOREIGNKEY_CODE: Int32 { SQLITE_CONSTRAINT | 3 << 8 }
    private var SQLITE_CONSTRAINT_TRIGGER_CODE: Int32 { SQLITE_CONSTRAINT | 7 << 8 }

    /// `UNIQUE constraint failed: customers.email, customers.region`
    private func uniqueViolation(_ message: String) -> DatabaseFailure {
        let list = message.split(separator: ": ", maxSplits: 1).last ?? ""
        let columns = list.split(separator: ", ").map { $0.split(separator: ".", maxSplits: 1).map(String.init) }
        return .uniqueViolation(
            table: columns.first?.first ?? "",
            columns: columns.compactMap { $0.count == 2 ? $0[1] : nil }
        )
    }
}

/// Takes a statement's rows in the form that was asked for.
private struct RowCollector {
    private var result = StatementResult()
    /// The first of the columns that are wanted as values; nil where none is.
    private let firstValue: Int32?
    private let shape: RowShape?
    private var hasTotal = false
    private let columnCount: Int32
    private var writer = JSONWriter()

    init(_ output: StatementOutput, columnCount: Int32) {
        self.columnCount = columnCount
        switch output {
        case .none: (firstValue, shape) = (nil, nil)
        case .values: (firstValue, shape) = (0, nil)
        case .json(let shape): (firstValue, self.shape) = (nil, shape)
        case .jsonAndTotal(let shape): (firstValue, self.shape, hasTotal) = (nil, shape, true)
        case .valuesAndJSON(let shape): (firstValue, self.shape) = (0, shape)
        case .jsonAndValues(let shape): (firstValue, self.shape) = (Int32(shape.columns.count), shape)
        }
        if let shape { writer.bytes.reserveCapacity(shape.columns.count * 48) }
    }

    mutating func add(_ handle: OpaquePointer) {
        if let firstValue { result.rows.append((firstValue..<columnCount).map { value($0, handle) }) }
        if let shape {
            write(shape, handle)
            if firstValue != nil { result.rowEnds.append(writer.bytes.count) }
        }
        if hasTotal, result.rowCount == 0 { result.total = value(columnCount - 1, handle).integerValue }
        result.rowCount += 1
    }

    mutating func finish(changes: Int) -> StatementResult {
        result.json = writer.bytes
        result.changes = changes
        return result
    }

    private func value(_ index: Int32, _ handle: OpaquePointer) -> SQLValue {
        switch sqlite3_column_type(handle, index) {
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(handle, index))
        case SQLITE_FLOAT: .double(sqlite3_column_double(handle, index))
        case SQLITE_NULL: .null
        default: .text(String(decoding: utf8(index, handle), as: UTF8.self))
        }
    }

    private func utf8(_ index: Int32, _ handle: OpaquePointer) -> UnsafeBufferPointer<UInt8> {
        // The text must be asked for before its length (https://www.sqlite.org/c3ref/column_blob.html).
        let start = sqlite3_column_text(handle, index)
        return UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, index)))
    }

    private mutating func write(_ shape: RowShape, _ handle: OpaquePointer) {
        writer.raw(result.rowCount == 0 ? "{" : ",{")
        for (index, column) in shape.columns.enumerated() {
            if index > 0 { writer.raw(",") }
            writer.bytes.append(contentsOf: column.member)
            write(column.coding, Int32(index), handle)
        }
        writer.raw("}")
    }

    private mutating func write(_ coding: ColumnCoding, _ index: Int32, _ handle: OpaquePointer) {
        let type = sqlite3_column_type(handle, index)
        if type == SQLITE_NULL {
            writer.raw("null")
            return
        }
        switch coding {
        case .string: writer.string(utf8(index, handle))
        case .quoted: writer.quoted(utf8(index, handle))
        case .number where type == SQLITE_INTEGER: writer.integer(sqlite3_column_int64(handle, index))
        case .number, .json: writer.raw(utf8(index, handle))
        case .double: writer.double(sqlite3_column_double(handle, index))
        case .boolean: writer.boolean(sqlite3_column_int64(handle, index) != 0)
        }
    }
}
