package import RocketModel

// Decides what a read sends to the database: no I/O, no clock.

package enum ReadPlanner {
    /// - Throws: 400 for names and values that the entity does not take, 403 for `deleted` without the right.
    package static func list(
        _ query: RecordQuery,
        of entity: EntityModel,
        grant: Grant,
        now: Timestamp
    ) throws(RequestFailure) -> ListPlan {
        precondition(grant.entity == entity.name && grant.action == .read, "a list is planned with its own grant")
        var conditions = try ConditionTree.resolve(query.filters, entity, grant.access)
        if let text = query.condition {
            conditions.append(.expression(try WhereCondition.resolve(text, entity, grant.access, now: now)))
        }
        conditions = RowCondition.limited(conditions, to: grant.condition)
        var tables = VisibleTables()
        let sort = try SortKeys.spell(query.sort, entity, .only(entity), grant.access, &tables)
        let fields = grant.fields(of: entity)
        let columns =
            try projection(query.view.fields, entity, grant.access) ?? fields?.anywhere.sorted()
            ?? Array(entity.fields.indices)
        let includes = try IncludePlanner.plan(query.view, of: entity, grant.access)
        if query.deleted != nil, !grant.isAdministrator {
            throw RequestFailure(.forbidden, "Only administrators see deleted records")
        }
        // One statement instead of three in a transaction; a page further on may be empty, and bring no total.
        let carriesTotal = entity.dialect == .postgres && query.countsTotal && query.page == 1
        var rows = SQLBuilder(entity.dialect)
        tables.define(in: &rows)
        let linkColumns = includes.linkColumns.map { entity.fields[$0].column }
        let flags = fields?.flags(.only(entity), &rows) ?? []
        // By itself a flag would be named "case", as a field may be that the list is sorted by.
        let named = flags.enumerated().map { "\($1) AS \"_f\($0)\"" }
        let list = columns.map { entity.fields[$0].column } + linkColumns + named
        rows.append("SELECT \(list.joined(separator: ", "))")
        if carriesTotal {
            rows.append(", (")
            appendCount(conditions, query.deleted, entity, to: &rows)
            // By itself it would be named "count", as a field may be that the list is sorted by.
            rows.append(") AS \"_total\"")
        }
        rows.append(" FROM \(entity.table)")
        // SQLite takes whole rows along while it sorts: of all that match, and not of the page alone.
        let sortsKeys = entity.dialect == .sqlite && query.sort.first.map { $0.path != [entity.key.name] } ?? false
        if sortsKeys { rows.append(" WHERE \(entity.key.column) IN (SELECT \(entity.key.column) FROM \(entity.table)") }
        append(conditions, query.deleted, entity, to: &rows)
        rows.append(" ORDER BY \(sort) LIMIT ")
        rows.bind(stored: .integer(Int64(query.perPage)))
        if query.page > 1 {
            rows.append(" OFFSET ")
            rows.bind(stored: .integer(Int64((query.page - 1) * query.perPage)))
        }
        if sortsKeys { rows.append(") ORDER BY \(sort)") }
        let shape = RowShape(columns: columns.map { entity.rowShape.columns[$0] })
        return ListPlan(
            page: query.page,
            perPage: query.perPage,
            rows: rows.statement(
                includes.isEmpty && flags.isEmpty
                    ? carriesTotal ? .jsonAndTotal(shape) : .json(shape) : .jsonAndValues(shape)
            ),
            carriesTotal: carriesTotal,
            count: query.countsTotal ? count(conditions, query.deleted, entity) : nil,
            includes: includes,
            mask: flags.isEmpty ? nil : fields?.mask(firstFlag: linkColumns.count)
        )
    }

    private static func count(
        _ conditions: [RowCondition],
        _ deleted: RecordQuery.DeletedRows?,
        _ entity: EntityModel
    ) -> SQLStatement {
        var sql = SQLBuilder(entity.dialect)
        appendCount(conditions, deleted, entity, to: &sql)
        return sql.statement(.values)
    }

    private static func appendCount(
        _ conditions: [RowCondition],
        _ deleted: RecordQuery.DeletedRows?,
        _ entity: EntityModel,
        to sql: inout SQLBuilder
    ) {
        sql.append("SELECT count(*) FROM \(entity.table)")
        append(conditions, deleted, entity, to: &sql)
    }

    /// One record by its key or, beside it, by its slug. A text that can be neither names no record.
    ///
    /// - Parameter transitions: what is to say where the record can go, where that is asked.
    /// - Throws: 400 for unknown `fields`, 404 `NOT_FOUND`.
    package static func one(
        id: String,
        view: RecordView,
        transitions: ReachableStates? = nil,
        of entity: EntityModel,
        grant: Grant
    ) throws(RequestFailure) -> ReadOnePlan {
        precondition(grant.entity == entity.name && grant.action == .read, "a read is planned with its own grant")
        let projection = try projection(view.fields, entity, grant.access)
        let includes = try IncludePlanner.plan(view, of: entity, grant.access)
        // What goes on in a transaction has a connection of its own.
        let fields = grant.fields(of: entity)
        let isBrief = includes.isEmpty && transitions == nil && fields == nil
        let output: StatementOutput = isBrief ? .json(entity.rowShape) : .valuesAndJSON(entity.rowShape)
        var attempts: [SQLStatement] = []
        if let key = keyValue(id, entity) {
            let binds = [entity.dialect.bindable(key)]
            attempts.append(
                grant.isUnlimited
                    ? SQLStatement(entity.selectByKey, binds: binds, output: output, isBrief: isBrief)
                    : row(entity, entity.key, key, grant, output, isBrief: isBrief)
            )
        }
        let slugIndex = entity.slugField.flatMap { entity.index(of: $0.name) }
        let isSlugReadable = slugIndex.flatMap { fields?.everywhere.contains($0) } ?? true
        if let slug = entity.slugField, isSlugReadable, !id.utf8.contains(0) {
            attempts.append(row(entity, slug, .text(id), grant, output, isBrief: isBrief))
        }
        guard !attempts.isEmpty else { throw .recordNotFound(entity, id) }
        return ReadOnePlan(
            attempts: attempts,
            projection: projection,
            includes: includes,
            transitions: transitions,
            mask: fields?.mask(firstFlag: entity.fields.count)
        )
    }

    /// The row that has a value in a unique field, where the caller may read it.
    static func row(
        _ entity: EntityModel,
        _ field: FieldModel,
        _ value: FieldValue,
        _ grant: Grant,
        _ output: StatementOutput,
        isBrief: Bool
    ) -> SQLStatement {
        var sql = SQLBuilder(entity.dialect)
        let flags = grant.fields(of: entity)?.flags(.only(entity), &sql) ?? []
        let columns = ([entity.columnList] + flags).joined(separator: ", ")
        sql.append("SELECT \(columns) FROM \(entity.table) WHERE \(field.column) = ")
        sql.bind(value)
        if entity.softDelete { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
        if let condition = grant.condition {
            sql.append(" AND ")
            condition.append(to: &sql, of: .only(entity))
        }
        // What looks at other tables may take its time.
        return sql.statement(output, isBrief: isBrief && grant.isUnlimited)
    }

    /// The key that a text in a path means, or nil where it can't be a key of this entity.
    package static func keyValue(_ id: String, _ entity: EntityModel) -> FieldValue? {
        do throws(CoercionFailure) { return try entity.key.shape.value(ofText: id) } catch { return nil }
    }

    private static func append(
        _ conditions: [RowCondition],
        _ deleted: RecordQuery.DeletedRows?,
        _ entity: EntityModel,
        to sql: inout SQLBuilder
    ) {
        var separator = " WHERE "
        if entity.softDelete, deleted != .with {
            sql.append("\(separator)\(entity.deletedAtColumn) IS \(deleted == .only ? "NOT NULL" : "NULL")")
            separator = " AND "
        } else if deleted == .only {
            sql.append("\(separator)\(SQLDialect.never)")
            separator = " AND "
        }
        for condition in conditions {
            sql.append(separator)
            condition.append(to: &sql, of: .only(entity))
            separator = " AND "
        }
    }

    static func projection(
        _ fields: [String]?,
        _ entity: EntityModel,
        _ access: Access,
        _ parameter: String = "fields"
    ) throws(RequestFailure) -> [Int]? {
        guard let fields else { return nil }
        var indexes: [Int] = []
        let readable = access.grantIfAny(.read, on: entity)?.fields(of: entity)?.anywhere
        for name in fields {
            guard let index = entity.index(of: name), readable?.contains(index) ?? true else {
                throw .unknownField(name, of: entity, access, parameter: parameter)
            }
            if !indexes.contains(index) { indexes.append(index) }
        }
        return indexes.sorted()
    }
}

extension RequestFailure {
    package static func recordNotFound(_ entity: EntityModel, _ id: String) -> RequestFailure {
        RequestFailure(.notFound, "There is no \(entity.name) \"\(id.prefix(100))\"")
    }
}
