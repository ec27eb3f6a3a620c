import Synchronization

/// The writers that call outside while their transaction is open: one at a time, for nobody else can write meanwhile.
final class CallerQueue: Sendable {
    private struct State {
        var waiting: [(turn: any Turn, since: ContinuousClock.Instant)] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let waitLimit: Duration

    init(waitLimit: Duration) {
        self.waitLimit = waitLimit
    }

    var isEmpty: Bool { count == 0 }
    var count: Int { state.withLock { $0.waiting.count } }

    func add(_ turns: [any Turn]) {
        let now = ContinuousClock.now
        let isClosed = state.withLock { state in
            if !state.isClosed { state.waiting += turns.map { ($0, now) } }
            return state.isClosed
        }
        if isClosed { refuse(turns) }
    }

    /// The one that has waited longest; those that have waited too long are told so.
    func next() -> (any Turn)? {
        let now = ContinuousClock.now
        let (next, expired) = state.withLock { state -> ((any Turn)?, [any Turn]) in
            let expired = state.waiting.prefix { now - $0.since > waitLimit }.map(\.turn)
            state.waiting.removeFirst(expired.count)
            return (state.waiting.isEmpty ? nil : state.waiting.removeFirst().turn, expired)
        }
        for turn in expired { turn.fail(.overloaded) }
        return next
    }

    /// Lets nobody on any more.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting.map(\.turn)
        }
        refuse(waiting)
    }

    private func refuse(_ turns: [any Turn]) {
        for turn in turns { turn.fail(.unavailable(cause: "the database is closed")) }
    }
}
