import RocketPlanning
import Synchronization

/// A script that somebody waits for, whatever its outcome is.
protocol WaitingScript: AnyObject, Sendable {
    var mode: TransactionMachine.Mode { get }

    /// A fresh copy's first step.
    ///
    /// - Throws: what the script throws.
    func begin() throws -> TransactionMachine.Step

    /// The step after the last one's results.
    func proceed(_ results: [StatementResult]) throws -> TransactionMachine.Step

    /// Gives the caller the outcome of the step that said so.
    func succeed()

    func fail(_ error: any Error)
}

final class ScriptRun<Script: TransactionScript>: WaitingScript {
    let mode: TransactionMachine.Mode
    private let script: Script
    private let continuation: CheckedContinuation<Script.Outcome, any Error>
    private let state: Mutex<(running: Script, outcome: Script.Outcome?)>

    init(
        _ script: Script,
        _ mode: TransactionMachine.Mode,
        _ continuation: CheckedContinuation<Script.Outcome, any Error>
    ) {
        self.script = script
        self.mode = mode
        self.continuation = continuation
        state = Mutex((script, nil))
    }

    func begin() throws -> TransactionMachine.Step {
        state.withLock { $0 = (script, nil) }
        return try proceed([])
    }

    func proceed(_ results: [StatementResult]) throws -> TransactionMachine.Step {
        try state.withLock { state in
            switch try state.running.next(results) {
            case .run(let statements): return .run(try Self.sendable(statements))
            case .finish(let statements): return .finish(try Self.sendable(statements))
            case .call(let call): return .call(call)
            case .done(let outcome):
                state.outcome = outcome
                return .done
            }
        }
    }

    /// libpq takes texts that end in NUL, and would cut one that holds it.
    private static func sendable(_ statements: [SQLStatement]) throws -> [SQLStatement] {
        for statement in statements {
            for case .text(let text) in statement.binds where text.utf8.contains(0) {
                throw DatabaseFailure.fault(cause: "a text with NUL is bound to: \(statement.text)")
            }
        }
        return statements
    }

    func succeed() {
        guard let outcome = state.withLock({ $0.outcome.take() }) else {
            return fail(DatabaseFailure.fault(cause: "a script ended without an outcome"))
        }
        continuation.resume(returning: outcome)
    }

    func fail(_ error: any Error) {
        continuation.resume(throwing: error)
    }
}
