package import RocketModel

// What instances need done, and the bounds that they keep.

/// Bounds of instances; over one of them an instance fails, and says so.
package enum WorkflowBounds {
    package static let maximumSteps = 1000
    package static let maximumContextBytes = 256 * 1024
    /// How often a question is handed on.
    package static let maximumDelegations = 50

    /// Why an instance can't remember so much; nil where it can.
    package static func problem(with context: JSONObject) -> String? {
        JSONValue.object(context).jsonBytes.count > maximumContextBytes
            ? "its context would be larger than \(maximumContextBytes) bytes" : nil
    }
}

/// Where an instance was when something was done for it.
package struct WorkflowPlace: Sendable, Hashable {
    package let token: Int
    package let step: String
    private let action: Int
    private let attempt: Int

    init(_ token: WorkflowInstance.Token) {
        self.token = token.id
        step = token.step
        action = token.action
        attempt = token.attempt
    }
}

/// A write that an action wants.
package struct WorkflowWrite: Sendable {
    package let entity: String
    /// Nil for a new record.
    package let id: String?
    package let payload: JSONObject
}

/// A call that an action wants made, which is recorded.
package struct WorkflowCall: Sendable {
    package let token: Int
    package let fence: Int
    package let key: String
    package let call: WebhookCall
    package let body: JSONObject
    /// How many writes have set each other off before it.
    package let cause: Cause
}

/// Another workflow that a step starts.
package struct WorkflowChild: Sendable {
    package let id: String
    package let workflow: String
    package let context: JSONObject
}

/// What an instance needs before it can go on.
package enum WorkflowNeed: Sendable {
    /// Run this and tell ``WorkflowMachine/wrote(_:)``.
    case write(WorkflowWrite)
    /// Tell ``WorkflowMachine/saw(_:_:_:)`` of the instance that it waits for.
    case look(instance: String)
    /// Store it, then make the call and tell ``WorkflowMachine/called(_:fence:_:retryAfter:)``.
    case call(WorkflowCall)
    /// Store it, and ask again.
    case commit
    /// Store it where it has changed: nothing is due.
    case rest
}
