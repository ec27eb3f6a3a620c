import Foundation
import HTTPTypes
import RocketModel
import RocketServer
import RocketTestSupport
import Testing

/// What an operator sees of a server that runs, and the traces that pass through it.
struct MetricsTests {
    /// The value of a series, by its whole name.
    private static func value(_ text: String, _ series: String) -> Double? {
        text.split(separator: "\n").first { $0.hasPrefix(series + " ") }.flatMap {
            Double($0.dropFirst(series.utf8.count + 1))
        }
    }

    private static func metrics(_ server: TestServer) async throws -> TestAnswer {
        try await server.get("/metrics", token: try await server.platformToken())
    }

    @Test(arguments: TestStore.allCases)
    func requestsAreCountedByRouteAndStatusAndTimed(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp("secretname")
            try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]])
            for n in 0..<3 { _ = try await app.post("thing", ["n": .integer(n)]) }
            _ = try await app.post("thing", ["n": "x"])
            _ = try await app.get("thing/00000000-0000-0000-0000-000000000000")
            _ = try await server.get("/made/up/path")
            let answer = try await Self.metrics(server)
            #expect(answer.status == 200)
            #expect(answer.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            let text = answer.text
            let created = "rocket_http_requests_total{method=\"POST\",route=\"/api/:app/:entity\",status="
            #expect(Self.value(text, created + "\"201\"}") == 3 && Self.value(text, created + "\"422\"}") == 1)
            #expect(text.contains("route=\"/api/:app/:entity/:id\",status=\"404\"} 1"))
            #expect(text.contains("route=\"(none)\",status=\"404\"} 1"))
            let duration = "rocket_http_request_duration_seconds"
            let labels = "{method=\"POST\",route=\"/api/:app/:entity\""
            #expect(Self.value(text, "\(duration)_count\(labels)}") == 4)
            #expect(Self.value(text, "\(duration)_bucket\(labels),le=\"+Inf\"}") == 4)
            #expect(Self.value(text, "\(duration)_sum\(labels)}") ?? 0 > 0)
            #expect(Self.value(text, "rocket_apps") == 1 && Self.value(text, "rocket_apps_open") == 1)
            #expect(Self.value(text, "rocket_database_connections") ?? 0 > 0)
            #expect(Self.value(text, "process_resident_memory_bytes") ?? 0 > 1e6)
            #expect(Self.value(text, "process_open_fds") ?? 0 > 3)
            // It names no app, and nothing that clients made up.
            #expect(!text.contains("secretname") && !text.contains("made/up"))
            #expect(try await server.get("/metrics?x=1", token: try await server.platformToken()).status == 400)
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyLineIsInTheFormat(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeHelpdesk()
            let text = try await Self.metrics(server).text
            let sample = #/[a-z_:]+(?:\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? -?[0-9.e+-]+/#
            let type = #/# TYPE [a-z_:]+ (?:counter|gauge|histogram)/#
            var types: Set<Substring> = []
            var helped: Set<Substring> = []
            #expect(text.hasSuffix("\n"))
            for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
                if line.hasPrefix("# HELP ") {
                    helped.insert(line.split(separator: " ")[2])
                } else if line.hasPrefix("#") {
                    #expect(line.wholeMatch(of: type) != nil && types.insert(line).inserted, "\(line)")
                } else {
                    #expect(line.wholeMatch(of: sample) != nil, "\(line)")
                }
            }
            #expect(types.count > 10)
            #expect(helped == Set(types.map { $0.split(separator: " ")[2] }), "what is told is explained")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatWaitsIsShown(store: TestStore) async throws {
        try await WorkflowTests.run(store) { server, app, receiver in
            receiver.react([.answer(500)])
            try await WebhookTests.hook(app, receiver)
            try await WorkflowTests.workflow(app, [["id": "w", "type": "wait", "duration": "1h"]])
            let rule: JSONValue = [
                "entity": "customer", "type": "expression",
                "definition": ["expression": "record.name.repeat(99999999999) == ''", "message": "m"],
            ]
            #expect(try await app.post("_admin/rules", rule).status == 201)
            _ = try await app.make("label", ["text": "a"])
            try await app.deliver()
            #expect(try await app.post("customer", ["name": "Zoe"]).status == 422)
            server.clock.advance(seconds: 100)
            let text = try await Self.metrics(server).text
            #expect(Self.value(text, "rocket_webhook_deliveries_pending") == 1, "\(text)")
            #expect((100..<101).contains(Self.value(text, "rocket_webhook_oldest_pending_seconds") ?? 0))
            #expect(Self.value(text, "rocket_workflow_instances_running") == 1)
            #expect(Self.value(text, "rocket_workflow_timers") == 1)
            #expect(Self.value(text, "rocket_workflow_timer_late_seconds") == nil)
            #expect(Self.value(text, "rocket_webhook_deliveries_total{outcome=\"retrying\"}") == 1)
            #expect(Self.value(text, "rocket_expression_errors_total") ?? 0 > 0)
        }
    }

    @Test(arguments: [nil, "let-me-see"])
    func onlyThePlatformAndWhoHasTheTokenReadThem(token: String?) async throws {
        var settings = ServerSettings()
        settings.metricsToken = token
        try await TestServer.run(.sqlite, server: settings) { server in
            let app = try await server.makeApp()
            #expect(try await server.get("/metrics").status == 401)
            #expect(try await server.get("/metrics", token: "let-me-sea").status == 401)
            #expect(try await server.get("/metrics", token: app.token).status == 401)
            #expect(try await server.get("/metrics", token: "let-me-see").status == (token == nil ? 401 : 200))
            #expect(try await Self.metrics(server).status == 200)
        }
    }

    // MARK: traces

    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    @Test(arguments: TestStore.allCases)
    func aTraceIsHandedOnByWhatAWriteSetsOff(store: TestStore) async throws {
        try await WorkflowTests.run(store) { server, app, receiver in
            try await WebhookTests.hook(app, receiver)
            try await WebhookTests.hook(app, receiver, "label", ["hook": "before_write"])
            let call: JSONValue = ["type": "webhook", "url": .string(receiver.url + "/step"), "method": "POST"]
            try await WorkflowTests.workflow(app, [["id": "s", "type": "action", "actions": [call]]])
            let headers: HTTPFields = [
                .init("traceparent")!: "00-\(Self.trace)-00f067aa0ba902b7-01", .init("tracestate")!: "a=b,c=d",
            ]
            #expect(try await app.post("label", ["text": "x"], headers: headers).status == 201)
            try await app.deliver()
            let told = receiver.received
            #expect(told.count == 3 && Set(told.map(\.path)) == ["/told", "/step"])
            for call in told {
                let parts = (call.headers["traceparent"] ?? "").split(separator: "-").map(String.init)
                #expect(parts.count == 4 && parts[0] == "00" && parts[1] == Self.trace && parts[3] == "01", "\(call)")
                // Below this server's part of the trace, which is a new one.
                #expect(parts[2] != "00f067aa0ba902b7" && parts[2].count == 16)
                #expect(call.headers["tracestate"] == "a=b,c=d")
            }
            #expect(Set(told.map { $0.headers["traceparent"] }).count == 1)
            _ = try await app.make("label", ["text": "without"])
            try await app.deliver()
            #expect(receiver.received.dropFirst(3).allSatisfy { $0.headers["traceparent"] == nil })
        }
    }

    @Test(arguments: [
        "", "x", "00-\(trace)-00f067aa0ba902b7", "00-\(trace)-00f067aa0ba902b7-01-x",
        "ff-\(trace)-00f067aa0ba902b7-01", "00-\(trace.uppercased())-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-\(trace)-0000000000000000-01",
        "00-\(trace)-00f067aa0ba902b-01", "0-\(trace)-00f067aa0ba902b7-01", "00-\(trace)-00f067aa0ba902b7-0g",
    ])
    func whatIsNoTraceStartsNone(text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test func aTraceOfALaterVersionIsRead() throws {
        let later = try #require(TraceContext(traceparent: "01-\(Self.trace)-00f067aa0ba902b7-03-more"))
        #expect(later.traceparent == "00-\(Self.trace)-00f067aa0ba902b7-03")
        #expect(later.child(0xABC).traceparent == "00-\(Self.trace)-0000000000000abc-03")
        #expect(later.child(0).spanID == "0000000000000001" && later.child(.max).spanID == "ffffffffffffffff")
        let tall = TraceContext(traceparent: later.traceparent, tracestate: String(repeating: "a", count: 513))
        #expect(tall?.state == nil)
        let kept = TraceContext(traceparent: later.traceparent, tracestate: "a=b")
        #expect(kept.flatMap { TraceContext(stored: $0.stored) } == kept)
    }
}
