import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// The definitions of one kind that are known by an id.
struct StoredDefinitionRoutes: Sendable {
    let kind: DefinitionKind
    /// Behind `_admin/`.
    let path: String

    func add(to table: inout RouteTable, _ admin: String) {
        table.add(.get, "\(admin)/\(path)", .appAdmin, list)
        table.add(.post, "\(admin)/\(path)", .appAdmin, create)
        table.add(.get, "\(admin)/\(path)/:id", .appAdmin, read)
        table.add(.put, "\(admin)/\(path)/:id", .appAdmin, replace)
        table.add(.delete, "\(admin)/\(path)/:id", .appAdmin, delete)
        if kind == .rules { table.add(.post, "\(admin)/\(path)/test", .appAdmin, test) }
    }

    @Sendable private func list(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let definitions = try call.requireApp().snapshots.current.definitions
        return Reply(data: .array(definitions.others.filter { $0.kind == kind }.map(\.json)))
    }

    @Sendable private func create(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let id = call.services.dependencies.newID().text
        let given = try sealed(try await definition(call), call)
        let (json, warnings) = try await apply(DefinitionChanges.add(kind, given.payload, id: id), id, call)
        let reply = MetadataRoutes.definition(json, warnings, .created, location: "\(path)/\(id)", call)
        return showing(given.secret, reply, json)
    }

    /// - Throws: 422 where it calls an address that no call may go to.
    private func definition(_ call: Call) async throws -> JSONObject {
        let payload = try await call.object()
        try await CalledPlaces.requireAllowed(in: payload, of: kind, call.services.calls.caller)
        return payload
    }

    /// What is given with its secret sealed, where it is of a kind that has one.
    private func sealed(_ payload: JSONObject, _ call: Call) throws -> (payload: JSONObject, secret: String?) {
        guard kind == .webhooks else { return (payload, nil) }
        let secret = try WebhookSecret(
            in: payload,
            call.services.secretBox,
            randomBytes: call.services.dependencies.randomBytes
        )
        return (secret.payload, secret.shown)
    }

    /// An answer that shows a secret this once.
    private func showing(_ secret: String?, _ reply: Reply, _ json: JSONValue) -> Reply {
        guard let secret, var shown = json.objectValue else { return reply }
        var reply = reply
        shown["secret"] = .string(secret)
        reply.body = Reply(data: .object(shown)).body
        return reply
    }

    @Sendable private func read(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let definitions = try call.requireApp().snapshots.current.definitions
        return MetadataRoutes.definition(
            try DefinitionChanges.definition(kind, try call.parameter("id"), in: definitions).json
        )
    }

    @Sendable private func replace(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let id = try call.parameter("id")
        let given = try sealed(try await definition(call), call)
        let change = DefinitionChanges.replace(kind, id, with: given.payload, precondition: call.precondition)
        let (json, warnings) = try await apply(change, id, call)
        return showing(given.secret, MetadataRoutes.definition(json, warnings: warnings), json)
    }

    @Sendable private func delete(_ call: Call) async throws -> Reply {
        let cascades = try call.flag("cascade")
        let id = try call.parameter("id")
        let change = DefinitionChanges.remove(kind, id, cascades: cascades, precondition: call.precondition)
        _ = try await MetadataRoutes.apply(change, call)
        return Reply(data: ["id": .string(id), "message": .string("Deleted the \(kind.noun)")])
    }

    /// Tries a rule before it is saved; nothing is stored.
    @Sendable private func test(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let payload = try await call.object()
        let app = try call.requireApp()
        let trial = try RuleTrial(
            payload,
            try call.access(to: app),
            now: call.services.dependencies.now()
        )
        return Reply(data: .object(try await RuleTester.run(trial, in: app.database)))
    }

    /// - Returns: the definition as it is in force, and what the change did without.
    private func apply(
        _ change: @escaping MetadataWriter.Change,
        _ id: String,
        _ call: Call
    ) async throws -> (JSONValue, [String]) {
        let app = try call.requireApp()
        let applied = try await app.metadata.apply(now: call.services.dependencies.now(), change)
        MetadataRoutes.tell(applied.warnings, app, call)
        let definition = try DefinitionChanges.definition(kind, id, in: applied.snapshot.definitions)
        return (definition.json, applied.warnings)
    }
}
