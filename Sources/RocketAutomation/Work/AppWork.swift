package import RocketEngine
package import RocketModel

/// Work of one kind that waits in the tables of apps.
package protocol AppWork: Sendable {
    /// Claims what is due, as far as there is room for it.
    ///
    /// - Returns: what was claimed, and when there is more to claim: nil for never, as far as is known.
    func claim(in app: AppContext) async throws -> (jobs: [AppJob], next: Timestamp?)

    /// Removes what is done with and old.
    func tidy(_ app: AppContext) async throws
}

/// One piece of work, claimed: what becomes of it is noted in the app. Where it is cancelled it is given back.
package typealias AppJob = @Sendable () async -> Void
