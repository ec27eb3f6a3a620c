/// One step of a workflow.
package struct WorkflowStep: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case action([WorkflowAction], then: WorkflowGoto)
        case condition(String, onTrue: WorkflowGoto, onFalse: WorkflowGoto)
        case approval(WorkflowApproval)
        case wait(WorkflowWait, then: WorkflowGoto)
        case parallel(branches: [[String]], join: WorkflowCount, then: WorkflowGoto)
        case call(workflow: String, context: [NamedWorkflowValue], result: String?, then: WorkflowGoto)
    }

    package let id: String
    package let kind: Kind

    /// Whether an instance rests in it, so that a way that leads through it in a circle may go on for ever.
    package var pauses: Bool {
        switch kind {
        case .approval, .wait: true
        case .action, .condition, .parallel, .call: false
        }
    }

    /// Where it may lead, each with the member that says so.
    package var gotos: [(member: String, goto: WorkflowGoto)] {
        switch kind {
        case .action(_, let then), .wait(_, let then), .parallel(_, _, let then), .call(_, _, _, let then):
            [("then", then)]
        case .condition(_, let onTrue, let onFalse): [("on_true", onTrue), ("on_false", onFalse)]
        case .approval(let approval):
            [("on_approve", approval.onApprove), ("on_reject", approval.onReject)]
                + (approval.onTimeout.map { [("on_timeout", $0)] } ?? [])
        }
    }

    private enum StepType: String, CaseIterable {
        case action
        case condition
        case approval
        case wait
        case parallel
        case call
    }

    static func read(_ reader: inout DefinitionReader) -> WorkflowStep? {
        let id = reader.requiredString("id")
        if id == "end" { reader.violate("id", .type, "\"end\" is the end, and no step") }
        guard let type = reader.requiredWord("type", as: StepType.self) else { return nil }
        let kind: Kind
        switch type {
        case .action:
            let actions = (reader.objects("actions") ?? []).compactMap { object, path -> WorkflowAction? in
                var inner = DefinitionReader(object, path: path)
                let action = WorkflowAction.read(&inner)
                reader.include(inner.violations)
                return action
            }
            kind = .action(actions, then: WorkflowGoto.read("then", &reader))
        case .condition:
            let expression = reader.requiredString("expression")
            let onTrue = WorkflowGoto.read("on_true", &reader)
            kind = .condition(expression, onTrue: onTrue, onFalse: WorkflowGoto.read("on_false", &reader))
        case .approval: kind = .approval(WorkflowApproval.read(&reader))
        case .wait: kind = .wait(WorkflowWait.read(&reader), then: WorkflowGoto.read("then", &reader))
        case .parallel: kind = readParallel(&reader)
        case .call:
            let workflow = reader.requiredString("workflow")
            let context = NamedWorkflowValue.read("context", &reader)
            let result = reader.string("result")
            kind = .call(workflow: workflow, context: context, result: result, then: .read("then", &reader))
        }
        reader.refuseUnknownMembers()
        return WorkflowStep(id: id, kind: kind)
    }

    private static func readParallel(_ reader: inout DefinitionReader) -> Kind {
        var branches: [[String]] = []
        for (index, item) in (reader.array("branches") ?? []).enumerated() {
            guard case .array(let ids) = item, !ids.isEmpty, ids.allSatisfy({ $0.stringValue != nil }) else {
                reader.violate("branches[\(index)]", .type, "expected a list of step ids")
                continue
            }
            branches.append(ids.compactMap(\.stringValue))
        }
        if branches.isEmpty, reader.violations.isEmpty {
            reader.violate("branches", .required, "expected lists of step ids")
        }
        let join = WorkflowCount.read("join", &reader, default: .all)
        if case .number(let count) = join, count > branches.count {
            reader.violate("join", .type, "there are \(branches.count) branches")
        }
        return .parallel(branches: branches, join: join, then: .read("then", &reader))
    }
}

/// Where a step leads.
package enum WorkflowGoto: Sendable, Hashable {
    case end
    case step(String)
    /// Nothing is said: the end, or what follows in a branch.
    case next

    static func read(_ name: String, _ reader: inout DefinitionReader) -> WorkflowGoto {
        guard let value = reader.value(name) else { return .next }
        let target: String? =
            switch value {
            case .string(let text): text
            case .object(let object) where object.names == ["goto"]: object["goto"]?.stringValue
            default: nil
            }
        guard let target, !target.isEmpty else {
            reader.violate(name, .type, "expected \"end\", a step's id or {\"goto\": …}")
            return .end
        }
        return target == "end" ? .end : .step(target)
    }
}

/// How many of several must do something.
package enum WorkflowCount: Sendable, Hashable {
    case all
    case any
    case number(Int)

    static func read(_ name: String, _ reader: inout DefinitionReader, default fallback: WorkflowCount) -> WorkflowCount
    {
        guard let value = reader.value(name) else { return fallback }
        switch value {
        case .string("all"): return .all
        case .string("any"): return .any
        case .number(let number):
            if let count = number.int64.flatMap(Int.init(exactly:)), (1...1000).contains(count) {
                return .number(count)
            }
        default: break
        }
        reader.violate(name, .type, "expected \"all\", \"any\" or a number of at least 1")
        return fallback
    }

    /// Of so many.
    package func needed(of count: Int) -> Int {
        switch self {
        case .all: count
        case .any: 1
        case .number(let number): number
        }
    }
}

/// How long an instance rests.
package enum WorkflowWait: Sendable, Hashable {
    case duration(WorkflowSpan)
    /// Until an instant that the context holds.
    case until(ContextPath)

    static func read(_ reader: inout DefinitionReader) -> WorkflowWait {
        let (duration, until) = (reader.string("duration"), reader.string("until"))
        if (duration == nil) == (until == nil) {
            reader.violate("duration", .required, "a wait has either \"duration\" or \"until\"")
        } else if let duration {
            if let span = WorkflowSpan(duration) { return .duration(span) }
            reader.violate("duration", .type, "expected a time such as 10s, 30m, 72h or 2d")
        } else if let until {
            if let path = ContextPath(ofContext: until) { return .until(path) }
            reader.violate("until", .type, "expected a path such as context.due_at")
        }
        return .duration(.none)
    }
}

/// A question to people.
package struct WorkflowApproval: Sendable, Hashable {
    package enum Assignee: Sendable, Hashable {
        case role(String)
        case user(String)
        /// A context path to a user's id.
        case relation(ContextPath)
    }

    package let assignees: [Assignee]
    package let required: WorkflowCount
    package let timeout: WorkflowSpan?
    /// What is sent along with a decision, and enters the context.
    package let form: [FieldDefinition]
    package let onApprove: WorkflowGoto
    package let onReject: WorkflowGoto
    /// Nil where the instance fails then.
    package let onTimeout: WorkflowGoto?

    static func read(_ reader: inout DefinitionReader) -> WorkflowApproval {
        var assignees: [Assignee] = []
        if case .array(let items)? = reader.object["assignee"] {
            _ = reader.value("assignee")
            for (index, item) in items.enumerated() { readAssignee(item, "assignee[\(index)]", &reader, &assignees) }
        } else if let value = reader.value("assignee") {
            readAssignee(value, "assignee", &reader, &assignees)
        } else {
            reader.violate("assignee", .required, "is required: {\"type\": \"role\", \"role\": …}")
        }
        var timeout: WorkflowSpan?
        if let text = reader.string("timeout") {
            timeout = WorkflowSpan(text)
            if timeout == nil { reader.violate("timeout", .type, "expected a time such as 10s, 30m, 72h or 2d") }
        }
        var form: [FieldDefinition] = []
        for (object, path) in reader.objects("form") ?? [] {
            let (field, violations) = FieldDefinition.read(object, path: path)
            reader.include(violations)
            form.append(field)
        }
        let onTimeout = reader.object["on_timeout"] ?? .null == .null ? nil : WorkflowGoto.read("on_timeout", &reader)
        if onTimeout != nil, timeout == nil { reader.violate("on_timeout", .type, "there is no \"timeout\"") }
        _ = reader.value("on_timeout")
        let required = WorkflowCount.read("required", &reader, default: .any)
        let named = Set(assignees)
        let hasRole = named.contains { if case .role = $0 { true } else { false } }
        if case .number(let count) = required, !hasRole, count > named.count {
            reader.violate("required", .type, "there are \(named.count) who are asked")
        }
        return WorkflowApproval(
            assignees: assignees,
            required: required,
            timeout: timeout,
            form: form,
            onApprove: .read("on_approve", &reader),
            onReject: .read("on_reject", &reader),
            onTimeout: onTimeout
        )
    }

    private static func readAssignee(
        _ value: JSONValue,
        _ member: String,
        _ reader: inout DefinitionReader,
        _ assignees: inout [Assignee]
    ) {
        guard case .object(let object) = value else {
            return reader.violate(member, .type, "expected an object, got \(value.kind)")
        }
        var inner = DefinitionReader(object, path: reader.path(to: member))
        switch inner.oneOf("type", ["role", "user", "relation"], default: nil) {
        case "role": assignees.append(.role(inner.requiredString("role")))
        case "user":
            let text = inner.requiredString("user")
            if let id = UniqueID(text) {
                if !assignees.contains(.user(id.text)) { assignees.append(.user(id.text)) }
            } else if !text.isEmpty {
                inner.violate("user", .type, "expected a user's id")
            }
        case "relation":
            let text = inner.requiredString("path")
            if let path = ContextPath(ofContext: text) {
                assignees.append(.relation(path))
            } else if !text.isEmpty {
                inner.violate("path", .type, "expected a path such as context.manager_id")
            }
        default: for name in object.names { _ = inner.value(name) }
        }
        inner.refuseUnknownMembers()
        reader.include(inner.violations)
    }
}
