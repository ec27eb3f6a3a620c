package import RocketModel
package import RocketPlanning

/// How much waits in an app to be done.
package struct WorkCounts: Sendable {
    package var deliveries = 0
    package var oldestDelivery: Timestamp?
    package var instances = 0
    package var timers = 0
    package var earliestTimer: Timestamp?
    package var events = 0
}

/// The statements that count what waits, each bounded: a count of a million would cost more than it tells.
package struct WorkStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// Past it a count says only that there are many.
    package static let bound = 100_000

    package var counts: [SQLStatement] {
        [
            """
            SELECT count(*), min(p."created_at") FROM (SELECT "created_at" FROM "_webhook_logs"
            WHERE "due_at" IS NOT NULL LIMIT \(Self.bound)) AS p
            """,
            """
            SELECT count(*) FROM (SELECT 1 FROM "_workflow_instances"
            WHERE "status" IN ('running', 'failed') AND "status" = 'running' LIMIT \(Self.bound)) AS p
            """,
            """
            SELECT count(*), min(p."due_at") FROM (SELECT "due_at" FROM "_workflow_instances"
            WHERE "due_at" IS NOT NULL AND "due_at" > 0 ORDER BY "due_at" LIMIT \(Self.bound)) AS p
            """,
            "SELECT count(*) FROM (SELECT 1 FROM \"_events\" LIMIT \(Self.bound)) AS p",
        ].map { SQLStatement($0, output: .values) }
    }

    /// Reads what ``counts`` gave.
    package func read(_ results: [StatementResult]) -> WorkCounts {
        func value(_ result: Int, _ column: Int) -> Int64? {
            guard results.indices.contains(result), let row = results[result].rows.first, row.indices.contains(column)
            else { return nil }
            return row[column].integerValue
        }
        return WorkCounts(
            deliveries: Int(value(0, 0) ?? 0),
            oldestDelivery: value(0, 1).map(Timestamp.init(microseconds:)),
            instances: Int(value(1, 0) ?? 0),
            timers: Int(value(2, 0) ?? 0),
            earliestTimer: value(2, 1).map(Timestamp.init(microseconds:)),
            events: Int(value(3, 0) ?? 0)
        )
    }
}
