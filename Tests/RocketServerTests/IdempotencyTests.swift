import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// A request with an Idempotency-Key is carried out once, however often it is sent.
struct IdempotencyTests {
    private static func headers(_ key: String) -> HTTPFields {
        HTTPField.Name("Idempotency-Key").map { [$0: key] } ?? [:]
    }

    private static func run(_ store: TestStore, _ test: (TestApp) async throws -> Void) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "thing",
                fields: [["name": "n", "type": "int"], ["name": "code", "type": "string", "unique": true]],
                softDelete: true
            )
            try await test(app)
        }
    }

    @Test(arguments: TestStore.allCases)
    func theSameRequestHasTheFirstAnswerAgain(store: TestStore) async throws {
        try await Self.run(store) { app in
            let body: JSONValue = ["n": 1, "code": "a"]
            let first = try await app.post("thing", body, headers: Self.headers("k1"))
            #expect(first.status == 201 && first.headers[.init("Idempotency-Replayed")!] == nil)
            let id = first["data"]["id"].string ?? ""
            // The record changes; the answer does not.
            #expect(try await app.put("thing/\(id)", ["n": 2]).status == 200)
            for _ in 0..<3 {
                let again = try await app.post("thing", body, headers: Self.headers("k1"))
                #expect(again.status == 201 && again.bytes == first.bytes, "\(again)")
                #expect(
                    again.headers[.location] == first.headers[.location] && again.headers[.eTag] == first.headers[.eTag]
                )
                #expect(again.headers[.init("Idempotency-Replayed")!] == "true")
            }
            #expect(try await app.get("thing")["meta"]["total"] == 1)
            // Also when the record is gone.
            #expect(try await app.delete("thing/\(id)").status == 200)
            #expect(try await app.post("thing", body, headers: Self.headers("k1")).bytes == first.bytes)
            let other = try await app.post("thing", ["n": 3, "code": "b"], headers: Self.headers("k1"))
            #expect(other.status == 422 && other.details == ["Idempotency-Key"], "\(other)")
            #expect(try await app.post("thing", ["n": 3, "code": "b"], headers: Self.headers("k2")).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofManyAtOnceOneIsCarriedOutAndAllHaveItsAnswer(store: TestStore) async throws {
        try await Self.run(store) { app in
            for round in 0..<5 {
                let answers = try await withThrowingTaskGroup(of: TestAnswer.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            // Without a unique value: nothing but the key keeps it from happening twice.
                            try await app.post("thing", ["n": .integer(round)], headers: Self.headers("same\(round)"))
                        }
                    }
                    return try await group.reduce(into: [TestAnswer]()) { $0.append($1) }
                }
                #expect(Set(answers.map(\.status)) == [201] && Set(answers.map(\.text)).count == 1, "\(answers)")
                #expect(try await app.get("thing?filter[n]=\(round)")["meta"]["total"] == 1)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatFailedIsTriedAgain(store: TestStore) async throws {
        try await Self.run(store) { app in
            let taken = try await app.post("thing", ["code": "a"])
            let refused = try await app.post("thing", ["code": "a"], headers: Self.headers("k"))
            #expect(refused.status == 409)
            #expect(try await app.post("thing", ["n": "x"], headers: Self.headers("k")).status == 422)
            let id = taken["data"]["id"].string ?? ""
            #expect(try await app.delete("thing/\(id)?purge=true").status == 200)
            let made = try await app.post("thing", ["code": "a"], headers: Self.headers("k"))
            #expect(made.status == 201, "\(made)")
            #expect(try await app.post("thing", ["code": "a"], headers: Self.headers("k")).bytes == made.bytes)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aKeyBelongsToItsCallerItsPathAndADay(store: TestStore) async throws {
        try await Self.run(store) { app in
            try await app.makeEntity("other", fields: [["name": "n", "type": "int"]])
            let user: JSONValue = ["email": "b@x.example", "password": "password1", "roles": ["admin"]]
            #expect(try await app.post("_admin/users", user).status == 201)
            let token = try await app.server.login(app.name, "b@x.example", "password1")
            let body: JSONValue = ["n": 1]
            var ids: Set<String?> = []
            for path in ["thing", "other"] {
                ids.insert(try await app.post(path, body, headers: Self.headers("k"))["data"]["id"].string)
            }
            let path = "/api/\(app.name)/thing"
            for _ in 0..<2 {
                let answer = try await app.server.send(
                    .post,
                    path,
                    token: token,
                    headers: Self.headers("k"),
                    body: body.jsonBytes
                )
                ids.insert(answer["data"]["id"].string)
            }
            #expect(ids.count == 3)
            let later = try await app.after(seconds: 24 * 3600 + 1)
            ids.insert(try await later.post("thing", body, headers: Self.headers("k"))["data"]["id"].string)
            #expect(ids.count == 4)
            for key in ["", " ", "a b", "é", String(repeating: "x", count: 256)] {
                #expect(try await later.post("thing", body, headers: Self.headers(key)).status == 400, "\(key)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func batchesNestedWritesAndRestoringHaveThemToo(store: TestStore) async throws {
        try await Self.run(store) { app in
            let operations: JSONValue = [
                "operations": [
                    ["method": "POST", "path": "/thing", "body": ["n": 1]],
                    ["method": "POST", "path": "/thing", "body": ["n": 2]],
                ]
            ]
            let first = try await app.post("_batch", operations, headers: Self.headers("b"))
            #expect(first.status == 200, "\(first)")
            #expect(try await app.post("_batch", operations, headers: Self.headers("b")).bytes == first.bytes)
            #expect(try await app.get("thing")["meta"]["total"] == 2)
            let id = first["data"][0]["data"]["id"].string ?? ""
            #expect(try await app.delete("thing/\(id)").status == 200)
            let restored = try await app.send(.post, "thing/\(id)/restore", headers: Self.headers("r"))
            #expect(restored.status == 200, "\(restored)")
            let again = try await app.send(.post, "thing/\(id)/restore", headers: Self.headers("r"))
            #expect(again.status == 200 && again.bytes == restored.bytes, "\(again)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWebhookThatDoesNotAgreeLeavesTheKeyFree(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            receiver.react([.answer(500)])
            try await WebhookTests.hook(app, receiver, "label", ["hook": "before_write"])
            let body: JSONValue = ["text": "a"]
            #expect(try await app.post("label", body, headers: Self.headers("k")).status == 502)
            let made = try await app.post("label", body, headers: Self.headers("k"))
            #expect(made.status == 201, "\(made)")
            #expect(try await app.post("label", body, headers: Self.headers("k")).bytes == made.bytes)
            #expect(receiver.received.count == 2)
        }
    }
}
