import Logging
import RocketDatabase
package import RocketEngine
import RocketModel
import RocketPlanning
import Synchronization

package struct DeliverySettings: Sendable {
    /// How long a call may take.
    package var timeout = Duration.seconds(30)
    /// How long a claim holds that is not renewed.
    package var leaseSeconds: Int64 = 30
    /// How often it is renewed.
    package var renewal = Duration.seconds(10)
    /// Calls of one webhook at once.
    package var perLane = 8
    /// How often an app is looked at where nothing tells that it has work.
    package var sweep = Duration.seconds(5)
    /// How long rows of the log are kept.
    package var logDays: Int64 = 30

    package init() {}
}

/// Sends what writes have left in `_webhook_logs`: right after their commit, again when a pause is over, and what a crash
/// has left.
package final class Deliveries: Sendable {
    private let apps: AppRegistry
    private let sender: CallSender
    private let settings: DeliverySettings
    /// What is being worked on, and whether more has come meanwhile.
    private let worked = Mutex<[String: Bool]>([:])
    private let hints: AsyncStream<String>
    private let hint: AsyncStream<String>.Continuation
    private var dependencies: EngineDependencies { apps.dependencies }

    package init(apps: AppRegistry, sender: CallSender, settings: DeliverySettings = DeliverySettings()) {
        self.apps = apps
        self.sender = sender
        self.settings = settings
        (hints, hint) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    // MARK: the service

    /// Works until it is cancelled; what is being sent then is given back.
    package func work() async {
        apps.listenForWork { [hint] app in hint.yield(app) }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.sweep() }
            for await app in hints {
                guard begin(app) else { continue }
                group.addTask {
                    let lanes = await self.look(app)
                    self.end(app, app)
                    await self.work(lanes, app)
                }
            }
            group.cancelAll()
        }
    }

    /// Names every app from time to time, for a hint may be lost, and a server with it. One that a crash has left work in
    /// is opened for it.
    private func sweep() async {
        var rounds = 0
        while !Task.isCancelled {
            do {
                let isFirst = rounds == 0
                // One after the other: there may be thousands, and only so many may be open.
                if isFirst {
                    for app in try await apps.all().map(\.name) where await !look(app).isEmpty { hint.yield(app) }
                } else {
                    for app in apps.openNames { hint.yield(app) }
                }
                if rounds % Self.roundsBetweenPruning == 0 {
                    for app in apps.openNames { try await apps.withApp(app, isUse: false) { try await prune($0) } }
                }
                rounds += 1
            } catch {
                dependencies.logger.debug("the apps can't be listed", metadata: ["cause": "\(error)"])
            }
            do { try await Task.sleep(for: settings.sweep) } catch { return hint.finish() }
        }
        hint.finish()
    }

    private static let roundsBetweenPruning = 120

    /// Whether nobody is at it yet; who is, is told to look again.
    private func begin(_ work: String) -> Bool {
        worked.withLock { worked in
            guard worked[work] != nil else {
                worked[work] = false
                return true
            }
            worked[work] = true
            return false
        }
    }

    private func end(_ work: String, _ app: String) {
        if worked.withLock({ $0.removeValue(forKey: work) }) == true { hint.yield(app) }
    }

    /// The lanes of an app in which something is due.
    private func look(_ app: String) async -> [String] {
        do {
            return try await apps.withApp(app, isUse: false) { try await dueLanes($0) }
        } catch {
            dependencies.logger.debug("deliveries wait", metadata: ["app": "\(app)", "cause": "\(error)"])
            return []
        }
    }

    private func dueLanes(_ app: AppContext) async throws -> [String] {
        let now = dependencies.now().microseconds
        let lanes = DeliveryStore(app.database.dialect).lanes
        return try await app.database.read([lanes])[0].rows.compactMap { row -> String? in
            guard row.count == 2, let lane = row[0].textValue, let due = row[1].integerValue, due <= now else {
                return nil
            }
            return lane
        }
    }

    /// Each lane by itself: one that hangs keeps no other waiting.
    private func work(_ lanes: [String], _ app: String) async {
        await withDiscardingTaskGroup { group in
            for lane in lanes {
                let work = "\(app) \(lane)"
                guard begin(work) else { continue }
                group.addTask {
                    do {
                        try await self.apps.withApp(app, isUse: false) { context in
                            _ = await self.sendLane(lane, context, DeliveryStore(context.database.dialect))
                        }
                    } catch {
                        self.dependencies.logger.debug(
                            "deliveries wait",
                            metadata: ["app": "\(app)", "cause": "\(error)"]
                        )
                    }
                    self.end(work, app)
                }
            }
        }
    }

    /// Sends all that is due now, by and by, and comes back when nothing is; for tests, which turn the clock.
    package func sendDue(in app: AppContext) async throws {
        let store = DeliveryStore(app.database.dialect)
        for lane in try await dueLanes(app) { _ = await sendLane(lane, app, store) }
    }

    /// Sends what is due in a lane, a few calls at a time, whatever the others do.
    private func sendLane(_ lane: String, _ app: AppContext, _ store: DeliveryStore) async -> Int {
        var sent = 0
        while !Task.isCancelled {
            do {
                let now = dependencies.now()
                let claim = store.claim(
                    lane: lane,
                    limit: settings.perLane,
                    now: now,
                    lease: now.adding(seconds: settings.leaseSeconds)
                )
                let claimed = store.claimed(try await app.database.write([claim])[0])
                guard !claimed.isEmpty else { return sent }
                await withDiscardingTaskGroup { group in
                    for delivery in claimed { group.addTask { await self.send(delivery, app, store) } }
                }
                sent += claimed.count
            } catch {
                dependencies.logger.debug("a claim failed", metadata: ["app": "\(app.name)", "cause": "\(error)"])
                return sent
            }
        }
        return sent
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
            depth: delivery.depth,
            timeout: settings.timeout
        )
        var outcome = problem.map(CallOutcome.failed)
        if outcome == nil { outcome = await sender.send(outgoing) }
        // Another server has it, or this one stops and has given it back.
        guard let outcome else { return }
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
        await withTaskGroup(of: CallOutcome?.self) { group in
            group.addTask { [sender] in await sender.send(outgoing) }
            group.addTask { await self.renew(delivery, app, store) }
            let first = await group.next() ?? nil
            group.cancelAll()
            guard Task.isCancelled else { return first }
            await giveBack(delivery, app, store)
            return nil
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

    private func prune(_ app: AppContext) async throws {
        let store = DeliveryStore(app.database.dialect)
        let before = dependencies.now().adding(seconds: -settings.logDays * 86_400)
        while try await app.database.write([store.prune(before: before, limit: Self.pruned)])[0].changes == Self.pruned,
            !Task.isCancelled
        {}
    }
}
