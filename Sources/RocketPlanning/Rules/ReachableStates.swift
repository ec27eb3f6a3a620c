package import RocketModel

/// The states that a caller can bring a record to now, guards included: `?transitions=true`.
package struct ReachableStates: Sendable {
    private let entity: EntityModel
    private let logic: EntityLogic?
    private let snapshot: AppSnapshot
    private var rows: [PlannedRow] = []
    private var run: RuleRun

    package init(of entity: EntityModel, _ access: Access, now: Timestamp) {
        self.entity = entity
        snapshot = access.snapshot
        logic = access.snapshot.logic(of: entity)
        run = RuleRun(access, now: now)
    }

    /// - Parameter row: as it is stored, by the entity's fields.
    package mutating func begin(_ row: [SQLValue]) {
        guard let logic, !logic.machines.isEmpty else { return }
        rows = [PlannedRow.stored(row, of: entity)]
        run.related = RelatedRecords(snapshot, of: rows) { _ in logic.machines.flatMap(\.guardLoads) }
    }

    /// What must be known of related records; none where no guard looks at any.
    package var statements: [SQLStatement] { run.related.statements }

    package mutating func take(_ results: [StatementResult]) { run.related.take(results) }

    /// `{field: [states]}`
    package var json: JSONObject {
        guard let logic, !rows.isEmpty else { return JSONObject() }
        var run = run
        var object = JSONObject()
        let readable = run.readableFields(entity)
        for machine in logic.machines where readable?.contains(machine.field) ?? true {
            let states = run.targets(machine, 0, in: rows, logic)
            object[entity.fields[machine.field].name] = .array(states.map(\.json))
        }
        return object
    }
}

extension PlannedRow {
    /// A stored row that is looked at as if it were to change.
    static func stored(_ row: [SQLValue], of entity: EntityModel) -> PlannedRow {
        PlannedRow(
            entity: entity,
            action: .update,
            path: "",
            depth: 0,
            key: entity.dialect.fieldValue(row[entity.keyIndex], entity.key.shape),
            values: [:],
            stored: row,
            parent: nil,
            relations: []
        )
    }
}
