package import RocketPlanning

// The door to disk. A store runs statements and owns connections; it knows no entity and no rule.

/// A transaction as a pure stepper: it is given what its statements gave and says what comes next. A store can run
/// it inside one synchronous closure, drive it over a network, or run it again from the start after a deadlock.
///
/// A script is a value: every run begins with a fresh copy.
package protocol TransactionScript<Outcome>: Sendable {
    associatedtype Outcome: Sendable

    /// Whether it reads a row or two by their keys and no more: nobody minds to wait for a few of them.
    var isBrief: Bool { get }

    /// - Parameter results: what the statements of the last step gave, in their order; empty at the start.
    /// - Throws: whatever makes the transaction roll back; the caller gets the same error.
    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Outcome>
}

extension TransactionScript {
    package var isBrief: Bool { false }
}

package enum TransactionStep<Outcome: Sendable>: Sendable {
    /// Run these in order, then ask again.
    case run([SQLStatement])
    /// Run these in order and commit, then ask for the outcome: the next step is ``done(_:)``. On a database across
    /// a network it saves a round trip. An error that the script throws after it no longer rolls anything back.
    case finish([SQLStatement])
    /// Await this outside the database, with the transaction open, then ask again, without results. It is for writes only,
    /// and what has called is never run again from the start, but for once on a store where writers share a transaction:
    /// there the script is rolled back before its first call is made, and run by itself.
    case call(OutsideCall)
    /// Commit, and give this to the caller.
    case done(Outcome)
}

/// What a transaction waits for; where it puts what it has learned is its own business.
package typealias OutsideCall = @Sendable () async -> Void

/// How a write shares the store with other writes.
package enum WriteMode: Sendable {
    /// May share a commit with others that wait; each fails or holds alone.
    case shared
    /// In a transaction of its own: changes of the schema, imports. Foreign keys are checked at the commit.
    case alone
}

/// One app's database, or the management database.
package protocol AppDatabase: Sendable {
    var dialect: SQLDialect { get }

    /// Whether asking costs more than what is asked: statements that may turn out needless are then sent at once
    /// with those that decide it.
    var isRemote: Bool { get }

    /// Runs a script that only reads. All of its statements see the database at one moment, save those of a single
    /// step that are brief, which look at a row each.
    ///
    /// - Throws: ``DatabaseFailure``, or what the script throws.
    func read<Script: TransactionScript>(_ script: Script) async throws -> Script.Outcome

    /// Runs a script in a transaction. When this returns, the transaction is committed; when it throws, nothing
    /// has changed, save for ``DatabaseFailure/outcomeUnknown(cause:)``, after which nobody knows.
    ///
    /// - Throws: ``DatabaseFailure``, or what the script throws.
    func write<Script: TransactionScript>(_ script: Script, mode: WriteMode) async throws -> Script.Outcome

    /// How much it has to do now.
    func load() async -> DatabaseLoad

    /// Ends what runs and closes every connection. Later calls fail as unavailable.
    func close() async
}

/// How busy a database is, as seen from here.
package struct DatabaseLoad: Sendable, Hashable {
    package var connections = 0
    package var busy = 0
    /// Callers that wait for a connection.
    package var waiting = 0

    package init(connections: Int = 0, busy: Int = 0, waiting: Int = 0) {
        self.connections = connections
        self.busy = busy
        self.waiting = waiting
    }

    package mutating func add(_ other: DatabaseLoad) {
        connections += other.connections
        busy += other.busy
        waiting += other.waiting
    }
}

extension AppDatabase {
    package func write<Script: TransactionScript>(_ script: Script) async throws -> Script.Outcome {
        try await write(script, mode: .shared)
    }

    /// Runs statements that do not depend on each other and gives their results.
    package func read(_ statements: [SQLStatement]) async throws -> [StatementResult] {
        try await read(StatementList(statements: statements))
    }

    package func write(_ statements: [SQLStatement], mode: WriteMode = .shared) async throws -> [StatementResult] {
        try await write(StatementList(statements: statements), mode: mode)
    }
}

/// A script of statements that are known from the start.
package struct StatementList: TransactionScript {
    private let statements: [SQLStatement]
    private var isRunning = false

    package init(statements: [SQLStatement]) {
        self.statements = statements
    }

    package mutating func next(_ results: [StatementResult]) -> TransactionStep<[StatementResult]> {
        guard isRunning else {
            isRunning = true
            return .finish(statements)
        }
        return .done(results)
    }
}
