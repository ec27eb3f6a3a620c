package import RocketModel

// Definitions in, a snapshot out, or everything that is wrong with them. What one definition can say of itself
// is checked when it is read; what it says of others is checked here.

package enum SnapshotCompiler {
    /// A rule or a state machine that can't be run does not keep the app from being served: what it judges is refused.
    ///
    /// - Throws: every other violation at once, with the place of each: `relations[2].target`.
    package static func compile(
        _ definitions: DefinitionSet,
        version: Int64,
        dialect: SQLDialect
    ) throws(RequestFailure) -> AppSnapshot {
        let violations = structuralViolations(in: definitions)
        guard violations.isEmpty else { throw .validation(violations) }
        let models = models(definitions, dialect)
        let rules = RuleCompiler(definitions, models)
        return AppSnapshot(
            version: version,
            definitions: definitions,
            dialect: dialect,
            entities: models,
            logics: rules.logics,
            policies: PolicyCompiler(definitions, models).policies,
            recordTypes: rules.recordTypes,
            workflows: rules.workflows
        )
    }

    private static func models(_ definitions: DefinitionSet, _ dialect: SQLDialect) -> [String: EntityModel] {
        var models: [String: EntityModel] = [:]
        for entity in definitions.entities {
            models[entity.name] = EntityModel(
                definition: entity,
                references: references(from: entity, in: definitions, dialect),
                relations: RelationSide.sides(of: entity, in: definitions, dialect),
                dialect: dialect
            )
        }
        return models
    }

    /// Everything that is wrong, with the path of the definition within its kind.
    package static func violations(in definitions: DefinitionSet) -> [FailureDetail] {
        let violations = structuralViolations(in: definitions)
        return violations.isEmpty ? broken(in: definitions).flatMap(\.violations) : violations
    }

    /// The rules, state machines and policies that can't be run, of definitions whose entities and relations hold.
    package static func broken(in definitions: DefinitionSet) -> [BrokenDefinition] {
        let models = models(definitions, .sqlite)
        return RuleCompiler(definitions, models).broken + PolicyCompiler(definitions, models).broken
    }

    /// Every dangling or clashing name, with the path of the definition within its kind.
    package static func structuralViolations(in definitions: DefinitionSet) -> [FailureDetail] {
        var violations: [FailureDetail] = []
        var tables: [String: String] = [:]
        for (index, entity) in definitions.entities.enumerated() {
            if definitions.entities[..<index].contains(where: { $0.name == entity.name }) {
                violations.append(.dangling("entities[\(index)].name", "\"\(entity.name)\" is given twice"))
            }
            if let owner = tables[entity.table] {
                violations.append(
                    .dangling("entities[\(index)].table", "the table \"\(entity.table)\" belongs to \(owner)")
                )
            }
            tables[entity.table] = "entity \"\(entity.name)\""
        }
        for (index, relation) in definitions.relations.enumerated() {
            let path = "relations[\(index)]"
            if definitions.relations[..<index].contains(where: { $0.name == relation.name }) {
                violations.append(.dangling("\(path).name", "\"\(relation.name)\" is given twice"))
            }
            violations += self.violations(in: relation, at: path, definitions)
            if case .joinTable(let join) = relation.link {
                if let owner = tables[join.table] {
                    violations.append(
                        .dangling("\(path).join_table", "the table \"\(join.table)\" belongs to \(owner)")
                    )
                }
                tables[join.table] = "relation \"\(relation.name)\""
            }
        }
        return violations + sideViolations(in: definitions)
    }

    private static func violations(
        in relation: RelationDefinition,
        at path: String,
        _ definitions: DefinitionSet
    ) -> [FailureDetail] {
        var violations: [FailureDetail] = []
        let names = definitions.entities.map(\.name)
        let source = definitions.entities.first { $0.name == relation.source }
        let target = definitions.entities.first { $0.name == relation.target }
        for (member, name, entity) in [("source", relation.source, source), ("target", relation.target, target)]
        where entity == nil {
            let hint = suggestion(for: name, among: names)
            violations.append(.dangling("\(path).\(member)", "there is no entity \"\(name)\"\(hint)"))
        }
        guard let source, let target else { return violations }
        guard case .foreignKey(let sourceKey, let targetKey) = relation.link else { return violations }
        for (member, name, entity) in [("source_key", sourceKey, source), ("target_key", targetKey, target)]
        where entity.field(name) == nil {
            let hint = suggestion(for: name, among: entity.fields.map(\.name))
            violations.append(.dangling("\(path).\(member)", "\"\(entity.name)\" has no field \"\(name)\"\(hint)"))
        }
        guard let from = source.field(sourceKey), let to = target.field(targetKey) else { return violations }
        if from.type != to.type, !(from.type.isWhole && to.type.isWhole), !(from.type.isText && to.type.isText) {
            violations.append(
                .dangling(
                    "\(path).target_key",
                    "\"\(targetKey)\" is \(to.type.rawValue), but \"\(sourceKey)\" is \(from.type.rawValue)"
                )
            )
        }
        if sourceKey != source.primaryKey.field, !from.unique {
            violations.append(.dangling("\(path).source_key", "\"\(sourceKey)\" is neither the key nor unique"))
        }
        if targetKey == target.primaryKey.field, target.primaryKey.generated {
            violations.append(.dangling("\(path).target_key", "a generated key can't be a foreign key"))
        }
        if relation.onDelete == .setNull || relation.onDelete == .detach,
            to.isMandatory || targetKey == target.primaryKey.field
        {
            violations.append(
                .dangling(
                    "\(path).on_delete",
                    "\"\(targetKey)\" is required and can't become null; use cascade or restrict"
                )
            )
        }
        return violations
    }

    /// Both sides of a relation are read by name beside the fields, so a name may mean one thing only.
    private static func sideViolations(in definitions: DefinitionSet) -> [FailureDetail] {
        var violations: [FailureDetail] = []
        for entity in definitions.entities {
            var taken = Dictionary(entity.fields.map { ($0.name, "a field") }, uniquingKeysWith: { first, _ in first })
            for (index, relation) in definitions.relations.enumerated() {
                var sides: [(member: String, name: String)] = []
                if relation.source == entity.name { sides.append(("name", relation.name)) }
                if relation.target == entity.name { sides.append(("inverse", relation.inverseName)) }
                for side in sides {
                    if let owner = taken[side.name] {
                        violations.append(
                            .dangling(
                                "relations[\(index)].\(side.member)",
                                "\"\(side.name)\" is \(owner) of \"\(entity.name)\" already"
                            )
                        )
                    }
                    taken[side.name] = "another relation"
                }
            }
        }
        return violations
    }

    private static func references(
        from entity: EntityDefinition,
        in definitions: DefinitionSet,
        _ dialect: SQLDialect
    ) -> [ReferenceModel] {
        definitions.relations.compactMap { relation in
            guard relation.target == entity.name, case .foreignKey(let sourceKey, let targetKey) = relation.link,
                let field = entity.fields.firstIndex(where: { $0.name == targetKey }),
                let source = definitions.entities.first(where: { $0.name == relation.source })
            else { return nil }
            // The row stays until the transaction ends; a soft delete is an update, which only a share keeps out.
            let lock = dialect == .sqlite ? "" : source.softDelete ? " FOR SHARE" : " FOR KEY SHARE"
            let alive = source.softDelete ? " AND \(dialect.quote(EntityDefinition.deletedAt)) IS NULL" : ""
            // A bigint may name the row of an int.
            let cast = dialect == .postgres && entity.fields[field].type.isWhole ? "::BIGINT" : ""
            return ReferenceModel(
                relation: relation.name,
                field: field,
                targetEntity: relation.source,
                targetKey: sourceKey,
                lookupText: "SELECT 1 FROM \(dialect.quote(source.table))"
                    + " WHERE \(dialect.quote(sourceKey)) = \(dialect.placeholder(1))\(cast)\(alive)\(lock)"
            )
        }
    }
}

extension FailureDetail {
    fileprivate static func dangling(_ field: String, _ message: String) -> FailureDetail {
        FailureDetail(field: field, rule: .unknown, message: message)
    }
}
