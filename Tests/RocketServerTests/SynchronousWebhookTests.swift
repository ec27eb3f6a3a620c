import HTTPTypes
import RocketAutomation
import RocketModel
import RocketServer
import RocketTestSupport
import Testing

/// Webhooks that a write waits for: it happens where they agree, and leaves nothing where they do not.
struct SynchronousWebhookTests {
    private static let before: JSONObject = ["hook": "before_write"]

    @Test(arguments: TestStore.allCases)
    func aWriteHappensWhereItsWebhookAgrees(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let hook = try await WebhookTests.hook(app, receiver, "label", Self.before)
            #expect(hook["data"]["async"] == false)
            let id = try await app.make("label", ["text": "a", "rank": 1])
            // Nobody has had to deliver anything: it was told before the answer.
            let told = try #require(receiver.received.first)
            #expect(told.json["event"] == "before_write" && told.json["action"] == "create")
            #expect(told.json["record"]["id"].string == id && told.json["record"]["text"] == "a")
            #expect(told.headers["rocket-depth"] == "1" && told.headers["webhook-id"]?.hasPrefix("wh_") == true)
            let logs = try await WebhookTests.logs(app)
            #expect(logs.map { $0["status"] } == ["delivered"] && logs[0]["response_status"] == 200)
            #expect(logs[0]["hook"] == "before_write" && logs[0]["attempt"] == 1 && logs[0]["record_id"].string == id)
            try await app.deliver()
            #expect(receiver.received.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func nothingIsStoredWhereItDoesNotAgree(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let hook = try await WebhookTests.hook(app, receiver, "label", Self.before)
            try await WebhookTests.hook(app, receiver)
            receiver.react([.answer(409, body: "too late in the day")])
            let answer = try await app.post("label", ["text": "a"])
            #expect(answer.status == 502 && answer["error"]["code"] == "WEBHOOK_FAILED", "\(answer)")
            #expect(answer["error"]["details"][0]["webhook_id"] == hook["data"]["id"], "\(answer)")
            #expect(answer["error"]["details"][0]["status"] == 409)
            #expect(!answer.text.contains("late in the day"))
            #expect(try await app.get("label")["meta"]["total"] == 0)
            let logs = try await WebhookTests.logs(app)
            #expect(logs.map { $0["status"] } == ["failed"] && logs[0]["response_body"] == "too late in the day")
            // It has not happened, so nobody is told afterwards, by hand neither.
            try await app.deliver()
            let retry = try await app.post("_admin/webhook-logs/\(logs[0]["id"].string ?? "")/retry", [:])
            #expect(retry.status == 422 && receiver.received.count == 1, "\(retry)")
            // The next one may agree.
            #expect(try await app.post("label", ["text": "a"]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func oneThatCantBeReachedOrTakesTooLongDoesNotAgree(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            try await WebhookTests.hook(app, receiver, "label", Self.before)
            receiver.react([.hang, .reset, .answer(301, headers: ["Location": "/elsewhere"]), .stall(200)])
            let start = ContinuousClock.now
            for reason in ["no answer in time", "the connection was closed", "it answered 301", "no answer in time"] {
                let answer = try await app.post("label", ["text": "a"])
                #expect(answer.status == 502 && answer.text.contains(reason), "\(answer)")
            }
            #expect(ContinuousClock.now - start < .seconds(30))
            let nowhere: JSONObject = ["hook": "before_write", "url": "http://127.0.0.1:1/"]
            try await WebhookTests.hook(app, receiver, "customer", nowhere)
            let refused = ContinuousClock.now
            let answer = try await app.post("customer", ["name": "c"])
            #expect(answer.status == 502 && answer.text.contains("no connection"), "\(answer)")
            #expect(ContinuousClock.now - refused < .seconds(4))
            #expect(try await WebhookTests.logs(app).map { $0["status"] } == Array(repeating: "failed", count: 5))
        }
    }

    @Test(arguments: TestStore.allCases)
    func theCallsOfOneWriteShareTheirTime(store: TestStore) async throws {
        try await TestReceiver.run { receiver in
            var settings = ServerSettings()
            settings.synchronousCallLimit = .seconds(20)
            try await TestServer.run(store, server: settings) { server in
                let app = try await server.makeApp()
                try await app.makeEntity("label", fields: [["name": "text", "type": "string"]])
                for _ in 0..<3 { try await WebhookTests.hook(app, receiver, "label", Self.before) }
                // None of them takes all the time, but two of them do.
                receiver.react(Array(repeating: .late(12_000, 200), count: 3))
                #expect(try await app.post("label", ["text": "a"]).status == 502)
                // The first has agreed, and its log says so, though the write did not happen; the third was not asked.
                let logs = try await WebhookTests.logs(app)
                #expect(Set(logs.map { $0["status"].string ?? "" }) == ["delivered", "failed"] && logs.count == 2)
                #expect(receiver.received.count == 2, "\(logs)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func nestedRowsAskInTheOrderOfTheWrite(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            try await WebhookTests.hook(app, receiver, "sale", Self.before)
            let lines: JSONObject = ["hook": "before_write", "condition": "record.qty > 1"]
            try await WebhookTests.hook(app, receiver, "line", lines)
            let sale: JSONValue = [
                "title": "t",
                "lines": [["name": "one", "qty": 1], ["name": "two", "qty": 2], ["name": "three", "qty": 3]],
            ]
            #expect(try await app.post("sale", sale).status == 201)
            #expect(receiver.received.map { $0.json["entity"] } == ["sale", "line", "line"])
            #expect(receiver.received.map { $0.json["record"]["name"].string } == [nil, "two", "three"])
            receiver.react([.answer(200), .answer(200), .answer(500)])
            #expect(try await app.post("sale", sale).status == 502)
            #expect(try await app.get("line")["meta"]["total"] == 3)
            #expect(try await WebhookTests.logs(app).map { $0["status"] == "failed" }.filter { $0 }.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func deletesAskToo(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            try await WebhookTests.hook(app, receiver, "label", ["hook": "before_delete"])
            let id = try await app.make("label", ["text": "a"])
            receiver.react([.answer(403)])
            #expect(try await app.delete("label/\(id)").status == 502)
            #expect(try await app.get("label/\(id)").status == 200)
            #expect(try await app.delete("label/\(id)").status == 200)
            #expect(try await app.get("label/\(id)").status == 404)
            #expect(receiver.received.map { $0.json["event"] } == ["before_delete", "before_delete"])
            #expect(receiver.received.map { $0.json["record"]["text"] } == ["a", "a"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBatchAsksWhenAllOfItIsDone(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            try await WebhookTests.hook(app, receiver, "label", Self.before)
            let operations: JSONValue = [
                ["method": "POST", "path": "label", "body": ["text": "a"]],
                ["method": "POST", "path": "label", "body": ["text": "b"]],
            ]
            receiver.react([.answer(200), .answer(418)])
            let answer = try await app.post("_batch", ["operations": operations])
            #expect(answer.status == 502 && answer["error"]["details"][0]["field"] == "operations[1]", "\(answer)")
            #expect(answer["error"]["details"][0]["status"] == 418)
            #expect(try await app.get("label")["meta"]["total"] == 0)
            #expect(try await app.post("_batch", ["operations": operations]).status == 200)
            // One that fails by itself asks nobody.
            #expect(try await app.post("_batch", ["operations": operations]).status == 409)
            #expect(receiver.received.count == 4)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsRefusedAnywayAsksNobody(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"])
            let ranked = [PermissionTests.condition("rank", "eq", 1)]
            try await PermissionTests.allow(app, "create", "label", ["clerk"], ranked)
            try await WebhookTests.hook(app, receiver, "label", Self.before)
            _ = try await app.make("label", ["text": "a"])
            #expect(try await app.post("label", ["text": "a"]).status == 409)
            #expect(try await app.post("label", ["rank": "no number"]).status == 422)
            #expect(try await clerk.app.post("label", ["text": "b", "rank": 2]).status == 403)
            #expect(receiver.received.count == 1)
            #expect(try await clerk.app.post("label", ["text": "b", "rank": 1]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func keysThatTheDatabaseNumbersAreTold(store: TestStore) async throws {
        try await TestReceiver.run { receiver in
            try await TestServer.run(store) { server in
                let app = try await server.makeApp()
                let key: JSONValue = ["field": "id", "type": "int", "generated": true]
                let fields: [JSONValue] = [["name": "id", "type": "int"], ["name": "text", "type": "string"]]
                let own: JSONObject = ["primary_key": key, "fields": .array(fields)]
                try await app.makeEntity("ticket", fields: [], extra: own)
                try await WebhookTests.hook(app, receiver, "ticket", Self.before)
                #expect(try await app.post("ticket", ["text": "a"])["data"]["id"] == 1)
                #expect(receiver.received.map { $0.json["record"]["id"] } == [1])
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aGuardIsNotSkippedWhereWritesHaveSetEachOtherOff(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            try await WebhookTests.hook(app, receiver, "label", Self.before)
            let body: JSONValue = ["text": "deep"]
            let depth: HTTPFields = [.init("Rocket-Depth")!: "16"]
            let answer = try await app.send(.post, "label", headers: depth, body: body.jsonBytes)
            #expect(answer.status == 502 && answer.text.contains("16 writes"), "\(answer)")
            #expect(receiver.received.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aConditionThatCantBeEvaluatedIsAViolation(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let condition: JSONObject = ["hook": "before_write", "condition": "'x'.repeat(record.rank).length > 2"]
            try await WebhookTests.hook(app, receiver, "label", condition)
            #expect(try await app.post("label", ["rank": 3]).status == 201)
            let answer = try await app.post("label", ["rank": 1_000_000_000])
            #expect(answer.status == 422 && answer.text.contains("can't be asked"), "\(answer)")
            #expect(receiver.received.count == 1)
        }
    }

    /// Writers that wait one after the other keep no log back, and no writer that asks nobody.
    @Test(arguments: TestStore.allCases)
    func manyThatHangHoldUpNobodyElse(store: TestStore) async throws {
        try await TestReceiver.run { receiver in
            var settings = ServerSettings()
            settings.synchronousCallLimit = .seconds(1)
            try await TestServer.run(store, server: settings) { server in
                let app = try await server.makeApp()
                try await app.makeEntity("label", fields: [["name": "text", "type": "string"]])
                try await app.makeEntity("other", fields: [["name": "text", "type": "string"]])
                try await WebhookTests.hook(app, receiver, "label", Self.before)
                receiver.react(Array(repeating: .hang, count: 6))
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<6 { group.addTask { try await app.post("label", ["text": "a"]).status } }
                    while receiver.received.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
                    let start = ContinuousClock.now
                    #expect(try await app.post("other", ["text": "o"]).status == 201)
                    // Behind each other they take six.
                    #expect(ContinuousClock.now - start < .seconds(4))
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(statuses == Array(repeating: 502, count: 6))
                #expect(try await WebhookTests.logs(app).count == 6)
            }
        }
    }

    @Test func asManyAsHaveRoomWait() async throws {
        try await TestReceiver.run { receiver in
            var settings = ServerSettings()
            settings.waitingWrites = (perApp: 2, total: 5)
            try await TestServer.run(.postgres, server: settings) { server in
                let app = try await server.makeApp()
                try await app.makeEntity("label", fields: [["name": "text", "type": "string"]])
                try await WebhookTests.hook(app, receiver, "label", Self.before)
                for _ in 0..<2 {
                    let before = receiver.received.count
                    receiver.react([.late(700, 200), .late(700, 200)])
                    async let first = app.post("label", ["text": "a"]).status
                    async let second = app.post("label", ["text": "b"]).status
                    while receiver.received.count < before + 2 { try await Task.sleep(for: .milliseconds(5)) }
                    let answer = try await app.post("label", ["text": "c"])
                    #expect(answer.status == 503 && answer.text.contains("wait for webhooks"), "\(answer)")
                    #expect(try await [first, second] == [201, 201])
                }
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func whoIsNoAdministratorLearnsNothingOfTheWay(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"])
            try await PermissionTests.allow(app, "create", "label", ["clerk"])
            let secret: JSONObject = ["hook": "before_write", "headers": ["X-A": "{{env.HIDDEN_NAME}}"]]
            try await WebhookTests.hook(app, receiver, "label", secret)
            let told = try await app.post("label", ["text": "a"])
            #expect(told.status == 502 && told.text.contains("HIDDEN_NAME"), "\(told)")
            let answer = try await clerk.app.post("label", ["text": "a"])
            #expect(answer.status == 502 && !answer.text.contains("HIDDEN_NAME"), "\(answer)")
        }
    }

    /// While a write waits, others see what was there before, and wait no longer than it does.
    @Test(arguments: TestStore.allCases)
    func whoReadsMeanwhileSeesNothingOfIt(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            try await WebhookTests.hook(app, receiver, "label", Self.before)
            receiver.react([.hang])
            async let waiting = app.post("label", ["text": "a"])
            while receiver.received.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            #expect(try await app.get("label")["meta"]["total"] == 0)
            #expect(try await app.post("customer", ["name": "c"]).status == 201)
            #expect(try await waiting.status == 502)
            #expect(try await app.get("label")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatComesBackIsTold(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let id = try await app.make("customer", ["name": "c"])
            #expect(try await app.delete("customer/\(id)").status == 200)
            try await WebhookTests.hook(app, receiver, "customer")
            try await WebhookTests.hook(app, receiver, "customer", Self.before)
            receiver.react([.answer(500)])
            #expect(try await app.post("customer/\(id)/restore", [:]).status == 502)
            #expect(try await app.get("customer/\(id)").status == 404)
            #expect(try await app.post("customer/\(id)/restore", [:]).status == 200)
            try await app.deliver()
            #expect(receiver.received.map { $0.json["event"] } == ["before_write", "before_write", "after_write"])
            let told = try #require(receiver.received.last)
            #expect(told.json["action"] == "update" && told.json["record"]["id"].string == id)
        }
    }

    // MARK: where calls may go

    @Test(arguments: TestStore.allCases)
    func innerAddressesAreRefusedWhenTheyAreSaved(store: TestStore) async throws {
        try await TestServer.run(store, addresses: CallAddresses(refusesInner: true)) { server in
            let app = try await server.makeApp()
            let state: JSONObject = ["name": "state", "type": "string", "enum": ["new", "old"]]
            try await app.makeEntity("label", fields: [.object(state)])
            for url in ["http://127.0.0.1/x", "http://[::1]:99/", "http://169.254.169.254/latest", "http://localhost"] {
                let answer = try await app.post("_admin/webhooks", ["entity": "label", "url": .string(url)])
                #expect(answer.status == 422 && answer["error"]["details"][0]["field"] == "url", "\(url): \(answer)")
            }
            let unknown: JSONValue = ["entity": "label", "url": "https://no-such-host.invalid/x"]
            let made = try await app.post("_admin/webhooks", unknown)
            #expect(made.status == 201, "\(made)")
            let id = made["data"]["id"].string ?? ""
            let inner: JSONValue = ["entity": "label", "url": "http://10.0.0.1/x"]
            #expect(try await app.put("_admin/webhooks/\(id)", inner).status == 422)
            let call: JSONValue = ["type": "webhook", "url": "http://192.168.0.1/", "method": "POST"]
            let machine: JSONObject = [
                "entity": "label", "field": "state", "initial": "new", "states": ["new", "old"],
                "transitions": [["from": "new", "to": "old", "actions": [call]]],
            ]
            let refused = try await app.post("_admin/state-machines", .object(machine))
            #expect(refused.status == 422 && refused.text.contains("transitions[0].actions[0].url"), "\(refused)")
            let file: JSONValue = ["version": 1, "webhooks": [["entity": "label", "url": "http://0x7f000001/"]]]
            let imported = try await app.post("_admin/import", file)
            #expect(imported.status == 422 && imported.text.contains("webhooks[0].url"), "\(imported)")
        }
    }
}
