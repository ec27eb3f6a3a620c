import Foundation
import RocketAutomation
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// A clock that was ahead, by a year, and was set right: nothing waits for that year to pass.
struct ClockTests {
    private static let year: Int64 = 365 * 86_400

    /// Does something a year ahead, then sets the clock right and gives the worker what it does by itself within minutes.
    private static func ahead(_ app: TestApp, _ body: (TestApp) async throws -> Void) async throws -> TestApp {
        try await body(try await app.after(seconds: year))
        let right = try await app.after(seconds: -year)
        await right.server.worker.tidy()
        return right
    }

    @Test(arguments: TestStore.allCases)
    func aDeliveryThatFailedUnderAClockAheadIsTriedAgainSoon(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, start, receiver in
            try await WebhookTests.hook(start, receiver)
            receiver.react([.answer(500)])
            var app = try await Self.ahead(start) { app in
                _ = try await app.make("label", ["text": "a"])
                try await app.deliver()
                let log = try await WebhookTests.logs(app)[0]
                #expect(log["status"] == "retrying" && log["next_retry_at"].string?.hasPrefix("2027") == true, "\(log)")
            }
            let log = try await WebhookTests.logs(app)[0]
            #expect(log["next_retry_at"].string?.hasPrefix("2026-03-01") == true, "\(log)")
            app = try await app.after(seconds: 120)
            try await app.deliver()
            #expect(receiver.received.count == 2)
            #expect(Set(receiver.received.map { $0.headers["webhook-id"] }).count == 1)
        }
    }

    /// What a server claimed that is gone.
    @Test(arguments: TestStore.allCases)
    func aLeaseThatEndsInAYearHoldsNothingUp(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, start, receiver in
            try await WebhookTests.hook(start, receiver)
            let app = try await Self.ahead(start) { app in
                _ = try await app.make("label", ["text": "a"])
                try await server.apps.withApp(app.name) { context in
                    let deliveries = DeliveryStore(context.database.dialect)
                    let now = server.clock.now()
                    let lane = deliveries.read(try await context.database.read([deliveries.lanes(after: now)])[0])[0]
                        .name
                    let claim = deliveries.claim(
                        lane: lane,
                        limit: 1,
                        among: 10,
                        now: now,
                        lease: now.adding(seconds: 30)
                    )
                    #expect(deliveries.claimed(try await context.database.write([claim])[0]).count == 1)
                }
            }
            try await app.deliver()
            #expect(receiver.received.count == 1)
        }
    }

    /// A pause counts from now; an instant that a record names stays what it is.
    @Test(arguments: TestStore.allCases)
    func aWorkflowThatRestedUnderAClockAheadGoesOn(store: TestStore) async throws {
        try await WorkflowTests.run(store) { _, start, _ in
            try await WorkflowTests.workflow(
                start,
                [
                    ["id": "rest", "type": "wait", "duration": "2h", "then": "mark"],
                    ["id": "mark", "type": "action", "actions": [WorkflowTests.set("rank", 1)]],
                ]
            )
            try await WorkflowTests.workflow(
                start,
                [["id": "until", "type": "wait", "until": "context.text"]],
                name: "named"
            )
            var id = ""
            var app = try await Self.ahead(start) { app in
                id = try await app.make("label", ["text": "2027-06-01T00:00:00Z"])
                try await app.deliver()
            }
            let deadlines = try await WorkflowTests.instances(app).map {
                $0["current_step_deadline"].string?.prefix(10)
            }
            #expect(Set(deadlines) == ["2026-03-01", "2027-06-01"])
            app = try await app.after(seconds: 7300)
            try await app.deliver()
            #expect(try await app.get("label/\(id)")["data"]["rank"] == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aScheduleThatRanUnderAClockAheadGoesOn(store: TestStore) async throws {
        try await WorkflowTests.run(store) { _, start, _ in
            try await WorkflowTests.workflow(
                start,
                [["id": "rest", "type": "wait", "duration": "1d"]],
                trigger: ["type": "schedule", "every": "1h"],
                context: ["at": "scheduled_at"]
            )
            try await start.deliver()
            var app = try await Self.ahead(start) { try await $0.deliver() }
            let before = try await WorkflowTests.instances(app).count
            try await app.deliver()
            // Setting the clock right is no time at which it starts.
            #expect(try await WorkflowTests.instances(app).count == before)
            app = try await app.after(seconds: 3700)
            try await app.deliver()
            #expect(try await WorkflowTests.instances(app).count == before + 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAppWhoseWorkWasNotedByAClockAheadIsLookedAt(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, start, receiver in
            try await WebhookTests.hook(start, receiver)
            let app = try await Self.ahead(start) { _ = try await $0.make("label", ["text": "a"]) }
            let soon = server.clock.now().adding(seconds: 60)
            #expect(try await server.apps.namesWithWork(before: soon) == [app.name])
            try await app.deliver()
            #expect(receiver.received.count == 1)
            // And not for ever.
            server.clock.advance(seconds: 600)
            try await server.apps.withApp(app.name) { context in
                context.work.looked(next: nil)
                try await server.apps.settleWork(of: context)
            }
            #expect(try await server.apps.namesWithWork(before: server.clock.now().adding(seconds: 60)).isEmpty)
        }
    }
}
