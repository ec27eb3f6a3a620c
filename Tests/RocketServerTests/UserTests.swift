import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Users as the administrators of an app and of the platform keep them.
struct UserTests {
    private static let users = "/api/shop/_admin/users"
    private static let platformUsers = "/api/_platform/users"

    /// Who has signed in, with both tokens.
    private struct Session {
        let server: TestServer
        let app: String
        let access: String
        let refreshToken: String

        func me() async throws -> TestAnswer {
            try await server.get("/api/\(app)/auth/me", token: access)
        }

        func refresh() async throws -> TestAnswer {
            try await server.post("/api/\(app)/auth/refresh", ["refresh_token": .string(refreshToken)])
        }
    }

    private static func signIn(
        _ server: TestServer,
        _ email: String,
        _ password: String = "password1",
        app: String = "shop"
    ) async throws -> Session {
        let body: JSONValue = ["email": .string(email), "password": .string(password)]
        let answer = try await server.post("/api/\(app)/auth/login", body)
        guard let access = answer["data"]["access_token"].string, let refresh = answer["data"]["refresh_token"].string
        else { throw TestFailure("login: \(answer)") }
        return Session(server: server, app: app, access: access, refreshToken: refresh)
    }

    private static func signInStatus(_ server: TestServer, _ email: String, _ password: String) async throws -> Int {
        let body: JSONValue = ["email": .string(email), "password": .string(password)]
        return try await server.post("/api/shop/auth/login", body).status
    }

    /// Makes a user with the password `password1`, and gives its id.
    private static func make(_ app: TestApp, _ email: String, roles: [String] = []) async throws -> String {
        let body: JSONValue = [
            "email": .string(email), "password": "password1", "roles": .array(roles.map(JSONValue.string)),
        ]
        let answer = try await app.post("_admin/users", body)
        guard answer.status == 201, let id = answer["data"]["id"].string else { throw TestFailure("make: \(answer)") }
        return id
    }

    private static func id(of email: String, in path: String, _ server: TestServer, _ token: String) async throws
        -> String
    {
        let answer = try await server.get("\(path)?filter[email]=\(email)", token: token)
        guard let id = answer["data"][0]["id"].string else { throw TestFailure("find: \(answer)") }
        return id
    }

    // MARK: keeping

    @Test(arguments: TestStore.allCases)
    func aUserIsMadeReadListedChangedAndDeleted(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let made = try await app.post(
                "_admin/users",
                [
                    "email": " Ann@X.example ", "password": "password1", "roles": ["agent"],
                    "attributes": ["team": "north"],
                ]
            )
            let id = try #require(made["data"]["id"].string)
            #expect(made.status == 201 && made.headers[.location] == "\(Self.users)/\(id)", "\(made)")
            let data = made["data"]
            #expect(data.names == ["id", "email", "roles", "active", "attributes", "created_at", "updated_at"])
            #expect(data["email"] == "ann@x.example" && data["roles"].array == ["agent"])
            #expect(data["active"] == true && data["attributes"] == TestJSON(["team": "north"]))
            let created = try #require(data["created_at"].string)
            #expect(Timestamp(rfc3339: created)?.rfc3339 == created && data["updated_at"].string == created)
            let read = try await app.get("_admin/users/\(id)")
            #expect(read["data"] == data)
            let shouted = try await app.get("_admin/users/\(id.uppercased())")
            #expect(shouted["data"] == data)
            let list = try await app.get("_admin/users")
            #expect(list["data"].array.map { $0["email"].string } == ["ann@x.example", "admin@localhost"], "\(list)")
            let put = try await app.put("_admin/users/\(id)", ["roles": ["agent", "lead"]])
            #expect(put.status == 200 && put["data"]["roles"].array == ["agent", "lead"], "\(put)")
            #expect(put["data"]["email"] == "ann@x.example" && put["data"]["created_at"].string == created)
            let updated = try #require(put["data"]["updated_at"].string)
            #expect(updated > created)
            let deleted = try await app.delete("_admin/users/\(id)")
            #expect(deleted.status == 200 && deleted["data"] == TestJSON(["id": .string(id)]), "\(deleted)")
            let answers = [made, read, list, put, deleted]
            for answer in answers { #expect(!answer.text.contains("password") && !answer.text.contains("$2b$")) }
            let gone = [
                try await app.get("_admin/users/\(id)"), try await app.put("_admin/users/\(id)", [:]),
                try await app.delete("_admin/users/\(id)"), try await app.get("_admin/users/abc"),
                try await app.put("_admin/users/abc", [:]), try await app.delete("_admin/users/%00"),
            ]
            for answer in gone { #expect(answer.status == 404 && answer.code == "NOT_FOUND", "\(answer)") }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aPutChangesOnlyTheKeysGiven(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example", roles: ["agent"])
            let path = "_admin/users/\(id)"
            let before = try await app.get(path)["data"]
            let nothing = try await app.put(path, [:])
            #expect(nothing.status == 200 && nothing["data"] == before)
            let same = try await app.put(path, ["email": "ANN@x.example", "roles": ["agent"], "active": true])
            #expect(same.status == 200 && same["data"] == before, "\(same)")
            let noted = try await app.put(path, ["attributes": ["region": 7, "tags": ["a"]]])["data"]
            #expect(noted["attributes"] == TestJSON(["region": 7, "tags": ["a"]]))
            #expect(noted["email"] == before["email"] && noted["roles"] == before["roles"])
            let moved = try await app.put(path, ["email": "bea@x.example"])["data"]
            #expect(moved["email"] == "bea@x.example" && moved["attributes"] == noted["attributes"])
            let off = try await app.put(path, ["active": false])["data"]
            #expect(off["active"] == false && off["roles"] == before["roles"])
            let none = try await app.put(path, ["attributes": [:], "roles": []])["data"]
            #expect(none["attributes"] == TestJSON([:]) && none["roles"].array.isEmpty && none["active"] == false)
            #expect(try await app.get(path)["data"] == none)
        }
    }

    @Test(arguments: TestStore.allCases)
    func usersPageNewestFirst(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            for index in 1...5 { _ = try await Self.make(app, "user\(index)@x.example") }
            var emails: [String?] = []
            for page in 1...4 {
                let answer = try await app.get("_admin/users?page=\(page)&per_page=2")
                let meta = answer["meta"]
                #expect(meta["page"].int == page && meta["per_page"] == 2 && meta["total"] == 6, "\(answer)")
                emails += answer["data"].array.map { $0["email"].string }
            }
            let expected = (1...5).reversed().map { "user\($0)@x.example" } + ["admin@localhost"]
            #expect(emails == expected)
            let whole = try await app.get("_admin/users")
            #expect(whole["meta"]["per_page"] == 25 && whole["data"].array.count == 6)
            #expect(try await app.get("_admin/users?per_page=500")["meta"]["per_page"] == 100)
            let one = try await app.get("_admin/users?filter[email]=User3@X.example")
            #expect(one["data"].array.map { $0["email"].string } == ["user3@x.example"] && one["meta"]["total"] == 1)
            let none = try await app.get("_admin/users?filter[email]=nobody@x.example")
            #expect(none["data"].array.isEmpty && none["meta"]["total"] == 0)
            for query in [
                "page=0", "page=x", "page=", "page=1.5", "page=9223372036854775807", "per_page=0", "per_page=-1",
                "per_page=ten", "sort=email", "filter[roles]=x", "page=1&page=2", "filter[email]=%00",
            ] {
                let answer = try await app.get("_admin/users?\(query)")
                #expect(answer.status == 400 && answer.code == "INVALID_PARAMETER", "\(query): \(answer)")
            }
            #expect(try await app.get("_admin/users/abc?x=1").status == 400)
        }
    }

    // MARK: refusals

    @Test(arguments: TestStore.allCases)
    func everyViolationIsToldAtOnce(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let bad: JSONValue = [
                "email": "nope", "password": "short", "roles": ["*", "", 7, "Anonymous", "ok"], "active": "yes",
                "attributes": [], "colour": "red",
            ]
            let problems = [
                "email type", "password type", "roles[0] type", "roles[1] min_length", "roles[2] type",
                "roles[3] type", "active type", "attributes type", "colour unknown",
            ]
            let made = try await app.post("_admin/users", bad)
            #expect(made.status == 422 && made.code == "VALIDATION_FAILED" && made.details == problems, "\(made)")
            let id = try await Self.make(app, "ann@x.example")
            let put = try await app.put("_admin/users/\(id)", bad)
            #expect(put.status == 422 && put.details == problems, "\(put)")
            #expect(!put.text.contains("short"))
            let empty = try await app.post("_admin/users", [:])
            #expect(empty.details == ["email required", "password required"], "\(empty)")
            let nulls: JSONValue = ["email": nil, "password": nil, "roles": nil, "active": nil, "attributes": nil]
            let required = ["email", "password", "roles", "active", "attributes"].map { "\($0) required" }
            #expect(try await app.put("_admin/users/\(id)", nulls).details == required)
            #expect(try await app.post("_admin/users", nulls).details == required)
            #expect(try await app.get("_admin/users")["meta"]["total"] == 2)
        }
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        let body: JSONValue
        let detail: String

        init(_ body: JSONValue, _ detail: String) {
            self.body = body
            self.detail = detail
        }

        var testDescription: String { detail }
    }

    private static func roles(_ count: Int, of bytes: Int) -> JSONValue {
        let role = JSONValue.string(String(repeating: "r", count: bytes))
        return ["roles": .array(Array(repeating: role, count: count))]
    }

    static let faults: [Fault] = [
        Fault(["email": ""], "email type"), Fault(["email": "a@b@c"], "email type"),
        Fault(["email": "a b@c"], "email type"), Fault(["email": "a\u{0}@c.example"], "email type"),
        Fault(["email": .string(String(repeating: "a", count: 250) + "@b.example")], "email type"),
        Fault(["password": "password\u{0}"], "password type"),
        Fault(["password": .string(String(repeating: "p", count: 73))], "password type"),
        Fault(["roles": "admin"], "roles type"), Fault(["roles": ["a\u{0}"]], "roles[0] type"),
        Fault(roles(101, of: 1), "roles max_length"), Fault(roles(1, of: 101), "roles[0] max_length"),
        Fault(roles(20, of: 100), "roles max_length"),
        Fault(["attributes": ["a": "\u{0}"]], "attributes type"),
        Fault(["attributes": ["a": .string(String(repeating: "a", count: 16_384))]], "attributes max_length"),
    ]

    @Test(arguments: faults)
    func whatAUserCantHaveIsAViolation(fault: Fault) async throws {
        try await TestServer.run(.sqlite) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example")
            let answer = try await app.put("_admin/users/\(id)", fault.body)
            #expect(answer.status == 422 && answer.details == [fault.detail], "\(answer)")
        }
    }

    @Test func asManyRolesAsAUserMayHaveFitIntoATokenThatWorks() async throws {
        try await TestServer.run(.sqlite) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example")
            let role = JSONValue.string(String(repeating: "/", count: 97))
            let put = try await app.put("_admin/users/\(id)", ["roles": .array(Array(repeating: role, count: 19))])
            #expect(put.status == 200, "\(put)")
            let session = try await Self.signIn(server, "ann@x.example")
            let me = try await session.me()
            #expect(me.status == 200 && me["data"]["roles"].array.count == 19, "\(me)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func anEmailThatIsTakenIsAConflict(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example")
            _ = try await Self.make(app, "bea@x.example")
            let again: JSONValue = ["email": " ANN@x.example", "password": "password1"]
            let answers = [
                try await app.post("_admin/users", again),
                try await app.put("_admin/users/\(id)", ["email": "Bea@x.example"]),
            ]
            for answer in answers {
                #expect(answer.status == 409 && answer.code == "CONFLICT" && answer.details == ["email"], "\(answer)")
            }
            #expect(try await app.get("_admin/users/\(id)")["data"]["email"] == "ann@x.example")
        }
    }

    @Test(arguments: TestStore.allCases)
    func onlyAdministratorsKeepUsers(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example", roles: ["agent"])
            let platform = try await server.platformToken()
            let made = try await server.post(
                Self.platformUsers,
                token: platform,
                ["email": "p@x.example", "password": "password1", "roles": ["admin"]]
            )
            let platformID = try #require(made["data"]["id"].string)
            let agent = try await Self.signIn(server, "ann@x.example")
            let guest = try await Self.signIn(server, "p@x.example", app: "_platform")
            let body = Array("{\"email\":\"new@x.example\",\"password\":\"password1\"}".utf8)
            for (path, id, token, other) in [
                (Self.users, id, agent.access, guest.access),
                (Self.platformUsers, platformID, guest.access, app.token),
            ] {
                for (method, path) in [
                    (HTTPRequest.Method.get, path), (.post, path), (.get, "\(path)/\(id)"), (.put, "\(path)/\(id)"),
                    (.delete, "\(path)/\(id)"),
                ] {
                    let sent = method == .post || method == .put ? body : nil
                    let without = try await server.send(method, path, body: sent)
                    #expect(without.status == 401, "\(method) \(path): \(without)")
                    let elsewhere = try await server.send(method, path, token: other, body: sent)
                    #expect(elsewhere.status == 401, "\(method) \(path): \(elsewhere)")
                    let refused = try await server.send(method, path, token: token, body: sent)
                    #expect(refused.status == 403 && refused.code == "FORBIDDEN", "\(method) \(path): \(refused)")
                }
            }
            #expect(try await app.get("_admin/users")["meta"]["total"] == 2)
        }
    }

    // MARK: the last administrator

    @Test(arguments: TestStore.allCases)
    func theLastActiveAdministratorStays(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let platform = try await server.platformToken()
            let id = try await Self.id(of: "admin@localhost", in: Self.users, server, platform)
            let path = "\(Self.users)/\(id)"
            // Neither a role that looks like it nor one who is disabled is an administrator.
            _ = try await Self.make(app, "ann@x.example", roles: ["x\"admin\"", "administrator", "_admin"])
            let bea = try await Self.make(app, "bea@x.example", roles: ["Admin"])
            #expect(try await app.put("_admin/users/\(bea)", ["active": false]).status == 200)
            let refused = [
                try await server.put(path, token: platform, ["roles": []]),
                try await server.put(path, token: platform, ["roles": ["administrator"], "email": "x@x.example"]),
                try await server.put(path, token: platform, ["active": false]),
                try await server.delete(path, token: platform),
            ]
            for answer in refused { #expect(answer.status == 409 && answer.code == "CONFLICT", "\(answer)") }
            #expect(try await server.get(path, token: platform)["data"]["email"] == "admin@localhost")
            #expect(try await app.get("auth/me").status == 200)
            let kept = try await server.put(path, token: platform, ["roles": ["ADMIN", "x"], "active": true])
            #expect(kept.status == 200, "\(kept)")
            let enabled = try await server.put("\(Self.users)/\(bea)", token: platform, ["active": true])
            #expect(enabled.status == 200, "\(enabled)")
            #expect(try await server.delete(path, token: platform).status == 200)
            #expect(try await server.delete("\(Self.users)/\(bea)", token: platform).status == 409)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofTwoDemotionsThatWouldLeaveNobodyExactlyOneSucceeds(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let token = try await server.platformToken()
            let ids = [
                try await Self.id(of: "admin@localhost", in: Self.users, server, token),
                try await Self.make(app, "bea@x.example", roles: ["admin"]),
            ]
            let demotions: [JSONValue] = [["roles": []], ["active": false], ["roles": ["agent"]], ["active": false]]
            for demotion in demotions {
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for id in ids {
                        group.addTask { try await server.put("\(Self.users)/\(id)", token: token, demotion).status }
                    }
                    return try await group.reduce(into: [Int]()) { $0.append($1) }
                }
                #expect(statuses.sorted() == [200, 409])
                for id in ids {
                    let restored: JSONValue = ["roles": ["admin"], "active": true]
                    #expect(try await server.put("\(Self.users)/\(id)", token: token, restored).status == 200)
                }
            }
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for id in ids { group.addTask { try await server.delete("\(Self.users)/\(id)", token: token).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200, 409])
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofTwoAdministratorsWhoDemoteEachOtherExactlyOneSucceeds(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let platform = try await server.platformToken()
            let ann = try await Self.make(app, "ann@x.example", roles: ["admin"])
            let bea = try await Self.make(app, "bea@x.example", roles: ["admin"])
            let first = try await Self.id(of: "admin@localhost", in: Self.users, server, platform)
            #expect(try await server.delete("\(Self.users)/\(first)", token: platform).status == 200)
            for _ in 0..<3 {
                let tokens = [
                    try await Self.signIn(server, "ann@x.example").access,
                    try await Self.signIn(server, "bea@x.example").access,
                ]
                let demotion: JSONValue = ["roles": []]
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for (id, token) in [(bea, tokens[0]), (ann, tokens[1])] {
                        group.addTask { try await server.put("\(Self.users)/\(id)", token: token, demotion).status }
                    }
                    return try await group.reduce(into: [Int]()) { $0.append($1) }
                }
                // Who comes second finds the token dead, or nobody else left.
                #expect(statuses.count { $0 == 200 } == 1 && statuses.allSatisfy { [200, 401, 409].contains($0) })
                for id in [ann, bea] {
                    let restored = try await server.put("\(Self.users)/\(id)", token: platform, ["roles": ["admin"]])
                    #expect(restored.status == 200, "\(restored)")
                }
            }
        }
    }

    // MARK: tokens

    @Test(arguments: TestStore.allCases)
    func aChangeOfRolesEndsAccessTokensAndARefreshBringsTheNewRoles(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example", roles: ["agent"])
            let session = try await Self.signIn(server, "ann@x.example")
            #expect(
                try await app.put("_admin/users/\(id)", ["attributes": ["a": 1], "roles": ["agent"]]).status == 200
            )
            #expect(try await session.me().status == 200)
            #expect(try await app.put("_admin/users/\(id)", ["roles": ["admin"]]).status == 200)
            #expect(try await session.me().status == 401)
            let refreshed = try await session.refresh()
            let token = try #require(refreshed["data"]["access_token"].string)
            let me = try await server.get("/api/shop/auth/me", token: token)
            #expect(me["data"]["roles"].array == ["admin"] && me["data"].names == ["id", "email", "roles"], "\(me)")
            #expect(try await server.get(Self.users, token: token).status == 200)
            #expect(try await app.get("auth/me").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aChangeOfEmailEndsAccessTokensOnly(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example")
            let session = try await Self.signIn(server, "ann@x.example")
            #expect(try await app.put("_admin/users/\(id)", ["email": "Bea@x.example"]).status == 200)
            #expect(try await session.me().status == 401)
            let refreshed = try await session.refresh()
            let token = try #require(refreshed["data"]["access_token"].string)
            #expect(try await server.get("/api/shop/auth/me", token: token)["data"]["email"] == "bea@x.example")
            #expect(try await Self.signInStatus(server, "ann@x.example", "password1") == 401)
            #expect(try await Self.signInStatus(server, "bea@x.example", "password1") == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aNewPasswordEndsEveryToken(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example")
            let session = try await Self.signIn(server, "ann@x.example")
            let put = try await app.put("_admin/users/\(id)", ["password": "password2"])
            #expect(put.status == 200 && !put.text.contains("password"), "\(put)")
            #expect(try await session.me().status == 401)
            #expect(try await session.refresh().status == 401)
            #expect(try await Self.signInStatus(server, "ann@x.example", "password1") == 401)
            #expect(try await Self.signInStatus(server, "ann@x.example", "password2") == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDisabledUsersTokensAreDeadForGood(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example")
            let session = try await Self.signIn(server, "ann@x.example")
            #expect(try await app.put("_admin/users/\(id)", ["active": false]).status == 200)
            #expect(try await session.me().status == 401)
            #expect(try await session.refresh().status == 401)
            #expect(try await Self.signInStatus(server, "ann@x.example", "password1") == 401)
            #expect(try await app.put("_admin/users/\(id)", ["active": true]).status == 200)
            #expect(try await session.me().status == 401)
            #expect(try await session.refresh().status == 401)
            #expect(try await Self.signInStatus(server, "ann@x.example", "password1") == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDeletedUsersTokensAreDeadAlsoOnceTheAppIsOpenedAgain(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let id = try await Self.make(app, "ann@x.example", roles: ["admin"])
            #expect(try await app.put("_admin/users/\(id)", ["roles": ["admin", "x"]]).status == 200)
            let session = try await Self.signIn(server, "ann@x.example")
            #expect(try await session.me().status == 200)
            #expect(try await app.delete("_admin/users/\(id)").status == 200)
            #expect(try await session.me().status == 401)
            #expect(try await session.refresh().status == 401)
            #expect(try await Self.signInStatus(server, "ann@x.example", "password1") == 401)
            let again = try await Self.make(app, "ann@x.example")
            #expect(again != id)
            server.clock.advance(seconds: 600)
            await server.apps.closeIdleApps()
            #expect(!server.apps.isOpen("shop"))
            #expect(try await session.me().status == 401)
            #expect(try await app.get("auth/me").status == 200)
        }
    }

    @Test func tokensEndOnTheOtherServerToo() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            let ids = [try await Self.make(app, "ann@x.example"), try await Self.make(app, "bea@x.example")]
            let tokens = [
                try await Self.signIn(second, "ann@x.example").access,
                try await Self.signIn(second, "bea@x.example").access,
            ]
            #expect(try await app.put("_admin/users/\(ids[0])", ["roles": ["agent"]]).status == 200)
            #expect(try await app.delete("_admin/users/\(ids[1])").status == 200)
            for token in tokens {
                // A quiet machine needs half a second; this one runs the rest of the suite at the same time.
                let deadline = ContinuousClock.now + .seconds(10)
                var status = 200
                while status != 401, ContinuousClock.now < deadline {
                    status = try await second.get("/api/shop/auth/me", token: token).status
                    if status != 401 { try await Task.sleep(for: .milliseconds(10)) }
                }
                #expect(status == 401)
            }
        }
    }

    // MARK: the platform

    @Test(arguments: TestStore.allCases)
    func thePlatformsUsersAreKeptInTheSameWay(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            let token = try await server.platformToken()
            let first = try await Self.id(of: "platform@localhost", in: Self.platformUsers, server, token)
            let last = try await server.delete("\(Self.platformUsers)/\(first)", token: token)
            #expect(last.status == 409 && last.code == "CONFLICT", "\(last)")
            // An app's role is none of the platform's.
            #expect(
                try await server.put("\(Self.platformUsers)/\(first)", token: token, ["roles": ["admin"]]).status == 409
            )
            let made = try await server.post(
                Self.platformUsers,
                token: token,
                ["email": "p@x.example", "password": "password1", "roles": ["Platform_Admin"]]
            )
            let id = try #require(made["data"]["id"].string)
            #expect(made.status == 201 && made.headers[.location] == "\(Self.platformUsers)/\(id)", "\(made)")
            let list = try await server.get(Self.platformUsers, token: token)
            #expect(list["data"].array.map { $0["email"].string } == ["p@x.example", "platform@localhost"])
            #expect(list["data"][0] == made["data"] && list["meta"]["total"] == 2)
            // Users of an app are others.
            #expect(try await app.get("_admin/users")["meta"]["total"] == 1)
            #expect(try await app.get("_admin/users/\(id)").status == 404)
            let session = try await Self.signIn(server, "p@x.example", app: "_platform")
            #expect(try await server.get(Self.users, token: session.access).status == 200)
            let put = try await server.put("\(Self.platformUsers)/\(id)", token: token, ["roles": ["helper"]])
            #expect(put.status == 200 && put["data"]["roles"].array == ["helper"], "\(put)")
            #expect(try await server.get(Self.users, token: session.access).status == 401)
            #expect(try await session.me().status == 401)
            let refreshed = try await session.refresh()
            let helper = try #require(refreshed["data"]["access_token"].string)
            #expect(try await server.get("/api/_platform/auth/me", token: helper).status == 200)
            #expect(try await server.get(Self.platformUsers, token: helper).status == 403)
            #expect(try await server.delete("\(Self.platformUsers)/\(id)", token: token).status == 200)
            #expect(try await server.get("/api/_platform/auth/me", token: helper).status == 401)
        }
    }
}
