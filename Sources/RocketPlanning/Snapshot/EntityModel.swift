package import RocketModel

/// A field, ready to run: its definition with everything computed that requests would compute again and again.
package struct FieldModel: Sendable {
    package let definition: FieldDefinition
    /// The column's name in quotes.
    package let column: String
    /// The column as it is compared and sorted by: an adopted one may lack the collation of decimals.
    package let comparable: String
    package let defaultValue: FieldValue?
    package let allowedValues: [FieldValue]?
    /// Whether the engine alone writes the field: auto fields, a generated key, `deleted_at` of soft deletes.
    package let isEngineOwned: Bool
    package let isPrimaryKey: Bool

    package var name: String { definition.name }
    package var shape: ValueShape { definition.shape }
}

/// A field that must name an existing row of another entity.
package struct ReferenceModel: Sendable {
    package let relation: String
    /// Index into ``EntityModel/fields``.
    package let field: Int
    package let targetEntity: String
    package let targetKey: String
    /// `SELECT 1 … WHERE key = ?1`, less the soft-deleted rows: they do not exist.
    let lookupText: String
}

/// An entity, ready to run. Immutable; a request reads it from the snapshot that it began with.
package final class EntityModel: Sendable {
    package let definition: EntityDefinition
    package let dialect: SQLDialect
    /// The fields in the order of the metadata.
    package let fields: [FieldModel]
    private let indexByName: [String: Int]
    package let key: FieldModel
    package let keyIndex: Int
    /// The table's name in quotes.
    package let table: String
    /// All fields as JSON.
    package let rowShape: RowShape
    /// All columns, for SELECT and RETURNING.
    package let columnList: String
    /// ` WHERE key = ?1`, less the soft-deleted rows.
    package let selectByKey: String
    package let references: [ReferenceModel]
    /// The fields that hold uploaded files.
    package let fileFields: [Int]
    /// The sides that the entity has of the relations, in the order of the metadata.
    package let relations: [RelationSide]
    private let relationByName: [String: Int]

    package init(
        definition: EntityDefinition,
        references: [ReferenceModel],
        relations: [RelationSide] = [],
        dialect: SQLDialect
    ) {
        self.definition = definition
        self.dialect = dialect
        let fields = definition.fields.map { field in
            let isKey = field.name == definition.primaryKey.field
            let isDeletedAt = definition.softDelete && field.name == EntityDefinition.deletedAt
            return FieldModel(
                definition: field,
                column: dialect.quote(field.name),
                comparable: dialect.comparable(field.name, field.shape),
                defaultValue: field.defaultValue.flatMap { field.shape.valueOrNil(of: $0) },
                allowedValues: field.allowedValues?.compactMap { field.shape.valueOrNil(of: $0) },
                isEngineOwned: field.auto != nil || isDeletedAt || (isKey && definition.primaryKey.generated),
                isPrimaryKey: isKey
            )
        }
        self.fields = fields
        indexByName = Dictionary(fields.indices.map { (fields[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
        keyIndex = indexByName[definition.primaryKey.field] ?? 0
        key = fields[keyIndex]
        table = dialect.quote(definition.table)
        rowShape = RowShape(columns: fields.map { ColumnShape(name: $0.name, type: $0.definition.type) })
        columnList = fields.map(\.column).joined(separator: ", ")
        let alive = definition.softDelete ? " AND \(dialect.quote(EntityDefinition.deletedAt)) IS NULL" : ""
        selectByKey =
            "SELECT \(columnList) FROM \(table) WHERE \(key.column) = \(dialect.placeholder(1))\(alive)"
        self.references = references
        fileFields = fields.indices.filter { fields[$0].shape.type == .file }
        self.relations = relations
        relationByName = Dictionary(
            relations.indices.map { (relations[$0].name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    package var name: String { definition.name }
    package var softDelete: Bool { definition.softDelete }
    package var deletedAtColumn: String { dialect.quote(EntityDefinition.deletedAt) }
    package var fieldNames: [String] { fields.map(\.name) }

    package func index(of name: String) -> Int? { indexByName[name] }
    package func field(_ name: String) -> FieldModel? { indexByName[name].map { fields[$0] } }

    package func relation(_ name: String) -> RelationSide? { relationByName[name].map { relations[$0] } }

    /// Whether a payload says something of a relation.
    package func isNested(_ payload: JSONObject) -> Bool {
        !relations.isEmpty && payload.members.contains { index(of: $0.name) == nil && relation($0.name) != nil }
    }

    /// Whether a payload changes a field, beside the key, by which other records are related to this one.
    package func changesLinks(_ payload: JSONObject) -> Bool {
        relations.contains { side in
            guard side.isSource, case .field(let own, _) = side.link, own != keyIndex else { return false }
            return payload[fields[own].name] != nil
        }
    }

    package var slugField: FieldModel? { definition.slug.flatMap { field($0.field) } }
}

extension ValueShape {
    /// The value where it fits; definitions are checked before a model is made of them.
    fileprivate func valueOrNil(of json: JSONValue) -> FieldValue? {
        do throws(CoercionFailure) { return try value(of: json) } catch { return nil }
    }
}

extension ReferenceModel {
    /// A row where `value` names an existing record.
    func lookup(_ value: FieldValue, _ dialect: SQLDialect) -> SQLStatement {
        SQLStatement(lookupText, binds: [dialect.bindable(value)], output: .values)
    }
}
