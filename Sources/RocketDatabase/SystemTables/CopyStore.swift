package import RocketModel
package import RocketPlanning

/// The statements that make an app's own of a database that was copied from another one's.
package struct CopyStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// Ends what signs in without a password: a token that was ended since the copy was made must not be back.
    package let endSessions =
        ["_refresh_tokens", "_password_resets"].map { SQLStatement("DELETE FROM \"\($0)\"") }
        + [SQLStatement("DELETE FROM \"_invites\" WHERE \"accepted_at\" IS NULL")]

    /// What was being sent as the copy was made is sent now.
    package func takeWorkUp(now: Timestamp) -> [SQLStatement] {
        [DeliveryStore(dialect).takeBack(now: now)]
    }

    /// The instances that run, to be cancelled by ``WorkflowStore/abandon(_:now:)``.
    package let runningInstances = SQLStatement(
        "SELECT \"id\" FROM \"_workflow_instances\" WHERE \"status\" = 'running' LIMIT 500",
        output: .values
    )

    /// What waits to be done in the app that was copied is done there and not here.
    package func dropWork(now: Timestamp) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"status\" = 'failed', \"due_at\" = NULL, \"next_retry_at\" = NULL,")
        sql.append(" \"is_held\" = 0, \"error\" = 'not sent: this app is a copy of the one that sends it',")
        sql.append(" \"updated_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"due_at\" IS NOT NULL")
        return [
            sql.statement(), SQLStatement("DELETE FROM \"_events\""),
            // They are noted anew, from now on.
            SQLStatement("DELETE FROM \"_workflow_schedules\""),
            // What was carried out there was not carried out here.
            SQLStatement("DELETE FROM \"_request_keys\""),
        ]
    }
}
