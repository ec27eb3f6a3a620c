import Logging
import Synchronization

/// Writes that a database is away once a second, and how often it was met: under load every request meets it.
final class OutageLog: Sendable {
    private let state = Mutex<(last: ContinuousClock.Instant?, unsaid: Int)>((nil, 0))

    func log(_ cause: String, _ logger: Logger) {
        let now = ContinuousClock.now
        let count = state.withLock { state -> Int? in
            state.unsaid += 1
            if let last = state.last, now - last < .seconds(1) { return nil }
            defer { state = (now, 0) }
            return state.unsaid
        }
        guard let count else { return }
        logger.error("database unavailable", metadata: ["cause": "\(cause)", "requests": "\(count)"])
    }
}
