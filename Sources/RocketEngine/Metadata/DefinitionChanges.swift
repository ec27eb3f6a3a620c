package import RocketModel
package import RocketPlanning

// What an administrator does to one definition, as pure changes of the whole set.

package enum DefinitionChanges {
    // MARK: entities

    package static func addEntity(_ payload: JSONObject) throws(RequestFailure) -> (
        EntityDefinition, MetadataWriter.Change
    ) {
        let (entity, violations) = EntityDefinition.read(payload)
        guard violations.isEmpty else { throw .validation(violations) }
        return (
            entity,
            { definitions in
                guard definitions.entity(entity.name) == nil else { throw nameTaken("entity", entity.name) }
                var changed = definitions
                changed.entities.append(entity)
                return try compiled(changed, prefix: "entities[\(changed.entities.count - 1)].")
            }
        )
    }

    package static func replaceEntity(
        _ name: String,
        with payload: JSONObject,
        precondition: Precondition?
    ) throws(RequestFailure) -> (EntityDefinition, MetadataWriter.Change) {
        let (entity, violations) = EntityDefinition.read(payload)
        guard violations.isEmpty else { throw .validation(violations) }
        return (
            entity,
            { definitions in
                guard let index = definitions.entities.firstIndex(where: { $0.name == name }) else {
                    throw RequestFailure.unknownEntity(name, known: definitions.entities.map(\.name))
                }
                let old = definitions.entities[index]
                try precondition?.require(old.json)
                var changed = definitions
                changed.entities[index] = entity
                try refuseRename(from: old, to: entity, definitions)
                try refuseRemovedFields(from: old, to: entity, definitions)
                return try compiled(changed, prefix: "entities[\(index)].")
            }
        )
    }

    package static func removeEntity(_ name: String, cascades: Bool, precondition: Precondition?)
        -> MetadataWriter.Change
    {
        { definitions in
            guard let entity = definitions.entity(name) else {
                throw RequestFailure.unknownEntity(name, known: definitions.entities.map(\.name))
            }
            try precondition?.require(entity.json)
            let users = definitions.users(ofEntity: name)
            guard users.isEmpty || cascades else { throw inUse("The entity \"\(name)\"", by: users) }
            return definitions.removingEntity(name)
        }
    }

    private static func refuseRename(
        from old: EntityDefinition,
        to new: EntityDefinition,
        _ definitions: DefinitionSet
    ) throws(RequestFailure) {
        if old.name != new.name {
            guard definitions.entity(new.name) == nil else { throw nameTaken("entity", new.name) }
            let users = definitions.users(ofEntity: old.name)
            guard users.isEmpty else { throw inUse("The entity \"\(old.name)\"", by: users) }
        }
        if old.table != new.table {
            let detail = FailureDetail(field: "table", rule: .type, message: "the table of an entity can't change")
            throw .validation([detail])
        }
        if old.primaryKey != new.primaryKey {
            let detail = FailureDetail(field: "primary_key", rule: .type, message: "the key of an entity can't change")
            throw .validation([detail])
        }
    }

    private static func refuseRemovedFields(
        from old: EntityDefinition,
        to new: EntityDefinition,
        _ definitions: DefinitionSet
    ) throws(RequestFailure) {
        var details: [FailureDetail] = []
        for field in old.fields where new.field(field.name) == nil {
            let users = definitions.users(ofField: field.name, entity: old.name)
            if !users.isEmpty {
                details.append(
                    FailureDetail(
                        field: "fields",
                        message: "\"\(field.name)\" is used by \(users.joined(separator: ", "))"
                    )
                )
            }
        }
        guard details.isEmpty else {
            throw RequestFailure(.conflict, "A field that is in use can't be taken out", details: details)
        }
    }

    // MARK: relations

    package static func addRelation(_ payload: JSONObject) throws(RequestFailure) -> (
        RelationDefinition, MetadataWriter.Change
    ) {
        let (relation, violations) = RelationDefinition.read(payload)
        guard violations.isEmpty else { throw .validation(violations) }
        return (
            relation,
            { definitions in
                guard definitions.relation(relation.name) == nil else { throw nameTaken("relation", relation.name) }
                var changed = definitions
                changed.relations.append(relation)
                return try compiled(changed, prefix: "relations[\(changed.relations.count - 1)].")
            }
        )
    }

    package static func replaceRelation(
        _ name: String,
        with payload: JSONObject,
        precondition: Precondition?
    ) throws(RequestFailure) -> (RelationDefinition, MetadataWriter.Change) {
        let (relation, violations) = RelationDefinition.read(payload)
        guard violations.isEmpty else { throw .validation(violations) }
        return (
            relation,
            { definitions in
                guard let index = definitions.relations.firstIndex(where: { $0.name == name }) else {
                    throw relationNotFound(name, definitions)
                }
                try precondition?.require(definitions.relations[index].json)
                guard relation.name == name || definitions.relation(relation.name) == nil else {
                    throw nameTaken("relation", relation.name)
                }
                var changed = definitions
                changed.relations[index] = relation
                return try compiled(changed, prefix: "relations[\(index)].")
            }
        )
    }

    package static func removeRelation(_ name: String, precondition: Precondition?) -> MetadataWriter.Change {
        { definitions in
            guard let relation = definitions.relation(name) else { throw relationNotFound(name, definitions) }
            try precondition?.require(relation.json)
            var changed = definitions
            changed.relations.removeAll { $0.name == name }
            return changed
        }
    }

    package static func relationNotFound(_ name: String, _ definitions: DefinitionSet) -> RequestFailure {
        RequestFailure(
            .notFound,
            "There is no relation \"\(name)\"" + suggestion(for: name, among: definitions.relations.map(\.name))
        )
    }

    // MARK: parts

    /// Compiles the changed set for its violations; those of the one definition at hand lose their prefix.
    private static func compiled(_ definitions: DefinitionSet, prefix: String) throws(RequestFailure) -> DefinitionSet {
        let violations = SnapshotCompiler.violations(in: definitions).map { detail in
            guard let field = detail.field, field.hasPrefix(prefix) else { return detail }
            return FailureDetail(
                field: String(field.dropFirst(prefix.count)),
                rule: detail.rule,
                message: detail.message
            )
        }
        guard violations.isEmpty else { throw .validation(violations) }
        return definitions
    }

    private static func nameTaken(_ kind: String, _ name: String) -> RequestFailure {
        RequestFailure(
            .conflict,
            "There is \(kind == "entity" ? "an" : "a") \(kind) \"\(name)\" already",
            details: [FailureDetail(field: "name", message: "is taken")]
        )
    }

    private static func inUse(_ what: String, by users: [String]) -> RequestFailure {
        RequestFailure(
            .conflict,
            "\(what) is used by other metadata; add ?cascade=true to a DELETE to remove that too",
            details: users.map { FailureDetail(message: "used by \($0)") }
        )
    }
}

extension DefinitionSet {
    package func entity(_ name: String) -> EntityDefinition? {
        entities.first { $0.name == name }
    }

    package func relation(_ name: String) -> RelationDefinition? {
        relations.first { $0.name == name }
    }
}

extension Precondition {
    /// - Throws: 412 where the definition has another version.
    func require(_ definition: JSONValue) throws(RequestFailure) {
        guard isMet(by: RecordVersion.tag(ofRow: definition.jsonBytes)) else {
            throw RequestFailure(
                .preconditionFailed,
                "The definition has changed since the version that If-Match names"
            )
        }
    }
}
