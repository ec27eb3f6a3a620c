import Crypto
import Foundation
import HTTPTypes
import RocketAutomation
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Webhooks after writes and deletes: what is sent, when, and what becomes of it.
struct WebhookTests {
    /// An app with labels, and a receiver to be told of them.
    static func run(
        _ store: TestStore,
        callTimeout: Duration = TestServer.callTimeout,
        _ test: (TestServer, TestApp, TestReceiver) async throws -> Void
    ) async throws {
        try await TestReceiver.run { receiver in
            try await Till.run(store, callTimeout: callTimeout) { app in try await test(app.server, app, receiver) }
        }
    }

    @discardableResult
    static func hook(
        _ app: TestApp,
        _ receiver: TestReceiver,
        _ entity: String = "label",
        _ more: JSONObject = JSONObject()
    ) async throws -> TestAnswer {
        var object: JSONObject = ["entity": .string(entity), "url": .string(receiver.url + "/told")]
        for member in more.members { object[member.name] = member.value }
        let answer = try await app.post("_admin/webhooks", .object(object))
        guard answer.status == 201 else { throw TestFailure("webhook: \(answer)") }
        return answer
    }

    static func logs(_ app: TestApp, _ query: String = "") async throws -> [TestJSON] {
        try await app.get("_admin/webhook-logs\(query)")["data"].array
    }

    @Test(arguments: TestStore.allCases)
    func aWriteIsToldAfterItsCommit(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            try await Self.hook(app, receiver, "label", ["headers": ["X-Env": "{{env.SHOWN}}!"]])
            let id = try await app.make("label", ["text": "a", "rank": 1])
            #expect(try await app.put("label/\(id)", ["rank": 2]).status == 200)
            #expect(try await Self.logs(app).map { $0["status"] } == ["pending", "pending"])
            try await app.deliver()
            let told = receiver.received
            #expect(told.map(\.path) == ["/told", "/told"] && told.map(\.method) == ["POST", "POST"])
            #expect(told.map { $0.json["action"] } == ["create", "update"])
            let update = told[1].json
            #expect(update["event"] == "after_write" && update["entity"] == "label" && update["record"]["rank"] == 2)
            #expect(
                update["old"]["rank"] == 1 && update["changes"]["rank"]["new"] == 2
                    && update["record"]["id"].string == id
            )
            #expect(update["user"]["roles"][0] == "admin" && update["idempotency_key"].string?.hasPrefix("wh_") == true)
            #expect(told[0].headers["x-env"] == "from the environment!" && told[0].headers["rocket-depth"] == "1")
            #expect(told[1].headers["webhook-id"] == update["idempotency_key"].string)
            let log = try await Self.logs(app)[0]
            #expect(log["status"] == "delivered" && log["attempt"] == 1 && log["response_status"] == 200)
            #expect(log["request_headers"]["X-Env"] == "{{env.SHOWN}}!" && log["record_id"].string == id)
            #expect(
                try await app.get("_admin/webhook-logs/\(log["id"].string ?? "")")["data"]["url"].string == receiver.url
                    + "/told"
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWriteThatDoesNotHappenIsNotTold(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            try await Self.hook(app, receiver)
            _ = try await app.make("label", ["text": "a"])
            #expect(try await app.post("label", ["text": "a"]).status == 409)
            let operations: JSONValue = [
                ["method": "POST", "path": "label", "body": ["text": "b"]],
                ["method": "POST", "path": "label", "body": ["text": "a"]],
            ]
            #expect(try await app.post("_batch", ["operations": operations]).status == 409)
            try await app.deliver()
            #expect(receiver.received.map { $0.json["record"]["text"] } == ["a"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func failuresAreTriedAgainOnSchedule(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.hook(app, receiver)
            _ = try await app.make("label", ["text": "a"])
            receiver.react([.answer(500, body: "no"), .answer(301, headers: ["Location": "/elsewhere"])])
            try await app.deliver()
            var log = try await Self.logs(app)[0]
            #expect(log["status"] == "retrying" && log["error"] == "it answered 500" && log["response_body"] == "no")
            server.clock.advance(seconds: 59)
            try await app.deliver()
            #expect(receiver.received.count == 1)
            server.clock.advance(seconds: 8)
            try await app.deliver()
            #expect(receiver.received.count == 2)
            server.clock.advance(seconds: 133)
            try await app.deliver()
            log = try await Self.logs(app)[0]
            #expect(receiver.received.count == 3 && log["status"] == "delivered" && log["attempt"] == 3)
            #expect(receiver.received.allSatisfy { $0.path == "/told" && $0.body == receiver.received[0].body })
            #expect(Set(receiver.received.map { $0.headers["webhook-id"] ?? "" }).count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatNeverAnswersFailsInTheEndAndCanBeSentByHand(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.hook(app, receiver, "label", ["retry": ["max_attempts": 2, "backoff": "linear"]])
            _ = try await app.make("label", ["text": "a"])
            receiver.react([.hang, .reset])
            try await app.deliver()
            #expect(try await Self.logs(app)[0]["error"] == "no answer in time")
            server.clock.advance(seconds: 34)
            try await app.deliver()
            let failed = try await Self.logs(app, "?status=failed")[0]
            #expect(failed["attempt"] == 2 && failed["next_retry_at"].value == .null)
            let path = "_admin/webhook-logs/\(failed["id"].string ?? "")/retry"
            #expect(try await app.post(path, [:]).status == 200)
            try await app.deliver()
            #expect(try await Self.logs(app)[0]["status"] == "delivered")
            #expect(try await app.post(path, [:]).status == 422)
        }
    }

    @Test(arguments: TestStore.allCases)
    func goneEndsItAndRetryAfterIsHonoured(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.hook(app, receiver)
            _ = try await app.make("label", ["text": "a"])
            receiver.react([.answer(429, headers: ["Retry-After": "600"]), .answer(410)])
            try await app.deliver()
            server.clock.advance(seconds: 599)
            try await app.deliver()
            #expect(receiver.received.count == 1)
            server.clock.advance(seconds: 62)
            try await app.deliver()
            #expect(receiver.received.count == 2)
            let log = try await Self.logs(app)[0]
            #expect(log["status"] == "failed" && log["attempt"] == 2 && log["response_status"] == 410)
        }
    }

    @Test(arguments: TestStore.allCases)
    func deliveriesOfARecordComeInOrderAndHoldUpNoOther(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.hook(app, receiver)
            let first = try await app.make("label", ["text": "first", "rank": 1])
            #expect(try await app.put("label/\(first)", ["rank": 2]).status == 200)
            receiver.react([.answer(500)])
            try await app.deliver()
            _ = try await app.make("label", ["text": "second"])
            try await app.deliver()
            #expect(receiver.received.map { $0.json["record"]["text"] } == ["first", "second"])
            server.clock.advance(seconds: 67)
            try await app.deliver()
            #expect(receiver.received.dropFirst(2).map { $0.json["action"] } == ["create", "update"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aSecretIsShownOnceAndSigns(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            let made = try await Self.hook(app, receiver, "label", ["secret": "generate"])
            let secret = try #require(made["data"]["secret"].string)
            let id = made["data"]["id"].string ?? ""
            #expect(secret.hasPrefix("whsec_"))
            #expect(try await app.get("_admin/webhooks/\(id)")["data"]["secret"] == "********")
            #expect(try await !app.get("_admin/export").text.contains("secret"))
            // What is read can be sent back, and the secret stays.
            var read = try #require(try await app.get("_admin/webhooks/\(id)")["data"].value.objectValue)
            read["condition"] = "record.rank > 0"
            #expect(try await app.put("_admin/webhooks/\(id)", .object(read)).status == 200)
            _ = try await app.make("label", ["text": "not told", "rank": 0])
            _ = try await app.make("label", ["text": "told", "rank": 1])
            try await app.deliver()
            let told = try #require(receiver.received.first)
            #expect(receiver.received.count == 1)
            let key = try #require(Data(base64Encoded: String(secret.dropFirst(6))))
            let signed = "\(told.headers["webhook-id"] ?? "").\(told.headers["webhook-timestamp"] ?? "").\(told.body)"
            let code = HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: SymmetricKey(data: key))
            #expect(told.headers["webhook-signature"] == "v1," + Data(code).base64EncodedString())
            #expect(
                try await app.post("_admin/webhooks", ["entity": "label", "url": "http://x", "secret": "easy"]).status
                    == 422
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func deletesAndWhatGoesWithThemAreTold(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            try await Self.hook(app, receiver, "sale", ["hook": "after_delete"])
            try await Self.hook(app, receiver, "line", ["hook": "after_delete"])
            let id = try await app.make("sale", ["title": "t", "lines": [["name": "l", "qty": 1]]])
            #expect(try await app.delete("sale/\(id)").status == 200)
            try await app.deliver()
            let told = receiver.received.map { [$0.json["entity"], $0.json["action"], $0.json["event"]] }
            #expect(told.contains { $0 == ["sale", "delete", "after_delete"] } && told.count == 2, "\(told)")
            #expect(told.contains { $0 == ["line", "delete", "after_delete"] }, "\(told)")
        }
    }

    /// The status has said what matters.
    @Test(arguments: TestStore.allCases)
    func anAnswerThatDoesNotEndIsBounded(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            try await Self.hook(app, receiver)
            receiver.react([.stall(200), .answer(500, body: String(repeating: "ü\u{0}", count: 300_000))])
            _ = try await app.make("label", ["text": "stalls"])
            let start = ContinuousClock.now
            try await app.deliver()
            #expect(ContinuousClock.now - start < .seconds(20))
            _ = try await app.make("label", ["text": "huge"])
            try await app.deliver()
            let logs = try await Self.logs(app)
            #expect(logs[1]["status"] == "delivered" && logs[1]["response_body"] == "begun", "\(logs[1])")
            #expect(logs[0]["status"] == "retrying" && logs[0]["response_status"] == 500)
            let kept = logs[0]["response_body"].string ?? ""
            #expect(kept.hasPrefix("ü") && (1000...65_536).contains(kept.utf8.count))
        }
    }

    /// Clients end the process at a port or a status that there can't be.
    @Test(arguments: TestStore.allCases)
    func portsAndStatusesThatThereCantBeHarmNobody(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            let urls = [
                "http://127.0.0.1:99999/", "https://[::1]:70000/", "http://localhost:0/", "http://x:1x/", "http://",
                "http://:80/", "http://u:p@x/", "http://x/{{env.A}}", "ftp://x/", "http://x y/",
            ]
            for url in urls {
                let answer = try await app.post("_admin/webhooks", ["entity": "label", "url": .string(url)])
                #expect(answer.status == 422 && answer["error"]["details"][0]["field"] == "url", "\(url): \(answer)")
            }
            for url in ["http://x", "https://x:8443/a?b=c#d", "http://[::1]:80/", "http://[::1]"] {
                let hook: JSONValue = ["entity": "label", "url": .string(url), "active": false]
                #expect(try await app.post("_admin/webhooks", hook).status == 201, "\(url)")
            }
            try await Self.hook(app, receiver)
            receiver.react([.answer(0), .answer(42), .answer(99)])
            for text in ["a", "b", "c"] { _ = try await app.make("label", ["text": .string(text)]) }
            try await app.deliver()
            let logs = try await Self.logs(app)
            #expect(logs.map { $0["status"] } == ["retrying", "retrying", "retrying"], "\(logs)")
            #expect(logs.allSatisfy { $0["error"].string?.isEmpty == false }, "\(logs)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatCantBeSentIsNotQueuedByHand(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            let id = try await Self.hook(app, receiver)["data"]["id"].string ?? ""
            _ = try await app.make("label", ["text": "a"])
            receiver.react([.answer(410)])
            try await app.deliver()
            #expect(try await app.delete("_admin/webhooks/\(id)").status == 200)
            let log = try await Self.logs(app)[0]["id"].string ?? ""
            let answer = try await app.post("_admin/webhook-logs/\(log)/retry", [:])
            #expect(answer.status == 422 && answer.text.contains("not there any more"), "\(answer)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDepthThatCantBeReadIsTheMost(store: TestStore) async throws {
        try await Self.run(store) { _, app, receiver in
            try await Self.hook(app, receiver)
            for (index, depth) in ["99999999999999999999", "16.0", "-1", "x"].enumerated() {
                let body: JSONValue = ["text": .string("t\(index)")]
                let headers: HTTPFields = [.init("Rocket-Depth")!: depth]
                #expect(try await app.send(.post, "label", headers: headers, body: body.jsonBytes).status == 201)
            }
            try await app.deliver()
            #expect(receiver.received.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func writesThatSetEachOtherOffEnd(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.hook(app, receiver)
            let body: JSONValue = ["text": "deep"]
            let answer = try await app.send(
                .post,
                "label",
                headers: [.init("Rocket-Depth")!: "16"],
                body: body.jsonBytes
            )
            #expect(answer.status == 201)
            try await app.deliver()
            #expect(receiver.received.isEmpty)
            let log = try await Self.logs(app)[0]
            #expect(log["status"] == "failed" && log["error"].string?.hasPrefix("not sent: 16 writes") == true)
        }
    }

    @Test(arguments: [
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "fe80::1", "fd00::1", "0.0.0.0", "2130706433", "0177.0.0.1", "0x7f.1", "localhost",
    ])
    func innerAddressesAreRefusedInProduction(host: String) async throws {
        let addresses = CallAddresses(refusesInner: true)
        await #expect(throws: CallAddresses.Refusal.self) { _ = try await addresses.lookUp(host).get() }
    }

    /// However a host is spelt, what is checked is what would be connected to.
    @Test(arguments: [
        "127.0.0.1", "LOCALHOST", "localhost.", "127%2e0%2e0%2e1", "2130706433", "0x7f000001", "[::1]",
        "[::ffff:127.0.0.1]", "user@127.0.0.1", "①②⑦.0.0.1",
    ])
    func noSpellingOfAHostGetsPastTheCheck(host: String) async throws {
        try await TestReceiver.run { receiver in
            let port = receiver.url.split(separator: ":").last ?? ""
            let secrets = Secrets(jwt: "", platformJWT: "", encryption: "")
            let sender = CallSender(
                addresses: CallAddresses(refusesInner: true),
                templates: HeaderTemplate(environment: [:]),
                secretBox: SecretBox(secrets),
                now: { Timestamp(microseconds: 0) }
            )
            let outcome = await sender.send(
                OutgoingCall(
                    call: WebhookCall(url: "http://\(host):\(port)/x", method: "POST", headers: [:]),
                    body: "{}",
                    idempotencyKey: "wh_1",
                    sealedSecret: nil,
                    cause: .none,
                    timeout: .seconds(2)
                )
            )
            await sender.close()
            guard case .failed = outcome else { throw TestFailure("\(host): \(outcome)") }
            #expect(receiver.received.isEmpty, "\(host)")
        }
    }

    @Test func publicAndAllowedAddressesAreCalled() async throws {
        let addresses = CallAddresses(refusesInner: true, allowed: [try IPNetwork("10.0.0.0/8")])
        #expect(try await addresses.lookUp("8.8.8.8").get().count == 1)
        #expect(try await addresses.lookUp("2606:4700::1111").get().count == 1)
        #expect(try await addresses.lookUp("10.1.2.3").get().count == 1)
    }
}
