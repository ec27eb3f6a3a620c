import RocketModel

/// What the WHERE clause of a request says, resolved against the metadata.
package indirect enum RowCondition: Sendable {
    case field(FieldCondition)
    /// There is a related row for which all of the conditions hold; or, negated, there is none.
    case related(RelatedCondition)

    func append(to sql: inout SQLBuilder, of row: RowName) {
        switch self {
        case .field(let condition): condition.append(to: &sql, of: row)
        case .related(let condition): condition.append(to: &sql, of: row)
        }
    }
}

/// A condition on the rows at the other end of a relation. A row is never multiplied by it.
package struct RelatedCondition: Sendable {
    let side: RelationSide
    let own: EntityModel
    let other: EntityModel
    let conditions: [RowCondition]
    let isNegated: Bool

    func append(to sql: inout SQLBuilder, of row: RowName) {
        sql.append(isNegated ? "NOT EXISTS (SELECT 1 " : "EXISTS (SELECT 1 ")
        sql.append(side.relatedRows(of: row, own, other))
        for condition in conditions {
            sql.append(" AND ")
            condition.append(to: &sql, of: row.inner.row)
        }
        sql.append(")")
    }
}

/// Filters put together: those that lead through the same relations speak of the same related record, so that a
/// range of two filters is a range.
struct ConditionTree {
    private let entity: EntityModel
    private let access: Access
    private var conditions: [RowCondition] = []
    private var branches: [(side: RelationSide, tree: ConditionTree)] = []

    init(_ entity: EntityModel, _ access: Access) {
        self.entity = entity
        self.access = access
    }

    /// - Throws: 400 for names, operators and values that the entities do not take, 403 where a relation leads to an
    ///   entity that the caller can't read.
    static func resolve(
        _ filters: [RecordQuery.Filter],
        _ entity: EntityModel,
        _ access: Access
    ) throws(RequestFailure) -> [RowCondition] {
        var tree = ConditionTree(entity, access)
        for filter in filters { try tree.add(filter, filter.path[...]) }
        return tree.all
    }

    private var all: [RowCondition] {
        conditions
            + branches.map { branch in
                .related(
                    RelatedCondition(
                        side: branch.side,
                        own: entity,
                        other: branch.tree.entity,
                        conditions: branch.tree.all,
                        isNegated: false
                    )
                )
            }
    }

    private mutating func add(_ filter: RecordQuery.Filter, _ path: ArraySlice<String>) throws(RequestFailure) {
        guard let name = path.first else { return }
        if let field = entity.field(name) {
            conditions.append(.field(try FieldCondition.resolve(filter, field, path.dropFirst())))
            return
        }
        guard let side = entity.relation(name) else {
            let isPath = path.count > 2 || (path.last.map { FilterOperator(rawValue: $0) == nil } ?? false)
            throw path.count > 1 && isPath
                ? .unknownPath(name, of: entity, parameter: filter.parameter)
                : .unknownField(name, of: entity, parameter: filter.parameter)
        }
        let (other, _) = try access.related(.read, through: side)
        let rest = path.dropFirst()
        guard let next = rest.first else {
            throw .parameter(
                filter.parameter,
                "\"\(name)\" is a relation: filter[\(name).field], or filter[\(name).is_null] for there being none"
            )
        }
        if rest.count == 1, next == FilterOperator.isNull.rawValue, other.field(next) == nil {
            let isNegated = try FieldCondition.isNull(filter)
            conditions.append(
                .related(
                    RelatedCondition(side: side, own: entity, other: other, conditions: [], isNegated: isNegated)
                )
            )
            return
        }
        if let index = branches.firstIndex(where: { $0.side.name == name }) {
            try branches[index].tree.add(filter, rest)
        } else {
            var tree = ConditionTree(other, access)
            try tree.add(filter, rest)
            branches.append((side, tree))
        }
    }
}
