/// The way to a value in a document, member by member: `record.customer.name`.
package struct ContextPath: Sendable, Hashable {
    package let members: [String]

    private init?(_ text: Substring) {
        let members = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !members.isEmpty, members.allSatisfy({ !$0.isEmpty }), members.count <= 16 else { return nil }
        self.members = members
    }

    /// A way into what has started an instance: `trigger.…`, or the short `record.…`, `record_id`, `user.…`, `old.…`.
    package init?(ofTrigger text: String) {
        guard let path = ContextPath(text[...]), let first = path.members.first else { return nil }
        switch first {
        case "trigger" where path.members.count > 1: self.init(text.dropFirst("trigger.".count))
        case "record", "record_id", "user", "old", "action", "entity", "event", "payload", "scheduled_at": self = path
        default: return nil
        }
    }

    /// A way into what an instance remembers: `context.…`.
    package init?(ofContext text: String) {
        guard text.hasPrefix("context.") else { return nil }
        self.init(text.dropFirst("context.".count))
    }

    /// The value there; null where there is none.
    package func value(in document: JSONObject) -> JSONValue {
        var value = JSONValue.object(document)
        for member in members {
            switch value {
            case .object(let object): value = object[member] ?? .null
            case .array(let items):
                guard let index = Int(member), items.indices.contains(index) else { return .null }
                value = items[index]
            default: return .null
            }
        }
        return value
    }
}
