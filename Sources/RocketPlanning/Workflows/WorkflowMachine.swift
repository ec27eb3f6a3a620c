import RocketExpression
package import RocketModel

/// Moves instances, without any I/O: what it needs done it says, and is told what came of it. All that it is told between
/// two commits holds together or not at all.
package struct WorkflowMachine: Sendable {
    package internal(set) var instance: WorkflowInstance
    /// What the instance has sent, to be stored with it.
    package private(set) var events: [(name: String, payload: JSONObject)] = []
    package private(set) var children: [WorkflowChild] = []
    /// Instances that nobody waits for any more.
    package private(set) var abandoned: [String] = []
    let plan: WorkflowPlan
    private let snapshot: AppSnapshot
    let now: Timestamp
    private let newID: @Sendable () -> UniqueID
    /// How long a call may take until somebody else makes it.
    private let leaseSeconds: Int64
    /// The token whose step is being done.
    private var working: WorkflowPlace?
    var mustCommit = false

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
    mutating func enter(_ id: String, _ index: Int) {
        instance.tokens[index].step = id
        instance.tokens[index].isDueByName = false
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
        if case .until = wait { instance.tokens[index].isDueByName = true }
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
            WorkflowCall(token: token, fence: fence, key: key, call: call, body: body, cause: instance.cause)
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

    mutating func leave(_ index: Int, _ status: String, _ goto: WorkflowGoto, _ more: JSONObject = JSONObject()) {
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

    mutating func complete() {
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

    mutating func note(_ step: String?, _ status: String, _ more: JSONObject = JSONObject()) {
        var entry: JSONObject = ["step": step.map(JSONValue.string) ?? .null, "status": .string(status)]
        for member in more.members { entry[member.name] = member.value }
        entry["at"] = .string(now.rfc3339)
        instance.entries.append(entry)
    }

    func index(of id: Int?) -> Int? { instance.tokens.firstIndex { $0.id == id } }

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
}

extension Array {
    fileprivate subscript(at index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
