import Logging
import RocketDatabase
package import RocketModel
package import RocketPlanning
import Synchronization

/// The uploaded files of an app: their bytes on the disk, a row for each in the database, and the records that use them.
package struct AppFiles: Sendable {
    private let app: AppContext
    private let dependencies: EngineDependencies
    private let store: FileStore
    private var database: any AppDatabase { app.database }

    package init(_ app: AppContext, _ dependencies: EngineDependencies) {
        self.app = app
        self.dependencies = dependencies
        store = FileStore(app.database.dialect)
    }

    // MARK: uploading

    private static let microsecondsOfADay: Int64 = 24 * 3600 * 1_000_000

    private var today: Int64 { dependencies.now().microseconds / Self.microsecondsOfADay }

    /// What of a user's share of a day an upload takes; nil for administrators, who have no bound.
    package struct Reservation: Sendable {
        fileprivate let owner: String
        fileprivate let day: Int64
        fileprivate let bytes: Int64
    }

    /// Takes what an upload may need of its user's share of the day (UTC), so that many at once don't pass it.
    ///
    /// - Throws: 429 where it is used up.
    package func reserve(_ bytes: Int64, for principal: Principal, ofBytesPerDay limit: Int64) async throws
        -> Reservation?
    {
        guard !principal.isAdmin else { return nil }
        let reservation = Reservation(owner: principal.userID, day: today, bytes: bytes)
        let add = store.addUpload(by: reservation.owner, day: reservation.day, bytes: bytes)
        let sum = try await database.write([add])[0].rows.first?.first?.integerValue ?? 0
        guard sum <= limit else {
            try await settle(reservation, used: 0)
            let left = Self.microsecondsOfADay - dependencies.now().microseconds % Self.microsecondsOfADay
            throw RequestFailure(
                .rateLimited,
                "With this you would upload more than \(limit) bytes on one day (UTC), which is the most that a user may",
                retryAfterSeconds: Int(left / 1_000_000) + 1
            )
        }
        return reservation
    }

    /// Gives back what was reserved and not used.
    package func settle(_ reservation: Reservation?, used bytes: Int64) async throws {
        guard let reservation, bytes != reservation.bytes else { return }
        let difference = bytes - reservation.bytes
        let add = store.addUpload(by: reservation.owner, day: reservation.day, bytes: difference)
        _ = try await database.write([add])
    }

    package func newID() -> UniqueID { dependencies.newID() }

    package func draft(of id: UniqueID) async throws -> FileDraft { try await app.folder.draft(of: id) }

    /// Makes a file of a draft that has all of its bytes, or leaves nothing of it.
    ///
    /// - Parameter sample: its first bytes, which tell what it is.
    package func keep(
        _ draft: FileDraft,
        id: UniqueID,
        filename: String,
        size: Int64,
        sample: [UInt8],
        by principal: Principal
    ) async throws -> StoredFile {
        let now = dependencies.now()
        let name = FileName.sanitized(filename)
        let file = StoredFile(
            id: id,
            filename: name,
            size: size,
            mimeType: FileType.sniff(sample, filename: name),
            owner: principal.userID,
            createdAt: now,
            unusedSince: now
        )
        try await draft.finish()
        // What has no row is swept one day.
        _ = try await database.write([store.insert(file)])
        return file
    }

    // MARK: reading

    /// A file that the caller may read: in a record, or as one who has uploaded it and has not used it yet.
    ///
    /// - Throws: 404 `NOT_FOUND`.
    package func file(_ id: String, for access: Access) async throws -> StoredFile {
        guard let key = UniqueID(id) else { throw Self.notFound(id) }
        let principal = access.principal
        let readable = principal.isAdmin ? [] : FileUses.readable([key], access)
        let results = try await database.read([store.files([key], lock: .none)] + readable)
        guard let file = results[0].rows.first.flatMap(store.read) else { throw Self.notFound(id) }
        if principal.isAdmin || results.dropFirst().contains(where: { !$0.rows.isEmpty }) { return file }
        guard !principal.isAnonymous, file.owner == principal.userID, try await used([key]).isEmpty else {
            throw Self.notFound(id)
        }
        return file
    }

    /// - Returns: nil where the bytes are gone from the disk.
    package func reader(of file: StoredFile) async throws -> FileReader? {
        let reader = try await app.folder.reader(of: file.id)
        if reader == nil {
            dependencies.logger.error(
                "the bytes of a file are not there",
                metadata: ["app": "\(app.name)", "file": "\(file.id.text)"]
            )
        }
        return reader
    }

    package func page(_ place: PageRequest) async throws -> (files: [StoredFile], total: Int64) {
        let results = try await database.read(store.page(limit: place.perPage, offset: place.offset))
        return (results[0].rows.compactMap(store.read), results[1].rows.first?.first?.integerValue ?? 0)
    }

    private func used(_ ids: [UniqueID]) async throws -> Set<UniqueID> {
        let results = try await database.read(FileUses.used(ids, in: app.snapshots.current))
        return Set(results.flatMap(\.rows).compactMap { $0.first?.textValue.flatMap(UniqueID.init) })
    }

    static func notFound(_ id: String) -> RequestFailure {
        RequestFailure(.notFound, "There is no file \"\(id.prefix(100))\"")
    }

    // MARK: removing

    /// Removes a file that no record uses: an administrator's or the uploader's to do.
    ///
    /// - Throws: 404 for a file that the caller can't read, 403 for somebody else's, 409 for one that records use.
    package func remove(_ id: String, for access: Access) async throws {
        let file = try await file(id, for: access)
        guard access.principal.isAdmin || file.owner == access.principal.userID else {
            throw RequestFailure(.forbidden, "Only administrators remove what somebody else has uploaded")
        }
        let removal = FileRemoval([file.id], store, app.snapshots.current)
        guard try await database.write(removal) == [file.id] else {
            throw RequestFailure(.conflict, "Records use this file; take it out of them first")
        }
        do {
            try await app.folder.remove([file.id])
        } catch {
            // It is removed: nobody can reach it, and the bytes are swept one day.
            let place: Logger.Metadata = ["app": "\(app.name)", "file": "\(file.id.text)", "cause": "\(error)"]
            dependencies.logger.warning("the bytes of a removed file are left", metadata: place)
        }
    }

    // MARK: sweeping

    private static let sweptAtOnce = 500
    /// How many times so many of the files in use are looked at in one go.
    private static let looksAtOnce = 20

    /// Removes what no record has used for a day, and what has no row: an upload that a crash cut short, or a removal.
    package func sweep() async throws {
        let now = dependencies.now()
        for _ in 0..<Self.looksAtOnce where !Task.isCancelled {
            guard try await noteUnused(now) else { break }
        }
        _ = try await database.write([store.forgetUploads(before: today - 1)])
        let before = now.adding(seconds: -StoredFile.unusedSeconds)
        while !Task.isCancelled {
            let rows = try await database.read([store.unused(since: before, limit: Self.sweptAtOnce)])[0].rows
            let ids = rows.compactMap(store.read).map(\.id)
            guard !ids.isEmpty else { break }
            let removal = FileRemoval(ids, store, app.snapshots.current, keepsNote: true)
            let unused = try await database.write(removal)
            try await app.folder.remove(unused)
            if !unused.isEmpty {
                dependencies.logger.info(
                    "removed files that no record uses",
                    metadata: ["app": "\(app.name)", "count": "\(unused.count)"]
                )
            }
        }
        try await sweepFolder(before)
    }

    /// Looks at some of the files that were in use, and goes on with others the next time.
    ///
    /// - Returns: whether there are others.
    private func noteUnused(_ now: Timestamp) async throws -> Bool {
        let after = app.sweptFile.withLock { $0 }
        let rows = try await database.read([store.inUse(after: after, limit: Self.sweptAtOnce)])[0].rows
        let ids = rows.compactMap(store.read).map(\.id)
        app.sweptFile.withLock { $0 = rows.count < Self.sweptAtOnce ? "" : ids.last?.text ?? "" }
        guard !ids.isEmpty else { return false }
        let used = try await used(ids)
        let unused = ids.filter { !used.contains($0) }
        if !unused.isEmpty { _ = try await database.write([store.note(unused, unusedSince: now)]) }
        return rows.count == Self.sweptAtOnce
    }

    private func sweepFolder(_ before: Timestamp) async throws {
        // Once a day and process: there may be many.
        let isDue = app.folderSweptAt.withLock { last in
            guard last.map({ $0 < before }) ?? true else { return false }
            last = dependencies.now()
            return true
        }
        guard isDue else { return }
        try await app.folder.forEachOld(before: before) { ids, drafts in
            try await app.folder.removeDrafts(drafts)
            guard !ids.isEmpty else { return }
            let rows = try await database.read([store.files(ids, lock: .none)])[0].rows
            let known = Set(rows.compactMap(store.read).map(\.id))
            try await app.folder.remove(ids.filter { !known.contains($0) })
        }
    }
}

/// Removes the rows of those files that no record uses. The rows are locked before records are looked at, so that
/// nobody begins to use one in between. Its outcome is those that it has removed.
private struct FileRemoval: TransactionScript {
    private enum State {
        case start
        case locked
        case judged
        case removed([UniqueID])
    }

    private let ids: [UniqueID]
    private let store: FileStore
    private let snapshot: AppSnapshot
    private let keepsNote: Bool
    private var state = State.start

    /// - Parameter keepsNote: whether it is noted of the others that they are used.
    init(_ ids: [UniqueID], _ store: FileStore, _ snapshot: AppSnapshot, keepsNote: Bool = false) {
        self.ids = ids
        self.store = store
        self.snapshot = snapshot
        self.keepsNote = keepsNote
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<[UniqueID]> {
        switch state {
        case .start:
            state = .locked
            return .run([store.files(ids, lock: .forRemoval)])
        case .locked:
            state = .judged
            let uses = FileUses.used(ids, in: snapshot)
            return uses.isEmpty ? try next([]) : .run(uses)
        case .judged:
            let used = Set(results.flatMap(\.rows).compactMap { $0.first?.textValue.flatMap(UniqueID.init) })
            let unused = ids.filter { !used.contains($0) }
            state = .removed(unused)
            var statements = unused.isEmpty ? [] : [store.remove(unused)]
            if keepsNote, !used.isEmpty { statements.append(store.note(Array(used), unusedSince: nil)) }
            return statements.isEmpty ? .done(unused) : .finish(statements)
        case .removed(let unused): return .done(unused)
        }
    }
}
