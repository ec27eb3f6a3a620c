package import Logging
import RocketDatabase
package import RocketModel
package import RocketPlanning

/// The words for what a store did not do. The cause goes to the log, never to the client.
package enum FailureTranslation {
    /// Whether a statement did not fit the tables: it may have been planned with metadata that another server, or
    /// another request, has changed since.
    package static func isOfOldMetadata(_ error: any Error) -> Bool {
        if case DatabaseFailure.schemaMismatch = error { true } else { false }
    }

    /// What the client is told of any error; nil for one that is a fault of ours.
    package static func requestFailure(for error: any Error, snapshot: AppSnapshot?, logger: Logger) -> RequestFailure?
    {
        if let failure = error as? RequestFailure { return failure }
        if let failure = error as? FileFailure {
            logger.error("the disk for files refuses", metadata: ["cause": "\(failure.cause)"])
            return .unavailable("The disk for files does not take or give them at present")
        }
        guard let failure = error as? DatabaseFailure else { return nil }
        switch failure {
        case .uniqueViolation(let table, let columns):
            return conflict(table: table, columns: columns, snapshot)
        case .foreignKeyViolation(let cause):
            logger.debug("foreign key violation", metadata: ["cause": "\(cause)"])
            return RequestFailure(
                .conflict,
                "A record that is named does not exist, or one that names this record does"
            )
        case .valueRefused(_, let column, let cause):
            logger.notice("a table refused a value", metadata: ["cause": "\(cause)"])
            return .validation([
                FailureDetail(
                    field: column.isEmpty ? nil : column,
                    rule: .type,
                    message: "is not taken by the table, which has rules of its own"
                )
            ])
        case .tooLongForIndex(let table, let index, let cause):
            logger.debug("too long for an index", metadata: ["cause": "\(cause)"])
            return tooLong(table: table, index: index, snapshot)
        case .overloaded:
            return .unavailable("Too many requests wait for this app's database; try again shortly")
        case .unavailable(let cause):
            outages.log(cause, logger)
            return .unavailable("The database can't be reached")
        case .timedOut(let cause):
            logger.warning("a statement took too long", metadata: ["cause": "\(cause)"])
            return .unavailable("The database took longer for this than it may; ask for less at once")
        case .outcomeUnknown(let cause):
            logger.error("a commit's answer was lost", metadata: ["cause": "\(cause)"])
            return .unavailable(
                "The connection to the database was lost while the change was being stored: look whether it was"
            )
        case .schemaMismatch, .fault:
            return nil
        }
    }

    /// A database that keeps index entries on a page takes no value that does not fit one.
    private static func tooLong(table: String, index: String, _ snapshot: AppSnapshot?) -> RequestFailure {
        let columns = snapshot?.columns(ofIndex: index) ?? []
        let message = "is too long for the index of its field: a value in an index has at most about 2,700 bytes"
        return .validation(
            columns.isEmpty
                ? [
                    FailureDetail(
                        message: "is larger than a page of the table takes, or too long for one of its indexes"
                    )
                ]
                : columns.map { FailureDetail(field: $0, rule: .type, message: message) }
        )
    }

    private static let outages = OutageLog()

    private static func conflict(table: String, columns: [String], _ snapshot: AppSnapshot?) -> RequestFailure {
        let entity = snapshot?.definitions.entities.first { $0.table == table }
        let what = entity.map { "A \($0.name)" } ?? "A record"
        let names = columns.joined(separator: ", ")
        let message =
            columns.isEmpty ? "\(what) with these values exists already" : "\(what) with this \(names) exists already"
        return RequestFailure(
            .conflict,
            message,
            details: columns.map { FailureDetail(field: $0, message: "is taken") }
        )
    }
}
