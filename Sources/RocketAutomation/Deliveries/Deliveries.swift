import Logging
import RocketDatabase
package import RocketEngine
package import RocketModel
import RocketPlanning
import Synchronization

package struct DeliverySettings: Sendable {
    /// How long a call may take.
    package var timeout = Duration.seconds(30)
    /// How long a claim holds that is not renewed.
    package var leaseSeconds: Int64 = 30
    /// How often it is renewed.
    package var renewal = Duration.seconds(10)
    /// Calls at once: of one webhook, of one app, and of all together.
    package var perLane = 16
    package var perApp = 128
    package var atOnce = 1024
    /// How long a call may go on when the server stops.
    package var patienceAtStop = Duration.seconds(2)
    /// How long rows of the log are kept.
    package var logDays: Int64 = 30

    package init() {}
}

/// Sends what writes have left in `_webhook_logs`: right after their commit, again when a pause is over, and what a crash
/// has left.
package final class Deliveries: AppWork {
    private struct Lane: Hashable {
        let app: String
        let name: String
    }

    private let sender: CallSender
    private let settings: DeliverySettings
    private let dependencies: EngineDependencies
    /// How many calls run in each lane.
    private let running = Mutex<[Lane: Int]>([:])

    package init(
        sender: CallSender,
        dependencies: EngineDependencies,
        settings: DeliverySettings = DeliverySettings()
    ) {
        self.sender = sender
        self.dependencies = dependencies
        self.settings = settings
    }

    // MARK: claims

    package func claim(in app: AppContext) async throws -> (jobs: [AppJob], next: Timestamp?) {
        let store = DeliveryStore(app.database.dialect)
        let now = dependencies.now()
        var jobs: [AppJob] = []
        // In no order that favours one.
        let lanes = store.read(try await app.database.read([store.lanes(after: now)])[0]).shuffled()
        var instants = lanes.compactMap(\.later)
        for lane in lanes where lane.isDue {
            // What is claimed should not wait for others to be.
            guard jobs.count < Self.maximumClaimed else {
                instants.append(now)
                break
            }
            do {
                jobs += try await claim(lane, app, store)
            } catch {
                // What others have given is not to be lost.
                dependencies.logger.debug("a claim failed", metadata: ["app": "\(app.name)", "cause": "\(error)"])
                instants.append(now.adding(seconds: Self.pauseSeconds))
            }
        }
        // What was claimed is due again when its lease ends.
        if !jobs.isEmpty { instants.append(now.adding(seconds: settings.leaseSeconds)) }
        return (jobs, instants.min())
    }

    private static let maximumClaimed = 64
    private static let pauseSeconds: Int64 = 2

    /// Each lane by itself: one that hangs keeps no other waiting.
    private func claim(_ due: DeliveryStore.Lane, _ app: AppContext, _ store: DeliveryStore) async throws -> [AppJob] {
        let lane = Lane(app: app.stored.identity, name: due.name)
        let (mine, own, all) = running.withLock { running in
            let own = running.reduce(0) { $1.key.app == lane.app ? $0 + $1.value : $0 }
            return (running[lane] ?? 0, own, running.values.reduce(0, +))
        }
        // Many at once cost little more than one.
        guard settings.perLane - mine >= settings.perLane / 2, own < settings.perApp, all < settings.atOnce else {
            return []
        }
        let room = settings.perLane - mine
        let now = dependencies.now()
        let lease = now.adding(seconds: settings.leaseSeconds)
        var claimed: [ClaimedDelivery] = []
        // Where many of one record wait for each other, others wait behind them.
        for window in due.isLong ? [Self.window, Self.longWindow] : [Self.window] where claimed.count < room / 2 {
            let limit = room - claimed.count
            let claim = store.claim(lane: due.name, limit: limit, among: window, now: now, lease: lease)
            let new: [ClaimedDelivery]
            do {
                new = store.claimed(try await app.database.write([claim])[0])
            } catch {
                // What is claimed by now counts in the lane, and must be sent.
                guard !claimed.isEmpty else { throw error }
                break
            }
            claimed += new
            running.withLock { $0[lane, default: 0] += new.count }
        }
        return claimed.map { delivery in
            {
                await self.send(delivery, app, store)
                self.leave(lane)
            }
        }
    }

    /// How many rows of a lane are looked at for some that nothing holds up.
    private static let window = DeliveryStore.longLane
    private static let longWindow = 20_000

    private func leave(_ lane: Lane) {
        running.withLock { running in
            let left = (running[lane] ?? 1) - 1
            running[lane] = left > 0 ? left : nil
        }
    }

    // MARK: one delivery

    private func send(_ delivery: ClaimedDelivery, _ app: AppContext, _ store: DeliveryStore) async {
        let (call, sealedSecret, problem) = currentCall(of: delivery, app)
        let start = ContinuousClock.now
        let outgoing = OutgoingCall(
            call: call,
            body: delivery.body,
            idempotencyKey: delivery.idempotencyKey,
            sealedSecret: sealedSecret,
            cause: delivery.cause,
            timeout: settings.timeout
        )
        var outcome = problem.map(CallOutcome.failed)
        if outcome == nil { outcome = await send(outgoing, renewing: delivery, app, store) }
        // Another server has it, or this one stops and has given it back.
        guard let outcome else { return }
        dependencies.faults.pass(.afterStepEffect)
        let now = dependencies.now()
        let life = DeliveryLife(
            attempt: delivery.attempt,
            maximumAttempts: problem == nil ? delivery.maximumAttempts : 0,
            backoff: delivery.backoff
        )
        let report = life.after(
            outcome,
            at: now,
            milliseconds: (ContinuousClock.now - start).milliseconds,
            chance: Double.random(in: 0..<1)
        )
        dependencies.metrics.noteDelivery(report.status.rawValue)
        do {
            _ = try await app.database.write(store.report(delivery, call, report, now: now))
        } catch {
            // It is sent again when the lease has run out, with the same key.
            dependencies.logger.warning(
                "a delivery was sent and could not be noted",
                metadata: ["app": "\(app.name)", "delivery": "\(delivery.id)", "cause": "\(error)"]
            )
        }
    }

    /// Where it goes now: a webhook may have been mended since the write.
    private func currentCall(of delivery: ClaimedDelivery, _ app: AppContext) -> (WebhookCall, String?, String?) {
        guard let id = delivery.webhookID else { return (delivery.call, nil, nil) }
        guard let webhook = app.snapshots.current.webhook(id) else {
            return (delivery.call, nil, "the webhook is not there any more, or not active")
        }
        return (webhook.definition.call, webhook.definition.sealedSecret, nil)
    }

    /// - Returns: nil where the lease was lost, or where this server stops.
    private func send(
        _ outgoing: OutgoingCall,
        renewing delivery: ClaimedDelivery,
        _ app: AppContext,
        _ store: DeliveryStore
    ) async -> CallOutcome? {
        // By itself: a server that stops lets a call end that is about to, so that it need not be made again.
        let sending = Task { [sender] in await sender.send(outgoing) }
        let (outcome, isEnded) = await withTaskGroup(of: CallOutcome?.self) { group in
            group.addTask { [settings] in await Self.outcome(of: sending, patience: settings.patienceAtStop) }
            group.addTask { await self.renew(delivery, app, store) }
            var first = await group.next() ?? nil
            // Where the server stops, nobody renews any more, and the call has a little while yet.
            if first == nil, Task.isCancelled { first = await group.next() ?? nil }
            let isEnded = first != nil && !sending.isCancelled
            sending.cancel()
            group.cancelAll()
            return (first, isEnded)
        }
        guard Task.isCancelled, !isEnded else { return outcome }
        await giveBack(delivery, app, store)
        return nil
    }

    /// - Parameter patience: how long it is waited for once nobody wants it any more.
    private static func outcome(of sending: Task<CallOutcome, Never>, patience: Duration) async -> CallOutcome? {
        await withTaskCancellationHandler {
            await sending.value
        } onCancel: {
            Task {
                do { try await Task.sleep(for: patience) } catch {}
                sending.cancel()
            }
        }
    }

    /// Until the lease is lost, or nobody needs it any more.
    private func renew(_ delivery: ClaimedDelivery, _ app: AppContext, _ store: DeliveryStore) async -> CallOutcome? {
        while true {
            do { try await Task.sleep(for: settings.renewal) } catch { return nil }
            let lease = dependencies.now().adding(seconds: settings.leaseSeconds)
            do {
                if try await app.database.write([store.renew(delivery, lease: lease)])[0].changes == 0 { return nil }
            } catch {
                dependencies.logger.debug("a lease was not renewed", metadata: ["cause": "\(error)"])
            }
        }
    }

    /// In a task of its own, for the one that sends is cancelled.
    private func giveBack(_ delivery: ClaimedDelivery, _ app: AppContext, _ store: DeliveryStore) async {
        let now = dependencies.now()
        await Task {
            do {
                _ = try await app.database.write([store.release(delivery, now: now)])
            } catch {
                // Then it is due again when the lease has run out.
                dependencies.logger.debug("a delivery was not given back", metadata: ["cause": "\(error)"])
            }
        }.value
    }

    // MARK: the log

    private static let pruned = 500

    package func tidy(_ app: AppContext) async throws {
        let store = DeliveryStore(app.database.dialect)
        let before = dependencies.now().adding(seconds: -settings.logDays * 86_400)
        while try await app.database.write([store.prune(before: before, limit: Self.pruned)])[0].changes == Self.pruned,
            !Task.isCancelled
        {}
    }
}
