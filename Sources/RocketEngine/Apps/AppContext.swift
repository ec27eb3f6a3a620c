package import RocketDatabase
package import RocketModel
package import RocketPlanning

/// One app while it is open: its database, the snapshot in force, its accounts.
package final class AppContext: Sendable {
    package let stored: StoredApp
    package let database: any AppDatabase
    package let snapshots: SnapshotStore
    package let metadata: MetadataWriter
    package let accounts: Accounts

    package init(stored: StoredApp, database: any AppDatabase, snapshot: AppSnapshot, accounts: Accounts) {
        self.stored = stored
        self.database = database
        self.accounts = accounts
        snapshots = SnapshotStore(snapshot)
        metadata = MetadataWriter(database: database, snapshots: snapshots)
    }

    package var name: String { stored.name }
}
