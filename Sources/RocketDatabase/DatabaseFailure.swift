/// Why a store did not do what it was asked. The facts only: words for the client are the engine's, and the
/// cause, which may hold SQL and values, is for the log.
package enum DatabaseFailure: Error, Sendable {
    /// A unique index over these columns has the value already.
    case uniqueViolation(table: String, columns: [String])
    /// A foreign key names no row, or a row is named by one.
    case foreignKeyViolation(cause: String)
    /// Too many callers wait, or one has waited too long.
    case overloaded
    /// The database can't be reached, is busy with another process, is full, or is closed.
    case unavailable(cause: String)
    /// A fault of ours: SQL that does not run.
    case fault(cause: String)
}
