import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// The help desk of the examples with its webhooks and its escalation, against a receiver.
struct HelpdeskProcessTests {
    private static func run(
        _ store: TestStore,
        _ test: (TestServer, TestApp, TestReceiver) async throws -> Void
    ) async throws {
        try await TestReceiver.run { receiver in
            try await TestServer.run(store) { server in
                let app = try await server.makeApp("helpdesk")
                let file = String(decoding: try TestFiles.helpdesk(), as: UTF8.self)
                    .replacing("https://hooks.example.com", with: receiver.url)
                let answer = try await app.send(.post, "_admin/import", body: Array(file.utf8))
                guard answer.status == 200 else { throw TestFailure("import: \(answer)") }
                try await test(server, app, receiver)
            }
        }
    }

    private static func ticket(_ app: TestApp, _ more: JSONObject = JSONObject()) async throws -> String {
        var ticket: JSONObject = [
            "title": "Everything is down", "description": "Since this morning", "category": "bug",
            "customer_id": "10000000-0000-0000-0000-000000000001",
        ]
        for member in more.members { ticket[member.name] = member.value }
        return try await app.make("ticket", .object(ticket))
    }

    @Test(arguments: TestStore.allCases)
    func itsWebhooksArrive(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            let id = try await Self.ticket(app)
            for status: JSONValue in ["assigned", "in_progress", "resolved"] {
                #expect(try await app.put("ticket/\(id)", ["status": status]).status == 200)
            }
            try await app.deliver()
            #expect(receiver.received.map(\.path).sorted() == ["/ticket-created", "/ticket-resolved"])
            #expect(receiver.received.allSatisfy { $0.headers["x-source"] == "rocket-helpdesk" })
            let resolved = receiver.received.first { $0.path == "/ticket-resolved" }
            #expect(resolved?.json["record"]["status"] == "resolved")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCriticalTicketIsAssignedWhenTheLeadApproves(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let lead = try await PermissionTests.user(app, "lead", roles: ["team_lead"])
            let id = try await Self.ticket(app, ["priority": "high"])
            #expect(try await app.get("_workflows")["meta"]["total"] == 0)
            #expect(try await app.put("ticket/\(id)", ["priority": "critical"]).status == 200)
            try await app.deliver()
            let pending = try await lead.app.get("_workflows/pending?assignee=me")["data"][0]
            #expect(pending["context"]["title"] == "Everything is down" && pending["current_step"] == "notify_lead")
            let instance = pending["id"].string ?? ""
            #expect(try await lead.app.post("_workflows/\(instance)/approve", ["comment": "go"]).status == 200)
            try await app.deliver()
            #expect(try await app.get("ticket/\(id)")["data"]["status"] == "assigned")
            let done = try await lead.app.get("_workflows/\(instance)")["data"]
            let steps = done["history"].array.map { "\($0["step"].string ?? "") \($0["status"].string ?? "")" }
            #expect(done["status"] == "completed" && steps == ["notify_lead approved", "assign_senior completed"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func andWhenNobodyDecidesInTime(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let id = try await Self.ticket(app, ["priority": "critical"])
            try await app.deliver()
            let later = try await app.after(seconds: 4 * 3600 + 1)
            try await later.deliver()
            #expect(try await later.get("ticket/\(id)")["data"]["status"] == "assigned")
            let history = try await later.get("_workflows")["data"][0]["history"]
            #expect(history[0]["status"] == "timed_out", "\(history)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func andStaysWhereTheLeadRejects(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let lead = try await PermissionTests.user(app, "lead", roles: ["team_lead"])
            let id = try await Self.ticket(app, ["priority": "critical"])
            try await app.deliver()
            let instance = try await lead.app.get("_workflows/pending")["data"][0]["id"].string ?? ""
            #expect(try await lead.app.post("_workflows/\(instance)/reject", ["comment": "no"]).status == 200)
            try await app.deliver()
            #expect(try await app.get("ticket/\(id)")["data"]["status"] == "open")
            #expect(try await lead.app.get("_workflows/\(instance)")["data"]["status"] == "completed")
        }
    }
}
