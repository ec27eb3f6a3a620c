import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Who is invited becomes a user, once and in time.
struct InviteTests {
    private static func invite(_ app: TestApp, _ email: String = "ann@x.example") async throws -> String {
        let answer = try await app.post("_admin/invites", ["email": .string(email), "roles": ["agent"]])
        guard answer.status == 201, let token = answer["data"]["token"].string else { throw TestFailure("\(answer)") }
        return token
    }

    private static func accept(_ app: TestApp, _ token: String, _ password: String = "password1") async throws
        -> TestAnswer
    {
        let path = "/api/\(app.name)/auth/accept-invite"
        return try await app.server.post(path, ["token": .string(token), "password": .string(password)])
    }

    @Test(arguments: TestStore.allCases)
    func whoAcceptsIsAUserAndSignedIn(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let body: JSONValue = ["email": " Ann@X.example ", "roles": ["agent"], "attributes": ["team": 7]]
            let sent = try await app.post("_admin/invites", body)
            #expect(sent.status == 201 && sent["data"]["email"] == "ann@x.example", "\(sent)")
            #expect(
                sent["data"]["status"] == "pending"
                    && sent["data"]["expires_at"].string?.hasPrefix("2026-03-04T12:00") == true
            )
            let token = sent["data"]["token"].string ?? ""
            #expect(token.utf8.count == 43)
            // The token is shown this once, and kept as a hash.
            let list = try await app.get("_admin/invites")
            #expect(list["meta"]["total"] == 1 && !list.text.contains(token) && list["data"][0]["token"].isNull)
            let accepted = try await Self.accept(app, token)
            #expect(accepted.status == 201 && accepted.headers[.cacheControl] == "no-store", "\(accepted)")
            let access = accepted["data"]["access_token"].string ?? ""
            let me = try await server.get("/api/\(app.name)/auth/me", token: access)
            #expect(me["data"]["email"] == "ann@x.example" && me["data"]["roles"][0] == "agent")
            #expect(accepted["data"]["user"]["id"] == me["data"]["id"])
            let user = try await app.get("_admin/users?filter[email]=ann@x.example")["data"][0]
            #expect(user["attributes"]["team"] == 7)
            let refresh: JSONValue = ["refresh_token": accepted["data"]["refresh_token"].value]
            #expect(try await server.post("/api/\(app.name)/auth/refresh", refresh).status == 200)
            _ = try await server.login(app.name, "ann@x.example", "password1")
            #expect(try await app.get("_admin/invites")["data"][0]["status"] == "accepted")
            #expect(try await Self.accept(app, token).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenHoldsForThreeDaysAndUntilItIsTakenBack(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let first = try await Self.invite(app)
            let second = try await Self.invite(app)
            #expect(try await Self.accept(app, first).status == 401, "a second invite takes the first one's place")
            #expect(try await app.get("_admin/invites")["meta"]["total"] == 1)
            let id = try await app.get("_admin/invites")["data"][0]["id"].string ?? ""
            #expect(try await app.delete("_admin/invites/\(id)").status == 200)
            #expect(try await app.delete("_admin/invites/\(id)").status == 404)
            #expect(try await Self.accept(app, second).status == 401)
            let third = try await Self.invite(app)
            let later = try await app.after(seconds: 72 * 3600 - 10)
            #expect(try await later.get("_admin/invites")["data"][0]["status"] == "pending")
            #expect(try await Self.accept(later, third, "short").status == 422)
            let tooLate = try await later.after(seconds: 20)
            #expect(try await Self.accept(tooLate, third).status == 401)
            #expect(try await tooLate.get("_admin/invites")["data"][0]["status"] == "expired")
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofManyWhoAcceptAtOnceOneWins(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let token = try await Self.invite(app)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<6 { group.addTask { try await Self.accept(app, token).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == [201, 401, 401, 401, 401, 401])
            #expect(try await app.get("_admin/users")["meta"]["total"] == 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func manyAreInvitedAtOnceOrNone(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let many = try await app.post(
                "_admin/invites/bulk",
                ["invites": [["email": "a@x.example"], ["email": "b@x.example", "roles": ["agent"]]]]
            )
            #expect(many.status == 201 && many["data"].array.count == 2, "\(many)")
            #expect(Set(many["data"].array.compactMap { $0["token"].string }).count == 2)
            let cases: [(JSONValue, Int, [String])] = [
                (["invites": []], 422, ["invites required"]), ([:], 422, ["invites required"]),
                (["invites": [["email": "c@x.example"], ["email": "x"]]], 422, ["invites[1].email type"]),
                (
                    ["invites": [["email": "c@x.example", "password": "password1"]]], 422,
                    ["invites[0].password unknown"]
                ),
                (["invites": [["email": "c@x.example"], ["email": " C@x.example"]]], 422, ["invites[1].email"]),
                (["invites": [["email": "c@x.example"], ["email": "admin@localhost"]]], 409, ["invites[1].email"]),
                (
                    ["invites": .array((0...100).map { ["email": .string("c\($0)@x.example")] })], 422,
                    ["invites max_length"]
                ),
            ]
            for (body, status, details) in cases {
                let answer = try await app.post("_admin/invites/bulk", body)
                #expect(answer.status == status && answer.details == details, "\(answer)")
            }
            #expect(try await app.get("_admin/invites")["meta"]["total"] == 2)
            let single = try await app.post("_admin/invites", ["email": "admin@localhost"])
            #expect(single.status == 409 && single.details == ["email"])
            #expect(
                try await app.post("_admin/invites", ["roles": ["*"]]).details == ["email required", "roles[0] type"]
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func guessesAreBoundedAndAnEmailThatIsTakenByThenIsTold(store: TestStore) async throws {
        var settings = AppSettings()
        settings.loginLimits.perAddress = 3
        try await TestServer.run(store, settings: settings) { server in
            let app = try await server.makeApp()
            let token = try await Self.invite(app)
            let user: JSONValue = ["email": "ann@x.example", "password": "password1"]
            #expect(try await app.post("_admin/users", user).status == 201)
            #expect(try await Self.accept(app, token).status == 409)
            for _ in 0..<3 { #expect(try await Self.accept(app, "guess").status == 401) }
            #expect(try await Self.accept(app, "guess").status == 429)
        }
    }
}
