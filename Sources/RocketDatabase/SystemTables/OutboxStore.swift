package import RocketModel
package import RocketPlanning

/// The statements on `_webhook_logs` and `_events`: what a write leaves to be done after its commit. Its rows are written
/// in the write's own transaction, so that they are there exactly when the write is.
package struct OutboxStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// A call that is to be made.
    package struct Delivery: Sendable {
        package let id: String
        /// Nil where a transition calls.
        package let webhookID: String?
        package let entity: String
        package let recordID: String
        /// `state_change`, or the webhook's.
        package let hook: String
        package let call: WebhookCall
        package let body: String
        package let maximumAttempts: Int
        package let backoff: Backoff
        /// The same whenever the call is tried again.
        package let idempotencyKey: String
        package let cause: Cause
        /// Why it is not sent at all; nil where it is.
        package let problem: String?

        package init(
            id: String,
            webhookID: String?,
            entity: String,
            recordID: String,
            hook: String,
            call: WebhookCall,
            body: String,
            maximumAttempts: Int,
            backoff: Backoff,
            idempotencyKey: String,
            cause: Cause,
            problem: String?
        ) {
            self.id = id
            self.webhookID = webhookID
            self.entity = entity
            self.recordID = recordID
            self.hook = hook
            self.call = call
            self.body = body
            self.maximumAttempts = maximumAttempts
            self.backoff = backoff
            self.idempotencyKey = idempotencyKey
            self.cause = cause
            self.problem = problem
        }
    }

    /// An event for whoever listens.
    package struct Event: Sendable {
        package let id: String
        package let name: String
        package let payload: JSONObject
        package let entity: String
        package let recordID: String
        package let record: JSONObject
        /// `{"id", "roles"}` of the one who set it off.
        package let user: JSONObject
        package let cause: Cause

        package init(
            id: String,
            name: String,
            payload: JSONObject,
            entity: String,
            recordID: String,
            record: JSONObject,
            user: JSONObject,
            cause: Cause = .none
        ) {
            self.id = id
            self.name = name
            self.payload = payload
            self.entity = entity
            self.recordID = recordID
            self.record = record
            self.user = user
            self.cause = cause
        }
    }

    package func inserts(_ deliveries: [Delivery], now: Timestamp) -> [SQLStatement] {
        let columns = [
            "id", "webhook_id", "entity", "record_id", "hook", "url", "method", "request_headers", "request_body",
            "status", "attempt", "max_attempts", "error", "idempotency_key", "lane", "due_at", "depth", "trace",
            "backoff",
            "created_at", "updated_at",
        ]
        let instant = SQLValue.integer(now.microseconds)
        return dialect.inserts(
            "_webhook_logs",
            columns,
            deliveries.map { delivery in
                [
                    .text(delivery.id), delivery.webhookID.map(SQLValue.text) ?? .null, .text(delivery.entity),
                    .text(delivery.recordID), .text(delivery.hook), .text(delivery.call.url),
                    .text(delivery.call.method), .text(JSONValue.object(delivery.call.headers).jsonText),
                    .text(delivery.body), .text(delivery.problem == nil ? "pending" : "failed"), .integer(0),
                    .integer(Int64(delivery.maximumAttempts)), delivery.problem.map(SQLValue.text) ?? .null,
                    .text(delivery.idempotencyKey), .text(delivery.webhookID ?? delivery.call.url),
                    delivery.problem == nil ? instant : .null, delivery.cause.storedDepth, delivery.cause.storedTrace,
                    .text(delivery.backoff.rawValue), instant, instant,
                ]
            }
        )
    }

    /// The log of calls that are made already; rows that are there stay as they are.
    package func inserts(_ calls: [(delivery: Delivery, report: DeliveryReport)], now: Timestamp) -> [SQLStatement] {
        let columns = [
            "id", "webhook_id", "entity", "record_id", "hook", "url", "method", "request_headers", "request_body",
            "response_status", "response_body", "status", "attempt", "max_attempts", "error", "idempotency_key",
            "duration_ms", "lane", "depth", "trace", "backoff", "created_at", "updated_at",
        ]
        let instant = SQLValue.integer(now.microseconds)
        let rows = calls.map { delivery, report -> [SQLValue] in
            [
                .text(delivery.id), delivery.webhookID.map(SQLValue.text) ?? .null, .text(delivery.entity),
                .text(delivery.recordID), .text(delivery.hook), .text(delivery.call.url), .text(delivery.call.method),
                .text(JSONValue.object(delivery.call.headers).jsonText), .text(delivery.body),
                report.responseStatus.map { .integer(Int64($0)) } ?? .null,
                report.responseBody.map(SQLValue.text) ?? .null, .text(report.status.rawValue),
                .integer(Int64(report.attempt)), .integer(Int64(delivery.maximumAttempts)),
                report.error.map(SQLValue.text) ?? .null, .text(delivery.idempotencyKey),
                .integer(report.milliseconds), .text(delivery.webhookID ?? delivery.call.url),
                delivery.cause.storedDepth, delivery.cause.storedTrace, .text(delivery.backoff.rawValue), instant,
                instant,
            ]
        }
        return dialect.inserts("_webhook_logs", columns, rows, otherwise: " ON CONFLICT (\"id\") DO NOTHING")
    }

    package func inserts(_ events: [Event], now: Timestamp) -> [SQLStatement] {
        dialect.inserts(
            "_events",
            ["id", "event", "payload", "entity", "record_id", "record", "user", "depth", "trace", "created_at"],
            events.map { event in
                [
                    .text(event.id), .text(event.name), .text(JSONValue.object(event.payload).jsonText),
                    .text(event.entity), .text(event.recordID), .text(JSONValue.object(event.record).jsonText),
                    .text(JSONValue.object(event.user).jsonText), event.cause.storedDepth, event.cause.storedTrace,
                    .integer(now.microseconds),
                ]
            }
        )
    }

    /// Takes an event back that was written in the same transaction.
    package func removeEvent(id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_events\" WHERE \"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement()
    }
}
