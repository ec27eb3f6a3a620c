import GRDB
import GRDBSQLite
import Synchronization

/// One connection with its serial queue: GRDB opens, configures and closes it.
final class SQLiteConnection: Sendable {
    enum Role: Sendable {
        case writer(SQLiteSynchronous)
        case reader
    }

    private let queue: DatabaseQueue
    private let statements: StatementCache
    private let deadline: StatementDeadline

    init(path: String, role: Role, _ settings: SQLiteSettings) throws {
        let deadline = StatementDeadline(limit: settings.statementLimit)
        var configuration = Configuration()
        configuration.label = "rocket.sqlite"
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(5)
        // A batch leaves its transaction open between two statements of its own, a writer that calls outside between two
        // closures as well: nothing else is scheduled on its connection until it is back.
        configuration.allowsUnsafeTransactions = true
        switch role {
        case .reader:
            configuration.readonly = true
        case .writer: break
        }
        configuration.prepareDatabase { database in
            // LIKE minds case, as PostgreSQL's does.
            try database.execute(sql: "PRAGMA case_sensitive_like = ON")
            try database.execute(sql: "PRAGMA cache_size = -\(SQLiteMemory.kilobytesPerConnection)")
            try SQLiteFunctions.register(on: database, deadline)
            deadline.install(on: database)
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
        if case .writer(let synchronous) = role {
            // By hand: GRDB would make and drop a table at each opening, which costs several syncs.
            try queue.inDatabase { database in
                // Where a file can't be opened for writing SQLite opens it for reading, and says nothing.
                guard sqlite3_db_readonly(database.sqliteConnection, "main") == 0 else {
                    throw DatabaseFailure.unavailable(cause: "the file can't be opened for writing")
                }
                try database.execute(sql: "PRAGMA journal_mode = WAL")
                try database.execute(sql: "PRAGMA synchronous = \(synchronous.rawValue)")
                try database.execute(sql: "PRAGMA journal_size_limit = 67108864")
            }
        }
        statements = StatementCache()
        self.deadline = deadline
    }

    /// Runs a closure on the connection's queue, after those that were scheduled before.
    func schedule(_ work: @escaping @Sendable (borrowing SQLiteAccess) -> Void) {
        let (statements, deadline) = (statements, deadline)
        queue.asyncWriteWithoutTransaction { database in
            work(SQLiteAccess(database: database, statements: statements, deadline: deadline))
        }
    }

    /// Ends the script that runs, for a server that must not wait for it.
    func interrupt() {
        deadline.cancel()
    }

    /// Waits for all that is scheduled.
    func settle() async {
        await withCheckedContinuation { continuation in
            queue.asyncWriteWithoutTransaction { _ in continuation.resume() }
        }
    }

    func close() async {
        let statements = statements
        await withCheckedContinuation { continuation in
            queue.asyncWriteWithoutTransaction { _ in
                statements.removeAll()
                continuation.resume()
            }
        }
        do {
            try queue.close()
        } catch {
            // Closing fails only while a statement runs, and none can: this queue has just been emptied.
            assertionFailure("\(error)")
        }
    }
}

/// The prepared statements of one connection, by SQL text, bounded: clients can vary filters without end.
///
/// `@unchecked Sendable`: it is touched only inside closures on its connection's serial queue.
final class StatementCache: @unchecked Sendable {
    private var statements: [String: Statement] = [:]
    private static let capacity = 200

    func statement(_ text: String, _ database: Database) throws -> Statement {
        if let statement = statements[text] { return statement }
        let statement = try database.makeStatement(sql: text)
        if statements.count >= Self.capacity { statements.removeAll() }
        statements[text] = statement
        return statement
    }

    func removeAll() {
        statements.removeAll()
    }
}

/// Interrupts a script that keeps its connection busy for too long: a filter that no index helps, on a large table.
///
/// `@unchecked Sendable`: but for the atomic flag, after `install` it is touched only on its connection's serial
/// queue, by the scripts that run there and by SQLite, which calls back within them.
final class StatementDeadline: @unchecked Sendable {
    private let limit: Duration
    private var deadline: ContinuousClock.Instant
    /// Set by any thread when the database is closed.
    private let cancellation = Atomic<Bool>(false)

    var isCancelled: Bool { cancellation.load(ordering: .relaxed) }

    /// SQLite asks after so many steps of its virtual machine: some tenths of a millisecond.
    private static let stepsBetweenChecks: Int32 = 20_000

    init(limit: Duration) {
        self.limit = limit
        deadline = .now
    }

    /// Gives the next script its time.
    ///
    /// - Parameter isUnbounded: changes of the schema and imports take as long as their tables are large.
    func restart(isUnbounded: Bool = false) {
        deadline = isUnbounded ? .now + .seconds(24 * 3600) : .now + limit
    }

    /// Whether the script that runs must end.
    var isOver: Bool {
        isCancelled || ContinuousClock.now > deadline
    }

    /// Ends the script that runs and all that follow; safe to call from any thread.
    func cancel() {
        cancellation.store(true, ordering: .relaxed)
    }

    fileprivate func install(on database: Database) {
        restart()
        // The connection's owner keeps this object for as long as the connection is open.
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_progress_handler(
            database.sqliteConnection,
            Self.stepsBetweenChecks,
            { context in
                guard let context else { return 0 }
                let deadline = Unmanaged<StatementDeadline>.fromOpaque(context).takeUnretainedValue()
                return deadline.isOver ? 1 : 0
            },
            context
        )
    }
}
