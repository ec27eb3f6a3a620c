package import RocketPlanning
import Synchronization

/// The snapshot in force. A request takes it once.
package final class SnapshotStore: Sendable {
    private let state: Mutex<AppSnapshot>

    package init(_ snapshot: AppSnapshot) {
        state = Mutex(snapshot)
    }

    package var current: AppSnapshot {
        state.withLock { $0 }
    }

    /// Puts a snapshot in force unless a newer one is already.
    package func swap(to snapshot: AppSnapshot) {
        state.withLock { current in
            if snapshot.version > current.version { current = snapshot }
        }
    }
}
