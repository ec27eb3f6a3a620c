package import RocketModel

/// How far a workflow has come with one matter. It is a value: what becomes of it is decided by ``WorkflowMachine``.
package struct WorkflowInstance: Sendable {
    package enum Status: String, Sendable, CaseIterable {
        case running
        case completed
        case failed
        case cancelled
    }

    /// A place at which an instance is; in parallel branches there are several.
    package struct Token: Sendable {
        package enum State: Sendable {
            /// Its step is to be done, or goes on behind an action.
            case ready
            /// It rests until it is due.
            case waiting
            case asking(Question)
            /// A call is recorded, and made until the token is due; or its pause lasts until then.
            case calling(fence: Int, key: String)
            /// Its branches run.
            case joining(ended: Int)
            /// Another workflow runs for it.
            case following(instance: String)
        }

        package let id: Int
        package internal(set) var step: String
        /// The token whose branch it is in.
        let owner: Int?
        package internal(set) var state: State
        /// The first action of its step that is not done.
        var action = 0
        /// How often the action, or the step, was tried in vain.
        var attempt = 0
        package internal(set) var due: Timestamp? {
            didSet { if due != oldValue { dueSince = nil } }
        }
        /// When ``due`` was set, by the clock of then; nil until it is stored.
        var dueSince: Timestamp?
        /// Whether it is due at an instant that its context names, rather than after a while.
        var isDueByName = false
    }

    /// Who is asked, and who has answered.
    package struct Question: Sendable {
        package internal(set) var users: [String]
        package let roles: [String]
        package internal(set) var approvedBy: [String] = []
        /// Those who have handed it on.
        package internal(set) var excused: [String] = []
        package internal(set) var deadline: Timestamp?
    }

    package let id: String
    package let workflowID: String
    package let workflowName: String
    /// Which text of the definition it began with.
    package let version: String
    package internal(set) var status: Status
    package internal(set) var context: JSONObject
    package internal(set) var tokens: [Token]
    package let cause: Cause
    /// The instance that waits for this one.
    package let parent: String?
    /// Entries of the history that are new.
    package internal(set) var entries: [JSONObject] = []
    /// Entries that are stored.
    package internal(set) var entryCount: Int
    var nextToken: Int
    var callCount: Int
    var stepCount = 0
    /// The token that failed.
    var failed: Int?

    /// Brings nearer what it rests for by a clock that was ahead; neither instants that its context names nor what was set
    /// by a clock that was right.
    ///
    /// - Parameters:
    ///   - bound: what was set later than this was set by such a clock.
    ///   - written: when the instance was stored.
    package mutating func rewind(after bound: Timestamp, written: Timestamp, now: Timestamp) {
        for index in tokens.indices where !tokens[index].isDueByName {
            let since = tokens[index].dueSince ?? written
            guard since > bound else { continue }
            func earlier(_ instant: Timestamp) -> Timestamp {
                let ahead = since.microseconds - now.microseconds
                return Timestamp(microseconds: instant.microseconds.subtractingReportingOverflow(ahead).partialValue)
            }
            tokens[index].due = tokens[index].due.map(earlier)
            if case .asking(var question) = tokens[index].state {
                question.deadline = question.deadline.map(earlier)
                tokens[index].state = .asking(question)
            }
        }
    }

    /// Notes for what is due when that was said.
    ///
    /// - Returns: the latest of it, which is later than now where a clock was ahead.
    package mutating func noteDue(at now: Timestamp) -> Timestamp {
        for index in tokens.indices where tokens[index].due != nil && tokens[index].dueSince == nil {
            tokens[index].dueSince = now
        }
        return tokens.compactMap(\.dueSince).max() ?? now
    }

    // MARK: starts

    /// A new instance.
    package init(
        id: String,
        workflowID: String,
        workflowName: String,
        version: String,
        context: JSONObject,
        cause: Cause,
        parent: String? = nil
    ) {
        self.id = id
        self.workflowID = workflowID
        self.workflowName = workflowName
        self.version = version
        self.context = context
        self.cause = cause
        self.parent = parent
        status = .running
        tokens = []
        entryCount = 0
        nextToken = 0
        callCount = 0
    }

    /// Whether somebody is asked.
    package var isAsking: Bool { tokens.contains { if case .asking = $0.state { true } else { false } } }

    /// When it has something to do: at once while it has not begun; nil for never.
    package var due: Timestamp? {
        guard status == .running else { return nil }
        return nextToken == 0 ? Timestamp(microseconds: 0) : tokens.compactMap(\.due).min()
    }

    /// The step that it is in, the first of those of parallel branches.
    package var currentStep: String? { current?.step }

    /// When that step ends by itself.
    package var currentDeadline: Timestamp? {
        switch current?.state {
        case .asking(let question): question.deadline
        case .waiting: current?.due
        default: nil
        }
    }

    private var current: Token? {
        tokens.first { if case .joining = $0.state { false } else { true } } ?? tokens.first
    }

    // MARK: as it is stored

    /// What of its place is stored.
    package var state: JSONObject {
        var object: JSONObject = [
            "next_token": .integer(nextToken), "calls": .integer(callCount), "steps": .integer(stepCount),
            "tokens": .array(tokens.map(\.json)),
        ]
        object["failed"] = failed.map(JSONValue.integer)
        return object
    }

    /// Reads an instance that was stored.
    package init(
        id: String,
        workflowID: String,
        workflowName: String,
        version: String,
        status: Status,
        context: JSONObject,
        state: JSONObject,
        cause: Cause,
        parent: String?,
        entryCount: Int
    ) {
        self.init(
            id: id,
            workflowID: workflowID,
            workflowName: workflowName,
            version: version,
            context: context,
            cause: cause,
            parent: parent
        )
        self.status = status
        self.entryCount = entryCount
        nextToken = state["next_token"]?.whole ?? 0
        callCount = state["calls"]?.whole ?? 0
        stepCount = state["steps"]?.whole ?? 0
        failed = state["failed"]?.whole
        tokens = (state["tokens"]?.arrayValue ?? []).compactMap { $0.objectValue.flatMap(Token.init) }
    }
}

extension JSONValue {
    fileprivate var whole: Int? {
        guard case .number(let number) = self else { return nil }
        return number.int64.flatMap(Int.init(exactly:))
    }

    fileprivate var instant: Timestamp? { stringValue.flatMap(Timestamp.init(rfc3339:)) }
    fileprivate var texts: [String] { (arrayValue ?? []).compactMap(\.stringValue) }
}

extension WorkflowInstance.Token {
    fileprivate var json: JSONValue {
        var object: JSONObject = ["id": .integer(id), "step": .string(step)]
        object["owner"] = owner.map(JSONValue.integer)
        if action > 0 { object["action"] = .integer(action) }
        if attempt > 0 { object["attempt"] = .integer(attempt) }
        object["due"] = due.map { .string($0.rfc3339) }
        object["due_since"] = dueSince.map { .string($0.rfc3339) }
        if isDueByName { object["due_by_name"] = true }
        switch state {
        case .ready: object["state"] = "ready"
        case .waiting: object["state"] = "waiting"
        case .asking(let question):
            object["state"] = "asking"
            object["users"] = .array(question.users.map(JSONValue.string))
            object["roles"] = .array(question.roles.map(JSONValue.string))
            object["approved_by"] = .array(question.approvedBy.map(JSONValue.string))
            object["excused"] = .array(question.excused.map(JSONValue.string))
            object["deadline"] = question.deadline.map { .string($0.rfc3339) }
        case .calling(let fence, let key):
            object["state"] = "calling"
            object["fence"] = .integer(fence)
            object["key"] = .string(key)
        case .joining(let ended):
            object["state"] = "joining"
            object["ended"] = .integer(ended)
        case .following(let instance):
            object["state"] = "following"
            object["instance"] = .string(instance)
        }
        return .object(object)
    }

    fileprivate init?(_ object: JSONObject) {
        guard let id = object["id"]?.whole, let step = object["step"]?.stringValue else { return nil }
        let state: State
        switch object["state"]?.stringValue {
        case "waiting": state = .waiting
        case "asking":
            state = .asking(
                WorkflowInstance.Question(
                    users: object["users"]?.texts ?? [],
                    roles: object["roles"]?.texts ?? [],
                    approvedBy: object["approved_by"]?.texts ?? [],
                    excused: object["excused"]?.texts ?? [],
                    deadline: object["deadline"]?.instant
                )
            )
        case "calling":
            state = .calling(fence: object["fence"]?.whole ?? 0, key: object["key"]?.stringValue ?? "")
        case "joining": state = .joining(ended: object["ended"]?.whole ?? 0)
        case "following": state = .following(instance: object["instance"]?.stringValue ?? "")
        default: state = .ready
        }
        self.init(
            id: id,
            step: step,
            owner: object["owner"]?.whole,
            state: state,
            action: object["action"]?.whole ?? 0,
            attempt: object["attempt"]?.whole ?? 0,
            due: object["due"]?.instant,
            dueSince: object["due_since"]?.instant,
            isDueByName: object["due_by_name"] == .boolean(true)
        )
    }
}
