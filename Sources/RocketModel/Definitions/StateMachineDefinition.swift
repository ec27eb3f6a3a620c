/// A state machine, as metadata describes it: the states that a field may have, and the ways between them.
package struct StateMachineDefinition: Sendable, Hashable {
    package struct Transition: Sendable, Hashable {
        /// The states that it leads out of; ``anyState`` stands for all of them.
        package let from: [String]
        package let to: String
        /// Who may take it; nil for everyone.
        package let roles: [String]?
        /// An expression whose truthy value allows it.
        package let guardExpression: String?
        package let actions: [Action]
    }

    /// What is done in the transaction of a transition.
    package enum Action: Sendable, Hashable {
        case setField(String, ValueSource)
        case createRecord(entity: String, values: [NamedValue])
        case webhook(WebhookCall)
        case sendEvent(String, payload: [NamedValue])
    }

    /// Where a value comes from.
    package enum ValueSource: Sendable, Hashable {
        case literal(JSONValue)
        case expression(String)
    }

    package struct NamedValue: Sendable, Hashable {
        package let name: String
        package let source: ValueSource
    }

    /// In `from`: whatever the state is.
    package static let anyState = "*"

    package let entity: String
    package let field: String
    package let initial: String
    package let transitions: [Transition]
    package let isActive: Bool

    /// Reads a state machine that was checked when it was saved.
    package init(stored content: JSONObject) {
        var reader = DefinitionReader(content)
        self = Self.read(&reader, [:])
    }

    private init(entity: String, field: String, initial: String, transitions: [Transition], isActive: Bool) {
        self.entity = entity
        self.field = field
        self.initial = initial
        self.transitions = transitions
        self.isActive = isActive
    }

    /// - Parameter fields: the field names of each entity, to find dangling names with.
    static func read(_ reader: inout DefinitionReader, _ fields: [String: [String]]) -> StateMachineDefinition {
        let entity = reader.entity(in: fields)
        let field = reader.fieldName("field", of: entity, fields)
        var initial = ""
        var transitions: [Transition] = []
        if let definition = reader.requiredObject("definition") {
            var inner = DefinitionReader(definition, path: reader.path(to: "definition"))
            initial = inner.requiredString("initial")
            if initial == anyState { inner.violate("initial", .type, "\"*\" is no state") }
            for (object, path) in inner.objects("transitions") ?? [] {
                var step = DefinitionReader(object, path: path)
                transitions.append(readTransition(&step))
                inner.include(step.violations)
            }
            if definition["transitions"] ?? .null == .null { inner.violate("transitions", .required, "is required") }
            inner.refuseUnknownMembers()
            reader.include(inner.violations)
        }
        return StateMachineDefinition(
            entity: entity,
            field: field,
            initial: initial,
            transitions: transitions,
            isActive: reader.boolean("active", default: true)
        )
    }

    private static func readTransition(_ step: inout DefinitionReader) -> Transition {
        var from: [String] = []
        if case .string(let state)? = step.object["from"] {
            _ = step.value("from")
            from = [state]
        } else {
            from = step.strings("from") ?? []
        }
        let isGiven = step.object["from"] ?? .null != .null
        if from.contains("") || (from.isEmpty && (!isGiven || step.object["from"] == .array([]))) {
            step.violate("from", .required, "is required: a state, or an array of states")
        }
        let to = step.requiredString("to")
        if to == anyState { step.violate("to", .type, "\"*\" is no state") }
        let roles = step.strings("roles")
        if roles?.isEmpty == true { step.violate("roles", .type, "a list without roles lets nobody pass but admin") }
        var actions: [Action] = []
        let guardExpression = step.string("guard")
        for (object, path) in step.objects("actions") ?? [] {
            var inner = DefinitionReader(object, path: path)
            if let action = readAction(&inner) { actions.append(action) }
            inner.refuseUnknownMembers()
            step.include(inner.violations)
        }
        step.refuseUnknownMembers()
        return Transition(from: from, to: to, roles: roles, guardExpression: guardExpression, actions: actions)
    }

    private enum ActionType: String, CaseIterable {
        case setField = "set_field"
        case createRecord = "create_record"
        case webhook
        case sendEvent = "send_event"
    }

    private static func readAction(_ reader: inout DefinitionReader) -> Action? {
        guard let type = reader.requiredWord("type", as: ActionType.self) else {
            // What else it says can't be judged.
            for name in reader.object.names { _ = reader.value(name) }
            return nil
        }
        switch type {
        case .setField:
            let field = reader.requiredString("field")
            let hasValue = reader.object["value"] != nil
            _ = reader.value("value")
            let expression = reader.string("expression")
            if hasValue == (expression != nil) {
                reader.violate("value", .required, "a set_field has either \"value\" or \"expression\"")
            }
            let value = ValueSource.literal(reader.object["value"] ?? .null)
            return .setField(field, expression.map(ValueSource.expression) ?? value)
        case .createRecord:
            let entity = reader.requiredString("entity")
            return .createRecord(entity: entity, values: readValues("values", &reader))
        case .webhook:
            return .webhook(WebhookCall.read(&reader))
        case .sendEvent:
            return .sendEvent(reader.requiredString("event"), payload: readValues("payload", &reader))
        }
    }

    /// Members that are literals, or `{"expression": …}`.
    private static func readValues(_ name: String, _ reader: inout DefinitionReader) -> [NamedValue] {
        (reader.object(name) ?? JSONObject()).members.map { member in
            if case .object(let object) = member.value, object.names == ["expression"],
                case .string(let text)? = object["expression"]
            {
                return NamedValue(name: member.name, source: .expression(text))
            }
            return NamedValue(name: member.name, source: .literal(member.value))
        }
    }

    /// The definition with its defaults filled in, as it is stored and answered.
    package var json: JSONObject {
        [
            "entity": .string(entity), "field": .string(field),
            "definition": ["initial": .string(initial), "transitions": .array(transitions.map(\.json))],
            "active": .boolean(isActive),
        ]
    }
}

extension StateMachineDefinition.Transition {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["from": .array(from.map(JSONValue.string)), "to": .string(to)]
        object["roles"] = roles.map { .array($0.map(JSONValue.string)) }
        object["guard"] = guardExpression.map(JSONValue.string)
        object["actions"] = .array(actions.map(\.json))
        return .object(object)
    }
}

extension StateMachineDefinition.Action {
    fileprivate var json: JSONValue {
        switch self {
        case .setField(let field, .literal(let value)):
            ["type": "set_field", "field": .string(field), "value": value]
        case .setField(let field, .expression(let expression)):
            ["type": "set_field", "field": .string(field), "expression": .string(expression)]
        case .createRecord(let entity, let values):
            ["type": "create_record", "entity": .string(entity), "values": Self.json(values)]
        case .webhook(let call):
            .object(JSONObject(uniqueMembers: [.init(name: "type", value: "webhook")] + call.json.members))
        case .sendEvent(let event, let payload):
            ["type": "send_event", "event": .string(event), "payload": Self.json(payload)]
        }
    }

    private static func json(_ values: [StateMachineDefinition.NamedValue]) -> JSONValue {
        .object(
            JSONObject(
                uniqueMembers: values.map { value in
                    switch value.source {
                    case .literal(let json): .init(name: value.name, value: json)
                    case .expression(let text): .init(name: value.name, value: ["expression": .string(text)])
                    }
                }
            )
        )
    }
}
