package import RocketModel
package import RocketPlanning

/// The statements on `_apps`.
package struct AppStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    private static let columns = "\"name\", \"display_name\", \"db_name\", \"db_driver\", \"status\", \"identity\""

    /// Every app, oldest first.
    package var all: SQLStatement {
        SQLStatement("SELECT \(Self.columns) FROM \"_apps\" ORDER BY \"created_at\", \"name\"", output: .values)
    }

    /// How many there are, and how many have work.
    package let counts = SQLStatement(
        "SELECT count(*), count(\"work_due_at\") FROM \"_apps\" WHERE \"status\" = 'active'",
        output: .values
    )

    package func app(_ name: String) -> SQLStatement {
        statement("SELECT \(Self.columns) FROM \"_apps\" WHERE \"name\" = ", [.text(name)], .values)
    }

    /// - Parameter lease: until when nobody but its maker touches an app that is not whole yet.
    package func insert(_ app: StoredApp, lease: Timestamp, now: Timestamp) -> SQLStatement {
        statement(
            "INSERT INTO \"_apps\" (\(Self.columns), \"lease_until\", \"created_at\") VALUES (",
            [
                .text(app.name), .text(app.displayName), .text(app.databaseName), .text(app.driver),
                .text(app.status.rawValue), .text(app.identity), .integer(lease.microseconds),
                .integer(now.microseconds),
            ],
            closing: ")"
        )
    }

    /// By its identity: a namesake that was made since is another app. It changes no row where the app does not have
    /// the status `old` any more, or somebody else holds the lease on it.
    ///
    /// - Parameters:
    ///   - held: the lease that this server has; a row with another one has been taken over.
    ///   - now: where this server has none: the lease must have run out by now.
    package func move(
        _ app: StoredApp,
        from old: StoredApp.Status,
        to new: StoredApp.Status,
        lease: Timestamp,
        held: Timestamp? = nil,
        unlessLeasedAt now: Timestamp? = nil
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_apps\" SET \"status\" = ")
        sql.bind(stored: .text(new.rawValue))
        sql.append(", \"lease_until\" = ")
        sql.bind(stored: .integer(lease.microseconds))
        sql.append(" WHERE \"identity\" = ")
        sql.bind(stored: .text(app.identity))
        sql.append(" AND \"status\" = ")
        sql.bind(stored: .text(old.rawValue))
        if let held {
            sql.append(" AND \"lease_until\" = ")
            sql.bind(stored: .integer(held.microseconds))
        }
        if let now {
            sql.append(" AND \"lease_until\" < ")
            sql.bind(stored: .integer(now.microseconds))
        }
        return sql.statement()
    }

    package func delete(_ app: StoredApp) -> SQLStatement {
        statement("DELETE FROM \"_apps\" WHERE \"identity\" = ", [.text(app.identity)])
    }

    // MARK: work

    /// Notes that an app has work to do from now on.
    ///
    /// - Parameter bound: a note that is later was made by a clock that was ahead, and stays until ``renoteWork(_:now:notedAfter:)``.
    package func noteWork(_ app: StoredApp, now: Timestamp, notedAfter bound: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        let instant = SQLValue.integer(now.microseconds)
        sql.append("UPDATE \"_apps\" SET \"work_noted_at\" = CASE WHEN \"work_noted_at\" > ")
        sql.bind(stored: .integer(bound.microseconds))
        sql.append(" THEN \"work_noted_at\" ELSE ")
        sql.bind(stored: instant)
        sql.append(" END, \"work_due_at\" = CASE WHEN \"work_due_at\" < ")
        sql.bind(stored: instant)
        sql.append(" THEN \"work_due_at\" ELSE ")
        sql.bind(stored: instant)
        sql.append(" END WHERE \"identity\" = ")
        sql.bind(stored: .text(app.identity))
        return sql.statement()
    }

    /// The names of the apps that have work before an instant, the longest due first.
    ///
    /// - Parameter bound: what was noted after it was noted by a clock that was ahead, and counts as due.
    package func withWork(before instant: Timestamp, notedAfter bound: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"name\" FROM \"_apps\" WHERE \"status\" = 'active' AND (\"work_due_at\" <= ")
        sql.bind(stored: .integer(instant.microseconds))
        sql.append(" OR \"work_noted_at\" > ")
        sql.bind(stored: .integer(bound.microseconds))
        sql.append(") ORDER BY \"work_due_at\", \"name\"")
        return sql.statement(.values)
    }

    /// Notes when an app has work, where nobody has noted that there is some since an instant.
    ///
    /// - Parameter due: nil for never.
    package func settleWork(_ app: StoredApp, due: Timestamp?, unlessNotedSince instant: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        // As of the clock that settles it: should that be ahead, it shows.
        sql.append("UPDATE \"_apps\" SET \"work_noted_at\" = ")
        sql.bind(stored: .integer(instant.microseconds))
        sql.append(", \"work_due_at\" = ")
        sql.bind(stored: due.map { .integer($0.microseconds) } ?? .null)
        sql.append(" WHERE \"identity\" = ")
        sql.bind(stored: .text(app.identity))
        sql.append(" AND \"work_noted_at\" < ")
        sql.bind(stored: .integer(instant.microseconds))
        return sql.statement()
    }

    /// Notes anew what was noted after `bound`, by a clock that was ahead.
    package func renoteWork(_ app: StoredApp, now: Timestamp, notedAfter bound: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_apps\" SET \"work_noted_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(", \"work_due_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"identity\" = ")
        sql.bind(stored: .text(app.identity))
        sql.append(" AND \"work_noted_at\" > ")
        sql.bind(stored: .integer(bound.microseconds))
        return sql.statement()
    }

    package func read(_ row: [SQLValue]) -> StoredApp? {
        let texts = row.compactMap(\.textValue)
        guard texts.count == 6, let status = StoredApp.Status(rawValue: texts[4]) else { return nil }
        return StoredApp(
            name: texts[0],
            displayName: texts[1],
            databaseName: texts[2],
            driver: texts[3],
            status: status,
            identity: texts[5]
        )
    }

    private func statement(
        _ text: String,
        _ values: [SQLValue],
        _ output: StatementOutput = .none,
        separator: String = ", ",
        closing: String = ""
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(text)
        for (index, value) in values.enumerated() {
            if index > 0 { sql.append(separator) }
            sql.bind(stored: value)
        }
        sql.append(closing)
        return sql.statement(output)
    }
}
