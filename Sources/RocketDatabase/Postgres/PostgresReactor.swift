import Foundation
import Logging
import RocketPlanning
import Synchronization

/// One thread that does all of this server's talking to PostgreSQL. Callers leave a message and are called back:
/// none of their threads ever waits for the network or the database.
final class PostgresReactor: Sendable {
    enum Message: Sendable {
        case open(PoolID, PostgresTarget)
        case submit(any WaitingScript, TransactionMachine.Step, PoolMachine.Lane, PoolID)
        case close(PoolID, CheckedContinuation<Void, Never>)
        case load(PoolID, CheckedContinuation<DatabaseLoad, Never>)
        case resolved(SessionID, [String])
        case stepped(RunID, attempt: Int, Result<TransactionMachine.Step, any Error>)
        /// What a script has waited for is there.
        case called(RunID)
        case listen(PostgresTarget, channel: String, @Sendable (String) -> Void)
        case stop(CheckedContinuation<Void, Never>)
    }

    private struct Inbox {
        var messages: [Message] = []
        var isAsleep = false
        var isStopped = false
        var lastPool = 0
    }

    private let inbox = Mutex(Inbox())
    private let wakeUp: WakeUp

    init(_ settings: PostgresSettings, _ logger: Logger) throws(DatabaseFailure) {
        wakeUp = try WakeUp()
        let thread = Thread { [self] in
            do throws(DatabaseFailure) {
                let core = try ReactorCore(self, wakeUp, settings, logger)
                core.run()
            } catch {
                logger.critical("the thread for PostgreSQL can't begin", metadata: ["cause": "\(error)"])
                stopTaking()
            }
        }
        thread.name = "rocket.postgres"
        thread.start()
    }

    func newPool() -> PoolID {
        inbox.withLock { inbox in
            inbox.lastPool += 1
            return PoolID(number: inbox.lastPool)
        }
    }

    /// - Returns: false where the reactor has stopped; the message is dropped.
    @discardableResult
    func post(_ message: Message) -> Bool {
        let (isTaken, mustWake) = inbox.withLock { inbox in
            guard !inbox.isStopped else { return (false, false) }
            inbox.messages.append(message)
            defer { inbox.isAsleep = false }
            return (true, inbox.isAsleep)
        }
        if mustWake { wakeUp.signal() }
        return isTaken
    }

    /// Ends the thread, after which nothing is taken any more.
    func stop() async {
        await withCheckedContinuation { continuation in
            if !post(.stop(continuation)) { continuation.resume() }
        }
    }

    // MARK: for the thread

    /// The messages that have come; where there are none the next one wakes the thread.
    fileprivate func take(_ messages: inout [Message]) {
        inbox.withLock { inbox in
            swap(&messages, &inbox.messages)
            inbox.isAsleep = messages.isEmpty
        }
    }

    fileprivate func stopTaking() {
        let left = inbox.withLock { inbox in
            inbox.isStopped = true
            defer { inbox.messages = [] }
            return inbox.messages
        }
        for message in left {
            switch message {
            case .submit(let script, _, _, _): script.fail(DatabaseFailure.unavailable(cause: "the server stops"))
            case .close(_, let continuation), .stop(let continuation): continuation.resume()
            case .load(_, let continuation): continuation.resume(returning: DatabaseLoad())
            case .open, .resolved, .stepped, .called, .listen: break
            }
        }
    }
}

/// One database, and how it is connected to.
struct PostgresTarget: Sendable {
    var parameters: [String: String]
    var database: String
    var maximumConnections: Int
    /// How long one statement may take.
    var statementLimit: Duration
}

/// What lives on the reactor's thread.
private final class ReactorCore {
    private final class Run {
        let script: any WaitingScript
        let first: TransactionMachine.Step
        var lane: PoolMachine.Lane
        let pool: PoolID
        var machine: TransactionMachine
        var session: SessionID?
        /// Whether the script stands where its first step was taken.
        var isFresh = true

        init(_ script: any WaitingScript, _ first: TransactionMachine.Step, _ lane: PoolMachine.Lane, _ pool: PoolID) {
            self.script = script
            self.first = first
            self.lane = lane
            self.pool = pool
            machine = TransactionMachine(script.mode)
        }

        /// Changes of the tables and imports take as long as they take.
        var isUnbounded: Bool {
            switch script.mode {
            case .alone, .snapshot, .bare: true
            case .read, .write: false
            }
        }
    }

    /// What a batch on its way belongs to.
    private enum Errand {
        case run(RunID)
        case setting
        /// A rollback, after which the connection is free.
        case cleanUp
        /// A rollback, after which the run begins anew.
        case cleanUpThenStart(RunID)
        case listening
    }

    private final class Flight {
        let session: PostgresSession
        /// Those from `head` on are on their way.
        var errands: [Errand] = []
        var head = 0
        /// The runs that this session was given to, whether something of theirs is on its way or not.
        var runs: [RunID] = []
        /// When a connection must be made.
        var connectBy: ContinuousClock.Instant?
        /// Whether the socket is watched for room to write.
        var isWatchedToWrite = true
        /// For which lane the connection is set.
        var lane = PoolMachine.Lane.own

        init(_ session: PostgresSession, connectBy: ContinuousClock.Instant) {
            self.session = session
            self.connectBy = connectBy
        }

        func takeErrand() -> Errand? {
            guard head < errands.count else { return nil }
            let errand = errands[head]
            head += 1
            if head == errands.count {
                errands.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 512 {
                // A connection that is never idle would keep what it has long done.
                errands.removeFirst(head)
                head = 0
            }
            return errand
        }
    }

    private struct Listener {
        let target: PostgresTarget
        let channel: String
        let body: @Sendable (String) -> Void
        var session: SessionID?
        var retryAt: ContinuousClock.Instant?
    }

    private let reactor: PostgresReactor
    private let watch: SocketWatch
    private let settings: PostgresSettings
    private let logger: Logger
    private var machine: PoolMachine
    private var targets: [PoolID: PostgresTarget] = [:]
    /// Until when the transactions of a database take turns, since one of them lost a race.
    private var contended: [PoolID: ContinuousClock.Instant] = [:]
    private static let contention = Duration.seconds(10)
    private var runs: [RunID: Run] = [:]
    private var flights: [SessionID: Flight] = [:]
    /// Connections that wait for the addresses of their host.
    private var resolving: [SessionID: (pool: PoolID?, target: PostgresTarget)] = [:]
    private var touched: Set<SessionID> = []
    private var actions: [PoolMachine.Action] = []
    private var listener: Listener?
    private var lastRun = 0
    /// Connections that were not made in time.
    private var timeouts = 0
    /// Sessions that the pools do not count have numbers below zero.
    private var lastUncounted = 0
    private var now = ContinuousClock.now
    private var nextTick = ContinuousClock.now
    private var stopped: [CheckedContinuation<Void, Never>] = []

    init(_ reactor: PostgresReactor, _ wakeUp: WakeUp, _ settings: PostgresSettings, _ logger: Logger)
        throws(DatabaseFailure)
    {
        self.reactor = reactor
        self.settings = settings
        self.logger = logger
        watch = try SocketWatch(wakeUp)
        var limits = PoolMachine.Limits()
        limits.total = settings.poolSize
        limits.waiting = settings.maximumWaiting
        limits.wait = settings.waitLimit
        limits.idle = settings.idleLimit
        machine = PoolMachine(limits)
    }

    func run() {
        var messages: [PostgresReactor.Message] = []
        while stopped.isEmpty {
            messages.removeAll(keepingCapacity: true)
            reactor.take(&messages)
            let timeout: Int32 = messages.isEmpty ? milliseconds(until: nextTick) : 0
            var ready: [SessionID] = []
            watch.wait(milliseconds: timeout) { ready.append(SessionID(number: $0)) }
            now = .now
            for message in messages { handle(message) }
            for session in ready { proceed(session) }
            if now >= nextTick { tick() }
            settle()
        }
        reactor.stopTaking()
        for run in runs.values { run.script.fail(DatabaseFailure.unavailable(cause: "the server stops")) }
        for continuation in stopped { continuation.resume() }
    }

    private func milliseconds(until instant: ContinuousClock.Instant) -> Int32 {
        let left = (instant - .now).components
        let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
        return Int32(min(max(milliseconds + 1, 0), 1000))
    }

    private func handle(_ message: PostgresReactor.Message) {
        switch message {
        case .open(let pool, let target):
            targets[pool] = target
            machine.open(pool, maximum: target.maximumConnections)
        case .submit(let script, let first, let lane, let pool): submit(script, first, lane, pool)
        case .close(let pool, let continuation):
            close(pool)
            continuation.resume()
        case .load(let pool, let continuation): continuation.resume(returning: machine.load(of: pool))
        case .resolved(let id, let addresses): resolved(id, addresses)
        case .stepped(let id, let attempt, let result):
            // The connection may have been lost meanwhile, and the script begun anew.
            guard runs[id]?.machine.attempts == attempt, runs[id]?.session != nil else { return }
            switch result {
            case .success(let step): take(step, id)
            case .failure(let error): threw(error, id)
            }
        case .called(let id):
            // The run is gone where its connection was lost meanwhile.
            guard let script = runs[id]?.script else { return }
            step(id, script) { try script.proceed([]) }
        case .listen(let target, let channel, let body):
            listener = Listener(target: target, channel: channel, body: body)
            connectListener()
        case .stop(let continuation):
            for pool in Array(targets.keys) { close(pool) }
            if let session = listener?.session { end(session) }
            listener = nil
            stopped.append(continuation)
        }
    }

    /// Does what the rules ask for, and sends what was put on its way.
    private func settle() {
        while !actions.isEmpty || !touched.isEmpty {
            while !actions.isEmpty {
                let batch = actions
                actions.removeAll(keepingCapacity: true)
                for action in batch { perform(action) }
            }
            let sessions = touched
            touched.removeAll(keepingCapacity: true)
            for id in sessions {
                guard let flight = flights[id] else { continue }
                var events: [PostgresSession.Event] = []
                flight.session.flush(&events)
                watchAsWanted(flight)
                handle(events, of: id)
            }
        }
    }

    private func watchAsWanted(_ flight: Flight) {
        let session = flight.session
        // While it is connecting libpq goes from one address to the next with a new socket, which may have the old
        // one's number.
        guard flight.connectBy != nil || flight.isWatchedToWrite != session.wantsToWrite else { return }
        flight.isWatchedToWrite = session.wantsToWrite
        watch.watch(session.descriptor, token: session.id.number, toWrite: session.wantsToWrite)
    }

    private func perform(_ action: PoolMachine.Action) {
        switch action {
        case .connect(let session, let pool):
            if let target = targets[pool] { connect(session, pool, target) }
        case .start(let run, let session): start(run, session)
        case .close(let session): end(session)
        case .refuse(let id, let refusal):
            guard let run = runs.removeValue(forKey: id) else { return }
            switch refusal {
            case .overloaded: run.script.fail(DatabaseFailure.overloaded)
            case .unavailable(let cause): run.script.fail(DatabaseFailure.unavailable(cause: cause))
            }
        }
    }

    // MARK: connections

    private func connect(_ id: SessionID, _ pool: PoolID?, _ target: PostgresTarget) {
        guard HostResolver.isNeeded(target.parameters), let host = target.parameters["host"] else {
            return begin(id, pool, target)
        }
        resolving[id] = (pool, target)
        HostResolver.resolve(host) { [reactor] addresses in reactor.post(.resolved(id, addresses)) }
    }

    private func resolved(_ id: SessionID, _ addresses: [String]) {
        guard case (let pool, var target)? = resolving.removeValue(forKey: id) else { return }
        guard let host = target.parameters["host"], !addresses.isEmpty else {
            return failedToConnect(id, pool, "the host \(target.parameters["host"] ?? "") is not known")
        }
        // After a first address that swallowed the attempt another one comes first.
        let first = timeouts % addresses.count
        let order = addresses[first...] + addresses[..<first]
        target.parameters["hostaddr"] = order.joined(separator: ",")
        // One name for each address (manual, 34.1.1.3), and one port for all of them.
        target.parameters["host"] = addresses.map { _ in host }.joined(separator: ",")
        begin(id, pool, target)
    }

    private func begin(_ id: SessionID, _ pool: PoolID?, _ target: PostgresTarget) {
        var parameters = [
            "application_name": "rocket", "connect_timeout": "5", "gssencmode": "disable",
            "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000",
        ].merging(target.parameters) { _, given in given }
        parameters["dbname"] = target.database
        parameters["client_encoding"] = "UTF8"
        do throws(PostgresError) {
            let session = try PostgresSession(
                id: id,
                pool: pool,
                parameters: parameters.map { (keyword: $0.key, value: $0.value) }
            )
            session.statementLimitMilliseconds = target.statementLimit.milliseconds
            session.lockLimitMilliseconds = settings.lockLimit.milliseconds
            flights[id] = Flight(session, connectBy: now + settings.connectLimit)
            watch.watch(session.descriptor, token: id.number, toWrite: true)
            nextTick = min(nextTick, now + Self.tickInterval)
        } catch {
            failedToConnect(id, pool, error.message)
        }
    }

    private func failedToConnect(_ id: SessionID, _ pool: PoolID?, _ cause: String) {
        logger.debug("can't connect to PostgreSQL", metadata: ["cause": "\(cause)"])
        if pool == nil { listenerLost() } else { machine.failed(id, cause, now, &actions) }
    }

    private func proceed(_ id: SessionID) {
        guard let flight = flights[id] else { return }
        var events: [PostgresSession.Event] = []
        flight.session.proceed(&events)
        watchAsWanted(flight)
        touched.insert(id)
        handle(events, of: id)
    }

    private func handle(_ events: [PostgresSession.Event], of id: SessionID) {
        for event in events {
            // An event may have ended the session.
            guard let session = flights[id]?.session else { return }
            switch event {
            case .connected:
                flights[id]?.connectBy = nil
                if session.pool == nil { listen(session) } else { machine.connected(id, now, &actions) }
            case .ended(let outcome): ended(outcome, id)
            case .notified(let text): listener?.body(text)
            case .broken(let cause): broken(id, cause)
            }
        }
    }

    /// Ends a session that nothing is on, or whose runs have been dealt with.
    private func end(_ id: SessionID) {
        resolving[id] = nil
        guard let flight = flights.removeValue(forKey: id) else { return }
        watch.forget(flight.session.descriptor)
        flight.session.end()
    }

    private func broken(_ id: SessionID, _ cause: String) {
        guard let flight = flights[id] else { return }
        end(id)
        guard let pool = flight.session.pool else { return listenerLost() }
        if flight.connectBy == nil {
            logger.debug("a connection to PostgreSQL broke", metadata: ["cause": "\(cause)"])
            machine.lost(id, now, &actions)
        } else {
            failedToConnect(id, pool, cause)
        }
        for run in flight.runs {
            runs[run]?.session = nil
            if let command = runs[run]?.machine.lost(cause) { perform(command, run) }
        }
    }

    private func close(_ pool: PoolID) {
        let sessions = machine.sessions(of: pool)
        targets[pool] = nil
        contended[pool] = nil
        let closed = DatabaseFailure.unavailable(cause: "the database is closed")
        for run in machine.close(pool, now, &actions) { runs.removeValue(forKey: run)?.script.fail(closed) }
        for id in sessions {
            let flight = flights[id]
            // What runs would go on without us until it has something to say.
            if let session = flight?.session, session.isBusy, let cancel = session.makeCancel() {
                DispatchQueue.global().async { cancel.send() }
            }
            end(id)
        }
        for (id, run) in runs where run.pool == pool {
            runs[id] = nil
            // A commit on its way may hold all the same, and says so.
            if case .fail(let error, _) = run.machine.lost("the database is closed") {
                run.script.fail(error)
            } else {
                run.script.fail(closed)
            }
        }
    }

    // MARK: runs

    private func submit(
        _ script: any WaitingScript,
        _ first: TransactionMachine.Step,
        _ lane: PoolMachine.Lane,
        _ pool: PoolID
    ) {
        lastRun += 1
        let id = RunID(number: lastRun)
        runs[id] = Run(script, first, lane, pool)
        machine.request(id, pool, lane, now, &actions)
        nextTick = min(nextTick, now + Self.tickInterval)
    }

    private func start(_ id: RunID, _ session: SessionID) {
        guard let run = runs[id] else { return machine.finished(session, now, &actions) }
        // The connection may have ended since it was given out.
        guard flights[session] != nil else { return again(id) }
        runs[id]?.session = session
        flights[session]?.runs.append(id)
        if let until = contended[run.pool] {
            if now < until { runs[id]?.machine.takesTurns = true } else { contended[run.pool] = nil }
        }
        prepareLane(run.lane, session)
        if run.isFresh {
            run.isFresh = false
            take(run.first, id)
        } else {
            restart(id)
        }
    }

    /// A brief read that waits for a table holds up the others on its connection, so it waits only a moment there.
    private func prepareLane(_ lane: PoolMachine.Lane, _ id: SessionID) {
        guard let flight = flights[id], flight.lane != lane else { return }
        flight.lane = lane
        let milliseconds = lane == .sharing ? Self.sharedLockMilliseconds : settings.lockLimit.milliseconds
        send(StatementBatch(opening: [SQLStatement("SET lock_timeout = \(milliseconds)")]), .setting, id)
    }

    private static let sharedLockMilliseconds: Int64 = 100

    /// Waits for the table on a connection of its own.
    private func moveToOwnLane(_ id: RunID, from session: SessionID) {
        guard let run = runs[id] else { return }
        _ = run.machine.skipped()
        run.lane = .own
        flights[session]?.runs.removeAll { $0 == id }
        machine.finished(session, now, &actions)
        again(id)
    }

    /// The script's first step again, on the session that it has.
    private func restart(_ id: RunID) {
        guard let script = runs[id]?.script else { return }
        step(id, script) { try script.begin() }
    }

    /// Runs a step of the script: here where it is short, elsewhere where it may compile an app's metadata or copy rows.
    private func step(
        _ id: RunID,
        _ script: any WaitingScript,
        _ body: @escaping @Sendable () throws -> TransactionMachine.Step
    ) {
        let isLong =
            switch script.mode {
            case .alone, .snapshot: true
            case .read, .write, .bare: false
            }
        if isLong, let attempt = runs[id]?.machine.attempts {
            DispatchQueue.global().async { [reactor] in
                reactor.post(.stepped(id, attempt: attempt, Result(catching: body)))
            }
            return
        }
        do {
            take(try body(), id)
        } catch {
            threw(error, id)
        }
    }

    private func take(_ step: TransactionMachine.Step, _ id: RunID) {
        if let command = runs[id]?.machine.take(step) { perform(command, id) }
    }

    private func threw(_ error: any Error, _ id: RunID) {
        if let command = runs[id]?.machine.threw(error) { perform(command, id) }
    }

    private func perform(_ command: TransactionMachine.Command, _ id: RunID) {
        guard let run = runs[id] else { return }
        switch command {
        case .send(let batch): send(batch, .run(id), run.session)
        case .call(let call):
            Task { [reactor] in
                await call()
                reactor.post(.called(id))
            }
        case .succeed:
            leave(id, run.session)
            run.script.succeed()
            release(run.session)
        case .fail(let error, let cleanUp):
            leave(id, run.session)
            run.script.fail(error)
            if let cleanUp { send(cleanUp, .cleanUp, run.session) } else { release(run.session) }
        case .startOver(let cleanUp):
            if run.machine.hasLostRace { contended[run.pool] = now + Self.contention }
            if let cleanUp {
                send(cleanUp, .cleanUpThenStart(id), run.session)
            } else if run.session != nil {
                restart(id)
            } else {
                again(id)
            }
        }
    }

    private func leave(_ id: RunID, _ session: SessionID?) {
        runs[id] = nil
        if let session { flights[session]?.runs.removeAll { $0 == id } }
    }

    private func release(_ session: SessionID?) {
        if let session { machine.finished(session, now, &actions) }
    }

    /// Puts a run that lost its session in line again.
    private func again(_ id: RunID) {
        guard let run = runs[id] else { return }
        runs[id]?.session = nil
        machine.request(id, run.pool, run.lane, now, &actions)
    }

    private func send(_ batch: StatementBatch, _ errand: Errand, _ id: SessionID?) {
        guard let id, let flight = flights[id] else { return }
        flight.errands.append(errand)
        var run: Run?
        if case .run(let number) = errand { run = runs[number] }
        if flight.session.deadline == nil, run?.isUnbounded != true { flight.session.deadline = now + silenceLimit }
        var events: [PostgresSession.Event] = []
        if run?.lane == .sharing {
            flight.session.sendReads(batch, &events)
        } else {
            flight.session.send(batch, &events)
        }
        touched.insert(id)
        if !events.isEmpty { handle(events, of: id) }
    }

    /// The server ends a statement by itself; past this it is not there any more.
    private var silenceLimit: Duration { settings.statementLimit + .seconds(5) }

    private func ended(_ outcome: PostgresSession.Outcome, _ id: SessionID) {
        guard let flight = flights[id], let errand = flight.takeErrand() else { return }
        // Behind a setting there may be a change of tables, which takes as long as it takes.
        let isUnbounded = flight.runs.contains { runs[$0]?.isUnbounded == true }
        flight.session.deadline = flight.errands.isEmpty || isUnbounded ? nil : now + silenceLimit
        switch errand {
        case .listening, .setting: break
        case .cleanUp, .cleanUpThenStart:
            // A transaction that can't be rolled back would stay open under whoever comes next.
            if case .refused(let error, _) = outcome { return broken(id, error.message) }
            if case .cleanUpThenStart(let run) = errand { restart(run) } else { machine.finished(id, now, &actions) }
        case .run(let run):
            switch outcome {
            case .completed(let results):
                guard let script = runs[run]?.script else { return machine.finished(id, now, &actions) }
                if let command = runs[run]?.machine.completed() { return perform(command, run) }
                step(run, script) { try script.proceed(results) }
            case .skipped:
                if let command = runs[run]?.machine.skipped() { perform(command, run) }
            case .refused(let error, _)
            where error.sqlState == PostgresError.lockNotAvailable && runs[run]?.lane == .sharing:
                moveToOwnLane(run, from: id)
            case .refused(let error, let wasPreparedEarlier):
                let isLost = error.remedy(wasPreparedEarlier: wasPreparedEarlier) == .connectionLost
                guard let command = runs[run]?.machine.refused(error, wasPreparedEarlier: wasPreparedEarlier) else {
                    return machine.finished(id, now, &actions)
                }
                if isLost {
                    flights[id]?.runs.removeAll { $0 == run }
                    runs[run]?.session = nil
                    broken(id, error.message)
                }
                perform(command, run)
            }
        }
    }

    // MARK: time

    private static let tickInterval = Duration.milliseconds(50)

    private func tick() {
        machine.tick(now, &actions)
        for (id, flight) in flights {
            if let connectBy = flight.connectBy, now > connectBy {
                timeouts += 1
                broken(id, "no connection within \(settings.connectLimit)")
            } else if let deadline = flight.session.deadline, now > deadline {
                broken(id, "no answer within \(silenceLimit)")
            }
        }
        if let retryAt = listener?.retryAt, now >= retryAt { connectListener() }
        // Nobody waits: connections that nobody uses, and the listener's next attempt, have time.
        nextTick = now + (runs.isEmpty ? .milliseconds(500) : Self.tickInterval)
    }

    // MARK: what other servers say

    private func connectListener() {
        guard let target = listener?.target else { return }
        lastUncounted -= 1
        let id = SessionID(number: lastUncounted)
        listener?.session = id
        listener?.retryAt = nil
        connect(id, nil, target)
    }

    private func listen(_ session: PostgresSession) {
        guard let channel = listener?.channel else { return }
        let batch = StatementBatch(
            statements: [SQLStatement("LISTEN \(SQLDialect.postgres.quote(channel))")],
            isPrepared: false
        )
        send(batch, .listening, session.id)
        session.deadline = nil
    }

    private func listenerLost() {
        listener?.session = nil
        listener?.retryAt = now + .seconds(1)
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
