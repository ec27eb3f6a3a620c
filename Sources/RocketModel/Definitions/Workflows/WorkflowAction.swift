/// Where a workflow takes a value from.
package enum WorkflowValue: Sendable, Hashable {
    case literal(JSONValue)
    case path(ContextPath)
    case expression(String)

    /// A text that begins with `context.` is a path, and `{"expression": …}` is computed.
    init(_ json: JSONValue) {
        switch json {
        case .string(let text):
            self = ContextPath(ofContext: text).map(WorkflowValue.path) ?? .literal(json)
        case .object(let object) where object.names == ["expression"]:
            self = object["expression"]?.stringValue.map(WorkflowValue.expression) ?? .literal(json)
        default: self = .literal(json)
        }
    }
}

package struct NamedWorkflowValue: Sendable, Hashable {
    package let name: String
    package let value: WorkflowValue

    static func read(_ member: String, _ reader: inout DefinitionReader) -> [NamedWorkflowValue] {
        (reader.object(member) ?? JSONObject()).members.map {
            NamedWorkflowValue(name: $0.name, value: WorkflowValue($0.value))
        }
    }
}

/// How often a call is tried, and in which pauses.
package struct WorkflowRetry: Sendable, Hashable {
    package let maximumAttempts: Int
    package let backoff: Backoff

    /// Calls, and steps that the database has stopped, are tried so often where nothing else is said.
    package static let standard = WorkflowRetry(maximumAttempts: 5, backoff: .exponential)
    /// In seconds.
    private static let firstPause: Int64 = 2
    private static let longestPause: Int64 = 86_400

    /// - Parameter tried: how often it was tried.
    /// - Returns: the seconds until the next try; nil where there is none.
    package func pause(after tried: Int) -> Int64? {
        guard tried < maximumAttempts else { return nil }
        return switch backoff {
        case .linear: min(Self.firstPause * Int64(tried), Self.longestPause)
        case .exponential: min(Self.firstPause << Int64(min(tried - 1, 20)), Self.longestPause)
        }
    }
}

/// What an action step does.
package enum WorkflowAction: Sendable, Hashable {
    case setField(entity: String, recordID: WorkflowValue, field: String, WorkflowValue)
    case createRecord(entity: String, [NamedWorkflowValue], result: String?)
    case updateRecord(entity: String, recordID: WorkflowValue, [NamedWorkflowValue])
    case webhook(WebhookCall, WorkflowRetry, result: String?)
    case sendEvent(String, [NamedWorkflowValue])

    /// The entity that it writes.
    package var entity: String? {
        switch self {
        case .setField(let entity, _, _, _), .createRecord(let entity, _, _), .updateRecord(let entity, _, _): entity
        case .webhook, .sendEvent: nil
        }
    }

    /// The values that it takes, each with the member that says so.
    package var values: [(member: String, value: WorkflowValue)] {
        func named(_ member: String, _ values: [NamedWorkflowValue]) -> [(String, WorkflowValue)] {
            values.map { ("\(member).\($0.name)", $0.value) }
        }
        return switch self {
        case .setField(_, let id, _, let value): [("record_id", id), ("expression", value)]
        case .createRecord(_, let values, _): named("values", values)
        case .updateRecord(_, let id, let values): [("record_id", id)] + named("values", values)
        case .webhook: []
        case .sendEvent(_, let payload): named("payload", payload)
        }
    }

    private enum ActionType: String, CaseIterable {
        case setField = "set_field"
        case createRecord = "create_record"
        case updateRecord = "update_record"
        case webhook
        case sendEvent = "send_event"
    }

    static func read(_ reader: inout DefinitionReader) -> WorkflowAction? {
        guard let type = reader.requiredWord("type", as: ActionType.self) else { return nil }
        defer { reader.refuseUnknownMembers() }
        switch type {
        case .setField:
            let entity = reader.requiredString("entity")
            let id = recordID(&reader)
            let field = reader.requiredString("field")
            let expression = reader.string("expression")
            let hasValue = reader.object["value"] != nil
            _ = reader.value("value")
            if hasValue == (expression != nil) {
                reader.violate("value", .required, "a set_field has either \"value\" or \"expression\"")
            }
            let value = expression.map(WorkflowValue.expression) ?? WorkflowValue(reader.object["value"] ?? .null)
            return .setField(entity: entity, recordID: id, field: field, value)
        case .createRecord:
            let entity = reader.requiredString("entity")
            let values = NamedWorkflowValue.read("values", &reader)
            return .createRecord(entity: entity, values, result: reader.string("result"))
        case .updateRecord:
            let entity = reader.requiredString("entity")
            let id = recordID(&reader)
            return .updateRecord(entity: entity, recordID: id, NamedWorkflowValue.read("values", &reader))
        case .webhook:
            let call = WebhookCall.read(&reader)
            let retry = readRetry(&reader)
            return .webhook(call, retry, result: reader.string("result"))
        case .sendEvent:
            let event = reader.requiredString("event")
            return .sendEvent(event, NamedWorkflowValue.read("payload", &reader))
        }
    }

    private static func recordID(_ reader: inout DefinitionReader) -> WorkflowValue {
        let value = reader.value("record_id")
        switch value {
        case .string(let text)? where !text.isEmpty: return WorkflowValue(.string(text))
        case .number?: return .literal(value ?? .null)
        case .object(let object)? where object.names == ["expression"]: return WorkflowValue(.object(object))
        default:
            reader.violate("record_id", .required, "is required: a path such as context.record_id")
            return .literal(.null)
        }
    }

    private static func readRetry(_ reader: inout DefinitionReader) -> WorkflowRetry {
        guard let object = reader.object("retry") else { return .standard }
        var inner = DefinitionReader(object, path: reader.path(to: "retry"))
        let retry = WorkflowRetry(
            maximumAttempts: inner.whole("max_attempts", in: 1...100) ?? WorkflowRetry.standard.maximumAttempts,
            backoff: inner.word("backoff", as: Backoff.self) ?? .exponential
        )
        inner.refuseUnknownMembers()
        reader.include(inner.violations)
        return retry
    }
}
