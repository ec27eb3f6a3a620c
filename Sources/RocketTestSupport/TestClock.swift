package import Foundation
package import RocketModel
import Synchronization

/// A clock that a test turns by hand. Each look at it is a microsecond later, so that what comes later is later.
package final class TestClock: Sendable {
    private let instant: Mutex<Timestamp>

    package init(_ start: String = "2026-03-01T12:00:00Z") {
        instant = Mutex(Timestamp(rfc3339: start) ?? Timestamp(microseconds: 0))
    }

    package func now() -> Timestamp {
        instant.withLock { instant in
            instant = Timestamp(microseconds: instant.microseconds + 1)
            return instant
        }
    }

    /// Makes it the time of the world.
    package func set(to date: Date) {
        let now = now().microseconds
        let wanted = Int64(date.timeIntervalSince1970 * 1_000_000)
        advance(seconds: (wanted - now) / 1_000_000)
    }

    package func advance(seconds: Int64) {
        instant.withLock { $0 = $0.adding(seconds: seconds) }
    }
}
