import RocketAutomation
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// The worker by itself: nobody tells it when to look.
struct WorkerTests {
    private static func until(_ what: String, _ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try await !condition() {
            guard ContinuousClock.now < deadline else { throw TestFailure("never: \(what)") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    private static func working<Value>(_ server: TestServer, _ body: () async throws -> Value) async throws -> Value {
        let work = Task { await server.worker.work() }
        let outcome: Result<Value, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        work.cancel()
        await work.value
        return try outcome.get()
    }

    @Test(arguments: TestStore.allCases)
    func aWriteIsToldWithoutAnybodysHelp(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            try await Self.working(server) {
                for number in 0..<40 { _ = try await app.make("label", ["text": .string("l\(number)")]) }
                try await Self.until("all are told") { receiver.received.count == 40 }
                try await Self.until("all are noted") {
                    try await WebhookTests.logs(app, "?status=delivered&per_page=100").count == 40
                }
            }
        }
    }

    /// A kind of work that can't say what it has, as when its table is locked.
    private struct Refusing: AppWork {
        func claim(in app: AppContext) async throws -> (jobs: [AppJob], next: Timestamp?) {
            throw TestFailure("no")
        }
        func tidy(_ app: AppContext) async throws {}
    }

    @Test(arguments: TestStore.allCases)
    func whatIsClaimedIsDoneThoughAnotherKindOfWorkFails(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            let deliveries = Deliveries(sender: server.sender, dependencies: server.apps.dependencies)
            let worker = Worker(apps: server.apps, kinds: [deliveries, Refusing()])
            for number in 0..<40 { _ = try await app.make("label", ["text": .string("l\(number)")]) }
            await #expect(throws: TestFailure.self) {
                try await server.apps.withApp(app.name) { try await worker.workOff($0) }
            }
            #expect(receiver.received.count == 40)
        }
    }

    /// A lane of any length costs what the record has in it.
    @Test func puttingOffTheDeliveriesOfARecordReadsThatRecordsAlone() async throws {
        try await WebhookTests.run(.sqlite) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            _ = try await app.make("label", ["text": "a"])
            try await server.apps.withApp(app.name) { context in
                let store = DeliveryStore(.sqlite)
                let now = server.clock.now()
                let lane = store.read(try await context.database.read([store.lanes(after: now)])[0])[0].name
                let claim = store.claim(lane: lane, limit: 1, among: 10, now: now, lease: now.adding(seconds: 30))
                let delivery = store.claimed(try await context.database.write([claim])[0])[0]
                let report = DeliveryReport(
                    status: .retrying,
                    attempt: 1,
                    nextTry: now.adding(seconds: 60),
                    responseStatus: nil,
                    responseBody: nil,
                    error: "no",
                    milliseconds: 1
                )
                let statements = store.report(delivery, delivery.call, report, now: now)
                let plan = SQLStatement(
                    "EXPLAIN QUERY PLAN " + statements[1].text,
                    binds: statements[1].binds,
                    output: .values
                )
                let steps = try await context.database.read([plan])[0].rows.compactMap { $0.last?.textValue }
                #expect(steps.contains { $0.contains("_webhook_logs_record_idx") }, "\(steps)")
                #expect(!steps.contains { $0.contains("_webhook_logs_due_idx") }, "\(steps)")
            }
        }
    }

    /// An app opens as fast however many deliveries wait in it.
    @Test func takingBackWhatAProcessHeldReadsThatAlone() async throws {
        try await WebhookTests.run(.sqlite) { server, app, _ in
            try await server.apps.withApp(app.name) { context in
                let takeBack = DeliveryStore(.sqlite).takeBack(now: server.clock.now())
                let plan = SQLStatement(
                    "EXPLAIN QUERY PLAN " + takeBack.text,
                    binds: takeBack.binds,
                    output: .values
                )
                let steps = try await context.database.read([plan])[0].rows.compactMap { $0.last?.textValue }
                #expect(steps.count == 1 && steps[0].contains("_webhook_logs_held_idx"), "\(steps)")
            }
        }
    }

    /// What hangs keeps nobody waiting: no other record of its webhook, and none that is written later.
    @Test(arguments: TestStore.allCases)
    func aCallThatHangsHoldsUpNoOtherRecord(store: TestStore) async throws {
        try await WebhookTests.run(store, callTimeout: .seconds(20)) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            receiver.react([.hang])
            try await Self.working(server) {
                _ = try await app.make("label", ["text": "hangs"])
                try await Self.until("the first is sent") { receiver.received.count == 1 }
                let start = ContinuousClock.now
                _ = try await app.make("label", ["text": "later"])
                try await Self.until("the second is told") { receiver.received.count == 2 }
                #expect(ContinuousClock.now - start < .seconds(10))
            }
        }
    }

    /// Nor another webhook of the same host.
    @Test(arguments: TestStore.allCases)
    func webhooksThatHangHoldUpNoOtherOfTheirHost(store: TestStore) async throws {
        try await WebhookTests.run(store, callTimeout: .seconds(20)) { server, app, receiver in
            for _ in 0..<20 { try await WebhookTests.hook(app, receiver) }
            try await WebhookTests.hook(app, receiver, "customer")
            receiver.react(Array(repeating: .hang, count: 20))
            try await Self.working(server) {
                _ = try await app.make("label", ["text": "hangs"])
                try await Self.until("all are sent") { receiver.received.count == 20 }
                let start = ContinuousClock.now
                _ = try await app.make("customer", ["name": "c"])
                try await Self.until("the other is told") { receiver.received.count == 21 }
                #expect(ContinuousClock.now - start < .seconds(10))
            }
        }
    }

    /// What is being sent when a server stops is given back, for another one to send at once.
    @Test(arguments: TestStore.allCases)
    func aServerThatStopsGivesBackWhatItSends(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            receiver.react([.hang])
            try await Self.working(server) {
                _ = try await app.make("label", ["text": "a"])
                try await Self.until("it is sent") { receiver.received.count == 1 }
            }
            #expect(try await WebhookTests.logs(app)[0]["status"] == "pending")
            try await app.deliver()
            #expect(receiver.received.count == 2)
            #expect(try await WebhookTests.logs(app)[0]["status"] == "delivered")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCallThatIsAboutToEndWhenTheServerStopsIsMadeOnce(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            receiver.react([.late(700, 200)])
            try await Self.working(server) {
                _ = try await app.make("label", ["text": "a"])
                try await Self.until("it is sent") { receiver.received.count == 1 }
            }
            #expect(try await WebhookTests.logs(app)[0]["status"] == "delivered")
            try await app.deliver()
            #expect(receiver.received.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func theListOfAppsKnowsWhichHaveWork(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            func withWork() async throws -> Bool {
                try await server.apps.namesWithWork(before: server.clock.now()).contains(app.name)
            }
            func settle() async throws {
                try await server.apps.withApp(app.name) { try await server.apps.settleWork(of: $0) }
            }
            try await settle()
            #expect(try await !withWork())
            _ = try await app.make("label", ["text": "not told"])
            #expect(try await !withWork())
            try await WebhookTests.hook(app, receiver)
            _ = try await app.make("label", ["text": "a"])
            #expect(try await withWork())
            // It stays on the list while others may still be at it, and until it has been looked at.
            server.clock.advance(seconds: 121)
            try await settle()
            #expect(try await withWork())
            receiver.react([.answer(429, headers: ["Retry-After": "600"])])
            try await app.deliver()
            try await settle()
            #expect(try await !withWork())
            server.clock.advance(seconds: 661)
            #expect(try await withWork())
            receiver.react([.answer(410)])
            try await app.deliver()
            try await settle()
            #expect(try await !withWork())
            // Also what is sent again by hand.
            let id = try await WebhookTests.logs(app)[0]["id"].string ?? ""
            #expect(try await app.post("_admin/webhook-logs/\(id)/retry", [:]).status == 200)
            #expect(try await withWork())
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAppThatIsClosedIsOpenedForItsWork(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            receiver.react([.answer(429, headers: ["Retry-After": "1200"])])
            _ = try await app.make("label", ["text": "a"])
            server.clock.advance(seconds: 301)
            // What is due keeps it open.
            await server.apps.closeIdleApps()
            #expect(server.apps.isOpen(app.name))
            try await app.deliver()
            server.clock.advance(seconds: 302)
            // The word of what was written may come late, and keeps it open until somebody has looked.
            try await Self.until("it is closed") {
                try await server.apps.withApp(app.name, isUse: false) { try await server.worker.workOff($0) }
                await server.apps.closeIdleApps()
                return !server.apps.isOpen(app.name)
            }
            server.clock.advance(seconds: 1100)
            try await Self.working(server) {
                try await Self.until("it is told") { receiver.received.count == 2 }
            }
            #expect(server.apps.isOpen(app.name))
        }
    }

    /// Another server's, on the same databases.
    private static func other(_ server: TestServer, _ change: (inout DeliverySettings) -> Void = { _ in }) -> Deliveries
    {
        var settings = DeliverySettings()
        settings.timeout = .milliseconds(1500)
        change(&settings)
        return Deliveries(sender: server.sender, dependencies: server.apps.dependencies, settings: settings)
    }

    @Test(arguments: TestStore.allCases)
    func whoHasLostItsLeaseNotesNothing(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            _ = try await app.make("label", ["text": "a"])
            try await server.apps.withApp(app.name) { context in
                let frozen = try await Self.other(server).claim(in: context).jobs
                let second = Self.other(server)
                #expect(try await second.claim(in: context).jobs.isEmpty)
                server.clock.advance(seconds: 31)
                for job in try await second.claim(in: context).jobs { await job() }
                receiver.react([.answer(500)])
                for job in frozen { await job() }
            }
            #expect(receiver.received.count == 2)
            #expect(receiver.received[0].body == receiver.received[1].body)
            let log = try await WebhookTests.logs(app)[0]
            #expect(log["status"] == "delivered" && log["attempt"] == 1 && log["response_status"] == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aLeaseIsRenewedWhileACallRuns(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            receiver.react([.hang])
            _ = try await app.make("label", ["text": "a"])
            try await server.apps.withApp(app.name) { context in
                let jobs = try await Self.other(server) { $0.renewal = .milliseconds(50) }.claim(in: context).jobs
                let call = Task { for job in jobs { await job() } }
                try await Self.until("it is sent") { receiver.received.count == 1 }
                server.clock.advance(seconds: 25)
                try await Task.sleep(for: .milliseconds(500))
                server.clock.advance(seconds: 25)
                #expect(try await Self.other(server).claim(in: context).jobs.isEmpty)
                await call.value
            }
            #expect(try await WebhookTests.logs(app)[0]["status"] == "retrying")
        }
    }
}
