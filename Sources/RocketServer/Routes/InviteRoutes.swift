import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// Invitations to an app.
enum InviteRoutes {
    static func add(to table: inout RouteTable) {
        let path = "/api/:app/_admin/invites"
        table.add(.get, path, .appAdmin, list)
        table.add(.post, path, .appAdmin, create)
        table.add(.post, "\(path)/bulk", .appAdmin, createMany)
        table.add(.delete, "\(path)/:id", .appAdmin, delete)
    }

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let place = try PageRequest(try call.query().values(of: PageRequest.parameterNames))
        let found = try await call.requireApp().accounts.invites(on: place)
        let now = call.services.dependencies.now()
        return Reply(
            data: .array(found.invites.map { .object($0.json(at: now)) }),
            meta: [
                "page": .integer(place.page), "per_page": .integer(place.perPage), "total": .integer(found.total),
            ]
        )
    }

    /// `{"email", "roles"?, "attributes"?}`
    @Sendable private static func create(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let sent = try await send([try NewInvite(try await call.object())], call)
        return Reply(.created, data: sent[0])
    }

    /// `{"invites": [{"email", "roles"?, "attributes"?}]}`: all or none.
    @Sendable private static func createMany(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        var reader = DefinitionReader(try await call.object())
        let objects = reader.objects("invites") ?? []
        if objects.isEmpty, reader.violations.isEmpty {
            reader.violate("invites", .required, "is required: at least one")
        }
        if objects.count > Accounts.maximumInvites {
            reader.violate("invites", .maxLength, "at most \(Accounts.maximumInvites) at once, got \(objects.count)")
        }
        reader.refuseUnknownMembers()
        var violations = reader.violations
        var invites: [NewInvite] = []
        for (object, path) in objects.prefix(Accounts.maximumInvites) {
            do throws(RequestFailure) {
                invites.append(try NewInvite(object, at: path))
            } catch {
                violations += error.details
            }
        }
        for (index, invite) in invites.enumerated()
        where invites[..<index].contains(where: { $0.email == invite.email }) {
            let message = "\(invite.email) is invited twice"
            violations.append(FailureDetail(field: "invites[\(index)].email", message: message))
        }
        guard violations.isEmpty else { throw RequestFailure.validation(violations) }
        return Reply(.created, data: .array(try await send(invites, call)))
    }

    private static func send(_ invites: [NewInvite], _ call: Call) async throws -> [JSONValue] {
        let accounts = try call.requireApp().accounts
        let now = call.services.dependencies.now()
        return try await accounts.invite(invites, by: try call.requirePrincipal()).map { sent in
            var object = sent.invite.json(at: now)
            object["token"] = .string(sent.token)
            return .object(object)
        }
    }

    @Sendable private static func delete(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let id = try call.parameter("id")
        try await call.requireApp().accounts.removeInvite(id: id)
        return Reply(data: ["id": .string(id)])
    }
}

extension StoredInvite {
    /// Everything but the token, of which nobody has more than the hash.
    fileprivate func json(at now: Timestamp) -> JSONObject {
        let status = acceptedAt != nil ? "accepted" : expiresAt > now ? "pending" : "expired"
        return [
            "id": .string(id), "email": .string(email), "roles": .array(roles.map(JSONValue.string)),
            "attributes": .object(attributes), "status": .string(status), "invited_by": .string(invitedBy),
            "expires_at": .string(expiresAt.rfc3339), "created_at": .string(createdAt.rfc3339),
            "accepted_at": acceptedAt.map { .string($0.rfc3339) } ?? .null,
        ]
    }
}
