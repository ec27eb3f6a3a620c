import HTTPTypes
import RocketAutomation
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Workflows over HTTP: what starts them, what their steps do, and what people say to them.
struct WorkflowTests {
    static func run(
        _ store: TestStore,
        _ test: (TestServer, TestApp, TestReceiver) async throws -> Void
    ) async throws {
        try await WebhookTests.run(store, test)
    }

    /// A workflow that a new label starts, or what `trigger` says.
    @discardableResult
    static func workflow(
        _ app: TestApp,
        _ steps: [JSONValue],
        name: String = "flow",
        trigger: JSONValue = ["type": "record", "entity": "label", "action": "create"],
        context: JSONValue = ["id": "record.id", "text": "trigger.record.text", "rank": "record.rank"]
    ) async throws -> String {
        let answer = try await app.post(
            "_admin/workflows",
            ["name": .string(name), "trigger": trigger, "context": context, "steps": .array(steps)]
        )
        guard answer.status == 201, let id = answer["data"]["id"].string else { throw TestFailure("\(answer)") }
        return id
    }

    static func instances(_ app: TestApp, _ query: String = "") async throws -> [TestJSON] {
        try await app.get("_workflows\(query)")["data"].array
    }

    static func set(_ field: String, _ value: JSONValue) -> JSONValue {
        ["type": "set_field", "entity": "label", "record_id": "context.id", "field": .string(field), "value": value]
    }

    private static func statuses(_ instance: TestJSON) -> [String] {
        instance["history"].array.map { "\($0["step"].string ?? "-") \($0["status"].string ?? "")" }
    }

    // MARK: steps

    @Test(arguments: TestStore.allCases)
    func aWriteStartsStepsThatWrite(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(
                app,
                [
                    [
                        "id": "big", "type": "condition", "expression": "context.rank > 5", "on_true": "mark",
                        "on_false": ["goto": "end"],
                    ],
                    [
                        "id": "mark", "type": "action",
                        "actions": [
                            [
                                "type": "create_record", "entity": "customer", "result": "made",
                                "values": ["name": ["expression": "context.text + '!'"], "limit": "context.rank"],
                            ],
                            [
                                "type": "set_field", "entity": "label", "record_id": "context.id", "field": "text",
                                "expression": "context.made.name + context.made.limit",
                            ],
                            [
                                "type": "update_record", "entity": "customer", "record_id": "context.made.id",
                                "values": ["vip": true],
                            ],
                        ],
                    ],
                ]
            )
            let big = try await app.make("label", ["text": "big", "rank": 7])
            let small = try await app.make("label", ["text": "small", "rank": 1])
            #expect(try await Self.instances(app).map { $0["status"] } == ["running", "running"])
            try await app.deliver()
            #expect(try await app.get("label/\(big)")["data"]["text"] == "big!7")
            #expect(try await app.get("label/\(small)")["data"]["text"] == "small")
            let customer = try await app.get("customer")["data"][0]
            #expect(customer["name"] == "big!" && customer["vip"] == true && customer["limit"] == 7, "\(customer)")
            let done = try await Self.instances(app)
            #expect(done.map { $0["status"] } == ["completed", "completed"], "\(done)")
            #expect(Self.statuses(done[1]) == ["big on_true", "mark completed"], "\(done[1])")
            #expect(Self.statuses(done[0]) == ["big on_false"])
            #expect(done[1]["workflow_name"] == "flow" && done[1]["context"]["made"]["id"] == customer["id"])
            #expect(done[1]["record_id"].string == big && done[1]["entity"] == "label")
        }
    }

    @Test(arguments: TestStore.allCases)
    func nothingStartsForAWriteThatDoesNotHappen(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(app, [["id": "rest", "type": "wait", "duration": "1d"]])
            _ = try await app.make("label", ["text": "a"])
            let operations: JSONValue = [
                ["method": "POST", "path": "label", "body": ["text": "b"]],
                ["method": "POST", "path": "label", "body": ["text": "a"]],
            ]
            #expect(try await app.post("_batch", ["operations": operations]).status == 409)
            #expect(try await Self.instances(app).map { $0["context"]["text"] } == ["a"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFieldThatBecomesAValueStarts(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let trigger: JSONValue = [
                "type": "state_change", "entity": "label", "field": "rank", "to": 9,
                "condition": "record.text !== 'no'",
            ]
            try await Self.workflow(app, [["id": "rest", "type": "wait", "duration": "1d"]], trigger: trigger)
            let id = try await app.make("label", ["text": "a", "rank": 1])
            #expect(try await app.put("label/\(id)", ["rank": 9]).status == 200)
            // It is so already.
            #expect(try await app.put("label/\(id)", ["rank": 9, "text": "b"]).status == 200)
            #expect(try await app.put("label/\(id)", ["rank": 8]).status == 200)
            _ = try await app.make("label", ["text": "new", "rank": 9])
            _ = try await app.make("label", ["text": "no", "rank": 9])
            #expect(try await Self.instances(app).map { $0["context"]["text"] } == ["new", "a"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func deletesStartAndRememberWhatIsGone(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let trigger: JSONValue = ["type": "record", "entity": "label", "action": "delete"]
            let keep: JSONValue = ["type": "create_record", "entity": "customer", "values": ["name": "context.text"]]
            try await Self.workflow(app, [["id": "keep", "type": "action", "actions": [keep]]], trigger: trigger)
            let id = try await app.make("label", ["text": "gone"])
            #expect(try await app.delete("label/\(id)").status == 200)
            try await app.deliver()
            #expect(try await app.get("customer")["data"][0]["name"] == "gone")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aStepThatIsRefusedFailsAndCanBeTriedAgain(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let first: JSONValue = ["type": "create_record", "entity": "customer", "values": ["name": "made"]]
            try await Self.workflow(
                app,
                [["id": "both", "type": "action", "actions": [first, Self.set("text", "taken")]]]
            )
            let taken = try await app.make("label", ["text": "x"])
            _ = try await app.send(.delete, "_workflows/none")
            try await app.deliver()
            #expect(try await app.get("label/\(taken)")["data"]["text"] == "taken")
            _ = try await app.make("label", ["text": "y"])
            try await app.deliver()
            var failed = try await Self.instances(app)[0]
            #expect(failed["status"] == "failed" && failed["history"][0]["step"] == "both", "\(failed)")
            #expect(failed["history"][0]["error"].string?.contains("exists already") == true, "\(failed)")
            // Nothing of the step was done.
            #expect(try await app.get("customer")["meta"]["total"] == 1)
            #expect(try await app.put("label/\(taken)", ["text": "free"]).status == 200)
            let id = failed["id"].string ?? ""
            #expect(try await app.post("_workflows/\(id)/retry", [:])["data"]["status"] == "running")
            try await app.deliver()
            failed = try await app.get("_workflows/\(id)")["data"]
            #expect(failed["status"] == "completed", "\(failed)")
            #expect(Self.statuses(failed) == ["both failed", "both retried", "both completed"])
            #expect(try await app.get("customer")["meta"]["total"] == 2)
            #expect(try await app.post("_workflows/\(id)/retry", [:])["error"]["code"] == "INVALID_STATE")
        }
    }

    @Test(arguments: TestStore.allCases)
    func waitsEndOnTime(store: TestStore) async throws {
        try await Self.run(store) { server, start, _ in
            var app = start
            try await Self.workflow(
                app,
                [
                    ["id": "rest", "type": "wait", "duration": "2h", "then": "mark"],
                    ["id": "mark", "type": "action", "actions": [Self.set("rank", 1)], "then": "until"],
                    ["id": "until", "type": "wait", "until": "context.text", "then": "end"],
                ]
            )
            let id = try await app.make("label", ["text": "2026-03-02T12:00:00Z"])
            try await app.deliver()
            let resting = try await Self.instances(app)[0]
            #expect(resting["current_step"] == "rest", "\(resting)")
            #expect(resting["current_step_deadline"].string?.hasPrefix("2026-03-01T14:00:00") == true, "\(resting)")
            app = try await app.after(seconds: 7190)
            try await app.deliver()
            #expect(try await app.get("label/\(id)")["data"]["rank"].value == .null)
            server.clock.advance(seconds: 15)
            try await app.deliver()
            #expect(try await app.get("label/\(id)")["data"]["rank"] == 1)
            #expect(try await Self.instances(app)[0]["current_step"] == "until")
            app = try await app.after(seconds: 86_400)
            try await app.deliver()
            #expect(try await Self.instances(app)[0]["status"] == "completed")
        }
    }

    // MARK: calls

    @Test(arguments: TestStore.allCases)
    func aCallIsMadeUntilItIsAnswered(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            let call: JSONValue = ["type": "webhook", "url": .string(receiver.url + "/step"), "result": "answer"]
            let make: JSONValue = ["type": "create_record", "entity": "customer", "values": ["name": "once"]]
            let end: JSONValue = [
                "type": "set_field", "entity": "label", "record_id": "context.id", "field": "rank",
                "expression": "context.answer.body.rank",
            ]
            try await Self.workflow(app, [["id": "tell", "type": "action", "actions": [make, call, end]]])
            let id = try await app.make("label", ["text": "a"])
            receiver.react([.answer(500), .reset, .answer(200, body: "{\"rank\": 42}")])
            try await app.deliver()
            #expect(receiver.received.count == 1)
            server.clock.advance(seconds: 3)
            try await app.deliver()
            #expect(receiver.received.count == 2)
            server.clock.advance(seconds: 3)
            try await app.deliver()
            #expect(receiver.received.count == 2)
            server.clock.advance(seconds: 2)
            try await app.deliver()
            #expect(receiver.received.count == 3)
            #expect(try await app.get("label/\(id)")["data"]["rank"] == 42)
            #expect(try await app.get("customer")["meta"]["total"] == 1)
            #expect(Set(receiver.received.map { $0.headers["idempotency-key"] ?? "" }).count == 1)
            let body = receiver.received[0].json
            #expect(body["workflow"] == "flow" && body["step"] == "tell" && body["context"]["text"] == "a")
            #expect(body["idempotency_key"].string == receiver.received[0].headers["idempotency-key"])
            #expect(try await Self.instances(app)[0]["status"] == "completed")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCallThatIsNeverAnsweredFailsTheStep(store: TestStore) async throws {
        try await Self.run(store) { server, start, receiver in
            var app = start
            let call: JSONValue = [
                "type": "webhook", "url": .string(receiver.url), "retry": ["max_attempts": 2, "backoff": "linear"],
            ]
            try await Self.workflow(app, [["id": "tell", "type": "action", "actions": [call]]])
            _ = try await app.make("label", ["text": "a"])
            receiver.react([.answer(503), .answer(404)])
            try await app.deliver()
            server.clock.advance(seconds: 3)
            try await app.deliver()
            let failed = try await Self.instances(app)[0]
            #expect(failed["status"] == "failed", "\(failed)")
            #expect(failed["history"][0]["error"].string?.contains("it answered 404") == true, "\(failed)")
            app = try await app.after(seconds: 3600)
            try await app.deliver()
            #expect(receiver.received.count == 2)
        }
    }

    /// A server that is frozen in a call is not heard any more when another one has taken it over.
    @Test(arguments: TestStore.allCases)
    func whoHasLostACallIsNotHeard(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            let call: JSONValue = ["type": "webhook", "url": .string(receiver.url), "result": "answer"]
            try await Self.workflow(app, [["id": "tell", "type": "action", "actions": [call]]])
            _ = try await app.make("label", ["text": "a"])
            receiver.react([.late(1000, 500), .answer(200)])
            try await server.apps.withApp(app.name) { context in
                func runner() -> WorkflowRunner {
                    WorkflowRunner(
                        caller: server.sender,
                        calls: SynchronousCalls(caller: server.sender),
                        dependencies: server.apps.dependencies
                    )
                }
                let frozen = try await runner().claim(in: context).jobs
                let slow = Task { for job in frozen { await job() } }
                while receiver.received.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
                #expect(try await runner().claim(in: context).jobs.isEmpty)
                server.clock.advance(seconds: 46)
                for job in try await runner().claim(in: context).jobs { await job() }
                await slow.value
            }
            let done = try await Self.instances(app)[0]
            #expect(done["status"] == "completed" && done["context"]["answer"]["status"] == 200, "\(done)")
            #expect(receiver.received.count == 2)
            #expect(Set(receiver.received.map { $0.headers["idempotency-key"] ?? "" }).count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAnsweredCallIsNotMadeAgainAndOneThatFailedKeepsItsKey(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            let call: JSONValue = [
                "type": "webhook", "url": .string(receiver.url), "retry": ["max_attempts": 1], "result": "answer",
            ]
            let steps: [JSONValue] = [["id": "tell", "type": "action", "actions": [call, Self.set("text", "taken")]]]
            try await Self.workflow(app, steps)
            let taken = try await app.make("label", ["text": "x"])
            try await app.deliver()
            #expect(try await app.get("label/\(taken)")["data"]["text"] == "taken")
            _ = try await app.make("label", ["text": "y"])
            receiver.react([.answer(500)])
            try await app.deliver()
            let id = try await Self.instances(app)[0]["id"].string ?? ""
            #expect(try await app.get("_workflows/\(id)")["data"]["status"] == "failed")
            // The call is answered now, and what follows is refused.
            #expect(try await app.post("_workflows/\(id)/retry", [:]).status == 200)
            try await app.deliver()
            let failed = try await app.get("_workflows/\(id)")["data"]
            #expect(failed["status"] == "failed" && failed["context"]["answer"]["status"] == 200, "\(failed)")
            #expect(try await app.put("label/\(taken)", ["text": "free"]).status == 200)
            #expect(try await app.post("_workflows/\(id)/retry", [:]).status == 200)
            try await app.deliver()
            #expect(try await app.get("_workflows/\(id)")["data"]["status"] == "completed")
            let keys = receiver.received.map { $0.headers["idempotency-key"] ?? "" }
            #expect(keys.count == 3 && keys[1] == keys[2] && keys[0] != keys[1], "\(keys)")
        }
    }

    // MARK: people

    private static func approval(_ more: JSONObject = JSONObject()) -> JSONValue {
        var object: JSONObject = [
            "id": "ask", "type": "approval", "assignee": ["type": "role", "role": "lead"], "timeout": "4h",
            "on_approve": "yes", "on_reject": "no", "on_timeout": "late",
        ]
        for member in more.members { object[member.name] = member.value }
        return .object(object)
    }

    private static func answers() -> [JSONValue] {
        ["yes", "no", "late"].map { name in
            ["id": .string(name), "type": "action", "actions": [set("text", .string(name))]]
        }
    }

    @Test(arguments: TestStore.allCases)
    func whoIsAskedDecides(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(app, [Self.approval()] + Self.answers())
            let lead = try await PermissionTests.user(app, "lead", roles: ["Lead"])
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"])
            let label = try await app.make("label", ["text": "a"])
            try await app.deliver()
            let id = try await Self.instances(app)[0]["id"].string ?? ""
            #expect(
                try await lead.app.get("_workflows/pending?assignee=me")["data"].array.map { $0["id"].string } == [id]
            )
            #expect(try await lead.app.get("_workflows/pending")["meta"]["total"] == 1)
            #expect(try await clerk.app.get("_workflows/pending")["meta"]["total"] == 0)
            #expect(try await app.get("_workflows/pending")["meta"]["total"] == 1)
            #expect(try await app.get("_workflows/pending?assignee=me")["meta"]["total"] == 0)
            #expect(try await clerk.app.get("_workflows/\(id)").status == 404)
            let refused = try await clerk.app.post("_workflows/\(id)/approve", [:])
            #expect(refused.status == 403, "\(refused)")
            let answer = try await lead.app.post("_workflows/\(id)/approve", ["comment": "good"])
            #expect(answer.status == 200, "\(answer)")
            #expect(try await lead.app.post("_workflows/\(id)/reject", [:])["error"]["code"] == "INVALID_STATE")
            try await app.deliver()
            #expect(try await app.get("label/\(label)")["data"]["text"] == "yes")
            let done = try await lead.app.get("_workflows/\(id)")["data"]
            let entry = done["history"][0]
            #expect(entry["status"] == "approved" && entry["by"].string == lead.id && entry["comment"] == "good")
            #expect(done["status"] == "completed", "\(done)")
            #expect(try await lead.app.get("_workflows/pending")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aQuestionThatNobodyAnswersTimesOut(store: TestStore) async throws {
        try await Self.run(store) { server, start, _ in
            var app = start
            try await Self.workflow(app, [Self.approval()] + Self.answers())
            let silent: JSONObject = ["on_timeout": .null]
            try await Self.workflow(app, [Self.approval(silent)] + Self.answers(), name: "silent")
            let label = try await app.make("label", ["text": "a"])
            try await app.deliver()
            app = try await app.after(seconds: 4 * 3600 + 1)
            try await app.deliver()
            #expect(try await app.get("label/\(label)")["data"]["text"] == "late")
            let failed = try await Self.instances(app, "?workflow=silent")[0]
            #expect(failed["status"] == "failed" && Self.statuses(failed) == ["ask timed_out"], "\(failed)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofTwoDecisionsAtOnceOneWins(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(app, [Self.approval()] + Self.answers())
            let lead = try await PermissionTests.user(app, "lead", roles: ["lead"])
            for round in 0..<5 {
                _ = try await app.make("label", ["text": .string("r\(round)")])
                try await app.deliver()
                let id = try await Self.instances(app)[0]["id"].string ?? ""
                async let first = lead.app.post("_workflows/\(id)/approve", [:]).status
                async let second = lead.app.post("_workflows/\(id)/reject", [:]).status
                #expect(try await [first, second].sorted() == [200, 422])
                #expect(try await app.get("_workflows/\(id)")["data"]["history"].array.count == 1)
                try await app.deliver()
                let label = try await app.get("label?sort=-id")["data"][0]["id"].string ?? ""
                #expect(try await app.delete("label/\(label)").status == 200)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func severalDecideAndHandOn(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let form: JSONValue = [
                ["name": "sum", "type": "decimal", "required": true],
                ["name": "why", "type": "string", "enum": ["a", "b"]],
            ]
            try await Self.workflow(app, [Self.approval(["required": "all", "form": form])] + Self.answers())
            let one = try await PermissionTests.user(app, "one", roles: ["lead"])
            let two = try await PermissionTests.user(app, "two", roles: ["lead"])
            let other = try await PermissionTests.user(app, "other", roles: ["clerk"])
            let label = try await app.make("label", ["text": "a"])
            try await app.deliver()
            let id = try await Self.instances(app)[0]["id"].string ?? ""
            let path = "_workflows/\(id)"
            let bad = try await one.app.post("\(path)/approve", ["form": ["why": "c", "more": 1]])
            let fields = Set(bad["error"]["details"].array.map { $0["field"].string ?? "" })
            #expect(bad.status == 422 && fields == ["form.sum", "form.why", "form.more"], "\(bad)")
            #expect(try await one.app.post("\(path)/approve", ["form": ["sum": "1.50"]]).status == 200)
            #expect(try await one.app.post("\(path)/approve", ["form": ["sum": 2]])["error"]["code"] == "INVALID_STATE")
            #expect(try await one.app.get("_workflows/pending")["meta"]["total"] == 0)
            #expect(try await two.app.get("_workflows/pending")["meta"]["total"] == 1)
            let unknown: JSONValue = ["user": "11111111-1111-4111-8111-111111111111"]
            #expect(try await two.app.post("\(path)/delegate", unknown).status == 422)
            #expect(try await other.app.post("\(path)/delegate", ["user": .string(other.id)]).status == 403)
            #expect(try await two.app.post("\(path)/delegate", ["user": .string(other.id)]).status == 200)
            #expect(try await two.app.post("\(path)/approve", ["form": ["sum": 3]]).status == 403)
            #expect(try await other.app.get("_workflows/pending")["meta"]["total"] == 1)
            #expect(try await other.app.post("\(path)/approve", ["form": ["sum": 3]]).status == 200)
            try await app.deliver()
            #expect(try await app.get("label/\(label)")["data"]["text"] == "yes")
            let done = try await app.get(path)["data"]
            #expect(
                Self.statuses(done) == ["ask approved", "ask delegated", "ask approved", "yes completed"],
                "\(done)"
            )
            #expect(done["context"]["sum"] == 3, "\(done)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func anAdministratorDecidesAndCancels(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(app, [Self.approval(["required": 2])] + Self.answers())
            let lead = try await PermissionTests.user(app, "lead", roles: ["lead"])
            _ = try await app.make("label", ["text": "a"])
            _ = try await app.make("label", ["text": "b"])
            try await app.deliver()
            let ids = try await Self.instances(app).map { $0["id"].string ?? "" }
            #expect(
                try await app.post("_workflows/\(ids[0])/reject", ["comment": "no"])["data"]["history"][0]["as_admin"]
                    == true
            )
            #expect(try await lead.app.delete("_workflows/\(ids[1])").status == 403)
            let cancelled = try await app.delete("_workflows/\(ids[1])")
            #expect(cancelled["data"]["status"] == "cancelled", "\(cancelled)")
            #expect(try await lead.app.post("_workflows/\(ids[1])/approve", [:])["error"]["code"] == "INVALID_STATE")
            #expect(try await lead.app.get("_workflows/pending")["meta"]["total"] == 0)
            #expect(try await app.delete("_workflows/\(ids[1])")["error"]["code"] == "INVALID_STATE")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whoGetsARoleLaterWasNotAskedByIt(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(app, [Self.approval(["required": "all"])] + Self.answers())
            let one = try await PermissionTests.user(app, "one", roles: ["lead"])
            let two = try await PermissionTests.user(app, "two", roles: ["lead"])
            let there = try await PermissionTests.user(app, "there", roles: ["lead"])
            _ = try await app.make("label", ["text": "a"])
            try await app.deliver()
            let path = try await "_workflows/\(Self.instances(app)[0]["id"].string ?? "")"
            let long: JSONValue = ["comment": .string(String(repeating: "x", count: 10_001))]
            #expect(try await one.app.post("\(path)/approve", long)["error"]["details"][0]["field"] == "comment")
            #expect(try await one.app.post("\(path)/approve", [:]).status == 200)
            #expect(try await one.app.post("\(path)/approve", [:])["error"]["code"] == "INVALID_STATE")
            // The other one who had to is gone.
            #expect(try await app.put("_admin/users/\(two.id)", ["active": false]).status == 200)
            #expect(try await one.app.post("\(path)/approve", [:])["error"]["code"] == "INVALID_STATE")
            #expect(try await app.put("_admin/users/\(there.id)", ["roles": ["clerk"]]).status == 200)
            #expect(try await one.app.post("\(path)/approve", [:]).status == 200)
            try await app.deliver()
            #expect(try await app.put("_admin/users/\(there.id)", ["roles": ["lead"]]).status == 200)
            let again = try await app.server.login(app.name, "there@x.example", "password1")
            let reader = TestApp(server: app.server, name: app.name, token: again)
            let late = try await PermissionTests.user(app, "late", roles: ["lead"])
            #expect(try await late.app.get(path).status == 404)
            // Who was asked by it may still read, though another one has decided.
            #expect(try await reader.get(path).status == 200)
            #expect(try await one.app.get(path)["data"]["status"] == "completed")
        }
    }

    /// Who has answered one of two still sees the other.
    @Test(arguments: TestStore.allCases)
    func anAnswerToOneQuestionLeavesTheOtherPending(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let lead: JSONValue = ["type": "role", "role": "lead"]
            try await Self.workflow(
                app,
                [
                    ["id": "split", "type": "parallel", "branches": [["a"], ["b"]]],
                    ["id": "a", "type": "approval", "assignee": lead, "required": 2],
                    ["id": "b", "type": "approval", "assignee": lead, "required": 2],
                ]
            )
            let user = try await PermissionTests.user(app, "lead", roles: ["lead"])
            _ = try await app.make("label", ["text": "a"])
            try await app.deliver()
            let path = try await "_workflows/\(Self.instances(app)[0]["id"].string ?? "")/approve"
            #expect(try await user.app.post(path, ["step": "a"]).status == 200)
            #expect(try await user.app.get("_workflows/pending")["meta"]["total"] == 1)
            #expect(try await user.app.post(path, [:]).status == 200)
            #expect(try await user.app.get("_workflows/pending")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofSeveralQuestionsOneIsNamed(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let lead: JSONValue = ["type": "role", "role": "lead"]
            try await Self.workflow(
                app,
                [
                    ["id": "split", "type": "parallel", "branches": [["a"], ["b"]]],
                    ["id": "a", "type": "approval", "assignee": lead],
                    ["id": "b", "type": "approval", "assignee": lead],
                ]
            )
            let user = try await PermissionTests.user(app, "lead", roles: ["lead"])
            _ = try await app.make("label", ["text": "a"])
            try await app.deliver()
            let path = try await "_workflows/\(Self.instances(app)[0]["id"].string ?? "")/approve"
            for caller in [app, user.app] {
                let answer = try await caller.post(path, [:])
                #expect(answer.status == 422 && answer["error"]["details"][0]["field"] == "step", "\(answer)")
            }
            #expect(try await user.app.post(path, ["step": "b"]).status == 200)
            #expect(
                try await user.app.post(path, [:])["data"]["history"].array.map { $0["step"] } == ["b", "a", "split"]
            )
        }
    }

    // MARK: branches and other workflows

    @Test(arguments: TestStore.allCases)
    func branchesRunBesideEachOther(store: TestStore) async throws {
        try await Self.run(store) { server, start, _ in
            var app = start
            try await Self.workflow(
                app,
                [
                    [
                        "id": "split", "type": "parallel", "branches": [["quick"], ["slow", "after"]], "join": "all",
                        "then": "mark",
                    ],
                    ["id": "quick", "type": "action", "actions": [Self.set("rank", 1)]],
                    ["id": "slow", "type": "wait", "duration": "1h"],
                    ["id": "after", "type": "action", "actions": [Self.set("rank", 2)]],
                    ["id": "mark", "type": "action", "actions": [Self.set("text", "joined")]],
                ]
            )
            let any: [JSONValue] = [
                [
                    "id": "split", "type": "parallel", "branches": [["first"], ["second"]], "join": "any",
                    "then": "end",
                ],
                ["id": "first", "type": "wait", "duration": "1m"], ["id": "second", "type": "wait", "duration": "1d"],
            ]
            try await Self.workflow(app, any, name: "any")
            let id = try await app.make("label", ["text": "a"])
            try await app.deliver()
            #expect(try await app.get("label/\(id)")["data"]["rank"] == 1)
            server.clock.advance(seconds: 61)
            try await app.deliver()
            let done = try await Self.instances(app, "?workflow=any")[0]
            #expect(done["status"] == "completed" && Self.statuses(done) == ["first completed", "split completed"])
            app = try await app.after(seconds: 3600)
            try await app.deliver()
            let label = try await app.get("label/\(id)")["data"]
            #expect(label["rank"] == 2 && label["text"] == "joined", "\(label)")
            let joined = try await Self.instances(app, "?workflow=flow")[0]
            let steps = ["quick completed", "slow completed", "after completed", "split completed", "mark completed"]
            #expect(Self.statuses(joined) == steps, "\(joined)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWorkflowCallsAnother(store: TestStore) async throws {
        try await Self.run(store) { server, app, _ in
            let make: JSONValue = [
                "type": "create_record", "entity": "customer", "values": ["name": "context.title"],
                "result": "customer",
            ]
            try await Self.workflow(
                app,
                [
                    ["id": "rest", "type": "wait", "duration": "1m", "then": "make"],
                    ["id": "make", "type": "action", "actions": [make]],
                ],
                name: "child",
                trigger: ["type": "event", "event": "never"],
                context: [:]
            )
            let call: JSONValue = [
                "id": "call", "type": "call", "workflow": "child", "context": ["title": "context.text"],
                "result": "made",
                "then": "mark",
            ]
            let mark: JSONValue = [
                "type": "set_field", "entity": "label", "record_id": "context.id", "field": "text",
                "expression": "context.made.customer.name + '!'",
            ]
            try await Self.workflow(app, [call, ["id": "mark", "type": "action", "actions": [mark]]])
            let id = try await app.make("label", ["text": "a"])
            let gone = try await app.make("label", ["text": "b"])
            try await app.deliver()
            #expect(try await Self.instances(app, "?workflow=child&status=running").count == 2)
            let parent = try await Self.instances(app, "?workflow=flow&record_id=\(gone)")[0]["id"].string ?? ""
            #expect(try await app.delete("_workflows/\(parent)").status == 200)
            let cancelled = try await Self.instances(app, "?workflow=child&status=cancelled")
            #expect(cancelled.count == 1 && cancelled[0]["current_step"].value == .null)
            #expect(cancelled[0]["history"].array.last?["step"] == "rest", "\(cancelled)")
            server.clock.advance(seconds: 61)
            try await app.deliver()
            #expect(try await app.get("label/\(id)")["data"]["text"] == "a!")
            #expect(try await app.get("customer")["meta"]["total"] == 1)
        }
    }

    /// Whoever waits for a workflow that fails, also before it begins, is told so.
    @Test(arguments: TestStore.allCases)
    func whoCallsAWorkflowThatFailsFails(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let trigger: JSONValue = ["type": "event", "event": "go"]
            let itself: JSONValue = ["id": "again", "type": "call", "workflow": "flow"]
            try await Self.workflow(app, [itself], trigger: trigger, context: [:])
            #expect(try await app.post("_events/go", [:]).status == 202)
            try await app.deliver()
            let all = try await Self.instances(app, "?per_page=100")
            #expect(Set(all.map { $0["status"].string ?? "" }) == ["failed"] && all.count == 17, "\(all.count)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBranchThatFollowsAnotherWorkflowIsWokenBesideACall(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.workflow(
                app,
                [["id": "rest", "type": "wait", "duration": "1s"]],
                name: "child",
                trigger: ["type": "event", "event": "never"],
                context: [:]
            )
            let call: JSONValue = ["type": "webhook", "url": .string(receiver.url)]
            try await Self.workflow(
                app,
                [
                    ["id": "split", "type": "parallel", "branches": [["follow"], ["tell"]]],
                    ["id": "follow", "type": "call", "workflow": "child"],
                    ["id": "tell", "type": "action", "actions": [call]],
                ]
            )
            receiver.react([.late(1000, 200)])
            _ = try await app.make("label", ["text": "a"])
            try await server.apps.withApp(app.name) { context in
                let slow = Task { try await server.worker.workOff(context) }
                while receiver.received.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
                try await server.worker.workOff(context)
                server.clock.advance(seconds: 2)
                try await server.worker.workOff(context)
                try await slow.value
                try await server.worker.workOff(context)
            }
            #expect(Set(try await Self.instances(app).map { $0["status"].string ?? "" }) == ["completed"])
        }
    }

    // MARK: events and schedules

    @Test(arguments: TestStore.allCases)
    func eventsStartWorkflows(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let make: JSONValue = ["type": "create_record", "entity": "customer", "values": ["name": "context.who"]]
            let steps: [JSONValue] = [["id": "make", "type": "action", "actions": [make]]]
            try await Self.workflow(
                app,
                steps,
                trigger: ["type": "event", "event": "rain", "roles": ["clerk"], "condition": "payload.wet"],
                context: ["who": "trigger.payload.name", "by": "user.id", "what": "trigger.event"]
            )
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"])
            let other = try await PermissionTests.user(app, "other", roles: ["other"])
            // Whom one of those that it starts does not know may not send it.
            let guarded = try await Self.workflow(
                app,
                [["id": "rest", "type": "wait", "duration": "1s"]],
                name: "guarded",
                trigger: ["type": "event", "event": "rain"],
                context: [:]
            )
            #expect(try await clerk.app.post("_events/rain", ["wet": true, "name": "no"]).status == 403)
            #expect(try await app.delete("_admin/workflows/\(guarded)").status == 200)
            #expect(try await clerk.app.post("_events/rain", ["wet": true, "name": "cloud"]).status == 202)
            #expect(try await clerk.app.post("_events/rain", ["wet": false, "name": "sun"]).status == 202)
            #expect(try await other.app.post("_events/rain", [:]).status == 403)
            #expect(try await clerk.app.post("_events/snow", [:]).status == 403)
            #expect(try await app.post("_events/snow", [:]).status == 202)
            #expect(try await app.post("_events/a%00b", [:]).status == 422)
            #expect(try await app.post("_events/\(String(repeating: "x", count: 201))", [:]).status == 422)
            try await app.deliver()
            #expect(try await app.get("customer")["data"].array.map { $0["name"] } == ["cloud"])
            let done = try await Self.instances(app)
            #expect(
                done.count == 1 && done[0]["context"]["by"].string == clerk.id && done[0]["context"]["what"] == "rain"
            )
            // What nobody listens for is not kept.
            #expect(try await app.systemRows("SELECT count(*) FROM _events") == [["0"]])
        }
    }

    @Test(arguments: TestStore.allCases)
    func workflowsSendEvents(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let send: JSONValue = ["type": "send_event", "event": "made", "payload": ["text": "context.text", "n": 1]]
            try await Self.workflow(app, [["id": "send", "type": "action", "actions": [send]]])
            let make: JSONValue = ["type": "create_record", "entity": "customer", "values": ["name": "context.text"]]
            try await Self.workflow(
                app,
                [["id": "make", "type": "action", "actions": [make]]],
                name: "listener",
                trigger: ["type": "event", "event": "made"],
                context: ["text": "trigger.payload.text"]
            )
            _ = try await app.make("label", ["text": "told"])
            try await app.deliver()
            #expect(try await app.get("customer")["data"][0]["name"] == "told")
        }
    }

    @Test(arguments: TestStore.allCases)
    func schedulesStartOnceForEachInstant(store: TestStore) async throws {
        try await Self.run(store) { server, start, _ in
            var app = start
            let make: JSONValue = ["type": "create_record", "entity": "customer", "values": ["name": "context.at"]]
            let steps: [JSONValue] = [["id": "make", "type": "action", "actions": [make]]]
            let trigger: JSONValue = ["type": "schedule", "every": "1h"]
            try await Self.workflow(app, steps, trigger: trigger, context: ["at": "scheduled_at"])
            try await app.deliver()
            #expect(try await app.get("customer")["meta"]["total"] == 0)
            app = try await app.after(seconds: 3601)
            try await app.deliver()
            try await app.deliver()
            let made = try await app.get("customer")
            #expect(made["data"].array.map { $0["name"] } == ["2026-03-01T13:00:00.000000Z"], "\(made)")
            // What passed while nobody was there starts once.
            app = try await app.after(seconds: 5 * 3600)
            try await app.deliver()
            #expect(try await app.get("customer")["meta"]["total"] == 2)
        }
    }

    // MARK: definitions

    @Test(arguments: TestStore.allCases)
    func instancesEndByTheStepsThatTheyBeganWith(store: TestStore) async throws {
        try await Self.run(store) { server, start, _ in
            var app = start
            func steps(_ text: JSONValue) -> [JSONValue] {
                [
                    ["id": "rest", "type": "wait", "duration": "1h", "then": "mark"],
                    ["id": "mark", "type": "action", "actions": [Self.set("text", text)]],
                ]
            }
            let flow = try await Self.workflow(app, steps("old"))
            let id = try await app.make("label", ["text": "a"])
            try await app.deliver()
            var definition = try #require(try await app.get("_admin/workflows/\(flow)")["data"].value.objectValue)
            definition["steps"] = .array(steps("new"))
            #expect(try await app.put("_admin/workflows/\(flow)", .object(definition)).status == 200)
            let second = try await app.make("label", ["text": "b"])
            let inUse = try await app.delete("_admin/workflows/\(flow)")
            #expect(inUse.status == 409, "\(inUse)")
            app = try await app.after(seconds: 3601)
            try await app.deliver()
            #expect(try await app.get("label/\(id)")["data"]["text"] == "old")
            app = try await app.after(seconds: 3601)
            try await app.deliver()
            #expect(try await app.get("label/\(second)")["data"]["text"] == "new")
            #expect(try await app.delete("_admin/workflows/\(flow)").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func everythingThatIsWrongIsToldWithItsPlace(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let bad: JSONValue = [
                "name": "bad", "trigger": ["type": "state_change", "entity": "label", "field": "rank", "to": "x"],
                "context": ["a": "nothing.here"],
                "steps": [
                    ["id": "one", "type": "condition", "expression": "context. > 1", "on_true": "nowhere"],
                    [
                        "id": "one", "type": "action",
                        "actions": [
                            [
                                "type": "set_field", "entity": "labels",
                                "record_id": "context.id", "field": "x", "value": 1,
                            ]
                        ],
                    ],
                    ["id": "three", "type": "approval", "assignee": ["type": "role"], "timeout": "4 hours"],
                    ["id": "four", "type": "other"],
                ],
            ]
            let answer = try await app.post("_admin/workflows", bad)
            let fields = answer["error"]["details"].array.map { $0["field"].string ?? "" }
            #expect(answer.status == 422, "\(answer)")
            for field in ["context.a", "steps[2].assignee.role", "steps[2].timeout", "steps[3].type"] {
                #expect(fields.contains(field), "\(field): \(fields)")
            }
            let loop: JSONValue = [
                "name": "loop", "trigger": ["type": "record", "entity": "label", "action": "create"],
                "steps": [
                    ["id": "a", "type": "condition", "expression": "context.x", "on_true": "b", "on_false": "gone"],
                    [
                        "id": "b", "type": "action",
                        "actions": [
                            [
                                "type": "set_field", "entity": "labels",
                                "record_id": "context.id", "field": "x", "value": 1,
                            ]
                        ], "then": "a",
                    ],
                ],
            ]
            let second = try await app.post("_admin/workflows", loop)
            let places = second["error"]["details"].array.map { $0["field"].string ?? "" }
            #expect(places.contains("steps[0].on_false") && places.contains("steps[1].actions[0].entity"), "\(second)")
            let endless: JSONValue = [
                "name": "loop", "trigger": ["type": "record", "entity": "label", "action": "create"],
                "steps": [
                    ["id": "a", "type": "condition", "expression": "context.x", "on_true": "b"],
                    ["id": "b", "type": "action", "actions": [], "then": "a"],
                ],
            ]
            let third = try await app.post("_admin/workflows", endless)
            #expect(third.status == 422 && third.text.contains("never end"), "\(third)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRecordShowsItsInstances(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            try await Self.workflow(app, [["id": "rest", "type": "wait", "duration": "1d"]])
            let id = try await app.make("label", ["text": "a"])
            try await app.deliver()
            let shown = try await app.get("label/\(id)?workflows=true")
            #expect(shown["meta"]["workflows"][0]["current_step"] == "rest", "\(shown)")
            #expect(shown["meta"]["workflows"][0]["context"].value == .null)
            #expect(try await app.get("label/\(id)")["meta"]["workflows"].value == .null)
        }
    }

    @Test(arguments: TestStore.allCases)
    func workflowsThatSetEachOtherOffEnd(store: TestStore) async throws {
        try await Self.run(store) { _, app, _ in
            let make: JSONValue = [
                "type": "create_record", "entity": "label", "values": ["text": ["expression": "context.text + 'x'"]],
            ]
            try await Self.workflow(app, [["id": "make", "type": "action", "actions": [make]]])
            _ = try await app.make("label", ["text": "a"])
            try await app.deliver()
            #expect(try await app.get("label")["meta"]["total"] == 17)
            let failed = try await Self.instances(app, "?status=failed")
            #expect(failed.count == 1 && failed[0]["history"][0]["error"].string?.contains("16 writes") == true)
        }
    }
}
