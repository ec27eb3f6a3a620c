import Testing

@testable import RocketDatabase

/// Who gets which connection, when one is made, and who is turned away.
struct PoolMachineTests {
    // MARK: who gets which connection

    @Test(arguments: [1, 2, 10])
    func theFirstOwnerMakesAConnection(maximum: Int) {
        let desk = Desk([.a: maximum])
        #expect(desk.request(1) == [.connects(1)])
    }

    /// The pool's maximum, and the connections that brief reads will share.
    @Test(arguments: [(1, 1), (2, 1), (3, 1), (4, 2), (10, 2)])
    func theFirstBriefReadMakesTheConnectionsThatAreShared(maximum: Int, connections: Int) {
        let desk = Desk([.a: maximum])
        let expected = (1...connections).map { PoolMachine.Action.connects($0) }
        #expect(desk.request(1, .sharing) == expected)
    }

    @Test func aConnectionThatCameUpGoesToWhoWaitedLongest() {
        let desk = Desk([.a: 4])
        #expect(desk.request(1) == [.connects(1)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(2) == [.connects(2)])
        #expect(desk.connected(2) == [.starts(1, on: 2)])
        #expect(desk.connected(1) == [.starts(2, on: 1)])
    }

    @Test(arguments: [PoolMachine.Lane.own, .sharing])
    func neitherLaneGoesBeforeTheOther(first: PoolMachine.Lane) {
        let desk = Desk([.a: 2])
        #expect(desk.request(1, first) == [.connects(1)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(2, first == .own ? .sharing : .own) == [.connects(2)])
        #expect(desk.connected(1) == [.starts(1, on: 1)])
        #expect(desk.connected(2) == [.starts(2, on: 2)])
    }

    @Test func anIdleConnectionIsUsedAgain() {
        let desk = Desk([.a: 4])
        desk.begin(1)
        #expect(desk.finished(1) == [])
        #expect(desk.request(2) == [.starts(2, on: 1)])
    }

    @Test func anOwnerHasItsConnectionForItself() {
        let desk = Desk([.a: 2])
        desk.begin(1)
        desk.begin(2)
        #expect(desk.request(3) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(4, .sharing) == [])
        #expect(desk.finished(2) == [.starts(3, on: 2)])
        #expect(desk.finished(1) == [.starts(4, on: 1)])
    }

    // MARK: brief reads

    /// The pool's maximum, the bound of connections that are shared, and those that are.
    @Test(arguments: [(2, 2, 1), (3, 2, 1), (4, 2, 2), (10, 2, 2), (6, 4, 3), (10, 4, 4)])
    func briefReadsShareAtMostHalfOfThePool(maximum: Int, sharing: Int, connections: Int) {
        let desk = Desk([.a: maximum], .init(sharing: sharing))
        desk.begin(1, .sharing)
        var used: Set<SessionID> = []
        for run in 2...20 {
            let actions = desk.request(run, .sharing)
            #expect(actions.count == 1)
            for case .start(_, let session) in actions { used.insert(session) }
        }
        #expect(used == Set((1...connections).map { SessionID(number: $0) }))
    }

    @Test func aBriefReadGoesWhereTheFewestAre() {
        let desk = Desk([.a: 4])
        desk.begin(1, .sharing)
        #expect(desk.request(2, .sharing) == [.starts(2, on: 2)])
        #expect(desk.request(3, .sharing) == [.starts(3, on: 1)])
        #expect(desk.request(4, .sharing) == [.starts(4, on: 2)])
        #expect(desk.finished(2) == [])
        #expect(desk.request(5, .sharing) == [.starts(5, on: 2)])
    }

    @Test func aSharedConnectionTakesNoMoreThanItsDepth() {
        let desk = Desk([.a: 2], .init(sharingDepth: 2))
        desk.begin(1, .sharing)
        #expect(desk.request(2, .sharing) == [.starts(2, on: 1)])
        #expect(desk.request(3, .sharing) == [])
        #expect(desk.finished(1) == [.starts(3, on: 1)])
    }

    @Test func aPoolOfOneConnectionGivesBriefReadsATurnOfTheirOwn() {
        let desk = Desk([.a: 1])
        desk.begin(1, .sharing)
        #expect(desk.request(2, .sharing) == [])
        #expect(desk.finished(1) == [.starts(2, on: 1)])
    }

    @Test func aBriefReadPassesAnOwnerThatItTakesNothingFrom() {
        let desk = Desk([.a: 2])
        desk.begin(1, .sharing)
        desk.begin(2)
        #expect(desk.request(3) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(4, .sharing) == [.starts(4, on: 1)])
    }

    @Test func briefReadsPauseForAnOwnerThatWouldNeverHaveAConnection() {
        let desk = Desk([.a: 2], .init(total: 1))
        desk.begin(1, .sharing)
        desk.wait(.milliseconds(1))
        #expect(desk.request(2) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3, .sharing) == [])
        #expect(desk.finished(1) == [.starts(2, on: 1)])
        #expect(desk.finished(1) == [.starts(3, on: 1)])
    }

    // MARK: the bounds

    @Test func aPoolMakesNoMoreConnectionsThanItMay() {
        let desk = Desk([.a: 3])
        let actions = (1...5).flatMap { desk.request($0) }
        #expect(actions == [.connects(1), .connects(2), .connects(3)])
        #expect(desk.sessions() == [1, 2, 3])
    }

    @Test func whatIsIdleLongestElsewhereMakesRoomAtTheBoundOverAllPools() {
        let desk = Desk([.a: 4, .b: 4], .init(total: 2))
        desk.begin(1)
        desk.begin(2)
        desk.finished(1)
        desk.wait(.seconds(1))
        desk.finished(2)
        #expect(desk.request(3, on: .b) == [.closes(1), .connects(3, to: .b)])
    }

    @Test func aPoolThatHasConnectionsTakesAnothersOnlyWhenItsOwnAreLongInComing() {
        let desk = Desk([.a: 4, .b: 4], .init(total: 2))
        desk.begin(1)
        #expect(desk.finished(1) == [])
        desk.begin(2, on: .b)
        #expect(desk.request(3, on: .b) == [], "its own connection may soon be free")
        #expect(desk.tick(after: .milliseconds(50)) == [])
        #expect(desk.tick(after: .milliseconds(60)) == [.closes(1), .connects(3, to: .b)])
        // And one whose own comes free takes none.
        let other = Desk([.a: 4, .b: 4], .init(total: 2))
        other.begin(1)
        #expect(other.finished(1) == [])
        other.begin(2, on: .b)
        #expect(other.request(3, on: .b) == [])
        #expect(other.finished(2) == [.starts(3, on: 2)])
    }

    @Test func aPoolWithNothingGetsAConnectionBeforeYoungerOnesOfThePoolThatHasIt() {
        let desk = Desk([.a: 2, .b: 2], .init(total: 1))
        desk.begin(1)
        #expect(desk.request(2, on: .b) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3) == [])
        #expect(desk.finished(1) == [.closes(1), .connects(2, to: .b)])
        #expect(desk.connected(2) == [.starts(2, on: 2)])
        #expect(desk.finished(2) == [.closes(2), .connects(3)])
        #expect(desk.connected(3) == [.starts(3, on: 3)])
    }

    @Test func aPoolKeepsItsConnectionForThoseWhoWaitedLonger() {
        let desk = Desk([.a: 2, .b: 2], .init(total: 1))
        desk.begin(1)
        #expect(desk.request(2) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3, on: .b) == [])
        #expect(desk.finished(1) == [.starts(2, on: 1)])
        #expect(desk.finished(1) == [.closes(1), .connects(2, to: .b)])
    }

    @Test func aSharedConnectionIsDrainedForAPoolWithNothing() {
        let desk = Desk([.a: 2, .b: 2], .init(total: 1))
        desk.begin(1, .sharing)
        #expect(desk.request(2, .sharing) == [.starts(2, on: 1)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3, on: .b) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.finished(1) == [])
        #expect(desk.request(4, .sharing) == [])
        #expect(desk.finished(1) == [.closes(1), .connects(2, to: .b)])
    }

    @Test func aDrainedConnectionCarriesBriefReadsAgainWhenNobodyElseWantsIt() {
        let desk = Desk([.a: 2, .b: 2], .init(total: 1))
        desk.begin(1, .sharing)
        #expect(desk.request(2, on: .b) == [])
        #expect(desk.tick(after: .seconds(11)) == [.refuses(2, .overloaded)])
        #expect(desk.request(3, .sharing) == [])
        #expect(desk.finished(1) == [.starts(3, on: 1)])
        #expect(desk.request(4, .sharing) == [.starts(4, on: 1)])
    }

    @Test func aPoolThatGaveItsOnlyConnectionAwayGetsTheNextThatComesFree() {
        let desk = Desk([.a: 1, .b: 1], .init(total: 1))
        desk.begin(1)
        #expect(desk.request(2, on: .b) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3) == [])
        #expect(desk.finished(1) == [.closes(1), .connects(2, to: .b)])
        #expect(desk.connected(2) == [.starts(2, on: 2)])
        #expect(desk.finished(2) == [.closes(2), .connects(3)])
    }

    @Test func aConnectionThatNobodyNeedsAnyMoreWhenItComesUpGoesToAPoolWithNothing() {
        let desk = Desk([.a: 2, .b: 2], .init(total: 2))
        desk.begin(1)
        #expect(desk.request(2) == [.connects(2)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3, on: .b) == [])
        #expect(desk.finished(1) == [.starts(2, on: 1)])
        #expect(desk.connected(2) == [.closes(2), .connects(3, to: .b)])
    }

    @Test func ownersLeaveOneConnectionToBriefReads() {
        let desk = Desk([.a: 4])
        for number in 1...3 { desk.begin(number) }
        #expect(desk.request(4) == [])
        #expect(desk.request(5, .sharing) == [.connects(4)])
        #expect(desk.connected(4) == [.starts(5, on: 4)])
        #expect(desk.finished(4) == [])
        #expect(desk.finished(1) == [.starts(4, on: 1)])
    }

    // MARK: who is turned away

    @Test func whoIsOneTooManyIsRefusedAtOnce() {
        let desk = Desk([.a: 1], .init(waiting: 2))
        #expect(desk.request(1) == [.connects(1)])
        #expect(desk.request(2) == [])
        #expect(desk.request(3) == [.refuses(3, .overloaded)])
        #expect(desk.request(4, .sharing) == [.refuses(4, .overloaded)])
        #expect(desk.connected(1) == [.starts(1, on: 1)])
        #expect(desk.request(5) == [])
    }

    @Test(arguments: [PoolMachine.Lane.own, .sharing])
    func whoHasWaitedPastTheLimitIsRefused(lane: PoolMachine.Lane) {
        let desk = Desk([.a: 2], .init(wait: .seconds(10)))
        desk.begin(1)
        desk.begin(2)
        #expect(desk.request(3, lane) == [])
        desk.wait(.seconds(5))
        #expect(desk.request(4, lane) == [])
        #expect(desk.tick(after: .seconds(5)) == [])
        #expect(desk.tick(after: .milliseconds(1)) == [.refuses(3, .overloaded)])
        #expect(desk.finished(1) == [.starts(4, on: 1)])
    }

    // MARK: a database that is away

    @Test func whoWaitsIsRefusedOnceNoConnectionIsLeftToHopeFor() {
        let desk = Desk([.a: 4])
        #expect(desk.request(1) == [.connects(1)])
        #expect(desk.request(2) == [.connects(2)])
        #expect(desk.failed(1) == [])
        #expect(desk.failed(2, "no route") == [.refuses(1, away), .refuses(2, away)])
    }

    @Test func furtherOnesAreRefusedAtOnceUntilTheBackOffIsOver() {
        let desk = Desk([.a: 4])
        #expect(desk.request(1) == [.connects(1)])
        #expect(desk.failed(1) == [.refuses(1, away)])
        desk.wait(.milliseconds(49))
        #expect(desk.request(2) == [.refuses(2, away)])
        #expect(desk.request(3, .sharing) == [.refuses(3, away)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(4) == [.connects(2)])
    }

    @Test func theBackOffDoublesUpToItsMaximum() {
        let desk = Desk([.a: 4])
        for (index, milliseconds) in [50, 100, 200, 400, 800, 1000, 1000].enumerated() {
            #expect(desk.request(1) == [.connects(index + 1)])
            #expect(desk.failed(index + 1) == [.refuses(1, away)])
            desk.wait(.milliseconds(milliseconds - 1))
            #expect(desk.request(2) == [.refuses(2, away)])
            desk.wait(.milliseconds(1))
        }
    }

    @Test func oneAttemptFindsOutWhetherTheDatabaseIsBack() {
        let desk = Desk([.a: 4])
        desk.request(1)
        desk.failed(1)
        desk.wait(.milliseconds(50))
        #expect(desk.request(2) == [.connects(2)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(3) == [])
        desk.wait(.milliseconds(1))
        #expect(desk.request(4) == [])
        #expect(desk.connected(2) == [.starts(2, on: 2), .connects(3), .connects(4)])
    }

    @Test func aConnectionThatComesUpEndsTheBackOff() {
        let desk = Desk([.a: 4])
        desk.request(1)
        desk.failed(1)
        desk.wait(.milliseconds(50))
        desk.request(2)
        desk.failed(2)
        desk.wait(.milliseconds(100))
        #expect(desk.request(3) == [.connects(3)])
        #expect(desk.connected(3) == [.starts(3, on: 3)])
        #expect(desk.lost(3) == [])
        #expect(desk.request(4) == [.connects(4)])
        #expect(desk.failed(4) == [.refuses(4, away)])
        desk.wait(.milliseconds(49))
        #expect(desk.request(5) == [.refuses(5, away)])
        desk.wait(.milliseconds(1))
        #expect(desk.request(6) == [.connects(5)])
    }

    @Test func aFailureRefusesNobodyWhileAnotherConnectionLives() {
        let desk = Desk([.a: 2])
        desk.begin(1)
        #expect(desk.request(2) == [.connects(2)])
        #expect(desk.failed(2) == [])
        desk.wait(.milliseconds(49))
        #expect(desk.request(3) == [])
        #expect(desk.tick(after: .milliseconds(1)) == [.connects(3)])
        #expect(desk.finished(1) == [.starts(2, on: 1)])
        #expect(desk.connected(3) == [.starts(3, on: 3)])
    }

    @Test func theLastConnectionThatBreaksDuringTheBackOffLeavesNobodyWaiting() {
        let desk = Desk([.a: 2])
        desk.begin(1)
        desk.request(2)
        desk.failed(2)
        #expect(desk.lost(1) == [.refuses(2, away)])
    }

    // MARK: connections that end

    @Test func aLostConnectionIsReplacedForThoseWhoWait() {
        let desk = Desk([.a: 1])
        desk.begin(1)
        #expect(desk.request(2) == [])
        #expect(desk.lost(1) == [.connects(2)])
        #expect(desk.connected(2) == [.starts(2, on: 2)])
    }

    @Test func aLostConnectionIsNotReplacedForNobody() {
        let desk = Desk([.a: 1])
        desk.begin(1)
        #expect(desk.lost(1) == [])
        #expect(desk.sessions() == [])
    }

    @Test func aConnectionThatNobodyUsesIsClosedAfterTheIdleLimit() {
        let desk = Desk([.a: 2], .init(idle: .seconds(60)))
        desk.begin(1)
        desk.begin(2)
        desk.finished(1)
        #expect(desk.tick(after: .seconds(60)) == [])
        #expect(desk.tick(after: .milliseconds(1)) == [.closes(1)])
        #expect(desk.tick(after: .seconds(120)) == [])
        #expect(desk.sessions() == [2])
    }

    @Test func aClosedPoolGivesBackWhoWaitsAndForgetsItsConnections() {
        let desk = Desk([.a: 2])
        desk.begin(1)
        desk.begin(2)
        desk.request(3)
        desk.request(4, .sharing)
        let (waiting, actions) = desk.close()
        #expect(waiting.sorted() == [3, 4])
        #expect(actions == [])
        #expect(desk.sessions() == [])
        #expect(desk.sessionCount == 0)
    }

    @Test func whatHappensToConnectionsOfAClosedPoolChangesNothing() {
        let desk = Desk([.a: 3, .b: 1])
        desk.begin(1)
        desk.request(2)
        desk.begin(3, on: .b)
        _ = desk.close()
        #expect(desk.connected(2) == [])
        #expect(desk.failed(2) == [])
        #expect(desk.finished(1) == [])
        #expect(desk.lost(1) == [])
        #expect(desk.tick(after: .seconds(1)) == [])
        #expect(desk.sessionCount == 1)
    }

    @Test func aClosedPoolTakesNoRequests() {
        let desk = Desk([.a: 1])
        _ = desk.close()
        #expect(desk.request(1) == [.refuses(1, .unavailable(cause: "the database is closed"))])
    }

    @Test func aClosedPoolMakesRoomForAnother() {
        let desk = Desk([.a: 1, .b: 1], .init(total: 1))
        desk.begin(1)
        #expect(desk.request(2, on: .b) == [])
        #expect(desk.close().actions == [.connects(2, to: .b)])
    }

    // MARK: whatever happens

    @Test(arguments: [Duration.milliseconds(400), .seconds(3600)], UInt64(1)...4)
    func whateverHappensNoBoundIsPassedAndNobodyIsForgotten(wait: Duration, seed: UInt64) {
        let model = PoolModel(
            [.a: 1, .b: 2, .c: 4, .d: 10],
            .init(total: 6, sharingDepth: 3, waiting: 30, wait: wait, idle: .milliseconds(200))
        )
        var generator = SplitMix(state: seed)
        for _ in 0..<3000 { model.step(using: &generator) }
        #expect(model.started > 200)
        #expect(model.refused > 0)
        model.comeToRest()
        #expect(model.waitingCount == 0)
        #expect(model.sessionCount == 0)
    }
}

private let away = PoolMachine.Refusal.unavailable(cause: "away")

extension PoolID {
    fileprivate static let a = PoolID(number: 1)
    fileprivate static let b = PoolID(number: 2)
    fileprivate static let c = PoolID(number: 3)
    fileprivate static let d = PoolID(number: 4)
}

extension PoolMachine.Action {
    fileprivate static func connects(_ session: Int, to pool: PoolID = .a) -> Self {
        .connect(SessionID(number: session), pool)
    }

    fileprivate static func starts(_ run: Int, on session: Int) -> Self {
        .start(RunID(number: run), SessionID(number: session))
    }

    fileprivate static func closes(_ session: Int) -> Self {
        .close(SessionID(number: session))
    }

    fileprivate static func refuses(_ run: Int, _ refusal: PoolMachine.Refusal) -> Self {
        .refuse(RunID(number: run), refusal)
    }
}

/// The machine with a clock that stands still until a test moves it. Connections are numbered from 1 as they are
/// made.
private final class Desk {
    private var machine: PoolMachine
    private var now = ContinuousClock.now

    /// - Parameter maximums: the connections that each pool may have.
    init(_ maximums: [PoolID: Int], _ limits: PoolMachine.Limits = .init()) {
        machine = PoolMachine(limits)
        for (pool, maximum) in maximums { machine.open(pool, maximum: maximum) }
    }

    var sessionCount: Int { machine.sessionCount }

    func sessions(of pool: PoolID = .a) -> [Int] { machine.sessions(of: pool).map(\.number) }

    /// Requests, and lets every connection come up that this asks for.
    func begin(_ run: Int, _ lane: PoolMachine.Lane = .own, on pool: PoolID = .a) {
        for case .connect(let session, _) in request(run, lane, on: pool) { connected(session.number) }
    }

    func wait(_ duration: Duration) {
        now = now.advanced(by: duration)
    }

    @discardableResult
    func request(_ run: Int, _ lane: PoolMachine.Lane = .own, on pool: PoolID = .a) -> [PoolMachine.Action] {
        var actions: [PoolMachine.Action] = []
        machine.request(RunID(number: run), pool, lane, now, &actions)
        return actions
    }

    @discardableResult
    func connected(_ session: Int) -> [PoolMachine.Action] {
        var actions: [PoolMachine.Action] = []
        machine.connected(SessionID(number: session), now, &actions)
        return actions
    }

    @discardableResult
    func failed(_ session: Int, _ cause: String = "away") -> [PoolMachine.Action] {
        var actions: [PoolMachine.Action] = []
        machine.failed(SessionID(number: session), cause, now, &actions)
        return actions
    }

    @discardableResult
    func finished(_ session: Int) -> [PoolMachine.Action] {
        var actions: [PoolMachine.Action] = []
        machine.finished(SessionID(number: session), now, &actions)
        return actions
    }

    func lost(_ session: Int) -> [PoolMachine.Action] {
        var actions: [PoolMachine.Action] = []
        machine.lost(SessionID(number: session), now, &actions)
        return actions
    }

    func tick(after duration: Duration) -> [PoolMachine.Action] {
        wait(duration)
        var actions: [PoolMachine.Action] = []
        machine.tick(now, &actions)
        return actions
    }

    func close(_ pool: PoolID = .a) -> (waiting: [Int], actions: [PoolMachine.Action]) {
        var actions: [PoolMachine.Action] = []
        let waiting = machine.close(pool, now, &actions)
        return (waiting.map(\.number), actions)
    }
}

/// Lets anything happen to the machine and keeps, in the plainest way, who waits and what each connection carries:
/// every action must fit.
private final class PoolModel {
    private struct Waiter {
        let pool: PoolID
        let lane: PoolMachine.Lane
    }

    private struct Session {
        let pool: PoolID
        var isConnected = false
        var lane = PoolMachine.Lane.own
        var load = 0

        var isFree: Bool { isConnected && load == 0 }
        var isShared: Bool { lane == .sharing && load > 0 }
    }

    private let maximums: [PoolID: Int]
    private let limits: PoolMachine.Limits
    private var machine: PoolMachine
    private var now = ContinuousClock.now
    private var waiting: [RunID: Waiter] = [:]
    private var sessions: [SessionID: Session] = [:]
    private var lastRun = 0
    private(set) var started = 0
    private(set) var refused = 0

    init(_ maximums: [PoolID: Int], _ limits: PoolMachine.Limits) {
        self.maximums = maximums
        self.limits = limits
        machine = PoolMachine(limits)
        for (pool, maximum) in maximums { machine.open(pool, maximum: maximum) }
    }

    var waitingCount: Int { waiting.count }

    var sessionCount: Int { sessions.count }

    // MARK: what happens

    func step(using generator: inout some RandomNumberGenerator) {
        now = now.advanced(by: .microseconds(Int.random(in: 0...4000, using: &generator)))
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<7:
            let pool = PoolID(number: Int.random(in: 1...maximums.count, using: &generator))
            request(pool, Bool.random(using: &generator) ? .own : .sharing)
        case 7..<11:
            if let id = pick({ !$0.isConnected }, using: &generator) { connected(id) }
        case 11:
            if let id = pick({ !$0.isConnected }, using: &generator) { failed(id) }
        case 12..<17:
            if let id = pick({ $0.load > 0 }, using: &generator) { finished(id) }
        case 17:
            if let id = pick({ $0.isConnected }, using: &generator) { lost(id) }
        default: tick(after: .milliseconds(Int.random(in: 0...80, using: &generator)))
        }
    }

    /// Everything connects and ends, until nobody waits and no connection is left.
    func comeToRest() {
        var rounds = 0
        while !waiting.isEmpty, rounds < 1000 {
            rounds += 1
            endAll()
            tick(after: .milliseconds(50))
        }
        endAll()
        tick(after: limits.idle + .milliseconds(1))
    }

    private func endAll() {
        for id in ids(where: { !$0.isConnected }) { connected(id) }
        for id in ids(where: { $0.load > 0 }) {
            for _ in 0..<(sessions[id]?.load ?? 0) { finished(id) }
        }
    }

    private func pick(_ holds: (Session) -> Bool, using generator: inout some RandomNumberGenerator) -> SessionID? {
        ids(where: holds).randomElement(using: &generator)
    }

    /// In an order that is the same in every run.
    private func ids(where holds: (Session) -> Bool) -> [SessionID] {
        sessions.filter { holds($0.value) }.keys.sorted { $0.number < $1.number }
    }

    private func request(_ pool: PoolID, _ lane: PoolMachine.Lane) {
        lastRun += 1
        let run = RunID(number: lastRun)
        waiting[run] = Waiter(pool: pool, lane: sharingLimit(pool) > 0 ? lane : .own)
        var actions: [PoolMachine.Action] = []
        machine.request(run, pool, lane, now, &actions)
        take(actions)
    }

    private func connected(_ id: SessionID) {
        sessions[id]?.isConnected = true
        var actions: [PoolMachine.Action] = []
        machine.connected(id, now, &actions)
        take(actions)
    }

    private func failed(_ id: SessionID) {
        sessions[id] = nil
        var actions: [PoolMachine.Action] = []
        machine.failed(id, "away", now, &actions)
        take(actions)
    }

    private func finished(_ id: SessionID) {
        sessions[id]?.load -= 1
        var actions: [PoolMachine.Action] = []
        machine.finished(id, now, &actions)
        take(actions)
    }

    private func lost(_ id: SessionID) {
        sessions[id] = nil
        var actions: [PoolMachine.Action] = []
        machine.lost(id, now, &actions)
        take(actions)
    }

    private func tick(after duration: Duration) {
        now = now.advanced(by: duration)
        var actions: [PoolMachine.Action] = []
        machine.tick(now, &actions)
        take(actions)
        for pool in maximums.keys { checkThatNothingUsefulIsLeft(to: pool) }
    }

    // MARK: what must hold

    private func take(_ actions: [PoolMachine.Action]) {
        for action in actions {
            switch action {
            case .connect(let id, let pool):
                claim(sessions[id] == nil, "\(id) is made once")
                sessions[id] = Session(pool: pool)
                checkTheBounds(of: pool)
            case .start(let run, let id): start(run, id)
            case .close(let id):
                claim(sessions.removeValue(forKey: id)?.isFree == true, "\(id) carries nothing when it is closed")
            case .refuse(let run, _):
                claim(waiting.removeValue(forKey: run) != nil, "\(run) waits when it is refused")
                refused += 1
            }
        }
        claim(machine.sessionCount == sessions.count, "what is counted is there")
        for pool in maximums.keys {
            claim(waiting.values.count { $0.pool == pool } <= limits.waiting, "only so many of \(pool) wait")
        }
    }

    private func start(_ run: RunID, _ id: SessionID) {
        guard let waiter = waiting.removeValue(forKey: run) else {
            Issue.record("\(run) waits when it is started")
            return
        }
        guard let session = sessions[id], session.isConnected, session.pool == waiter.pool else {
            Issue.record("\(id) is a connection of the pool that \(run) waits for")
            return
        }
        claim(session.load == 0 || session.lane == waiter.lane, "\(id) carries runs of one lane")
        claim(session.load < (waiter.lane == .sharing ? limits.sharingDepth : 1), "\(id) has room for \(run)")
        sessions[id]?.lane = waiter.lane
        sessions[id]?.load += 1
        started += 1
        checkTheBounds(of: session.pool)
    }

    private func checkTheBounds(of pool: PoolID) {
        let own = sessions.values.filter { $0.pool == pool }
        claim(sessions.count <= limits.total, "all pools stay under their bound")
        claim(own.count <= maximums[pool] ?? 0, "\(pool) stays under its bound")
        claim(own.count(where: \.isShared) <= sharingLimit(pool), "\(pool) shares no more than it may")
    }

    private func checkThatNothingUsefulIsLeft(to pool: PoolID) {
        let waiters = waiting.values.filter { $0.pool == pool }
        let own = sessions.values.filter { $0.pool == pool }
        let maySpread = own.count(where: \.isShared) < sharingLimit(pool)
        let maximum = maximums[pool] ?? 0
        let owning = own.count { $0.load > 0 && !$0.isShared }
        // The last connection of a pool that is not small is kept for brief reads.
        let mayOwn = maximum < 4 || owning < maximum - 1
        claim(
            !own.contains(where: \.isFree)
                || waiters.allSatisfy { $0.lane == .sharing ? !maySpread : !mayOwn },
            "nobody of \(pool) waits beside a connection that is free"
        )
        claim(
            waiters.isEmpty || !own.isEmpty
                || sessions.count == limits.total && !sessions.values.contains(where: \.isFree),
            "\(pool) waits with nothing only where there is nothing"
        )
    }

    /// Brief reads share at most half of a pool.
    private func sharingLimit(_ pool: PoolID) -> Int {
        min(limits.sharing, (maximums[pool] ?? 0) / 2)
    }

    private func claim(_ holds: Bool, _ sentence: @autoclosure () -> Comment) {
        if !holds { Issue.record(sentence()) }
    }
}

/// https://prng.di.unimi.it/splitmix64.c: the same numbers in every run, so that a failure can be seen again.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
