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

    package init() {}
}

/// The apps of this server: makes, opens, closes and removes them, one open per app whatever the number of
/// requests at once.
package final class AppRegistry: Sendable {
    private enum Entry {
        /// Somebody opens it; others await the same task.
        case opening(Task<AppContext, any Error>, users: Int)
        case open(AppContext, users: Int, lastUse: Timestamp)
        /// Idle, and being closed; who wants it waits for the task and opens it anew. An app is never open twice:
        /// two connections must not checkpoint one file.
        case leaving(Task<Void, Never>)
        /// Being removed for good: no new requests.
        case closing

        var leaving: Task<Void, Never>? {
            if case .leaving(let task) = self { task } else { nil }
        }
    }

    private let provider: any DatabaseProvider
    package let management: any AppDatabase
    package let platform: Accounts
    private let store: AppStore
    private let settings: AppSettings
    private let hasher: PasswordHasher
    package let dependencies: EngineDependencies
    private let entries = Mutex<[String: Entry]>([:])

    /// Opens the management database, brings it up to date, seeds the platform's administrator, and sweeps what a
    /// crash left half made.
    package init(provider: any DatabaseProvider, settings: AppSettings, dependencies: EngineDependencies) async throws {
        self.provider = provider
        self.settings = settings
        self.dependencies = dependencies
        management = try await provider.openManagement()
        try await SystemSchema.management.migrate(management)
        store = AppStore(management.dialect)
        hasher = PasswordHasher(cost: settings.bcryptCost, randomBytes: dependencies.randomBytes)
        platform = try await Accounts(
            database: management,
            schema: .management,
            hasher: hasher,
            limits: settings.loginLimits,
            dependencies: dependencies
        )
        try await seed(
            "platform@localhost",
            settings.platformPassword,
            role: "platform_admin",
            in: platform,
            of: "the platform"
        )
        try await sweepUnfinished()
    }

    private func seed(_ email: String, _ password: String?, role: String, in accounts: Accounts, of place: String)
        async throws
    {
        guard try await !accounts.hasUsers() else { return }
        guard let password else {
            dependencies.logger.warning("\(place) has no user yet: make one with \"rocket user create\"")
            return
        }
        try await accounts.createUser(email: email, password: password, roles: [role])
        if password == "changeme" {
            dependencies.logger.warning("\(place) has the user \(email) with the password \"changeme\": change it")
        }
    }

    private func sweepUnfinished() async throws {
        for app in try await all(includingUnfinished: true) where app.status != .active {
            dependencies.logger.notice("removing the app \(app.name), which a crash left \(app.status.rawValue)")
            try await provider.drop(app.databaseName)
            _ = try await management.write([store.delete(app.name)])
        }
    }

    // MARK: the list

    /// Every app, oldest first.
    package func all() async throws -> [StoredApp] {
        try await all(includingUnfinished: false)
    }

    private func all(includingUnfinished: Bool) async throws -> [StoredApp] {
        let apps = try await management.read([store.all])[0].rows.compactMap(store.read)
        return includingUnfinished ? apps : apps.filter { $0.status == .active }
    }

    /// - Throws: 404 `APP_NOT_FOUND`.
    package func app(_ name: String) async throws -> StoredApp {
        let row = Self.isValidName(name) ? try await management.read([store.app(name)])[0].rows.first : nil
        guard let app = row.flatMap(store.read), app.status == .active else { throw Self.notFound(name) }
        return app
    }

    private static func notFound(_ name: String) -> RequestFailure {
        RequestFailure(.appNotFound, "There is no app \"\(name.prefix(100))\"")
    }

    /// `[a-z][a-z0-9_-]{0,49}`
    package static func isValidName(_ name: String) -> Bool {
        name.utf8.count <= 50 && isRocketName(name.replacing("-", with: "_"))
    }

    private static func isRocketName(_ name: String) -> Bool {
        RocketModel.isValidName(name)
    }

    // MARK: making and removing

    /// - Throws: 422 for a name that can't be one, 409 for one that is taken.
    package func create(name: String, displayName: String?, driver: String?) async throws -> StoredApp {
        try checkNew(name: name, displayName: displayName, driver: driver)
        let app = StoredApp(
            name: name,
            displayName: displayName ?? name,
            databaseName: provider.databaseName(ofApp: name),
            driver: provider.driver,
            status: .creating,
            identity: Data(dependencies.randomBytes(16)).base64EncodedString()
        )
        do {
            _ = try await management.write([store.insert(app, now: dependencies.now())])
        } catch DatabaseFailure.uniqueViolation {
            throw Self.taken(name)
        }
        do {
            guard try await provider.create(app.databaseName) else {
                _ = try await management.write([store.delete(name)])
                throw Self.taken(name)
            }
        } catch {
            _ = try await management.write([store.delete(name)])
            throw error
        }
        do {
            try await furnish(app)
            _ = try await management.write([store.setStatus(.active, of: name)])
        } catch {
            try await provider.drop(app.databaseName)
            _ = try await management.write([store.delete(name)])
            throw error
        }
        return try await self.app(name)
    }

    private static func taken(_ name: String) -> RequestFailure {
        RequestFailure(
            .conflict,
            "There is an app or a database \"\(name)\" already",
            details: [FailureDetail(field: "name", message: "is taken")]
        )
    }

    private func checkNew(name: String, displayName: String?, driver: String?) throws(RequestFailure) {
        var violations: [FailureDetail] = []
        if !Self.isValidName(name) {
            violations.append(
                FailureDetail(
                    field: "name",
                    rule: .type,
                    message: "a lower-case letter, then at most 49 of a-z, 0-9, _ and -"
                )
            )
        }
        if let displayName, displayName.utf8.contains(0) || displayName.utf8.count > 200 {
            violations.append(
                FailureDetail(field: "display_name", rule: .type, message: "has at most 200 bytes and no NUL")
            )
        }
        if let driver, driver != provider.driver {
            violations.append(
                FailureDetail(
                    field: "db_driver",
                    rule: .enum,
                    message: "this server keeps its apps on \(provider.driver)"
                )
            )
        }
        guard violations.isEmpty else { throw .validation(violations) }
    }

    /// The engine's own tables and the first administrator.
    private func furnish(_ app: StoredApp) async throws {
        let context = try await open(app)
        do {
            try await seed(
                "admin@localhost",
                settings.adminPassword,
                role: "admin",
                in: context.accounts,
                of: "the app \(app.name)"
            )
        } catch {
            await context.database.close()
            throw error
        }
        await context.database.close()
    }

    /// Ends the app's requests, then removes its database.
    ///
    /// - Throws: 404 `APP_NOT_FOUND`.
    package func delete(_ name: String) async throws {
        let app = try await self.app(name)
        _ = try await management.write([store.setStatus(.deleting, of: name)])
        if let context = try await retire(name, within: settings.deletionGrace) { await context.database.close() }
        try await provider.drop(app.databaseName)
        _ = try await management.write([store.delete(name)])
        entries.withLock { $0[name] = nil }
    }

    /// Takes an app out of service, once its requests have ended or the time is over.
    private func retire(_ name: String, within grace: Duration) async throws -> AppContext? {
        let deadline = ContinuousClock.now + grace
        while true {
            let (context, isFree) = entries.withLock { entries -> (AppContext?, Bool) in
                switch entries[name] {
                case .open(let context, let users, _):
                    guard users == 0 || ContinuousClock.now >= deadline else { return (nil, false) }
                    entries[name] = .closing
                    return (context, true)
                case .opening, .leaving: return (nil, false)
                case .closing, nil:
                    entries[name] = .closing
                    return (nil, true)
                }
            }
            if isFree { return context }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    // MARK: using

    /// Runs `body` with the app open; it stays open until `body` ends.
    ///
    /// - Throws: 404 `APP_NOT_FOUND`; 503 where the app's database can't be opened.
    package func withApp<Value>(_ name: String, _ body: (AppContext) async throws -> Value) async throws -> Value {
        let context = try await acquire(name)
        defer { release(name) }
        return try await body(context)
    }

    private func acquire(_ name: String) async throws -> AppContext {
        let opened = entries.withLock { entries -> Result<AppContext, any Error>? in
            switch entries[name] {
            case .open(let context, let users, let lastUse):
                entries[name] = .open(context, users: users + 1, lastUse: lastUse)
                return .success(context)
            case .closing: return .failure(Self.notFound(name))
            case .opening, .leaving, nil: return nil
            }
        }
        if let opened { return try opened.get() }
        return try await acquireOpening(name)
    }

    private func acquireOpening(_ name: String) async throws -> AppContext {
        let app = try await self.app(name)
        while let leaving = entries.withLock({ $0[name]?.leaving }) { await leaving.value }
        let task = entries.withLock { entries -> Task<AppContext, any Error>? in
            switch entries[name] {
            case .open(let context, let users, let lastUse):
                entries[name] = .open(context, users: users + 1, lastUse: lastUse)
                return Task { context }
            case .opening(let task, let users):
                entries[name] = .opening(task, users: users + 1)
                return task
            case .leaving, .closing: return nil
            case nil:
                let task = Task { try await self.openAndEnter(app) }
                entries[name] = .opening(task, users: 1)
                return task
            }
        }
        guard let task else { throw RequestFailure.unavailable("The app is being closed; try again") }
        return try await task.value
    }

    /// Opens an app and puts it in its entry, or takes the entry out where that fails.
    private func openAndEnter(_ app: StoredApp) async throws -> AppContext {
        do {
            let context = try await open(app)
            let now = dependencies.now()
            entries.withLock { entries in
                guard case .opening(_, let users) = entries[app.name] else { return }
                entries[app.name] = .open(context, users: users, lastUse: now)
            }
            await closeIdle(keeping: settings.maximumOpen, idleSince: nil)
            return context
        } catch {
            entries.withLock { $0[app.name] = nil }
            dependencies.logger.error("the app \(app.name) can't be opened", metadata: ["cause": "\(error)"])
            throw RequestFailure.unavailable("The database of this app can't be opened")
        }
    }

    private func open(_ app: StoredApp) async throws -> AppContext {
        let database = try await provider.open(app.databaseName)
        do {
            try await SystemSchema.app.migrate(database)
            return AppContext(
                stored: app,
                database: database,
                snapshot: try await MetadataWriter.load(from: database),
                accounts: try await Accounts(
                    database: database,
                    schema: .app,
                    hasher: hasher,
                    limits: settings.loginLimits,
                    dependencies: dependencies
                )
            )
        } catch {
            await database.close()
            throw error
        }
    }

    private func release(_ name: String) {
        let now = dependencies.now()
        entries.withLock { entries in
            switch entries[name] {
            case .open(let context, let users, _): entries[name] = .open(context, users: users - 1, lastUse: now)
            // The app failed to open, or is being removed: nothing counts its users any more.
            case .opening, .leaving, .closing, nil: break
            }
        }
    }

    // MARK: closing

    /// Closes apps that nobody has asked for in a while.
    package func closeIdleApps() async {
        let since = dependencies.now().adding(seconds: -settings.idleSeconds)
        await closeIdle(keeping: 0, idleSince: since)
    }

    /// Closes unused apps, the longest idle first, until `count` are left; with `idleSince` only older ones.
    private func closeIdle(keeping count: Int, idleSince: Timestamp?) async {
        let closing = entries.withLock { entries -> [Task<Void, Never>] in
            let idle = entries.compactMap { name, entry -> (name: String, context: AppContext, lastUse: Timestamp)? in
                guard case .open(let context, 0, let lastUse) = entry, idleSince.map({ lastUse < $0 }) ?? true else {
                    return nil
                }
                return (name, context, lastUse)
            }
            let excess = entries.count - count
            return idle.sorted { $0.lastUse < $1.lastUse }.prefix(max(0, excess)).map { app in
                let task = Task {
                    await app.context.database.close()
                    self.entries.withLock { $0[app.name] = nil }
                }
                entries[app.name] = .leaving(task)
                return task
            }
        }
        for task in closing { await task.value }
    }

    /// Closes every app and the management database.
    package func close() async {
        let contexts = entries.withLock { entries -> [AppContext] in
            let contexts = entries.values.compactMap { entry -> AppContext? in
                if case .open(let context, _, _) = entry { context } else { nil }
            }
            entries = entries.mapValues { _ in .closing }
            return contexts
        }
        for context in contexts { await context.database.close() }
        await management.close()
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
