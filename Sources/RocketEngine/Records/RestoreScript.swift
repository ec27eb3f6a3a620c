import RocketDatabase
import RocketModel
import RocketPlanning

/// The row; the rows that it names and what webhooks ask of; who is told.
struct RestoreScript: AnnouncingScript {
    private enum State {
        case start
        case restored
        case lookedUp(StoredRecord)
        case recorded(StoredRecord)
    }

    private let statements: [SQLStatement]
    private let id: String
    private let entity: EntityModel
    private let setting: OperationSetting
    private var state = State.start
    /// What the row names must be there: it would else live below a record that is deleted.
    private var needs = WriteNeeds.none
    private var rules: DeleteRules?
    private var recorder: EventRecorder

    init(_ statements: [SQLStatement], id: String, of entity: EntityModel, _ setting: OperationSetting) {
        self.statements = statements
        self.id = id
        self.entity = entity
        self.setting = setting
        recorder = EventRecorder(
            principal: setting.access.principal,
            now: setting.access.now,
            snapshot: setting.access.snapshot,
            setting
        )
    }

    var awaitedCalls: [AwaitedCall] { recorder.awaited }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        switch state {
        case .start:
            state = .restored
            return .run(statements)
        case .restored:
            return try lookUp(results[0])
        case .lookedUp(let record):
            try WritePlanner.judgeReferences(needs, Array(results.prefix(needs.references.count)), entity: entity)
            rules?.take(Array(results.dropFirst(needs.references.count)))
            return try tell(record)
        case .recorded(let record):
            return .done(.stored(record))
        }
    }

    private mutating func lookUp(_ result: StatementResult) throws -> TransactionStep<OperationOutcome> {
        guard let row = result.rows.first else { throw RequestFailure.recordNotFound(entity, id) }
        let record = StoredRecord(json: result.json, tag: RecordVersion.tag(ofRow: result.json), key: nil)
        needs = WritePlanner.needs(ofStored: row, entity)
        let rules = DeleteRules(
            [.changed(row, of: entity)],
            setting.access,
            now: setting.access.now,
            steps: setting.steps
        )
        self.rules = rules
        let statements = needs.references.map(\.statement) + rules.statements
        guard !statements.isEmpty else { return try tell(record) }
        state = .lookedUp(record)
        return .run(statements)
    }

    /// To webhooks a record that comes back is one that is written.
    private mutating func tell(_ record: StoredRecord) throws -> TransactionStep<OperationOutcome> {
        let outbox = recorder.statements([], of: [], try rules?.announcements() ?? [])
        guard !outbox.isEmpty else { return .done(.stored(record)) }
        state = .recorded(record)
        return .finish(outbox)
    }
}
