import HTTPTypes
import Hummingbird
import NIOCore
import RocketEngine
import RocketModel
import RocketPlanning

/// Records: list, read, create, update, delete, restore, and what has happened to them.
enum RecordRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.post, "/api/:app/_batch", .app, batch)
        table.add(.get, "/api/:app/:entity", .appRecords(.read), list)
        table.add(.post, "/api/:app/:entity", .appRecords(.create), create)
        table.add(.get, "/api/:app/:entity/:id", .appRecords(.read), read)
        table.add(.put, "/api/:app/:entity/:id", .appRecords(.update), update)
        table.add(.patch, "/api/:app/:entity/:id", .appRecords(.update), update)
        table.add(.delete, "/api/:app/:entity/:id", .appRecords(.delete), delete)
        table.add(.post, "/api/:app/:entity/:id/restore", .app, restore)
        table.add(.get, "/api/:app/:entity/:id/history", .app, history)
    }

    /// The app, the entity in the snapshot that this request keeps to the end, and the permission.
    private struct Target {
        let app: AppContext
        let entity: EntityModel
        let grant: Grant

        init(_ call: Call, _ action: RecordAction) throws(RequestFailure) {
            app = try call.requireApp()
            let access = try call.access(to: app)
            entity = try access.snapshot.entity(try call.parameter("entity"))
            grant = try access.grant(action, on: entity)
        }
    }

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let target = try Target(call, .read)
        let query = try RecordQuery.parse(try call.query())
        let now = target.grant.access.now
        let plan = try ReadPlanner.list(query, of: target.entity, grant: target.grant, now: now)
        return Reply(
            body: Envelope.page(try await RecordReader.list(plan, of: target.entity, from: target.app.database))
        )
    }

    @Sendable private static func read(_ call: Call) async throws -> Reply {
        let target = try Target(call, .read)
        let (view, extras) = try RecordView.parse(try call.query())
        let id = try call.parameter("id")
        let now = target.grant.access.now
        let plan = try ReadPlanner.one(
            id: id,
            view: view,
            transitions: extras.transitions ? ReachableStates(of: target.entity, target.grant.access, now: now) : nil,
            of: target.entity,
            grant: target.grant
        )
        let stored = try await RecordReader.one(plan, id: id, of: target.entity, from: target.app.database)
        guard extras.workflows else { return record(stored) }
        let desk = WorkflowDesk(target.app, call.services.calls, call.services.dependencies)
        let instances = try await desk.instances(of: target.entity.name, try key(of: stored, target.entity) ?? id)
        var meta: JSONObject = ["workflows": .array(instances.map(JSONValue.object))]
        meta["transitions"] = stored.transitions.map(JSONValue.object)
        return Reply(headers: [.eTag: stored.tag], body: Envelope.record(stored.json, meta: meta))
    }

    /// A record may be asked for by its slug.
    private static func key(of stored: StoredRecord, _ entity: EntityModel) throws -> String? {
        let record = try JSONParser.parse(stored.json, maximumDepth: 512).objectValue
        return switch record?[entity.key.name] {
        case .string(let text)?: text
        case .number(let number)?: number.text
        default: nil
        }
    }

    /// What happened to a record: `page`, `per_page`. What it was before is nobody's business who has not signed in, though a
    /// policy may let everyone read what it is.
    @Sendable private static func history(_ call: Call) async throws -> Reply {
        let target = try Target(call, .read)
        let place = try PageRequest(try call.query().values(of: PageRequest.parameterNames))
        let found = try await RecordHistory.page(
            of: try call.parameter("id"),
            target.entity,
            grant: target.grant,
            on: place,
            in: target.app
        )
        return Reply(
            data: .array(found.entries.map(JSONValue.object)),
            meta: [
                "page": .integer(place.page), "per_page": .integer(place.perPage), "total": .integer(found.total),
            ]
        )
    }

    @Sendable private static func create(_ call: Call) async throws -> Reply {
        let payload = try await call.object()
        try call.refuseParameters()
        return try await run(.create(payload), call, key: try key(call, payload))
    }

    @Sendable private static func update(_ call: Call) async throws -> Reply {
        let payload = try await call.object()
        try call.refuseParameters()
        return try await run(.update(id: try call.parameter("id"), payload), call)
    }

    @Sendable private static func delete(_ call: Call) async throws -> Reply {
        try await run(.delete(id: try call.parameter("id"), purges: try call.flag("purge")), call)
    }

    @Sendable private static func restore(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return try await run(.restore(id: try call.parameter("id")), call, key: try key(call, JSONObject()))
    }

    private static func run(_ kind: RecordOperation.Kind, _ call: Call, key: RequestKey? = nil) async throws -> Reply {
        let app = try call.requireApp()
        let entity = try call.parameter("entity")
        let access = try call.access(to: app)
        let answer: @Sendable (OperationOutcome) -> Reply = { reply(to: kind, $0, entity, app) }
        return try await once(key, app, answer) { keyed in
            try await RecordWriter.run(
                RecordOperation(entity: entity, kind: kind, precondition: call.precondition),
                access: access,
                cause: call.cause,
                keyed: keyed,
                calls: call.services.calls,
                call.services.dependencies,
                in: app
            )
        }
    }

    private static func reply(
        to kind: RecordOperation.Kind,
        _ outcome: OperationOutcome,
        _ entity: String,
        _ app: AppContext
    ) -> Reply {
        switch outcome {
        case .deleted(let key): return Reply(data: ["id": key.json])
        case .stored(let stored):
            var reply = record(stored)
            guard case .create = kind else { return reply }
            reply.status = .created
            reply.headers[.location] = "/api/\(app.name)/\(entity)/\(percentEncoded(stored.key ?? ""))"
            return reply
        }
    }

    /// Many operations in one transaction.
    @Sendable private static func batch(_ call: Call) async throws -> Reply {
        let payload = try await call.object()
        try call.refuseParameters()
        let app = try call.requireApp()
        let batch = try BatchRequest(payload, app: app.name)
        let access = try call.access(to: app)
        let isCreated = batch.operations.map(\.isCreate)
        return try await once(
            try key(call, payload),
            app,
            { Reply(body: Envelope.batch($0, isCreated: isCreated)) }
        ) { keyed in
            try await BatchWriter.run(
                batch,
                access: access,
                cause: call.cause,
                keyed: keyed,
                calls: call.services.calls,
                call.services.dependencies,
                in: app
            )
        }
    }

    // MARK: requests that are sent again

    /// What the client calls this request; nil where it has no name for it.
    private static func key(_ call: Call, _ payload: JSONObject) throws(RequestFailure) -> RequestKey? {
        guard let text = call.headers[.idempotencyKey] else { return nil }
        let principal = try call.requirePrincipal()
        // Those who have no name are told apart by where they come from.
        let owner = principal.isAnonymous ? "anonymous \(call.clientAddress)" : principal.userID
        return try RequestKey(
            text,
            owner: principal.isOfPlatform ? "platform \(owner)" : owner,
            method: call.request.method.rawValue,
            path: call.request.uri.path,
            body: JSONValue.object(payload).jsonBytes,
            now: call.services.dependencies.now()
        )
    }

    /// Carries a request out, or gives the answer that it had when it was carried out before.
    private static func once<Outcome: Sendable>(
        _ key: RequestKey?,
        _ app: AppContext,
        _ answer: @escaping @Sendable (Outcome) -> Reply,
        _ run: (KeyedAnswer<Outcome>?) async throws -> Outcome
    ) async throws -> Reply {
        guard let key else { return answer(try await run(nil)) }
        do {
            return answer(try await run(KeyedAnswer(key) { answer($0).kept }))
        } catch {
            // Whatever stands in its way now, it may have been carried out before.
            guard let known = try await app.answer(to: key) else { throw error }
            return Reply(kept: known)
        }
    }

    private static func record(_ stored: StoredRecord) -> Reply {
        let body =
            stored.transitions.map { Envelope.record(stored.json, transitions: $0) } ?? Envelope.record(stored.json)
        return Reply(headers: [.eTag: stored.tag], body: body)
    }
}
