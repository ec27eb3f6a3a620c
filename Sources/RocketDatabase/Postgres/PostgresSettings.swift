/// Where the server is, and the bounds on what is asked of it.
package struct PostgresSettings: Sendable {
    /// Keywords of libpq (manual, 34.1.2): host, port, user, password, sslmode and so on; all but `dbname`.
    package var parameters: [String: String]
    /// The database of the management tables; it is made where it is not there.
    package var managementDatabase: String
    /// Whether it is made where it is missing; else it is a mistyped name.
    package var makesManagementDatabase = true
    /// What the names of the apps' databases begin with.
    package var appPrefix = "rocket_"
    /// Connections over all apps. One more listens for what other servers say.
    package var poolSize = 40
    /// Connections of one app.
    package var appPoolSize = 16
    /// Scripts of one app that may wait for a connection before further ones are refused.
    package var maximumWaiting = 1024
    /// How long a script waits for a connection.
    package var waitLimit = Duration.seconds(10)
    /// How long one statement may take.
    package var statementLimit = Duration.seconds(30)
    /// How long a change of the tables waits for those who use them.
    package var lockLimit = Duration.seconds(5)
    package var connectLimit = Duration.seconds(5)
    /// How long a connection is kept that nobody uses.
    package var idleLimit = Duration.seconds(60)

    package init(parameters: [String: String], managementDatabase: String = "rocket") {
        self.parameters = parameters
        self.managementDatabase = managementDatabase
    }
}
