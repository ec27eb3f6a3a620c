package import RocketModel
package import RocketPlanning

// What instances go by and start from: texts of definitions, schedules, events.

extension WorkflowStore {
    // MARK: definitions

    /// Keeps a text of a definition that is changed or removed: instances go on by it.
    package func archive(_ definition: StoredDefinition) -> SQLStatement {
        dialect.inserts(
            "_workflow_versions",
            ["workflow_id", "version", "content"],
            [[.text(definition.id), .text(definition.version), .text(JSONValue.object(definition.content).jsonText)]],
            otherwise: " ON CONFLICT DO NOTHING"
        )[0]
    }

    package func version(_ id: String, _ version: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"content\" FROM \"_workflow_versions\" WHERE \"workflow_id\" = ")
        sql.bind(stored: .text(id))
        sql.append(" AND \"version\" = ")
        sql.bind(stored: .text(version))
        return sql.statement(.values)
    }

    package func definition(_ result: StatementResult) -> WorkflowDefinition? {
        result.rows.first?.first.map { WorkflowDefinition(stored: Self.object($0)) }
    }

    /// Whether an instance of a workflow runs.
    package func isInUse(_ id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT 1 FROM \"_workflow_instances\" WHERE \"status\" = 'running' AND \"workflow_id\" = ")
        sql.bind(stored: .text(id))
        sql.append(" LIMIT 1")
        return sql.statement(.values)
    }

    /// Texts that no instance goes by any more, and instances that ended long ago.
    package func prune(before instant: Timestamp, limit: Int) -> [SQLStatement] {
        let old = """
            SELECT "id" FROM "_workflow_instances" WHERE "due_at" IS NULL AND "status" <> 'running' AND "updated_at" <
            """
        func statement(_ table: String, _ column: String) -> SQLStatement {
            var sql = SQLBuilder(dialect)
            sql.append("DELETE FROM \"\(table)\" WHERE \"\(column)\" IN (\(old) ")
            sql.bind(stored: .integer(instant.microseconds))
            sql.append(" ORDER BY \"updated_at\", \"id\" LIMIT \(limit))")
            return sql.statement()
        }
        return [
            statement("_workflow_history", "instance_id"), statement("_workflow_assignees", "instance_id"),
            statement("_workflow_instances", "id"),
            SQLStatement(
                """
                DELETE FROM "_workflow_versions" WHERE NOT EXISTS (SELECT 1 FROM "_workflow_instances" i
                WHERE i."status" IN ('running', 'failed') AND i."workflow_id" = "_workflow_versions"."workflow_id"
                AND i."version" = "_workflow_versions"."version")
                """
            ),
        ]
    }

    // MARK: schedules

    package var schedules: SQLStatement {
        SQLStatement("SELECT \"workflow_id\", \"version\", \"next_at\" FROM \"_workflow_schedules\"", output: .values)
    }

    /// Notes when a workflow starts next, where nobody has noted otherwise meanwhile.
    ///
    /// - Parameter old: what is noted now; nil where nothing is, or for another text of the definition.
    /// - Returns: a statement that changes no row where somebody was faster.
    package func schedule(_ id: String, _ version: String, from old: Timestamp?, to next: Timestamp) -> SQLStatement {
        guard let old else {
            let suffix =
                " ON CONFLICT (\"workflow_id\") DO UPDATE SET \"version\" = excluded.\"version\","
                + " \"next_at\" = excluded.\"next_at\" WHERE \"_workflow_schedules\".\"version\" <> excluded.\"version\""
            let row: [SQLValue] = [.text(id), .text(version), .integer(next.microseconds)]
            return dialect.inserts(
                "_workflow_schedules",
                ["workflow_id", "version", "next_at"],
                [row],
                otherwise: suffix
            )[0]
        }
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_workflow_schedules\" SET \"next_at\" = ")
        sql.bind(stored: .integer(next.microseconds))
        sql.append(" WHERE \"workflow_id\" = ")
        sql.bind(stored: .text(id))
        sql.append(" AND \"next_at\" = ")
        sql.bind(stored: .integer(old.microseconds))
        return sql.statement()
    }

    // MARK: events

    /// The oldest events, locked.
    package func events(limit: Int) -> SQLStatement {
        let lock = dialect == .postgres ? " FOR UPDATE SKIP LOCKED" : ""
        return SQLStatement(
            """
            SELECT "id", "event", "payload", "entity", "record_id", "record", "user", "depth", "trace" FROM "_events"
            ORDER BY "created_at", "id" LIMIT \(limit)\(lock)
            """,
            output: .values
        )
    }

    package var hasEvents: SQLStatement { SQLStatement("SELECT 1 FROM \"_events\" LIMIT 1", output: .values) }

    /// What an event tells workflows that it starts.
    package func event(_ row: [SQLValue]) -> (
        id: String, name: String, entity: String?, recordID: String?, trigger: JSONObject, cause: Cause
    )? {
        guard row.count == 9, let id = row[0].textValue, let name = row[1].textValue else { return nil }
        let (entity, recordID) = (row[3].textValue ?? "", row[4].textValue ?? "")
        let trigger: JSONObject = [
            "event": .string(name), "payload": Self.parsed(row[2]), "record": Self.parsed(row[5]),
            "record_id": recordID.isEmpty ? .null : .string(recordID),
            "entity": entity.isEmpty ? .null : .string(entity), "user": Self.parsed(row[6]),
        ]
        return (
            id, name, entity.isEmpty ? nil : entity, recordID.isEmpty ? nil : recordID, trigger,
            Cause(row[7], row[8])
        )
    }
}
