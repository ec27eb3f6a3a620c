import RocketDatabase
package import RocketModel
import RocketPlanning

/// A clock that was ahead leaves rows that are due in a year. Clocks of several servers differ by a little; what was
/// written later than that from now was written by one that was wrong.
package enum ClockSkew {
    private static let toleranceSeconds: Int64 = 300

    /// Nothing that a clock wrote that is right is later.
    package static func bound(at now: Timestamp) -> Timestamp { now.adding(seconds: toleranceSeconds) }
}

extension AppContext {
    /// Brings nearer the deliveries and the instances of workflows that a clock put off that was ahead.
    package func rewind(now: Timestamp) async throws {
        let bound = ClockSkew.bound(at: now)
        _ = try await database.write(DeliveryStore(database.dialect).rewind(after: bound, now: now))
        let store = WorkflowStore(database.dialect)
        for row in try await database.read([store.ahead(of: bound)])[0].rows {
            guard let id = row.first?.textValue else { continue }
            try await database.write(RewindScript(id, store, now: now))
        }
    }
}

/// Brings one instance nearer: its row, locked, then its row with what it rests for.
private struct RewindScript: TransactionScript {
    private enum State {
        case start
        case read
        case stored
    }

    private let id: String
    private let store: WorkflowStore
    private let now: Timestamp
    private var state = State.start

    init(_ id: String, _ store: WorkflowStore, now: Timestamp) {
        self.id = id
        self.store = store
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Void> {
        switch state {
        case .start:
            state = .read
            return .run([store.locked(id, skipsLocked: true)])
        case .read:
            guard let row = results[0].rows.first, var instance = store.instance(row)?.instance,
                let written = store.written(row), written > ClockSkew.bound(at: now)
            else { return .done(()) }
            instance.rewind(microseconds: written.microseconds - now.microseconds)
            state = .stored
            return .finish(store.update(instance, asks: false, now: now))
        case .stored: return .done(())
        }
    }
}
