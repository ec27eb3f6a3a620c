package import RocketModel

// Decides what a read sends to the database: no I/O, no clock.

package enum ReadPlanner {
    /// - Throws: 400 for names and values that the entity does not take, 403 for `deleted` without the right.
    package static func list(
        _ query: RecordQuery,
        of entity: EntityModel,
        grant: Grant
    ) throws(RequestFailure) -> ListPlan {
        precondition(grant.entity == entity.name && grant.action == .read, "a list is planned with its own grant")
        var conditions: [RowCondition] = []
        for filter in query.filters { conditions.append(try RowCondition.resolve(filter, entity)) }
        let sort = try sortKeys(query, entity)
        let columns = try projection(query.fields, entity) ?? Array(entity.fields.indices)
        if query.deleted != nil, !grant.isAdministrator {
            throw RequestFailure(.forbidden, "Only administrators see deleted records")
        }
        // One statement instead of three in a transaction; a page further on may be empty, and bring no total.
        let carriesTotal = entity.dialect == .postgres && query.countsTotal && query.page == 1
        var rows = SQLBuilder(entity.dialect)
        rows.append("SELECT \(columns.map { entity.fields[$0].column }.joined(separator: ", "))")
        if carriesTotal {
            rows.append(", (")
            appendCount(conditions, query.deleted, entity, to: &rows)
            rows.append(")")
        }
        rows.append(" FROM \(entity.table)")
        append(conditions, query.deleted, entity, to: &rows)
        rows.append(" ORDER BY \(sort) LIMIT ")
        rows.bind(stored: .integer(Int64(query.perPage)))
        if query.page > 1 {
            rows.append(" OFFSET ")
            rows.bind(stored: .integer(Int64((query.page - 1) * query.perPage)))
        }
        let shape = RowShape(columns: columns.map { entity.rowShape.columns[$0] })
        return ListPlan(
            page: query.page,
            perPage: query.perPage,
            rows: rows.statement(carriesTotal ? .jsonAndTotal(shape) : .json(shape)),
            carriesTotal: carriesTotal,
            count: query.countsTotal ? count(conditions, query.deleted, entity) : nil
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
    /// - Throws: 400 for unknown `fields`, 404 `NOT_FOUND`.
    package static func one(
        id: String,
        fields: [String]?,
        of entity: EntityModel,
        grant: Grant
    ) throws(RequestFailure) -> ReadOnePlan {
        precondition(grant.entity == entity.name && grant.action == .read, "a read is planned with its own grant")
        let projection = try projection(fields, entity)
        var attempts: [SQLStatement] = []
        if let key = keyValue(id, entity) {
            attempts.append(byKey(key, entity))
        }
        if let slug = entity.slugField, !id.utf8.contains(0) {
            var sql = SQLBuilder(entity.dialect)
            sql.append("SELECT \(entity.columnList) FROM \(entity.table) WHERE \(slug.column) = ")
            sql.bind(.text(id))
            if entity.softDelete { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
            attempts.append(sql.statement(.json(entity.rowShape), isBrief: true))
        }
        guard !attempts.isEmpty else { throw .recordNotFound(entity, id) }
        return ReadOnePlan(attempts: attempts, projection: projection)
    }

    /// The stored row of a key, whole, as JSON.
    static func byKey(_ key: FieldValue, _ entity: EntityModel) -> SQLStatement {
        SQLStatement(
            entity.selectByKey,
            binds: [entity.dialect.bindable(key)],
            output: .json(entity.rowShape),
            isBrief: true
        )
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
            sql.append("\(separator)FALSE")
            separator = " AND "
        }
        for condition in conditions {
            sql.append(separator)
            condition.append(to: &sql)
            separator = " AND "
        }
    }

    /// The key is always the last to sort by, so that pages never overlap. Nulls come first, with `-` last.
    private static func sortKeys(_ query: RecordQuery, _ entity: EntityModel) throws(RequestFailure) -> String {
        var keys: [String] = []
        var isUniqueAlready = false
        for key in query.sort {
            guard let field = entity.field(key.field) else {
                throw .unknownField(key.field, of: entity, parameter: "sort")
            }
            guard field.shape.type.isComparable else {
                throw .parameter(
                    "sort",
                    "\"\(field.name)\" is \(field.shape.type.rawValue) and has no order to sort by"
                )
            }
            keys.append(spell(field, isDescending: key.isDescending, entity.dialect))
            isUniqueAlready = isUniqueAlready || field.isPrimaryKey
        }
        if !isUniqueAlready { keys.append(entity.key.column) }
        return keys.joined(separator: ", ")
    }

    private static func spell(_ field: FieldModel, isDescending: Bool, _ dialect: SQLDialect) -> String {
        switch dialect {
        case .sqlite: field.comparable + (isDescending ? " DESC" : "")
        case .postgres: field.comparable + (isDescending ? " DESC NULLS LAST" : " ASC NULLS FIRST")
        }
    }

    private static func projection(_ fields: [String]?, _ entity: EntityModel) throws(RequestFailure) -> [Int]? {
        guard let fields else { return nil }
        var indexes: [Int] = []
        for name in fields {
            guard let index = entity.index(of: name) else {
                throw .unknownField(name, of: entity, parameter: "fields")
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
