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
                return try compiled(changed, from: definitions, prefix: "entities[\(changed.entities.count - 1)].")
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
                return try compiled(changed, from: definitions, prefix: "entities[\(index)].")
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
            return try removing(
                definitions.removingEntity(name),
                from: definitions,
                cascades: cascades,
                "The entity \"\(name)\"",
                users: definitions.users(ofEntity: name)
            )
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
                return try compiled(changed, from: definitions, prefix: "relations[\(changed.relations.count - 1)].")
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
                return try compiled(changed, from: definitions, prefix: "relations[\(index)].")
            }
        )
    }

    package static func removeRelation(
        _ name: String,
        cascades: Bool,
        precondition: Precondition?
    ) -> MetadataWriter.Change {
        { definitions in
            guard let relation = definitions.relation(name) else { throw relationNotFound(name, definitions) }
            try precondition?.require(relation.json)
            var changed = definitions
            changed.relations.removeAll { $0.name == name }
            return try removing(changed, from: definitions, cascades: cascades, "The relation \"\(name)\"")
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
    ///
    /// - Parameter prefix: of the definition at hand, with what follows it: `rules[3].`
    static func compiled(
        _ changed: DefinitionSet,
        from definitions: DefinitionSet,
        prefix: String
    ) throws(RequestFailure) -> DefinitionSet {
        let structural = SnapshotCompiler.structuralViolations(in: changed)
        guard structural.isEmpty else { throw .validation(structural.map { $0.without(prefix) }) }
        let broken = newlyBroken(changed, from: definitions, butFor: prefix)
        if let own = broken.first(where: { "\($0.path)." == prefix }) {
            throw .validation(own.violations.map { $0.without(prefix) })
        }
        guard broken.isEmpty else {
            throw RequestFailure(
                .conflict,
                "Other metadata relies on what would change",
                details: broken.flatMap { broken in
                    let who =
                        definitions.describe(broken.definition) + (broken.definition.entity.map { " of \($0)" } ?? "")
                    return broken.violations.map { detail in
                        FailureDetail(
                            field: detail.field,
                            rule: detail.rule,
                            message: "used by \(who): \(detail.message)"
                        )
                    }
                }
            )
        }
        return changed
    }

    /// The rules and state machines that a change would break; those that were broken before are not its fault.
    static func newlyBroken(
        _ changed: DefinitionSet,
        from definitions: DefinitionSet,
        butFor prefix: String = ""
    ) -> [BrokenDefinition] {
        let broken = SnapshotCompiler.broken(in: changed)
        guard !broken.isEmpty else { return [] }
        let before = Set(SnapshotCompiler.broken(in: definitions).map(\.definition.id))
        return broken.filter { "\($0.path)." == prefix || !before.contains($0.definition.id) }
    }

    /// What is left when something is taken away, without what relied on it.
    ///
    /// - Parameter users: what named it, and is gone from the changed set already.
    static func removing(
        _ changed: DefinitionSet,
        from definitions: DefinitionSet,
        cascades: Bool,
        _ what: String,
        users: [String] = []
    ) throws(RequestFailure) -> DefinitionSet {
        var left = changed
        var all = users
        // What goes may have been relied on in turn.
        while true {
            let broken = newlyBroken(left, from: definitions).map(\.definition)
            guard !broken.isEmpty else { break }
            all += broken.map(definitions.describe)
            left.others.removeAll { other in broken.contains { $0.id == other.id } }
        }
        guard all.isEmpty || cascades else { throw inUse(what, by: all) }
        return left
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

extension FailureDetail {
    /// The detail as the definition at hand itself would have it.
    fileprivate func without(_ prefix: String) -> FailureDetail {
        guard let field, field.hasPrefix(prefix) else { return self }
        return FailureDetail(field: String(field.dropFirst(prefix.count)), rule: rule, message: message)
    }
}
