import Synchronization
import Testing

@testable import RocketEngine

/// What operators are told of a server whose databases are slow.
struct SamplerTests {
    /// Ends when it is told to.
    private final class Gate: Sendable {
        private let stream: AsyncStream<Void>
        private let continuation: AsyncStream<Void>.Continuation

        init() { (stream, continuation) = AsyncStream.makeStream() }

        func open() { continuation.finish() }

        func pass() async { for await _ in stream {} }
    }

    private static func sample(openApps: Int) -> RegistrySample {
        var sample = RegistrySample()
        sample.openApps = openApps
        return sample
    }

    @Test func beforeAnythingWasSeenNothingIsTold() async throws {
        let sampler = Sampler(firstPatience: .milliseconds(20))
        let gate = Gate()
        let look = { @Sendable in
            await gate.pass()
            return Self.sample(openApps: 3)
        }
        #expect(await sampler.sample(look)?.openApps == nil)
        gate.open()
        let patient = Sampler(firstPatience: .seconds(60))
        #expect(await patient.sample(look)?.openApps == 3)
    }

    @Test func whileALookTakesLongTheOneBeforeIsTold() async throws {
        let sampler = Sampler(age: .zero, patience: .milliseconds(20), firstPatience: .seconds(60))
        let gate = Gate()
        #expect(await sampler.sample { Self.sample(openApps: 1) }?.openApps == 1)
        let slow = { @Sendable in
            await gate.pass()
            return Self.sample(openApps: 2)
        }
        #expect(await sampler.sample(slow)?.openApps == 1)
        gate.open()
    }

    @Test func whoAsksShortlyAfterGetsTheSameLook() async throws {
        let sampler = Sampler(age: .seconds(60))
        let looks = Mutex(0)
        for _ in 0..<3 {
            let sample = await sampler.sample {
                looks.withLock { $0 += 1 }
                return Self.sample(openApps: 5)
            }
            #expect(sample?.openApps == 5)
        }
        #expect(looks.withLock { $0 } == 1)
    }
}
