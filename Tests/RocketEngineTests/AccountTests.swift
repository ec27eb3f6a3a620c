import Foundation
import RocketEngine
import RocketModel
import RocketTestSupport
import Synchronization
import Testing

struct PasswordHasherTests {
    private static func hasher() -> PasswordHasher {
        PasswordHasher(cost: 4) { count in
            (0..<count).map { _ in UInt8.random(in: 0...255) }
        }
    }

    @Test func aHashIsBcryptsAndBelongsToItsPasswordOnly() async throws {
        let hasher = Self.hasher()
        let hash = try await hasher.hash("correct horse")
        #expect(hash.hasPrefix("$2b$04$") && hash.count == 60)
        #expect(try await hasher.hash("correct horse") != hash)
        #expect(try await hasher.verify("correct horse", against: hash))
        #expect(try await !hasher.verify("correct horsf", against: hash))
        #expect(try await !hasher.verify("", against: hash))
        #expect(try await !hasher.verify("correct horse", against: nil))
        #expect(try await !hasher.verify("correct horse", against: "not a hash"))
    }

    @Test func whatBcryptWouldCutIsNotThePassword() async throws {
        let hasher = Self.hasher()
        let long = String(repeating: "a", count: 72)
        let hash = try await hasher.hash(long)
        #expect(try await hasher.verify(long, against: hash))
        #expect(try await !hasher.verify(long + "b", against: hash))
        #expect(PasswordPolicy.problem(with: long + "b") != nil)
        #expect(PasswordPolicy.problem(with: "seven77") != nil)
        #expect(PasswordPolicy.problem(with: "nul\u{0}inside") != nil)
        #expect(PasswordPolicy.problem(with: "eight888") == nil)
    }

    /// Holds those who hash until it is opened.
    private final class Gate: Sendable {
        private let isClosed = Atomic(false)

        func close() { isClosed.store(true, ordering: .sequentiallyConsistent) }
        func open() { isClosed.store(false, ordering: .sequentiallyConsistent) }

        func pass() {
            while isClosed.load(ordering: .sequentiallyConsistent) { Thread.sleep(forTimeInterval: 0.001) }
        }
    }

    @Test func tooManyAtOnceAreRefused() async throws {
        let gate = Gate()
        let hasher = PasswordHasher(cost: 4, maximumRunning: 1, maximumWaiting: 2) { count in
            gate.pass()
            return Array(repeating: 7, count: count)
        }
        gate.close()
        // Were fewer turned away, the others would wait for good.
        let watchdog = Task {
            try await Task.sleep(for: .seconds(30))
            gate.open()
        }
        defer { watchdog.cancel() }
        let answers = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<30 {
                group.addTask {
                    do {
                        _ = try await hasher.hash("password")
                        return false
                    } catch {
                        return (error as? RequestFailure)?.code == .unavailable
                    }
                }
            }
            // One works and two wait, for as long as the gate is closed: all others are turned away at once.
            var answers: [Bool] = []
            for await isRefused in group {
                answers.append(isRefused)
                if answers.count == 27 { gate.open() }
            }
            return answers
        }
        #expect(answers == Array(repeating: true, count: 27) + Array(repeating: false, count: 3))
        #expect(try await hasher.hash("password").hasPrefix("$2b$"))
    }
}

struct LoginLimiterTests {
    private static let start = Timestamp(microseconds: 0)

    private static func limiter(perAccount: Int = 3, perAddress: Int = 100) -> LoginLimiter {
        var limits = LoginLimits()
        limits.perAccount = perAccount
        limits.perAddress = perAddress
        return LoginLimiter(limits)
    }

    private static func attempt(
        _ limiter: LoginLimiter,
        _ account: String,
        _ address: String,
        _ outcome: LoginLimiter.Outcome,
        at seconds: Int64 = 0
    ) async throws {
        try await limiter.admit(account: account, address: address, now: start.adding(seconds: seconds))
        limiter.finish(account: account, address: address, outcome)
    }

    @Test func onlyFailuresCountAndASuccessClearsThem() async throws {
        let limiter = Self.limiter()
        for _ in 0..<20 { try await Self.attempt(limiter, "a", "1", .success) }
        for _ in 0..<20 { try await Self.attempt(limiter, "a", "1", .undecided) }
        for _ in 0..<2 { try await Self.attempt(limiter, "a", "1", .failure) }
        try await Self.attempt(limiter, "a", "1", .success)
        for _ in 0..<3 { try await Self.attempt(limiter, "a", "1", .failure) }
        await #expect(throws: RequestFailure.self) { try await Self.attempt(limiter, "a", "2", .success) }
        try await Self.attempt(limiter, "b", "1", .success)
        try await Self.attempt(limiter, "a", "1", .success, at: 900)
    }

    @Test func anAddressIsBoundOverAllAccountsAndThenCountsAgainstNone() async throws {
        let limiter = Self.limiter(perAddress: 5)
        for index in 0..<5 { try await Self.attempt(limiter, "\(index)", "1", .failure) }
        for _ in 0..<10 {
            do {
                try await Self.attempt(limiter, "victim", "1", .failure, at: 60)
                Issue.record("it was admitted")
            } catch let failure as RequestFailure {
                #expect(failure.code == .rateLimited && failure.retryAfterSeconds == 840)
            }
        }
        try await Self.attempt(limiter, "victim", "2", .success, at: 60)
    }

    @Test func guessesAtOnceAreHeldToTheBoundAndRightOnesAllPass() async throws {
        let limiter = Self.limiter(perAccount: 3)
        let judged = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<30 {
                group.addTask {
                    do {
                        try await limiter.admit(account: "a", address: "1", now: Self.start)
                        try await Task.sleep(for: .milliseconds(5))
                        limiter.finish(account: "a", address: "1", .failure)
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(judged == 3)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<30 { group.addTask { try await Self.attempt(limiter, "b", "1", .success) } }
            try await group.waitForAll()
        }
    }
}
