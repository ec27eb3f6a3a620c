import RocketDatabase
import RocketModel
import RocketPlanning

/// The stored row, where its version counts, rules judge it or other rows go with it; its rules; what goes with it, and
/// their rules; the rows themselves.
struct DeleteScript: AnnouncingScript {
    private enum State {
        case start
        case found
        case judging(row: [SQLValue])
        case following
        case judgingOthers
        case deleted(position: Int)
    }

    private let plan: DeletePlan
    private let id: String
    private var cascade: CascadeRun?
    private var rules: DeleteRules?
    /// Who is told of the row itself, and then of those that go with it.
    private var announcements: [Announcement] = []
    private var state = State.start
    private var recorder: EventRecorder

    init(plan: DeletePlan, id: String, _ setting: OperationSetting) {
        self.plan = plan
        self.id = id
        cascade = plan.cascade
        recorder = EventRecorder(
            principal: plan.access.principal,
            now: plan.now,
            snapshot: plan.access.snapshot,
            setting
        )
    }

    var awaitedCalls: [AwaitedCall] { recorder.awaited }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        switch state {
        case .start:
            let isAsked = plan.precondition != nil || plan.isJudged || plan.cascade != nil || plan.rowAccess != nil
            guard isAsked else { return delete([]) }
            state = .found
            let version = plan.version.map { [$0.statement] } ?? []
            return .run([plan.storedRow] + version + (plan.rowAccess.map { [$0.statement] } ?? []))
        case .found:
            guard let row = results[0].rows.first else { throw RequestFailure.recordNotFound(plan.entity, id) }
            if let access = plan.rowAccess { _ = try access.judge(results[plan.version == nil ? 1 : 2], id: id) }
            let seen = plan.version?.shown(results[1]) ?? results[0]
            try plan.precondition?.require(seen.json)
            guard plan.isJudged else { return try follow(row) }
            let rules = DeleteRules([.deleted(row, of: plan.entity)], plan.access, now: plan.now, steps: plan.steps)
            self.rules = rules
            guard rules.statements.isEmpty else {
                state = .judging(row: row)
                return .run(rules.statements)
            }
            try judge()
            return try follow(row)
        case .judging(let row):
            rules?.take(results)
            try judge()
            return try follow(row)
        case .following:
            try cascade?.take(results)
            return try followOn()
        case .judgingOthers:
            rules?.take(results)
            try judge()
            return delete(cascade?.changes ?? [])
        case .deleted(let position):
            guard results[position].changes > 0 || cascade != nil else {
                throw RequestFailure.recordNotFound(plan.entity, id)
            }
            return .done(.deleted(plan.key))
        }
    }

    private mutating func follow(_ row: [SQLValue]) throws -> TransactionStep<OperationOutcome> {
        guard cascade != nil else { return delete([]) }
        cascade?.add(row, of: plan.entity, isGone: plan.isGone)
        return try followOn()
    }

    private mutating func followOn() throws -> TransactionStep<OperationOutcome> {
        let statements = cascade?.statements() ?? []
        guard statements.isEmpty else {
            state = .following
            return .run(statements)
        }
        let others = DeleteRules(cascade?.followingRows ?? [], plan.access, now: plan.now, steps: plan.steps)
        rules = others
        guard others.statements.isEmpty else {
            state = .judgingOthers
            return .run(others.statements)
        }
        try judge()
        return delete(cascade?.changes ?? [])
    }

    private mutating func judge() throws {
        try rules?.judge()
        announcements += try rules?.announcements() ?? []
    }

    /// What goes with the row has the row itself in it.
    private mutating func delete(_ changes: [SQLStatement]) -> TransactionStep<OperationOutcome> {
        let outbox = recorder.statements([], of: [], announcements)
        let deletion = changes.isEmpty ? plan.statements : changes
        state = .deleted(position: deletion.count - 1)
        let statements = deletion + outbox
        // A table's own trigger may keep the row, and then nobody must be told that it is gone.
        return outbox.isEmpty ? .finish(statements) : .run(statements)
    }
}
