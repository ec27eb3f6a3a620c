import Dispatch
import Foundation
import Synchronization

/// Where log lines go: standard error, written by a queue of its own, so that no request waits for a terminal or a
/// pipe. At its bound it drops lines and says how many.
final class LogSink: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var dropped = 0
        var isScheduled = false
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "rocket.log", qos: .utility)
    private static let bound = 1 << 20
    private static let delay = DispatchTimeInterval.milliseconds(50)

    func write(_ line: String) {
        let mustSchedule = state.withLock { state in
            if state.pending.count > Self.bound {
                state.dropped += 1
                return false
            }
            state.pending.append(contentsOf: line.utf8)
            state.pending.append(UInt8(ascii: "\n"))
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        if mustSchedule { queue.asyncAfter(deadline: .now() + Self.delay) { self.drain() } }
    }

    /// Writes what is pending before it returns: at the end of the process.
    func flush() {
        queue.sync { drain() }
    }

    private func drain() {
        var (bytes, dropped) = state.withLock { state in
            defer {
                state.pending = []
                state.dropped = 0
                state.isScheduled = false
            }
            return (state.pending, state.dropped)
        }
        if dropped > 0 { bytes.append(contentsOf: "log: \(dropped) lines were dropped\n".utf8) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }
}
