import Foundation
import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// State machines as clients meet them.
struct StateMachineTests {
    // MARK: the first state

    @Test(arguments: TestStore.allCases)
    func aRecordBeginsInTheInitialStateAndInNoOther(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            #expect(try await app.post("sale", [:])["data"]["state"] == "draft")
            #expect(try await app.post("sale", ["state": "draft"]).status == 201)
            for state: JSONValue in ["paid", nil] {
                let refused = try await app.post("sale", ["state": state])
                #expect(refused.status == 422 && refused.details == ["state state_machine"], "\(refused)")
                #expect(refused.text.contains("Initial state must be \\\"draft\\\""))
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func theInitialStateBeatsADefaultAndFillsARequiredField(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "job",
                fields: [["name": "state", "type": "string", "required": true, "default": "b"]]
            )
            try await app.machine([
                "entity": "job", "field": "state", "definition": ["initial": "a", "transitions": []],
            ])
            #expect(try await app.post("job", [:])["data"]["state"] == "a")
        }
    }

    // MARK: ways

    @Test(arguments: TestStore.allCases)
    func aRecordGoesTheWaysThatThereAreAndATurnedDownOneIsToldThem(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let open = "ticket/30000000-0000-0000-0000-000000000004"
            let refused = try await app.put(open, ["status": "closed"])
            #expect(refused.status == 422 && refused.details == ["status state_machine"], "\(refused)")
            #expect(refused.text.contains("what can be reached is \\\"assigned\\\", \\\"on_hold\\\""), "\(refused)")
            #expect(try await app.put(open, ["status": "nonsense"]).details == ["status state_machine"])
            #expect(try await app.put(open, ["status": nil]).details == ["status state_machine"])
            #expect(try await app.put(open, ["status": "open", "category": "bug"]).status == 200)
            for (state, instant) in [
                ("on_hold", nil), ("in_progress", nil), ("resolved", "resolved_at"), ("closed", "closed_at"),
                ("open", nil),
            ] {
                let moved = try await app.put(open, ["status": .string(state)])
                #expect(moved.status == 200 && moved["data"]["status"].string == state, "\(moved)")
                guard let instant else { continue }
                #expect(moved["data"][instant] == moved["data"]["updated_at"], "\(moved)")
            }
            #expect(try await app.get(open)["data"]["closed_at"].isNull == false)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anyStateLeadsWhereTheStarSaysAndNullOnlyThereAndToTheFirst(store: TestStore) async throws {
        try await Till.run(store) { app in
            let none = try await app.make("sale", [:])
            let other = try await app.make("sale", ["state": "paid"])
            try await app.machine()
            #expect(
                try await app.get("sale/\(none)?transitions=true")["meta"]["transitions"]["state"].array == [
                    "draft", "void",
                ]
            )
            let refused = try await app.put("sale/\(none)", ["state": "paid"])
            #expect(refused.status == 422 && refused.text.contains("\\\"draft\\\", \\\"void\\\""), "\(refused)")
            #expect(try await app.put("sale/\(none)", ["title": "stays null"]).status == 200)
            #expect(try await app.put("sale/\(none)", ["state": "draft"]).status == 200)
            #expect(try await app.put("sale/\(other)", ["state": "void"]).status == 200)
            #expect(try await app.put("sale/\(other)", ["state": "draft"]).status == 422)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aGuardSeesTheRecordAsItWillBeStoredNotThePayloadAlone(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            let id = try await app.make("sale", ["total": 0])
            let refused = try await app.put("sale/\(id)", ["state": "sent"])
            #expect(refused.status == 422 && refused.details == ["state state_machine"], "\(refused)")
            #expect(refused.text.contains("the guard does not allow it"))
            #expect(try await app.put("sale/\(id)", ["state": "sent", "total": 5]).status == 200)
            let stored = try await app.make("sale", ["total": 7])
            #expect(try await app.put("sale/\(stored)", ["state": "sent"]).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aGuardLooksAtRelatedRecordsThatItNames(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine([
                "entity": "sale", "field": "state",
                "definition": [
                    "initial": "draft",
                    "transitions": [
                        ["from": "draft", "to": "sent", "guard": "related.lines.every(l => l.state == 'packed')"],
                        ["from": "draft", "to": "void", "guard": "related.customer.vip"],
                    ],
                ],
            ])
            let id = try await app.make("sale", ["lines": [["state": "open"]]])
            let line = try await app.get("line")["data"][0]["id"].string ?? ""
            #expect(try await app.get("sale/\(id)?transitions=true")["meta"]["transitions"]["state"].array == [])
            #expect(try await app.put("sale/\(id)", ["state": "sent"]).status == 422)
            let packed: JSONValue = ["state": "sent", "lines": [["id": .string(line), "state": "packed"]]]
            #expect(try await app.put("sale/\(id)", packed).status == 200)
            let vip = try await app.make("customer", ["name": "v", "vip": true])
            let second = try await app.make("sale", ["customer_id": .string(vip)])
            let shown = try await app.get("sale/\(second)?transitions=true&include=customer&fields=title")
            #expect(shown["meta"]["transitions"]["state"].array == ["sent", "void"], "\(shown)")
            #expect(shown["data"]["customer"]["name"] == "v" && shown["data"].names.count == 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func transitionsAreShownWhereTheyAreAskedFor(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.make("sale", ["total": 0])
            #expect(try await app.get("sale/\(id)?transitions=true")["meta"]["transitions"] == TestJSON([:]))
            try await app.machine()
            let other = try await app.make("sale", ["total": 0])
            let shown = try await app.get("sale/\(other)?transitions=true")
            #expect(shown["meta"]["transitions"]["state"].array == ["paid", "void"], "\(shown)")
            #expect(shown.headers[.eTag] != nil && shown["data"]["state"] == "draft")
            #expect(try await app.put("sale/\(other)", ["total": 1]).status == 200)
            #expect(
                try await app.get("sale/\(other)?transitions=true")["meta"]["transitions"]["state"].array
                    == ["sent", "paid", "void"]
            )
            #expect(try await app.get("sale/\(other)?transitions=false")["meta"].isNull)
            #expect(try await app.get("sale/\(other)?transitions=yes").code == "INVALID_PARAMETER")
            #expect(try await app.get("sale?transitions=true").code == "INVALID_PARAMETER")
        }
    }

    // MARK: actions

    @Test(arguments: TestStore.allCases)
    func theActionsOfATransitionHappenWithIt(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            let id = try await app.make("sale", ["total": "19.90"])
            let paid = try await app.put("sale/\(id)", ["state": "paid"])
            #expect(paid["data"]["paid_at"].string?.hasPrefix("2026-03-01T12:00:0") == true, "\(paid)")
            #expect(paid["data"]["note"] == "draft to paid")
            let entries = try await app.get("journal")["data"].array
            #expect(entries.count == 1 && entries[0]["sale_id"].string == id && entries[0]["text"] == "paid")
            #expect(entries[0]["amount"].digits == "19.90" && entries[0]["at"] == paid["data"]["paid_at"], "\(entries)")
            let events = try await app.systemRows("SELECT event, payload, entity, record_id FROM _events")
            #expect(events.count == 1 && events[0][0] == "sale_paid" && events[0][2...] == ["sale", id], "\(events)")
            #expect(events[0][1].contains("19.9"))
            let calls = try await app.systemRows(
                "SELECT url, method, status, hook, request_headers, record_id, request_body FROM _webhook_logs"
            )
            #expect(
                calls.map { Array($0[..<6]) } == [
                    [
                        "https://hooks.example.com/paid", "POST", "pending", "state_change", #"{"X-A":"b"}"#, id,
                    ]
                ]
            )
            let body = TestJSON(try JSONParser.parse(Array(calls[0][6].utf8)))
            #expect(body["event"] == "state_change" && body["record"]["note"] == "draft to paid", "\(body)")
            #expect(body["changes"]["state"] == TestJSON(["old": "draft", "new": "paid"]))
            #expect(body["old"]["state"] == "draft" && body["user"]["roles"].array == ["admin"])
            #expect(body["idempotency_key"].string?.hasPrefix("wh_") == true)
        }
    }

    @Test(arguments: TestStore.allCases)
    func nothingOfATransitionIsLeftWhereTheWriteFails(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            let id = try await app.make("sale", ["total": 5])
            try await app.rule("journal", "expression", ["expression": "record.amount > 4", "message": "too much"])
            let refused = try await app.put("sale/\(id)", ["state": "paid"])
            #expect(refused.status == 422 && refused.details == ["state expression"], "\(refused)")
            #expect(refused.text.contains("its action makes a record of \\\"journal\\\": too much"))
            let conflicting = try await app.post(
                "_batch",
                [
                    "operations": [
                        ["method": "PUT", "path": .string("sale/\(id)"), "body": ["state": "paid", "total": 1]],
                        ["method": "POST", "path": "line", "body": [:]],
                    ]
                ]
            )
            #expect(conflicting.status == 422, "\(conflicting)")
            #expect(try await app.get("sale/\(id)")["data"]["state"] == "draft")
            #expect(try await app.get("journal")["meta"]["total"] == 0)
            #expect(try await app.systemRows("SELECT id FROM _events UNION ALL SELECT id FROM _webhook_logs").isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRecordThatAnActionMakesGoesThroughItsOwnPipeline(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            try await app.machine([
                "entity": "journal", "field": "state", "definition": ["initial": "new", "transitions": []],
            ])
            try await app.rule(
                "journal",
                "computed",
                [
                    "field": "text", "expression": "`${record.text} for ${related.entries.title}`",
                    "related_load": [["relation": "entries"]],
                ]
            )
            let id = try await app.make("sale", ["title": "desk"])
            #expect(try await app.put("sale/\(id)", ["state": "paid"]).status == 200)
            let entry = try await app.get("journal")["data"][0]
            #expect(entry["state"] == "new" && entry["text"] == "paid for desk", "\(entry)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatAnActionSetsMustFit(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine([
                "entity": "sale", "field": "state",
                "definition": [
                    "initial": "draft",
                    "transitions": [
                        [
                            "from": "draft", "to": "sent",
                            "actions": [["type": "set_field", "field": "count", "expression": "record.total * 2"]],
                        ]
                    ],
                ],
            ])
            let id = try await app.make("sale", ["total": "1.25"])
            let refused = try await app.put("sale/\(id)", ["state": "sent"])
            #expect(refused.status == 422 && refused.details == ["count state_machine"], "\(refused)")
            #expect(try await app.put("sale/\(id)", ["state": "sent", "total": "1.5"])["data"]["count"] == 3)
        }
    }

    @Test(arguments: TestStore.allCases)
    func manyTransitionsAtOnceMakeTheirRecordsAtOnce(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            let count = 1500
            let made = try await app.post(
                "customer",
                ["name": "c", "sales": .array((0..<count).map { ["title": .string("s\($0)")] })]
            )
            let id = try #require(made["data"]["id"].string)
            let paid = made["data"]["sales"].array.map { sale -> JSONValue in
                ["id": sale["id"].value, "state": "paid"]
            }
            #expect(try await app.put("customer/\(id)", ["sales": .array(paid)]).status == 200)
            #expect(try await app.get("journal?per_page=1")["meta"]["total"].int == count)
            let recorded = "SELECT (SELECT count(*) FROM _events), (SELECT count(*) FROM _webhook_logs)"
            #expect(try await app.systemRows(recorded) == [["\(count)", "\(count)"]])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTransitionMovesNoRowBelowAnotherParent(store: TestStore) async throws {
        try await Till.run(store) { app in
            let other = try await app.make("sale", [:])
            try await app.machine([
                "entity": "line", "field": "state",
                "definition": [
                    "initial": "open",
                    "transitions": [
                        [
                            "from": "open", "to": "packed",
                            "actions": [["type": "set_field", "field": "sale_id", "value": .string(other)]],
                        ]
                    ],
                ],
            ])
            let made = try await app.post("sale", ["lines": [[:]]])
            let sale = try #require(made["data"]["id"].string)
            let line = try #require(made["data"]["lines"][0]["id"].string)
            let below = try await app.put("sale/\(sale)", ["lines": [["id": .string(line), "state": "packed"]]])
            #expect(below.status == 422 && below.details == ["lines[0].sale_id state_machine"], "\(below)")
            #expect(try await app.put("line/\(line)", ["state": "packed"])["data"]["sale_id"].string == other)
        }
    }

    @Test(arguments: TestStore.allCases)
    func statesAreComparedByTheirBytes(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("job", fields: [["name": "state", "type": "string"]])
            let state = "r\u{E9}solu"
            try await app.machine([
                "entity": "job", "field": "state", "definition": ["initial": .string(state), "transitions": []],
            ])
            let twin: JSONValue = .string("re\u{301}solu")
            #expect(try await app.post("job", ["state": twin]).details == ["state state_machine"])
            let id = try await app.make("job", [:])
            #expect(try await app.put("job/\(id)", ["state": twin]).details == ["state state_machine"])
            #expect(try await app.put("job/\(id)", ["state": .string(state)]).status == 200)
        }
    }

    /// A rule that looks at the record above is not overtaken by a change of it, nor the change by the rule's row.
    @Test(arguments: TestStore.allCases)
    func aRowAndItsRecordAreNotJudgedPastEachOther(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine([
                "entity": "sale", "field": "state",
                "definition": [
                    "initial": "draft",
                    "transitions": [["from": "draft", "to": "paid", "guard": "related.lines.length == 0"]],
                ],
            ])
            try await app.rule(
                "line",
                "expression",
                ["expression": "related.sale.state == 'paid'", "related_load": [["relation": "sale"]]]
            )
            for _ in 0..<40 {
                let id = try await app.make("sale", [:])
                async let paid = app.put("sale/\(id)", ["state": "paid"]).status
                async let added = app.post("line", ["sale_id": .string(id)]).status
                let answers = try await [paid, added]
                #expect(answers == [200, 422] || answers == [422, 201], "\(answers)")
            }
        }
    }

    // MARK: no way around

    @Test(arguments: TestStore.allCases)
    func stateMachinesHoldInNestedWrites(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            let customer = try await app.make("customer", ["name": "c", "sales": [["title": "s"]]])
            let sale = try await app.get("sale")["data"][0]
            #expect(sale["state"] == "draft")
            let key = try #require(sale["id"].string)
            let made = try await app.put("customer/\(customer)", ["sales": [["state": "paid"]]])
            #expect(made.status == 422 && made.details == ["sales[0].state state_machine"], "\(made)")
            let moved = try await app.put("customer/\(customer)", ["sales": [["id": .string(key), "state": "sent"]]])
            #expect(moved.details == ["sales[0].state state_machine"], "\(moved)")
            let paid = try await app.put("customer/\(customer)", ["sales": [["id": .string(key), "state": "paid"]]])
            #expect(paid.status == 200 && paid["data"]["sales"][0]["note"] == "draft to paid", "\(paid)")
            #expect(try await app.get("journal")["data"][0]["sale_id"].string == key)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aComputedStateIsJudgedAsAGivenOne(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.make("sale", ["total": 1, "state": "draft"])
            try await app.machine()
            try await app.rule(
                "sale",
                "computed",
                [
                    "field": "state",
                    "expression": "record.total > 10 ? 'paid' : record.total < 0 ? 'sent' : record.state",
                ]
            )
            #expect(try await app.put("sale/\(id)", ["total": -1]).details == ["state state_machine"])
            let paid = try await app.put("sale/\(id)", ["total": 11])
            #expect(paid["data"]["state"] == "paid" && paid["data"]["note"] == "draft to paid", "\(paid)")
            #expect(try await app.post("sale", ["total": 11]).details == ["state state_machine"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func rowsFromAnImportKeepTheirStates(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let ticket = try await app.get("ticket/30000000-0000-0000-0000-000000000003?transitions=true")
            #expect(ticket["data"]["status"] == "resolved")
            #expect(ticket["meta"]["transitions"]["status"].array == ["closed", "open"])
        }
    }

    /// Fifty ways out of one state, all taken at once: one of them moves the record, and the others see that it has
    /// moved. `TRANSITION_RECORDS=200` tries it on more records.
    @Test(arguments: TestStore.allCases)
    func twoTransitionsAtOnceDoNotBothWin(store: TestStore) async throws {
        let ways = 50
        let records = ProcessInfo.processInfo.environment["TRANSITION_RECORDS"].flatMap(Int.init) ?? 400
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("job", fields: [["name": "state", "type": "string"]])
            try await app.makeEntity("step", fields: [["name": "job", "type": "string"]])
            let action: JSONValue = [
                "type": "create_record", "entity": "step", "values": ["job": ["expression": "record.id"]],
            ]
            let transitions = (0..<ways).map { way -> JSONValue in
                [
                    "from": "open", "to": .string("s\(way)"),
                    "actions": [action, ["type": "send_event", "event": "moved"]],
                ]
            }
            try await app.machine([
                "entity": "job", "field": "state",
                "definition": ["initial": "open", "transitions": .array(transitions)],
            ])
            for _ in 0..<records {
                let id = try await app.make("job", [:])
                let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                    for way in 0..<ways {
                        group.addTask {
                            let answer = try await app.put("job/\(id)", ["state": .string("s\(way)")])
                            return answer.status
                        }
                    }
                    return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
                }
                #expect(answers == [200: 1, 422: ways - 1])
            }
            #expect(try await app.get("step?per_page=1")["meta"]["total"].int == records)
            #expect(try await app.systemRows("SELECT count(*) FROM _events") == [["\(records)"]])
        }
    }
}
