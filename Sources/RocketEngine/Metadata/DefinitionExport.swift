package import RocketModel

/// All definitions of an app as one document, which an empty app imports. It holds no ids, no users, no secrets.
package enum DefinitionExport {
    package static func document(_ definitions: DefinitionSet, at now: Timestamp) -> JSONObject {
        var document: JSONObject = ["version": 1, "exported_at": .string(now.rfc3339)]
        for kind in DefinitionKind.allCases {
            let items: [JSONValue] =
                switch kind {
                case .entities: definitions.entities.map(\.json)
                case .relations: definitions.relations.map(\.json)
                default: definitions.others.filter { $0.kind == kind }.map { .object($0.exported) }
                }
            document[kind.rawValue] = .array(items)
        }
        return document
    }
}

extension StoredDefinition {
    /// The definition without its id and its secret.
    var exported: JSONObject {
        JSONObject(uniqueMembers: content.members.filter { $0.name != "secret" })
    }
}
