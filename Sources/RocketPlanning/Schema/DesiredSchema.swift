import RocketModel

/// The tables and indexes that metadata asks for.
struct DesiredSchema {
    struct Table: Hashable {
        let name: String
        let columns: [Column]
        /// The columns of the key; two for a join table.
        let key: [String]
        /// Whether the database numbers new rows.
        let isNumbered: Bool
        /// Whether rows are marked as deleted rather than removed.
        var marksDeleted = false
        /// Where the table's definition stands, for error messages.
        let owner: String
    }

    struct Column: Hashable {
        let name: String
        let shape: ValueShape
        /// What rows that are there already get, where the column is new.
        let backfill: FieldValue?
        let isMandatory: Bool
        /// Where the field stands within its definition; nil for columns of the engine's own.
        let path: String?
    }

    struct Index: Hashable {
        let table: String
        let columns: [EntityDefinition.Index.Column]
        let unique: Bool
        /// Whether soft-deleted rows are left out: unique means among rows that are not deleted.
        let livingOnly: Bool
        /// Whether the column's file is indexed by its id.
        var isOfFile = false

        /// A name that no other index has: readable in front, and a hash of all that makes the index what it is.
        var name: String {
            let readable = ([table] + columns.map(\.field)).joined(separator: "_")
            let all =
                "\(table)|\(columns.map { ($0.isDescending ? "-" : "") + $0.field })|\(unique)|\(livingOnly)"
                + (isOfFile ? "|file" : "")
            let hex = String(fnv1a(all), radix: 16)
            return
                "\(readable.prefix(40))_\(unique ? "key" : "idx")_\(String(repeating: "0", count: 16 - hex.utf8.count))\(hex)"
        }
    }

    /// A column that names rows of another table.
    struct ForeignKey: Hashable {
        let table: String
        let column: String
        let parent: String
        let parentColumn: String
        let isText: Bool
        let relation: String

        /// Two relations may share a column, but then they share the constraint.
        static func == (left: ForeignKey, right: ForeignKey) -> Bool {
            left.name == right.name
        }

        func hash(into hasher: inout Hasher) { hasher.combine(name) }

        /// A name that no other constraint has: readable in front, and a hash of what it says.
        var name: String {
            let hex = String(fnv1a("\(table)|\(column)|\(parent)|\(parentColumn)"), radix: 16)
            let readable = "\(table)_\(column)".prefix(40)
            return "\(readable)_fkey_\(String(repeating: "0", count: 16 - hex.utf8.count))\(hex)"
        }
    }

    /// A relation that can have no constraint, whatever the rows are.
    struct Unconstrained: Hashable {
        let relation: String
        let reason: String
    }

    private(set) var tables: [Table] = []
    private(set) var foreignKeys: [ForeignKey] = []
    private(set) var unconstrained: [Unconstrained] = []
    private(set) var indexes: [Index] = []

    init(_ definitions: DefinitionSet) {
        for entity in definitions.entities { add(entity) }
        for relation in definitions.relations { add(relation, definitions) }
    }

    func table(_ name: String) -> Table? {
        tables.first { $0.name == name }
    }

    private mutating func add(_ entity: EntityDefinition) {
        var columns = entity.fields.enumerated().map { index, field in
            Column(
                name: field.name,
                shape: field.shape,
                backfill: field.defaultValue.flatMap { field.shape.fitting($0) },
                isMandatory: field.isMandatory && field.name != entity.primaryKey.field,
                path: "fields[\(index)]"
            )
        }
        if entity.softDelete, entity.field(EntityDefinition.deletedAt) == nil {
            columns.append(
                Column(
                    name: EntityDefinition.deletedAt,
                    shape: ValueShape(type: .timestamp),
                    backfill: nil,
                    isMandatory: false,
                    path: nil
                )
            )
        }
        tables.append(
            Table(
                name: entity.table,
                columns: columns,
                key: [entity.primaryKey.field],
                isNumbered: entity.primaryKey.generated && entity.primaryKey.type.isWhole,
                marksDeleted: entity.softDelete,
                owner: "entity \"\(entity.name)\""
            )
        )
        for field in entity.fields where field.unique && field.name != entity.primaryKey.field {
            add(index: [.init(field: field.name, isDescending: false)], on: entity, unique: true)
        }
        for field in entity.fields where field.type == .file {
            indexes.append(
                Index(
                    table: entity.table,
                    columns: [.init(field: field.name, isDescending: false)],
                    unique: false,
                    livingOnly: false,
                    isOfFile: true
                )
            )
        }
        for index in entity.indexes { add(index: index.columns, on: entity, unique: index.unique) }
    }

    private mutating func add(
        index columns: [EntityDefinition.Index.Column],
        on entity: EntityDefinition,
        unique: Bool
    ) {
        let index = Index(
            table: entity.table,
            columns: columns,
            unique: unique,
            livingOnly: unique && entity.softDelete
        )
        if !indexes.contains(index) { indexes.append(index) }
    }

    /// A constraint needs a key that is unique among all rows, deleted ones included.
    private mutating func addForeignKey(
        _ relation: RelationDefinition,
        _ table: String,
        _ column: String,
        _ parent: EntityDefinition,
        _ parentColumn: String
    ) {
        guard parent.field(parentColumn)?.type != .decimal else {
            let reason =
                "\(relation.name): no foreign-key constraint is made, because databases compare the decimals of"
                + " \"\(parentColumn)\" in different ways"
            unconstrained.append(Unconstrained(relation: relation.name, reason: reason))
            return
        }
        guard parentColumn == parent.primaryKey.field || !parent.softDelete else {
            let reason =
                "\(relation.name): no foreign-key constraint is made, because \"\(parentColumn)\" is unique among the"
                + " rows of \"\(parent.name)\" that are not deleted, and a constraint needs it to be unique among all"
            unconstrained.append(Unconstrained(relation: relation.name, reason: reason))
            return
        }
        let key = ForeignKey(
            table: table,
            column: column,
            parent: parent.table,
            parentColumn: parentColumn,
            isText: parent.field(parentColumn)?.type.isText ?? false,
            relation: relation.name
        )
        if !foreignKeys.contains(key) { foreignKeys.append(key) }
    }

    /// The index on a relation's foreign key, or its join table.
    private mutating func add(_ relation: RelationDefinition, _ definitions: DefinitionSet) {
        guard let source = definitions.entities.first(where: { $0.name == relation.source }),
            let target = definitions.entities.first(where: { $0.name == relation.target })
        else { return }
        switch relation.link {
        case .foreignKey(let sourceKey, let targetKey):
            addForeignKey(relation, target.table, targetKey, source, sourceKey)
            guard targetKey != target.primaryKey.field else { return }
            let column = EntityDefinition.Index.Column(field: targetKey, isDescending: false)
            add(index: [column], on: target, unique: relation.kind == .oneToOne)
            // The unique one knows living rows only; constraints and purges ask for all.
            if relation.kind == .oneToOne, target.softDelete { add(index: [column], on: target, unique: false) }
        case .joinTable(let join):
            let keys = [(join.sourceKey, source), (join.targetKey, target)]
            tables.append(
                Table(
                    name: join.table,
                    columns: keys.map { name, entity in
                        Column(
                            name: name,
                            shape: ValueShape(type: entity.primaryKey.type),
                            backfill: nil,
                            isMandatory: false,
                            path: nil
                        )
                    },
                    key: keys.map(\.0),
                    isNumbered: false,
                    owner: "relation \"\(relation.name)\""
                )
            )
            for (name, entity) in keys { addForeignKey(relation, join.table, name, entity, entity.primaryKey.field) }
            indexes.append(
                Index(
                    table: join.table,
                    columns: [.init(field: join.targetKey, isDescending: false)],
                    unique: false,
                    livingOnly: false
                )
            )
        }
    }
}

/// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): the same in every process, unlike Swift's hashes.
private func fnv1a(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
}

extension ValueShape {
    fileprivate func fitting(_ json: JSONValue) -> FieldValue? {
        do throws(CoercionFailure) { return try value(of: json) } catch { return nil }
    }
}
