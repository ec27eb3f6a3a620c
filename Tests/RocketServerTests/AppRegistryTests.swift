import Foundation
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Synchronization
import Testing

/// Thousands of apps on one server: opened once, closed when idle, and each by itself when it is broken.
struct AppRegistryTests {
    /// Closes what is idle, so that the next request opens it.
    private static func closeAll(_ server: TestServer) async {
        server.clock.advance(seconds: 600)
        await server.apps.closeIdleApps()
    }

    private static func app(_ name: String, on server: TestServer) async throws -> TestApp {
        TestApp(server: server, name: name, token: try await server.platformToken())
    }

    /// Makes a database one that can't be opened, and gives what mends it.
    static func breakDatabase(of name: String, _ server: TestServer, _ store: TestStore) async throws
        -> () async throws -> Void
    {
        switch store {
        case .sqlite:
            let provider = try #require(server.provider as? SQLiteProvider)
            let file = provider.directory.appendingPathComponent("apps/\(name).db")
            let whole = try Data(contentsOf: file)
            try Data(repeating: 7, count: 8192).write(to: file)
            return { try whole.write(to: file) }
        case .postgres:
            let database = server.provider.databaseName(ofApp: name)
            let away = server.provider.databaseName(ofApp: name + "_away")
            _ = try await server.provider.rename(database, to: away)
            return { _ = try await server.provider.rename(away, to: database) }
        }
    }

    /// A closure in a mutex was once wrapped anew with every look at it: a write got slower with each one before it.
    @Test func tellingTheWorkerCostsTheSameHoweverOftenItIsTold() async throws {
        try await TestServer.run(.sqlite) { server in
            _ = try await server.makeApp()
            let told = AtomicCount()
            server.apps.listenForWork { _ in told.increment() }
            try await server.apps.withApp("shop") { context in
                for _ in 0..<200_000 { context.workIsDue() }
            }
            #expect(told.value >= 200_000)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAppThatCantBeOpenedAnswersForItselfAlone(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            for name in ["broken", "whole"] {
                let made = try await server.makeApp(name)
                try await made.makeEntity("thing", fields: [["name": "n", "type": "int"]])
            }
            await Self.closeAll(server)
            let mend = try await Self.breakDatabase(of: "broken", server, store)
            let broken = try await Self.app("broken", on: server)
            let whole = try await Self.app("whole", on: server)
            for _ in 0..<3 {
                let answer = try await broken.get("thing")
                #expect(answer.status == 503 && answer.code == "UNAVAILABLE", "\(answer)")
                #expect(
                    !answer.text.contains(".db") && !answer.text.contains("test_"),
                    "no names of databases: \(answer)"
                )
                #expect(try await whole.post("thing", ["n": 1]).status == 201)
            }
            #expect(try await server.get("/ready").status == 200)
            let list = try await server.get("/api/_platform/apps", token: whole.token)
            #expect(list["data"].array.count == 2)
            try await mend()
            #expect(try await broken.get("thing").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBrokenAppCanBeDeleted(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp("broken")
            await Self.closeAll(server)
            _ = try await Self.breakDatabase(of: "broken", server, store)
            let token = try await server.platformToken()
            #expect(try await server.delete("/api/_platform/apps/broken", token: token).status == 200)
            let again = try await server.post("/api/_platform/apps", token: token, ["name": "broken"])
            #expect(again.status == 201, "\(again)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func manyWhoAskAtOnceOpenAnAppOnce(store: TestStore) async throws {
        let directory = try TemporaryDirectory()
        var settings = AppSettings()
        settings.bcryptCost = 4
        let provider = CountingProvider(try store.makeProvider(in: directory.url))
        let apps = try await AppRegistry(
            provider: provider,
            settings: settings,
            dependencies: .system(logger: .silent)
        )
        _ = try await apps.create(name: "one", displayName: nil, driver: nil)
        let before = provider.opened
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<100 { group.addTask { try await apps.withApp("one") { $0.name } } }
            for try await name in group { #expect(name == "one") }
        }
        #expect(provider.opened == before + 1)
        await apps.close()
        try await store.remove(directory)
    }

    @Test(arguments: TestStore.allCases)
    func copiesAndDeletionsAtOnceLeaveNothingHalf(store: TestStore) async throws {
        var settings = AppSettings()
        settings.deletionGrace = .seconds(2)
        try await TestServer.run(store, settings: settings) { server in
            let token = try await server.platformToken()
            for round in 0..<4 {
                let app = try await server.makeApp("source")
                try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]])
                _ = try await app.post("thing", ["n": 1])
                async let copied = server.post(
                    "/api/_platform/apps",
                    token: token,
                    ["name": .string("copy\(round)"), "from": "source", "rows": true]
                )
                async let deleted = server.delete("/api/_platform/apps/source", token: token)
                let (copy, deletion) = try await (copied, deleted)
                #expect(deletion.status == 200, "\(deletion)")
                #expect([201, 404, 422, 503].contains(copy.status), "\(copy)")
                let names = try await server.get("/api/_platform/apps", token: token)["data"].array.map {
                    $0["name"].string
                }
                #expect(names.contains("copy\(round)") == (copy.status == 201))
                guard copy.status == 201 else { continue }
                let there = TestApp(server: server, name: "copy\(round)", token: token)
                #expect(try await there.get("thing")["meta"]["total"] == 1)
            }
        }
    }
}

/// Counts how often databases are opened.
private final class CountingProvider: DatabaseProvider {
    private let inner: any DatabaseProvider
    private let count = Mutex(0)

    init(_ inner: any DatabaseProvider) {
        self.inner = inner
    }

    var opened: Int { count.withLock { $0 } }
    var driver: String { inner.driver }
    var isShared: Bool { inner.isShared }
    func databaseName(ofApp name: String) -> String { inner.databaseName(ofApp: name) }
    func draftName(_ identity: String) -> String { inner.draftName(identity) }
    func openManagement() async throws -> any AppDatabase { try await inner.openManagement() }
    func exists(_ databaseName: String) async throws -> Bool { try await inner.exists(databaseName) }
    func create(_ databaseName: String) async throws -> Bool { try await inner.create(databaseName) }
    func rename(_ databaseName: String, to newName: String) async throws -> Bool {
        try await inner.rename(databaseName, to: newName)
    }
    func isSame(_ databaseName: String, _ otherName: String) async throws -> Bool {
        try await inner.isSame(databaseName, otherName)
    }
    func open(_ databaseName: String) async throws -> any AppDatabase {
        count.withLock { $0 += 1 }
        return try await inner.open(databaseName)
    }
    func backUp(_ databaseName: String, to path: String) async throws -> [String] {
        try await inner.backUp(databaseName, to: path)
    }
    func restore(_ databaseName: String, from path: String) async throws -> Bool {
        try await inner.restore(databaseName, from: path)
    }
    func copy(_ databaseName: String, to newName: String) async throws -> Bool {
        try await inner.copy(databaseName, to: newName)
    }
    func drop(_ databaseName: String) async throws { try await inner.drop(databaseName) }
    func announce(_ hint: String) async { await inner.announce(hint) }
    func listen(_ body: @escaping @Sendable (String) -> Void) async { await inner.listen(body) }
    func close() async { await inner.close() }
}

private final class AtomicCount: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }
    func increment() { count.withLock { $0 += 1 } }
}
