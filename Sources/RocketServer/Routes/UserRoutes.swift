import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// The users of an app and of the platform alike, as their administrators keep them.
enum UserRoutes {
    static func add(to table: inout RouteTable) {
        for (path, access) in [
            ("/api/:app/_admin/users", RouteAccess.appAdmin), ("/api/_platform/users", .platformAdmin),
        ] {
            table.add(.get, path, access, list)
            table.add(.post, path, access, create)
            table.add(.get, "\(path)/:id", access, read)
            table.add(.put, "\(path)/:id", access, change)
            table.add(.delete, "\(path)/:id", access, delete)
        }
    }

    private static let emailFilter = "filter[email]"

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let values = try call.query().values(of: PageRequest.parameterNames + [emailFilter])
        let place = try PageRequest(values)
        let email = values[emailFilter]
        guard email?.utf8.contains(0) != true else {
            throw RequestFailure.parameter(emailFilter, "text can't hold the character NUL")
        }
        let found = try await AuthRoutes.accounts(call).users(on: place, email: email)
        return Reply(
            data: .array(found.users.map(\.json)),
            meta: [
                "page": .integer(place.page), "per_page": .integer(place.perPage), "total": .integer(found.total),
            ]
        )
    }

    @Sendable private static func create(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let new = try NewUser(try await call.object())
        let user = try await AuthRoutes.accounts(call).createUser(new)
        let place = call.app.map { "/api/\($0.name)/_admin/users" } ?? "/api/_platform/users"
        return Reply(.created, headers: [.location: "\(place)/\(user.id)"], data: user.json)
    }

    @Sendable private static func read(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: try await AuthRoutes.accounts(call).existingUser(id: try call.parameter("id")).json)
    }

    @Sendable private static func change(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let id = try call.parameter("id")
        let change = try UserChange(try await call.object())
        return Reply(data: try await AuthRoutes.accounts(call).changeUser(id: id, change).json)
    }

    @Sendable private static func delete(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let user = try await AuthRoutes.accounts(call).deleteUser(id: try call.parameter("id"))
        return Reply(data: ["id": .string(user.id)])
    }
}

extension StoredUser {
    /// What administrators see: everything but the hash and the version of tokens.
    fileprivate var json: JSONValue {
        [
            "id": .string(id), "email": .string(email), "roles": .array(roles.map(JSONValue.string)),
            "active": .boolean(isActive), "attributes": .object(attributes), "created_at": .string(createdAt.rfc3339),
            "updated_at": .string(updatedAt.rfc3339),
        ]
    }
}
