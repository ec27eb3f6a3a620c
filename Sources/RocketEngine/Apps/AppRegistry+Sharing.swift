import Logging
import RocketDatabase
import RocketModel
import RocketPlanning
import Synchronization

// Several servers on one database: what one of them changes is in force on the others within a second. A hint says
// that something has changed; the versions in the databases are the truth, and are looked at anyway.

/// What one server tells the others.
enum Hint: Equatable {
    /// An app's metadata or tokens; the app by its identity.
    case app(String)
    /// Apps were made or deleted.
    case apps
    /// Tokens of the platform.
    case platform

    var text: String {
        switch self {
        case .app(let identity): "app \(identity)"
        case .apps: "apps"
        case .platform: "platform"
        }
    }

    init?(_ text: String) {
        switch text {
        case "apps": self = .apps
        case "platform": self = .platform
        case _ where text.hasPrefix("app "): self = .app(String(text.dropFirst(4)))
        default: return nil
        }
    }
}

extension AppRegistry {
    /// Whoever asks for an app that was not looked at for longer than this waits for a look.
    private static let maximumAge = Duration.milliseconds(900)
    /// An app that nobody has asked for in so long is looked at when somebody asks.
    private static let restSeconds: Int64 = 5
    private static let lookInterval = Duration.milliseconds(500)
    private static let sweepInterval = Duration.seconds(30)
    private static let idleInterval = Duration.seconds(60)

    /// Keeps up with other servers, takes back what they left half made, and closes idle apps, until it is cancelled.
    /// One of these that takes long holds up no other.
    package func keepHouse() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.every(Self.idleInterval) { await self.closeIdleApps() } }
            group.addTask {
                await self.every(Self.sweepInterval) { try await self.sweepUnfinished(ignoresLeases: false) }
            }
            guard provider.isShared else { return }
            group.addTask { await self.every(Self.lookInterval) { try await self.lookAtManagement() } }
            group.addTask { await self.every(Self.lookInterval) { self.lookAtApps() } }
        }
    }

    private func every(_ interval: Duration, _ body: () async throws -> Void) async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: interval) } catch { return }
            await attempt(body)
        }
    }

    /// Each by itself: one whose database hangs keeps nobody else's news back.
    private func lookAtApps() {
        for context in contextsInUse() where !context.check.isRunning {
            Task { await attempt { try await context.look() } }
        }
    }

    private func contextsInUse() -> [AppContext] {
        let since = dependencies.now().adding(seconds: -Self.restSeconds)
        return entries.withLock { entries in
            entries.values.compactMap { entry in
                guard case .open(let context, let users, let lastUse) = entry, users > 0 || lastUse > since else {
                    return nil
                }
                return context
            }
        }
    }

    /// What fails here fails for the requests too, which say so; and it is tried again soon.
    private func attempt(_ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            dependencies.logger.debug("a look at a shared database failed", metadata: ["cause": "\(error)"])
        }
    }

    func heard(_ text: String) {
        switch Hint(text) {
        case .app(let identity):
            guard let context = openContexts().first(where: { $0.stored.identity == identity }) else { return }
            Task { await attempt { try await context.look() } }
        case .apps, .platform: Task { await attempt { try await self.lookAtManagement() } }
        case nil: break
        }
    }

    func openContexts() -> [AppContext] {
        entries.withLock { entries in
            entries.values.compactMap { if case .open(let context, _, _) = $0 { context } else { nil } }
        }
    }

    /// A request sees what was changed elsewhere a second ago, also where nobody has looked since.
    func freshen(_ context: AppContext) async throws {
        guard provider.isShared, context.check.isOlder(than: Self.maximumAge) else { return }
        do {
            try await context.look()
        } catch {
            // The database may be away because the app is.
            try await closeIfDeleted(context)
            throw error
        }
    }

    /// - Throws: 404 where the app is gone.
    private func closeIfDeleted(_ context: AppContext) async throws {
        let row = try await management.read([store.app(context.name)])[0].rows.first
        if let app = row.flatMap(store.read), app.identity == context.stored.identity, app.status == .active { return }
        await retire(context)
        throw Self.notFound(context.name)
    }

    /// Looks at the counts of the management database.
    private func lookAtManagement() async throws {
        try await managementCheck.run { try await self.compareWithManagement() }
    }

    private func compareWithManagement() async throws {
        let versions = MetaStore.read(try await management.read([MetaStore.versions])[0])
        if let version = versions[.accountsVersion] { try await platform.keepFloors(at: version) }
        guard let version = versions[.appsVersion], appsVersion.withLock({ $0 != version }) else { return }
        // Taken first: what is opened after the list was read may not be in it.
        let open = openContexts()
        let active = Set(try await all().map(\.identity))
        for context in open where !active.contains(context.stored.identity) { await retire(context) }
        appsVersion.withLock { $0 = version }
    }

    /// Closes an app that another server deletes.
    private func retire(_ context: AppContext) async {
        let isOurs = entries.withLock { entries in
            guard case .open(let current, _, _)? = entries[context.name], current === context else { return false }
            entries[context.name] = .closed
            return true
        }
        guard isOurs else { return }
        await context.database.close()
        entries.withLock { $0[context.name] = nil }
    }

    // MARK: secrets

    /// Secrets that all servers of this management database share: those that are not there yet are made.
    ///
    /// - Parameter makeSecret: called for each name; where another server was faster its secret counts.
    package func sharedSecrets(_ names: [String], makeSecret: () -> String) async throws -> [String: String] {
        let store = SecretStore(management.dialect)
        let results = try await management.write(names.map { store.keep($0, makeSecret()) } + [store.all])
        return store.read(results[names.count])
    }
}
