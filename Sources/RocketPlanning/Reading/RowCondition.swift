import RocketModel

/// What the WHERE clause of a request says, resolved against the metadata.
package indirect enum RowCondition: Sendable {
    case field(FieldCondition)
    /// There is a related row for which all of the conditions hold; or, negated, there is none.
    case related(RelatedCondition)
    /// What an expression says of the record.
    case expression(WhereCondition)
    /// One of these lists holds, with all that is in it; none holds where there is none.
    case anyOf([[RowCondition]])
    /// What is asked only where something else holds: how long it takes would tell of other rows.
    case guarded(RowCondition, by: RowCondition)

    func append(to sql: inout SQLBuilder, of row: RowName) {
        switch self {
        case .field(let condition): condition.append(to: &sql, of: row)
        case .related(let condition): condition.append(to: &sql, of: row)
        case .expression(let condition): condition.append(to: &sql)
        case .guarded(let condition, let guardCondition):
            sql.append("CASE WHEN ")
            guardCondition.append(to: &sql, of: row)
            sql.append(" THEN ")
            condition.append(to: &sql, of: row)
            sql.append(" ELSE \(SQLDialect.never) END")
        case .anyOf(let lists):
            guard !lists.isEmpty else { return sql.append(SQLDialect.never) }
            sql.append("(")
            for (index, list) in lists.enumerated() {
                sql.append(index > 0 ? " OR (" : "(")
                for (position, condition) in list.enumerated() {
                    if position > 0 { sql.append(" AND ") }
                    condition.append(to: &sql, of: row)
                }
                sql.append(list.isEmpty ? "\(SQLDialect.always))" : ")")
            }
            sql.append(")")
        }
    }
}

extension RowCondition {
    /// Whether the time that it takes depends on what stands in the row.
    private var isTelling: Bool {
        switch self {
        case .field(let condition):
            switch condition.comparison {
            case .like, .ilike, .contains, .startsWith: true
            default: false
            }
        case .related, .expression: true
        case .anyOf, .guarded: false
        }
    }

    /// Conditions of a client on rows of which it may read some: what is allowed comes first, and what could tell of the
    /// others is asked of these alone.
    static func limited(_ conditions: [RowCondition], to readable: RowCondition?) -> [RowCondition] {
        guard let readable else { return conditions }
        return [readable] + conditions.map { $0.isTelling ? .guarded($0, by: readable) : $0 }
    }

    /// Whether it looks at other tables.
    var isRelated: Bool {
        switch self {
        case .field: false
        case .related, .expression: true
        case .anyOf(let lists): lists.contains { $0.contains(where: \.isRelated) }
        case .guarded(let condition, let guardCondition): condition.isRelated || guardCondition.isRelated
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
        var sets = RelatedSets()
        let rows = side.relatedRows(of: row, own, other)
        let select = sql.capture { sets.select("1", from: rows, other, conditions, &$0) }
        sql.append(isNegated ? "NOT EXISTS (" : "EXISTS (")
        sql.append(sets.definitions.isEmpty ? "" : "WITH \(sets.definitions.joined(separator: ", ")) ")
        sql.append("\(select))")
    }
}

/// The subqueries of one condition on related rows. Relations to one record are joined in one FROM; each further
/// relation to many is a set of keys of its own, found once, so that paths are not tried one by one. All sets stand side
/// by side: SQLite's parser takes but few subqueries within each other.
private struct RelatedSets {
    private(set) var definitions: [String] = []

    /// `SELECT … FROM … WHERE …` of the rows for which all conditions hold.
    mutating func select(
        _ columns: String,
        from rows: RelatedRows,
        _ entity: EntityModel,
        _ conditions: [RowCondition],
        _ sql: inout SQLBuilder
    ) {
        var rows = rows
        var fields: [(RowName, RowCondition)] = []
        var sets: [(RowName, RelatedCondition)] = []
        var depth = rows.row.depth
        collect(conditions, of: rows.row, into: &rows, &fields, &sets, &depth)
        sql.append("SELECT \(columns) FROM \(rows.tables.joined(separator: ", "))")
        var separator = " WHERE "
        func next(_ sql: inout SQLBuilder) {
            sql.append(separator)
            separator = " AND "
        }
        for condition in rows.conditions {
            next(&sql)
            sql.append(condition)
        }
        for (row, condition) in fields {
            next(&sql)
            condition.append(to: &sql, of: RowName(prefix: row.prefix, reference: row.reference, depth: depth))
        }
        for (row, related) in sets {
            next(&sql)
            let name = define(related, &sql)
            let column = related.own.fields[related.side.ownField(of: related.own)].column
            sql.append("\(row.prefix)\(column) IN (SELECT \"_key\" FROM \(name))")
        }
    }

    private func collect(
        _ conditions: [RowCondition],
        of row: RowName,
        into rows: inout RelatedRows,
        _ fields: inout [(RowName, RowCondition)],
        _ sets: inout [(RowName, RelatedCondition)],
        _ depth: inout Int
    ) {
        for condition in conditions {
            guard case .related(let related) = condition, !related.isNegated else {
                fields.append((row, condition))
                continue
            }
            guard !related.side.isMany else {
                sets.append((row, related))
                continue
            }
            let name = RowName(prefix: row.prefix, reference: row.reference, depth: depth)
            let further = related.side.relatedRows(of: name, related.own, related.other)
            depth += 1
            rows.tables += further.tables
            rows.conditions += further.conditions
            collect(related.conditions, of: further.row, into: &rows, &fields, &sets, &depth)
        }
    }

    /// The keys by which rows are related to some row for which the conditions hold.
    private mutating func define(_ related: RelatedCondition, _ sql: inout SQLBuilder) -> String {
        let other = related.other
        let row = RowName.named("_t0")
        var rows = RelatedRows(tables: [], conditions: [], row: row)
        let key: String
        switch related.side.link {
        case .field(_, let theirs):
            rows.tables = ["\(other.table) AS _t0"]
            key = "_t0.\(other.fields[theirs].column)"
        case .joinTable(let join):
            rows.tables = ["\(join.table) AS _j0", "\(other.table) AS _t0"]
            rows.conditions = ["_t0.\(other.key.column) = _j0.\(join.theirs)"]
            key = "_j0.\(join.own)"
        }
        if other.softDelete { rows.conditions.append("_t0.\(other.deletedAtColumn) IS NULL") }
        let select = sql.capture { self.select("\(key) AS \"_key\"", from: rows, other, related.conditions, &$0) }
        let name = "\"_set\(definitions.count + 1)\""
        definitions.append("\(name) AS (\(select))")
        return name
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
        guard tree.hops <= maximumHops else {
            throw .parameter("filter", "The filters lead through too many relations at once")
        }
        return tree.all
    }

    /// How many relations all filters of a request may lead through.
    private static let maximumHops = 60

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
        if let field = try access.field(name, of: entity) {
            conditions.append(.field(try FieldCondition.resolve(filter, field, path.dropFirst())))
            return
        }
        guard let side = entity.relation(name) else {
            let isPath = path.count > 2 || (path.last.map { FilterOperator(rawValue: $0) == nil } ?? false)
            throw path.count > 1 && isPath
                ? .unknownPath(name, of: entity, access, parameter: filter.parameter)
                : .unknownField(name, of: entity, access, parameter: filter.parameter)
        }
        let (other, grant) = try access.related(.read, through: side, of: entity)
        let visible = grant.condition.map { [$0] } ?? []
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
                    RelatedCondition(side: side, own: entity, other: other, conditions: visible, isNegated: isNegated)
                )
            )
            return
        }
        if let index = branches.firstIndex(where: { $0.side.name == name }) {
            try branches[index].tree.add(filter, rest)
        } else {
            var tree = ConditionTree(other, access)
            tree.conditions = visible
            try tree.add(filter, rest)
            branches.append((side, tree))
        }
    }
}
