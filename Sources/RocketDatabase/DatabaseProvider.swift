/// Makes, opens and drops databases: one for the management of the apps, one for each app.
package protocol DatabaseProvider: Sendable {
    /// As `db_driver` of an app names it.
    var driver: String { get }

    /// The name of an app's database.
    func databaseName(ofApp name: String) -> String

    func openManagement() async throws -> any AppDatabase

    /// Makes an empty database.
    ///
    /// - Returns: false where a database of that name is there already; it is left alone.
    func create(_ databaseName: String) async throws -> Bool

    func open(_ databaseName: String) async throws -> any AppDatabase

    /// Removes a database that nothing has open; one that is not there is fine.
    func drop(_ databaseName: String) async throws

    /// Ends what the provider itself keeps open. Nothing of it is used afterwards.
    func close() async
}
