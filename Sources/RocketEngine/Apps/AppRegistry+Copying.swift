import RocketDatabase
import RocketModel
import RocketPlanning
import Synchronization

// Apps as things to move: what is done beside the copying itself, which is the store's.

extension AppRegistry {
    /// One copy at a time: each holds connections for as long as it takes, and reads as fast as the disk does.
    ///
    /// - Throws: 503 while another one is being made.
    func takingTurns<Value>(_ body: () async throws -> Value) async throws -> Value {
        let isOurs = isCopying.withLock { isCopying in
            defer { isCopying = true }
            return !isCopying
        }
        guard isOurs else {
            throw RequestFailure.unavailable("Another app is being copied by this server; try again when it is done")
        }
        defer { isCopying.withLock { $0 = false } }
        return try await body()
    }

    private static let renewal = Duration.seconds(60)

    /// Runs what may take longer than a lease. Where the lease is lost meanwhile, what comes of it is not used.
    func keepingLease<Value: Sendable>(
        on app: StoredApp,
        _ lease: inout Timestamp,
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let held = HeldLease(lease)
        defer { lease = held.value }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                while true {
                    do { try await Task.sleep(for: Self.renewal) } catch { return nil }
                    do {
                        held.value = try await self.renewed(held.value, on: app)
                    } catch is DatabaseFailure where held.value > self.dependencies.now() {
                        // The lease still holds, and there is time to try again.
                        continue
                    }
                }
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() ?? nil else { throw CancellationError() }
            return value
        }
    }

    /// Makes an app's own of the database that it got.
    func settle(_ context: AppContext, from origin: AppOrigin) async throws {
        switch origin {
        case .nothing: break
        case .definitions(let source):
            let definitions = try await withApp(source, isUse: false) { $0.snapshots.current.definitions }
            _ = try await context.metadata.apply(now: dependencies.now()) { _ in definitions }
        case .everything: try await settleCopy(context, keepsWork: false)
        case .file(_, let keepsWork): try await settleCopy(context, keepsWork: keepsWork)
        }
    }

    private func settleCopy(_ context: AppContext, keepsWork: Bool) async throws {
        let database = context.database
        let store = CopyStore(database.dialect)
        let now = dependencies.now()
        guard !keepsWork else {
            _ = try await database.write(store.endSessions + store.takeWorkUp(now: now), mode: .alone)
            return
        }
        _ = try await database.write(store.endSessions + store.dropWork(now: now), mode: .alone)
        while true {
            let running = try await database.read([store.runningInstances])[0].rows.compactMap { $0.first?.textValue }
            guard !running.isEmpty else { return }
            _ = try await database.write(WorkflowStore(database.dialect).abandon(running, now: now), mode: .alone)
        }
    }
}

/// A lease that is renewed while others work under it.
private final class HeldLease: Sendable {
    private let lease: Mutex<Timestamp>

    init(_ lease: Timestamp) {
        self.lease = Mutex(lease)
    }

    var value: Timestamp {
        get { lease.withLock { $0 } }
        set { lease.withLock { $0 = newValue } }
    }
}
