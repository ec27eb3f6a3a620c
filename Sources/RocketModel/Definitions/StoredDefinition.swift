// The kinds of metadata that are kept as they were given, once their shape is checked: rules, state machines,
// permissions, webhooks and workflows, which planning compiles.

/// The kinds of metadata, as the export spells them.
package enum DefinitionKind: String, Sendable, CaseIterable {
    case entities
    case relations
    case rules
    case stateMachines = "state_machines"
    case workflows
    case permissions
    case webhooks

    /// One of them, in words for the client.
    package var noun: String {
        switch self {
        case .entities: "entity"
        case .relations: "relation"
        case .rules: "rule"
        case .stateMachines: "state machine"
        case .workflows: "workflow"
        case .permissions: "permission"
        case .webhooks: "webhook"
        }
    }
}

/// A definition that is stored as it was given, once its shape has been checked.
package struct StoredDefinition: Sendable, Hashable {
    package let kind: DefinitionKind
    package let id: String
    package let content: JSONObject

    package init(kind: DefinitionKind, id: String, content: JSONObject) {
        self.kind = kind
        self.id = id
        self.content = content
    }

    /// The name that identifies it in an import; only workflows have one.
    package var name: String? { content["name"]?.stringValue }

    /// The entity that it belongs to or starts from, where it names one.
    package var entity: String? {
        content["entity"]?.stringValue ?? content["trigger"]?.objectValue?["entity"]?.stringValue
    }

    /// Reads the members of one kind and fills in its defaults.
    ///
    /// - Parameter fields: the field names of each entity, to find dangling names with.
    package static func read(
        _ object: JSONObject,
        kind: DefinitionKind,
        path: String,
        fields: [String: [String]]
    ) -> (content: JSONObject, violations: [FailureDetail]) {
        var reader = DefinitionReader(object, path: path)
        _ = reader.value("id")
        var content = JSONObject()
        switch kind {
        case .entities, .relations:
            preconditionFailure("entities and relations have definitions of their own")
        case .rules: content = RuleDefinition.read(&reader, fields).json
        case .stateMachines: content = StateMachineDefinition.read(&reader, fields).json
        case .workflows:
            _ = WorkflowDefinition.read(&reader, fields)
            content = WorkflowDefinition.content(of: object)
        case .permissions: content = PermissionDefinition.read(&reader, fields).json
        case .webhooks: content = WebhookDefinition.read(&reader, fields).json
        }
        reader.refuseUnknownMembers()
        return (content, reader.violations)
    }
}

extension DefinitionReader {
    mutating func oneOf(_ name: String, _ words: [String], default fallback: String?) -> String {
        guard let text = string(name) else {
            if let fallback { return fallback }
            if object[name] == nil || object[name] == .null {
                violate(name, .required, "is required: one of \(words.joined(separator: ", "))")
            }
            return ""
        }
        if !words.contains(text) {
            let list = words.joined(separator: ", ")
            violate(name, .enum, "\"\(text)\" is none of \(list)" + suggestion(for: text, among: words))
        }
        return text
    }

    /// The name of an entity that there is.
    mutating func entity(_ name: String = "entity", in fields: [String: [String]]) -> String {
        let entity = requiredString(name)
        if !entity.isEmpty, fields[entity] == nil {
            violate(name, .unknown, "there is no entity \"\(entity)\"" + suggestion(for: entity, among: fields.keys))
        }
        return entity
    }

    /// The name of a field that the entity has.
    @discardableResult
    mutating func fieldName(_ name: String, of entity: String, _ fields: [String: [String]]) -> String {
        let field = requiredString(name)
        if let known = fields[entity], !field.isEmpty, !known.contains(field) {
            violate(
                name,
                .unknown,
                "\"\(entity)\" has no field \"\(field)\"" + suggestion(for: field, among: known)
            )
        }
        return field
    }

    mutating func requiredObject(_ name: String) -> JSONObject? {
        let before = violations.count
        if let object = object(name) { return object }
        if violations.count == before { violate(name, .required, "is required") }
        return nil
    }
}
