import Foundation
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// Two servers on one PostgreSQL.
struct SharedDatabaseTests {
    /// Asks until the answer is as wanted. A quiet machine needs half a second at most; this one runs every other test
    /// of the suite at the same time.
    private static func within(
        _ limit: Duration = .seconds(10),
        _ isAsWanted: () async throws -> Bool
    ) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        while true {
            if try await isAsWanted() { return true }
            guard ContinuousClock.now < deadline else { return false }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private static func get(_ path: String, _ app: TestApp, on server: TestServer) async throws -> TestAnswer {
        try await server.get("/api/\(app.name)/\(path)", token: app.token)
    }

    @Test func changesOfMetadataAreSoonInForceOnTheOtherServerWhileBothServe() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            try await app.makeEntity("base", fields: [["name": "title", "type": "string"]])
            #expect(try await Self.within { try await Self.get("base", app, on: second).status == 200 })
            let load = [first, second].map { server in
                Task { () -> Set<Int> in
                    var statuses: Set<Int> = []
                    while !Task.isCancelled {
                        statuses.insert(try await Self.get("base", app, on: server).status)
                        let created = try await server.post("/api/shop/base", token: app.token, ["title": "x"])
                        statuses.insert(created.status)
                    }
                    return statuses
                }
            }
            for round in 1...5 {
                let maker = round % 2 == 0 ? first : second
                let other = round % 2 == 0 ? second : first
                let definition: JSONValue = [
                    "name": .string("thing\(round)"), "table": .string("things\(round)"),
                    "primary_key": ["field": "id", "type": "uuid", "generated": true],
                    "fields": [["name": "id", "type": "uuid"]],
                ]
                let made = try await maker.post("/api/shop/_admin/entities", token: app.token, definition)
                #expect(made.status == 201, "\(made)")
                #expect(try await Self.within { try await Self.get("thing\(round)", app, on: other).status == 200 })
            }
            for task in load {
                task.cancel()
                #expect(try await task.value == [200, 201])
            }
        }
    }

    /// The listeners of both servers are ended, so that no hint arrives for a second.
    @Test func aChangeIsSeenWithoutAnyHint() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            #expect(try await Self.get("_admin/entities", app, on: second).status == 200)
            let endListeners = SQLStatement(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    + " WHERE datname = current_database() AND query LIKE 'LISTEN %'",
                output: .values
            )
            #expect(try await first.apps.management.read([endListeners])[0].rows.count == 2)
            try await app.makeEntity("thing", fields: [])
            #expect(try await Self.within { try await Self.get("thing", app, on: second).status == 200 })
        }
    }

    @Test func noChangeIsLostWhereBothServersChangeMetadataAtOnce() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<10 {
                    let server = index % 2 == 0 ? first : second
                    group.addTask {
                        let definition: JSONValue = [
                            "name": .string("thing\(index)"), "table": .string("things\(index)"),
                            "primary_key": ["field": "id", "type": "uuid", "generated": true],
                            "fields": [["name": "id", "type": "uuid"]],
                        ]
                        let made = try await server.post("/api/shop/_admin/entities", token: app.token, definition)
                        #expect(made.status == 201, "\(made)")
                    }
                }
                try await group.waitForAll()
            }
            for index in 0..<10 {
                for server in [first, second] {
                    #expect(
                        try await Self.within { try await Self.get("thing\(index)", app, on: server).status == 200 }
                    )
                }
            }
        }
    }

    @Test func aColumnThatChangedElsewhereIsNeverAFaultOfTheServer() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            try await app.makeEntity("thing", fields: [["name": "size", "type": "int"]])
            let created = try await app.post("thing", ["size": 1])
            let id = try #require(created["data"]["id"].string)
            #expect(try await Self.within { try await Self.get("thing/\(id)", app, on: second).status == 200 })
            var definition = try #require(try await app.get("_admin/entities/thing")["data"].value.objectValue)
            definition["fields"] = [["name": "id", "type": "uuid"], ["name": "size", "type": "bigint"]]
            let load = Task { () -> Set<Int> in
                var statuses: Set<Int> = []
                while !Task.isCancelled {
                    statuses.insert(try await Self.get("thing/\(id)", app, on: second).status)
                    statuses.insert(try await Self.get("thing?filter[size]=1", app, on: second).status)
                }
                return statuses
            }
            #expect(try await app.put("_admin/entities/thing", .object(definition)).status == 200)
            let big = try await app.post("thing", ["size": 5_000_000_000])
            #expect(big.status == 201, "\(big)")
            #expect(
                try await Self.within {
                    try await Self.get("thing?filter[size]=5000000000", app, on: second)["meta"]["total"] == 1
                }
            )
            load.cancel()
            #expect(try await load.value.subtracting([200, 503]).isEmpty)
        }
    }

    @Test func anAppThatIsMadeOnOneServerServesOnTheOtherAndOneThatIsDeletedIsGone() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            #expect(try await Self.get("_admin/entities", app, on: second).status == 200)
            let platform = try await first.platformToken()
            #expect(try await first.delete("/api/_platform/apps/shop", token: platform).status == 200)
            #expect(try await Self.within { try await second.get("/api/shop/x", token: platform).status == 404 })
            let again = try await second.post("/api/_platform/apps", token: platform, ["name": "shop"])
            #expect(again.status == 201, "\(again)")
            // A token of the first app is none of its namesake's.
            #expect(try await Self.within { try await Self.get("_admin/entities", app, on: first).status == 401 })
            let token = try await first.login("shop", "admin@localhost", "changeme")
            #expect(try await first.get("/api/shop/_admin/entities", token: token).status == 200)
        }
    }

    @Test func aPasswordThatIsChangedOnOneServerEndsTokensOnTheOther() async throws {
        try await TestServer.runTwo { first, second async throws in
            let app = try await first.makeApp()
            #expect(try await Self.get("_admin/entities", app, on: second).status == 200)
            let body: JSONValue = ["old": "changeme", "new": "another-one"]
            let changed = try await first.post("/api/shop/auth/password", token: app.token, body)
            #expect(changed.status == 200, "\(changed)")
            #expect(try await Self.within { try await Self.get("_admin/entities", app, on: second).status == 401 })
        }
    }

    @Test func ofTwoCreatesOfOneNameOnTwoServersOneWins() async throws {
        try await TestServer.runTwo { first, second async throws in
            let token = try await first.platformToken()
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for server in [first, second, first, second] {
                    group.addTask {
                        try await server.post("/api/_platform/apps", token: token, ["name": "one"]).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [201, 409, 409, 409])
            for server in [first, second] {
                #expect(try await server.get("/api/_platform/apps", token: token)["data"].array.count == 1)
            }
        }
    }

    @Test func secretsThatNobodyConfiguredAreMadeOnceForAllServers() async throws {
        try await TestServer.runTwo { first, second async throws in
            let names = ["jwt_secret", "encryption_key"]
            let made = try await first.apps.sharedSecrets(names) { UUID().uuidString }
            #expect(made.count == 2)
            #expect(try await second.apps.sharedSecrets(names) { UUID().uuidString } == made)
        }
    }
}

/// What a crash leaves of an app that was being made or removed, on each store.
struct UnfinishedAppTests {
    /// Leaves a row as a server does that dies at that point, and opens the management database anew.
    private static func afterACrash(
        _ store: TestStore,
        status: String,
        _ prepare: (any DatabaseProvider, _ draft: String, _ name: String) async throws -> Void,
        _ look: (any DatabaseProvider, AppRegistry, _ draft: String, _ name: String) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let provider = try store.makeProvider(in: directory.url)
        let management = try await provider.openManagement()
        try await SystemSchema.management.migrate(management)
        let (draft, name) = (provider.draftName("identity"), provider.databaseName(ofApp: "half"))
        try await prepare(provider, draft, name)
        var sql = SQLBuilder(management.dialect)
        sql.append(
            "INSERT INTO \"_apps\" (\"name\", \"display_name\", \"db_name\", \"db_driver\", \"status\", \"identity\","
                + " \"lease_until\", \"created_at\") VALUES ('half', 'half', "
        )
        sql.bind(stored: .text(name))
        sql.append(", '\(provider.driver)', '\(status)', 'identity', 0, 0)")
        _ = try await management.write([sql.statement()])
        await management.close()
        var settings = AppSettings()
        settings.bcryptCost = 4
        let apps = try await AppRegistry(
            provider: provider,
            settings: settings,
            dependencies: .system(logger: .silent)
        )
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await look(provider, apps, draft, name))
        } catch {
            outcome = .failure(error)
        }
        await apps.close()
        try await store.remove(directory)
        try outcome.get()
    }

    @Test(arguments: TestStore.allCases)
    func aDraftThatWasBeingMadeIsRemovedAndItsNameIsFree(store: TestStore) async throws {
        try await Self.afterACrash(store, status: "creating") { provider, draft, _ async throws in
            #expect(try await provider.create(draft))
        } _: { provider, apps, draft, _ async throws in
            #expect(try await !provider.exists(draft))
            #expect(try await apps.all().isEmpty)
            _ = try await apps.create(name: "half", displayName: nil, driver: nil)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDatabaseThatStoodThereBeforeTheAppIsLeftAlone(store: TestStore) async throws {
        try await Self.afterACrash(store, status: "creating") { provider, draft, name async throws in
            #expect(try await provider.create(draft))
            #expect(try await provider.create(name))
        } _: { provider, apps, draft, name async throws in
            #expect(try await !provider.exists(draft))
            #expect(try await provider.exists(name))
            await #expect(throws: RequestFailure.self) {
                _ = try await apps.create(name: "half", displayName: nil, driver: nil)
            }
            #expect(try await provider.exists(name))
            try await provider.drop(name)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAppThatGotItsNameAndNoMoreIsRemoved(store: TestStore) async throws {
        try await Self.afterACrash(store, status: "publishing") { provider, draft, name async throws in
            #expect(try await provider.create(draft))
            #expect(try await provider.rename(draft, to: name))
        } _: { provider, apps, _, name async throws in
            #expect(try await !provider.exists(name))
            #expect(try await apps.all().isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDraftThatDidNotGetItsNameLeavesTheDatabaseOfThatNameAlone(store: TestStore) async throws {
        try await Self.afterACrash(store, status: "publishing") { provider, draft, name async throws in
            #expect(try await provider.create(draft))
            #expect(try await provider.create(name))
            #expect(try await !provider.rename(draft, to: name))
        } _: { provider, apps, draft, name async throws in
            #expect(try await !provider.exists(draft))
            #expect(try await provider.exists(name))
            #expect(try await apps.all().isEmpty)
            try await provider.drop(name)
        }
    }

    @Test func aRenamingThatWasCutShortLeavesNeitherName() async throws {
        try await Self.afterACrash(.sqlite, status: "publishing") { provider, draft, name async throws in
            #expect(try await provider.create(draft))
            let apps = try #require(provider as? SQLiteProvider).directory.appendingPathComponent("apps")
            try FileManager.default.linkItem(
                at: apps.appendingPathComponent(draft),
                to: apps.appendingPathComponent(name)
            )
            #expect(try await provider.isSame(draft, name))
        } _: { provider, apps, draft, name async throws in
            #expect(try await !provider.exists(draft))
            #expect(try await !provider.exists(name))
            #expect(try await apps.all().isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAppThatWasBeingDeletedIsDeleted(store: TestStore) async throws {
        try await Self.afterACrash(store, status: "deleting") { provider, _, name async throws in
            #expect(try await provider.create(name))
        } _: { provider, apps, _, name async throws in
            #expect(try await !provider.exists(name))
            #expect(try await apps.all().isEmpty)
        }
    }
}
