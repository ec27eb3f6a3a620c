package import Logging
import RocketDatabase
package import RocketModel
package import RocketPlanning

/// The words for what a store did not do. The cause goes to the log, never to the client.
package enum FailureTranslation {
    /// What the client is told of any error; nil for one that is a fault of ours.
    package static func requestFailure(for error: any Error, snapshot: AppSnapshot?, logger: Logger) -> RequestFailure?
    {
        if let failure = error as? RequestFailure { return failure }
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
        case .overloaded:
            return .unavailable("Too many requests wait for this app's database; try again shortly")
        case .unavailable(let cause):
            logger.error("database unavailable", metadata: ["cause": "\(cause)"])
            return .unavailable("The database can't be reached")
        case .fault:
            return nil
        }
    }

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
