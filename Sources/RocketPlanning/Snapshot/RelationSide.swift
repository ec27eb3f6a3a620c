package import RocketModel

/// A relation as it is seen from one of its two entities.
package struct RelationSide: Sendable {
    /// How related rows are found.
    package enum Link: Sendable {
        /// They are the rows whose field `theirs` equals this row's field `own`: indexes into the fields of each.
        case field(own: Int, theirs: Int)
        case joinTable(Join)
    }

    /// A join table, with its columns for this side's key and for theirs, in quotes.
    package struct Join: Sendable {
        package let table: String
        package let own: String
        package let theirs: String
    }

    /// The name that the relation has on this side.
    package let name: String
    package let definition: RelationDefinition
    /// Whether the entity is the relation's source: the one that writes and deletes along it.
    package let isSource: Bool
    /// The entity at the other end.
    package let other: String
    /// Whether there may be several related rows; of one there is at most one, and it reads as an object or null.
    package let isMany: Bool
    package let link: Link

    /// Index of the own field that the link goes by.
    package func ownField(of entity: EntityModel) -> Int {
        switch link {
        case .field(let own, _): own
        case .joinTable: entity.keyIndex
        }
    }
}

extension RelationSide {
    /// Every side that an entity has of the relations.
    static func sides(
        of entity: EntityDefinition,
        in definitions: DefinitionSet,
        _ dialect: SQLDialect
    ) -> [RelationSide] {
        definitions.relations.flatMap { relation -> [RelationSide] in
            guard let source = definitions.entities.first(where: { $0.name == relation.source }),
                let target = definitions.entities.first(where: { $0.name == relation.target })
            else { return [] }
            var sides: [RelationSide] = []
            if relation.source == entity.name {
                sides += side(of: relation, isSource: true, from: source, to: target, dialect)
            }
            if relation.target == entity.name {
                sides += side(of: relation, isSource: false, from: target, to: source, dialect)
            }
            return sides
        }
    }

    private static func side(
        of relation: RelationDefinition,
        isSource: Bool,
        from own: EntityDefinition,
        to other: EntityDefinition,
        _ dialect: SQLDialect
    ) -> [RelationSide] {
        let link: Link
        switch relation.link {
        case .foreignKey(let sourceKey, let targetKey):
            let (ownName, otherName) = isSource ? (sourceKey, targetKey) : (targetKey, sourceKey)
            guard let ownIndex = own.fields.firstIndex(where: { $0.name == ownName }),
                let otherIndex = other.fields.firstIndex(where: { $0.name == otherName })
            else { return [] }
            link = .field(own: ownIndex, theirs: otherIndex)
        case .joinTable(let join):
            link = .joinTable(
                Join(
                    table: dialect.quote(join.table),
                    own: dialect.quote(isSource ? join.sourceKey : join.targetKey),
                    theirs: dialect.quote(isSource ? join.targetKey : join.sourceKey)
                )
            )
        }
        return [
            RelationSide(
                name: isSource ? relation.name : relation.inverseName,
                definition: relation,
                isSource: isSource,
                other: other.name,
                isMany: relation.kind == .manyToMany || (relation.kind == .oneToMany && isSource),
                link: link
            )
        ]
    }
}
