import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// The API of an app, described for programs.
enum OpenAPIRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.get, "/api/:app/_openapi.json", .app, document)
    }

    /// The document itself, without an envelope: that is what tools read.
    @Sendable private static func document(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let app = try call.requireApp()
        return Reply(json: .object(OpenAPIDocument(try call.access(to: app), app.stored).json))
    }
}
