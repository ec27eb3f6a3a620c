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
        var rows = side.relatedRows(of: row, own, other)
        // A chain of relations is one subquery: SQLite's parser takes but few within each other.
        var steps = [(row: rows.row, fields: conditions)]
        while let last = steps.last, let next = last.fields.onlyBranch {
            let further = next.side.relatedRows(of: last.row, next.own, next.other)
            rows.tables += further.tables
            rows.conditions += further.conditions
            steps[steps.count - 1].fields.removeAll(where: \.isBranch)
            steps.append((further.row, next.conditions))
        }
        sql.append(isNegated ? "NOT EXISTS (SELECT 1 FROM " : "EXISTS (SELECT 1 FROM ")
        sql.append("\(rows.tables.joined(separator: ", ")) WHERE \(rows.conditions.joined(separator: " AND "))")
        for step in steps {
            for condition in step.fields {
                sql.append(" AND ")
                // Behind all names of the chain, so that none is given twice.
                let name = RowName(
                    prefix: step.row.prefix,
                    reference: step.row.reference,
                    depth: steps.last?.row.depth ?? step.row.depth
                )
                condition.append(to: &sql, of: name)
            }
        }
        sql.append(")")
    }
}

extension [RowCondition] {
    /// The one relation that leads on, where there is just one.
    fileprivate var onlyBranch: RelatedCondition? {
        let branches = compactMap { condition -> RelatedCondition? in
            if case .related(let related) = condition, !related.isNegated { related } else { nil }
        }
        return branches.count == 1 ? branches[0] : nil
    }
}

extension RowCondition {
    fileprivate var isBranch: Bool {
        if case .related(let related) = self { !related.isNegated } else { false }
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
        guard tree.forks <= maximumForks, tree.hops <= maximumHops else {
            throw .parameter("filter", "The filters lead through too many relations at once")
        }
        return tree.all
    }

    /// How many subqueries may stand within each other; SQLite's parser takes eight.
    private static let maximumForks = 6
    private static let maximumHops = 60

    /// How many subqueries stand within each other at most.
    private var forks: Int {
        let deepest = branches.map(\.tree.forks).max() ?? 0
        return branches.count > 1 || branches.isEmpty ? deepest + 1 : deepest
    }

    private var hops: Int { branches.reduce(0) { $0 + 1 + $1.tree.hops } }

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
