import Logging
import RocketDatabase
import RocketModel
import RocketPlanning

/// A script with the calls that it waits for: made one after the other when all of its SQL has run, and before its
/// commit. Where one does not agree, nothing is stored.
struct CallingScript<Script: AnnouncingScript>: TransactionScript {
    private enum State {
        case running
        case calling(next: Int, Script.Outcome)
        case recording(Script.Outcome)
    }

    private var script: Script
    private let journal: AwaitedCallJournal
    private let store: OutboxStore
    private var state = State.running

    init(_ script: Script, _ journal: AwaitedCallJournal, _ store: OutboxStore) {
        self.script = script
        self.journal = journal
        self.store = store
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Script.Outcome> {
        switch state {
        case .running:
            switch try script.next(results) {
            case .run(let statements): return .run(statements)
            // The commit must wait for the calls.
            case .finish(let statements):
                return script.awaitedCalls.isEmpty ? .finish(statements) : .run(statements)
            case .call(let call): return .call(call)
            case .done(let outcome):
                guard !script.awaitedCalls.isEmpty else { return .done(outcome) }
                try journal.enter()
                return call(0, outcome)
            }
        case .calling(let next, let outcome):
            try journal.judge()
            return call(next, outcome)
        case .recording(let outcome):
            return .done(outcome)
        }
    }

    private mutating func call(_ index: Int, _ outcome: Script.Outcome) -> TransactionStep<Script.Outcome> {
        guard index < script.awaitedCalls.count else {
            state = .recording(outcome)
            return .finish(journal.statements(store))
        }
        state = .calling(next: index + 1, outcome)
        let call = script.awaitedCalls[index]
        return .call { [journal] in await journal.make(call) }
    }
}

extension AppContext {
    /// Runs a script with the calls that it waits for, whose log is kept whatever becomes of it.
    ///
    /// - Throws: 502 where a call does not agree, and what the script throws.
    func write<Outcome>(
        _ script: some AnnouncingScript<Outcome>,
        _ journal: AwaitedCallJournal,
        _ dependencies: EngineDependencies
    ) async throws -> Outcome {
        let store = OutboxStore(database.dialect)
        defer { journal.leave() }
        do {
            return try await database.write(CallingScript(script, journal, store))
        } catch {
            if !journal.isEmpty { await keep(journal, store, dependencies) }
            throw error
        }
    }

    /// In a task of its own: who has asked for the write may be gone.
    private func keep(_ journal: AwaitedCallJournal, _ store: OutboxStore, _ dependencies: EngineDependencies) async {
        await Task {
            await journal.settle()
            do {
                _ = try await database.write(journal.statements(store))
            } catch {
                dependencies.logger.warning(
                    "calls were made, and the log of them is lost",
                    metadata: ["app": "\(name)", "cause": "\(error)"]
                )
            }
        }.value
    }
}
