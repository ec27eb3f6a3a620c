import HTTPTypes
import RocketDatabase
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// What holds for every answer.
struct ConventionTests {
    private static let requestID = HTTPField.Name("X-Request-Id").unsafelyUnwrapped
    private static let nosniff = HTTPField.Name("X-Content-Type-Options").unsafelyUnwrapped

    @Test func everyAnswerCarriesARequestIDAndNosniff() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeHelpdesk()
            let answers = [
                try await server.get("/health"), try await server.get("/nowhere"), try await app.get("ticket"),
                try await app.get("ticket?x=1"), try await server.delete("/health"),
            ]
            for answer in answers {
                #expect(answer.headers[Self.requestID]?.isEmpty == false)
                #expect(answer.headers[Self.nosniff] == "nosniff")
                #expect(answer.headers[.contentType] == "application/json; charset=utf-8")
            }
            #expect(Set(answers.map { $0.headers[Self.requestID] }).count == answers.count)
        }
    }

    @Test func aSaneRequestIDIsTakenAndAnotherIsNot() async throws {
        try await TestServer.run(.sqlite) { server async throws in
            let sane = try await server.send(.get, "/health", headers: [Self.requestID: "abc-123_X.y"])
            #expect(sane.headers[Self.requestID] == "abc-123_X.y")
            for id in ["a b", String(repeating: "a", count: 129), "a\"b", "é"] {
                let answer = try await server.send(.get, "/health", headers: [Self.requestID: id])
                #expect(answer.headers[Self.requestID] != id)
            }
        }
    }

    @Test func answersToSignedInCallersAreNotStored() async throws {
        try await TestServer.run(.sqlite) { server async throws in
            let app = try await server.makeHelpdesk()
            #expect(try await app.get("ticket").headers[.cacheControl] == "no-store")
            let login = try await server.post(
                "/api/helpdesk/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            #expect(login.headers[.cacheControl] == "no-store")
            #expect(try await server.get("/health").headers[.cacheControl] == nil)
        }
    }

    @Test func aHeadIsAGetWithoutItsBody() async throws {
        try await TestServer.run(.sqlite) { server async throws in
            let answer = try await server.send(.head, "/health")
            #expect(answer.status == 200 && answer.bytes.isEmpty)
            for path in ["/nowhere", "/api/shop/auth/login"] {
                let other = try await server.send(.head, path)
                #expect(other.status >= 400 && other.bytes.isEmpty)
            }
        }
    }

    @Test func healthAndReadinessNeedNoToken() async throws {
        try await TestServer.run(.sqlite) { server async throws in
            #expect(try await server.get("/health").status == 200)
            #expect(try await server.get("/ready").status == 200)
            await server.apps.management.close()
            #expect(try await server.get("/health").status == 200)
            #expect(try await server.get("/ready").status == 503)
        }
    }

    @Test func theCommandSocketsRoutesAreNotThereForClients() async throws {
        try await TestServer.run(.sqlite) { server in
            let token = try await server.platformToken()
            let user: JSONValue = ["email": "x@y.example", "password": "password1"]
            #expect(try await server.post("/_control/users", token: token, user).status == 404)
        }
    }

    @Test func numbersKeepTheirDigitsFromTheWireToTheStoreAndBack() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "money",
                fields: [
                    ["name": "amount", "type": "decimal"], ["name": "price", "type": "decimal", "precision": 2],
                    ["name": "big", "type": "bigint"], ["name": "data", "type": "json"],
                    ["name": "ratio", "type": "float"],
                ]
            )
            let body = """
                {"amount": 12345678901234567890.123456789012345678901234567890, "price": 19.9, "big": 9007199254740993,
                 "data": {"n": 1.10, "m": 123456789012345678901234567890}, "ratio": 0.1}
                """
            let created = try await app.send(.post, "money", body: Array(body.utf8))
            #expect(created.status == 201, "\(created)")
            let id = try #require(created["data"]["id"].string)
            let read = try await app.get("money/\(id)")["data"]
            #expect(read["amount"].digits == "12345678901234567890.123456789012345678901234567890")
            #expect(read["price"].digits == "19.90")
            #expect(read["big"].digits == "9007199254740993")
            #expect(read["data"]["n"].digits == "1.10")
            #expect(read["data"]["m"].digits == "123456789012345678901234567890")
            #expect(read["ratio"].digits == "0.1")
        }
    }
}
