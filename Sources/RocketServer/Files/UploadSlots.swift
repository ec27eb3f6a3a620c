import RocketModel
import Synchronization

/// How many uploads a server takes at once: each holds a connection and a file for as long as its client likes. One user
/// can't have all of them.
final class UploadSlots: Sendable {
    private static let maximum = 64
    private static let maximumOfOne = 8
    private let taken = Mutex<[String: Int]>([:])

    /// - Parameter user: an app's name and a user's id.
    /// - Throws: 429 where the user has as many as one may, 503 where all are taken.
    func take(for user: String) throws(RequestFailure) {
        let refusal = taken.withLock { taken -> RequestFailure? in
            let own = taken[user] ?? 0
            guard own < Self.maximumOfOne else {
                return RequestFailure(
                    .rateLimited,
                    "You are uploading \(Self.maximumOfOne) files at once already, which is the most that a user may",
                    retryAfterSeconds: 5
                )
            }
            guard taken.values.reduce(0, +) < Self.maximum else {
                return .unavailable("\(Self.maximum) files are being uploaded already; try again shortly")
            }
            taken[user] = own + 1
            return nil
        }
        if let refusal { throw refusal }
    }

    func giveBack(of user: String) {
        taken.withLock { taken in
            let left = (taken[user] ?? 1) - 1
            taken[user] = left > 0 ? left : nil
        }
    }
}
