import RocketModel

/// What an ORDER BY says.
enum SortKeys {
    /// The key is always the last to sort by, so that pages never overlap. Nulls come first, with `-` last.
    ///
    /// - Throws: 400 for a field that is not there or has no order, 403 where a relation leads to an entity that the
    ///   caller can't read.
    static func spell(
        _ sort: [RecordQuery.SortKey],
        _ entity: EntityModel,
        _ row: RowName,
        _ access: Access,
        _ tables: inout VisibleTables,
        parameter: String = "sort"
    ) throws(RequestFailure) -> String {
        var keys: [String] = []
        var isUniqueAlready = false
        for key in sort {
            let (expression, field) = try expression(key.path[...], entity, row, access, &tables, parameter)
            let isKey = key.path.count == 1 && field.isPrimaryKey
            // A key is never null, and its index is in the order of a database, not in ours.
            keys.append(
                isKey
                    ? expression + (key.isDescending ? " DESC" : "")
                    : spell(expression, isDescending: key.isDescending, entity.dialect)
            )
            isUniqueAlready = isUniqueAlready || isKey
        }
        if !isUniqueAlready { keys.append(row.prefix + entity.key.column) }
        return keys.joined(separator: ", ")
    }

    private static func spell(_ expression: String, isDescending: Bool, _ dialect: SQLDialect) -> String {
        switch dialect {
        case .sqlite: expression + (isDescending ? " DESC" : "")
        case .postgres: expression + (isDescending ? " DESC NULLS LAST" : " ASC NULLS FIRST")
        }
    }

    /// The field, or the related record's: null where there is none.
    private static func expression(
        _ path: ArraySlice<String>,
        _ entity: EntityModel,
        _ row: RowName,
        _ access: Access,
        _ tables: inout VisibleTables,
        _ parameter: String
    ) throws(RequestFailure) -> (String, FieldModel) {
        let name = path.first ?? ""
        guard path.count > 1 else {
            guard let field = try access.field(name, of: entity) else {
                throw .unknownField(name, of: entity, access, parameter: parameter)
            }
            guard field.shape.type.isComparable else {
                throw .parameter(
                    parameter,
                    "\"\(field.name)\" is \(field.shape.type.rawValue) and has no order to sort by"
                )
            }
            return (row.prefix + field.comparable, field)
        }
        let (other, grant, side) = try oneRelated(name, entity, access, parameter)
        let rows = side.relatedRows(of: row, entity, other, from: tables.source(other, grant))
        return try related(path.dropFirst(), other, rows, access, &tables, parameter)
    }

    /// A chain of relations is one subquery: SQLite's parser takes but few within each other.
    private static func related(
        _ path: ArraySlice<String>,
        _ entity: EntityModel,
        _ rows: RelatedRows,
        _ access: Access,
        _ tables: inout VisibleTables,
        _ parameter: String
    ) throws(RequestFailure) -> (String, FieldModel) {
        guard path.count > 1 else {
            let (inner, field) = try expression(path, entity, rows.row, access, &tables, parameter)
            // A collation does not come out of a subquery on SQLite.
            let isDecimal = entity.dialect == .sqlite && field.shape.type == .decimal
            let collation = isDecimal ? " COLLATE \(SQLDialect.decimalCollation)" : ""
            let from = rows.tables.joined(separator: ", ")
            let conditions = rows.conditions.joined(separator: " AND ")
            return ("(SELECT \(inner) FROM \(from) WHERE \(conditions))\(collation)", field)
        }
        let (other, grant, side) = try oneRelated(path.first ?? "", entity, access, parameter)
        let further = side.relatedRows(of: rows.row, entity, other, from: tables.source(other, grant))
        let all = RelatedRows(
            tables: rows.tables + further.tables,
            conditions: rows.conditions + further.conditions,
            row: further.row
        )
        return try related(path.dropFirst(), other, all, access, &tables, parameter)
    }

    private static func oneRelated(
        _ name: String,
        _ entity: EntityModel,
        _ access: Access,
        _ parameter: String
    ) throws(RequestFailure) -> (EntityModel, Grant, RelationSide) {
        guard let side = entity.relation(name) else {
            throw .unknownRelation(name, of: entity, parameter: parameter)
        }
        guard !side.isMany else {
            throw .parameter(parameter, "\"\(name)\" leads to many records, which give no one value to sort by")
        }
        let (other, grant) = try access.related(.read, through: side, of: entity)
        return (other, grant, side)
    }
}
