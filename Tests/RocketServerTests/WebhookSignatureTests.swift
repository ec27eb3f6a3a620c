import Foundation
import RocketModel
import RocketTestSupport
import Testing

/// What is signed is accepted by the verifier of those who wrote the specification: `standardwebhooks` of the Python
/// Package Index, which `scripts/setup.sh --test` installs.
struct WebhookSignatureTests {
    private static let program = """
        import json, sys
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError
        for line in sys.stdin:
            case = json.loads(line)
            try:
                Webhook(case["secret"]).verify(case["body"], case["headers"])
                print("accepted")
            except WebhookVerificationError as refusal:
                print("refused: " + str(refusal))
        """

    /// - Returns: a line for each case.
    private static func verify(_ cases: [JSONValue]) throws -> [String] {
        try PythonProgram.run(program, input: cases.map(\.jsonText).joined(separator: "\n"))
    }

    @Test(arguments: TestStore.allCases)
    func anIndependentVerifierAcceptsWhatIsSigned(store: TestStore) async throws {
        try await WebhookTests.run(store) { server, app, receiver in
            let known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            let made = try await WebhookTests.hook(app, receiver, "label", ["secret": "generate"])
            let given: JSONObject = ["secret": .string(known), "url": .string(receiver.url + "/known")]
            try await WebhookTests.hook(app, receiver, "label", given)
            _ = try await app.make("label", ["text": "grüße, 👋 \"quoted\"\n", "rank": 7])
            // The verifier asks for the instant too, so it is sent at this one.
            server.clock.set(to: Date())
            try await app.deliver()
            #expect(receiver.received.count == 2)
            let generated = try #require(made["data"]["secret"].string)
            var cases: [JSONValue] = []
            for told in receiver.received {
                let secret = told.path == "/known" ? known : generated
                var headers = JSONObject()
                for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
                    headers[name] = .string(try #require(told.headers[name]))
                }
                cases.append(["secret": .string(secret), "body": .string(told.body), "headers": .object(headers)])
                // What was changed on the way is not taken.
                let forged = told.body.replacing("\"rank\":7", with: "\"rank\":8")
                #expect(forged != told.body)
                cases.append(["secret": .string(secret), "body": .string(forged), "headers": .object(headers)])
            }
            let verdicts = try Self.verify(cases)
            #expect(verdicts.map { $0 == "accepted" } == [true, false, true, false], "\(verdicts)")
        }
    }
}
