import RocketDatabase
package import RocketModel
import RocketPlanning

/// A clock that was ahead leaves rows that are due in a year. Clocks of several servers differ by a little; what was
/// written later than that from now was written by one that was wrong.
package enum ClockSkew {
    static let toleranceSeconds: Int64 = 300
    /// How long a clock must have been steady before it is taken for right. Where no database's clock stands beside it,
    /// it may be behind after a machine's rest, until somebody sets it right.
    static let steadiness = (vouchedFor: Duration.seconds(300), alone: Duration.seconds(900))
    /// 2026-01-01: a machine without a clock of its own boots in 1970.
    static let earliest = Timestamp(microseconds: 1_767_225_600_000_000)

    /// Nothing that a clock wrote that is right is later.
    package static func bound(at now: Timestamp) -> Timestamp { now.adding(seconds: toleranceSeconds) }
}

extension AppContext {
    /// Whether the clock may be taken for right: to one that is behind all that is stored is ahead, and to one that is
    /// ahead all is old. One from before this program was written is wrong, and so is one that the database's does not
    /// agree with.
    ///
    /// - Parameter steadiness: for how long the clock was seen to go steadily.
    package func trustsClock(steadyFor steadiness: Duration, _ dependencies: EngineDependencies) async throws -> Bool {
        let now = dependencies.now()
        let needed = database.isRemote ? ClockSkew.steadiness.vouchedFor : ClockSkew.steadiness.alone
        guard steadiness >= needed, now > ClockSkew.earliest else { return false }
        return try await agrees(now, dependencies)
    }

    /// Brings nearer what a clock put off that was ahead: deliveries, instances of workflows, schedules; for a clock that
    /// is taken for right.
    ///
    /// - Returns: whether all of it is near.
    func rewind(_ dependencies: EngineDependencies) async throws -> Bool {
        let now = dependencies.now()
        let bound = ClockSkew.bound(at: now)
        _ = try await database.write(DeliveryStore(database.dialect).rewind(after: bound, now: now))
        let store = WorkflowStore(database.dialect)
        for row in try await database.read([store.ahead(of: bound)])[0].rows {
            guard let id = row.first?.textValue else { continue }
            try await database.write(RewindScript(id, store, now: now))
        }
        try await rewindSchedules(store, now)
        // Others may hold some, and of many only so many are taken at once.
        return try await database.read([store.ahead(of: bound)])[0].rows.isEmpty
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
            instance.rewind(after: ClockSkew.bound(at: now), written: written, now: now)
            state = .stored
            return .finish(store.update(instance, asks: false, now: now))
        case .stored: return .done(())
        }
    }
}
