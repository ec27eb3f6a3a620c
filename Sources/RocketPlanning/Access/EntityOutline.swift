package import RocketModel

/// What a caller can do with the records of an entity, as documentation shows it.
package struct EntityOutline: Sendable {
    package let entity: EntityModel
    package let actions: Set<RecordAction>
    /// The fields that are read of some records at least.
    package let readable: [FieldModel]
    /// The fields that may be written.
    package let writable: [FieldModel]
    /// The relations to entities that the caller can read.
    package let relations: [RelationSide]
}

extension Access {
    /// The entities that the caller can do anything with, in the order of the metadata.
    package var outline: [EntityOutline] {
        snapshot.definitions.entities.compactMap { definition -> EntityOutline? in
            guard let entity = snapshot.model(definition.name) else { return nil }
            let grants = RecordAction.allCases.compactMap { grantIfAny($0, on: entity) }
            guard !grants.isEmpty else { return nil }
            let relations = entity.relations.filter { side in
                snapshot.model(side.other).map { grantIfAny(.read, on: $0) != nil } ?? false
            }
            return EntityOutline(
                entity: entity,
                actions: Set(grants.map(\.action)),
                readable: Self.fields(grants, [.read], entity),
                writable: Self.fields(grants, [.create, .update], entity).filter { !$0.isEngineOwned },
                relations: relations
            )
        }
    }

    private static func fields(_ grants: [Grant], _ actions: [RecordAction], _ entity: EntityModel) -> [FieldModel] {
        let chosen = grants.filter { actions.contains($0.action) }
        guard !chosen.isEmpty else { return [] }
        var indexes: Set<Int> = []
        for grant in chosen { indexes.formUnion(grant.fields(of: entity)?.anywhere ?? Set(entity.fields.indices)) }
        return entity.fields.indices.filter(indexes.contains).map { entity.fields[$0] }
    }
}
