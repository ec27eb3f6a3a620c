import RocketExpression
package import RocketModel

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
    package let depth: Int
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

/// Moves instances, without any I/O: what it needs done it says, and is told what came of it. All that it is told between
/// two commits holds together or not at all.
package struct WorkflowMachine: Sendable {
    package private(set) var instance: WorkflowInstance
    /// What the instance has sent, to be stored with it.
    package private(set) var events: [(name: String, payload: JSONObject)] = []
    package private(set) var children: [WorkflowChild] = []
    /// Instances that nobody waits for any more.
    package private(set) var abandoned: [String] = []
    private let plan: WorkflowPlan
    private let snapshot: AppSnapshot
    private let now: Timestamp
    private let newID: @Sendable () -> UniqueID
    /// How long a call may take until somebody else makes it.
    private let leaseSeconds: Int64
    /// The token whose step is being done.
    private var working: WorkflowPlace?
    private var mustCommit = false

    package init(
        _ instance: WorkflowInstance,
        _ plan: WorkflowPlan,
        _ snapshot: AppSnapshot,
        now: Timestamp,
        leaseSeconds: Int64,
        newID: @escaping @Sendable () -> UniqueID
    ) {
        self.instance = instance
        self.plan = plan
        self.snapshot = snapshot
        self.now = now
        self.leaseSeconds = leaseSeconds
        self.newID = newID
    }

    /// What was being done last, as it is stored.
    package var place: WorkflowPlace? { working }

    // MARK: going on

    /// Something may have become of the instances that it follows.
    package mutating func wake() {
        for index in instance.tokens.indices {
            if case .following = instance.tokens[index].state { instance.tokens[index].due = now }
        }
    }

    package mutating func need() -> WorkflowNeed {
        guard instance.status == .running else { return .rest }
        if instance.nextToken == 0 { begin() }
        if mustCommit { return .commit }
        while instance.status == .running {
            guard let index = instance.tokens.firstIndex(where: { $0.due.map { $0 <= now } ?? false }) else { break }
            if let need = advance(index) { return need }
            if mustCommit { return .commit }
        }
        return mustCommit ? .commit : .rest
    }

    private mutating func begin() {
        guard let first = plan.definition.steps.first else {
            instance.nextToken = 1
            note(nil, "failed", ["error": "the definition that it began with is not there"])
            instance.status = .failed
            mustCommit = true
            return
        }
        addToken(at: first.id, owner: nil)
    }

    private mutating func addToken(at step: String, owner: Int?) {
        let token = WorkflowInstance.Token(id: instance.nextToken, step: step, owner: owner, state: .ready, due: now)
        instance.nextToken += 1
        instance.tokens.append(token)
        enter(step, instance.tokens.count - 1)
    }

    /// A token comes to a step.
    private mutating func enter(_ id: String, _ index: Int) {
        instance.tokens[index].step = id
        instance.tokens[index].action = 0
        instance.tokens[index].attempt = 0
        instance.tokens[index].state = .ready
        instance.tokens[index].due = now
        guard let step = plan.definition.step(id) else {
            return fail(index, "the workflow has no step \"\(id)\"")
        }
        instance.stepCount += 1
        guard instance.stepCount <= WorkflowBounds.maximumSteps else {
            return fail(index, "an instance takes at most \(WorkflowBounds.maximumSteps) steps")
        }
        switch step.kind {
        case .wait(let wait, _): rest(wait, index)
        case .approval(let approval): ask(approval, index)
        case .parallel(let branches, _, _):
            let owner = instance.tokens[index].id
            instance.tokens[index].state = .joining(ended: 0)
            instance.tokens[index].due = nil
            for branch in branches {
                guard let first = branch.first, instance.status == .running else { continue }
                addToken(at: first, owner: owner)
            }
        case .action, .condition, .call: break
        }
    }

    private mutating func rest(_ wait: WorkflowWait, _ index: Int) {
        instance.tokens[index].state = .waiting
        switch wait {
        case .duration(let span): instance.tokens[index].due = now.adding(seconds: span.seconds)
        case .until(let path):
            let value = path.value(in: instance.context)
            do throws(CoercionFailure) {
                guard case .timestamp(let instant) = try ValueShape(type: .timestamp).value(of: value) else {
                    throw CoercionFailure("is null")
                }
                instance.tokens[index].due = instant
            } catch {
                fail(index, "context.\(path.members.joined(separator: ".")) is no timestamp: \(error.message)")
            }
        }
    }

    private mutating func ask(_ approval: WorkflowApproval, _ index: Int) {
        var (users, roles): ([String], [String]) = ([], [])
        for assignee in approval.assignees {
            switch assignee {
            case .role(let role): roles.append(role)
            case .user(let user): users.append(user)
            case .relation(let path):
                guard let user = path.value(in: instance.context).stringValue.flatMap(UniqueID.init) else {
                    return fail(index, "context.\(path.members.joined(separator: ".")) is no user")
                }
                if !users.contains(user.text) { users.append(user.text) }
            }
        }
        let deadline = approval.timeout.map { now.adding(seconds: $0.seconds) }
        instance.tokens[index].state = .asking(.init(users: users, roles: roles, deadline: deadline))
        instance.tokens[index].due = deadline
    }

    // MARK: steps

    /// - Returns: what is needed first; nil where the token has moved.
    private mutating func advance(_ index: Int) -> WorkflowNeed? {
        let token = instance.tokens[index]
        // As it is stored: actions of the step that were done since are not.
        if working?.token != token.id { working = WorkflowPlace(token) }
        guard let step = plan.definition.step(token.step) else {
            fail(index, "the workflow has no step \"\(token.step)\"")
            return nil
        }
        switch (step.kind, token.state) {
        case (_, .following(let child)): return .look(instance: child)
        case (.action(let actions, let then), _): return act(actions, then, index)
        case (.condition(let text, let onTrue, let onFalse), _):
            do throws(EvaluationFailure) {
                let holds = try plan.value(text, instance.context, now: now).isTruthy
                leave(index, holds ? "on_true" : "on_false", holds ? onTrue : onFalse)
            } catch {
                fail(index, "its expression can't be evaluated: \(error.message)")
            }
        case (.wait(_, let then), _): leave(index, "completed", then)
        case (.approval(let approval), _):
            guard let goto = approval.onTimeout else {
                fail(index, "nobody has decided in time", status: "timed_out")
                return nil
            }
            leave(index, "timed_out", goto)
        case (.call(let workflow, let values, _, _), _): start(workflow, values, index)
        case (.parallel, _): instance.tokens[index].due = nil
        }
        return nil
    }

    private mutating func act(_ actions: [WorkflowAction], _ then: WorkflowGoto, _ index: Int) -> WorkflowNeed? {
        while instance.tokens[index].action < actions.count {
            let action = actions[instance.tokens[index].action]
            do throws(EvaluationFailure) {
                switch action {
                case .webhook(let call, _, _):
                    return record(call, index)
                case .sendEvent(let name, let values):
                    events.append((name, try payload(values, of: nil)))
                    instance.tokens[index].action += 1
                case .setField(let entity, let id, let field, let value):
                    let model = snapshot.model(entity)
                    let value = try self.value(value, as: model?.field(field)?.shape)
                    let payload: JSONObject = [field: value]
                    return .write(WorkflowWrite(entity: entity, id: try key(id), payload: payload))
                case .updateRecord(let entity, let id, let values):
                    let payload = try payload(values, of: snapshot.model(entity))
                    return .write(WorkflowWrite(entity: entity, id: try key(id), payload: payload))
                case .createRecord(let entity, let values, _):
                    let payload = try payload(values, of: snapshot.model(entity))
                    return .write(WorkflowWrite(entity: entity, id: nil, payload: payload))
                }
            } catch {
                fail(index, error.message)
                return nil
            }
        }
        leave(index, "completed", then)
        return nil
    }

    /// What a call is tried again under is the same key, and a new fence: who made it before is not heard any more.
    private mutating func record(_ call: WebhookCall, _ index: Int) -> WorkflowNeed {
        var (fence, key) = (0, "")
        if case .calling(let last, let known) = instance.tokens[index].state {
            (fence, key) = (last + 1, known)
        } else {
            instance.callCount += 1
            key = "wf_\(instance.id)_\(instance.callCount)"
        }
        instance.tokens[index].state = .calling(fence: fence, key: key)
        instance.tokens[index].due = now.adding(seconds: leaseSeconds)
        let body: JSONObject = [
            "workflow": .string(instance.workflowName), "instance_id": .string(instance.id),
            "step": .string(instance.tokens[index].step), "context": .object(instance.context),
            "timestamp": .string(now.rfc3339), "idempotency_key": .string(key),
        ]
        let token = instance.tokens[index].id
        return .call(
            WorkflowCall(token: token, fence: fence, key: key, call: call, body: body, depth: instance.depth)
        )
    }

    private mutating func start(_ workflow: String, _ values: [NamedWorkflowValue], _ index: Int) {
        do throws(EvaluationFailure) {
            let child = WorkflowChild(id: newID().text, workflow: workflow, context: try payload(values, of: nil))
            children.append(child)
            instance.tokens[index].state = .following(instance: child.id)
            instance.tokens[index].due = nil
            mustCommit = true
        } catch {
            fail(index, error.message)
        }
    }

    // MARK: what came of it

    /// A write is done.
    package mutating func wrote(_ record: JSONValue) {
        guard let index = index(of: working?.token), let step = plan.definition.step(instance.tokens[index].step),
            case .action(let actions, _) = step.kind
        else { return }
        if case .createRecord(_, _, let name?)? = actions[at: instance.tokens[index].action] {
            guard remember(name, record, index) else { return }
        }
        instance.tokens[index].action += 1
    }

    /// What the instance that a token follows has come to.
    package mutating func saw(_ status: WorkflowInstance.Status?, _ context: JSONObject, _ child: String) {
        guard
            let index = instance.tokens.firstIndex(where: {
                if case .following(child) = $0.state { true } else { false }
            }), case .call(_, _, let result, let then)? = plan.definition.step(instance.tokens[index].step)?.kind
        else { return }
        switch status {
        case .running: instance.tokens[index].due = nil
        case .completed:
            if let result { guard remember(result, .object(context), index) else { return } }
            leave(index, "completed", then)
        case .failed, .cancelled, nil:
            fail(index, "the workflow that it called is \(status?.rawValue ?? "gone")")
        }
    }

    /// A call has ended; one that is not waited for any more changes nothing.
    ///
    /// - Parameters:
    ///   - problem: nil where it was answered with 2xx.
    ///   - answer: its status and body.
    package mutating func called(
        _ id: Int,
        fence: Int,
        problem: String?,
        answer: JSONValue,
        retryAfter: Int64?
    ) {
        guard instance.status == .running, let index = index(of: id),
            case .calling(fence, let key) = instance.tokens[index].state,
            case .action(let actions, _)? = plan.definition.step(instance.tokens[index].step)?.kind,
            case .webhook(let call, let retry, let result)? = actions[at: instance.tokens[index].action]
        else { return }
        guard let problem else {
            if let result { guard remember(result, answer, index) else { return } }
            // What is answered is stored by itself: what follows may yet be refused.
            mustCommit = true
            instance.tokens[index].action += 1
            instance.tokens[index].attempt = 0
            instance.tokens[index].state = .ready
            instance.tokens[index].due = now
            return
        }
        instance.tokens[index].attempt += 1
        guard let pause = retry.pause(after: instance.tokens[index].attempt) else {
            return fail(index, "the call of \(call.url) failed: \(problem)")
        }
        instance.tokens[index].state = .calling(fence: fence + 1, key: key)
        instance.tokens[index].due = now.adding(seconds: min(max(pause, retryAfter ?? 0), 86_400))
    }

    /// A step could not be done, and nothing of it was.
    ///
    /// - Parameter isFinal: whether it would not be otherwise next time.
    package mutating func stopped(_ place: WorkflowPlace, _ problem: String, isFinal: Bool) {
        guard instance.status == .running else { return }
        if instance.nextToken == 0 { begin() }
        // Somebody else may have come further meanwhile.
        guard let index = index(of: place.token), WorkflowPlace(instance.tokens[index]) == place else { return }
        instance.tokens[index].attempt += 1
        let pause = isFinal ? nil : WorkflowRetry.standard.pause(after: instance.tokens[index].attempt)
        guard let pause else { return fail(index, problem) }
        instance.tokens[index].due = now.adding(seconds: pause)
    }

    // MARK: moving

    private mutating func leave(_ index: Int, _ status: String, _ goto: WorkflowGoto, _ more: JSONObject = JSONObject())
    {
        note(instance.tokens[index].step, status, more)
        mustCommit = true
        let branch = plan.branch(of: instance.tokens[index].step)
        switch goto {
        case .step(let step): return enter(step, index)
        case .next:
            if let next = branch?.following(instance.tokens[index].step) { return enter(next, index) }
        case .end: break
        }
        let token = instance.tokens.remove(at: index)
        guard let owner = token.owner else { return complete() }
        join(owner)
    }

    /// A branch has ended.
    private mutating func join(_ id: Int) {
        guard let index = index(of: id), case .joining(let ended) = instance.tokens[index].state,
            case .parallel(let branches, let join, let then)? = plan.definition.step(instance.tokens[index].step)?.kind
        else { return }
        instance.tokens[index].state = .joining(ended: ended + 1)
        guard ended + 1 >= join.needed(of: branches.count) else { return }
        drop(below: id)
        guard let index = self.index(of: id) else { return }
        leave(index, "completed", then)
    }

    /// The branches that nobody waits for end where they are.
    private mutating func drop(below id: Int) {
        let below = instance.tokens.filter { $0.owner == id }
        for token in below {
            if case .following(let child) = token.state { abandoned.append(child) }
            drop(below: token.id)
        }
        instance.tokens.removeAll { $0.owner == id }
    }

    private mutating func complete() {
        instance.status = .completed
        for token in instance.tokens { if case .following(let child) = token.state { abandoned.append(child) } }
        instance.tokens = []
        mustCommit = true
    }

    private mutating func fail(_ index: Int, _ problem: String, status: String = "failed") {
        note(instance.tokens[index].step, status, ["error": .string(problem)])
        instance.tokens[index].attempt = 0
        instance.failed = instance.tokens[index].id
        instance.status = .failed
        mustCommit = true
    }

    private mutating func note(_ step: String?, _ status: String, _ more: JSONObject = JSONObject()) {
        var entry: JSONObject = ["step": step.map(JSONValue.string) ?? .null, "status": .string(status)]
        for member in more.members { entry[member.name] = member.value }
        entry["at"] = .string(now.rfc3339)
        instance.entries.append(entry)
    }

    private func index(of id: Int?) -> Int? { instance.tokens.firstIndex { $0.id == id } }

    /// - Returns: whether it could be remembered; the token has failed where not.
    private mutating func remember(_ name: String, _ value: JSONValue, _ index: Int) -> Bool {
        var context = instance.context
        context[name] = value
        if let problem = WorkflowBounds.problem(with: context) {
            fail(index, problem)
            return false
        }
        instance.context = context
        return true
    }

    // MARK: values

    private func value(_ value: WorkflowValue, as shape: ValueShape?) throws(EvaluationFailure) -> JSONValue {
        switch value {
        case .literal(.string("now")) where shape?.type == .timestamp: return .string(now.rfc3339)
        case .literal(.string("now")) where shape?.type == .date:
            return .string(FieldValue.date(now.date).json.stringValue ?? "")
        case .literal(let json): return json
        case .path(let path): return path.value(in: instance.context)
        case .expression(let text):
            let result = try plan.value(text, instance.context, now: now)
            do throws(CoercionFailure) {
                return try (shape ?? ValueShape(type: .json)).value(of: result).json
            } catch {
                throw EvaluationFailure("a value does not fit: \(error.message)")
            }
        }
    }

    private func payload(_ values: [NamedWorkflowValue], of model: EntityModel?) throws(EvaluationFailure) -> JSONObject
    {
        var object = JSONObject()
        for value in values { object[value.name] = try self.value(value.value, as: model?.field(value.name)?.shape) }
        return object
    }

    private func key(_ value: WorkflowValue) throws(EvaluationFailure) -> String {
        switch try self.value(value, as: nil) {
        case .string(let text) where !text.isEmpty: return text
        case .number(let number): return number.text
        default:
            if case .path(let path) = value {
                throw EvaluationFailure("context.\(path.members.joined(separator: ".")) names no record")
            }
            throw EvaluationFailure("record_id names no record")
        }
    }

    // MARK: people

    /// Who decides.
    package struct Person: Sendable {
        package let id: String
        package let roles: [String]
        package let isAdmin: Bool

        package init(_ principal: Principal) {
            id = principal.userID
            roles = principal.appRoles.map { $0.lowercased() }
            isAdmin = principal.isAdmin
        }
    }

    private static func mayDecide(_ person: Person, _ question: WorkflowInstance.Question) -> Bool {
        guard !question.excused.contains(person.id) else { return question.users.contains(person.id) }
        return question.users.contains(person.id)
            || question.roles.contains { person.roles.contains($0.lowercased()) }
    }

    /// The question that somebody answers.
    ///
    /// - Parameter step: nil for whichever is theirs.
    /// - Throws: 422 `INVALID_STATE` where nothing is asked, 403 where it is not theirs.
    private func question(
        for person: Person,
        step: String?
    ) throws(RequestFailure) -> (index: Int, question: WorkflowInstance.Question, approval: WorkflowApproval) {
        let open = instance.tokens.enumerated().compactMap {
            index,
            token -> (index: Int, question: WorkflowInstance.Question, approval: WorkflowApproval)? in
            guard instance.status == .running, case .asking(let question) = token.state,
                case .approval(let approval)? = plan.definition.step(token.step)?.kind,
                step == nil || step == token.step
            else { return nil }
            return (index, question, approval)
        }
        guard !open.isEmpty else {
            throw RequestFailure(.invalidState, "This workflow asks for no decision now")
        }
        // Of several those that the caller has not answered yet.
        let own = open.filter { Self.mayDecide(person, $0.question) }
        let asked = own.filter { !$0.question.approvedBy.contains(person.id) }
        guard step != nil || asked.count <= 1, step != nil || !own.isEmpty || !person.isAdmin || open.count == 1 else {
            let steps = open.map { instance.tokens[$0.index].step }.joined(separator: ", ")
            let message = "several wait for a decision, so say which: \(steps)"
            throw .validation([FailureDetail(field: "step", rule: .required, message: message)])
        }
        if let first = asked.first { return first }
        if let first = own.first { return first }
        guard person.isAdmin, let first = open.first else {
            throw RequestFailure(.forbidden, "This is not yours to decide")
        }
        return first
    }

    /// Whether all must approve of whom roles name, so that the users who have them must be known.
    package func needsUsers(for person: Person, step: String?) -> Bool {
        do throws(RequestFailure) {
            let (_, question, approval) = try question(for: person, step: step)
            return approval.required == .all && !question.roles.isEmpty
        } catch {
            return false
        }
    }

    /// Somebody has decided.
    ///
    /// - Parameter active: the active users, each with roles; where ``needsUsers(for:step:)`` says so.
    /// - Throws: 422 `INVALID_STATE`, 403, and 422 for a form that is not filled in as it must be.
    package mutating func decide(
        _ approves: Bool,
        by person: Person,
        step: String?,
        comment: String?,
        form: JSONObject,
        active: [(id: String, roles: [String])]
    ) throws(RequestFailure) {
        var (index, question, approval) = try question(for: person, step: step)
        if question.approvedBy.contains(person.id) {
            // Who else had to approve may be there no more.
            guard approves, isEnough(question, approval.required, active) else {
                throw RequestFailure(.invalidState, "You have approved already")
            }
            return leave(index, "approved", approval.onApprove, ["by": .string(person.id)])
        }
        if let deadline = question.deadline, deadline <= now {
            throw RequestFailure(.invalidState, "The time to decide is over")
        }
        let values = try filled(approval.form, form, isRequired: approves)
        let isAssignee = Self.mayDecide(person, question)
        for value in values {
            instance.context[value.name] = value.value
        }
        if !values.isEmpty, let problem = WorkflowBounds.problem(with: instance.context) {
            throw .validation([FailureDetail(field: "form", message: problem)])
        }
        var more: JSONObject = ["by": .string(person.id)]
        more["comment"] = comment.map(JSONValue.string)
        if !isAssignee { more["as_admin"] = true }
        guard approves else { return leave(index, "rejected", approval.onReject, more) }
        question.approvedBy.append(person.id)
        // An administrator's word counts for those who were asked.
        guard !isAssignee || isEnough(question, approval.required, active) else {
            note(instance.tokens[index].step, "approved", more)
            instance.tokens[index].state = .asking(question)
            return
        }
        leave(index, "approved", approval.onApprove, more)
    }

    private func isEnough(
        _ question: WorkflowInstance.Question,
        _ required: WorkflowCount,
        _ active: [(id: String, roles: [String])]
    ) -> Bool {
        guard required == .all else { return question.approvedBy.count >= required.needed(of: 1) }
        let roles = Set(question.roles.map { $0.lowercased() })
        let holders = active.filter { user in user.roles.contains { roles.contains($0.lowercased()) } }.map(\.id)
        let all = Set(question.users).union(holders).subtracting(
            question.excused.filter { !question.users.contains($0) }
        )
        return all.isSubset(of: question.approvedBy)
    }

    private func filled(
        _ form: [FieldDefinition],
        _ given: JSONObject,
        isRequired: Bool
    ) throws(RequestFailure) -> [(name: String, value: JSONValue)] {
        var details: [FailureDetail] = []
        var values: [(name: String, value: JSONValue)] = []
        for name in given.names where !form.contains(where: { $0.name == name }) {
            details.append(
                FailureDetail(field: "form.\(name)", rule: .unknown, message: "this step asks for no \"\(name)\"")
            )
        }
        for field in form {
            let value = given[field.name] ?? .null
            do throws(CoercionFailure) {
                let shape = ValueShape(type: field.type, precision: field.precision)
                let stored = try shape.value(of: value)
                if stored.isNull {
                    if field.required, isRequired { throw CoercionFailure("is required") }
                    continue
                }
                if let allowed = field.allowedValues, !allowed.contains(value) {
                    throw CoercionFailure("is none of \(allowed.map(\.jsonText).joined(separator: ", "))")
                }
                values.append((field.name, stored.json))
            } catch {
                details.append(FailureDetail(field: "form.\(field.name)", rule: .type, message: error.message))
            }
        }
        guard details.isEmpty else { throw .validation(details) }
        return values
    }

    /// Somebody hands a decision on.
    ///
    /// - Throws: 422 `INVALID_STATE` and 403.
    package mutating func delegate(to user: String, by person: Person, step: String?) throws(RequestFailure) {
        var (index, question, _) = try question(for: person, step: step)
        guard !question.approvedBy.contains(person.id) else {
            throw RequestFailure(.invalidState, "You have approved already")
        }
        guard !question.approvedBy.contains(user), !question.users.contains(user) else {
            throw .validation([FailureDetail(field: "user", message: "is asked already, or has approved")])
        }
        guard question.excused.count < WorkflowBounds.maximumDelegations else {
            throw RequestFailure(.invalidState, "This question was handed on too often")
        }
        question.users.removeAll { $0 == person.id }
        question.excused.append(person.id)
        question.users.append(user)
        instance.tokens[index].state = .asking(question)
        note(instance.tokens[index].step, "delegated", ["by": .string(person.id), "to": .string(user)])
    }

    /// - Throws: 422 `INVALID_STATE` where it has ended.
    package mutating func cancel(by person: Person) throws(RequestFailure) {
        guard instance.status == .running else {
            throw RequestFailure(.invalidState, "This workflow is \(instance.status.rawValue)")
        }
        note(instance.currentStep, "cancelled", ["by": .string(person.id)])
        complete()
        instance.status = .cancelled
    }

    /// Goes on with the step that failed.
    ///
    /// - Throws: 422 `INVALID_STATE` where it has not failed.
    package mutating func retry(by person: Person) throws(RequestFailure) {
        guard instance.status == .failed else {
            throw RequestFailure(
                .invalidState,
                "Only a workflow that failed goes on again; this one is \(instance.status.rawValue)"
            )
        }
        guard let index = index(of: instance.failed) else {
            throw RequestFailure(.invalidState, "This workflow failed before its first step")
        }
        note(instance.tokens[index].step, "retried", ["by": .string(person.id)])
        instance.status = .running
        instance.failed = nil
        let before = instance.tokens[index]
        enter(before.step, index)
        guard instance.status == .running else { return }
        // What was done of it is not done again, and a call is made under the key that it has.
        instance.tokens[index].action = before.action
        if case .calling = before.state { instance.tokens[index].state = before.state }
    }
}

extension Array {
    fileprivate subscript(at index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
