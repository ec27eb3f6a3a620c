/// A webhook, as metadata describes it: who is told of the writes or deletes of an entity's records.
package struct WebhookDefinition: Sendable, Hashable {
    package enum Hook: String, Sendable, CaseIterable {
        case afterWrite = "after_write"
        case beforeWrite = "before_write"
        case afterDelete = "after_delete"
        case beforeDelete = "before_delete"

        /// Whether the write waits for it, and holds only where it agrees.
        package var isSynchronous: Bool { self == .beforeWrite || self == .beforeDelete }
        package var isOfDeletes: Bool { self == .afterDelete || self == .beforeDelete }
    }

    package let entity: String
    package let hook: Hook
    package let call: WebhookCall
    /// An expression whose truthy value sends it; nil to send it always.
    package let condition: String?
    /// How often it is tried, the first time included.
    package let maximumAttempts: Int
    package let backoff: Backoff
    /// What it is signed with, sealed; nil for no signature.
    package let sealedSecret: String?
    package let isActive: Bool

    /// Reads a webhook that was checked when it was saved.
    package init(stored content: JSONObject) {
        var reader = DefinitionReader(content)
        self = Self.read(&reader, [:])
    }

    private init(
        entity: String,
        hook: Hook,
        call: WebhookCall,
        condition: String?,
        maximumAttempts: Int,
        backoff: Backoff,
        sealedSecret: String?,
        isActive: Bool
    ) {
        self.entity = entity
        self.hook = hook
        self.call = call
        self.condition = condition
        self.maximumAttempts = maximumAttempts
        self.backoff = backoff
        self.sealedSecret = sealedSecret
        self.isActive = isActive
    }

    /// - Parameter fields: the field names of each entity, to find dangling names with.
    static func read(_ reader: inout DefinitionReader, _ fields: [String: [String]]) -> WebhookDefinition {
        let entity = reader.entity(in: fields)
        let hook = reader.word("hook", as: Hook.self) ?? .afterWrite
        let call = WebhookCall.read(&reader)
        let condition = reader.string("condition")
        if reader.boolean("async", default: !hook.isSynchronous) == hook.isSynchronous {
            let kind = hook.isSynchronous ? "synchronous" : "asynchronous"
            reader.violate("async", .type, "a \(hook.rawValue) webhook is \(kind)")
        }
        var retry = DefinitionReader(reader.object("retry") ?? JSONObject(), path: reader.path(to: "retry"))
        let maximumAttempts = retry.whole("max_attempts", in: 1...100) ?? Self.defaultAttempts
        let backoff = retry.word("backoff", as: Backoff.self) ?? .exponential
        retry.refuseUnknownMembers()
        reader.include(retry.violations)
        let secret = reader.string("secret")
        if let secret, !SealedSecret.isOne(secret) {
            reader.violate("secret", .type, "expected \"generate\", or whsec_ and 24 to 64 bytes as base64")
        }
        return WebhookDefinition(
            entity: entity,
            hook: hook,
            call: call,
            condition: condition?.isEmpty == true ? nil : condition,
            maximumAttempts: maximumAttempts,
            backoff: backoff,
            sealedSecret: secret,
            isActive: reader.boolean("active", default: true)
        )
    }

    package static let defaultAttempts = 3

    /// The definition with its defaults filled in, as it is stored.
    package var json: JSONObject {
        var object: JSONObject = ["entity": .string(entity), "hook": .string(hook.rawValue)]
        for member in call.json.members { object[member.name] = member.value }
        object["condition"] = .string(condition ?? "")
        object["async"] = .boolean(!hook.isSynchronous)
        object["retry"] = ["max_attempts": .integer(maximumAttempts), "backoff": .string(backoff.rawValue)]
        object["secret"] = sealedSecret.map(JSONValue.string)
        object["active"] = .boolean(isActive)
        return object
    }
}

/// How the pauses between tries grow.
package enum Backoff: String, Sendable, CaseIterable {
    case exponential
    case linear
}

/// How a secret stands in a definition: sealed where it is stored, covered where it is shown.
package enum SealedSecret {
    package static let prefix = "sealed:v1:"
    /// What is answered in a secret's place; sent back, it leaves the secret as it is.
    package static let cover = "********"

    package static func isOne(_ text: String) -> Bool { text.hasPrefix(prefix) }
}
