import Synchronization

/// Looks whether something has changed. Whoever asks gets the outcome of a look that began after they asked, so that
/// none is lost while another one runs; those who ask meanwhile share the next one.
final class SharedCheck: Sendable {
    private struct State {
        var running: Task<Void, any Error>?
        /// Waits for the running one; it has not looked yet.
        var next: Task<Void, any Error>?
        /// When the last look began that told something.
        var lastGood: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    /// Whether the last look that told something began longer ago, or there was none.
    func isOlder(than age: Duration) -> Bool {
        state.withLock { state in state.lastGood.map { ContinuousClock.now - $0 > age } ?? true }
    }

    var isRunning: Bool { state.withLock { $0.running != nil } }

    /// - Parameter look: the same at every call.
    func run(_ look: @escaping @Sendable () async throws -> Void) async throws {
        let task = state.withLock { state -> Task<Void, any Error> in
            if let next = state.next { return next }
            if let running = state.running {
                let next = Task {
                    _ = await running.result
                    self.promote()
                    try await self.perform(look)
                }
                state.next = next
                return next
            }
            let task = Task { try await self.perform(look) }
            state.running = task
            return task
        }
        try await task.value
    }

    private func promote() {
        state.withLock { state in
            state.running = state.next
            state.next = nil
        }
    }

    private func perform(_ look: @Sendable () async throws -> Void) async throws {
        let start = ContinuousClock.now
        defer { state.withLock { state in if state.next == nil { state.running = nil } } }
        try await look()
        state.withLock { $0.lastGood = start }
    }
}
