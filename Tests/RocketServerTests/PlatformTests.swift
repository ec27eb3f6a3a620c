import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Many apps on one server.
struct PlatformTests {
    @Test(arguments: TestStore.allCases)
    func anAppIsMadeListedReadAndDeleted(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let token = try await server.platformToken()
            let created = try await server.post(
                "/api/_platform/apps",
                token: token,
                ["name": "my-app_1", "display_name": "My app"]
            )
            #expect(created.status == 201 && created.headers[.location] == "/api/_platform/apps/my-app_1")
            #expect(created["data"].names == ["name", "display_name", "db_name", "db_driver", "status"])
            #expect(created["data"]["display_name"] == "My app" && created["data"]["status"] == "active")
            #expect(created["data"]["db_driver"].string == store.rawValue)
            _ = try await server.post("/api/_platform/apps", token: token, ["name": "b"])
            let list = try await server.get("/api/_platform/apps", token: token)["data"].array
            #expect(list.map { $0["name"].string } == ["my-app_1", "b"] && list[0] == created["data"])
            #expect(try await server.get("/api/_platform/apps/b", token: token)["data"]["display_name"] == "b")
            let deleted = try await server.delete("/api/_platform/apps/b", token: token)
            #expect(
                deleted.status == 200 && deleted["message"] == "App deleted"
                    && deleted["data"]["message"] == "App deleted"
            )
            #expect(try await server.get("/api/_platform/apps/b", token: token).code == "APP_NOT_FOUND")
            #expect(try await server.delete("/api/_platform/apps/b", token: token).status == 404)
        }
    }

    @Test(arguments: ["", "A", "1a", "_x", "a b", "a.b", "-a", "a/b", "é", "auth'", String(repeating: "a", count: 51)])
    func aNameThatCantBeOneIsAViolation(name: String) async throws {
        try await TestServer.run(.sqlite) { server in
            let token = try await server.platformToken()
            let answer = try await server.post("/api/_platform/apps", token: token, ["name": .string(name)])
            #expect(answer.status == 422 && answer["error"]["details"][0]["field"] == "name", "\(answer)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofTwoCreatesOfOneNameAtOnceOneWins(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let token = try await server.platformToken()
            for round in 0..<3 {
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            try await server.post("/api/_platform/apps", token: token, ["name": .string("app\(round)")])
                                .status
                        }
                    }
                    return try await group.reduce(into: [Int]()) { $0.append($1) }
                }
                #expect(statuses.sorted() == [201, 409, 409, 409])
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aNamesakeOfADeletedAppStartsEmpty(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            #expect(try await app.get("ticket")["meta"]["total"] == 7)
            _ = try await server.delete("/api/_platform/apps/helpdesk", token: try await server.platformToken())
            let again = try await server.makeApp("helpdesk")
            #expect(try await again.get("_admin/entities")["data"].array.isEmpty)
        }
    }

    @Test func moreAppsThanMayBeOpenAllAnswer() async throws {
        var settings = AppSettings()
        settings.maximumOpen = 3
        try await TestServer.run(.sqlite, settings: settings) { server in
            var apps: [TestApp] = []
            for index in 0..<8 { apps.append(try await server.makeApp("app\(index)")) }
            for app in apps { try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]]) }
            for round in 0..<3 {
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for app in apps { group.addTask { try await app.post("thing", ["n": .integer(round)]).status } }
                    for try await status in group { #expect(status == 201) }
                }
            }
            for app in apps { #expect(try await app.get("thing")["meta"]["total"] == 3) }
            server.clock.advance(seconds: 600)
            await server.apps.closeIdleApps()
            let token = try await server.login("app0", "admin@localhost", "changeme")
            #expect(try await server.get("/api/app0/thing", token: token)["meta"]["total"] == 3)
        }
    }

    @Test func aDriverThatTheServerLacksIsAViolation() async throws {
        try await TestServer.run(.sqlite) { server in
            let token = try await server.platformToken()
            let answer = try await server.post(
                "/api/_platform/apps",
                token: token,
                ["name": "x", "db_driver": "mysql"]
            )
            #expect(answer.status == 422 && answer.details == ["db_driver enum"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofSeveralDeletesAtOnceOneWinsAndANamesakeIsSafe(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let token = try await server.platformToken()
            for _ in 0..<5 {
                let app = try await server.makeApp("twice")
                try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]])
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<4 {
                        group.addTask { try await server.delete("/api/_platform/apps/twice", token: token).status }
                    }
                    return try await group.reduce(into: [Int]()) { $0.append($1) }
                }
                #expect(statuses.sorted() == [200, 404, 404, 404])
                #expect(try await server.get("/api/twice/thing", token: app.token).status == 401)
            }
            let last = try await server.makeApp("twice")
            #expect(try await last.get("_admin/entities")["data"].array.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func requestsThatRunEndBeforeTheirAppIsGone(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp("busy")
            try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]])
            let platform = try await server.platformToken()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<200 { group.addTask { try await app.post("thing", ["n": .integer(index)]).status } }
                group.addTask { try await server.delete("/api/_platform/apps/busy", token: platform).status }
                for try await status in group { #expect([200, 201, 401, 404].contains(status), "\(status)") }
            }
        }
    }
}
