import Testing

@testable import RocketServer

/// Who is served, who is told that there is no room, and who is not even told.
struct ConnectionCountTests {
    @Test func whoIsRefusedTakesNobodysPlace() {
        let count = ConnectionCount(maximum: 2)
        let served = [count.enter(), count.enter()]
        #expect(served == [.served, .served])
        let refused = (0..<ConnectionCount.maximumRefused).map { _ in count.enter() }
        #expect(refused.allSatisfy { $0 == .refused })
        #expect(count.enter() == .closed)
        count.leave(.closed)
        count.leave(.served)
        #expect(count.enter() == .served)
        #expect(count.enter() == .closed)
        count.leave(.refused)
        #expect(count.enter() == .refused)
    }
}
