/// All metadata of one app, in the order in which it was made.
package struct DefinitionSet: Sendable, Hashable {
    package var entities: [EntityDefinition]
    package var relations: [RelationDefinition]
    /// Rules, state machines, workflows, permissions and webhooks.
    package var others: [StoredDefinition]

    package init(
        entities: [EntityDefinition] = [],
        relations: [RelationDefinition] = [],
        others: [StoredDefinition] = []
    ) {
        self.entities = entities
        self.relations = relations
        self.others = others
    }

    package var fieldNames: [String: [String]] {
        Dictionary(entities.map { ($0.name, $0.fields.map(\.name)) }, uniquingKeysWith: { first, _ in first })
    }

    /// What names `entity`, in words for the client: `relation "ticket_customer"`.
    package func users(ofEntity entity: String) -> [String] {
        relations.filter { $0.source == entity || $0.target == entity }.map { "relation \"\($0.name)\"" }
            + others.filter { $0.entity == entity }.map(describe)
    }

    /// What names `field` of `entity`, in words for the client.
    package func users(ofField field: String, entity: String) -> [String] {
        let byRelation = relations.filter { relation in
            guard case .foreignKey(let sourceKey, let targetKey) = relation.link else { return false }
            return (relation.source == entity && sourceKey == field)
                || (relation.target == entity && targetKey == field)
        }
        let byOther = others.filter { other in
            guard other.entity == entity else { return false }
            let inner = other.content["definition"]?.objectValue ?? other.content["trigger"]?.objectValue
            let conditions =
                (other.content["conditions"]?.arrayValue ?? []) + (other.content["check"]?.arrayValue ?? [])
            return other.content["field"]?.stringValue == field || inner?["field"]?.stringValue == field
                || conditions.contains { $0.objectValue?["field"]?.stringValue == field }
        }
        return byRelation.map { "relation \"\($0.name)\"" } + byOther.map(describe)
    }

    /// The set without an entity and everything that names it.
    package func removingEntity(_ entity: String) -> DefinitionSet {
        DefinitionSet(
            entities: entities.filter { $0.name != entity },
            relations: relations.filter { $0.source != entity && $0.target != entity },
            others: others.filter { $0.entity != entity }
        )
    }

    /// A definition in words for the client: `rule 0199…`.
    package func describe(_ definition: StoredDefinition) -> String {
        definition.name.map { "\(definition.kind.noun) \"\($0)\"" } ?? "\(definition.kind.noun) \(definition.id)"
    }
}
