/// Bounds of the HTTP face.
package struct ServerSettings: Sendable {
    package var host = "127.0.0.1"
    package var port = 8080
    package var maximumBodyBytes = 10 * 1024 * 1024
    /// How long a connection may take to send a request's head, counted from the end of the one before.
    package var headSeconds: Int64 = 60
    /// How long a request's body may take to arrive.
    package var bodySeconds: Int64 = 30
    /// How long requests that run may go on after a signal to stop.
    package var graceSeconds: Int64 = 10

    package init() {}
}
