import HTTPTypes
import RocketEngine
import RocketModel

/// Signing in and out, of an app and of the platform alike.
enum AuthRoutes {
    /// Nobody has signed in yet, so nobody sends more than this.
    private static let maximumBodyBytes = 16 * 1024

    static func add(to table: inout RouteTable) {
        for (path, open, signedIn) in [
            ("/api/_platform/auth", RouteAccess.open, RouteAccess.platform),
            ("/api/:app/auth", .openApp, .app),
        ] {
            table.add(.post, "\(path)/login", open, login)
            table.add(.post, "\(path)/refresh", open, refresh)
            table.add(.post, "\(path)/logout", open, logout)
            table.add(.get, "\(path)/me", signedIn, me)
            table.add(.post, "\(path)/password", signedIn, changePassword)
        }
        // Not of the platform: it has no events by which a token could reach its user.
        table.add(.post, "/api/:app/auth/forgot", .openApp, forgotPassword)
        table.add(.post, "/api/:app/auth/reset", .openApp, resetPassword)
        table.add(.post, "/api/:app/auth/accept-invite", .openApp, acceptInvite)
    }

    @Sendable private static func login(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["email", "password"])
        let signedIn = try await accounts(call).login(
            email: values["email"] ?? "",
            password: values["password"] ?? "",
            address: call.clientAddress
        )
        return try await tokens(signedIn, call)
    }

    @Sendable private static func refresh(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["refresh_token"])
        return try await tokens(try await accounts(call).refresh(values["refresh_token"] ?? ""), call)
    }

    @Sendable private static func logout(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["refresh_token"])
        try await accounts(call).logout(values["refresh_token"] ?? "")
        return Reply(json: ["data": ["message": "Logged out"], "message": "Logged out"])
    }

    @Sendable private static func me(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let principal = try call.requirePrincipal()
        return Reply(data: [
            "id": .string(principal.userID), "email": .string(principal.email),
            "roles": .array(principal.roles.map(JSONValue.string)),
        ])
    }

    /// `{"old", "new"}`: ends every token of the user.
    @Sendable private static func changePassword(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["old", "new"])
        let principal = try call.requirePrincipal()
        let isGuest = principal.isPlatformAdmin && call.app != nil
        guard !isGuest else { throw RequestFailure(.forbidden, "A platform administrator has no password in an app") }
        try await accounts(call).changePassword(
            ofUser: principal.userID,
            from: values["old"] ?? "",
            to: values["new"] ?? "",
            address: call.clientAddress
        )
        return Reply(data: ["message": "Password changed"])
    }

    /// `{"email"}`: the answer is the same whether there is such a user or not.
    @Sendable private static func forgotPassword(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["email"])
        let app = try call.requireApp()
        await app.expectWork(call.services.dependencies)
        try await app.accounts.sendPasswordReset(to: values["email"] ?? "", address: call.clientAddress)
        app.workIsDue()
        return Reply(data: ["message": "If there is an active user with this e-mail, a password reset is on its way"])
    }

    /// `{"token", "password"}`: ends every token of the user.
    @Sendable private static func resetPassword(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["token", "password"])
        try await call.requireApp().accounts.resetPassword(
            to: values["password"] ?? "",
            token: values["token"] ?? "",
            address: call.clientAddress
        )
        return Reply(data: ["message": "Password changed"])
    }

    /// `{"token", "password"}`: who has been invited becomes a user, and is signed in.
    @Sendable private static func acceptInvite(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let values = try await call.object(limit: maximumBodyBytes).strings(["token", "password"])
        let signedIn = try await call.requireApp().accounts.acceptInvite(
            token: values["token"] ?? "",
            password: values["password"] ?? "",
            address: call.clientAddress
        )
        let user = signedIn.user
        return try await tokens(
            signedIn,
            call,
            .created,
            more: [
                "user": [
                    "id": .string(user.id), "email": .string(user.email),
                    "roles": .array(user.roles.map(JSONValue.string)),
                ]
            ]
        )
    }

    /// The app's, or the platform's where the path names no app.
    static func accounts(_ call: Call) -> Accounts {
        call.app?.accounts ?? call.services.apps.platform
    }

    private static func tokens(
        _ signedIn: SignedIn,
        _ call: Call,
        _ status: HTTPResponse.Status = .ok,
        more: JSONObject = JSONObject()
    ) async throws -> Reply {
        let issuer = call.app.map { TokenIssuer.app($0.stored) } ?? .platform
        let access = try await call.services.tokens.issue(to: signedIn.user, by: issuer)
        var data: JSONObject = [
            "access_token": .string(access), "refresh_token": .string(signedIn.refreshToken),
        ]
        for member in more.members { data[member.name] = member.value }
        return Reply(status, data: .object(data))
    }
}
