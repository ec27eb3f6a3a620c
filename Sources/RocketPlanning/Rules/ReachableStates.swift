package import RocketModel

/// The states that a caller can bring a record to now, guards included: `?transitions=true`.
package struct ReachableStates: Sendable {
    private let entity: EntityModel
    private let logic: EntityLogic?
    private let snapshot: AppSnapshot
    private var rows: [PlannedRow] = []
    private var run: RuleRun
    /// Nil where the caller may change no record of the entity.
    private let update: Grant?
    private var rowAccess: RowAccess?
    private var isOpen = true
    private var held: [Bool] = []

    package init(of entity: EntityModel, _ access: Access, now: Timestamp) {
        self.entity = entity
        snapshot = access.snapshot
        update = access.grantIfAny(.update, on: entity)
        logic = access.snapshot.logic(of: entity)
        run = RuleRun(access, now: now)
    }

    /// - Parameter row: as it is stored, by the entity's fields.
    package mutating func begin(_ row: [SQLValue]) {
        guard let logic, !logic.machines.isEmpty else { return }
        rows = [PlannedRow.stored(row, of: entity)]
        guard let update else {
            isOpen = false
            return
        }
        rowAccess = rows[0].key.flatMap { RowAccess($0, of: entity, update) }
        run.related = RelatedRecords(snapshot, of: rows) { _ in logic.machines.flatMap(\.guardLoads) }
    }

    /// What must be known of related records; none where no guard looks at any.
    package var statements: [SQLStatement] { (rowAccess.map { [$0.statement] } ?? []) + run.related.statements }

    package mutating func take(_ results: [StatementResult]) {
        var results = results[...]
        if let rowAccess, let result = results.popFirst() {
            do throws(RequestFailure) { held = try rowAccess.judge(result, id: "") } catch { isOpen = false }
        }
        run.related.take(Array(results))
    }

    /// `{field: [states]}`
    package var json: JSONObject {
        guard let logic, !rows.isEmpty else { return JSONObject() }
        var run = run
        var object = JSONObject()
        let readable = run.readableFields(entity)
        for machine in logic.machines where readable?.contains(machine.field) ?? true {
            // Who can't change the record reaches nothing, and is told nothing by guards.
            let mayWrite = update.map {
                $0.isUnlimited || GrantedFields.union($0, held, entity).contains(machine.field)
            }
            let states = isOpen && mayWrite ?? false ? run.targets(machine, 0, in: rows, logic) : []
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
