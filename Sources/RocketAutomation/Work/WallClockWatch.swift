import RocketModel

/// Notices that the clock of the wall was set back, by the clock that only goes on.
struct WallClockWatch {
    /// Less is what clocks do that are being kept right.
    private static let leastMicroseconds: Int64 = 60_000_000

    private let start = ContinuousClock.now
    /// How far the wall's clock is ahead of the other.
    private var lead: Int64?

    mutating func wasSetBack(_ now: Timestamp) -> Bool {
        let passed = (ContinuousClock.now - start).components
        let lead = now.microseconds - passed.seconds * 1_000_000 - passed.attoseconds / 1_000_000_000_000
        defer { self.lead = lead }
        return self.lead.map { $0 - lead > Self.leastMicroseconds } ?? false
    }
}
