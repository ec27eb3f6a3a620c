import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Forgotten passwords: asking for a token, and spending it.
struct PasswordResetTests {
    private static let email = "ann@x.example"

    // MARK: arranging

    /// An app with an active user, with the password `password1`.
    private static func run(
        _ store: TestStore,
        settings: AppSettings? = nil,
        _ test: (TestServer, TestApp) async throws -> Void
    ) async throws {
        try await TestServer.run(store, settings: settings) { server in
            let app = try await server.makeApp()
            _ = try await make(app, email, roles: ["agent"])
            try await test(server, app)
        }
    }

    /// - Returns: the id of the user.
    private static func make(_ app: TestApp, _ email: String, roles: [String] = [], active: Bool = true) async throws
        -> String
    {
        let body: JSONValue = [
            "email": .string(email), "password": "password1", "roles": .array(roles.map(JSONValue.string)),
            "active": .boolean(active),
        ]
        let answer = try await app.post("_admin/users", body)
        guard answer.status == 201, let id = answer["data"]["id"].string else { throw TestFailure("make: \(answer)") }
        return id
    }

    private static func forgot(_ server: TestServer, _ email: String = email, app: String = "shop", peer: String = "1")
        async throws -> TestAnswer
    {
        let body: JSONValue = ["email": .string(email)]
        return try await server.send(.post, "/api/\(app)/auth/forgot", body: body.jsonBytes, peer: peer)
    }

    private static func reset(
        _ server: TestServer,
        _ token: String,
        _ password: String = "password2",
        app: String = "shop",
        peer: String = "1"
    ) async throws -> TestAnswer {
        let body: JSONValue = ["token": .string(token), "password": .string(password)]
        return try await server.send(.post, "/api/\(app)/auth/reset", body: body.jsonBytes, peer: peer)
    }

    private static func signIn(_ server: TestServer, _ password: String, _ email: String = email) async throws
        -> TestAnswer
    {
        try await server.post("/api/shop/auth/login", ["email": .string(email), "password": .string(password)])
    }

    /// The payloads of the events, oldest first.
    private static func payloads(_ app: TestApp) async throws -> [TestJSON] {
        let rows = try await app.systemRows(
            "SELECT \"payload\" FROM \"_events\" WHERE \"event\" = 'password_reset' ORDER BY \"created_at\""
        )
        return rows.map { TestAnswer(status: 200, headers: [:], bytes: Array($0[0].utf8)).json }
    }

    private static func tokens(_ app: TestApp) async throws -> [String] {
        try await payloads(app).compactMap(\.["token"].string)
    }

    /// Asks for a token, and takes it from the event.
    private static func token(_ app: TestApp, _ email: String = email) async throws -> String {
        let answer = try await forgot(app.server, email, app: app.name)
        guard answer.status == 200, let token = try await tokens(app).last else { throw TestFailure("\(answer)") }
        return token
    }

    private static func countOfTokens(_ app: TestApp) async throws -> String {
        try await app.systemRows("SELECT count(*) FROM \"_password_resets\"")[0][0]
    }

    // MARK: the road

    @Test(arguments: TestStore.allCases)
    func aForgottenPasswordIsReplacedByATokenThatAnEventTakesToTheUser(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let before = try await Self.signIn(server, "password1")
            let access = try #require(before["data"]["access_token"].string)
            let asked = try await Self.forgot(server, " ANN@x.example ")
            #expect(asked.status == 200 && asked["data"].names == ["message"], "\(asked)")
            #expect(asked.headers[.cacheControl] == "no-store")
            let token = try #require(try await Self.tokens(app).first)
            let done = try await Self.reset(server, token)
            #expect(done.status == 200 && done.headers[.cacheControl] == "no-store", "\(done)")
            #expect(done.text == #"{"data":{"message":"Password changed"}}"#)
            #expect(try await Self.signIn(server, "password1").status == 401)
            #expect(try await Self.signIn(server, "password2").status == 200)
            #expect(try await server.get("/api/shop/auth/me", token: access).status == 401)
            let refresh: JSONValue = ["refresh_token": before["data"]["refresh_token"].value]
            #expect(try await server.post("/api/shop/auth/refresh", refresh).status == 401)
            // Nobody else was put out.
            #expect(try await app.get("auth/me").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func theEventNamesTheUserAndCarriesTheToken(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let id = try await app.systemRows("SELECT \"id\" FROM \"_users\" WHERE \"email\" = '\(Self.email)'")[0][0]
            #expect(try await Self.forgot(server).status == 200)
            let rows = try await app.systemRows(
                "SELECT \"event\", \"entity\", \"record_id\", \"record\", \"user\" FROM \"_events\""
            )
            let record = #"{"id":"\#(id)","email":"ann@x.example","roles":["agent"]}"#
            #expect(rows == [["password_reset", "_users", id, record, "{}"]])
            let payload = try #require(try await Self.payloads(app).first)
            #expect(payload.names == ["email", "token", "expires_at"] && payload["email"] == "ann@x.example")
            #expect(payload["expires_at"].string?.hasPrefix("2026-03-01T13:00:00.") == true, "\(payload)")
            // 256 bits in base64url.
            let token = try #require(payload["token"].string)
            #expect(token.utf8.count == 43 && !token.contains { "+/=".contains($0) })
        }
    }

    @Test(arguments: TestStore.allCases)
    func onlyAHashOfTheTokenIsKept(store: TestStore) async throws {
        try await Self.run(store) { _, app async throws in
            let token = try await Self.token(app)
            let rows = try await app.systemRows("SELECT \"token_hash\" FROM \"_password_resets\"")
            #expect(rows.count == 1 && rows[0][0] != token && rows[0][0].utf8.count == 64)
            // What is stored of it is no token.
            #expect(try await Self.reset(app.server, rows[0][0]).status == 401)
        }
    }

    // MARK: the end of a token

    @Test(arguments: TestStore.allCases)
    func aTokenWorksOnceAndTakesTheOthersOfItsUserAlong(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            _ = try await Self.make(app, "bob@x.example")
            let bobs = try await Self.token(app, "bob@x.example")
            let first = try await Self.token(app)
            let second = try await Self.token(app)
            #expect(try await Self.reset(server, first).status == 200)
            for token in [first, second] {
                #expect(try await Self.reset(server, token, "password3").status == 401)
            }
            #expect(try await Self.signIn(server, "password2").status == 200)
            #expect(try await Self.countOfTokens(app) == "1")
            #expect(try await Self.reset(server, bobs).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenHoldsForAnHour(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let late = try await Self.token(app)
            server.clock.advance(seconds: 60)
            let early = try await Self.token(app)
            server.clock.advance(seconds: 59 * 60)
            #expect(try await Self.reset(server, late).status == 401)
            #expect(try await Self.reset(server, early).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func wrongExpiredAndUsedTokensGetTheSameAnswer(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let expired = try await Self.token(app)
            server.clock.advance(seconds: 3600)
            let used = try await Self.token(app)
            #expect(try await Self.reset(server, used).status == 200)
            var bodies = Set<String>()
            for token in [expired, used, "wrong", String(used.dropLast()), used + "=", app.token] {
                let answer = try await Self.reset(server, token)
                #expect(answer.status == 401 && answer.code == "UNAUTHORIZED", "\(token): \(answer)")
                bodies.insert(answer.text)
            }
            #expect(bodies.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenIsGoodForItsOwnAppOnly(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let other = try await server.makeApp("other")
            _ = try await Self.make(other, Self.email)
            let token = try await Self.token(app)
            #expect(try await Self.reset(server, token, app: "other").status == 401)
            #expect(try await Self.reset(server, token).status == 200)
            #expect(try await Self.tokens(other).isEmpty)
        }
    }

    /// Whoever reads the mails of the old address, or had the old password, is out.
    @Test(
        arguments: TestStore.allCases,
        [
            ["password": "password9"], ["email": "ann@new.example"], ["active": false],
        ] as [JSONObject]
    )
    func aTokenEndsWithAChangeOfTheUser(store: TestStore, change: JSONObject) async throws {
        try await Self.run(store) { server, app async throws in
            let token = try await Self.token(app)
            let id = try await app.systemRows("SELECT \"id\" FROM \"_users\" WHERE \"email\" = '\(Self.email)'")[0][0]
            #expect(try await app.put("_admin/users/\(id)", .object(change)).status == 200)
            #expect(try await app.put("_admin/users/\(id)", ["active": true]).status == 200)
            #expect(try await Self.reset(server, token).status == 401)
            #expect(try await Self.countOfTokens(app) == "0")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenSurvivesAChangeOfRolesOrAttributes(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let token = try await Self.token(app)
            let id = try await app.systemRows("SELECT \"id\" FROM \"_users\" WHERE \"email\" = '\(Self.email)'")[0][0]
            let change: JSONValue = ["roles": ["boss"], "attributes": ["team": "north"]]
            #expect(try await app.put("_admin/users/\(id)", change).status == 200)
            #expect(try await Self.reset(server, token).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenEndsWithItsUser(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let token = try await Self.token(app)
            let id = try await app.systemRows("SELECT \"id\" FROM \"_users\" WHERE \"email\" = '\(Self.email)'")[0][0]
            #expect(try await app.delete("_admin/users/\(id)").status == 200)
            #expect(try await Self.countOfTokens(app) == "0")
            _ = try await Self.make(app, Self.email)
            #expect(try await Self.reset(server, token).status == 401)
            #expect(try await Self.signIn(server, "password1").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenEndsWhenTheUserChangesThePassword(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let token = try await Self.token(app)
            let access = try await server.login("shop", Self.email, "password1")
            let body: JSONValue = ["old": "password1", "new": "password3"]
            #expect(try await server.post("/api/shop/auth/password", token: access, body).status == 200)
            #expect(try await Self.reset(server, token).status == 401)
            #expect(try await Self.signIn(server, "password3").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aUserHasFiveTokensAtMost(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            var tokens: [String] = []
            for _ in 0..<7 { tokens.append(try await Self.token(app)) }
            #expect(Set(tokens).count == 7)
            #expect(try await Self.countOfTokens(app) == "5")
            for token in tokens.prefix(2) { #expect(try await Self.reset(server, token).status == 401) }
            #expect(try await Self.reset(server, tokens[2]).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func expiredTokensAreRemovedWhenTheUserAsksAgain(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            for _ in 0..<3 { _ = try await Self.token(app) }
            server.clock.advance(seconds: 3600)
            _ = try await Self.token(app)
            #expect(try await Self.countOfTokens(app) == "1")
        }
    }

    // MARK: nobody

    @Test(arguments: TestStore.allCases)
    func knownUnknownAndDisabledGetTheSameAnswerAndOnlyTheKnownAnEvent(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            _ = try await Self.make(app, "off@x.example", active: false)
            var answers = Set<String>()
            for email in [
                Self.email, "nobody@x.example", "off@x.example", "no address", "admin@localhost' OR 1=1 --",
                "%", String(repeating: "a", count: 300) + "@x.example",
            ] {
                let answer = try await Self.forgot(server, email)
                #expect(answer.headers[.retryAfter] == nil)
                answers.insert("\(answer.status) \(answer.text) \(answer.headers[.cacheControl] ?? "")")
            }
            #expect(answers.count == 1 && answers.first?.hasPrefix("200 ") == true, "\(answers)")
            #expect(try await Self.payloads(app).map(\.["email"].string) == [Self.email])
            #expect(try await app.systemRows("SELECT count(*) FROM \"_events\"") == [["1"]])
            #expect(try await Self.countOfTokens(app) == "1")
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAppThatIsNotThereHasNothingToForget(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            #expect(try await Self.forgot(server, app: "missing").code == "APP_NOT_FOUND")
            #expect(try await Self.reset(server, "x", app: "missing").code == "APP_NOT_FOUND")
        }
    }

    @Test(arguments: TestStore.allCases)
    func thePlatformHasNoResets(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            #expect(try await Self.forgot(server, app: "_platform").status == 404)
            #expect(try await Self.reset(server, "x", app: "_platform").status == 404)
        }
    }

    /// What is common to the statements on users runs without the table that the platform lacks.
    @Test(arguments: TestStore.allCases)
    func thePlatformsPasswordsChangeWithoutIt(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let token = try await server.platformToken()
            let body: JSONValue = ["old": "changeme", "new": "password2"]
            #expect(try await server.post("/api/_platform/auth/password", token: token, body).status == 200)
            _ = try await server.login("_platform", "platform@localhost", "password2")
        }
    }

    // MARK: at once

    @Test(arguments: TestStore.allCases)
    func ofSeveralResetsAtOnceWithOneTokenExactlyOneSucceeds(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let token = try await Self.token(app)
            let answers = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for index in 0..<10 {
                    group.addTask { (index, try await Self.reset(server, token, "password-\(index)").status) }
                }
                return try await group.reduce(into: [(Int, Int)]()) { $0.append($1) }
            }
            #expect(answers.map(\.1).sorted() == [200] + Array(repeating: 401, count: 9))
            let winner = try #require(answers.first { $0.1 == 200 }).0
            #expect(try await Self.signIn(server, "password-\(winner)").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofTwoResetsAtOnceWithTwoTokensOfAUserExactlyOneSucceeds(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let tokens = [try await Self.token(app), try await Self.token(app)]
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for token in tokens { group.addTask { try await Self.reset(server, token).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200, 401])
        }
    }

    @Test(arguments: TestStore.allCases)
    func manyWhoAskAtOnceLeaveFiveTokens(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<10 { group.addTask { try await Self.forgot(server).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses == Array(repeating: 200, count: 10))
            #expect(try await Self.countOfTokens(app) == "5")
            #expect(try await Self.payloads(app).count == 10)
        }
    }

    // MARK: bounds

    @Test(arguments: TestStore.allCases, ["ann@x.example", "nobody@x.example"])
    func askingTooOftenForOneEmailIsRefusedForAWhileWhetherItIsThereOrNot(store: TestStore, email: String) async throws
    {
        try await Self.run(store) { server, app async throws in
            for index in 0..<10 { #expect(try await Self.forgot(server, email, peer: "\(index)").status == 200) }
            let refused = try await Self.forgot(server, email.uppercased(), peer: "other")
            #expect(refused.status == 429 && refused.code == "RATE_LIMITED", "\(refused)")
            let seconds = try #require(refused.headers[.retryAfter].flatMap(Int64.init))
            #expect((1...900).contains(seconds))
            #expect(try await Self.forgot(server, "other@x.example").status == 200)
            // An attacker who asks for resets keeps nobody from signing in.
            #expect(try await Self.signIn(server, "password1").status == 200)
            server.clock.advance(seconds: seconds)
            #expect(try await Self.forgot(server, email).status == 200)
        }
    }

    @Test func failedSignInsKeepNobodyFromAskingForAReset() async throws {
        try await Self.run(.sqlite) { server, app async throws in
            for _ in 0..<10 { #expect(try await Self.signIn(server, "wrong-password").status == 401) }
            #expect(try await Self.signIn(server, "password1").status == 429)
            #expect(try await Self.reset(server, try await Self.token(app)).status == 200)
        }
    }

    @Test func askingTooOftenFromOneAddressIsRefusedForAWhile() async throws {
        var settings = AppSettings()
        settings.loginLimits.perAddress = 3
        try await Self.run(.sqlite, settings: settings) { server, app async throws in
            for index in 0..<3 { #expect(try await Self.forgot(server, "\(index)@x.example").status == 200) }
            let refused = try await Self.forgot(server)
            #expect(refused.status == 429 && refused.headers[.retryAfter] != nil)
            #expect(try await Self.payloads(app).isEmpty)
            #expect(try await Self.forgot(server, peer: "2").status == 200)
        }
    }

    @Test func failedResetsAreBoundByAddressWhateverTheToken() async throws {
        var settings = AppSettings()
        settings.loginLimits.perAddress = 3
        try await Self.run(.sqlite, settings: settings) { server, app async throws in
            let token = try await Self.token(app)
            for index in 0..<3 { #expect(try await Self.reset(server, "wrong\(index)").status == 401) }
            let refused = try await Self.reset(server, token)
            #expect(refused.status == 429 && refused.headers[.retryAfter] != nil)
            // Neither asking nor signing in is counted with it, and another address is another count.
            #expect(try await Self.forgot(server).status == 200)
            #expect(try await Self.signIn(server, "password1").status == 200)
            #expect(try await Self.reset(server, token, peer: "2").status == 200)
        }
    }

    @Test func resetsThatSucceedAreNotCounted() async throws {
        var settings = AppSettings()
        settings.loginLimits.perAddress = 2
        try await Self.run(.sqlite, settings: settings) { server, app async throws in
            for index in 0..<4 {
                let asked = try await Self.forgot(server, peer: "\(index)")
                let token = try #require(try await Self.tokens(app).last)
                #expect(asked.status == 200)
                #expect(try await Self.reset(server, token, "password-\(index)", peer: "1").status == 200)
            }
        }
    }

    // MARK: payloads

    @Test(arguments: TestStore.allCases)
    func aPasswordThatCantBeOneIsRefusedAndTheTokenStaysGood(store: TestStore) async throws {
        try await Self.run(store) { server, app async throws in
            let token = try await Self.token(app)
            for password in ["short", String(repeating: "a", count: 73), "password\u{0}"] {
                let answer = try await Self.reset(server, token, password)
                #expect(answer.status == 422 && answer.details == ["password type"], "\(answer)")
                // Of the token nothing is said before there is a password for it.
                #expect(try await Self.reset(server, "wrong", password).text == answer.text)
            }
            #expect(try await Self.reset(server, token, String(repeating: "a", count: 72)).status == 200)
        }
    }

    @Test func whatIsNoPayloadIsRefused() async throws {
        try await Self.run(.sqlite) { server, app async throws in
            let forgot = "/api/shop/auth/forgot"
            let reset = "/api/shop/auth/reset"
            #expect(try await server.post(forgot, [:]).details == ["email required"])
            #expect(try await server.post(forgot, ["email": 1]).details == ["email type"])
            #expect(try await server.post(forgot, ["email": "a@b", "app": "x"]).status == 422)
            #expect(try await server.post(forgot, ["email": "a\u{0}@b"]).status == 422)
            #expect(try await server.post(reset, [:]).details == ["token required", "password required"])
            #expect(try await server.post(forgot + "?email=a@b", ["email": "a@b"]).status == 400)
            #expect(try await server.get(forgot).status == 405)
            let large: JSONValue = ["email": .string(String(repeating: "a", count: 17_000))]
            #expect(try await server.post(forgot, large).status == 413)
            #expect(try await server.post(reset, large).status == 413)
            #expect(try await Self.payloads(app).isEmpty)
        }
    }
}
