import HTTPTypes
import RocketEngine
import RocketModel

/// Liveness, readiness, and the socket of the command line.
enum SystemRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.get, "/health", .open, health)
        table.add(.get, "/ready", .open, ready)
        table.add(.post, "/_control/users", .control, createUser)
        table.add(.put, "/_control/users/:email/password", .control, setPassword)
    }

    @Sendable private static func health(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: ["status": "ok"])
    }

    @Sendable private static func ready(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        guard await call.services.apps.isReady() else {
            throw RequestFailure.unavailable("The management database can't be reached")
        }
        return Reply(data: ["status": "ready"])
    }

    /// `{"app"?, "email", "password", "roles": []}`: a user of an app or, without one, of the platform.
    @Sendable private static func createUser(_ call: Call) async throws -> Reply {
        var reader = DefinitionReader(try await call.object())
        let app = reader.string("app")
        let email = reader.requiredString("email")
        let password = reader.requiredString("password")
        let roles = reader.strings("roles") ?? []
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw RequestFailure.validation(reader.violations) }
        let user = try await withAccounts(of: app, call) { accounts in
            try await accounts.createUser(email: email, password: password, roles: roles)
        }
        let data: JSONObject = [
            "id": .string(user.id), "email": .string(user.email), "roles": .array(user.roles.map(JSONValue.string)),
        ]
        return Reply(.created, data: .object(data))
    }

    /// `{"app"?, "password"}`
    @Sendable private static func setPassword(_ call: Call) async throws -> Reply {
        let email = try call.parameter("email")
        let values = try await call.object().strings(["password"], optional: ["app"])
        try await withAccounts(of: values["app"], call) { accounts in
            try await accounts.setPassword(values["password"] ?? "", ofUser: email)
        }
        return Reply(data: ["message": "Password changed"])
    }

    private static func withAccounts<Value>(
        of app: String?,
        _ call: Call,
        _ body: (Accounts) async throws -> Value
    ) async throws -> Value {
        guard let app else { return try await body(call.services.apps.platform) }
        return try await call.services.apps.withApp(app) { try await body($0.accounts) }
    }
}
