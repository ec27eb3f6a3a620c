import RocketModel
import Synchronization

/// How many uploads a server takes at once: each holds a connection and a file for as long as its client likes.
final class UploadSlots: Sendable {
    private static let maximum = 64
    private let taken = Mutex(0)

    /// - Throws: 503 where all are taken.
    func take() throws(RequestFailure) {
        let isFree = taken.withLock { taken in
            guard taken < Self.maximum else { return false }
            taken += 1
            return true
        }
        guard isFree else { throw .unavailable("\(Self.maximum) files are being uploaded already; try again shortly") }
    }

    func giveBack() { taken.withLock { $0 -= 1 } }
}
