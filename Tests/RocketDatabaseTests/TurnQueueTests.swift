import RocketDatabase
import RocketPlanning
import Testing

@testable import RocketDatabase

/// Who runs next, and who is woken for it.
struct TurnQueueTests {
    @Test func aFewBriefTurnsWaitForTheWorkerThatIsAwake() {
        let queue = TurnQueue(workers: 2, limit: 100, waitLimit: .seconds(10))
        #expect(woken(queue.add(TestTurn(isBrief: true))) == 0)
        #expect(queue.take(upTo: 1, worker: 0).turns.count == 1)
        for _ in 0..<8 { #expect(woken(queue.add(TestTurn(isBrief: true))) == nil) }
        #expect(woken(queue.add(TestTurn(isBrief: true))) == 1)
        #expect(queue.load == (2, 9))
    }

    @Test func nobodyWaitsForWhatIsNotBriefWhileAWorkerSleeps() {
        let queue = TurnQueue(workers: 2, limit: 100, waitLimit: .seconds(10))
        #expect(woken(queue.add(TestTurn(isBrief: false))) == 0)
        #expect(queue.take(upTo: 1, worker: 0).turns.count == 1)
        #expect(woken(queue.add(TestTurn(isBrief: true))) == 1)
    }

    @Test func whoTakesALastingTurnWakesAnotherForThoseBehindIt() {
        let queue = TurnQueue(workers: 2, limit: 100, waitLimit: .seconds(10))
        #expect(woken(queue.add(TestTurn(isBrief: true))) == 0)
        _ = queue.take(upTo: 1, worker: 0)
        #expect(woken(queue.add(TestTurn(isBrief: false))) == nil)
        #expect(woken(queue.add(TestTurn(isBrief: true))) == nil)
        #expect(queue.take(upTo: 1, worker: 0).wakes == 1)
        // The one that is awake comes by itself.
        #expect(woken(queue.add(TestTurn(isBrief: true))) == nil)
        #expect(queue.take(upTo: 1, worker: 1).turns.count == 1)
        #expect(queue.take(upTo: 1, worker: 1).turns.count == 1)
        #expect(queue.take(upTo: 1, worker: 1).turns.isEmpty)
        #expect(queue.load == (1, 0))
    }

    @Test func aWorkerThatIsDoneWithALastingTurnIsInReachAgain() {
        let queue = TurnQueue(workers: 2, limit: 100, waitLimit: .seconds(10))
        #expect(woken(queue.add(TestTurn(isBrief: false))) == 0)
        _ = queue.take(upTo: 1, worker: 0)
        #expect(queue.take(upTo: 1, worker: 0).turns.isEmpty)
        #expect(woken(queue.add(TestTurn(isBrief: true))) == 0)
        _ = queue.take(upTo: 1, worker: 0)
        #expect(woken(queue.add(TestTurn(isBrief: true))) == nil)
    }

    private func woken(_ admission: TurnQueue.Admission) -> Int? {
        guard case .addedAndWake(let worker) = admission else { return nil }
        return worker
    }
}

private struct TestTurn: Turn {
    let mode = WriteMode.shared
    let isBrief: Bool

    func runReading(_ access: borrowing SQLiteAccess) {}
    func advanceWriting(_ access: borrowing SQLiteAccess) throws -> OutsideCall? { nil }
    func startOver() {}
    func succeed() {}
    func fail(_ failure: DatabaseFailure) {}
    func fail(with error: any Error) {}
}
