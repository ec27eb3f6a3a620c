import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// Records: list, read, create, update, delete, restore.
enum RecordRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.get, "/api/:app/:entity", .app, list)
        table.add(.post, "/api/:app/:entity", .app, create)
        table.add(.get, "/api/:app/:entity/:id", .app, read)
        table.add(.put, "/api/:app/:entity/:id", .app, update)
        table.add(.patch, "/api/:app/:entity/:id", .app, update)
        table.add(.delete, "/api/:app/:entity/:id", .app, delete)
        table.add(.post, "/api/:app/:entity/:id/restore", .app, restore)
    }

    /// The app, the entity in the snapshot that this request keeps to the end, and the permission.
    private struct Target {
        let app: AppContext
        let entity: EntityModel
        let grant: Grant

        init(_ call: Call, _ action: RecordAction) throws(RequestFailure) {
            app = try call.requireApp()
            let access = Access(try call.requirePrincipal(), to: app.snapshots.current)
            entity = try access.snapshot.entity(try call.parameter("entity"))
            grant = try access.grant(action, on: entity)
        }
    }

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let target = try Target(call, .read)
        let query = try RecordQuery.parse(try call.query())
        let plan = try ReadPlanner.list(query, of: target.entity, grant: target.grant)
        return Reply(
            body: Envelope.page(try await RecordReader.list(plan, of: target.entity, from: target.app.database))
        )
    }

    @Sendable private static func read(_ call: Call) async throws -> Reply {
        let target = try Target(call, .read)
        let view = try RecordView.parse(try call.query())
        let id = try call.parameter("id")
        let plan = try ReadPlanner.one(id: id, view: view, of: target.entity, grant: target.grant)
        return record(try await RecordReader.one(plan, id: id, of: target.entity, from: target.app.database))
    }

    @Sendable private static func create(_ call: Call) async throws -> Reply {
        let payload = try await call.object()
        try call.refuseParameters()
        let target = try Target(call, .create)
        let plan = try WritePlanner.create(
            payload,
            in: target.entity,
            grant: target.grant,
            now: call.services.dependencies.now(),
            newID: call.services.dependencies.newID
        )
        let stored = try await RecordWriter.create(plan, in: target.app.database)
        var reply = record(stored)
        reply.status = .created
        reply.headers[.location] =
            "/api/\(target.app.name)/\(target.entity.name)/\(percentEncoded(stored.key ?? ""))"
        return reply
    }

    @Sendable private static func update(_ call: Call) async throws -> Reply {
        let payload = try await call.object()
        try call.refuseParameters()
        let target = try Target(call, .update)
        let id = try call.parameter("id")
        let plan = try WritePlanner.update(
            payload,
            id: id,
            in: target.entity,
            grant: target.grant,
            precondition: call.precondition
        )
        return record(
            try await RecordWriter.update(plan, id: id, now: call.services.dependencies.now(), in: target.app.database)
        )
    }

    @Sendable private static func delete(_ call: Call) async throws -> Reply {
        let target = try Target(call, .delete)
        let purges = try call.flag("purge")
        let id = try call.parameter("id")
        let plan = try WritePlanner.delete(
            id: id,
            in: target.entity,
            grant: target.grant,
            precondition: call.precondition,
            purges: purges,
            now: call.services.dependencies.now()
        )
        try await RecordWriter.delete(plan, id: id, in: target.app.database)
        return Reply(data: ["id": plan.key.json])
    }

    @Sendable private static func restore(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let target = try Target(call, .delete)
        let id = try call.parameter("id")
        let statement = try WritePlanner.restore(id: id, in: target.entity, grant: target.grant)
        return record(try await RecordWriter.restore(statement, id: id, of: target.entity, in: target.app.database))
    }

    private static func record(_ stored: StoredRecord) -> Reply {
        Reply(headers: [.eTag: stored.tag], body: Envelope.record(stored.json))
    }
}

/// A path segment with everything but RFC 3986's unreserved characters escaped.
private func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte -> String in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            return String(UnicodeScalar(byte))
        default:
            let hex = String(byte, radix: 16, uppercase: true)
            return "%" + (byte < 16 ? "0" : "") + hex
        }
    }.joined()
}
