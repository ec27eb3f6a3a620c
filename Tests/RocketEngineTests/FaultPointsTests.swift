import RocketEngine
import Synchronization
import Testing

struct FaultPointsTests {
    private static func passes(_ rate: Double, chance: Double) -> Bool {
        let isPassed = Mutex(true)
        let faults = FaultPoints(
            rates: [.afterCommit: rate],
            chance: { chance },
            end: { isPassed.withLock { $0 = false } }
        )
        faults.pass(.afterCommit)
        faults.pass(.beforeAnswer)
        return isPassed.withLock { $0 }
    }

    @Test func aPointEndsAsOftenAsItsRateSays() {
        #expect(Self.passes(0.5, chance: 0.5) && !Self.passes(0.5, chance: 0.49) && !Self.passes(1, chance: 0.999))
    }

    @Test func withoutRatesNothingHappens() {
        for point in FaultPoints.Point.allCases {
            #expect(!FaultPoints.none.has(point) && !FaultPoints.none.draws(point))
        }
    }

    @Test(arguments: [
        "after-commit", "after-commit=", "after-commit=0", "after-commit=1.1", "nowhere=1", "=1", "after-commit=nan",
    ])
    func whatIsNoListOfPointsIsRefused(text: String) {
        #expect(throws: FaultPointsError.self) { try FaultPoints(text) }
    }

    @Test func aListIsRead() throws {
        let faults = try FaultPoints("after-commit=0.01,answer-lost=1")
        #expect(faults.has(.afterCommit) && faults.draws(.answerLost) && !faults.has(.beforeAnswer))
    }
}
