/// An entity, as metadata describes it: exactly the stored JSON.
package struct EntityDefinition: Sendable, Hashable {
    package struct PrimaryKey: Sendable, Hashable {
        package let field: String
        package let type: FieldType
        package let generated: Bool

        package init(field: String, type: FieldType, generated: Bool) {
            self.field = field
            self.type = type
            self.generated = generated
        }
    }

    package struct Slug: Sendable, Hashable {
        package let field: String
        package let source: String?
        package let regenerateOnUpdate: Bool

        package init(field: String, source: String?, regenerateOnUpdate: Bool) {
            self.field = field
            self.source = source
            self.regenerateOnUpdate = regenerateOnUpdate
        }
    }

    package struct Index: Sendable, Hashable {
        package struct Column: Sendable, Hashable {
            package let field: String
            package let isDescending: Bool

            package init(field: String, isDescending: Bool) {
                self.field = field
                self.isDescending = isDescending
            }
        }

        package let columns: [Column]
        package let unique: Bool

        package init(columns: [Column], unique: Bool) {
            self.columns = columns
            self.unique = unique
        }
    }

    package let name: String
    package let table: String
    package let primaryKey: PrimaryKey
    package let softDelete: Bool
    /// Whether every change of a record is kept in the audit trail.
    package let history: Bool
    package let slug: Slug?
    package let indexes: [Index]
    package let fields: [FieldDefinition]

    package init(
        name: String,
        table: String,
        primaryKey: PrimaryKey,
        softDelete: Bool = true,
        history: Bool = true,
        slug: Slug? = nil,
        indexes: [Index] = [],
        fields: [FieldDefinition]
    ) {
        self.name = name
        self.table = table
        self.primaryKey = primaryKey
        self.softDelete = softDelete
        self.history = history
        self.slug = slug
        self.indexes = indexes
        self.fields = fields
    }

    package func field(_ name: String) -> FieldDefinition? {
        fields.first { $0.name == name }
    }

    /// The databases bound the columns of a table, and work grows with them.
    package static let maximumFields = 500

    /// The column that holds the instant of a soft delete.
    package static let deletedAt = "deleted_at"

    package static func read(_ object: JSONObject, path: String = "") -> (
        entity: EntityDefinition, violations: [FailureDetail]
    ) {
        var reader = DefinitionReader(object, path: path)
        let name = reader.requiredName("name")
        if name == "auth" { reader.violate("name", .type, "\"auth\" is the path of sign-in; choose another name") }
        let table = reader.object["table"] == nil ? name : reader.requiredName("table")
        _ = reader.value("table")
        if isDatabasesOwnTable(table) { reader.violate("table", .type, "the name belongs to the databases") }
        let softDelete = reader.boolean("soft_delete", default: true)
        let history = reader.boolean("history", default: true)
        let fields = readFields(&reader)
        let entity = EntityDefinition(
            name: name,
            table: table,
            primaryKey: readPrimaryKey(&reader, fields),
            softDelete: softDelete,
            history: history,
            slug: readSlug(&reader, fields),
            indexes: readIndexes(&reader, fields),
            fields: fields
        )
        if softDelete, let field = entity.field(deletedAt), field.type != .timestamp {
            reader.violate("fields", .type, "\"deleted_at\" of a soft-deleted entity is a timestamp")
        }
        reader.refuseUnknownMembers()
        return (entity, reader.violations)
    }

    private static func readFields(_ reader: inout DefinitionReader) -> [FieldDefinition] {
        guard let objects = reader.objects("fields"), !objects.isEmpty else {
            let given = reader.object["fields"] ?? .null
            if given == .null || given == .array([]) {
                reader.violate("fields", .required, "an entity has at least one field: its key")
            }
            return []
        }
        guard objects.count <= maximumFields else {
            reader.violate("fields", .type, "an entity has at most \(maximumFields) fields, got \(objects.count)")
            return []
        }
        var fields: [FieldDefinition] = []
        for (object, path) in objects {
            let (field, violations) = FieldDefinition.read(object, path: path)
            reader.include(violations)
            if !field.name.isEmpty, fields.contains(where: { $0.name == field.name }) {
                let detail = FailureDetail(
                    field: "\(path).name",
                    rule: .unknown,
                    message: "\"\(field.name)\" is given twice"
                )
                reader.include([detail])
            }
            fields.append(field)
        }
        return fields
    }

    private static func readPrimaryKey(_ reader: inout DefinitionReader, _ fields: [FieldDefinition]) -> PrimaryKey {
        guard let object = reader.object("primary_key") else {
            if reader.object["primary_key"] == nil || reader.object["primary_key"] == .null {
                reader.violate("primary_key", .required, "is required: {\"field\", \"type\", \"generated\"}")
            }
            return PrimaryKey(field: "", type: .uuid, generated: false)
        }
        var keyReader = DefinitionReader(object, path: reader.path(to: "primary_key"))
        let field = keyReader.requiredString("field")
        let typeName = keyReader.requiredString("type")
        let type = FieldType(name: typeName)
        if !typeName.isEmpty, ![.uuid, .int, .bigint, .string].contains(type) {
            keyReader.violate("type", .enum, "\"\(typeName)\" is none of uuid, int, bigint, string")
        }
        let generated = keyReader.boolean("generated", default: type != .string)
        if generated, type == .string { keyReader.violate("generated", .type, "a string key is given by the client") }
        if !field.isEmpty {
            if let definition = fields.first(where: { $0.name == field }) {
                if let type, definition.type != type {
                    keyReader.violate("type", .type, "the field \"\(field)\" is \(definition.type.rawValue)")
                }
            } else {
                let names = fields.map(\.name)
                keyReader.violate(
                    "field",
                    .unknown,
                    "\"\(field)\" is none of the fields" + suggestion(for: field, among: names)
                )
            }
        }
        keyReader.refuseUnknownMembers()
        reader.include(keyReader.violations)
        return PrimaryKey(field: field, type: type ?? .uuid, generated: generated)
    }

    private static func readSlug(_ reader: inout DefinitionReader, _ fields: [FieldDefinition]) -> Slug? {
        guard let object = reader.object("slug") else { return nil }
        var slugReader = DefinitionReader(object, path: reader.path(to: "slug"))
        let name = slugReader.requiredString("field")
        let source = slugReader.string("source")
        let regenerate = slugReader.boolean("regenerate_on_update", default: false)
        let names = fields.map(\.name)
        if let field = fields.first(where: { $0.name == name }) {
            if !field.type.isText || !field.unique {
                slugReader.violate("field", .type, "a slug is a unique string or text field")
            }
        } else if !name.isEmpty {
            slugReader.violate(
                "field",
                .unknown,
                "\"\(name)\" is none of the fields" + suggestion(for: name, among: names)
            )
        }
        if let source {
            if let field = fields.first(where: { $0.name == source }) {
                if !field.type.isText {
                    slugReader.violate("source", .type, "a slug is made from a string or text field")
                }
            } else {
                let hint = suggestion(for: source, among: names)
                slugReader.violate("source", .unknown, "\"\(source)\" is none of the fields" + hint)
            }
        } else if regenerate {
            slugReader.violate("regenerate_on_update", .type, "needs a \"source\" to make the slug from")
        }
        slugReader.refuseUnknownMembers()
        reader.include(slugReader.violations)
        return Slug(field: name, source: source, regenerateOnUpdate: regenerate)
    }

    private static func readIndexes(_ reader: inout DefinitionReader, _ fields: [FieldDefinition]) -> [Index] {
        guard let objects = reader.objects("indexes") else { return [] }
        var indexes: [Index] = []
        for (object, path) in objects {
            var indexReader = DefinitionReader(object, path: path)
            let names = indexReader.strings("fields") ?? []
            if names.isEmpty { indexReader.violate("fields", .required, "an index has at least one field") }
            let columns = names.map { name in
                Index.Column(
                    field: name.hasPrefix("-") ? String(name.dropFirst()) : name,
                    isDescending: name.hasPrefix("-")
                )
            }
            for (position, column) in columns.enumerated() {
                if let field = fields.first(where: { $0.name == column.field }) {
                    if !field.type.isComparable {
                        indexReader.violate(
                            "fields[\(position)]",
                            .type,
                            "a \(field.type.rawValue) field can't be indexed"
                        )
                    }
                } else {
                    let hint = suggestion(for: column.field, among: fields.map(\.name))
                    indexReader.violate(
                        "fields[\(position)]",
                        .unknown,
                        "\"\(column.field)\" is none of the fields" + hint
                    )
                }
                if columns[..<position].contains(where: { $0.field == column.field }) {
                    indexReader.violate("fields[\(position)]", .unknown, "\"\(column.field)\" is given twice")
                }
            }
            let index = Index(columns: columns, unique: indexReader.boolean("unique", default: false))
            indexReader.refuseUnknownMembers()
            if indexes.contains(index) { indexReader.violate("fields", .unknown, "this index is given twice") }
            reader.include(indexReader.violations)
            indexes.append(index)
        }
        return indexes
    }

    /// The definition with its defaults filled in, as it is stored and answered.
    package var json: JSONValue {
        var object: JSONObject = [
            "name": .string(name),
            "table": .string(table),
            "primary_key": [
                "field": .string(primaryKey.field), "type": .string(primaryKey.type.rawValue),
                "generated": .boolean(primaryKey.generated),
            ],
            "soft_delete": .boolean(softDelete),
            "history": .boolean(history),
        ]
        if let slug {
            var slugObject: JSONObject = ["field": .string(slug.field)]
            slugObject["source"] = slug.source.map(JSONValue.string)
            slugObject["regenerate_on_update"] = .boolean(slug.regenerateOnUpdate)
            object["slug"] = .object(slugObject)
        }
        object["indexes"] = .array(indexes.map(\.json))
        object["fields"] = .array(fields.map(\.json))
        return .object(object)
    }
}

extension EntityDefinition.Index {
    package var json: JSONValue {
        [
            "fields": .array(columns.map { .string(($0.isDescending ? "-" : "") + $0.field) }),
            "unique": .boolean(unique),
        ]
    }
}
