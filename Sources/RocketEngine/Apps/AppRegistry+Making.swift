import Foundation
import Logging
import RocketDatabase
package import RocketModel
import RocketPlanning
import Synchronization

// Making and removing apps, all or nothing, on one server or on several. An app begins as a row with a lease; its
// database has a draft's name until it is whole. Whatever a crash leaves is known by its row, and is taken back by
// whoever finds the lease run out.

extension AppRegistry {
    /// How long an app may take to be made: longer than a database may take, and than clocks differ.
    static let makingSeconds: Int64 = 600

    private func newLease() -> Timestamp {
        dependencies.now().adding(seconds: Self.makingSeconds)
    }

    /// - Throws: 422 for a name that can't be one, or an origin that is not there; 409 for a name that is taken.
    package func create(
        name: String,
        displayName: String?,
        driver: String?,
        from origin: AppOrigin = .nothing
    ) async throws -> StoredApp {
        try checkNew(name: name, displayName: displayName, driver: driver)
        if let source = origin.source { try await requireSource(source) }
        guard origin.isCopy else {
            return try await createUnhindered(name: name, displayName: displayName, from: origin)
        }
        return try await takingTurns {
            try await createUnhindered(name: name, displayName: displayName, from: origin)
        }
    }

    private func requireSource(_ name: String) async throws {
        do {
            _ = try await app(name)
        } catch let failure as RequestFailure where failure.code == .appNotFound {
            throw RequestFailure.validation([
                FailureDetail(field: "from", rule: .unknown, message: "there is no app \"\(name.prefix(100))\"")
            ])
        }
    }

    func createUnhindered(
        name: String,
        displayName: String?,
        from origin: AppOrigin
    ) async throws -> StoredApp {
        let app = StoredApp(
            name: name,
            displayName: displayName ?? name,
            databaseName: provider.databaseName(ofApp: name),
            driver: provider.driver,
            status: .creating,
            identity: Data(dependencies.randomBytes(16)).base64EncodedString()
        )
        try await clearLeftovers()
        guard try await !provider.exists(app.databaseName) else { throw Self.taken(name) }
        var lease = newLease()
        do {
            _ = try await management.write([store.insert(app, lease: lease, now: dependencies.now())])
        } catch DatabaseFailure.uniqueViolation {
            throw Self.taken(name)
        }
        // The row is ours, so the name is: nobody opens the app before it is whole. Whatever of this name is open
        // here was deleted elsewhere.
        let namesake = entries.withLock { entries -> AppContext? in
            defer { entries[name] = .closed }
            if case .open(let context, _, _)? = entries[name] { return context } else { return nil }
        }
        await namesake?.database.close()
        defer { entries.withLock { entries in if case .closed? = entries[name] { entries[name] = nil } } }
        do {
            try await make(app, origin, &lease)
        } catch DatabaseFailure.outcomeUnknown(let cause) {
            // What may still come of it is found by its row, when the lease has run out.
            throw DatabaseFailure.outcomeUnknown(cause: cause)
        } catch {
            await discard(app, lease)
            throw error
        }
        await provider.announce(Hint.apps.text)
        return try await self.app(name)
    }

    private func make(_ app: StoredApp, _ origin: AppOrigin, _ lease: inout Timestamp) async throws {
        let draft = draftName(app)
        let isMade = try await keepingLease(on: app, &lease) { try await self.makeDatabase(draft, from: origin) }
        guard isMade else { throw Self.taken(app.name) }
        try await keepingLease(on: app, &lease) { try await self.copyFiles(of: origin, to: app) }
        try await move(app, from: .creating, to: .creating, &lease)
        try await keepingLease(on: app, &lease) { try await self.furnish(app, from: origin, databaseName: draft) }
        try await move(app, from: .creating, to: .publishing, &lease)
        guard try await provider.rename(draft, to: app.databaseName) else { throw Self.taken(app.name) }
        let statement = store.move(app, from: .publishing, to: .active, lease: dependencies.now(), held: lease)
        // A copy may have brought work along.
        let now = dependencies.now()
        let work = origin.isCopy ? [store.noteWork(app, now: now, notedAfter: ClockSkew.bound(at: now))] : []
        let statements = [statement, MetaStore.raise(.appsVersion)] + work
        guard try await management.write(statements)[0].changes == 1 else { throw Self.tooSlow }
    }

    private func makeDatabase(_ draft: String, from origin: AppOrigin) async throws -> Bool {
        switch origin {
        case .nothing, .definitions: try await provider.create(draft)
        case .everything(let source):
            try await withApp(source, isUse: false) { app in
                try await provider.copy(app.stored.databaseName, to: draft)
            }
        case .file(let path, _): try await provider.restore(draft, from: path)
        }
    }

    /// The files that the rows of a copy name. They come after the rows, so that none is missing but what is removed meanwhile.
    private func copyFiles(of origin: AppOrigin, to app: StoredApp) async throws {
        switch origin {
        case .nothing, .definitions: return
        case .everything(let source):
            try await folder(of: try await self.app(source)).copy(to: folder(of: app), isLinked: true)
        case .file(let path, _):
            let kept = FileFolder(BackupFolder.files(beside: path), files)
            try await kept.copy(to: folder(of: app), isLinked: false)
        }
    }

    private static let tooSlow = RequestFailure.unavailable("It took too long, and another server went on; look again")

    /// Goes on, with a new lease, only where nobody has taken the app over because it took too long.
    private func move(
        _ app: StoredApp,
        from old: StoredApp.Status,
        to new: StoredApp.Status,
        _ lease: inout Timestamp
    ) async throws {
        let next = newLease()
        let statement = store.move(app, from: old, to: new, lease: next, held: lease)
        guard try await management.write([statement])[0].changes == 1 else { throw Self.tooSlow }
        lease = next
    }

    func renewed(_ lease: Timestamp, on app: StoredApp) async throws -> Timestamp {
        var lease = lease
        try await move(app, from: .creating, to: .creating, &lease)
        return lease
    }

    private func draftName(_ app: StoredApp) -> String {
        provider.draftName(String(app.identity.filter { $0.isLetter || $0.isNumber }.prefix(20)))
    }

    private static func taken(_ name: String) -> RequestFailure {
        RequestFailure(
            .conflict,
            "There is an app or a database \"\(name)\" already",
            details: [FailureDetail(field: "name", message: "is taken")]
        )
    }

    func checkNew(name: String, displayName: String?, driver: String?) throws(RequestFailure) {
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

    /// The engine's own tables, what the origin gives, and the first administrator.
    private func furnish(_ app: StoredApp, from origin: AppOrigin, databaseName: String) async throws {
        let context = try await open(app, databaseName: databaseName)
        do {
            try await settle(context, from: origin)
            // Whoever restores an app wants nobody in it who was not there.
            if !origin.isCopy {
                try await seed(
                    "admin@localhost",
                    settings.adminPassword,
                    role: "admin",
                    in: context.accounts,
                    of: "the app \(app.name)"
                )
            }
        } catch {
            await context.database.close()
            throw error
        }
        await context.database.close()
    }

    // MARK: taking back

    /// Takes back what a creation that failed has made. What can't be taken back now is swept later.
    private func discard(_ app: StoredApp, _ lease: Timestamp) async {
        do {
            // The draft's name is random, so it is ours whoever has the row.
            let row = try await management.read([store.app(app.name)])[0].rows.first
            guard let found = row.flatMap(store.read), found.identity == app.identity else {
                try await provider.drop(draftName(app))
                return await removeFiles(of: app)
            }
            try await takeBack(found, lease)
        } catch {
            leftovers.withLock { _ = $0.insert(app.identity) }
            dependencies.logger.error("the app \(app.name) is left half made", metadata: ["cause": "\(error)"])
        }
    }

    /// Removes an app that is not whole: its draft or, where that has become the app's database, that database. A
    /// database of the same name that stood there before is left alone.
    ///
    /// - Parameter lease: the one that this server has on the row.
    private func takeBack(_ app: StoredApp, _ lease: Timestamp) async throws {
        var lease = lease
        let draft = draftName(app)
        switch app.status {
        case .active: return
        case .creating: try await provider.drop(draft)
        case .publishing:
            if try await provider.exists(draft) {
                // From here on its maker, should it still be at work, goes no further.
                try await move(app, from: .publishing, to: .creating, &lease)
                if try await provider.isSame(draft, app.databaseName) { try await provider.drop(app.databaseName) }
                try await provider.drop(draft)
            } else {
                try await move(app, from: .publishing, to: .deleting, &lease)
                try await provider.drop(app.databaseName)
            }
        case .deleting:
            // Whoever has removed it meanwhile has freed its name, and an app of that name may be there.
            try await move(app, from: .deleting, to: .deleting, &lease)
            try await provider.drop(app.databaseName)
        }
        await removeFiles(of: app)
        _ = try await management.write([store.delete(app), MetaStore.raise(.appsVersion)])
    }

    /// A making that failed on a full disk holds its name no longer than the disk is full.
    func clearLeftovers() async throws {
        if leftovers.withLock({ !$0.isEmpty }) { try await sweepUnfinished(ignoresLeases: false) }
    }

    /// Takes back what a crash, here or on another server, left half made or half removed.
    func sweepUnfinished(ignoresLeases: Bool) async throws {
        // One at a time: what is left by this server is taken whoever has leased it.
        guard
            isSweeping.withLock({ isSweeping in
                defer { isSweeping = true }
                return !isSweeping
            })
        else { return }
        defer { isSweeping.withLock { $0 = false } }
        for app in try await all(includingUnfinished: true) where app.status != .active {
            let lease = newLease()
            let isOurs = ignoresLeases || leftovers.withLock { $0.contains(app.identity) }
            let claim = store.move(
                app,
                from: app.status,
                to: app.status,
                lease: lease,
                unlessLeasedAt: isOurs ? nil : dependencies.now()
            )
            guard try await management.write([claim])[0].changes == 1 else { continue }
            dependencies.logger.notice("removing the app \(app.name), which a crash left \(app.status.rawValue)")
            do {
                try await takeBack(app, lease)
                leftovers.withLock { _ = $0.remove(app.identity) }
            } catch {
                dependencies.logger.error("the app \(app.name) can't be removed", metadata: ["cause": "\(error)"])
            }
        }
    }

    // MARK: removing

    /// Ends the app's requests, then removes its database. Where that fails, a further call goes on with it.
    ///
    /// - Throws: 404 `APP_NOT_FOUND`.
    @discardableResult
    package func delete(_ name: String) async throws -> StoredApp {
        let row = Self.isValidName(name) ? try await management.read([store.app(name)])[0].rows.first : nil
        guard let app = row.flatMap(store.read), app.status == .active || app.status == .deleting else {
            throw Self.notFound(name)
        }
        let context = try await claimForDeletion(name)
        defer { entries.withLock { $0[name] = nil } }
        var lease: Timestamp
        do {
            lease = try await claim(app)
        } catch {
            await context?.database.close()
            throw error
        }
        await provider.announce(Hint.apps.text)
        if let context {
            await waitForRequests(of: name)
            await context.database.close()
        }
        do {
            // Another server that took over may have made room for a namesake already.
            try await move(app, from: .deleting, to: .deleting, &lease)
            try await provider.drop(app.databaseName)
        } catch {
            let lapsed = dependencies.now().adding(seconds: -1)
            let release = store.move(app, from: .deleting, to: .deleting, lease: lapsed, held: lease)
            _ = try await management.write([release])
            throw error
        }
        await removeFiles(of: app)
        _ = try await management.write([store.delete(app), MetaStore.raise(.appsVersion)])
        await provider.announce(Hint.apps.text)
        return app
    }

    /// A disk that refuses keeps no app from being removed: nobody can reach its files any more.
    private func removeFiles(of app: StoredApp) async {
        do {
            try await folder(of: app).removeAll()
        } catch {
            dependencies.logger.error(
                "the files of an app that is gone are left",
                metadata: ["app": "\(app.name)", "folder": "\(folder(of: app).url.path)", "cause": "\(error)"]
            )
        }
    }

    /// The row says that the app goes, and that this server does it.
    ///
    /// - Throws: 404 where another server does.
    private func claim(_ app: StoredApp) async throws -> Timestamp {
        let now = dependencies.now()
        let lease = now.adding(seconds: settings.deletionGrace.components.seconds + Self.makingSeconds)
        let isLeft = app.status == .deleting
        let statement = store.move(
            app,
            from: app.status,
            to: .deleting,
            lease: lease,
            unlessLeasedAt: isLeft && provider.isShared ? now : nil
        )
        guard try await management.write([statement, MetaStore.raise(.appsVersion)])[0].changes == 1 else {
            throw Self.notFound(app.name)
        }
        return lease
    }

    /// Shuts the door: from here on no request gets in, and no second deletion.
    ///
    /// - Throws: 404 where somebody deletes or makes it already.
    private func claimForDeletion(_ name: String) async throws -> AppContext? {
        while true {
            let claim = entries.withLock { entries -> (isDone: Bool, context: AppContext?)? in
                switch entries[name] {
                case .open(let context, let users, _):
                    entries[name] = .draining(context, users: users)
                    return (true, context)
                case nil:
                    entries[name] = .closed
                    return (true, nil)
                case .opening, .leaving: return (false, nil)
                case .draining, .closed: return nil
                }
            }
            guard let claim else { throw Self.notFound(name) }
            if claim.isDone {
                claim.context?.work.end()
                return claim.context
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Waits until the last request has ended, or the time is over.
    private func waitForRequests(of name: String) async {
        let deadline = ContinuousClock.now + settings.deletionGrace
        while ContinuousClock.now < deadline {
            let isFree = entries.withLock { entries in
                if case .draining(_, let users)? = entries[name] { return users == 0 }
                return true
            }
            if isFree { return }
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return }
        }
    }
}
