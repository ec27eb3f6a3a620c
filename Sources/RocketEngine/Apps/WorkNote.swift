import Logging
import RocketDatabase
package import RocketModel
import RocketPlanning
import Synchronization

/// What is known of the work that waits in an app: by this server, and in the list of apps, where other servers look, and
/// this one when it has been away.
package final class WorkNote: Sendable {
    private struct State {
        /// When this server has last noted in the list that there is work.
        var noted: Timestamp?
        /// Whether something may have been left in the app since it was last looked at.
        var isExpected = false
        var isLookedAt = false
        /// When the next of it is due, as of that look; nil for none.
        var next: Timestamp?
        /// The work that runs; none begins once the app is being deleted.
        var running: Set<Task<Void, Never>> = []
        var isEnding = false
    }

    /// What a look at the app has told.
    struct Look {
        let next: Timestamp?
    }

    private let state = Mutex(State())

    /// While writes leave work, so often the list is told. It is never told that there is none before many times that has
    /// passed since.
    private static let noteSeconds: Int64 = 10
    package static let restSeconds: Int64 = 120

    /// Before a commit that leaves work.
    ///
    /// - Returns: whether the list must be told.
    func expect(at now: Timestamp) -> Bool {
        state.withLock { state in
            state.isExpected = true
            guard let noted = state.noted else { return true }
            return noted > now || now >= noted.adding(seconds: Self.noteSeconds)
        }
    }

    /// The list is told; until then nobody relies on it.
    func noted(at now: Timestamp) { state.withLock { $0.noted = now } }

    /// Something is being done in the app.
    package func begins(_ task: Task<Void, Never>) {
        let isEnding = state.withLock { state in
            if !state.isEnding { state.running.insert(task) }
            return state.isEnding
        }
        if isEnding { task.cancel() }
    }

    package func ends(_ task: Task<Void, Never>) { state.withLock { _ = $0.running.remove(task) } }

    /// The app is being deleted: what is done in it ends now.
    func end() {
        let running = state.withLock { state in
            state.isEnding = true
            defer { state.running = [] }
            return state.running
        }
        for task in running { task.cancel() }
    }

    /// After a look at the app.
    package func looked(next: Timestamp?) {
        state.withLock { state in
            state.isExpected = false
            state.isLookedAt = true
            state.next = next
        }
    }

    /// Whether nothing is due until an instant, as far as this server knows.
    func rests(until instant: Timestamp) -> Bool {
        state.withLock { state in !state.isExpected && state.next.map { $0 > instant } ?? true }
    }

    /// When something is due, by a look at the app; nil where nobody has looked.
    var known: Look? { state.withLock { $0.isLookedAt ? Look(next: $0.next) : nil } }
}

extension AppContext {
    /// Notes in the list of apps that this one will have work to do. Called before the commit, so that whatever crashes
    /// then, somebody looks.
    package func expectWork(_ dependencies: EngineDependencies) async {
        let now = dependencies.now()
        guard work.expect(at: now) else { return }
        do {
            try await noteWork(now)
            work.noted(at: now)
        } catch {
            // It is a hint: this server does the work as long as it lives.
            dependencies.logger.warning("work could not be noted", metadata: ["app": "\(name)", "cause": "\(error)"])
        }
    }
}

extension AppRegistry {
    /// The apps whose work is due before an instant, as the list of apps says.
    package func namesWithWork(before instant: Timestamp) async throws -> [String] {
        let list = store.withWork(before: instant, notedAfter: ClockSkew.bound(at: dependencies.now()))
        return try await management.read([list])[0].rows.compactMap { $0.first?.textValue }
    }

    /// Takes an app whose work is not due soon off the list of those with work, or notes when it will be.
    package func settleWork(of context: AppContext) async throws {
        let now = dependencies.now()
        guard let known = context.work.known, context.work.rests(until: now.adding(seconds: Self.leadSeconds)) else {
            return
        }
        let settled = store.settleWork(
            context.stored,
            due: known.next,
            unlessNotedSince: now.adding(seconds: -WorkNote.restSeconds)
        )
        _ = try await management.write([settled])
    }

    /// Brings nearer what a clock put off in an app that was ahead, and the note of it in the list of apps. Until that is
    /// done the app stays on the list of those with work, and so open.
    ///
    /// - Parameter steadiness: for how long the clock was seen to go steadily.
    package func rewind(_ context: AppContext, steadyFor steadiness: Duration) async throws {
        guard try await context.trustsClock(steadyFor: steadiness, dependencies),
            try await context.rewind(dependencies)
        else { return }
        let now = dependencies.now()
        let note = store.renoteWork(context.stored, now: now, notedAfter: ClockSkew.bound(at: now))
        _ = try await management.write([note])
    }

    /// How many apps work may hold open at once.
    package var maximumWorking: Int { max(1, settings.maximumOpen / 2) }

    /// Apps are opened so long before their work is due, and stay open.
    package static let leadSeconds: Int64 = 60
}
