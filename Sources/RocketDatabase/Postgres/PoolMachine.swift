/// One connection, over its whole life.
struct SessionID: Hashable, Sendable {
    let number: Int
}

/// The connections to one database.
struct PoolID: Hashable, Sendable {
    let number: Int
}

/// One script that somebody waits for.
struct RunID: Hashable, Sendable {
    let number: Int
}

/// The rules of the connections of this server, without any I/O: who gets which connection, when one is made, and
/// who is turned away. Each database has a pool; all pools together stay under one bound.
///
/// It is told what happens and the time, and says what to do.
struct PoolMachine {
    struct Limits: Sendable {
        /// Connections over all pools.
        var total = 40
        /// Connections of a pool that carry brief reads, several at once.
        var sharing = 2
        /// Brief reads on their way over one connection.
        var sharingDepth = 64
        /// Scripts of a pool that may wait.
        var waiting = 1024
        var wait = Duration.seconds(10)
        /// How long a connection is kept that nobody uses.
        var idle = Duration.seconds(60)
        /// How long those wait who have connections, but too few, before their pool takes another one's.
        var patience = Duration.milliseconds(100)
        var leastBackOff = Duration.milliseconds(50)
        var greatestBackOff = Duration.seconds(1)
    }

    enum Lane: Hashable, Sendable {
        /// A brief read, which may share a connection with others of its kind.
        case sharing
        /// Whatever may be slow or has more than one step: a connection of its own until it ends.
        case own
    }

    enum Action: Hashable, Sendable {
        case connect(SessionID, PoolID)
        case start(RunID, SessionID)
        /// Nobody uses it: end it.
        case close(SessionID)
        case refuse(RunID, Refusal)
    }

    enum Refusal: Hashable, Sendable {
        case overloaded
        case unavailable(cause: String)
    }

    typealias Instant = ContinuousClock.Instant

    private enum Use: Equatable {
        case connecting
        case idle(since: Instant)
        case own
        case sharing(Int)

        var isIdle: Bool {
            if case .idle = self { true } else { false }
        }
    }

    private struct Session {
        let pool: PoolID
        var use: Use
        /// Set where it takes no further brief reads, so that it comes free.
        var isDraining = false
        /// What it was used for last: a change of the lane costs a setting.
        var lastLane = Lane.own
    }

    private struct Waiter {
        let run: RunID
        let since: Instant
    }

    /// First in, first out, without moving what is behind.
    private struct Line {
        private var waiters: [Waiter] = []
        private var head = 0

        var isEmpty: Bool { head == waiters.count }
        var count: Int { waiters.count - head }
        var oldest: Instant? { isEmpty ? nil : waiters[head].since }

        mutating func add(_ waiter: Waiter) {
            waiters.append(waiter)
        }

        mutating func take() -> RunID {
            let run = waiters[head].run
            head += 1
            if head == waiters.count {
                waiters.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 256 {
                waiters.removeFirst(head)
                head = 0
            }
            return run
        }
    }

    private struct Pool {
        let maximum: Int
        var sessions: [SessionID] = []
        var sharers = Line()
        var owners = Line()
        /// Connections that failed in a row.
        var failures = 0
        var retryAt: Instant?
        var cause = ""

        var isWaiting: Bool { !sharers.isEmpty || !owners.isEmpty }
        var waiting: Int { sharers.count + owners.count }
        var oldest: Instant? {
            guard let sharer = sharers.oldest else { return owners.oldest }
            return owners.oldest.map { min($0, sharer) } ?? sharer
        }
    }

    private let limits: Limits
    private var pools: [PoolID: Pool] = [:]
    private var sessions: [SessionID: Session] = [:]
    private var lastSession = 0
    /// Pools that lack a connection because of the bound over all.
    private var hungry: Set<PoolID> = []

    init(_ limits: Limits) {
        self.limits = limits
    }

    var sessionCount: Int { sessions.count }

    func load(of id: PoolID) -> DatabaseLoad {
        guard let pool = pools[id] else { return DatabaseLoad() }
        let busy = pool.sessions.count { sessions[$0].map { !$0.use.isIdle } ?? false }
        return DatabaseLoad(connections: pool.sessions.count, busy: busy, waiting: pool.waiting)
    }

    func sessions(of pool: PoolID) -> [SessionID] { pools[pool]?.sessions ?? [] }

    // MARK: what happens

    /// - Parameter maximum: the connections that the pool may have, at least one.
    mutating func open(_ pool: PoolID, maximum: Int) {
        pools[pool] = Pool(maximum: maximum)
    }

    /// Gives back the runs that wait. The caller ends the sessions and says nothing of them any more.
    mutating func close(_ pool: PoolID, _ now: Instant, _ actions: inout [Action]) -> [RunID] {
        guard var closing = pools.removeValue(forKey: pool) else { return [] }
        hungry.remove(pool)
        for session in closing.sessions { sessions[session] = nil }
        var waiting: [RunID] = []
        while !closing.sharers.isEmpty { waiting.append(closing.sharers.take()) }
        while !closing.owners.isEmpty { waiting.append(closing.owners.take()) }
        feedTheHungry(now, &actions)
        return waiting
    }

    mutating func request(_ run: RunID, _ id: PoolID, _ lane: Lane, _ now: Instant, _ actions: inout [Action]) {
        guard let pool = pools[id] else {
            actions.append(.refuse(run, .unavailable(cause: "the database is closed")))
            return
        }
        guard pool.waiting < limits.waiting else {
            actions.append(.refuse(run, .overloaded))
            return
        }
        let waiter = Waiter(run: run, since: now)
        if lane == .sharing, sharingLimit(pool) > 0 {
            pools[id]?.sharers.add(waiter)
        } else {
            pools[id]?.owners.add(waiter)
        }
        serve(id, now, &actions)
    }

    mutating func connected(_ session: SessionID, _ now: Instant, _ actions: inout [Action]) {
        guard let id = sessions[session]?.pool else { return }
        sessions[session]?.use = .idle(since: now)
        pools[id]?.failures = 0
        pools[id]?.retryAt = nil
        serve(id, now, &actions)
        feedTheHungry(now, &actions)
    }

    /// A connection could not be made.
    mutating func failed(_ session: SessionID, _ cause: String, _ now: Instant, _ actions: inout [Action]) {
        guard let id = remove(session) else { return }
        // Attempts that were under way together count once.
        if pools[id]?.retryAt.map({ now >= $0 }) ?? true {
            pools[id]?.cause = cause
            let failures = (pools[id]?.failures ?? 0) + 1
            pools[id]?.failures = failures
            let backOff = limits.leastBackOff * (1 << min(failures - 1, 10))
            pools[id]?.retryAt = now + min(backOff, limits.greatestBackOff)
        }
        serve(id, now, &actions)
        feedTheHungry(now, &actions)
    }

    /// A run has ended and its connection is as good as before.
    mutating func finished(_ session: SessionID, _ now: Instant, _ actions: inout [Action]) {
        guard let state = sessions[session] else { return }
        if case .sharing(let load) = state.use, load > 1 {
            sessions[session]?.use = .sharing(load - 1)
        } else {
            sessions[session]?.use = .idle(since: now)
            sessions[session]?.isDraining = false
            if mustGiveAway(state.pool) {
                _ = remove(session)
                actions.append(.close(session))
                feedTheHungry(now, &actions)
            }
        }
        serve(state.pool, now, &actions)
        feedTheHungry(now, &actions)
    }

    /// A connection broke. The caller answers what was on it.
    mutating func lost(_ session: SessionID, _ now: Instant, _ actions: inout [Action]) {
        guard let id = remove(session) else { return }
        serve(id, now, &actions)
        feedTheHungry(now, &actions)
    }

    /// Turns away who has waited too long, tries again what is due, ends connections that nobody uses.
    mutating func tick(_ now: Instant, _ actions: inout [Action]) {
        for (id, pool) in pools where pool.isWaiting {
            while let since = pools[id]?.sharers.oldest, now - since > limits.wait {
                if let run = pools[id]?.sharers.take() { actions.append(.refuse(run, .overloaded)) }
            }
            while let since = pools[id]?.owners.oldest, now - since > limits.wait {
                if let run = pools[id]?.owners.take() { actions.append(.refuse(run, .overloaded)) }
            }
            serve(id, now, &actions)
        }
        for (id, session) in sessions {
            if case .idle(let since) = session.use, now - since > limits.idle {
                _ = remove(id)
                actions.append(.close(id))
            }
        }
        feedTheHungry(now, &actions)
    }

    // MARK: decisions

    private mutating func remove(_ session: SessionID) -> PoolID? {
        guard let id = sessions.removeValue(forKey: session)?.pool else { return nil }
        pools[id]?.sessions.removeAll { $0 == session }
        return id
    }

    /// Brief reads never have all connections of a pool: a transaction would wait for them for good.
    private func sharingLimit(_ pool: Pool) -> Int {
        min(limits.sharing, pool.maximum / 2)
    }

    /// Gives connections to those who wait, the oldest first, and asks for more where they are too few.
    private mutating func serve(_ id: PoolID, _ now: Instant, _ actions: inout [Action]) {
        while let pool = pools[id], pool.isWaiting {
            let isOwnersTurn =
                if let owner = pool.owners.oldest { pool.sharers.oldest.map { owner < $0 } ?? true } else { false }
            if isOwnersTurn {
                if startOwner(id, pool, &actions) { continue }
                // A brief read needs nothing of what the owner waits for, unless it keeps it from coming free.
                if pool.sharers.isEmpty || mustLetOwnersIn(pool) || !startSharer(id, pool, &actions) { break }
            } else {
                if startSharer(id, pool, &actions) { continue }
                if pool.owners.isEmpty || !startOwner(id, pool, &actions) { break }
            }
        }
        guard let pool = pools[id], pool.isWaiting else {
            hungry.remove(id)
            return
        }
        grow(id, pool, now, &actions)
    }

    /// Owners that wait for tables or rows leave a connection to the brief reads of others, where the pool is not small.
    private func mayOwnMore(_ pool: Pool) -> Bool {
        pool.maximum < 4 || pool.sessions.count { sessions[$0]?.use == .own } < pool.maximum - 1
    }

    /// One that was used for the same before, where there is one.
    private func idleSession(_ pool: Pool, for lane: Lane) -> SessionID? {
        var other: SessionID?
        for session in pool.sessions {
            guard let state = sessions[session], state.use.isIdle else { continue }
            if state.lastLane == lane { return session }
            other = other ?? session
        }
        return other
    }

    private mutating func startOwner(_ id: PoolID, _ pool: Pool, _ actions: inout [Action]) -> Bool {
        guard !pool.owners.isEmpty, mayOwnMore(pool), let session = idleSession(pool, for: .own) else { return false }
        sessions[session]?.use = .own
        sessions[session]?.lastLane = .own
        if let run = pools[id]?.owners.take() { actions.append(.start(run, session)) }
        return true
    }

    /// Every connection of the pool carries brief reads: without a pause no owner would ever have one.
    private func mustLetOwnersIn(_ pool: Pool) -> Bool {
        pool.sessions.allSatisfy { session in
            if case .sharing? = sessions[session]?.use { true } else { false }
        }
    }

    private mutating func startSharer(_ id: PoolID, _ pool: Pool, _ actions: inout [Action]) -> Bool {
        guard !pool.sharers.isEmpty else { return false }
        var best: (session: SessionID, load: Int)?
        var sharing = 0
        for session in pool.sessions {
            guard let state = sessions[session] else { continue }
            switch state.use {
            case .sharing(let load):
                sharing += 1
                if !state.isDraining, load < limits.sharingDepth, load < best?.load ?? .max { best = (session, load) }
            case .idle, .connecting, .own: break
            }
        }
        let chosen: (session: SessionID, load: Int)
        if sharing < sharingLimit(pool), let idle = idleSession(pool, for: .sharing) {
            chosen = (idle, 0)
        } else if let best {
            chosen = best
        } else {
            return false
        }
        sessions[chosen.session]?.use = .sharing(chosen.load + 1)
        sessions[chosen.session]?.lastLane = .sharing
        if let run = pools[id]?.sharers.take() { actions.append(.start(run, chosen.session)) }
        return true
    }

    /// Those who wait have no connection: makes one where the bounds allow it.
    private mutating func grow(_ id: PoolID, _ pool: Pool, _ now: Instant, _ actions: inout [Action]) {
        let connecting = pool.sessions.count { sessions[$0]?.use == .connecting }
        if let retryAt = pool.retryAt, now < retryAt {
            // Nobody waits for a database that is known to be away.
            if pool.sessions.isEmpty { refuseAll(id, .unavailable(cause: pool.cause), &actions) }
            return
        }
        // After a failure a single connection finds out whether the database is back.
        let wanted = pool.failures > 0 ? 1 : wantedConnections(pool)
        var missing = min(wanted - connecting, pool.maximum - pool.sessions.count)
        while missing > 0 {
            guard sessions.count < limits.total || (mayTake(pool, now) && makeRoom(id, &actions)) else {
                hungry.insert(id)
                askForRoom(id)
                return
            }
            connect(id, &actions)
            missing -= 1
        }
        hungry.remove(id)
    }

    /// A connection for each owner, and those that the brief reads share.
    private func wantedConnections(_ pool: Pool) -> Int {
        let sharing = pool.sessions.count { session in
            if case .sharing? = sessions[session]?.use { true } else { false }
        }
        return (mayOwnMore(pool) ? pool.owners.count : 0)
            + (pool.sharers.isEmpty ? 0 : max(0, sharingLimit(pool) - sharing))
    }

    private mutating func connect(_ id: PoolID, _ actions: inout [Action]) {
        lastSession += 1
        let session = SessionID(number: lastSession)
        sessions[session] = Session(pool: id, use: .connecting)
        pools[id]?.sessions.append(session)
        actions.append(.connect(session, id))
    }

    private mutating func refuseAll(_ id: PoolID, _ refusal: Refusal, _ actions: inout [Action]) {
        while pools[id]?.sharers.isEmpty == false {
            if let run = pools[id]?.sharers.take() { actions.append(.refuse(run, refusal)) }
        }
        while pools[id]?.owners.isEmpty == false {
            if let run = pools[id]?.owners.take() { actions.append(.refuse(run, refusal)) }
        }
        hungry.remove(id)
    }

    // MARK: the bound over all pools

    /// Whether a pool may have another one's connection. Where more databases are in use than there are connections for,
    /// each would else take the others' at every turn, and making one costs far more than what is asked of it.
    private func mayTake(_ pool: Pool, _ now: Instant) -> Bool {
        pool.sessions.isEmpty || pool.oldest.map { now - $0 >= limits.patience } ?? false
    }

    /// Ends the connection of another pool that has been idle longest.
    private mutating func makeRoom(_ id: PoolID, _ actions: inout [Action]) -> Bool {
        var oldest: (session: SessionID, since: Instant)?
        for (session, state) in sessions where state.pool != id {
            if case .idle(let since) = state.use, since < oldest?.since ?? since.advanced(by: .seconds(1)) {
                oldest = (session, since)
            }
        }
        guard let oldest else { return false }
        _ = remove(oldest.session)
        actions.append(.close(oldest.session))
        return true
    }

    /// A pool that has nothing gets a connection of the one that has most, as soon as it comes free: one that
    /// carries brief reads takes no more of them.
    private mutating func askForRoom(_ id: PoolID) {
        guard pools[id]?.sessions.isEmpty == true, !sessions.values.contains(where: \.isDraining) else { return }
        let richest = pools.max { $0.value.sessions.count < $1.value.sessions.count }
        let sharing = richest?.value.sessions.first { session in
            if case .sharing? = sessions[session]?.use { true } else { false }
        }
        if let sharing { sessions[sharing]?.isDraining = true }
    }

    /// Whether a connection that came free goes to a pool that has none at all and has waited longer.
    private func mustGiveAway(_ id: PoolID) -> Bool {
        guard sessions.count >= limits.total else { return false }
        let own = pools[id]?.oldest
        return hungry.contains { other in
            guard other != id, let pool = pools[other], pool.sessions.isEmpty, let since = pool.oldest else {
                return false
            }
            return own.map { since < $0 } ?? true
        }
    }

    private mutating func feedTheHungry(_ now: Instant, _ actions: inout [Action]) {
        guard !hungry.isEmpty else { return }
        // Those without any connection first, then who has waited longest.
        let order = hungry.compactMap { id in pools[id].map { (id: id, pool: $0) } }.sorted { left, right in
            if left.pool.sessions.isEmpty != right.pool.sessions.isEmpty { return left.pool.sessions.isEmpty }
            guard let leftSince = left.pool.oldest else { return false }
            return right.pool.oldest.map { leftSince < $0 } ?? true
        }
        for (id, _) in order {
            guard sessions.count < limits.total || sessions.values.contains(where: \.use.isIdle) else { return }
            serve(id, now, &actions)
        }
    }
}
