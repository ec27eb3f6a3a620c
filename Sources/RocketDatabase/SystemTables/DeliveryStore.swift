package import RocketModel
package import RocketPlanning

/// A delivery that this server sends: it holds the latest fence, until its lease runs out.
package struct ClaimedDelivery: Sendable {
    package let id: String
    /// Nil where a transition calls.
    package let webhookID: String?
    package let call: WebhookCall
    package let body: String
    /// How often it was tried before.
    package let attempt: Int
    package let maximumAttempts: Int
    package let backoff: Backoff
    package let idempotencyKey: String
    package let cause: Cause
    package let lane: String
    package let fence: Int64
}

/// What has become of a delivery that was sent.
package struct DeliveryReport: Sendable {
    package enum Status: String, Sendable {
        case delivered
        case retrying
        case failed
    }

    package let status: Status
    package let attempt: Int
    /// When it is tried again; nil where it is done with.
    package let nextTry: Timestamp?
    package let responseStatus: Int?
    package let responseBody: String?
    package let error: String?
    package let milliseconds: Int64

    package init(
        status: Status,
        attempt: Int,
        nextTry: Timestamp?,
        responseStatus: Int?,
        responseBody: String?,
        error: String?,
        milliseconds: Int64
    ) {
        self.status = status
        self.attempt = attempt
        self.nextTry = nextTry
        self.responseStatus = responseStatus
        self.responseBody = responseBody
        self.error = error
        self.milliseconds = milliseconds
    }
}

/// The statements on `_webhook_logs` by which deliveries are sent. A row with a `due_at` is yet to be sent; who claims it
/// moves that instant to the end of a lease and raises the fence, so that a server which has lost its lease changes nothing
/// any more.
package struct DeliveryStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// The order in which rows were written.
    private func number(_ table: String) -> String { dialect == .postgres ? "\(table).\"seq\"" : "\(table).rowid" }

    /// A lane that has deliveries.
    package struct Lane: Sendable {
        package let name: String
        package let isDue: Bool
        /// When the next one is due that is not due yet; nil for none.
        package let later: Timestamp?
        /// Whether more are due than ``longLane``.
        package let isLong: Bool
    }

    package static let longLane = 500

    private static let laneNames = """
        WITH RECURSIVE lanes("lane") AS (
          SELECT min("lane") FROM "_webhook_logs" WHERE "due_at" IS NOT NULL
          UNION ALL
          SELECT (SELECT min(l."lane") FROM "_webhook_logs" l WHERE l."due_at" IS NOT NULL AND l."lane" > lanes."lane")
          FROM lanes WHERE lanes."lane" IS NOT NULL
        )
        """

    /// The lanes that have deliveries: found by stepping over the index, however many wait in a lane.
    package func lanes(after now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(Self.laneNames)
        sql.append(
            """
             SELECT "lane", (SELECT min(d."due_at") FROM "_webhook_logs" d
              WHERE d."due_at" IS NOT NULL AND d."lane" = lanes."lane") <= 
            """
        )
        sql.bind(stored: .integer(now.microseconds))
        sql.append(", (SELECT min(d.\"due_at\") FROM \"_webhook_logs\" d WHERE d.\"due_at\" > ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" AND d.\"lane\" = lanes.\"lane\"), (SELECT 1 FROM \"_webhook_logs\" d")
        sql.append(" WHERE d.\"due_at\" <= ")
        sql.bind(stored: .integer(now.microseconds))
        // In the order of the index, so that no more of it is read.
        sql.append(" AND d.\"lane\" = lanes.\"lane\" ORDER BY d.\"due_at\" LIMIT 1 OFFSET \(Self.longLane))")
        sql.append(" FROM lanes WHERE \"lane\" IS NOT NULL")
        return sql.statement(.values)
    }

    /// Reads what ``lanes(after:)`` gave.
    package func read(_ result: StatementResult) -> [Lane] {
        result.rows.compactMap { row -> Lane? in
            guard row.count == 4, let name = row[0].textValue else { return nil }
            return Lane(
                name: name,
                isDue: row[1].integerValue == 1,
                later: row[2].integerValue.map(Timestamp.init(microseconds:)),
                isLong: row[3].integerValue == 1
            )
        }
    }

    /// Claims what is due in a lane and waits for no earlier delivery of the same record.
    ///
    /// - Parameter window: how many of the first that are due are looked at.
    package func claim(
        lane: String,
        limit: Int,
        among window: Int,
        now: Timestamp,
        lease: Timestamp
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"fence\" = \"fence\" + 1, \"is_held\" = 1, \"due_at\" = ")
        sql.bind(stored: .integer(lease.microseconds))
        sql.append(" WHERE \"id\" IN (SELECT c.\"id\" FROM (SELECT q.\"id\", q.\"entity\", q.\"record_id\", ")
        sql.append("\(number("q")) AS n, q.\"due_at\" FROM \"_webhook_logs\" q WHERE q.\"due_at\" <= ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" AND q.\"lane\" = ")
        sql.bind(stored: .text(lane))
        sql.append(" ORDER BY q.\"due_at\", n LIMIT \(window)")
        if dialect == .postgres { sql.append(" FOR UPDATE SKIP LOCKED") }
        sql.append(") c WHERE NOT EXISTS (SELECT 1 FROM \"_webhook_logs\" e WHERE e.\"due_at\" IS NOT NULL")
        sql.append(" AND e.\"lane\" = ")
        sql.bind(stored: .text(lane))
        sql.append(" AND e.\"entity\" = c.\"entity\" AND e.\"record_id\" = c.\"record_id\" AND \(number("e")) < c.n)")
        sql.append(" ORDER BY c.\"due_at\", c.n LIMIT \(limit)) RETURNING \(Self.claimColumns)")
        return sql.statement(.values)
    }

    private static let claimColumns =
        [
            "id", "webhook_id", "url", "method", "request_headers", "request_body", "attempt", "max_attempts",
            "backoff",
            "idempotency_key", "depth", "lane", "fence", "trace",
        ].map { "\"\($0)\"" }.joined(separator: ", ")

    /// Reads what ``claim(lane:limit:now:lease:)`` gave.
    package func claimed(_ result: StatementResult) -> [ClaimedDelivery] {
        result.rows.compactMap { row -> ClaimedDelivery? in
            guard row.count == 14, let id = row[0].textValue, let url = row[2].textValue,
                let method = row[3].textValue, let body = row[5].textValue
            else { return nil }
            return ClaimedDelivery(
                id: id,
                webhookID: row[1].textValue,
                call: WebhookCall(url: url, method: method, headers: Self.object(row[4])),
                body: body,
                attempt: Int(row[6].integerValue ?? 0),
                maximumAttempts: Int(row[7].integerValue ?? 0),
                backoff: row[8].textValue.flatMap(Backoff.init) ?? .exponential,
                idempotencyKey: row[9].textValue ?? "",
                cause: Cause(row[10], row[13]),
                lane: row[11].textValue ?? "",
                fence: row[12].integerValue ?? 0
            )
        }
    }

    private static func object(_ value: SQLValue) -> JSONObject {
        parsed(value).objectValue ?? JSONObject()
    }

    /// - Returns: a statement that changes no row where the lease was lost.
    package func renew(_ delivery: ClaimedDelivery, lease: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"due_at\" = ")
        sql.bind(stored: .integer(lease.microseconds))
        appendHeld(delivery, to: &sql)
        return sql.statement()
    }

    /// Gives a delivery back that was not sent.
    package func release(_ delivery: ClaimedDelivery, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"is_held\" = 0, \"due_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        appendHeld(delivery, to: &sql)
        return sql.statement()
    }

    private func appendHeld(_ delivery: ClaimedDelivery, to sql: inout SQLBuilder) {
        sql.append(" WHERE \"id\" = ")
        sql.bind(stored: .text(delivery.id))
        sql.append(" AND \"is_held\" = 1 AND \"fence\" = ")
        sql.bind(stored: .integer(delivery.fence))
    }

    /// What was sent, as it was sent: the webhook may have changed since the write.
    ///
    /// - Returns: statements of which the first changes no row where the lease was lost.
    package func report(
        _ delivery: ClaimedDelivery,
        _ call: WebhookCall,
        _ report: DeliveryReport,
        now: Timestamp
    ) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        let instant = report.nextTry.map { SQLValue.integer($0.microseconds) } ?? .null
        let values: [(String, SQLValue)] = [
            ("status", .text(report.status.rawValue)), ("attempt", .integer(Int64(report.attempt))),
            ("due_at", instant), ("next_retry_at", instant), ("is_held", .integer(0)), ("url", .text(call.url)),
            ("method", .text(call.method)), ("request_headers", .text(JSONValue.object(call.headers).jsonText)),
            ("response_status", report.responseStatus.map { .integer(Int64($0)) } ?? .null),
            ("response_body", report.responseBody.map(SQLValue.text) ?? .null),
            ("error", report.error.map(SQLValue.text) ?? .null), ("duration_ms", .integer(report.milliseconds)),
            ("updated_at", .integer(now.microseconds)),
        ]
        sql.append("UPDATE \"_webhook_logs\" SET ")
        for (index, (column, value)) in values.enumerated() {
            sql.append("\(index > 0 ? ", " : "")\"\(column)\" = ")
            sql.bind(stored: value)
        }
        appendHeld(delivery, to: &sql)
        guard report.nextTry != nil else { return [sql.statement()] }
        return [sql.statement(), postponement(delivery, to: instant, now)]
    }

    /// Later deliveries of the same record wait for this one, and need not be looked at before it.
    private func postponement(_ delivery: ClaimedDelivery, to instant: SQLValue, _ now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"due_at\" = ")
        sql.bind(stored: instant)
        // By which it is found again where this clock is ahead.
        sql.append(", \"updated_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        // SQLite is kept from the index on due_at, by which it would read the whole lane: + means no index.
        let due = dialect == .sqlite ? "+\"due_at\"" : "\"due_at\""
        sql.append(" WHERE \"due_at\" IS NOT NULL AND \(due) < ")
        sql.bind(stored: instant)
        sql.append(" AND \"is_held\" = 0 AND \"lane\" = ")
        sql.bind(stored: .text(delivery.lane))
        sql.append(" AND (\"entity\", \"record_id\") = (SELECT o.\"entity\", o.\"record_id\" FROM \"_webhook_logs\" o")
        sql.append(" WHERE o.\"id\" = ")
        sql.bind(stored: .text(delivery.id))
        sql.append(" AND o.\"fence\" = ")
        sql.bind(stored: .integer(delivery.fence))
        sql.append(")")
        return sql.statement()
    }

    /// Takes back what a process that is gone held; for a store that is one process's alone.
    package func takeBack(now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"is_held\" = 0, \"due_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        // By the index of what is held, however many wait.
        sql.append(" WHERE \"is_held\" = 1")
        return sql.statement()
    }

    /// Brings nearer what was put off by a clock that was ahead, and takes back what was claimed by it: a row that was
    /// written after `bound` is of such a clock, and so is a lease that ends after it.
    ///
    /// - Parameter bound: later than clocks that differ a little can be.
    package func rewind(after bound: Timestamp, now: Timestamp) -> [SQLStatement] {
        [
            rewound(after: bound, "\"is_held\" = 1", now) { sql in
                sql.append("\"is_held\" = 0, \"due_at\" = ")
                sql.bind(stored: .integer(now.microseconds))
            },
            rewound(after: bound, "\"is_held\" = 0 AND \"updated_at\" > \(bound.microseconds)", now) { sql in
                for column in ["due_at", "next_retry_at"] {
                    sql.append("\"\(column)\" = \"\(column)\" - (\"updated_at\" - ")
                    sql.bind(stored: .integer(now.microseconds))
                    sql.append("), ")
                }
                sql.append("\"updated_at\" = ")
                sql.bind(stored: .integer(now.microseconds))
            },
        ]
    }

    /// Found lane by lane, in the index, so that those that are due cost nothing.
    private func rewound(
        after bound: Timestamp,
        _ condition: String,
        _ now: Timestamp,
        _ change: (inout SQLBuilder) -> Void
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(Self.laneNames)
        sql.append(" UPDATE \"_webhook_logs\" SET ")
        change(&sql)
        sql.append(" WHERE \(condition) AND \"lane\" IN (SELECT \"lane\" FROM lanes WHERE \"lane\" IS NOT NULL)")
        sql.append(" AND \"due_at\" > ")
        sql.bind(stored: .integer(bound.microseconds))
        return sql.statement()
    }

    // MARK: the log

    private static let logColumns = [
        "id", "webhook_id", "entity", "record_id", "hook", "url", "method", "request_headers", "request_body",
        "response_status", "response_body", "status", "attempt", "max_attempts", "next_retry_at", "error",
        "idempotency_key", "duration_ms", "created_at", "updated_at",
    ]

    /// - Parameter filters: values by column.
    package func page(
        _ filters: [(column: String, value: String)],
        limit: Int,
        offset: Int
    ) -> (page: SQLStatement, total: SQLStatement) {
        var page = SQLBuilder(dialect)
        var total = SQLBuilder(dialect)
        // The rows are found in the index, and only those of the page are read.
        page.append(
            "SELECT \(Self.listColumns("l")) FROM \"_webhook_logs\" l JOIN (SELECT \"id\" FROM \"_webhook_logs\""
        )
        total.append("SELECT count(*) FROM \"_webhook_logs\"")
        for (index, filter) in filters.enumerated() {
            let joint = index > 0 ? " AND" : " WHERE"
            page.append("\(joint) \(dialect.quote(filter.column)) = ")
            page.bind(stored: .text(filter.value))
            total.append("\(joint) \(dialect.quote(filter.column)) = ")
            total.bind(stored: .text(filter.value))
        }
        page.append(" ORDER BY \"created_at\" DESC, \"id\" DESC LIMIT ")
        page.bind(stored: .integer(Int64(limit)))
        page.append(" OFFSET ")
        page.bind(stored: .integer(Int64(offset)))
        page.append(") p ON p.\"id\" = l.\"id\" ORDER BY l.\"created_at\" DESC, l.\"id\" DESC")
        return (page.statement(.values), total.statement(.values))
    }

    package func log(id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.columns("l")) FROM \"_webhook_logs\" l WHERE l.\"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement(.values)
    }

    /// The body of a list's row is left out past these many characters.
    package static let longestListedBody = 64 * 1024

    private static func listColumns(_ table: String) -> String {
        logColumns.map { column in
            guard column == "request_body" else { return "\(table).\"\(column)\"" }
            let body = "\(table).\"request_body\""
            return "CASE WHEN length(\(body)) <= \(longestListedBody) THEN \(body) END"
        }.joined(separator: ", ")
    }

    private static func columns(_ table: String) -> String {
        logColumns.map { "\(table).\"\($0)\"" }.joined(separator: ", ")
    }

    /// A row of ``page(_:limit:offset:)`` as it is answered.
    package func json(_ row: [SQLValue]) -> JSONObject {
        JSONObject(
            uniqueMembers: zip(Self.logColumns, row).map { column, value in
                switch (column, value) {
                case ("request_headers", .text), ("request_body", .text):
                    JSONObject.Member(name: column, value: Self.parsed(value))
                case (_, .integer(let whole)) where column.hasSuffix("_at"):
                    JSONObject.Member(name: column, value: .string(Timestamp(microseconds: whole).rfc3339))
                case (_, .integer(let whole)): JSONObject.Member(name: column, value: .integer(whole))
                case (_, .text(let text)): JSONObject.Member(name: column, value: .string(text))
                case (_, .null), (_, .double): JSONObject.Member(name: column, value: .null)
                }
            }
        )
    }

    private static func parsed(_ value: SQLValue) -> JSONValue {
        let text = value.textValue ?? ""
        do {
            return try JSONParser.parse(text)
        } catch {
            // Whoever has edited the table sees what stands there.
            return .string(text)
        }
    }

    /// Sends a delivery again that failed or waits to be tried again, once more than it would be. One that a write waited
    /// for is never sent again: that write has not happened.
    ///
    /// - Returns: a statement that changes no row where it is neither.
    package func retry(id: String, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_webhook_logs\" SET \"status\" = 'pending', \"max_attempts\" = \"max_attempts\" + 1,")
        sql.append(" \"next_retry_at\" = NULL, \"error\" = NULL, \"due_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(", \"updated_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"status\" IN ('failed', 'retrying') AND \"is_held\" = 0")
        sql.append(" AND \"hook\" NOT IN ('before_write', 'before_delete') AND \"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement()
    }

    /// Removes some of the oldest rows that are done with.
    package func prune(before instant: Timestamp, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_webhook_logs\" WHERE \"id\" IN (SELECT \"id\" FROM \"_webhook_logs\"")
        sql.append(" WHERE \"due_at\" IS NULL AND \"created_at\" < ")
        sql.bind(stored: .integer(instant.microseconds))
        sql.append(" ORDER BY \"created_at\" LIMIT \(limit))")
        return sql.statement()
    }
}
