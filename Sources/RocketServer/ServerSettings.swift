/// Bounds of the HTTP face.
package struct ServerSettings: Sendable {
    package var host = "127.0.0.1"
    package var port = 8080
    /// Further connections are told that there are too many.
    package var maximumConnections = 4096
    package var maximumBodyBytes = 10 * 1024 * 1024
    /// The largest file that is taken.
    package var maximumFileBytes = 100 * 1024 * 1024
    /// How much a user may upload within a day.
    package var fileBytesPerDay: Int64 = 10 * 1024 * 1024 * 1024
    /// How long a connection may take to send a request's head, counted from the end of the one before.
    package var headSeconds: Int64 = 60
    /// How long a request's body may take to arrive.
    package var bodySeconds: Int64 = 30
    /// How long requests that run may go on after a signal to stop.
    package var graceSeconds: Int64 = 10
    /// How long the calls that one write waits for may take together.
    package var synchronousCallLimit = Duration.seconds(5)
    /// How many writes may wait for calls at once, each with a connection of its own.
    package var waitingWrites = (perApp: 8, total: 20)
    /// What `/metrics` takes beside a token of the platform; nil for nothing.
    package var metricsToken: String?
    /// Whose word on the address of a client counts.
    package var trustedProxies = TrustedProxies.none
    /// Which pages of other origins may read answers.
    package var crossOrigin = CrossOrigin.none

    package init() {}
}

/// Entries of a setting that can't be.
package struct SettingFailure: Error, CustomStringConvertible {
    /// One sentence for each.
    let problems: [String]

    init(_ problems: [String]) {
        self.problems = problems
    }

    package var description: String { problems.joined(separator: "; ") }
}
