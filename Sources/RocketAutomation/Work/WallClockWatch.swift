import RocketModel

/// Knows since when the clock of the wall goes as steadily as the one that nobody sets. A machine that boots with a wrong
/// clock, or whose clock is set wrong, is set right within minutes; what was steady for longer is taken for right.
struct WallClockWatch {
    /// Less is what clocks do that are being kept right.
    private static let tolerance: Int64 = 60_000_000
    private static let steadiness = Duration.seconds(300)
    private static let interval = Duration.seconds(600)

    private let start = ContinuousClock.now
    private var lead: Int64?
    private var steadySince = ContinuousClock.now
    private var rewoundAt: ContinuousClock.Instant?

    /// For how long the clock of the wall has gone steadily.
    mutating func steadiness(_ now: Timestamp, at instant: ContinuousClock.Instant = .now) -> Duration {
        let passed = (instant - start).components
        let lead = now.microseconds - passed.seconds * 1_000_000 - passed.attoseconds / 1_000_000_000_000
        if self.lead.map({ abs($0 - lead) > Self.tolerance }) ?? true {
            self.lead = lead
            (steadySince, rewoundAt) = (instant, nil)
        }
        return instant - steadySince
    }

    /// Whether it is time to bring nearer what clocks put off that were ahead: once this one has been steady for five
    /// minutes, and again every ten, for others' clocks.
    mutating func mayRewind(_ now: Timestamp, at instant: ContinuousClock.Instant = .now) -> Bool {
        guard steadiness(now, at: instant) >= Self.steadiness else { return false }
        if let rewoundAt, instant - rewoundAt < Self.interval { return false }
        rewoundAt = instant
        return true
    }
}
