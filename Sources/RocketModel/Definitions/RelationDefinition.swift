/// A relation between two entities, as metadata describes it. The foreign key lives on the target, or in the
/// join table of a many-to-many relation.
package struct RelationDefinition: Sendable, Hashable {
    package enum Kind: String, Sendable, CaseIterable {
        case oneToOne = "one_to_one"
        case oneToMany = "one_to_many"
        case manyToMany = "many_to_many"
    }

    package enum Ownership: String, Sendable, CaseIterable {
        case source
        case target
        case none
    }

    package enum OnDelete: String, Sendable, CaseIterable {
        case cascade
        case restrict
        case setNull = "set_null"
        case detach
    }

    package enum Fetch: String, Sendable, CaseIterable {
        case lazy
        case eager
    }

    package enum WriteMode: String, Sendable, CaseIterable {
        case diff
        case replace
        case append
    }

    package struct JoinTable: Sendable, Hashable {
        package let table: String
        package let sourceKey: String
        package let targetKey: String

        package init(table: String, sourceKey: String, targetKey: String) {
            self.table = table
            self.sourceKey = sourceKey
            self.targetKey = targetKey
        }
    }

    /// Where the link between two rows is stored.
    package enum Link: Sendable, Hashable {
        case foreignKey(sourceKey: String, targetKey: String)
        case joinTable(JoinTable)
    }

    package let name: String
    package let kind: Kind
    package let source: String
    package let target: String
    package let link: Link
    /// The relation's name as seen from the target; nil for the default, which is the relation's own.
    package let inverse: String?
    package let ownership: Ownership
    package let onDelete: OnDelete
    package let fetch: Fetch
    package let writeMode: WriteMode

    package init(
        name: String,
        kind: Kind,
        source: String,
        target: String,
        link: Link,
        inverse: String? = nil,
        ownership: Ownership = .source,
        onDelete: OnDelete,
        fetch: Fetch = .lazy,
        writeMode: WriteMode = .diff
    ) {
        self.name = name
        self.kind = kind
        self.source = source
        self.target = target
        self.link = link
        self.inverse = inverse
        self.ownership = ownership
        self.onDelete = onDelete
        self.fetch = fetch
        self.writeMode = writeMode
    }

    /// The name that the target's side has: by default the relation's own, or `<name>_parent` where the relation
    /// leads from an entity to itself.
    package var inverseName: String {
        inverse ?? (source == target ? name + "_parent" : name)
    }

    package static func read(_ object: JSONObject, path: String = "") -> (
        relation: RelationDefinition, violations: [FailureDetail]
    ) {
        var reader = DefinitionReader(object, path: path)
        let name = reader.requiredName("name")
        let kind = reader.requiredWord("type", as: Kind.self) ?? .oneToMany
        let relation = RelationDefinition(
            name: name,
            kind: kind,
            source: reader.requiredString("source"),
            target: reader.requiredString("target"),
            link: readLink(&reader, kind),
            inverse: reader.object["inverse"] == nil ? nil : reader.requiredName("inverse"),
            ownership: reader.word("ownership", as: Ownership.self) ?? .source,
            onDelete: reader.requiredWord("on_delete", as: OnDelete.self) ?? .restrict,
            fetch: reader.word("fetch", as: Fetch.self) ?? .lazy,
            writeMode: reader.word("write_mode", as: WriteMode.self) ?? .diff
        )
        _ = reader.value("inverse")
        reader.refuseUnknownMembers()
        return (relation, reader.violations)
    }

    private static func readLink(_ reader: inout DefinitionReader, _ kind: Kind) -> Link {
        let keys = ["source_key", "target_key"]
        let joins = ["join_table", "source_join_key", "target_join_key"]
        for name in kind == .manyToMany ? keys : joins where reader.object[name] != nil {
            _ = reader.value(name)
            reader.violate(
                name,
                .unknown,
                "a \(kind.rawValue) relation has \((kind == .manyToMany ? joins : keys).joined(separator: ", "))"
            )
        }
        guard kind == .manyToMany else {
            return .foreignKey(
                sourceKey: reader.requiredString("source_key"),
                targetKey: reader.requiredString("target_key")
            )
        }
        let join = JoinTable(
            table: reader.requiredName("join_table"),
            sourceKey: reader.requiredName("source_join_key"),
            targetKey: reader.requiredName("target_join_key")
        )
        if join.sourceKey == join.targetKey, !join.sourceKey.isEmpty {
            reader.violate("target_join_key", .type, "the two keys of a join table need two names")
        }
        for (member, key) in [("source_join_key", join.sourceKey), ("target_join_key", join.targetKey)]
        where FieldDefinition.reservedNames.contains(key) {
            reader.violate(member, .type, "\"\(key)\" is a column of the database's own")
        }
        if isDatabasesOwnTable(join.table) {
            reader.violate("join_table", .type, "the name belongs to the databases")
        }
        return .joinTable(join)
    }

    /// The definition with its defaults filled in, as it is stored and answered.
    package var json: JSONValue {
        var object: JSONObject = [
            "name": .string(name), "type": .string(kind.rawValue), "source": .string(source), "target": .string(target),
        ]
        switch link {
        case .foreignKey(let sourceKey, let targetKey):
            object["source_key"] = .string(sourceKey)
            object["target_key"] = .string(targetKey)
        case .joinTable(let join):
            object["join_table"] = .string(join.table)
            object["source_join_key"] = .string(join.sourceKey)
            object["target_join_key"] = .string(join.targetKey)
        }
        object["inverse"] = .string(inverseName)
        object["ownership"] = .string(ownership.rawValue)
        object["on_delete"] = .string(onDelete.rawValue)
        object["fetch"] = .string(fetch.rawValue)
        object["write_mode"] = .string(writeMode.rawValue)
        return .object(object)
    }
}
