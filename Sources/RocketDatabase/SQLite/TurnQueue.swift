import Dispatch
import RocketPlanning
import Synchronization

/// A caller that waits for its turn at a connection.
protocol Turn: Sendable {
    var mode: WriteMode { get }
    /// See ``TransactionScript/isBrief``.
    var isBrief: Bool { get }
    /// Runs a reading script and answers the caller.
    func runReading(_ access: borrowing SQLiteAccess)
    /// Runs a writing script, from the start or from where it has called, and keeps its outcome until ``succeed()`` or
    /// ``fail(_:)``.
    ///
    /// - Returns: what it must wait for before it goes on; nil at its end.
    /// - Throws: what made the script fail.
    func advanceWriting(_ access: borrowing SQLiteAccess) throws -> OutsideCall?
    /// Forgets how far the script has come.
    func startOver()
    /// The commit holds: gives the caller the outcome of ``advanceWriting(_:)``.
    func succeed()
    func fail(_ failure: DatabaseFailure)
    func fail(with error: any Error)
}

/// The callers that wait for a set of workers. It decides who runs next and when a worker must be woken; it runs
/// nothing itself.
///
/// To wake a worker costs more than a brief turn takes. So a few callers wait for one that runs brief turns, while the
/// others sleep on; for one that runs anything else nobody waits who need not.
final class TurnQueue: Sendable {
    enum Admission {
        case added
        /// Added, and this worker sleeps: wake it.
        case addedAndWake(worker: Int)
        case refused(DatabaseFailure)
    }

    private struct State {
        /// Waiting turns from `head` on; those before it are taken.
        var waiting: [(turn: any Turn, since: ContinuousClock.Instant)] = []
        var head = 0
        var sleeping: [Int]
        /// Workers that run what is not brief.
        var lasting: Set<Int> = []
        var isWatched = false
        var isClosed = false
    }

    struct Taken {
        var turns: [any Turn] = []
        /// A worker that sleeps and is needed.
        var wakes: Int?
    }

    /// As many wait for a worker that runs brief turns before another one is woken.
    private static let patience = 8

    private let state: Mutex<State>
    private let workers: Int
    private let limit: Int
    private let waitLimit: Duration

    init(workers: Int, limit: Int, waitLimit: Duration) {
        state = Mutex(State(sleeping: Array((0..<workers).reversed())))
        self.workers = workers
        self.limit = limit
        self.waitLimit = waitLimit
    }

    func add(_ turn: any Turn) -> Admission {
        let now = ContinuousClock.now
        let (admission, mustWatch) = state.withLock { state in
            let admission = admit(turn, now, &state)
            let mustWatch = !state.isWatched && state.head < state.waiting.count
            state.isWatched = state.isWatched || mustWatch
            return (admission, mustWatch)
        }
        if mustWatch { watch() }
        return admission
    }

    /// Looks once a second for those who have waited too long, while anybody waits at all.
    private func watch() {
        DispatchQueue.global().asyncAfter(deadline: .now() + 1) { [weak self] in
            guard let self else { return }
            let now = ContinuousClock.now
            let (expired, mustGoOn) = state.withLock { state -> ([any Turn], Bool) in
                var expired: [any Turn] = []
                while state.head < state.waiting.count, now - state.waiting[state.head].since > waitLimit {
                    expired.append(state.waiting[state.head].turn)
                    state.head += 1
                }
                state.isWatched = state.head < state.waiting.count
                return (expired, state.isWatched)
            }
            for turn in expired { turn.fail(.overloaded) }
            if mustGoOn { watch() }
        }
    }

    private func admit(_ turn: any Turn, _ now: ContinuousClock.Instant, _ state: inout State) -> Admission {
        if state.isClosed { return .refused(.unavailable(cause: "the database is closed")) }
        if state.waiting.count - state.head >= limit { return .refused(.overloaded) }
        state.waiting.append((turn, now))
        if isInGoodHands(state) { return .added }
        return state.sleeping.popLast().map(Admission.addedAndWake(worker:)) ?? .added
    }

    /// Whether those who wait will soon be taken by a worker that is awake.
    private func isInGoodHands(_ state: State) -> Bool {
        let brief = workers - state.sleeping.count - state.lasting.count
        return brief > 0 && state.waiting.count - state.head <= brief * Self.patience
    }

    /// The next turns of a worker that is awake; none puts the worker to sleep. A turn that runs alone comes by itself.
    ///
    /// - Parameter orSleep: false where the worker has more to do.
    func take(upTo count: Int, worker: Int, orSleep: Bool = true) -> Taken {
        let now = ContinuousClock.now
        var expired: [any Turn] = []
        let taken = state.withLock { state -> Taken in
            var taken: [any Turn] = []
            while taken.count < count, state.head < state.waiting.count {
                let (turn, since) = state.waiting[state.head]
                if now - since > waitLimit {
                    expired.append(turn)
                } else if turn.mode == .alone, !taken.isEmpty {
                    break
                } else {
                    taken.append(turn)
                }
                state.head += 1
                if turn.mode == .alone, !taken.isEmpty { break }
            }
            if state.head == state.waiting.count {
                state.waiting.removeAll(keepingCapacity: true)
                state.head = 0
            } else if state.head > 256 {
                state.waiting.removeFirst(state.head)
                state.head = 0
            }
            if taken.isEmpty, orSleep { state.sleeping.append(worker) }
            if taken.allSatisfy(\.isBrief) { state.lasting.remove(worker) } else { state.lasting.insert(worker) }
            let isWanting = state.head < state.waiting.count && !isInGoodHands(state)
            return Taken(turns: taken, wakes: isWanting ? state.sleeping.popLast() : nil)
        }
        for turn in expired { turn.fail(.overloaded) }
        return taken
    }

    /// How many workers are awake, and how many callers wait.
    var load: (busy: Int, waiting: Int) {
        state.withLock { (workers - $0.sleeping.count, $0.waiting.count - $0.head) }
    }

    /// Takes no more; gives back those who wait.
    func close() -> [any Turn] {
        state.withLock { state in
            state.isClosed = true
            let waiting = state.waiting[state.head...].map(\.turn)
            state.waiting = []
            state.head = 0
            return waiting
        }
    }
}

/// A caller with its script. The outcome waits here for the commit.
///
/// The continuation is unsafe, for a checked one costs each request an allocation. It is resumed exactly once: a turn is in
/// one place at a time, the queue that waits, the batch or the reader that took it out of there, or ``CallerQueue``, and
/// each hands it on or ends it: a reader by ``runReading(_:)``, which does so on both of its ways, a writer by
/// ``succeed()`` after the commit or ``fail(with:)``, never both, and who closes a queue fails what is in it.
final class ScriptTurn<Script: TransactionScript>: Turn {
    let mode: WriteMode
    var isBrief: Bool { script.isBrief }
    private let script: Script
    private let continuation: UnsafeContinuation<Script.Outcome, any Error>
    private let outcome = Mutex<Script.Outcome?>(nil)
    /// The script where it has called.
    private let running = Mutex<Script?>(nil)

    init(_ script: Script, _ mode: WriteMode, _ continuation: UnsafeContinuation<Script.Outcome, any Error>) {
        self.script = script
        self.mode = mode
        self.continuation = continuation
    }

    func runReading(_ access: borrowing SQLiteAccess) {
        do {
            continuation.resume(returning: try access.readConsistently(script))
        } catch {
            continuation.resume(throwing: error)
        }
    }

    func advanceWriting(_ access: borrowing SQLiteAccess) throws -> OutsideCall? {
        var script = running.withLock { $0.take() } ?? script
        switch try access.advance(&script, mode: mode) {
        case .done(let result):
            outcome.withLock { $0 = result }
            return nil
        case .calls(let call):
            running.withLock { [script] in $0 = script }
            return call
        }
    }

    func startOver() {
        running.withLock { $0 = nil }
        outcome.withLock { $0 = nil }
    }

    func succeed() {
        guard let result = outcome.withLock({ $0.take() }) else {
            preconditionFailure("a turn succeeds after it has run")
        }
        continuation.resume(returning: result)
    }

    func fail(_ failure: DatabaseFailure) {
        continuation.resume(throwing: failure)
    }

    func fail(with error: any Error) {
        continuation.resume(throwing: error)
    }
}
