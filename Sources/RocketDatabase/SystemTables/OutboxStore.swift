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
        /// The same whenever the call is tried again.
        package let idempotencyKey: String

        package init(
            id: String,
            webhookID: String?,
            entity: String,
            recordID: String,
            hook: String,
            call: WebhookCall,
            body: String,
            maximumAttempts: Int,
            idempotencyKey: String
        ) {
            self.id = id
            self.webhookID = webhookID
            self.entity = entity
            self.recordID = recordID
            self.hook = hook
            self.call = call
            self.body = body
            self.maximumAttempts = maximumAttempts
            self.idempotencyKey = idempotencyKey
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

        package init(
            id: String,
            name: String,
            payload: JSONObject,
            entity: String,
            recordID: String,
            record: JSONObject,
            user: JSONObject
        ) {
            self.id = id
            self.name = name
            self.payload = payload
            self.entity = entity
            self.recordID = recordID
            self.record = record
            self.user = user
        }
    }

    package func insert(_ delivery: Delivery, now: Timestamp) -> SQLStatement {
        insert(
            "_webhook_logs",
            [
                ("id", .text(delivery.id)), ("webhook_id", delivery.webhookID.map(SQLValue.text) ?? .null),
                ("entity", .text(delivery.entity)), ("record_id", .text(delivery.recordID)),
                ("hook", .text(delivery.hook)), ("url", .text(delivery.call.url)),
                ("method", .text(delivery.call.method)),
                ("request_headers", .text(JSONValue.object(delivery.call.headers).jsonText)),
                ("request_body", .text(delivery.body)), ("status", .text("pending")), ("attempt", .integer(0)),
                ("max_attempts", .integer(Int64(delivery.maximumAttempts))),
                ("next_retry_at", .integer(now.microseconds)), ("idempotency_key", .text(delivery.idempotencyKey)),
                ("created_at", .integer(now.microseconds)), ("updated_at", .integer(now.microseconds)),
            ]
        )
    }

    package func insert(_ event: Event, now: Timestamp) -> SQLStatement {
        insert(
            "_events",
            [
                ("id", .text(event.id)), ("event", .text(event.name)),
                ("payload", .text(JSONValue.object(event.payload).jsonText)), ("entity", .text(event.entity)),
                ("record_id", .text(event.recordID)), ("record", .text(JSONValue.object(event.record).jsonText)),
                ("user", .text(JSONValue.object(event.user).jsonText)), ("created_at", .integer(now.microseconds)),
            ]
        )
    }

    private func insert(_ table: String, _ values: [(column: String, value: SQLValue)]) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        let columns = values.map { dialect.quote($0.column) }.joined(separator: ", ")
        sql.append("INSERT INTO \(dialect.quote(table)) (\(columns)) VALUES (")
        for (index, value) in values.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: value.value)
        }
        sql.append(")")
        return sql.statement()
    }
}
