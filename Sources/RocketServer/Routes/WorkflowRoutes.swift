import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// Instances of workflows: what waits for people, what they say, and how each has gone; and events from outside.
enum WorkflowRoutes {
    static func add(to table: inout RouteTable) {
        let path = "/api/:app/_workflows"
        table.add(.get, path, .appAdmin, list)
        table.add(.get, "\(path)/pending", .app, pending)
        table.add(.get, "\(path)/:id", .app, read)
        table.add(.post, "\(path)/:id/approve", .app, approve)
        table.add(.post, "\(path)/:id/reject", .app, reject)
        table.add(.post, "\(path)/:id/delegate", .app, delegate)
        table.add(.post, "\(path)/:id/retry", .appAdmin, retry)
        table.add(.delete, "\(path)/:id", .appAdmin, cancel)
        table.add(.post, "/api/:app/_events/:event", .app, event)
    }

    private static func desk(_ call: Call) throws -> WorkflowDesk {
        WorkflowDesk(try call.requireApp(), call.services.calls, call.services.dependencies)
    }

    private static func principal(_ call: Call) throws -> Principal {
        try call.access(to: try call.requireApp()).principal
    }

    // MARK: reading

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let values = try call.query().values(of: PageRequest.parameterNames + WorkflowDesk.filters)
        let filters = values.filter { WorkflowDesk.filters.contains($0.key) }
        for (name, value) in filters where value.utf8.contains(0) {
            throw RequestFailure.parameter(name, "text can't hold the character NUL")
        }
        let statuses = WorkflowInstance.Status.allCases.map(\.rawValue)
        if let status = values["status"], !statuses.contains(status) {
            throw RequestFailure.parameter("status", "\"\(status)\" is none of \(statuses.joined(separator: ", "))")
        }
        let place = try PageRequest(values)
        return page(try await desk(call).page(filters, place), place)
    }

    @Sendable private static func pending(_ call: Call) async throws -> Reply {
        let values = try call.query().values(of: PageRequest.parameterNames + ["assignee"])
        if let assignee = values["assignee"], assignee != "me" {
            throw RequestFailure.parameter("assignee", "\"\(assignee)\" is not \"me\"")
        }
        let principal = try principal(call)
        let isOfAll = principal.isAdmin && values["assignee"] == nil
        let place = try PageRequest(values)
        return page(try await desk(call).pending(for: isOfAll ? nil : principal, place), place)
    }

    private static func page(_ found: (rows: [JSONObject], total: Int64), _ place: PageRequest) -> Reply {
        Reply(
            data: .array(found.rows.map(JSONValue.object)),
            meta: [
                "page": .integer(place.page), "per_page": .integer(place.perPage), "total": .integer(found.total),
            ]
        )
    }

    @Sendable private static func read(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(
            data: .object(try await desk(call).instance(try call.parameter("id"), for: try principal(call)))
        )
    }

    // MARK: saying

    private static func tell(_ input: InstanceInput, _ call: Call) async throws -> Reply {
        let told = try await desk(call).tell(try call.parameter("id"), input, by: try principal(call))
        return Reply(data: .object(told))
    }

    @Sendable private static func approve(_ call: Call) async throws -> Reply { try await decide(true, call) }

    @Sendable private static func reject(_ call: Call) async throws -> Reply { try await decide(false, call) }

    private static func decide(_ approves: Bool, _ call: Call) async throws -> Reply {
        try call.refuseParameters()
        var reader = DefinitionReader(try await call.optionalObject())
        let decision = InstanceInput.Decision(
            step: reader.string("step"),
            comment: reader.string("comment"),
            form: reader.object("form") ?? JSONObject()
        )
        if let comment = decision.comment, comment.utf8.count > longestComment {
            reader.violate("comment", .maxLength, "has at most \(longestComment) bytes")
        }
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw RequestFailure.validation(reader.violations) }
        let person = WorkflowMachine.Person(try principal(call))
        return try await tell(.decide(approves: approves, by: person, decision), call)
    }

    @Sendable private static func delegate(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        var reader = DefinitionReader(try await call.object())
        let user = reader.requiredString("user").lowercased()
        let step = reader.string("step")
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw RequestFailure.validation(reader.violations) }
        return try await tell(.delegate(to: user, by: WorkflowMachine.Person(try principal(call)), step: step), call)
    }

    @Sendable private static func retry(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return try await tell(.retry(by: WorkflowMachine.Person(try principal(call))), call)
    }

    @Sendable private static func cancel(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return try await tell(.cancel(by: WorkflowMachine.Person(try principal(call))), call)
    }

    /// In bytes.
    private static let longestEvent = 200
    private static let longestComment = 10_000

    /// An event from outside, with whatever object as its payload.
    @Sendable private static func event(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let name = try call.parameter("event")
        guard !name.utf8.contains(0), name.utf8.count <= longestEvent else {
            throw RequestFailure.validation([
                FailureDetail(
                    field: "event",
                    rule: .type,
                    message: "a name has at most \(longestEvent) bytes, and no NUL"
                )
            ])
        }
        let payload = try await call.optionalObject()
        try await desk(call).send(name, payload, by: try principal(call), cause: call.cause)
        return Reply(.accepted, data: ["event": .string(name)])
    }
}
