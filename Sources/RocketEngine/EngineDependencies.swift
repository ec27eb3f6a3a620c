import Foundation
package import Logging
package import RocketModel

/// What the engine takes from the world, so that a test can give it another: the time, chance and the log.
package struct EngineDependencies: Sendable {
    package var now: @Sendable () -> Timestamp
    /// An instant of a clock that nobody sets, on no calendar: for what lasts a while in memory.
    package var uptime: @Sendable () -> Timestamp = { instant(of: CLOCK_MONOTONIC) }
    /// Whether a database across a network bears witness to what the time is; not where a test turns the clock.
    package var databaseTellsTime = true
    package var newID: @Sendable () -> UniqueID
    /// So many bytes that nobody can guess.
    package var randomBytes: @Sendable (Int) -> [UInt8]
    package var logger: Logger
    package var metrics = EngineMetrics()
    /// What goes wrong on purpose; nothing but in tests.
    package var faults = FaultPoints.none

    package init(
        now: @escaping @Sendable () -> Timestamp,
        newID: @escaping @Sendable () -> UniqueID,
        randomBytes: @escaping @Sendable (Int) -> [UInt8],
        logger: Logger
    ) {
        self.now = now
        self.newID = newID
        self.randomBytes = randomBytes
        self.logger = logger
    }

    package static func system(logger: Logger) -> EngineDependencies {
        EngineDependencies(
            now: systemNow,
            newID: {
                var generator = SystemRandomNumberGenerator()
                return .version7(at: systemNow(), random: generator.next())
            },
            randomBytes: { count in
                var generator = SystemRandomNumberGenerator()
                return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            },
            logger: logger
        )
    }

    private static let systemNow: @Sendable () -> Timestamp = { instant(of: CLOCK_REALTIME) }

    private static func instant(of clock: clockid_t) -> Timestamp {
        var time = timespec()
        clock_gettime(clock, &time)
        return Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}
