package import RocketModel

/// The records that use uploaded files: a file field keeps the file's id among what is known of it, and has an index
/// on it. So nothing else needs to be kept in step with records, whatever way they change.
package enum FileUses {
    /// Statements whose rows are those of the ids that some record has, deleted ones among them.
    package static func used(_ ids: [UniqueID], in snapshot: AppSnapshot) -> [SQLStatement] {
        places(in: snapshot).map { entity, field in
            var sql = SQLBuilder(entity.dialect)
            appendRecords(with: ids, entity, field, to: &sql)
            return sql.statement(.values)
        }
    }

    /// Statements whose rows are those of the ids that a record has in a field that the caller may read.
    package static func readable(_ ids: [UniqueID], _ access: Access) -> [SQLStatement] {
        places(in: access.snapshot).compactMap { entity, field in
            guard let grant = access.grantIfAny(.read, on: entity) else { return nil }
            var sql = SQLBuilder(entity.dialect)
            appendRecords(with: ids, entity, field, to: &sql)
            if entity.softDelete { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
            guard !grant.isUnlimited else { return sql.statement(.values) }
            let alternatives = grant.alternatives.filter { $0.fields?.contains(field) ?? true }
            if !alternatives.contains(where: { $0.conditions?.isEmpty == true }) {
                sql.append(" AND ")
                RowCondition.anyOf(alternatives.compactMap(\.conditions)).append(to: &sql, of: .only(entity))
            }
            return sql.statement(.values)
        }
    }

    /// What the file fields of a record hold, whatever it is: it may be written as it is. Nil where there is no such record.
    package static func stored(_ id: String, of entity: EntityModel) -> SQLStatement? {
        guard !entity.fileFields.isEmpty, let key = ReadPlanner.keyValue(id, entity) else { return nil }
        var sql = SQLBuilder(entity.dialect)
        let columns = entity.fileFields.map { entity.fields[$0].column }.joined(separator: ", ")
        sql.append("SELECT \(columns) FROM \(entity.table) WHERE \(entity.key.column) = ")
        sql.bind(key)
        return sql.statement(.values)
    }

    /// Reads what ``stored(_:of:)`` gave.
    package static func values(_ row: [SQLValue], of entity: EntityModel) -> [JSONValue] {
        zip(entity.fileFields, row).map { entity.dialect.fieldValue($1, entity.fields[$0].shape).json }
            .filter { $0 != .null }
    }

    private static func places(in snapshot: AppSnapshot) -> [(entity: EntityModel, field: Int)] {
        snapshot.definitions.entities.compactMap { snapshot.model($0.name) }.flatMap { entity in
            entity.fileFields.map { (entity, $0) }
        }
    }

    private static func appendRecords(
        with ids: [UniqueID],
        _ entity: EntityModel,
        _ field: Int,
        to sql: inout SQLBuilder
    ) {
        let id = entity.dialect.fileID(entity.fields[field].name)
        sql.append("SELECT DISTINCT \(id) FROM \(entity.table) WHERE ")
        sql.isMember(id, of: ids.map { .text($0.text) }, ValueShape(type: .text))
    }
}

extension SQLDialect {
    /// The id of the file in a file field, as it is indexed.
    func fileID(_ field: String) -> String {
        let column = quote(field)
        return switch self {
        // An adopted table may hold what is no JSON.
        case .sqlite: "(CASE WHEN json_valid(\(column)) THEN json_extract(\(column), '$.id') END)"
        case .postgres: "(\(column) ->> 'id')"
        }
    }
}
