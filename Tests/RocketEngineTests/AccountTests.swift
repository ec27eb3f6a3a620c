import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

struct PasswordHasherTests {
    private static func hasher(cost: Int = 4, running: Int = 2, waiting: Int = 64) -> PasswordHasher {
        PasswordHasher(cost: cost, maximumRunning: running, maximumWaiting: waiting) { count in
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

    @Test func tooManyAtOnceAreRefused() async throws {
        let hasher = Self.hasher(cost: 9, running: 1, waiting: 2)
        let refused = await withTaskGroup(of: Bool.self) { group in
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
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(refused >= 1)
        #expect(try await hasher.hash("password").hasPrefix("$2b$"))
    }
}

struct LoginLimiterTests {
    private static let start = Timestamp(microseconds: 0)

    @Test func attemptsCountBeforeTheyAreJudgedAndASuccessTakesThemBack() throws {
        var limits = LoginLimits()
        limits.perAccount = 3
        let limiter = LoginLimiter(limits)
        for _ in 0..<2 { try limiter.admit(account: "a", address: "1", now: Self.start) }
        limiter.succeed(account: "a", address: "1")
        for _ in 0..<3 { try limiter.admit(account: "a", address: "1", now: Self.start) }
        #expect(throws: RequestFailure.self) { try limiter.admit(account: "a", address: "2", now: Self.start) }
        try limiter.admit(account: "b", address: "1", now: Self.start)
        try limiter.admit(account: "a", address: "1", now: Self.start.adding(seconds: 900))
    }

    @Test func anAddressIsBoundOverAllAccounts() throws {
        var limits = LoginLimits()
        limits.perAddress = 5
        let limiter = LoginLimiter(limits)
        for index in 0..<5 { try limiter.admit(account: "\(index)", address: "1", now: Self.start) }
        do {
            try limiter.admit(account: "new", address: "1", now: Self.start.adding(seconds: 60))
            Issue.record("it was admitted")
        } catch {
            #expect(error.code == .rateLimited && error.retryAfterSeconds == 840)
        }
    }
}
