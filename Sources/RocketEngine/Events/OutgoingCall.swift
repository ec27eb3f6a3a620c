package import RocketModel

/// A call that is ready to be made.
package struct OutgoingCall: Sendable {
    package let call: WebhookCall
    package let body: String
    package let idempotencyKey: String
    /// What it is signed with, sealed; nil for no signature.
    package let sealedSecret: String?
    package let cause: Cause
    package let timeout: Duration
    /// Whether an answer that breaks off counts as none; else its status says what matters.
    package let needsWholeAnswer: Bool

    package init(
        call: WebhookCall,
        body: String,
        idempotencyKey: String,
        sealedSecret: String?,
        cause: Cause,
        timeout: Duration,
        needsWholeAnswer: Bool = false
    ) {
        self.call = call
        self.body = body
        self.idempotencyKey = idempotencyKey
        self.sealedSecret = sealedSecret
        self.cause = cause
        self.timeout = timeout
        self.needsWholeAnswer = needsWholeAnswer
    }
}

/// What has become of a call.
package enum CallOutcome: Sendable {
    /// - Parameter retryAfter: the seconds that the other side asks for.
    case answered(status: Int, body: String, retryAfter: Int64?)
    case failed(String)

    package var status: Int? { if case .answered(let status, _, _) = self { status } else { nil } }
    package var body: String? { if case .answered(_, let body, _) = self { body } else { nil } }

    /// Why it does not count as delivered; nil where it does.
    package var problem: String? {
        switch self {
        case .answered(let status, _, _): (200..<300).contains(status) ? nil : "it answered \(status)"
        case .failed(let words): words
        }
    }
}

/// Who makes calls to the world outside; the engine itself knows no network.
package protocol OutsideCaller: Sendable {
    /// Makes a call, within its time.
    func send(_ call: OutgoingCall) async -> CallOutcome

    /// Why no call may go to an address, as far as is known now; nil where one may, or where its name leads nowhere yet.
    func refusal(of url: String) async -> String?
}
