import HTTPTypes
import RocketDatabase
import RocketEngine
import RocketModel
import RocketServer
import RocketTestSupport
import Testing

/// Each row of the contract's table of errors, over HTTP.
struct ErrorTableTests {
    @Test(arguments: TestStore.allCases)
    func aBodyThatIsNotJSONIsAnInvalidPayload(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            for body in [
                "{", "", "nul", "{\"name\":\"a\",\"name\":\"b\"}", "{\"name\":\"\\ud800\"}", "{} x", "{'a':1}",
            ] {
                let answer = try await app.send(.post, "customer", body: Array(body.utf8))
                #expect(answer.status == 400 && answer.code == "INVALID_PAYLOAD", "\(body): \(answer)")
            }
            let badUTF8 = try await app.send(
                .post,
                "customer",
                body: Array("{\"name\":\"".utf8) + [0xFF] + Array("\"}".utf8)
            )
            #expect(badUTF8.code == "INVALID_PAYLOAD")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBodyThatIsNoObjectIsAnInvalidPayload(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let id = "customer/10000000-0000-0000-0000-000000000001"
            for body in ["[]", "[{\"name\":\"x\"}]", "null", "1", "\"text\"", "true"] {
                let created = try await app.send(.post, "customer", body: Array(body.utf8))
                let updated = try await app.send(.put, id, body: Array(body.utf8))
                #expect(
                    created.code == "INVALID_PAYLOAD" && updated.code == "INVALID_PAYLOAD",
                    "\(body): \(created) \(updated)"
                )
            }
            #expect(try await app.get(id)["data"]["name"] == "Jane Smith")
        }
    }

    @Test(arguments: [
        "filter[title.near]=x", "filter[status.eq.eq]=x", "filter[]=x", "page=0", "page=-1", "page=1.5", "page=x",
        "page=",
        "page=99999999999999999999", "page=9223372036854775807", "per_page=0", "per_page=ten", "sort=--title", "sort=-",
        "sort=title,title", "sort=title,", "count=maybe", "color=red", "sort=title&sort=status", "deleted=yes",
        "page=%ZZ",
        "filter[created_at.gt]=yesterday", "filter[id]=abc", "filter[customer_id.in]=1,2",
        "filter[resolved_at.is_null]=maybe",
        "filter[title.like]=abc%5C", "filter[created_at.like]=2026%25", "include[ticket_customer]=x", "fields=",
    ])
    func aBadParameterIsAnInvalidParameter(query: String) async throws {
        try await TestServer.run(.sqlite) { server in
            let answer = try await server.makeHelpdesk().get("ticket?\(query)")
            #expect(answer.status == 400 && answer.code == "INVALID_PARAMETER", "\(answer)")
        }
    }

    @Test(arguments: ["filter[titel]=x", "sort=titel", "sort=-nope", "fields=id,titel", "filter[nope.gt]=1"])
    func aNameThatTheEntityLacksIsAnUnknownField(query: String) async throws {
        try await TestServer.run(.sqlite) { server in
            let answer = try await server.makeHelpdesk().get("ticket?\(query)")
            #expect(answer.status == 400 && answer.code == "UNKNOWN_FIELD", "\(answer)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func noTokenOrABadOneIsUnauthorized(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeHelpdesk()
            for (method, path) in [
                (HTTPRequest.Method.get, "/api/helpdesk/ticket"), (.get, "/api/helpdesk/ticket/1"),
                (.post, "/api/helpdesk/ticket"),
                (.put, "/api/helpdesk/ticket/1"), (.delete, "/api/helpdesk/ticket/1"),
                (.get, "/api/helpdesk/_admin/entities"),
                (.post, "/api/helpdesk/_admin/import"), (.get, "/api/_platform/apps"), (.get, "/api/helpdesk/auth/me"),
                (.get, "/api/nosuchapp/ticket"), (.get, "/api/helpdesk/nosuchentity"),
            ] {
                for token in [nil, "nonsense", "a.b.c", ""] {
                    let answer = try await server.send(method, path, token: token)
                    #expect(answer.status == 401 && answer.code == "UNAUTHORIZED", "\(method) \(path): \(answer)")
                    #expect(answer.headers[.wwwAuthenticate] == "Bearer")
                }
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCallerWithoutAPolicyIsForbidden(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            try await server.apps.withApp("helpdesk") { context in
                _ = try await context.accounts.createUser(
                    email: "agent@x.example",
                    password: "password1",
                    roles: ["visitor"]
                )
            }
            let token = try await server.login("helpdesk", "agent@x.example", "password1")
            let answers = [
                try await server.get("/api/helpdesk/ticket", token: token),
                try await server.get("/api/helpdesk/ticket/30000000-0000-0000-0000-000000000001", token: token),
                try await server.post("/api/helpdesk/ticket", token: token, ["title": "abc"]),
                try await server.get("/api/helpdesk/_admin/entities", token: token),
                try await server.post("/api/helpdesk/_admin/import", token: token, [:]),
            ]
            for answer in answers { #expect(answer.status == 403 && answer.code == "FORBIDDEN", "\(answer)") }
            #expect(try await server.get("/api/_platform/apps", token: token).status == 401)
            #expect(try await server.get("/api/_platform/apps", token: app.token).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsNotThereIsNotFoundByItsKind(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let platform = try await server.platformToken()
            #expect(try await app.get("tikcet").code == "UNKNOWN_ENTITY")
            #expect(try await app.get("tikcet").text.contains("did you mean \\\"ticket\\\"?"))
            for id in ["30000000-0000-0000-0000-0000000000ff", "abc", "1", "%20", "30000000"] {
                let answer = try await app.get("ticket/\(id)")
                #expect(answer.status == 404 && answer.code == "NOT_FOUND", "\(id): \(answer)")
            }
            #expect(try await server.get("/api/nope/ticket", token: platform).code == "APP_NOT_FOUND")
            #expect(try await server.get("/api/_platform/apps/nope", token: platform).code == "APP_NOT_FOUND")
            #expect(
                try await server.post("/api/nope/auth/login", ["email": "a@b.c", "password": "x"]).code
                    == "APP_NOT_FOUND"
            )
            #expect(try await server.get("/nowhere").code == "NOT_FOUND")
            for path in ["_admin", "_admin/nope", "auth", "auth/nope", "_x/1"] {
                let answer = try await app.get(path)
                #expect(answer.status == 404 && answer.code == "NOT_FOUND", "\(path): \(answer)")
            }
            #expect(try await server.get("/api/_platform/nope", token: platform).code == "NOT_FOUND")
            #expect(try await app.get("_admin/relations/nope").code == "NOT_FOUND")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTakenValueIsAConflictThatNamesTheField(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let created = try await app.post("customer", ["name": "Jane", "email": "jane@acme.com"])
            #expect(created.status == 409 && created.code == "CONFLICT" && created.details == ["email"])
            let updated = try await app.put("customer/10000000-0000-0000-0000-000000000002", ["email": "jane@acme.com"])
            #expect(updated.status == 409 && updated.details == ["email"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDanglingKeyIsAConflictThatNamesTheField(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let unknown: JSONValue = "10000000-0000-0000-0000-0000000000ff"
            let ticket: JSONValue = [
                "title": "A ticket", "description": "d", "customer_id": unknown, "agent_id": unknown,
            ]
            let answer = try await app.post("ticket", ticket)
            #expect(
                answer.status == 409 && answer.details == ["customer_id relation", "agent_id relation"],
                "\(answer)"
            )
            let update = try await app.put("ticket/30000000-0000-0000-0000-000000000001", ["customer_id": unknown])
            #expect(update.status == 409)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anotherVersionFailsThePrecondition(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "customer/10000000-0000-0000-0000-000000000001"
            let tag = try #require(try await app.get(path).headers[.eTag])
            let stale = try await app.put(path, ["name": "X"], headers: [.ifMatch: "\"0\""])
            #expect(stale.status == 412 && stale.code == "PRECONDITION_FAILED")
            #expect(try await app.put(path, ["name": "Y"], headers: [.ifMatch: "\"0\", \(tag)"]).status == 200)
            #expect(try await app.put(path, ["name": "Z"], headers: [.ifMatch: tag]).status == 412)
            #expect(try await app.delete(path, headers: [.ifMatch: "W/\(tag)"]).status == 412)
            #expect(try await app.put(path, ["name": "W"], headers: [.ifMatch: "*"]).status == 200)
            let last = try #require(try await app.get(path).headers[.eTag])
            #expect(
                try await app.delete("response/40000000-0000-0000-0000-000000000001", headers: [.ifMatch: last]).status
                    == 412
            )
        }
    }

    @Test func aBodyOverTheLimitIsTooLarge() async throws {
        var settings = ServerSettings()
        settings.maximumBodyBytes = 1000
        try await TestServer.run(.sqlite, server: settings) { server in
            let app = try await server.makeApp()
            let body = Array("{\"a\":\"\(String(repeating: "x", count: 2000))\"}".utf8)
            let announced = try await app.send(.post, "thing", body: body)
            #expect(announced.status == 413 && announced.code == "PAYLOAD_TOO_LARGE")
            let exact = Array("{\"a\":\"\(String(repeating: "x", count: 1000 - 8))\"}".utf8)
            #expect(exact.count == 1000)
            #expect(try await app.send(.post, "thing", body: exact).code == "UNKNOWN_ENTITY")
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyViolationComesAtOnce(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let answer = try await app.post(
                "ticket",
                [
                    "title": "", "priority": "urgent", "customer_id": 5, "prioritty": 1, "agent_id": "x",
                    "resolved_at": "today",
                ]
            )
            #expect(answer.status == 422 && answer.code == "VALIDATION_FAILED")
            #expect(
                answer.details == [
                    "title required", "priority enum", "customer_id type", "prioritty unknown", "agent_id type",
                    "resolved_at type", "description required",
                ]
            )
            #expect(answer.text.contains("did you mean \\\"priority\\\"?"))
        }
    }

    @Test(arguments: [
        "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "", "application/jsonp",
    ])
    func aBodyOfAnotherTypeIsUnsupported(type: String) async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeHelpdesk()
            let answer = try await app.send(.post, "customer", headers: [.contentType: type], body: Array("{}".utf8))
            #expect(answer.status == 415 && answer.code == "UNSUPPORTED_MEDIA_TYPE", "\(answer)")
        }
    }

    @Test func aCharsetOfUTF8IsTaken() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeHelpdesk()
            let headers: HTTPFields = [.contentType: "Application/JSON; charset=UTF-8"]
            #expect(try await app.send(.post, "customer", headers: headers, body: Array("{}".utf8)).status == 422)
        }
    }

    @Test func anotherMethodIsNotAllowedAndToldWhichIs() async throws {
        try await TestServer.run(.sqlite) { server in
            for (method, path, allow) in [
                (HTTPRequest.Method.delete, "/health", "GET"), (.get, "/api/x/auth/login", "POST"),
                (.put, "/api/_platform/apps", "GET, POST"), (.post, "/api/x/_admin/export", "GET"),
                (.delete, "/api/x/thing", "GET, POST"), (.post, "/api/x/thing/1", "DELETE, GET, PATCH, PUT"),
            ] {
                let answer = try await server.send(method, path)
                #expect(answer.status == 405 && answer.code == "METHOD_NOT_ALLOWED", "\(path): \(answer)")
                #expect(answer.headers[.allow] == allow, "\(path)")
            }
        }
    }

    @Test func tooManyFailedLoginsAreRateLimited() async throws {
        try await TestServer.run(.sqlite) { server in
            _ = try await server.makeApp()
            let wrong: JSONValue = ["email": "Admin@localhost ", "password": "wrong-password"]
            for _ in 0..<10 { #expect(try await server.post("/api/shop/auth/login", wrong).status == 401) }
            let refused = try await server.post("/api/shop/auth/login", wrong)
            #expect(refused.status == 429 && refused.code == "RATE_LIMITED")
            #expect(Int(refused.headers[.retryAfter] ?? "") ?? 0 > 800)
            let right: JSONValue = ["email": "admin@localhost", "password": "changeme"]
            #expect(try await server.post("/api/shop/auth/login", right).status == 429)
            server.clock.advance(seconds: 901)
            #expect(try await server.post("/api/shop/auth/login", right).status == 200)
        }
    }

    @Test func aDatabaseThatIsGoneMakesItsAppUnavailableAlone() async throws {
        try await TestServer.run(.sqlite) { server in
            let shop = try await server.makeApp("shop")
            let other = try await server.makeApp("other")
            try await server.apps.withApp("shop") { await $0.database.close() }
            let answer = try await shop.get("_admin/export")
            #expect(answer.status == 200)
            let write = try await shop.post("_admin/entities", ["name": "x"])
            #expect(write.status == 422)
            let read = try await server.post(
                "/api/shop/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            #expect(read.status == 503 && read.code == "UNAVAILABLE")
            #expect(try await other.get("_admin/entities").status == 200)
        }
    }
}
