import RocketModel

/// The related records that are read beside records of an entity.
package struct Includes: Sendable {
    package let plans: [IncludePlan]
    /// The fields of the entity that the includes go by: indexes, each once.
    package let linkColumns: [Int]

    package static let none = Includes(plans: [], linkColumns: [])

    package var isEmpty: Bool { plans.isEmpty }

    /// Whether below a new record there are only rows that name it.
    package var areOfOwnRows: Bool {
        plans.allSatisfy { plan in
            if case .field = plan.side.link { plan.side.isSource } else { false }
        }
    }

    init(plans: [IncludePlan], linkColumns: [Int]) {
        self.plans = plans
        self.linkColumns = linkColumns
    }

    init(_ plans: [IncludePlan], of entity: EntityModel) {
        var columns: [Int] = []
        for plan in plans {
            let column = plan.side.ownField(of: entity)
            if !columns.contains(column) { columns.append(column) }
        }
        self.init(plans: plans, linkColumns: columns)
    }
}

/// One relation to include: one statement, whatever the number of records that it is read for.
package struct IncludePlan: Sendable {
    package let side: RelationSide
    let own: EntityModel
    let other: EntityModel
    let columns: [Int]
    /// The fields that may be read; nil for all.
    let fields: GrantedFields?
    let conditions: [RowCondition]
    let sort: String
    /// Tables that the sort reads, of which the caller sees some rows only.
    let tables: VisibleTables
    /// How many related records each record gets at most.
    let limit: Int?
    /// Whether what is over ``maximumRows`` is left out rather than refused: a write does not fail for its echo.
    let isEcho: Bool
    package let includes: Includes

    /// Rows that one include may read; what is more is refused rather than cut off.
    package static let maximumRows = 20_000

    /// The related rows of all records whose link field has one of `keys`. Behind the columns of the shape come those
    /// that further includes go by, and then the key that names the record which the row belongs to.
    package func statement(keys: [SQLValue]) -> SQLStatement {
        let dialect = own.dialect
        var sql = SQLBuilder(dialect)
        tables.define(in: &sql)
        let row = RowName.named("_t0")
        let list =
            (columns + includes.linkColumns).map { "_t0.\(other.fields[$0].column)" }
            + (fields?.flags(row, &sql) ?? [])
        let ownIndex = side.ownField(of: own)
        let (back, source) = backAndSource
        // One record needs no numbering of its rows.
        let isNumbered = limit != nil && keys.count > 1 && side.isMany
        let columnList = (list + ["\(back) AS \"_back\""]).joined(separator: ", ")
        sql.append("SELECT ")
        if isNumbered {
            let names = (0..<list.count).map { "\"_c\($0)\"" }
            sql.append("\((names + ["\"_back\""]).joined(separator: ", ")) FROM (SELECT ")
            sql.append(zip(list, names).map { "\($0) AS \($1)" }.joined(separator: ", "))
            sql.append(", \(back) AS \"_back\", row_number() OVER (PARTITION BY \(back) ORDER BY \(sort)) AS \"_n\"")
        } else {
            sql.append(columnList)
        }
        sql.append(" FROM \(source) WHERE ")
        sql.isMember(back, of: keys.map { dialect.fieldValue($0, own.fields[ownIndex].shape) }, backShape)
        if other.softDelete { sql.append(" AND _t0.\(other.deletedAtColumn) IS NULL") }
        for condition in conditions {
            sql.append(" AND ")
            condition.append(to: &sql, of: row)
        }
        if isNumbered, let limit {
            sql.append(") AS _numbered WHERE \"_n\" <= ")
            sql.bind(stored: .integer(Int64(limit)))
            sql.append(" ORDER BY \"_n\"")
        } else if side.isMany {
            sql.append(" ORDER BY \(sort)")
        }
        sql.append(" LIMIT ")
        let most = isNumbered || limit == nil ? Self.maximumRows : min(limit ?? .max, Self.maximumRows)
        sql.bind(stored: .integer(Int64(most == limit || isEcho ? most : most + 1)))
        return sql.statement(.jsonAndValues(RowShape(columns: columns.map { other.rowShape.columns[$0] })))
    }

    /// What takes out of each row what may not be read of it; nil where the columns say it all.
    var mask: RowMask? {
        fields.flatMap { $0.dependsOnRow ? $0.mask(firstFlag: includes.linkColumns.count) : nil }
    }

    /// The column that names the record which a row belongs to, and what the rows are read from.
    private var backAndSource: (String, String) {
        switch side.link {
        case .field(_, let theirs):
            return ("_t0.\(other.fields[theirs].column)", "\(other.table) AS _t0")
        case .joinTable(let join):
            let key = "_t0.\(other.key.column)"
            return ("_j0.\(join.own)", "\(join.table) AS _j0 JOIN \(other.table) AS _t0 ON \(key) = _j0.\(join.theirs)")
        }
    }

    private var backShape: ValueShape {
        switch side.link {
        case .field(_, let theirs): other.fields[theirs].shape
        case .joinTable: own.key.shape
        }
    }
}
