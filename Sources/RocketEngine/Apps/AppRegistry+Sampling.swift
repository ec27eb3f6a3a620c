import Logging
import RocketDatabase
import RocketModel
import RocketPlanning
import Synchronization

/// What there is to do and who waits, as an operator wants to see it: over all apps that are open.
package struct RegistrySample: Sendable {
    /// Nil where the list of apps can't be read now.
    package var apps: Int?
    package var appsWithWork: Int?
    package var openApps = 0
    private var load = DatabaseLoad()
    /// Connections to databases, those of them that are at work, and callers that wait for one.
    package var connections: Int { load.connections }
    package var busyConnections: Int { load.busy }
    package var waitingCallers: Int { load.waiting }
    package var pendingDeliveries = 0
    /// The age of the oldest, in seconds; nil for none.
    package var oldestDelivery: Double?
    package var runningInstances = 0
    /// Instances that go on at an instant.
    package var timers = 0
    /// By how many seconds the one that should have gone on first is late; nil for none.
    package var latestTimer: Double?
    package var pendingEvents = 0

    fileprivate mutating func add(_ more: DatabaseLoad) { load.add(more) }

    fileprivate mutating func add(_ counts: WorkCounts, now: Timestamp) {
        let seconds = { (instant: Timestamp) in Double(now.microseconds - instant.microseconds) / 1e6 }
        pendingDeliveries += counts.deliveries
        runningInstances += counts.instances
        timers += counts.timers
        pendingEvents += counts.events
        if let age = counts.oldestDelivery.map(seconds) { oldestDelivery = max(oldestDelivery ?? 0, age) }
        // Those that have yet to begin have no instant.
        if let late = counts.earliestTimer.map(seconds), late > 0 { latestTimer = max(latestTimer ?? 0, late) }
    }
}

extension AppRegistry {
    /// Looks at all apps that are open; who asks again within two seconds gets the same. Nil where nothing could be seen in
    /// time since the server started.
    package func sample() async -> RegistrySample? {
        await sampler.sample { await self.look() }
    }

    private func look() async -> RegistrySample {
        var sample = RegistrySample()
        let contexts = openContexts()
        sample.openApps = contexts.count
        let now = dependencies.now()
        for database in [management] + contexts.map(\.database) { sample.add(await database.load()) }
        do {
            let counts = try await management.read([store.counts])[0].rows.first ?? []
            sample.apps = counts.first?.integerValue.map(Int.init)
            sample.appsWithWork = counts.last?.integerValue.map(Int.init)
        } catch {
            dependencies.logger.debug("the apps can't be counted", metadata: ["cause": "\(error)"])
        }
        let counts = await withTaskGroup(of: WorkCounts?.self) { group in
            var counts: [WorkCounts?] = []
            for (index, context) in contexts.enumerated() {
                if index >= Self.looksAtOnce { counts.append(await group.next() ?? nil) }
                group.addTask { await self.counts(of: context) }
            }
            for await count in group { counts.append(count) }
            return counts
        }
        for case let count? in counts { sample.add(count, now: now) }
        return sample
    }

    private static let looksAtOnce = 8

    private func counts(of context: AppContext) async -> WorkCounts? {
        do {
            let store = WorkStore(context.database.dialect)
            return store.read(try await context.database.read(store.counts))
        } catch {
            // It was closed meanwhile, or is away: it is counted again when it is back.
            dependencies.logger.debug("an app's work can't be counted", metadata: ["cause": "\(error)"])
            return nil
        }
    }
}

/// One look at a time, for all who ask while it runs and shortly after. Where it takes long, they get what the one before
/// has told: numbers are wanted most when databases are slow.
final class Sampler: Sendable {
    private struct State {
        var running: Task<Void, Never>?
        var last: (sample: RegistrySample, at: ContinuousClock.Instant)?
    }

    private let state = Mutex(State())
    private let age: Duration
    private let patience: Duration
    private let firstPatience: Duration

    /// - Parameters:
    ///   - age: for how long a look is told again.
    ///   - patience: how long a caller waits for a look before it is told the one before.
    ///   - firstPatience: the same where there is none before; Prometheus itself waits for ten seconds.
    init(age: Duration = .seconds(2), patience: Duration = .seconds(1), firstPatience: Duration = .seconds(5)) {
        self.age = age
        self.patience = patience
        self.firstPatience = firstPatience
    }

    func sample(_ look: @escaping @Sendable () async -> RegistrySample) async -> RegistrySample? {
        let (task, patience) = state.withLock { state -> (Task<Void, Never>?, Duration) in
            let patience = state.last == nil ? firstPatience : self.patience
            if let running = state.running { return (running, patience) }
            if let last = state.last, ContinuousClock.now - last.at < age { return (nil, patience) }
            let task = Task {
                let sample = await look()
                self.state.withLock { $0 = State(running: nil, last: (sample, .now)) }
            }
            state.running = task
            return (task, patience)
        }
        if let task { await wait(for: task, atMost: patience) }
        return state.withLock { $0.last?.sample }
    }

    private func wait(for task: Task<Void, Never>, atMost patience: Duration) async {
        let (ends, end) = AsyncStream<Void>.makeStream()
        let waiter = Task {
            await task.value
            end.finish()
        }
        let clock = Task {
            do { try await Task.sleep(for: patience) } catch {}
            end.finish()
        }
        for await _ in ends {}
        waiter.cancel()
        clock.cancel()
    }
}
