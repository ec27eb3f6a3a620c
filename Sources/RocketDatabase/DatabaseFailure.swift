/// Why a store did not do what it was asked. The facts only: words for the client are the engine's, and the
/// cause, which may hold SQL and values, is for the log.
package enum DatabaseFailure: Error, Hashable, Sendable {
    /// A unique index over these columns has the value already.
    case uniqueViolation(table: String, columns: [String])
    /// A foreign key names no row, or a row is named by one.
    case foreignKeyViolation(cause: String)
    /// A value is too long for the index that its column is in.
    case tooLongForIndex(table: String, index: String, cause: String)
    /// The table does not take a value: a bound, a check or a trigger that somebody gave it.
    case valueRefused(table: String, column: String, cause: String)
    /// A table or a column is not there, or not of the kind that the statement takes it for: the metadata that the
    /// statement was planned with may be out of date.
    case schemaMismatch(cause: String)
    /// Too many callers wait, one has waited too long, or the same rows are fought over.
    case overloaded
    /// The statement took longer than it may.
    case timedOut(cause: String)
    /// The connection was lost while the commit was on its way: the change may hold or not.
    case outcomeUnknown(cause: String)
    /// The database can't be reached, is busy with another process, is full, or is closed.
    case unavailable(cause: String)
    /// A fault of ours: SQL that does not run.
    case fault(cause: String)
}

extension DatabaseFailure {
    /// The cause in words, for whoever runs the server: it may name files and databases.
    package var words: String {
        switch self {
        case .foreignKeyViolation(let cause), .tooLongForIndex(_, _, let cause), .valueRefused(_, _, let cause),
            .schemaMismatch(let cause), .timedOut(let cause), .outcomeUnknown(let cause), .unavailable(let cause),
            .fault(let cause):
            String(cause.prefix { $0 != "\n" })
        case .uniqueViolation(let table, let columns):
            "two rows of \(table) have the same \(columns.joined(separator: ", "))"
        case .overloaded: "too many wait for it"
        }
    }
}
