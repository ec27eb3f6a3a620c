import Synchronization

/// The least version that each user's access tokens must have. Only users whose version was raised within the life
/// of an access token are in it.
package final class TokenFloors: Sendable {
    private let state: Mutex<(floors: [String: Int64], version: Int64)>

    package init(_ floors: [String: Int64] = [:]) {
        state = Mutex((floors, 0))
    }

    /// Which state of the database is known here.
    var version: Int64 { state.withLock { $0.version } }

    /// Takes over what the database had at a version.
    func merge(_ found: [String: Int64], at version: Int64) {
        state.withLock { state in
            state.floors.merge(found, uniquingKeysWith: max)
            state.version = max(state.version, version)
        }
    }

    package func raise(_ userID: String, to version: Int64) {
        state.withLock { $0.floors[userID] = max($0.floors[userID] ?? 0, version) }
    }

    package func allows(_ userID: String, version: Int64) -> Bool {
        state.withLock { ($0.floors[userID] ?? 0) <= version }
    }
}
