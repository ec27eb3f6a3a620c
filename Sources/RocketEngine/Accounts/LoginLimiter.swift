package import RocketModel
import Synchronization

/// Bounds on failed logins, per account and per address, within a window of time. Asking for password resets is bound
/// by the same numbers, each time counted, and so are failed resets, per address.
package struct LoginLimits: Sendable {
    package var perAccount = 10
    package var perAddress = 100
    package var windowSeconds: Int64 = 15 * 60

    package init() {}
}

/// Counts failed logins. An attempt that is being judged holds a place, so that many at once can't slip by the
/// bound; when all places are held, further attempts wait for an answer rather than fail for it.
package final class LoginLimiter: Sendable {
    /// What came of an attempt.
    package enum Outcome: Sendable {
        case success
        case failure
        /// It was not judged: the server was busy, or at fault.
        case undecided
    }

    private struct Window {
        var failures = 0
        var held = 0
        var startedAt: Timestamp
    }

    private enum Decision {
        case admitted
        case mustWait
        case refused(until: Timestamp)
    }

    private struct State {
        var accounts: [String: Window] = [:]
        var addresses: [String: Window] = [:]
    }

    private let limits: LoginLimits
    private let state = Mutex(State())
    /// Past this many windows the ones that are over are cleared out, and then no account beside them is taken.
    private static let maximumWindows = 100_000
    private static let patience = Duration.seconds(10)

    package init(_ limits: LoginLimits) {
        self.limits = limits
    }

    /// Holds a place for an attempt, which ``finish(account:address:_:)`` gives back.
    ///
    /// - Parameters:
    ///   - account: nil where an attempt names none, and only its address is bound.
    ///   - now: by a clock that only goes on: a clock that is set right must lock nobody out.
    /// - Throws: 429 with the seconds until the window ends; 503 where no place gets free.
    package func admit(account: String?, address: String, now: Timestamp) async throws {
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            switch state.withLock({ decide(&$0, account, address, now) }) {
            case .admitted: return
            case .refused(let until):
                let seconds = (until.microseconds - now.microseconds + 999_999) / 1_000_000
                throw RequestFailure(
                    .rateLimited,
                    "Too many attempts; try again later",
                    retryAfterSeconds: Int(max(1, seconds))
                )
            case .mustWait: try await Task.sleep(for: .milliseconds(20))
            }
        }
        throw RequestFailure.unavailable("Too many attempts at once; try again shortly")
    }

    /// The address is asked first: one that is refused counts against no account.
    private func decide(_ state: inout State, _ account: String?, _ address: String, _ now: Timestamp) -> Decision {
        var byAddress = window(state.addresses[address], now)
        var byAccount = window(account.flatMap { state.accounts[$0] }, now)
        for (window, limit) in [(byAddress, limits.perAddress), (byAccount, limits.perAccount)] {
            if window.failures >= limit {
                return .refused(until: window.startedAt.adding(seconds: limits.windowSeconds))
            }
            if window.failures + window.held >= limit { return .mustWait }
        }
        if state.accounts.count + state.addresses.count >= Self.maximumWindows {
            sweep(&state, now)
            if state.accounts.count + state.addresses.count >= Self.maximumWindows { return .mustWait }
        }
        byAddress.held += 1
        state.addresses[address] = byAddress
        if let account {
            byAccount.held += 1
            state.accounts[account] = byAccount
        }
        return .admitted
    }

    /// Gives the place back. A failure counts for the account and the address; a success clears the account.
    package func finish(account: String?, address: String, _ outcome: Outcome) {
        state.withLock { state in
            if let account { state.accounts[account] = judged(state.accounts[account], outcome, clears: true) }
            state.addresses[address] = judged(state.addresses[address], outcome, clears: false)
        }
    }

    /// The window after an attempt; nil where it says nothing any more.
    private func judged(_ window: Window?, _ outcome: Outcome, clears: Bool) -> Window? {
        guard var window else { return nil }
        window.held = max(0, window.held - 1)
        switch outcome {
        case .failure: window.failures += 1
        case .success: if clears { window.failures = 0 }
        case .undecided: break
        }
        return window.failures == 0 && window.held == 0 ? nil : window
    }

    private func window(_ window: Window?, _ now: Timestamp) -> Window {
        guard let window else { return Window(startedAt: now) }
        guard window.startedAt.adding(seconds: limits.windowSeconds) <= now else { return window }
        return Window(held: window.held, startedAt: now)
    }

    private func sweep(_ state: inout State, _ now: Timestamp) {
        let matters = { (window: Window) in
            window.held > 0 || window.startedAt.adding(seconds: self.limits.windowSeconds) > now
        }
        state.accounts = state.accounts.filter { matters($0.value) }
        state.addresses = state.addresses.filter { matters($0.value) }
    }
}
