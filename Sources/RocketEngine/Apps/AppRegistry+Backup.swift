import Foundation
import Logging
import RocketDatabase
package import RocketModel
import RocketPlanning

// Backups: each app as it is at one moment, while it is in use. They hold all that the databases hold, hashes of
// passwords among it, but no key of the server: the secrets of webhooks are sealed in them.

/// What a backup or a restoration has done.
package struct BackupReport: Sendable {
    package var apps: [JSONObject] = []
    /// What could not be copied, and why.
    package var failures: [String] = []
    /// What whoever asked for it should know.
    package var warnings: [String] = []

    package var json: JSONValue {
        [
            "apps": .array(apps.map(JSONValue.object)), "failures": .array(failures.map(JSONValue.string)),
            "warnings": .array(warnings.map(JSONValue.string)),
        ]
    }
}

extension AppRegistry {
    /// Copies apps into a folder that is not there yet.
    ///
    /// - Parameter names: nil for all apps, with the users of the platform.
    /// - Throws: 404 for an app that is not there, 409 for a folder that is; 503 for what can't be read or written, and
    ///   then there is no folder.
    package func backUp(_ names: [String]?, to path: String) async throws -> BackupReport {
        var apps: [StoredApp] = []
        for name in names ?? [] where !apps.contains(where: { $0.name == name }) { apps.append(try await app(name)) }
        if names == nil { apps = try await all() }
        return try await takingTurns {
            let folder = BackupFolder(path: path)
            let draft = try await folder.begin(dependencies.randomBytes(6))
            do {
                var report = BackupReport()
                for app in apps {
                    do {
                        try await backUp(app, to: draft, &report)
                    } catch let failure as RequestFailure where names == nil {
                        // One that is broken keeps no other from being copied.
                        await draft.removeFile(of: app.name)
                        if failure.code != .appNotFound { report.failures.append("\(app.name): \(failure.message)") }
                    }
                }
                let users = names == nil ? try await platformUsers() : nil
                try await draft.finish(manifest(of: report, users), as: folder)
                return report
            } catch {
                await draft.remove()
                throw error
            }
        }
    }

    private func backUp(_ app: StoredApp, to folder: BackupFolder, _ report: inout BackupReport) async throws {
        let leftOut = try await withApp(app.name, isUse: false) { context in
            do {
                return try await provider.backUp(context.stored.databaseName, to: folder.file(of: app.name).path)
            } catch let failure as DatabaseFailure {
                dependencies.logger.error("the app \(app.name) can't be copied", metadata: ["cause": "\(failure)"])
                throw RequestFailure.unavailable("The database of this app can't be copied: \(failure.words)")
            }
        }
        let kept = FileFolder(BackupFolder.files(beside: folder.file(of: app.name).path), files)
        let copied: (count: Int, bytes: Int64)
        do {
            copied = try await self.folder(of: app).copy(to: kept, isLinked: false)
        } catch let failure as FileFailure {
            dependencies.logger.error("the files of \(app.name) can't be copied", metadata: ["cause": "\(failure)"])
            throw RequestFailure.unavailable("The files of this app can't be copied: \(failure.cause)")
        }
        report.warnings += leftOut.map { "\(app.name): \($0) is not in the copy; it is not Rocket's" }
        let digest = try await folder.digest(of: app.name)
        report.apps.append([
            "name": .string(app.name), "display_name": .string(app.displayName), "bytes": .integer(digest.bytes),
            "sha256": .string(digest.sha256), "files": .integer(copied.count), "file_bytes": .integer(copied.bytes),
        ])
    }

    private func manifest(of report: BackupReport, _ users: [JSONValue]?) -> JSONObject {
        var manifest: JSONObject = [
            "rocket_backup": .integer(BackupFolder.version), "made_at": .string(dependencies.now().rfc3339),
            "driver": .string(provider.driver), "apps": .array(report.apps.map(JSONValue.object)),
        ]
        manifest["platform_users"] = users.map(JSONValue.array)
        return manifest
    }

    private func platformUsers() async throws -> [JSONValue] {
        let store = UserStore(management.dialect, schema: .management)
        let page = store.users(email: nil, limit: .max, offset: 0).page
        return try await management.read([page])[0].rows.compactMap(store.read).map { user in
            [
                "email": .string(user.email), "password_hash": .string(user.passwordHash),
                "roles": .array(user.roles.map(JSONValue.string)), "active": .boolean(user.isActive),
                "attributes": .object(user.attributes),
            ]
        }
    }

    // MARK: restoring

    /// Makes apps anew as they were when the backup was made, with what waited then to be sent or done. Everybody signs
    /// in again.
    ///
    /// - Parameters:
    ///   - names: nil for all that the backup has, and the users of the platform, where it has them.
    ///   - newName: a name for the only app; under it the app is a copy, and does nothing that waited in the other one.
    /// - Throws: 409 for an app that is there already, before any is made; 422 for what is no backup, or a damaged one.
    package func restore(
        _ names: [String]?,
        as newName: String?,
        from path: String,
        _ box: SecretBox
    ) async throws -> BackupReport {
        let folder = BackupFolder(path: path)
        let manifest = try await folder.manifest()
        let chosen = try choose(names, newName, from: manifest)
        let users = try Self.users(of: manifest)
        try await requireFree(chosen.map { newName ?? $0.name })
        var sizes: [Int] = []
        for app in chosen { sizes.append(try await requireWhole(app, in: folder)) }
        let files = zip(chosen, sizes)
        return try await takingTurns {
            var report = BackupReport()
            for (app, size) in files {
                let name = newName ?? app.name
                let origin = AppOrigin.file(path: folder.file(of: app.name).path, keepsWork: name == app.name)
                do {
                    try await restore(name, app.displayName, from: origin)
                } catch let failure as RequestFailure where chosen.count > 1 {
                    report.failures.append("\(name): \(failure.message)")
                    continue
                }
                report.apps.append(["name": .string(name), "bytes": .integer(size)])
                report.warnings += try await unopened(name, box)
            }
            if names == nil, newName == nil { report.warnings += try await restoreUsers(users) }
            return report
        }
    }

    private func restore(_ name: String, _ displayName: String, from origin: AppOrigin) async throws {
        try checkNew(name: name, displayName: displayName, driver: nil)
        do {
            _ = try await createUnhindered(name: name, displayName: displayName, from: origin)
        } catch let failure as DatabaseFailure {
            dependencies.logger.error("the app \(name) can't be restored", metadata: ["cause": "\(failure)"])
            throw RequestFailure.unavailable("A database can't be made of the copy: \(failure.words)")
        }
    }

    private struct BackedUpApp {
        let name: String
        let displayName: String
        let sha256: String
        /// Of the uploaded files; nil in a backup of a time that had none.
        let files: (count: Int64, bytes: Int64)?
    }

    private func choose(
        _ names: [String]?,
        _ newName: String?,
        from manifest: JSONObject
    ) throws(RequestFailure) -> [BackedUpApp] {
        guard manifest["driver"]?.stringValue == provider.driver else {
            let driver = manifest["driver"]?.stringValue ?? "another store"
            let message = "the backup is of \(driver), and this server keeps its apps on \(provider.driver)"
            throw .validation([FailureDetail(field: "folder", message: message)])
        }
        var all: [BackedUpApp] = []
        for (index, value) in (manifest["apps"]?.arrayValue ?? []).enumerated() {
            guard let app = value.objectValue, let name = app["name"]?.stringValue, Self.isValidName(name),
                let hash = app["sha256"]?.stringValue, !all.contains(where: { $0.name == name })
            else { throw Self.damaged("apps[\(index)]") }
            let count = Self.whole(app["files"])
            let bytes = Self.whole(app["file_bytes"])
            all.append(
                BackedUpApp(
                    name: name,
                    displayName: app["display_name"]?.stringValue ?? name,
                    sha256: hash,
                    files: count.flatMap { count in bytes.map { (count, $0) } }
                )
            )
        }
        guard !all.isEmpty || names == nil else { throw Self.damaged("apps") }
        let known = all.map(\.name)
        let unknown = (names ?? []).filter { !known.contains($0) }
        guard unknown.isEmpty else {
            throw .validation(
                unknown.map { name in
                    let hint = suggestion(for: name, among: known)
                    return FailureDetail(
                        field: "apps",
                        rule: .unknown,
                        message: "the backup has no app \"\(name.prefix(100))\"\(hint)"
                    )
                }
            )
        }
        let chosen = names.map { names in all.filter { names.contains($0.name) } } ?? all
        guard newName == nil || chosen.count == 1 else {
            let message = "one app can get another name, and these are \(chosen.count); name the one that is meant"
            throw .validation([FailureDetail(field: "as", message: message)])
        }
        return chosen
    }

    private static func whole(_ value: JSONValue?) -> Int64? {
        if case .number(let number)? = value { number.int64 } else { nil }
    }

    private static func damaged(_ place: String) -> RequestFailure {
        .validation([FailureDetail(field: "folder", message: "the manifest is damaged at \(place)")])
    }

    private func requireFree(_ names: [String]) async throws {
        try await clearLeftovers()
        let there = try await all(includingUnfinished: true).filter { names.contains($0.name) }
        let unfinished = there.filter { $0.status != .active }.map(\.name)
        guard unfinished.isEmpty else {
            throw RequestFailure(
                .conflict,
                "\(unfinished.joined(separator: ", ")) is being made or removed; what was broken off is free again within"
                    + " \(Self.makingSeconds / 60) minutes"
            )
        }
        let taken = there.map(\.name).sorted()
        guard taken.isEmpty else {
            throw RequestFailure(
                .conflict,
                "There are apps of these names already; delete them first, or restore one under another name",
                details: taken.map { FailureDetail(field: "apps", message: "\($0) is there already") }
            )
        }
    }

    /// - Returns: the bytes of the file.
    /// - Throws: 422 for a file that is not as it was written.
    private func requireWhole(_ app: BackedUpApp, in folder: BackupFolder) async throws -> Int {
        let digest = try await folder.digest(of: app.name)
        guard digest.sha256 == app.sha256 else {
            let message = "the copy of \(app.name) is damaged: it is not as it was written"
            throw RequestFailure.validation([FailureDetail(field: "folder", message: message)])
        }
        if let files = app.files {
            let found = try await count(BackupFolder.files(beside: folder.file(of: app.name).path))
            guard Int64(found.count) == files.count, found.bytes == files.bytes else {
                let message =
                    "the files of \(app.name) are not whole: \(found.count) with \(found.bytes) bytes, of \(files.count)"
                    + " with \(files.bytes)"
                throw RequestFailure.validation([FailureDetail(field: "folder", message: message)])
            }
        }
        return digest.bytes
    }

    private func count(_ url: URL) async throws -> (count: Int, bytes: Int64) {
        do {
            return try await FileFolder(url, files).count()
        } catch let failure as FileFailure {
            throw RequestFailure.unavailable("\(url.path) can't be read: \(failure.cause)")
        }
    }

    /// The webhooks whose secrets another server has sealed.
    private func unopened(_ name: String, _ box: SecretBox) async throws -> [String] {
        let definitions = try await withApp(name, isUse: false) { $0.snapshots.current.definitions }
        let sealed = definitions.others.filter { $0.kind == .webhooks }.compactMap { webhook in
            webhook.content["secret"]?.stringValue.map { (webhook, $0) }
        }
        return sealed.filter { box.open($0.1) == nil }.map { webhook, _ in
            "\(name): the secret of the \(definitions.describe(webhook)) can't be opened with this server's"
                + " encryption_key; set it anew, or configure the key of the server that it comes from"
        }
    }

    private struct BackedUpUser {
        let email: String
        let hash: String
        let roles: [String]
        let isActive: Bool
        let attributes: JSONObject
    }

    /// - Throws: 422 for users that can't be.
    private static func users(of manifest: JSONObject) throws(RequestFailure) -> [BackedUpUser] {
        var users: [BackedUpUser] = []
        for (index, value) in (manifest["platform_users"]?.arrayValue ?? []).enumerated() {
            guard let user = value.objectValue, let email = user["email"]?.stringValue,
                let hash = user["password_hash"]?.stringValue, UserRules.problem(withEmail: email) == nil,
                email == Accounts.normalized(email), PasswordHasher.isHash(hash)
            else { throw damaged("platform_users[\(index)]") }
            users.append(
                BackedUpUser(
                    email: email,
                    hash: hash,
                    roles: (user["roles"]?.arrayValue ?? []).compactMap(\.stringValue),
                    isActive: user["active"] != .boolean(false),
                    attributes: user["attributes"]?.objectValue ?? JSONObject()
                )
            )
        }
        return users
    }

    /// Makes the users of the platform who are not there. Those who are stay as they are, but for one whom this server
    /// has just seeded with the password that everybody knows.
    ///
    /// - Returns: who was left alone.
    private func restoreUsers(_ users: [BackedUpUser]) async throws -> [String] {
        let store = UserStore(management.dialect, schema: .management)
        let now = dependencies.now()
        var statements: [SQLStatement] = []
        var warnings: [String] = []
        for user in users {
            guard var known = try await platform.user(email: user.email) else {
                let new = StoredUser(
                    id: dependencies.newID().text,
                    email: user.email,
                    passwordHash: user.hash,
                    roles: user.roles,
                    isActive: user.isActive,
                    attributes: user.attributes,
                    createdAt: now,
                    updatedAt: now
                )
                statements.append(store.insert(new))
                continue
            }
            guard user.isActive, try await hasher.verify("changeme", against: known.passwordHash) else {
                if known.passwordHash != user.hash {
                    warnings.append("the platform's user \(user.email) is there already and stays as it is")
                }
                continue
            }
            known.roles = user.roles
            known.attributes = user.attributes
            known.updatedAt = now
            statements += [store.update(known)] + store.changePassword(of: known, to: user.hash, now: now)
        }
        guard !statements.isEmpty else { return warnings }
        _ = try await management.write(statements)
        let versions = MetaStore.read(try await management.read([MetaStore.versions])[0])
        if let version = versions[.accountsVersion] { try await platform.keepFloors(at: version) }
        return warnings
    }
}
