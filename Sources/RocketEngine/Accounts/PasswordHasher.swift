import CCrypt
import Dispatch
import RocketModel
import Synchronization

/// Hashes and checks passwords with bcrypt (`$2b$`) by libxcrypt, away from the threads that serve requests, and
/// not more of them at once than there are cores to spare.
package final class PasswordHasher: Sendable {
    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
    }

    private let cost: Int
    private let maximumRunning: Int
    private let maximumWaiting: Int
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "rocket.password", attributes: .concurrent)
    private let randomBytes: @Sendable (Int) -> [UInt8]
    /// A hash of no password, to check against where there is no user: the answer takes as long.
    private let placeholder: String

    /// - Parameter cost: bcrypt's cost, 4 to 31: the work is 2 to the power of it.
    package init(
        cost: Int = 10,
        maximumRunning: Int = 2,
        maximumWaiting: Int = 64,
        randomBytes: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.cost = cost
        self.maximumRunning = maximumRunning
        self.maximumWaiting = maximumWaiting
        self.randomBytes = randomBytes
        placeholder = crypt("", setting: salt(cost: cost, randomBytes(16)) ?? "") ?? ""
    }

    /// Whether a text can be a hash: `$2b$10$` and 53 characters (crypt(5)).
    static func isHash(_ text: String) -> Bool {
        text.utf8.count == 60 && text.hasPrefix("$2") && text.utf8.dropFirst(3).first == UInt8(ascii: "$")
    }

    /// - Throws: 503 where too many wait already.
    package func hash(_ password: String) async throws -> String {
        try await run { [cost, randomBytes] in
            guard let setting = salt(cost: cost, randomBytes(16)), let hash = crypt(password, setting: setting) else {
                throw RequestFailure(.internalError, "The password can't be hashed")
            }
            return hash
        }
    }

    /// Whether the password belongs to the hash. Without a hash it takes as long and is false.
    ///
    /// - Throws: 503 where too many wait already.
    package func verify(_ password: String, against hash: String?) async throws -> Bool {
        try await run { [placeholder] in
            let expected = hash ?? placeholder
            // What bcrypt would cut or stop at can't be a password of ours, but it takes the same time.
            guard let computed = crypt(password, setting: expected) else { return false }
            let isEqual = areEqualInConstantTime(Array(computed.utf8), Array(expected.utf8))
            return isEqual && hash != nil && PasswordPolicy.problem(with: password) == nil
        }
    }

    private func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job: @Sendable () -> Void = {
                self.queue.async {
                    let result = Result(catching: work)
                    self.finishOne()
                    continuation.resume(with: result)
                }
            }
            let isAccepted = state.withLock { state in
                if state.running < maximumRunning {
                    state.running += 1
                    return Optional(true)
                }
                guard state.waiting.count < maximumWaiting else { return Optional<Bool>.none }
                state.waiting.append(job)
                return Optional(false)
            }
            switch isAccepted {
            case true?: job()
            case false?: break
            case nil:
                continuation.resume(
                    throwing: RequestFailure.unavailable("Too many sign-ins at once; try again shortly")
                )
            }
        }
    }

    private func finishOne() {
        let next = state.withLock { state -> (@Sendable () -> Void)? in
            guard !state.waiting.isEmpty else {
                state.running -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?()
    }
}

private func salt(cost: Int, _ random: [UInt8]) -> String? {
    var output = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
    let made = random.withUnsafeBytes { bytes in
        crypt_gensalt_rn(
            "$2b$",
            UInt(cost),
            bytes.bindMemory(to: CChar.self).baseAddress,
            Int32(bytes.count),
            &output,
            Int32(output.count)
        )
    }
    return made.map { String(cString: $0) }
}

private func crypt(_ password: String, setting: String) -> String? {
    let data = UnsafeMutablePointer<crypt_data>.allocate(capacity: 1)
    defer { data.deallocate() }
    data.initialize(to: crypt_data())
    guard let result = crypt_r(password, setting, data) else { return nil }
    let hash = String(cString: result)
    // libxcrypt tells a failure by a text that begins with an asterisk (crypt(3)).
    return hash.hasPrefix("*") ? nil : hash
}

/// Whether two texts are the same, in a time that does not tell where they differ.
package func areEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
}
