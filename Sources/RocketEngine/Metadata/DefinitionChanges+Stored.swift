package import RocketModel
package import RocketPlanning

// The kinds of metadata that are known by an id: rules and state machines.

extension DefinitionChanges {
    package static func add(
        _ kind: DefinitionKind,
        _ payload: JSONObject,
        id: String
    ) -> MetadataWriter.Change {
        { definitions in
            var changed = definitions
            changed.others.append(try read(payload, kind, id, definitions))
            let place = definitions.others.count { $0.kind == kind }
            return try compiled(changed, from: definitions, prefix: "\(kind.rawValue)[\(place)].")
        }
    }

    package static func replace(
        _ kind: DefinitionKind,
        _ id: String,
        with payload: JSONObject,
        precondition: Precondition?
    ) -> MetadataWriter.Change {
        { definitions in
            let index = try index(of: kind, id, definitions)
            try precondition?.require(definitions.others[index].json)
            var changed = definitions
            let given = keepingSecret(payload, of: definitions.others[index])
            changed.others[index] = try read(given, kind, id, definitions)
            let place = definitions.others[..<index].count { $0.kind == kind }
            return try compiled(changed, from: definitions, prefix: "\(kind.rawValue)[\(place)].")
        }
    }

    /// A secret that is not given, or covered as it was answered, stays as it is; null takes it away.
    private static func keepingSecret(_ payload: JSONObject, of definition: StoredDefinition) -> JSONObject {
        guard definition.kind == .webhooks else { return payload }
        var payload = payload
        if payload["secret"] == nil || payload["secret"] == .string(SealedSecret.cover) {
            payload["secret"] = definition.content["secret"]
        }
        return payload
    }

    package static func remove(
        _ kind: DefinitionKind,
        _ id: String,
        cascades: Bool,
        precondition: Precondition?
    ) -> MetadataWriter.Change {
        { definitions in
            let index = try index(of: kind, id, definitions)
            try precondition?.require(definitions.others[index].json)
            var changed = definitions
            changed.others.remove(at: index)
            return try removing(changed, from: definitions, cascades: cascades, "The \(kind.noun)")
        }
    }

    /// - Throws: 404 `NOT_FOUND`.
    package static func definition(
        _ kind: DefinitionKind,
        _ id: String,
        in definitions: DefinitionSet
    ) throws(RequestFailure) -> StoredDefinition {
        definitions.others[try index(of: kind, id, definitions)]
    }

    private static func index(
        of kind: DefinitionKind,
        _ id: String,
        _ definitions: DefinitionSet
    ) throws(RequestFailure) -> Int {
        let id = id.lowercased()
        guard let index = definitions.others.firstIndex(where: { $0.kind == kind && $0.id == id }) else {
            throw RequestFailure(.notFound, "There is no \(kind.noun) \"\(id.prefix(100))\"")
        }
        return index
    }

    private static func read(
        _ payload: JSONObject,
        _ kind: DefinitionKind,
        _ id: String,
        _ definitions: DefinitionSet
    ) throws(RequestFailure) -> StoredDefinition {
        let (content, violations) = StoredDefinition.read(
            payload,
            kind: kind,
            path: "",
            fields: definitions.fieldNames
        )
        guard violations.isEmpty else { throw .validation(violations) }
        return StoredDefinition(kind: kind, id: id.lowercased(), content: content)
    }
}

extension StoredDefinition {
    /// The definition as it is answered: its content behind its id, and no secret.
    package var json: JSONValue {
        var object = JSONObject(uniqueMembers: [.init(name: "id", value: .string(id))] + content.members)
        if object["secret"] != nil { object["secret"] = .string(SealedSecret.cover) }
        return .object(object)
    }
}
