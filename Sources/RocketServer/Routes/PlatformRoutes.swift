import HTTPTypes
import RocketEngine
import RocketModel

/// The apps of the server.
enum PlatformRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.get, "/api/_platform/apps", .platformAdmin, list)
        table.add(.post, "/api/_platform/apps", .platformAdmin, create)
        table.add(.get, "/api/_platform/apps/:name", .platformAdmin, read)
        table.add(.delete, "/api/_platform/apps/:name", .platformAdmin, delete)
    }

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: .array(try await call.services.apps.all().map(\.json)))
    }

    @Sendable private static func create(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        var reader = DefinitionReader(try await call.object())
        let name = reader.requiredString("name")
        let displayName = reader.string("display_name")
        let driver = reader.string("db_driver")
        let source = reader.string("from")
        let withRows = reader.boolean("rows", default: false)
        if withRows, source == nil { reader.violate("rows", .type, "takes \"from\", the app whose rows are meant") }
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw RequestFailure.validation(reader.violations) }
        let app = try await call.services.apps.create(
            name: name,
            displayName: displayName,
            driver: driver,
            from: source.map { withRows ? .everything(of: $0) : .definitions(of: $0) } ?? .nothing
        )
        return Reply(.created, headers: [.location: "/api/_platform/apps/\(app.name)"], data: app.json)
    }

    @Sendable private static func read(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: try await call.services.apps.app(try call.parameter("name")).json)
    }

    @Sendable private static func delete(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let name = try call.parameter("name")
        call.services.tokens.forget(try await call.services.apps.delete(name))
        return Reply(json: ["data": ["message": "App deleted"], "message": "App deleted"])
    }
}

extension StoredApp {
    fileprivate var json: JSONValue {
        [
            "name": .string(name), "display_name": .string(displayName), "db_name": .string(databaseName),
            "db_driver": .string(driver), "status": .string(status.rawValue),
        ]
    }
}
