import Synchronization

/// The least version that each user's access tokens must have. Only users whose version was raised within the life
/// of an access token are in it.
package final class TokenFloors: Sendable {
    private let floors: Mutex<[String: Int64]>

    package init(_ floors: [String: Int64]) {
        self.floors = Mutex(floors)
    }

    package func raise(_ userID: String, to version: Int64) {
        floors.withLock { $0[userID] = max($0[userID] ?? 0, version) }
    }

    package func allows(_ userID: String, version: Int64) -> Bool {
        floors.withLock { ($0[userID] ?? 0) <= version }
    }
}
