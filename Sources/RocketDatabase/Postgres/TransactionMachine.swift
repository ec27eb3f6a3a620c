import RocketPlanning

/// What a connection is given to do in one go.
struct StatementBatch: Sendable {
    /// Sent before the statements, of which nobody wants a result.
    var opening: [SQLStatement] = []
    var statements: [SQLStatement] = []
    /// Sent after them, if all of them hold.
    var closing: [SQLStatement] = []
    /// Statements that change tables are parsed in their turn, as later ones need what the earlier ones make.
    var isPrepared = true

    var all: [SQLStatement] { opening.isEmpty && closing.isEmpty ? statements : opening + statements + closing }

    /// Which of all are the ones whose results are wanted.
    var wanted: Range<Int> { opening.count..<(opening.count + statements.count) }
}

/// How a script is run on a connection of its own: what is sent around its statements, what can be tried again, and
/// what is known when the connection is lost. Without any I/O.
///
/// Statements that leave in one go are one transaction by themselves (manual, 55.2.3.4), so that what is known from
/// the start needs no BEGIN.
struct TransactionMachine {
    enum Mode: Hashable, Sendable {
        case read
        case write
        /// Changes of the tables and imports: they take as long as they take, but wait for others only so long.
        case alone(lockMilliseconds: Int)
        /// Reads that all see one moment, however long they take, and may call outside in between.
        case snapshot(lockMilliseconds: Int)
        /// One statement that can be in no transaction.
        case bare
    }

    /// What a script said, without its outcome.
    enum Step: Sendable {
        case run([SQLStatement])
        case finish([SQLStatement])
        case call(OutsideCall)
        case done
    }

    enum Command {
        case send(StatementBatch)
        /// Await it, then give the script its next step.
        case call(OutsideCall)
        /// The script is at its end, and what it did holds.
        case succeed
        /// Nothing of it holds; the connection is free after the batch, if there is one.
        case fail(any Error, cleanUp: StatementBatch?)
        /// From the start, after the batch.
        case startOver(cleanUp: StatementBatch?)
    }

    private enum Phase {
        /// Nothing is sent yet.
        case fresh
        /// In a transaction that can still be rolled back.
        case open
        /// The commit is on its way, and the script still has to say its outcome, or has said it.
        case committing(hasOutcome: Bool)
        case committed
    }

    let mode: Mode
    private var phase = Phase.fresh
    /// Whether a BEGIN was sent, and so a ROLLBACK is due where something fails.
    private var hasBegun = false
    private(set) var attempts = 1
    /// What was said outside can't be taken back, so it is not said twice.
    private var hasCalled = false
    /// Whether the transaction waits for its turn among those of its database that write in several steps: where they
    /// lock the same rows in different orders, that is far quicker than to find each deadlock after a second.
    var takesTurns = false
    /// Whether a deadlock or a lost race made it start over.
    private(set) var hasLostRace = false

    init(_ mode: Mode) {
        self.mode = mode
    }

    private static let maximumAttempts = 4
    /// The advisory lock of those that take turns: a number that nobody else is likely to use.
    static let turn: Int64 = 0x526F_636B_6574

    /// The script's next step, the first one included.
    mutating func take(_ step: Step) -> Command {
        switch (step, phase) {
        case (.done, .fresh), (.done, .committed): return .succeed
        case (.done, .open):
            phase = .committing(hasOutcome: true)
            return .send(batch([], closing: [SQLStatement("COMMIT")]))
        case (.run(let statements), .fresh):
            phase = .open
            return .send(begin(statements))
        case (.run(let statements), .open):
            return .send(batch(statements))
        case (.finish(let statements), .fresh):
            phase = .committing(hasOutcome: false)
            guard needsTransaction(for: statements) else { return .send(batch(statements)) }
            return .send(begin(statements, closing: [SQLStatement("COMMIT")]))
        case (.finish(let statements), .open):
            phase = .committing(hasOutcome: false)
            return .send(batch(statements, closing: [SQLStatement("COMMIT")]))
        case (.call(let call), .fresh), (.call(let call), .open):
            guard mode != .read else {
                return .fail(DatabaseFailure.fault(cause: "a read calls outside"), cleanUp: nil)
            }
            hasCalled = true
            return .call(call)
        case (_, .committing), (_, .committed):
            return .fail(DatabaseFailure.fault(cause: "a script went on after its end"), cleanUp: nil)
        }
    }

    /// A batch has run.
    ///
    /// - Returns: what to do, or nil where its results go to the script.
    mutating func completed() -> Command? {
        guard case .committing(let hasOutcome) = phase else { return nil }
        phase = .committed
        return hasOutcome ? .succeed : nil
    }

    /// A batch was not run at all, through no fault of its own.
    mutating func skipped() -> Command {
        phase = .fresh
        return .startOver(cleanUp: nil)
    }

    /// The script threw.
    mutating func threw(_ error: any Error) -> Command {
        .fail(error, cleanUp: rollback)
    }

    /// A statement was refused.
    mutating func refused(_ error: PostgresError, wasPreparedEarlier: Bool) -> Command {
        let cleanUp = rollback
        switch error.remedy(wasPreparedEarlier: wasPreparedEarlier) {
        case .tryAgain, .prepareAgain:
            guard attempts < Self.maximumAttempts, mode != .bare, !hasCalled else {
                return .fail(DatabaseFailure.overloaded, cleanUp: cleanUp)
            }
            hasLostRace = error.remedy(wasPreparedEarlier: wasPreparedEarlier) == .tryAgain
            takesTurns = takesTurns || hasLostRace
            startOver()
            return .startOver(cleanUp: cleanUp)
        case .connectionLost: return lost("\(error.sqlState) \(error.message)", isRefusal: true)
        case .fail(let failure): return .fail(failure, cleanUp: cleanUp)
        }
    }

    /// The connection broke.
    ///
    /// - Parameter isRefusal: whether the server said so instead of doing what it was asked.
    mutating func lost(_ cause: String, isRefusal: Bool = false) -> Command {
        if case .fresh = phase {
            // Nothing was sent.
        } else if mode != .read {
            if case .open = phase { return .fail(DatabaseFailure.unavailable(cause: cause), cleanUp: nil) }
            return isRefusal
                ? .fail(DatabaseFailure.unavailable(cause: cause), cleanUp: nil)
                : .fail(DatabaseFailure.outcomeUnknown(cause: cause), cleanUp: nil)
        }
        // A read leaves nothing behind, so it can be asked again; once, as every connection may be as broken.
        guard attempts < 2, !hasCalled else { return .fail(DatabaseFailure.unavailable(cause: cause), cleanUp: nil) }
        startOver()
        return .startOver(cleanUp: nil)
    }

    private mutating func startOver() {
        attempts += 1
        phase = .fresh
        hasBegun = false
    }

    private mutating func begin(_ statements: [SQLStatement], closing: [SQLStatement] = []) -> StatementBatch {
        hasBegun = mode != .bare
        return batch(statements, opening: beginning, closing: closing)
    }

    private var beginning: [SQLStatement] {
        switch mode {
        case .read: [SQLStatement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")]
        case .write where takesTurns:
            [SQLStatement("BEGIN"), SQLStatement("SELECT pg_advisory_xact_lock(\(Self.turn))")]
        case .write: [SQLStatement("BEGIN")]
        case .alone(let milliseconds):
            [
                "BEGIN", "SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = \(milliseconds)",
                "SET LOCAL idle_in_transaction_session_timeout = 0", "SET CONSTRAINTS ALL DEFERRED",
            ].map { SQLStatement($0) }
        case .snapshot(let milliseconds):
            [
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SET LOCAL statement_timeout = 0",
                "SET LOCAL lock_timeout = \(milliseconds)", "SET LOCAL idle_in_transaction_session_timeout = 0",
            ].map { SQLStatement($0) }
        case .bare: []
        }
    }

    private func needsTransaction(for statements: [SQLStatement]) -> Bool {
        switch mode {
        // Each statement by itself sees one moment, and brief ones look at a row each.
        case .read: statements.count > 1 && !statements.allSatisfy(\.isBrief)
        case .write, .bare: false
        case .alone, .snapshot: true
        }
    }

    /// What ends the transaction that a refused statement or a script's error leaves open.
    private var rollback: StatementBatch? {
        switch phase {
        case .fresh, .committed: nil
        // Not prepared: in a transaction that has failed nothing else may be sent before it.
        case .open, .committing:
            hasBegun ? StatementBatch(statements: [SQLStatement("ROLLBACK")], isPrepared: false) : nil
        }
    }

    private func batch(
        _ statements: [SQLStatement],
        opening: [SQLStatement] = [],
        closing: [SQLStatement] = []
    ) -> StatementBatch {
        let isPrepared =
            switch mode {
            case .read, .write: true
            case .alone, .snapshot, .bare: false
            }
        return StatementBatch(opening: opening, statements: statements, closing: closing, isPrepared: isPrepared)
    }
}
