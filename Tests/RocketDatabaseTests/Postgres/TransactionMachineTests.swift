import RocketPlanning
import Testing

@testable import RocketDatabase

/// What is sent around a script's statements, and what becomes of it when something fails.
struct TransactionMachineTests {
    // MARK: what is sent

    @Test(arguments: firstSteps)
    func aFirstStepIsSentWithWhatItsModeNeeds(row: FirstStepRow) {
        #expect(Driver(row.mode).take(row.step) == .send(row.sent))
    }

    @Test(arguments: modes)
    func aScriptThatSendsNothingSucceedsWithoutABatch(mode: TransactionMachine.Mode) {
        #expect(Driver(mode).take(.done) == .succeed)
    }

    @Test func anOpenTransactionCommitsWithItsLastStatements() {
        let driver = Driver(.write)
        #expect(driver.take(.runs("A")) == .send(SentBatch(opening: ["BEGIN"], statements: ["A"])))
        #expect(driver.completed() == nil)
        #expect(driver.take(.runs("B", "C")) == .send(SentBatch(statements: ["B", "C"])))
        #expect(driver.completed() == nil)
        #expect(driver.take(.finishes("D")) == .send(SentBatch(statements: ["D"], closing: ["COMMIT"])))
        #expect(driver.completed() == nil)
        #expect(driver.take(.done) == .succeed)
    }

    @Test(arguments: [TransactionMachine.Mode.read, .write, .alone(lockMilliseconds: 5000)])
    func anOutcomeThatIsKnownBeforeTheCommitIsNotAskedForAgain(mode: TransactionMachine.Mode) {
        let driver = Driver(mode)
        driver.take(.runs("A"))
        #expect(driver.completed() == nil)
        #expect(driver.take(.done) == .send(SentBatch(closing: ["COMMIT"], isPrepared: mode.isPrepared)))
        #expect(driver.completed() == .succeed)
    }

    @Test(arguments: modes)
    func whatIsKnownFromTheStartSucceedsWithItsOutcome(mode: TransactionMachine.Mode) {
        let driver = Driver(mode)
        driver.take(.finishes("A"))
        #expect(driver.completed() == nil)
        #expect(driver.take(.done) == .succeed)
    }

    @Test(arguments: [TransactionMachine.Step.runs("B"), .finishes("B")])
    func aScriptThatGoesOnAfterItsEndIsAFault(step: TransactionMachine.Step) {
        let fault = SaidCommand.fail(.fault(cause: "a script went on after its end"), cleanUp: nil)
        let driver = Driver(.write)
        driver.take(.finishes("A"))
        #expect(driver.completed() == nil)
        #expect(driver.take(step) == fault)

        let other = Driver(.write)
        other.take(.runs("A"))
        #expect(other.completed() == nil)
        other.take(.done)
        #expect(other.completed() == .succeed)
        #expect(other.take(step) == fault)
    }

    // MARK: what fails

    @Test(arguments: firstSteps)
    func aRefusedStatementRollsBackOnlyWhatHasBegun(row: FirstStepRow) {
        let driver = Driver(row.mode)
        driver.take(row.step)
        let refused = driver.refused("23505")
        #expect(refused == .fail(.uniqueViolation(table: "t", columns: []), cleanUp: row.rollback))
    }

    @Test(arguments: firstSteps)
    func aScriptThatThrowsRollsBackOnlyWhatIsOpen(row: FirstStepRow) {
        let driver = Driver(row.mode)
        driver.take(row.step)
        #expect(driver.completed() == nil)
        #expect(driver.threw() == .failAsTheScript(cleanUp: row.isCommit ? nil : row.rollback))
    }

    @Test(arguments: modes)
    func aScriptThatThrowsBeforeAnythingIsSentLeavesNothingToRollBack(mode: TransactionMachine.Mode) {
        #expect(Driver(mode).threw() == .failAsTheScript(cleanUp: nil))
    }

    @Test func aRefusedLaterStatementRollsBackTheWholeTransaction() {
        let driver = Driver(.write)
        driver.take(.runs("A"))
        #expect(driver.completed() == nil)
        driver.take(.finishes("B"))
        #expect(driver.refused("57014") == .fail(.timedOut(cause: "57014 no"), cleanUp: rollback))
    }

    // MARK: what is tried again

    @Test(arguments: ["40P01", "40001"])
    func aLostRaceStartsOverThreeTimes(sqlState: String) {
        let driver = Driver(.write)
        for attempt in 1...3 {
            #expect(driver.attempts == attempt)
            // Who has lost a race takes turns with the others from then on.
            let opening = attempt == 1 ? ["BEGIN"] : ["BEGIN", "SELECT pg_advisory_xact_lock(90638362830196)"]
            #expect(driver.take(.runs("A")) == .send(SentBatch(opening: opening, statements: ["A"])))
            #expect(driver.refused(sqlState) == .startOver(cleanUp: rollback))
        }
        driver.take(.runs("A"))
        #expect(driver.refused(sqlState) == .fail(.overloaded, cleanUp: rollback))
        #expect(driver.attempts == 4)
    }

    @Test func aLostRaceWithoutABeginLeavesNothingToRollBack() {
        let driver = Driver(.write)
        for _ in 1...3 {
            #expect(driver.take(.finishes("A")) == .send(SentBatch(statements: ["A"])))
            #expect(driver.refused("40P01") == .startOver(cleanUp: nil))
        }
        driver.take(.finishes("A"))
        #expect(driver.refused("40P01") == .fail(.overloaded, cleanUp: nil))
    }

    @Test func aRaceThatIsLostAtTheCommitStartsOver() {
        let driver = Driver(.write)
        driver.take(.runs("A"))
        #expect(driver.completed() == nil)
        driver.take(.done)
        #expect(driver.refused("40001") == .startOver(cleanUp: rollback))
        let opening = ["BEGIN", "SELECT pg_advisory_xact_lock(90638362830196)"]
        #expect(driver.take(.runs("A")) == .send(SentBatch(opening: opening, statements: ["A"])))
    }

    @Test func aStatementThatWasPreparedForOtherTablesIsTriedAgain() {
        let driver = Driver(.read)
        driver.take(.finishes("A"))
        #expect(driver.refused("42703", wasPreparedEarlier: true) == .startOver(cleanUp: nil))
        driver.take(.finishes("A"))
        #expect(driver.refused("42703") == .fail(.schemaMismatch(cause: "42703 no"), cleanUp: nil))
    }

    // MARK: lost connections

    @Test(arguments: [
        TransactionMachine.Step.runs("A"), TransactionMachine.Step.finishes("A"),
        TransactionMachine.Step.finishes("A", "B"),
    ])
    func aReadIsAskedOnceMoreAfterALostConnection(step: TransactionMachine.Step) {
        let driver = Driver(.read)
        driver.take(step)
        #expect(driver.lost() == .startOver(cleanUp: nil))
        driver.take(step)
        #expect(driver.lost() == .fail(.unavailable(cause: "gone"), cleanUp: nil))
    }

    @Test(arguments: [TransactionMachine.Mode.write, .alone(lockMilliseconds: 5000)])
    func anOpenWriteIsNotTriedAgainAfterALostConnection(mode: TransactionMachine.Mode) {
        let driver = Driver(mode)
        driver.take(.runs("A"))
        #expect(driver.lost() == .fail(.unavailable(cause: "gone"), cleanUp: nil))
        #expect(driver.attempts == 1)
    }

    @Test func anOpenWriteIsNotTriedAgainBetweenItsSteps() {
        let driver = Driver(.write)
        driver.take(.runs("A"))
        #expect(driver.completed() == nil)
        #expect(driver.lost() == .fail(.unavailable(cause: "gone"), cleanUp: nil))
    }

    @Test(arguments: commits)
    func nobodyKnowsWhetherACommitHoldsThatWasOnItsWay(row: CommitRow) {
        #expect(row.driver().lost() == .fail(.outcomeUnknown(cause: "gone"), cleanUp: nil))
    }

    @Test(arguments: commits)
    func aServerThatSaysItGoesDownHasNotCommitted(row: CommitRow) {
        #expect(row.driver().refused("57P01") == .fail(.unavailable(cause: "57P01 no"), cleanUp: nil))
    }

    @Test func aReadIsAskedOnceMoreWhenTheServerGoesDown() {
        let driver = Driver(.read)
        driver.take(.finishes("A"))
        #expect(driver.refused("57P01") == .startOver(cleanUp: nil))
        driver.take(.finishes("A"))
        #expect(driver.refused("57P01") == .fail(.unavailable(cause: "57P01 no"), cleanUp: nil))
    }

    @Test func aWriteThatWasNotSentYetFindsAnotherConnection() {
        let driver = Driver(.write)
        #expect(driver.lost() == .startOver(cleanUp: nil))
        #expect(driver.lost() == .fail(.unavailable(cause: "gone"), cleanUp: nil))
    }

    // MARK: bare statements

    @Test(arguments: ["40001", "40P01"])
    func aBareStatementIsNeverTriedAgain(sqlState: String) {
        let driver = Driver(.bare)
        driver.take(.finishes("CREATE DATABASE x"))
        #expect(driver.refused(sqlState) == .fail(.overloaded, cleanUp: nil))
        #expect(driver.attempts == 1)
    }

    @Test func aBareStatementIsNotRepeatedAfterALostConnection() {
        let driver = Driver(.bare)
        driver.take(.finishes("CREATE DATABASE x"))
        #expect(driver.lost() == .fail(.outcomeUnknown(cause: "gone"), cleanUp: nil))
        #expect(driver.attempts == 1)
    }
}

// MARK: rows

private let modes: [TransactionMachine.Mode] = [.read, .write, .alone(lockMilliseconds: 5000), .bare]

private let rollback = SentBatch(statements: ["ROLLBACK"], isPrepared: false)

/// A script's first step, what is sent for it, and what undoes it.
struct FirstStepRow: Sendable {
    let mode: TransactionMachine.Mode
    let step: TransactionMachine.Step
    let sent: SentBatch

    init(_ mode: TransactionMachine.Mode, _ step: TransactionMachine.Step, _ sent: SentBatch) {
        self.mode = mode
        self.step = step
        self.sent = sent
    }

    var isCommit: Bool {
        switch step {
        case .finish, .done: true
        case .run, .call: false
        }
    }

    var rollback: SentBatch? {
        sent.opening.isEmpty ? nil : SentBatch(statements: ["ROLLBACK"], isPrepared: false)
    }
}

private let readOnly = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

private let aloneOpening = [
    "BEGIN", "SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 5000",
    "SET LOCAL idle_in_transaction_session_timeout = 0", "SET CONSTRAINTS ALL DEFERRED",
]

private let firstSteps: [FirstStepRow] = [
    FirstStepRow(.read, .finishes("A"), SentBatch(statements: ["A"])),
    FirstStepRow(
        .read,
        .finishes("A", "B"),
        SentBatch(opening: [readOnly], statements: ["A", "B"], closing: ["COMMIT"])
    ),
    FirstStepRow(.read, .runs("A"), SentBatch(opening: [readOnly], statements: ["A"])),
    FirstStepRow(.write, .finishes("A"), SentBatch(statements: ["A"])),
    FirstStepRow(.write, .finishes("A", "B"), SentBatch(statements: ["A", "B"])),
    FirstStepRow(.write, .runs("A", "B"), SentBatch(opening: ["BEGIN"], statements: ["A", "B"])),
    FirstStepRow(
        .alone(lockMilliseconds: 5000),
        .finishes("A"),
        SentBatch(opening: aloneOpening, statements: ["A"], closing: ["COMMIT"], isPrepared: false)
    ),
    FirstStepRow(
        .alone(lockMilliseconds: 5000),
        .runs("A"),
        SentBatch(opening: aloneOpening, statements: ["A"], isPrepared: false)
    ),
    FirstStepRow(.bare, .finishes("A"), SentBatch(statements: ["A"], isPrepared: false)),
]

/// The steps after which a write's commit is on its way.
struct CommitRow: Sendable {
    let mode: TransactionMachine.Mode
    let steps: [TransactionMachine.Step]

    init(_ mode: TransactionMachine.Mode, _ steps: [TransactionMachine.Step]) {
        self.mode = mode
        self.steps = steps
    }

    fileprivate func driver() -> Driver {
        let driver = Driver(mode)
        for (index, step) in steps.enumerated() {
            driver.take(step)
            if index < steps.count - 1 { #expect(driver.completed() == nil) }
        }
        return driver
    }
}

private let commits: [CommitRow] = [
    CommitRow(.write, [.finishes("A")]),
    CommitRow(.write, [.runs("A"), .finishes("B")]),
    CommitRow(.write, [.runs("A"), .done]),
    CommitRow(.alone(lockMilliseconds: 5000), [.finishes("A")]),
    CommitRow(.alone(lockMilliseconds: 5000), [.runs("A"), .done]),
    CommitRow(.bare, [.finishes("A")]),
]

// MARK: commands that can be compared

/// The texts of a batch.
struct SentBatch: Hashable, Sendable {
    var opening: [String] = []
    var statements: [String] = []
    var closing: [String] = []
    var isPrepared = true
}

extension SentBatch {
    fileprivate init(_ batch: StatementBatch) {
        self.init(
            opening: batch.opening.map(\.text),
            statements: batch.statements.map(\.text),
            closing: batch.closing.map(\.text),
            isPrepared: batch.isPrepared
        )
    }
}

private enum SaidCommand: Hashable {
    case send(SentBatch)
    case succeed
    case fail(DatabaseFailure, cleanUp: SentBatch?)
    /// Fails with what the script threw.
    case failAsTheScript(cleanUp: SentBatch?)
    case failStrangely(String)
    case call
    case startOver(cleanUp: SentBatch?)

    init(_ command: TransactionMachine.Command) {
        switch command {
        case .send(let batch): self = .send(SentBatch(batch))
        case .succeed: self = .succeed
        case .call: self = .call
        case .fail(let failure as DatabaseFailure, let cleanUp): self = .fail(failure, cleanUp: Self.sent(cleanUp))
        case .fail(is ScriptFailure, let cleanUp): self = .failAsTheScript(cleanUp: Self.sent(cleanUp))
        case .fail(let error, _): self = .failStrangely("\(error)")
        case .startOver(let cleanUp): self = .startOver(cleanUp: Self.sent(cleanUp))
        }
    }

    private static func sent(_ batch: StatementBatch?) -> SentBatch? {
        batch.map { SentBatch($0) }
    }
}

private struct ScriptFailure: Error {}

/// The machine with commands that can be compared.
private final class Driver {
    private var machine: TransactionMachine

    init(_ mode: TransactionMachine.Mode) {
        machine = TransactionMachine(mode)
    }

    var attempts: Int { machine.attempts }

    @discardableResult
    func take(_ step: TransactionMachine.Step) -> SaidCommand {
        SaidCommand(machine.take(step))
    }

    func completed() -> SaidCommand? {
        machine.completed().map { SaidCommand($0) }
    }

    func threw() -> SaidCommand {
        SaidCommand(machine.threw(ScriptFailure()))
    }

    func refused(_ sqlState: String, wasPreparedEarlier: Bool = false) -> SaidCommand {
        let error = PostgresError(sqlState: sqlState, message: "no", table: "t")
        return SaidCommand(machine.refused(error, wasPreparedEarlier: wasPreparedEarlier))
    }

    func lost() -> SaidCommand {
        SaidCommand(machine.lost("gone"))
    }
}

extension TransactionMachine.Step {
    fileprivate static func runs(_ texts: String...) -> Self {
        .run(texts.map { SQLStatement($0) })
    }

    fileprivate static func finishes(_ texts: String...) -> Self {
        .finish(texts.map { SQLStatement($0) })
    }
}

extension TransactionMachine.Mode {
    fileprivate var isPrepared: Bool {
        switch self {
        case .read, .write: true
        case .alone, .snapshot, .bare: false
        }
    }
}
