/// An app as the management database knows it.
package struct StoredApp: Sendable, Hashable {
    package enum Status: String, Sendable {
        /// Being made: its database has a draft's name, and may be missing or half there.
        case creating
        /// Whole, and about to get its name: a draft that is gone has become the app's database.
        case publishing
        case active
        /// Being removed.
        case deleting
    }

    package let name: String
    package let displayName: String
    /// The database's name: on SQLite its file in the data directory.
    package let databaseName: String
    package let driver: String
    package let status: Status
    /// Random, made with the app: a namesake that is made later has another one, and other signing keys.
    package let identity: String

    package init(
        name: String,
        displayName: String,
        databaseName: String,
        driver: String,
        status: Status,
        identity: String
    ) {
        self.name = name
        self.displayName = displayName
        self.databaseName = databaseName
        self.driver = driver
        self.status = status
        self.identity = identity
    }
}
