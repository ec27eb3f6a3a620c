package import RocketModel

/// Whether a stored row is the caller's to change: asked of the database, under the row's lock.
package struct RowAccess: Sendable {
    private let entity: EntityModel
    private let grant: Grant
    package let statement: SQLStatement

    /// Nil where the caller may do so with every row.
    init?(_ key: FieldValue, of entity: EntityModel, _ grant: Grant) {
        let readable = grant.access.readable(entity)
        guard readable != nil || !grant.isUnlimited else { return nil }
        self.entity = entity
        self.grant = grant
        var sql = SQLBuilder(entity.dialect)
        sql.append("SELECT ")
        sql.appendFlag(readable.map { [$0] } ?? [], of: .only(entity))
        for alternative in grant.alternatives {
            sql.append(", ")
            sql.appendFlag(alternative.conditions, of: .only(entity))
        }
        sql.append(" FROM \(entity.table) WHERE \(entity.key.column) = ")
        sql.bind(key)
        statement = sql.statement(.values)
    }

    /// - Returns: which of the grant's alternatives hold.
    /// - Throws: 404 for a row that the caller can't read, 403 for one that isn't the caller's to change.
    package func judge(_ result: StatementResult, id: String) throws(RequestFailure) -> [Bool] {
        let flags = result.rows.first?.map { $0 == .integer(1) } ?? []
        guard flags.first == true else { throw .recordNotFound(entity, id) }
        let held = Array(flags.dropFirst())
        guard grant.isUnlimited || held.contains(true) else { throw .rowForbidden(grant.action, entity, at: nil) }
        return held
    }
}

/// What the policies say of the rows of a nested write: of those that are stored before anything is written, and of all
/// as they are stored afterwards.
package struct TreeAccess: Sendable {
    private struct Group: Sendable {
        let entity: EntityModel
        let grant: Grant
        var rows: [Int]
    }

    private let rows: [PlannedRow]
    private let access: Access
    /// Which alternatives hold of stored rows.
    private var held: [Int: [Bool]] = [:]
    private let stored: [Group]

    /// - Parameter root: which alternatives hold of the record itself; empty where every one does.
    /// - Throws: 403 for an action that no policy allows.
    package init(_ tree: WriteTree, root: [Bool]) throws(RequestFailure) {
        rows = tree.rows
        access = tree.access
        if !root.isEmpty, let row = tree.rows.first {
            held[0] = root
            let grant = try tree.access.grant(row.action.recordAction, on: row.entity)
            try Self.requireFields(of: row, grant, root)
        }
        stored = try Self.groups(tree.rows, tree.access, from: 1) { $0.action != .create }
    }

    private static func groups(
        _ rows: [PlannedRow],
        _ access: Access,
        from first: Int,
        _ isWanted: (PlannedRow) -> Bool
    ) throws(RequestFailure) -> [Group] {
        guard !access.principal.isAdmin else { return [] }
        var groups: [Group] = []
        for (index, row) in rows.enumerated().dropFirst(first) where row.origin != .action && isWanted(row) {
            if let place = groups.firstIndex(where: {
                $0.entity.name == row.entity.name && $0.grant.action == row.action.recordAction
            }) {
                groups[place].rows.append(index)
            } else {
                let grant = try access.grant(row.action.recordAction, on: row.entity)
                groups.append(Group(entity: row.entity, grant: grant, rows: [index]))
            }
        }
        return groups.filter { !$0.grant.isUnlimited }
    }

    // MARK: before

    /// One for each entity and action; none where every row is allowed.
    package var statementsBefore: [SQLStatement] {
        stored.map { group in
            Self.flags(group.entity, group.rows.compactMap { rows[$0].key }, group.grant.alternatives.map(\.conditions))
        }
    }

    /// - Throws: 403 with every row that isn't the caller's to change.
    package mutating func takeBefore(_ results: [StatementResult]) throws(RequestFailure) {
        for (group, result) in zip(stored, results) {
            let flags = Self.read(result, group.entity)
            for row in group.rows {
                let holds = rows[row].key.flatMap { flags[$0] } ?? []
                guard holds.contains(true) else {
                    throw .rowForbidden(group.grant.action, group.entity, at: rows[row].path)
                }
                try Self.requireFields(of: rows[row], group.grant, holds)
                held[row] = holds
            }
        }
    }

    /// Refuses rows that can't be the caller's to store, whatever the tables say of them: a conflict would tell of values
    /// that the caller could never have stored. What only the database knows is asked afterwards.
    ///
    /// - Parameter isFailing: the write fails anyhow, and all that is open is what its caller is told. Fields that it
    ///   leaves alone count as they are stored then, though a table may fill them in by itself.
    /// - Throws: 403 with the row that may not be stored so.
    package func requirePossible(_ planned: [PlannedRow], isFailing: Bool = false) throws(RequestFailure) {
        for group in try Self.groups(planned, access, from: 0, { $0.action != .delete }) {
            for index in group.rows {
                let row = planned[index]
                let before = group.grant.action == .update ? held[index] : nil
                let possible = group.grant.alternatives.enumerated().map { place, alternative in
                    guard before?[place] ?? true else { return false }
                    let isUpdate = group.grant.action == .update
                    guard let check = isUpdate ? alternative.check : alternative.conditions else { return isUpdate }
                    return row.mayMeet(check, isFailing: isFailing)
                }
                guard possible.contains(true) else {
                    throw .rowForbidden(group.grant.action, group.entity, at: row.path, isAfter: true)
                }
                try Self.requireFields(of: row, group.grant, possible)
            }
        }
    }

    // MARK: afterwards

    /// Looks at rows as they are stored now; each row's key is known.
    ///
    /// - Throws: 403 for an action that no policy allows.
    package func groupsAfter(_ written: [PlannedRow]) throws(RequestFailure) -> After {
        let groups = try Self.groups(written, access, from: 0) { $0.action != .delete }
            .filter { group in
                group.grant.action == .create || group.grant.alternatives.contains { $0.check != nil }
            }
        return After(
            statements: groups.map { group in
                let conditions = group.grant.alternatives.map { alternative -> [RowCondition]? in
                    guard group.grant.action == .update else { return alternative.conditions }
                    guard let check = alternative.check else { return [] }
                    return check
                }
                return Self.flags(group.entity, group.rows.compactMap { written[$0].key }, conditions)
            },
            groups: groups.map { ($0.entity, $0.grant, $0.rows) },
            rows: written,
            held: held
        )
    }

    /// What must hold of rows once they are written.
    package struct After: Sendable {
        package let statements: [SQLStatement]
        fileprivate let groups: [(entity: EntityModel, grant: Grant, rows: [Int])]
        fileprivate let rows: [PlannedRow]
        fileprivate let held: [Int: [Bool]]

        /// - Throws: 403 with the row that may not be stored so.
        package func judge(_ results: [StatementResult]) throws(RequestFailure) {
            for (group, result) in zip(groups, results) {
                let flags = TreeAccess.read(result, group.entity)
                for row in group.rows {
                    let holds = rows[row].key.flatMap { flags[$0] } ?? []
                    let action = group.grant.action
                    // An update needs one policy that held before and holds now.
                    let before = action == .update ? held[row] ?? holds.map { _ in true } : holds.map { _ in true }
                    let both = zip(before, holds).map { $0 && $1 }
                    guard both.contains(true) else {
                        throw .rowForbidden(action, group.entity, at: rows[row].path, isAfter: true)
                    }
                    try TreeAccess.requireFields(of: rows[row], group.grant, both)
                }
            }
        }
    }

    // MARK: parts

    /// - Throws: 403 for a field that none of the policies which hold for the row lets the caller write.
    fileprivate static func requireFields(of row: PlannedRow, _ grant: Grant, _ held: [Bool]) throws(RequestFailure) {
        guard row.action != .delete, !row.given.isEmpty, !grant.isUnlimited else { return }
        let refused = row.given.subtracting(GrantedFields.union(grant, held, row.entity)).sorted()
        guard !refused.isEmpty else { return }
        throw RequestFailure(
            .forbidden,
            "No permission allows you to \(grant.action.rawValue) these fields of this record of \"\(row.entity.name)\"",
            details: refused.map {
                FailureDetail(field: row.place(row.entity.fields[$0].name), message: "is not yours to write")
            }
        )
    }

    /// The keys of rows, each with whether lists of conditions hold.
    private static func flags(_ entity: EntityModel, _ keys: [FieldValue], _ lists: [[RowCondition]?]) -> SQLStatement {
        var sql = SQLBuilder(entity.dialect)
        sql.append("SELECT \(entity.key.column)")
        for list in lists {
            sql.append(", ")
            sql.appendFlag(list, of: .only(entity))
        }
        sql.append(" FROM \(entity.table) WHERE ")
        sql.isMember(entity.key.column, of: keys, entity.key.shape)
        return sql.statement(.values)
    }

    fileprivate static func read(_ result: StatementResult, _ entity: EntityModel) -> [FieldValue: [Bool]] {
        var flags: [FieldValue: [Bool]] = [:]
        for row in result.rows {
            guard let key = row.first.map({ entity.dialect.fieldValue($0, entity.key.shape) }) else { continue }
            flags[key] = row.dropFirst().map { $0 == .integer(1) }
        }
        return flags
    }
}

extension PlannedRow {
    /// Whether conditions may hold of what is written; nil for what can't. What is not written may be the table's to
    /// fill in, unless the write fails.
    fileprivate func mayMeet(_ conditions: [RowCondition]?, isFailing: Bool) -> Bool {
        conditions?.allSatisfy { condition in
            guard case .field(let condition) = condition, let index = entity.index(of: condition.field.name),
                let value = isFailing || index == entity.keyIndex ? value(index) : values[index]
            else { return true }
            return condition.holds(of: value) || condition.field.name == entity.slugField?.name && mayMakeSlug
        } ?? false
    }
}

extension SQLBuilder {
    /// 1 where all conditions hold, 0 where one does not or can't be said to; nil for what can't hold.
    mutating func appendFlag(_ conditions: [RowCondition]?, of row: RowName) {
        append("CASE WHEN ")
        RowCondition.anyOf(conditions.map { [$0] } ?? []).append(to: &self, of: row)
        append(" THEN 1 ELSE 0 END")
    }
}

extension RequestFailure {
    static func rowForbidden(
        _ action: RecordAction,
        _ entity: EntityModel,
        at path: String?,
        isAfter: Bool = false
    ) -> RequestFailure {
        let place = path.flatMap { $0.isEmpty ? nil : $0 }
        let message =
            isAfter
            ? "No permission allows you to \(action.rawValue) a record of \"\(entity.name)\" with these values"
            : "No permission allows you to \(action.rawValue) this record of \"\(entity.name)\""
        return RequestFailure(
            .forbidden,
            message,
            details: place.map { [FailureDetail(field: $0, message: "is not yours to \(action.rawValue) so")] } ?? []
        )
    }
}
