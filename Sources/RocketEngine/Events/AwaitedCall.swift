import RocketDatabase
import RocketModel
import RocketPlanning
import Synchronization

/// How a write makes the calls that it waits for.
package struct SynchronousCalls: Sendable {
    package let caller: any OutsideCaller
    /// How long those of one write may take together: other writers may wait for it.
    package let limit: Duration
    private let slots: CallSlots

    /// - Parameters:
    ///   - perApp: how many writes of one app may wait at once, each with a connection that nobody else has meanwhile.
    ///   - total: how many of all apps.
    package init(caller: any OutsideCaller, limit: Duration = .seconds(5), perApp: Int = 8, total: Int = 20) {
        self.caller = caller
        self.limit = limit
        slots = CallSlots(perApp: perApp, total: total)
    }

    /// - Returns: whether there is room for one more write of an app that waits.
    func enter(_ app: String) -> Bool { slots.enter(app) }
    func leave(_ app: String) { slots.leave(app) }
}

private final class CallSlots: Sendable {
    private let perApp: Int
    private let total: Int
    private let taken = Mutex<[String: Int]>([:])

    init(perApp: Int, total: Int) {
        self.perApp = perApp
        self.total = total
    }

    func enter(_ app: String) -> Bool {
        taken.withLock { taken in
            guard taken[app, default: 0] < perApp, taken.values.reduce(0, +) < total else { return false }
            taken[app, default: 0] += 1
            return true
        }
    }

    func leave(_ app: String) {
        taken.withLock { taken in
            let left = (taken[app] ?? 1) - 1
            taken[app] = left > 0 ? left : nil
        }
    }
}

/// A call that a write waits for, and holds only where it agrees.
struct AwaitedCall: Sendable {
    let delivery: OutboxStore.Delivery
    /// What it is signed with; nil for no signature.
    let sealedSecret: String?
    /// Which operation of a batch it belongs to.
    var operation: Int?
}

/// A transaction that may wait for calls. They are made when it has done everything else.
protocol AnnouncingScript<Outcome>: TransactionScript {
    /// Complete when the script gives its last statements.
    var awaitedCalls: [AwaitedCall] { get }
}

/// The calls that the transactions of one request have made: written inside them, read when they have failed, for the
/// log of a call is kept when its write is not.
final class AwaitedCallJournal: Sendable {
    private struct Entry {
        let call: AwaitedCall
        let report: DeliveryReport
    }

    private let calls: SynchronousCalls
    private let app: String
    /// A store that is one connection for all writers lets them wait in line.
    private let needsSlot: Bool
    private let isAdmin: Bool
    private let now: @Sendable () -> Timestamp
    private let entries = Mutex<[Entry]>([])
    private let isCalling = Mutex(false)
    private let hasSlot = Mutex(false)
    /// When the time of all calls is over; set by the first.
    private let deadline = Mutex<ContinuousClock.Instant?>(nil)

    init(_ calls: SynchronousCalls, _ access: Access, in app: AppContext, now: @escaping @Sendable () -> Timestamp) {
        self.calls = calls
        self.app = app.stored.identity
        needsSlot = app.database.isRemote
        isAdmin = access.principal.isAdmin
        self.now = now
    }

    /// - Throws: 503 where as many writes wait for calls as may.
    func enter() throws(RequestFailure) {
        guard needsSlot, !hasSlot.withLock({ $0 }) else { return }
        guard calls.enter(app) else {
            throw .unavailable("As many writes wait for webhooks as may at once; try again shortly")
        }
        hasSlot.withLock { $0 = true }
    }

    func leave() {
        if hasSlot.withLock({ hasSlot in
            defer { hasSlot = false }
            return hasSlot
        }) {
            calls.leave(app)
        }
    }

    func make(_ call: AwaitedCall) async {
        isCalling.withLock { $0 = true }
        defer { isCalling.withLock { $0 = false } }
        let start = ContinuousClock.now
        let deadline = deadline.withLock { deadline -> ContinuousClock.Instant in
            let end = deadline ?? start + calls.limit
            deadline = end
            return end
        }
        let outcome: CallOutcome
        if let problem = call.delivery.problem {
            outcome = .failed(problem)
        } else if start >= deadline {
            outcome = .failed("not sent: the calls before it took all the time that a write may wait")
        } else {
            outcome = await calls.caller.send(
                OutgoingCall(
                    call: call.delivery.call,
                    body: call.delivery.body,
                    idempotencyKey: call.delivery.idempotencyKey,
                    sealedSecret: call.sealedSecret,
                    cause: call.delivery.cause,
                    timeout: deadline - start,
                    needsWholeAnswer: true
                )
            )
        }
        let report = DeliveryReport(outcome, took: ContinuousClock.now - start)
        entries.withLock { $0.append(Entry(call: call, report: report)) }
    }

    /// - Throws: 502 where the last call did not agree.
    func judge() throws(RequestFailure) {
        guard let last = entries.withLock({ $0.last }), last.report.status != .delivered else { return }
        let id = last.call.delivery.webhookID ?? ""
        // What went wrong on the way to it is its administrators' business.
        let reason = isAdmin || last.report.responseStatus != nil ? last.report.error ?? "" : "it did not answer"
        var facts: JSONObject = ["webhook_id": .string(id)]
        facts["status"] = last.report.responseStatus.map(JSONValue.integer)
        let failure = RequestFailure(
            .webhookFailed,
            "The webhook \(id) has not agreed, so nothing has changed: \(reason)",
            details: [FailureDetail(message: reason, facts: facts)]
        )
        guard let operation = last.call.operation else { throw failure }
        throw failure.ofOperation(operation)
    }

    /// When the last call has ended, which may go on though its transaction is gone.
    func settle() async {
        while isCalling.withLock({ $0 }) {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }

    var isEmpty: Bool { entries.withLock { $0.isEmpty } && !isCalling.withLock { $0 } }

    /// The rows of the log, which may be there already.
    func statements(_ store: OutboxStore) -> [SQLStatement] {
        store.inserts(entries.withLock { $0.map { ($0.call.delivery, $0.report) } }, now: now())
    }
}

extension DeliveryReport {
    /// A call is tried once where a write waits for it.
    init(_ outcome: CallOutcome, took duration: Duration) {
        self.init(
            status: outcome.problem == nil ? .delivered : .failed,
            attempt: 1,
            nextTry: nil,
            responseStatus: outcome.status,
            responseBody: outcome.body,
            error: outcome.problem,
            milliseconds: duration.milliseconds
        )
    }
}

extension Duration {
    package var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
