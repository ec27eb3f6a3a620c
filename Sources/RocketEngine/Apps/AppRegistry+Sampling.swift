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
    /// Looks at all apps that are open; who asks again within two seconds gets the same.
    package func sample() async -> RegistrySample {
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
        for context in contexts {
            do {
                let store = WorkStore(context.database.dialect)
                sample.add(store.read(try await context.database.read(store.counts)), now: now)
            } catch {
                // It was closed meanwhile, or is away: it is counted again when it is back.
                dependencies.logger.debug("an app's work can't be counted", metadata: ["cause": "\(error)"])
            }
        }
        return sample
    }
}

/// One look for all who ask at about the same time.
final class Sampler: Sendable {
    private let state = Mutex<(task: Task<RegistrySample, Never>, begun: ContinuousClock.Instant)?>(nil)
    private static let age = Duration.seconds(2)

    func sample(_ look: @escaping @Sendable () async -> RegistrySample) async -> RegistrySample {
        let task = state.withLock { state -> Task<RegistrySample, Never> in
            if let state, ContinuousClock.now - state.begun < Self.age { return state.task }
            let task = Task { await look() }
            state = (task, .now)
            return task
        }
        return await task.value
    }
}
