package import RocketDatabase
package import RocketModel
import RocketPlanning
import Synchronization

/// One app while it is open: its database, the snapshot in force, its accounts.
package final class AppContext: Sendable {
    package let stored: StoredApp
    package let database: any AppDatabase
    package let snapshots: SnapshotStore
    package let metadata: MetadataWriter
    package let accounts: Accounts
    let check = SharedCheck()
    /// Called after a commit that has left work to do.
    package let workIsDue: @Sendable () -> Void
    /// Notes in the list of apps that there is work.
    let noteWork: @Sendable (Timestamp) async throws -> Void
    package let work = WorkNote()
    let plans = WorkflowPlans()
    /// Where the bytes of its files are.
    let folder: FileFolder
    /// The last file that a sweep has looked at; empty at the start.
    let sweptFile = Mutex("")
    /// When its folder was swept last by this process.
    let folderSweptAt = Mutex<Timestamp?>(nil)

    init(
        stored: StoredApp,
        database: any AppDatabase,
        snapshot: AppSnapshot,
        accounts: Accounts,
        folder: FileFolder,
        changed: @escaping @Sendable () async -> Void,
        workIsDue: @escaping @Sendable () -> Void,
        noteWork: @escaping @Sendable (Timestamp) async throws -> Void
    ) {
        self.stored = stored
        self.database = database
        self.accounts = accounts
        self.folder = folder
        self.workIsDue = workIsDue
        self.noteWork = noteWork
        snapshots = SnapshotStore(snapshot)
        metadata = MetadataWriter(database: database, snapshots: snapshots, changed: changed)
    }

    /// Looks whether another server has changed what this one remembers.
    func look() async throws {
        try await check.run { [database, snapshots, accounts] in
            let versions = MetaStore.read(try await database.read([MetaStore.versions])[0])
            if let version = versions[.definitionsVersion], version > snapshots.current.version {
                snapshots.swap(to: try await MetadataWriter.load(from: database))
            }
            if let version = versions[.accountsVersion] { try await accounts.keepFloors(at: version) }
        }
    }

    package var name: String { stored.name }

    /// Looks now whether the metadata has changed since a request took its snapshot.
    package func hasChanged(since version: Int64) async -> Bool {
        do { try await look() } catch { return false }
        return snapshots.current.version != version
    }
}
