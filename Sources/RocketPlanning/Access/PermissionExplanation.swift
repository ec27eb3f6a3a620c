package import RocketModel

/// Why an action is allowed or refused: which policies there are, whom they are for, and what of their conditions holds
/// of a record.
package struct PermissionExplanation: Sendable {
    private let entity: EntityModel
    private let action: RecordAction
    private let principal: Principal
    private let now: Timestamp
    private let policies: [Policy]
    private let readable: RowCondition?
    private let definitions: [String: JSONObject]
    private let key: FieldValue?
    private let id: String

    /// - Parameters:
    ///   - id: a record's; nil to ask of the action in general.
    ///   - caller: the one in whose place it is asked, before the snapshot.
    /// - Throws: 404 for an unknown entity, and for an id that can't be a key.
    package init(
        _ action: RecordAction,
        on name: String,
        id: String?,
        of caller: Access
    ) throws(RequestFailure) {
        let entity = try caller.snapshot.entity(name)
        self.entity = entity
        self.action = action
        principal = caller.principal
        now = caller.now
        policies = caller.snapshot.policies(for: action, on: entity)
        readable = caller.readable(entity)
        definitions = Dictionary(
            caller.snapshot.definitions.others.filter { $0.kind == .permissions }.map { ($0.id, $0.content) },
            uniquingKeysWith: { first, _ in first }
        )
        key = id.flatMap { ReadPlanner.keyValue($0, entity) }
        self.id = id ?? ""
        if id != nil, key == nil { throw .recordNotFound(entity, self.id) }
    }

    /// Asks the record about every policy and condition; none where no record is meant. The first column says whether it
    /// can be read, which a change needs as well.
    package var statements: [SQLStatement] {
        guard let key else { return [] }
        var sql = SQLBuilder(entity.dialect)
        sql.append("SELECT ")
        sql.appendFlag(readable.map { [$0] } ?? [], of: .only(entity))
        for policy in policies {
            sql.append(", ")
            sql.appendFlag(PolicyCondition.conditions(policy.conditions, for: principal, now: now), of: .only(entity))
        }
        for condition in conditions {
            sql.append(", CASE WHEN ")
            let holds = PolicyCondition.conditions([condition], for: principal, now: now)
            RowCondition.anyOf(holds.map { [$0] } ?? []).append(to: &sql, of: .only(entity))
            sql.append(" THEN 1 ELSE 0 END, \(condition.actual)")
        }
        sql.append(" FROM \(entity.table) WHERE \(entity.key.column) = ")
        sql.bind(key)
        if entity.softDelete { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
        return [sql.statement(.values)]
    }

    private var conditions: [PolicyCondition] { policies.flatMap(\.conditions) }

    /// `{"allowed", "decided_by", "policies"}`
    ///
    /// - Throws: 404 where the record is not there.
    package func answer(_ results: [StatementResult]) throws(RequestFailure) -> JSONObject {
        var facts: ArraySlice<SQLValue>?
        var isReadable = true
        var holding: [Bool] = policies.map { _ in true }
        if key != nil {
            guard let row = results.first?.rows.first else { throw .recordNotFound(entity, id) }
            let changes = action == .update || action == .delete
            isReadable = !changes || row.first == .integer(1)
            holding = row.dropFirst().prefix(policies.count).map { $0 == .integer(1) }
            facts = row.dropFirst(1 + policies.count)
        }
        var shown: [JSONValue] = []
        var decidedBy: JSONValue = principal.isAdmin ? "admin" : .null
        for (policy, holds) in zip(policies, holding) {
            let applies = policy.applies(to: principal)
            var conditions: [JSONValue] = []
            for condition in policy.conditions {
                var object = condition.definition.json.objectValue ?? JSONObject()
                if let holds = facts?.popFirst(), let actual = facts?.popFirst() {
                    object["actual"] = entity.dialect.fieldValue(actual, condition.field.shape).json
                    object["holds"] = .boolean(holds == .integer(1))
                }
                conditions.append(.object(object))
            }
            if decidedBy == .null, applies, holds, isReadable { decidedBy = .string(policy.id) }
            var object: JSONObject = [
                "id": .string(policy.id), "roles": .array(policy.roles.map(JSONValue.string)),
                "role_matches": .boolean(applies), "conditions": .array(conditions),
            ]
            // What it asks of a changed record, and of fields, can't be decided here, and is told.
            for name in ["check", "fields", "except"] { object[name] = definitions[policy.id]?[name] }
            shown.append(.object(object))
        }
        return ["allowed": .boolean(decidedBy != .null), "decided_by": decidedBy, "policies": .array(shown)]
    }
}

extension PolicyCondition {
    /// The value that is compared: the field's, or that of the first record at the end of the relations.
    fileprivate var actual: String {
        guard !path.isEmpty else { return "\(own.table).\(field.column)" }
        var tables: [String] = []
        var conditions: [String] = []
        var row = RowName.only(own)
        var entity = own
        for (side, other) in path {
            let rows = side.relatedRows(of: row, entity, other)
            tables += rows.tables
            conditions += rows.conditions
            (row, entity) = (rows.row, other)
        }
        return "(SELECT \(row.prefix)\(field.column) FROM \(tables.joined(separator: ", "))"
            + " WHERE \(conditions.joined(separator: " AND ")) LIMIT 1)"
    }
}
