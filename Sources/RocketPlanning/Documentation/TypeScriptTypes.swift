package import RocketModel

/// TypeScript's types for the records of an app: for each entity what is read, what a create takes and what an update
/// takes.
package struct TypeScriptTypes: Sendable {
    private let definitions: DefinitionSet

    package init(_ definitions: DefinitionSet) {
        self.definitions = definitions
    }

    package var text: String {
        let entities = definitions.entities
        let map = entities.map { "  \($0.name): \(TypeNames.pascal($0.name));" }
        return """
            // Types of the records of an app, made by "rocket types". Numbers of the types bigint and decimal have all of
            // their digits in JSON; JavaScript's own parser keeps about 15 of them.

            """ + Self.file + entities.map { "\n" + types(of: $0) }.joined()
                + "\nexport interface Entities {\n\(map.joined(separator: "\n"))\n}\n"
    }

    private static let file = """

        export interface FileInfo {
          id: string;
          filename: string;
          size: number;
          mime_type: string;
        }

        """

    private func types(of entity: EntityDefinition) -> String {
        let name = TypeNames.pascal(entity.name)
        let sides = relations(of: entity)
        let writable = entity.fields.filter { !isEngineOwned($0, entity) }
        return interface(
            name,
            entity.fields.map { "\($0.name): \(Self.type(of: $0, entity));" }
                + (entity.softDelete && entity.field(EntityDefinition.deletedAt) == nil
                    ? ["deleted_at?: string | null;"] : [])
                + sides.map { "\($0.name)?: \($0.isMany ? "\($0.other)[]" : "\($0.other) | null");" }
        )
            + interface(
                name + "Create",
                writable.map { "\($0.name)\(isNeeded($0, entity) ? "" : "?"): \(Self.type(of: $0, entity));" }
                    + nested(sides)
            )
            + interface(
                name + "Update",
                writable.filter { $0.name != entity.primaryKey.field }.map {
                    "\($0.name)?: \(Self.type(of: $0, entity));"
                } + nested(sides)
            )
    }

    private func interface(_ name: String, _ lines: [String]) -> String {
        "export interface \(name) {\n\(lines.map { "  \($0)\n" }.joined())}\n\n"
    }

    // MARK: fields

    /// As the snapshot has it: auto fields, a generated key, the mark of soft deletes.
    private func isEngineOwned(_ field: FieldDefinition, _ entity: EntityDefinition) -> Bool {
        field.auto != nil || (entity.softDelete && field.name == EntityDefinition.deletedAt)
            || (field.name == entity.primaryKey.field && entity.primaryKey.generated)
    }

    private func isNeeded(_ field: FieldDefinition, _ entity: EntityDefinition) -> Bool {
        let isKey = field.name == entity.primaryKey.field
        return (field.isMandatory || isKey) && field.defaultValue == nil && entity.slug?.field != field.name
    }

    private static func type(of field: FieldDefinition, _ entity: EntityDefinition) -> String {
        let base =
            field.allowedValues.map { values in values.filter { $0 != .null }.map(\.jsonText).joined(separator: " | ") }
            ?? type(of: field.type)
        let isThere = field.isMandatory || field.name == entity.primaryKey.field
        return isThere ? base : "\(base) | null"
    }

    private static func type(of type: FieldType) -> String {
        switch type {
        case .string, .text, .uuid, .timestamp, .date: "string"
        case .int, .bigint, .float, .decimal: "number"
        case .boolean: "boolean"
        case .json: "unknown"
        case .file: "FileInfo"
        }
    }

    // MARK: relations

    private struct Side {
        let name: String
        let other: String
        let otherKey: String
        let isMany: Bool
        let isSource: Bool

        init(_ relation: RelationDefinition, _ other: EntityDefinition, isMany: Bool, isSource: Bool) {
            name = relation.name
            self.other = TypeNames.pascal(other.name)
            otherKey = other.primaryKey.field
            self.isMany = isMany
            self.isSource = isSource
        }
    }

    private func relations(of entity: EntityDefinition) -> [Side] {
        var names = Set(entity.fields.map(\.name))
        var sides: [Side] = []
        for relation in definitions.relations {
            let isJoined = if case .joinTable = relation.link { true } else { false }
            let isSingle = relation.kind == .oneToOne
            var found: [Side] = []
            if relation.source == entity.name,
                let other = definitions.entities.first(where: { $0.name == relation.target })
            {
                found.append(Side(relation, other, isMany: !isSingle, isSource: true))
            }
            if relation.target == entity.name,
                let other = definitions.entities.first(where: { $0.name == relation.source })
            {
                found.append(Side(relation, other, isMany: isJoined, isSource: false))
            }
            for side in found where names.insert(side.name).inserted { sides.append(side) }
        }
        return sides
    }

    /// Rows below the record, written with it.
    private func nested(_ sides: [Side]) -> [String] {
        sides.filter(\.isSource).map { side in
            let row =
                "Partial<\(side.other)Create> & { id?: \(side.other)[\"id\" & keyof \(side.other)]; _delete?: boolean }"
            return "\(side.name)?: \(side.isMany ? "(\(row))[]" : "\(row) | null");"
        }
    }
}
