/// Makes, opens and drops databases: one for the management of the apps, one for each app.
package protocol DatabaseProvider: Sendable {
    /// As `db_driver` of an app names it.
    var driver: String { get }

    /// Whether other servers may work on the same databases.
    var isShared: Bool { get }

    /// The name of an app's database.
    func databaseName(ofApp name: String) -> String

    /// The name of a database that is being made. No app's database can have it.
    func draftName(_ identity: String) -> String

    func openManagement() async throws -> any AppDatabase

    func exists(_ databaseName: String) async throws -> Bool

    /// Makes an empty database.
    ///
    /// - Returns: false where a database of that name is there already; it is left alone.
    func create(_ databaseName: String) async throws -> Bool

    /// Gives a database that nothing has open another name.
    ///
    /// - Returns: false where a database of the new name is there already; both are left alone.
    func rename(_ databaseName: String, to newName: String) async throws -> Bool

    /// Whether two names are of one database, as a renaming that a crash cut short may leave it.
    func isSame(_ databaseName: String, _ otherName: String) async throws -> Bool

    func open(_ databaseName: String) async throws -> any AppDatabase

    /// Writes all that is in a database, as it is at one moment, to a file that is not there yet. Whoever works on the
    /// database goes on.
    ///
    /// - Returns: what the copy leaves out, in words; nothing of what Rocket itself puts into a database.
    func backUp(_ databaseName: String, to path: String) async throws -> [String]

    /// Makes a database of what ``backUp(_:to:)`` has written.
    ///
    /// - Returns: false where a database of that name is there already; it is left alone.
    func restore(_ databaseName: String, from path: String) async throws -> Bool

    /// Makes a database with all that is in another one at one moment; whoever works on that goes on.
    ///
    /// - Returns: false where a database of the new name is there already; it is left alone.
    func copy(_ databaseName: String, to newName: String) async throws -> Bool

    /// Removes a database that this server does not have open; one that is not there is fine.
    func drop(_ databaseName: String) async throws

    /// Tells the other servers, and this one, that something has changed. A hint: it may be lost.
    func announce(_ hint: String) async

    /// Calls `body` with every hint from now on, on any thread.
    func listen(_ body: @escaping @Sendable (String) -> Void) async

    /// Ends what the provider itself keeps open. Nothing of it is used afterwards.
    func close() async
}
