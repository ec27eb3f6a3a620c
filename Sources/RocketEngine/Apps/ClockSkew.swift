import RocketDatabase
package import RocketModel
import RocketPlanning

/// A clock that was ahead leaves rows that are due in a year. Clocks of several servers differ by a little; what was
/// written later than that from now was written by one that was wrong.
package enum ClockSkew {
    static let toleranceSeconds: Int64 = 300
    /// 2026-01-01: a machine without a clock of its own boots in 1970.
    static let earliest = Timestamp(microseconds: 1_767_225_600_000_000)

    /// Nothing that a clock wrote that is right is later.
    package static func bound(at now: Timestamp) -> Timestamp { now.adding(seconds: toleranceSeconds) }
}

extension AppContext {
    /// Brings nearer what a clock put off that was ahead: deliveries, instances of workflows, schedules. Only a clock that
    /// is right may say so, for to one that is behind all that is stored is ahead. Whoever calls has seen it go steadily
    /// for a while; one from before this program was written is wrong, and so is one that the database's does not agree with.
    ///
    /// - Returns: whether this clock may.
    func rewind(_ dependencies: EngineDependencies) async throws -> Bool {
        let now = dependencies.now()
        guard now > ClockSkew.earliest, try await agrees(now, dependencies) else { return false }
        let bound = ClockSkew.bound(at: now)
        _ = try await database.write(DeliveryStore(database.dialect).rewind(after: bound, now: now))
        let store = WorkflowStore(database.dialect)
        for row in try await database.read([store.ahead(of: bound)])[0].rows {
            guard let id = row.first?.textValue else { continue }
            try await database.write(RewindScript(id, store, now: now))
        }
        try await rewindSchedules(store, now)
        return true
    }

    private func agrees(_ now: Timestamp, _ dependencies: EngineDependencies) async throws -> Bool {
        guard database.isRemote, dependencies.databaseTellsTime else { return true }
        let question = SQLStatement("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT", output: .values)
        let told = try await database.read([question])[0].rows.first?.first?.integerValue
        return told.map { abs($0 - now.microseconds) < ClockSkew.toleranceSeconds * 1_000_000 } ?? false
    }

    /// A schedule that is noted for later than its next time was noted by a clock that was ahead.
    private func rewindSchedules(_ store: WorkflowStore, _ now: Timestamp) async throws {
        let scheduled = snapshots.current.scheduled
        guard !scheduled.isEmpty else { return }
        let rows = try await database.read([store.schedules])[0].rows
        for (workflow, schedule) in scheduled {
            guard let row = rows.first(where: { $0.first?.textValue == workflow.id }), row.count == 3,
                let noted = row[2].integerValue.map(Timestamp.init(microseconds:)),
                let next = schedule.next(after: ClockSkew.bound(at: now)), noted > next,
                let soonest = schedule.next(after: now)
            else { continue }
            _ = try await database.write([store.schedule(workflow.id, workflow.version, from: noted, to: soonest)])
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
