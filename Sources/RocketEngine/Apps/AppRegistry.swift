import Foundation
import Logging
package import RocketDatabase
package import RocketModel
import RocketPlanning
import Synchronization

/// Bounds and first passwords of the apps.
package struct AppSettings: Sendable {
    /// Apps that are open at once; past it the one that has been idle longest is closed.
    package var maximumOpen = 100
    /// How long an app stays open that nobody asks for.
    package var idleSeconds: Int64 = 300
    /// How long the deletion of an app waits for its requests to end.
    package var deletionGrace = Duration.seconds(30)
    /// The password of `admin@localhost` in a new app; nil seeds nobody.
    package var adminPassword: String? = "changeme"
    /// The password of `platform@localhost` at first boot; nil seeds nobody.
    package var platformPassword: String? = "changeme"
    package var bcryptCost = 10
    package var loginLimits = LoginLimits()
    /// Where uploaded files are kept, a folder for each app. Servers that share a database share it, too.
    package var filesDirectory = "data/files"
    /// How long entries of the audit trail are kept.
    package var historyDays: Int64 = 365

    package init() {}
}

/// The apps of this server: makes, opens, closes and removes them, one open per app whatever the number of
/// requests at once.
package final class AppRegistry: Sendable {
    enum Entry {
        /// Somebody opens it; others await the same task. Next: `open`, or gone where that fails.
        case opening(Task<AppContext, any Error>, users: Int)
        /// Next: `leaving` when it is idle, `draining` when it is deleted.
        case open(AppContext, users: Int, lastUse: Timestamp)
        /// Idle, and being closed; who wants it waits for the task and opens it anew. An app is never open twice:
        /// two connections must not checkpoint one file. Next: gone.
        case leaving(Task<Void, Never>)
        /// Being deleted: no new requests, those that run may end. Next: `closed`.
        case draining(AppContext, users: Int)
        /// Being made or deleted: nobody else touches it. Next: gone.
        case closed

        var leaving: Task<Void, Never>? {
            if case .leaving(let task) = self { task } else { nil }
        }

        var isInUse: Bool {
            switch self {
            case .opening, .open: true
            case .leaving, .draining, .closed: false
            }
        }
    }

    let provider: any DatabaseProvider
    package let management: any AppDatabase
    package let platform: Accounts
    let store: AppStore
    package let settings: AppSettings
    let hasher: PasswordHasher
    /// Where the work is done that waits for the disk of the files.
    let files = BlockingQueue("rocket.files", isConcurrent: true)
    /// One for all apps: opening and closing one forgets no failed sign-in, and an address counts over all of them.
    private let limiter: LoginLimiter
    package let dependencies: EngineDependencies
    let entries = Mutex<[String: Entry]>([:])
    /// The identities of apps whose making failed here, and could not be taken back.
    let leftovers = Mutex<Set<String>>([])
    /// Whether what was left half made is being taken back.
    let isSweeping = Mutex(false)
    /// The state of the list of apps that the open ones were held against.
    let appsVersion = Mutex<Int64>(0)
    let managementCheck = SharedCheck()
    let sampler = Sampler()
    /// Whether a database is being copied.
    let isCopying = Mutex(false)
    /// Who is told of apps that have work to do.
    private let worker = Mutex<WorkListener?>(nil)

    /// A closure that a mutex keeps must be a member: as the mutex's own value it would be wrapped anew, once for
    /// every time that it is looked at, and a call would go through all the wrappings.
    private struct WorkListener {
        let tell: @Sendable (String) -> Void
    }

    /// Opens the management database, brings it up to date, seeds the platform's administrator, and sweeps what a
    /// crash left half made.
    package init(provider: any DatabaseProvider, settings: AppSettings, dependencies: EngineDependencies) async throws {
        self.provider = provider
        self.settings = settings
        self.dependencies = dependencies
        let management = try await provider.openManagement()
        self.management = management
        try await SystemSchema.management.migrate(management)
        store = AppStore(management.dialect)
        hasher = PasswordHasher(cost: settings.bcryptCost, randomBytes: dependencies.randomBytes)
        limiter = LoginLimiter(settings.loginLimits)
        platform = try await Accounts(
            database: management,
            schema: .management,
            place: "_platform",
            hasher: hasher,
            limiter: limiter,
            dependencies: dependencies
        ) { Task { await provider.announce(Hint.platform.text) } }
        try await seed(
            "platform@localhost",
            settings.platformPassword,
            role: "platform_admin",
            in: platform,
            of: "the platform"
        )
        // A data directory that is this process's alone has no other that could still be at work.
        try await sweepUnfinished(ignoresLeases: !provider.isShared)
        await provider.listen { [weak self] hint in self?.heard(hint) }
    }

    func seed(_ email: String, _ password: String?, role: String, in accounts: Accounts, of place: String)
        async throws
    {
        guard try await !accounts.hasUsers() else { return }
        guard let password else {
            dependencies.logger.warning("\(place) has no user yet: make one with \"rocket user create\"")
            return
        }
        do {
            try await accounts.createUser(email: email, password: password, roles: [role])
        } catch let failure as RequestFailure where failure.code == .conflict {
            // Another server that boots for the first time too was faster.
            return
        }
        if password == "changeme" {
            dependencies.logger.warning("\(place) has the user \(email) with the password \"changeme\": change it")
        }
    }

    /// Where the files of an app are: by its identity, which no app after it has.
    func folder(of app: StoredApp) -> FileFolder {
        let name = String(app.identity.filter { $0.isLetter || $0.isNumber }.prefix(20))
        let all = URL(fileURLWithPath: settings.filesDirectory, isDirectory: true)
        return FileFolder(all.appendingPathComponent(name, isDirectory: true), files)
    }

    // MARK: the list

    /// Every app, oldest first.
    package func all() async throws -> [StoredApp] {
        try await all(includingUnfinished: false)
    }

    func all(includingUnfinished: Bool) async throws -> [StoredApp] {
        let apps = try await management.read([store.all])[0].rows.compactMap(store.read)
        return includingUnfinished ? apps : apps.filter { $0.status == .active }
    }

    /// - Throws: 404 `APP_NOT_FOUND`.
    package func app(_ name: String) async throws -> StoredApp {
        let row = Self.isValidName(name) ? try await management.read([store.app(name)])[0].rows.first : nil
        guard let app = row.flatMap(store.read), app.status == .active else { throw Self.notFound(name) }
        return app
    }

    static func notFound(_ name: String) -> RequestFailure {
        RequestFailure(.appNotFound, "There is no app \"\(name.prefix(100))\"")
    }

    /// `[a-z][a-z0-9_-]{0,49}`
    package static func isValidName(_ name: String) -> Bool {
        name.utf8.count <= 50 && isRocketName(name.replacing("-", with: "_"))
    }

    static func isRocketName(_ name: String) -> Bool {
        RocketModel.isValidName(name)
    }

    // MARK: using

    /// Runs `body` with the app open; it stays open until `body` ends.
    ///
    /// - Throws: 404 `APP_NOT_FOUND`; 503 where the app's database can't be opened.
    /// - Parameter isUse: whether it counts as somebody's asking for the app, which keeps it open for a while.
    package func withApp<Value>(
        _ name: String,
        isUse: Bool = true,
        _ body: (AppContext) async throws -> Value
    ) async throws -> Value {
        let context = try await acquire(name)
        defer { release(context, isUse: isUse) }
        try await freshen(context)
        return try await body(context)
    }

    /// Whether an app is open, so that a request for it costs no opening.
    package func isOpen(_ name: String) -> Bool {
        entries.withLock { entries in
            if case .open? = entries[name] { true } else { false }
        }
    }

    private func acquire(_ name: String) async throws -> AppContext {
        let opened = try entries.withLock { entries throws(RequestFailure) -> AppContext? in
            switch entries[name] {
            case .open(let context, let users, let lastUse):
                entries[name] = .open(context, users: users + 1, lastUse: lastUse)
                return context
            case .draining, .closed: throw Self.notFound(name)
            case .opening, .leaving, nil: return nil
            }
        }
        if let opened { return opened }
        let deadline = ContinuousClock.now + Self.patience
        while ContinuousClock.now < deadline {
            while let leaving = entries.withLock({ $0[name]?.leaving }) { await leaving.value }
            if let task = try openingTask(name) { return try await task.value }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw RequestFailure.unavailable("As many apps are in use as this server may have open; try again shortly")
    }

    /// How long a request waits for room among the open apps.
    private static let patience = Duration.seconds(5)

    /// The task that opens an app; nil where there is no room for it now.
    private func openingTask(_ name: String) throws -> Task<AppContext, any Error>? {
        try entries.withLock { entries -> Task<AppContext, any Error>? in
            switch entries[name] {
            case .open(let context, let users, let lastUse):
                entries[name] = .open(context, users: users + 1, lastUse: lastUse)
                return Task { context }
            case .opening(let task, let users):
                entries[name] = .opening(task, users: users + 1)
                return task
            case .draining, .closed: throw Self.notFound(name)
            case .leaving: return nil
            case nil:
                guard makeRoom(&entries) else { return nil }
                let task = Task { try await self.openAndEnter(name) }
                entries[name] = .opening(task, users: 1)
                return task
            }
        }
    }

    /// At the bound the app that has been idle longest makes room; where none is idle, there is none.
    private func makeRoom(_ entries: inout [String: Entry]) -> Bool {
        guard entries.values.count(where: \.isInUse) >= settings.maximumOpen else { return true }
        guard let oldest = idleApps(entries, before: nil).first else { return false }
        leave(oldest, &entries)
        return true
    }

    /// Opens an app and puts it in its entry, or takes the entry out where that fails. The row is read here, under
    /// the entry: a namesake that is made in between can't be mistaken for it.
    private func openAndEnter(_ name: String) async throws -> AppContext {
        do {
            let context = try await open(try await app(name))
            let now = dependencies.now()
            entries.withLock { entries in
                guard case .opening(_, let users) = entries[name] else { return }
                entries[name] = .open(context, users: users, lastUse: now)
            }
            return context
        } catch {
            entries.withLock { entries in if case .opening? = entries[name] { entries[name] = nil } }
            if error is RequestFailure { throw error }
            dependencies.logger.error("the app \(name) can't be opened", metadata: ["cause": "\(error)"])
            throw RequestFailure.unavailable("The database of this app can't be opened")
        }
    }

    /// - Parameter databaseName: nil for the app's own; another one while it is made.
    func open(_ app: StoredApp, databaseName: String? = nil) async throws -> AppContext {
        let database = try await provider.open(databaseName ?? app.databaseName)
        let changed: @Sendable () async -> Void = { [provider] in
            Task { await provider.announce(Hint.app(app.identity).text) }
        }
        do {
            try await SystemSchema.app.migrate(database)
            if !provider.isShared {
                // Nobody else sends, so what is held is held by a process that is gone.
                let takeBack = DeliveryStore(database.dialect).takeBack(now: dependencies.now())
                _ = try await database.write([takeBack])
            }
            return AppContext(
                stored: app,
                database: database,
                snapshot: try await MetadataWriter.load(from: database),
                accounts: try await Accounts(
                    database: database,
                    schema: .app,
                    place: app.identity,
                    hasher: hasher,
                    limiter: limiter,
                    dependencies: dependencies,
                    changed: changed
                ),
                folder: folder(of: app),
                changed: changed,
                workIsDue: { [weak self] in self?.tellWorker(app.name) },
                noteWork: { [management, store] now in
                    _ = try await management.write([
                        store.noteWork(app, now: now, notedAfter: ClockSkew.bound(at: now))
                    ])
                }
            )
        } catch {
            await database.close()
            throw error
        }
    }

    private func release(_ context: AppContext, isUse: Bool) {
        let now = dependencies.now()
        entries.withLock { entries in
            switch entries[context.name] {
            case .open(let current, let users, let lastUse) where current === context:
                entries[context.name] = .open(context, users: users - 1, lastUse: isUse ? now : lastUse)
            case .draining(let current, let users) where current === context:
                entries[context.name] = .draining(context, users: users - 1)
            // The app is gone, and perhaps a namesake is there: nothing counts these users any more.
            case .open, .draining, .opening, .leaving, .closed, nil: break
            }
        }
    }

    // MARK: work

    /// Calls `body` with the name of every app in which a commit has left work to do, from now on.
    package func listenForWork(_ body: @escaping @Sendable (String) -> Void) {
        worker.withLock { $0 = WorkListener(tell: body) }
    }

    /// The apps that are open now.
    package var openNames: [String] { openContexts().map(\.name) }

    private func tellWorker(_ app: String) {
        worker.withLock { $0 }?.tell(app)
    }

    // MARK: closing

    /// Closes apps that nobody has asked for in a while, and that have no work soon.
    package func closeIdleApps() async {
        let now = dependencies.now()
        let since = now.adding(seconds: -settings.idleSeconds)
        let soon = now.adding(seconds: Self.leadSeconds)
        let closing = entries.withLock { entries in
            idleApps(entries, before: since).filter { $0.work.rests(until: soon) }.map { leave($0, &entries) }
        }
        for task in closing { await task.value }
    }

    /// The apps that nobody uses now, the longest idle first.
    private func idleApps(_ entries: [String: Entry], before instant: Timestamp?) -> [AppContext] {
        let idle = entries.values.compactMap { entry -> (context: AppContext, lastUse: Timestamp)? in
            guard case .open(let context, 0, let lastUse) = entry, instant.map({ lastUse < $0 }) ?? true else {
                return nil
            }
            return (context, lastUse)
        }
        return idle.sorted { $0.lastUse < $1.lastUse }.map(\.context)
    }

    @discardableResult
    private func leave(_ context: AppContext, _ entries: inout [String: Entry]) -> Task<Void, Never> {
        let task = Task {
            await context.database.close()
            self.entries.withLock { $0[context.name] = nil }
        }
        entries[context.name] = .leaving(task)
        return task
    }

    /// Closes every app and the management database.
    package func close() async {
        let contexts = entries.withLock { entries -> [AppContext] in
            let contexts = entries.values.compactMap { entry -> AppContext? in
                if case .open(let context, _, _) = entry { context } else { nil }
            }
            entries = entries.mapValues { _ in .closed }
            return contexts
        }
        for context in contexts { await context.database.close() }
        await management.close()
        await provider.close()
    }

    /// Whether the management database answers.
    package func isReady() async -> Bool {
        do {
            _ = try await management.read([SQLStatement("SELECT 1", output: .values)])
            return true
        } catch {
            return false
        }
    }
}
