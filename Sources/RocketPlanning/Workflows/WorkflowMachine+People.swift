package import RocketModel

// What people say to instances: decisions, delegations, cancelling, trying again.

extension WorkflowMachine {
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
