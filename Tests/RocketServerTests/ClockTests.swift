import Foundation
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

@testable import RocketAutomation

/// A clock that was ahead, by a year, and was set right: nothing waits for that year to pass.
struct ClockTests {
    private static let year: Int64 = 365 * 86_400
    private static let hour = Duration.seconds(3600)

    /// Does something a year ahead, then sets the clock right and lets the worker do what it does by itself when a clock
    /// has been steady for some minutes.
    private static func ahead(_ app: TestApp, _ body: (TestApp) async throws -> Void) async throws -> TestApp {
        try await body(try await app.after(seconds: year))
        let right = try await app.after(seconds: -year)
        await right.server.worker.rewind(steadyFor: Self.hour)
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

    /// Later ones of the same record wait for the first, and come after it.
    @Test(arguments: TestStore.allCases)
    func allDeliveriesOfARecordAreBroughtNearer(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, start, receiver in
            try await WebhookTests.hook(start, receiver, "label")
            receiver.react([.answer(500)])
            // All written by a clock that is right.
            let id = try await start.make("label", ["text": "a"])
            #expect(try await start.put("label/\(id)", ["text": "b"]).status == 200)
            var app = try await Self.ahead(start) { app in try await app.deliver() }
            #expect(receiver.received.count == 1)
            for _ in 0..<3 {
                app = try await app.after(seconds: 120)
                try await app.deliver()
            }
            #expect(receiver.received.map { $0.json["record"]["text"].string } == ["a", "a", "b"])
        }
    }

    /// A branch that goes on under such a clock does not move what another one set before.
    @Test(arguments: TestStore.allCases)
    func whatARightClockSetStaysAsItIs(store: TestStore) async throws {
        try await WorkflowTests.run(store) { _, start, _ in
            try await WorkflowTests.workflow(
                start,
                [
                    ["id": "both", "type": "parallel", "branches": [["long"], ["short", "more"]]],
                    ["id": "long", "type": "wait", "duration": "800d"],
                    ["id": "short", "type": "wait", "duration": "2d"],
                    ["id": "more", "type": "wait", "duration": "3d"],
                ]
            )
            _ = try await start.make("label", ["text": "a"])
            try await start.deliver()
            // The second branch goes on to its next rest a year ahead, the first one rests on.
            var app = try await Self.ahead(start) { app in try await app.deliver() }
            let before = try await WorkflowTests.instances(app)[0]
            #expect(before["current_step_deadline"].string?.hasPrefix("2028-05-09") == true, "\(before)")
            app = try await app.after(seconds: 4 * 86_400)
            try await app.deliver()
            app = try await app.after(seconds: 790 * 86_400)
            try await app.deliver()
            #expect(try await WorkflowTests.instances(app)[0]["status"] == "running")
            app = try await app.after(seconds: 7 * 86_400)
            try await app.deliver()
            #expect(try await WorkflowTests.instances(app)[0]["status"] == "completed")
        }
    }

    /// To a clock that has not proved itself nothing is old.
    @Test func nothingIsTidiedAwayByAClockThatWasJustSet() async throws {
        try await WebhookTests.run(.sqlite) { server, start, receiver in
            try await WebhookTests.hook(start, receiver)
            _ = try await start.make("label", ["text": "a"])
            try await start.deliver()
            let app = try await start.after(seconds: Self.year)
            await server.worker.tidy(steadyFor: .seconds(600))
            #expect(try await WebhookTests.logs(app).count == 1)
            await server.worker.tidy(steadyFor: .seconds(900))
            #expect(try await WebhookTests.logs(app).isEmpty)
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

    /// To a clock of 1970 all that is stored is ahead; it must not end what rests.
    @Test(arguments: TestStore.allCases)
    func aClockThatIsBehindEndsNoPause(store: TestStore) async throws {
        try await WorkflowTests.run(store) { server, start, _ in
            try await WorkflowTests.workflow(start, [["id": "rest", "type": "wait", "duration": "2d"]])
            _ = try await start.make("label", ["text": "a"])
            try await start.deliver()
            let seconds = server.clock.now().microseconds / 1_000_000
            server.clock.advance(seconds: -seconds)
            await server.worker.rewind(steadyFor: Self.hour)
            let app = try await start.after(seconds: seconds + 86_400)
            try await app.deliver()
            let instance = try await WorkflowTests.instances(app)[0]
            #expect(instance["status"] == "running", "\(instance)")
            #expect(instance["current_step_deadline"].string?.hasPrefix("2026-03-03") == true, "\(instance)")
        }
    }

    @Test func aClockMayRewindOnceItHasBeenSteadyAndThenNowAndThen() {
        var watch = WallClockWatch()
        let start = ContinuousClock.now
        func may(_ seconds: Int64, wall: Int64) -> Bool {
            watch.mayRewind(Timestamp(microseconds: wall * 1_000_000), at: start + .seconds(seconds))
        }
        #expect(!may(0, wall: 1000) && !may(299, wall: 1299) && may(301, wall: 1301))
        #expect(!may(600, wall: 1600) && may(902, wall: 1902))
        // Set back by an hour, and it must be steady anew.
        #expect(!may(930, wall: 1930 - 3600) && !may(1220, wall: 2220 - 3600) && may(1231, wall: 2231 - 3600))
        // To and fro.
        #expect(!may(1261, wall: 2261) && !may(1560, wall: 2560 - 3600) && !may(1600, wall: 2600))
    }

    @Test(arguments: TestStore.allCases)
    func anAppWhoseWorkWasNotedByAClockAheadIsLookedAt(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, start, receiver in
            try await WebhookTests.hook(start, receiver)
            func names() async throws -> [String] {
                try await server.apps.namesWithWork(before: server.clock.now().adding(seconds: 60))
            }
            func settle() async throws {
                try await server.apps.withApp(start.name) { context in
                    context.work.looked(next: nil)
                    try await server.apps.settleWork(of: context)
                }
            }
            _ = try await start.after(seconds: Self.year).make("label", ["text": "a"])
            let app = try await start.after(seconds: -Self.year)
            #expect(try await names() == [app.name])
            // A look that finds nothing due takes it off the list only when what was put off is near again.
            server.clock.advance(seconds: 300)
            try await settle()
            #expect(try await names() == [app.name])
            await server.worker.rewind(steadyFor: Self.hour)
            try await app.deliver()
            #expect(receiver.received.count == 1)
            // And not for ever.
            server.clock.advance(seconds: 300)
            try await settle()
            #expect(try await names().isEmpty)
        }
    }
}
