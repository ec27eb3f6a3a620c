package import RocketModel
import Synchronization

/// Bounds on failed logins, per account and per address, within a window of time.
package struct LoginLimits: Sendable {
    package var perAccount = 10
    package var perAddress = 100
    package var windowSeconds: Int64 = 15 * 60

    package init() {}
}

/// Counts failed logins. An attempt counts before its password is checked, so that many at once can't slip by;
/// a success takes it back.
package final class LoginLimiter: Sendable {
    private struct Window {
        var failures: Int
        var startedAt: Timestamp
    }

    private struct State {
        var accounts: [String: Window] = [:]
        var addresses: [String: Window] = [:]
    }

    private let limits: LoginLimits
    private let state = Mutex(State())
    /// Past this many entries the ones whose window is over are cleared out.
    private static let sweepThreshold = 10_000

    package init(_ limits: LoginLimits) {
        self.limits = limits
    }

    /// Counts an attempt.
    ///
    /// - Throws: 429 with the seconds until the window ends.
    package func admit(account: String, address: String, now: Timestamp) throws(RequestFailure) {
        let refusedUntil = state.withLock { state -> Timestamp? in
            sweep(&state, now)
            let account = count(&state.accounts, account, limits.perAccount, now)
            let address = count(&state.addresses, address, limits.perAddress, now)
            return account ?? address
        }
        guard let refusedUntil else { return }
        let seconds = (refusedUntil.microseconds - now.microseconds + 999_999) / 1_000_000
        throw RequestFailure(
            .rateLimited,
            "Too many failed sign-ins; try again later",
            retryAfterSeconds: Int(max(1, seconds))
        )
    }

    /// A success clears the account's count and takes its own attempt back from the address.
    package func succeed(account: String, address: String) {
        state.withLock { state in
            state.accounts[account] = nil
            state.addresses[address]?.failures -= 1
        }
    }

    /// When the window ends, where it is full; else nil, and the attempt is counted.
    private func count(_ windows: inout [String: Window], _ key: String, _ limit: Int, _ now: Timestamp) -> Timestamp? {
        var window = windows[key] ?? Window(failures: 0, startedAt: now)
        if window.startedAt.adding(seconds: limits.windowSeconds) <= now {
            window = Window(failures: 0, startedAt: now)
        }
        defer { windows[key] = window }
        if window.failures >= limit { return window.startedAt.adding(seconds: limits.windowSeconds) }
        window.failures += 1
        return nil
    }

    private func sweep(_ state: inout State, _ now: Timestamp) {
        let isOver = { (window: Window) in window.startedAt.adding(seconds: self.limits.windowSeconds) <= now }
        if state.accounts.count > Self.sweepThreshold { state.accounts = state.accounts.filter { !isOver($0.value) } }
        if state.addresses.count > Self.sweepThreshold {
            state.addresses = state.addresses.filter { !isOver($0.value) }
        }
    }
}
