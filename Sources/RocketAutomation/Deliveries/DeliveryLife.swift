package import RocketDatabase
package import RocketEngine
package import RocketModel

/// What becomes of a delivery after each try, without any I/O: time and chance are passed in.
package struct DeliveryLife: Sendable {
    /// How often it was tried.
    private let attempt: Int
    private let maximumAttempts: Int
    private let backoff: Backoff

    package init(attempt: Int, maximumAttempts: Int, backoff: Backoff) {
        self.attempt = attempt
        self.maximumAttempts = maximumAttempts
        self.backoff = backoff
    }

    /// The first pause, of a linear backoff each further one too.
    private static let pause: Int64 = 30
    /// No pause is longer than a day, whoever asks for it.
    private static let longestPause: Int64 = 86_400
    /// Of the pause, added by chance, so that what failed together is not tried together.
    private static let jitter = 0.1
    /// The endpoint is gone for good (RFC 9110 part 15.5.11).
    private static let gone = 410

    /// - Parameter chance: from 0 up to 1.
    package func after(_ outcome: CallOutcome, at now: Timestamp, milliseconds: Int64, chance: Double) -> DeliveryReport
    {
        let tried = attempt + 1
        let error = outcome.problem
        let retryAfter: Int64 = if case .answered(_, _, let seconds?) = outcome { seconds } else { 0 }
        let isDone = error == nil || outcome.status == Self.gone || tried >= maximumAttempts
        var next: Timestamp?
        if !isDone {
            let pause = min(max(Self.pause(after: tried, backoff), retryAfter), Self.longestPause)
            let spread = Int64(Double(pause) * Self.jitter * chance * 1_000_000)
            next = Timestamp(microseconds: now.microseconds + pause * 1_000_000 + spread)
        }
        return DeliveryReport(
            status: error == nil ? .delivered : isDone ? .failed : .retrying,
            attempt: tried,
            nextTry: next,
            responseStatus: outcome.status,
            responseBody: outcome.body,
            error: error,
            milliseconds: milliseconds
        )
    }

    /// In seconds.
    private static func pause(after tried: Int, _ backoff: Backoff) -> Int64 {
        switch backoff {
        case .linear: pause * Int64(tried)
        case .exponential: min(pause << Int64(min(tried, 20)), longestPause)
        }
    }
}
