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
        let values = try await call.object().strings(["name"], optional: ["display_name", "db_driver"])
        let app = try await call.services.apps.create(
            name: values["name"] ?? "",
            displayName: values["display_name"],
            driver: values["db_driver"]
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
