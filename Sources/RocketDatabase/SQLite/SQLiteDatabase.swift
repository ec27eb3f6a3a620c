package import Logging
package import RocketPlanning
import Synchronization

// The embedded store. One connection writes (and checkpoints: SQLite before 3.51.3 can corrupt a write-ahead log
// that two connections checkpoint); the others only read. Callers that wait share a turn: reads a wake-up of a
// reader, writes a commit.

/// How hard a commit is pushed to the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
package enum SQLiteSynchronous: String, Sendable {
    /// Every commit is synced: an acknowledged write survives a power cut.
    case full
    /// A commit survives a crash of the process, but perhaps not a power cut.
    case normal
}

package struct SQLiteSettings: Sendable {
    package var synchronous = SQLiteSynchronous.full
    package var readerCount = 2
    /// Callers that may wait for their turn before further ones are refused.
    package var maximumWaiting = 1024
    /// How long a caller waits for its turn.
    package var waitLimit = Duration.seconds(10)
    /// How long one script may keep a connection busy before it is interrupted.
    package var statementLimit = Duration.seconds(30)

    package init() {}
}

package final class SQLiteDatabase: AppDatabase {
    package let dialect = SQLDialect.sqlite
    package let isRemote = false
    private let writer: SQLiteConnection
    private let readers: [SQLiteConnection]
    private let writes: TurnQueue
    private let reads: TurnQueue
    /// Writers that call outside, and wait until it is their turn to.
    private let callers: CallerQueue
    /// Used on the writer's queue alone.
    private let batch = Mutex(WriteBatch())
    /// The writer that waits for an answer from outside.
    private let waiting = Mutex<Task<Void, Never>?>(nil)

    /// Opens the file, making it where it is not there.
    ///
    /// - Throws: ``DatabaseFailure/unavailable(cause:)``.
    package init(path: String, settings: SQLiteSettings = SQLiteSettings(), logger: Logger) throws {
        do {
            writer = try SQLiteConnection(path: path, role: .writer(settings.synchronous), settings)
            readers = try (0..<settings.readerCount).map { _ in
                try SQLiteConnection(path: path, role: .reader, settings)
            }
        } catch {
            throw DatabaseFailure.unavailable(cause: "\(path): \(error)")
        }
        writes = TurnQueue(workers: 1, limit: settings.maximumWaiting, waitLimit: settings.waitLimit)
        callers = CallerQueue(waitLimit: settings.waitLimit)
        reads = TurnQueue(workers: settings.readerCount, limit: settings.maximumWaiting, waitLimit: settings.waitLimit)
    }

    package func read<Script: TransactionScript>(_ script: Script) async throws -> Script.Outcome {
        try await withUnsafeThrowingContinuation { continuation in
            enqueue(ScriptTurn(script, .shared, continuation), in: reads, wake: wakeReader)
        }
    }

    package func write<Script: TransactionScript>(_ script: Script, mode: WriteMode) async throws -> Script.Outcome {
        try await withUnsafeThrowingContinuation { continuation in
            enqueue(ScriptTurn(script, mode, continuation), in: writes) { _ in
                self.writer.schedule { connection in self.drainWrites(connection) }
            }
        }
    }

    private func enqueue(_ turn: any Turn, in queue: TurnQueue, wake: (Int) -> Void) {
        switch queue.add(turn) {
        case .added: break
        case .addedAndWake(let worker): wake(worker)
        case .refused(let failure): turn.fail(failure)
        }
    }

    private func wakeReader(_ worker: Int) {
        readers[worker].schedule { connection in self.drainReads(worker, connection) }
    }

    private func drainReads(_ worker: Int, _ connection: borrowing SQLiteAccess) {
        while true {
            let taken = reads.take(upTo: 1, worker: worker)
            if let other = taken.wakes { wakeReader(other) }
            guard !taken.turns.isEmpty else { return }
            for turn in taken.turns { turn.runReading(connection) }
        }
    }

    /// Callers wait outside the queue, one is let on whenever the others have had a turn.
    private func drainWrites(_ connection: borrowing SQLiteAccess) {
        while true {
            let turns = writes.take(upTo: Self.maximumBatch, worker: 0, orSleep: callers.isEmpty).turns
            if !turns.isEmpty { callers.add(batch.withLock { $0.run(turns, connection) }) }
            if let caller = callers.next() {
                guard run(caller, connection, begins: true) else { return }
            } else if turns.isEmpty {
                return
            }
        }
    }

    /// Runs a writer that calls outside, in a commit of its own. While it waits for its answer its transaction stays open
    /// and the connection's queue is free; the worker counts as awake all the while, so that nobody else is let onto the
    /// connection.
    ///
    /// - Parameter begins: whether it has yet to begin.
    /// - Returns: whether it is done with; it goes on by itself where it is not, and the others after it.
    private func run(_ caller: any Turn, _ connection: borrowing SQLiteAccess, begins: Bool) -> Bool {
        do {
            if begins { try connection.execute("BEGIN IMMEDIATE") }
            if let call = try caller.advanceWriting(connection) {
                wait(for: call) { connection in
                    if self.run(caller, connection, begins: false) { self.drainWrites(connection) }
                }
                return false
            }
            try connection.execute("COMMIT")
            caller.succeed()
        } catch {
            connection.rollBack()
            caller.fail(with: error)
        }
        return true
    }

    private func wait(
        for call: @escaping OutsideCall,
        then goOn: @escaping @Sendable (borrowing SQLiteAccess) -> Void
    ) {
        waiting.withLock { waiting in
            waiting = Task {
                await call()
                writer.schedule(goOn)
            }
        }
    }

    /// More writers in one commit gain little and make the first wait longer.
    private static let maximumBatch = 64

    package func load() async -> DatabaseLoad {
        var load = DatabaseLoad(connections: readers.count + 1, waiting: callers.count)
        for queue in [reads, writes] {
            let (busy, waiting) = queue.load
            load.add(DatabaseLoad(busy: busy, waiting: waiting))
        }
        return load
    }

    package func close() async {
        for turn in writes.close() + reads.close() { turn.fail(.unavailable(cause: "the database is closed")) }
        // Whoever closes has waited for requests as long as it would; what still runs rolls back and is told so.
        for connection in readers + [writer] { connection.interrupt() }
        callers.close()
        await writer.settle()
        // It comes back to a connection that runs nothing any more, and rolls back.
        while let task = waiting.withLock({ $0.take() }) {
            task.cancel()
            await task.value
            await writer.settle()
        }
        // Readers first: the last connection to close checkpoints, and only the writer may.
        for reader in readers { await reader.close() }
        await writer.close()
    }
}
