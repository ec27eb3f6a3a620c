package import RocketModel
package import RocketPlanning

// Instances as people see them: lists, one by itself, those of a record.

extension WorkflowStore {
    /// Which instances a list shows.
    package struct Filter: Sendable {
        package var columns: [(column: String, value: String)] = []
        /// What waits for this user, who has these roles.
        package var pendingFor: (user: String, roles: [String])?
        /// What waits for anybody.
        package var isPending = false

        package init() {}
    }

    private static let shown = [
        "id", "workflow_id", "workflow_name", "status", "current_step", "current_step_deadline", "entity",
        "record_id", "context", "created_at", "updated_at",
    ]

    private static let columns = shown.map { "i.\"\($0)\"" }.joined(separator: ", ")

    /// One page, newest first, and how many there are.
    package func page(_ filter: Filter, limit: Int, offset: Int) -> [SQLStatement] {
        var page = SQLBuilder(dialect)
        page.append("SELECT \(Self.columns) FROM \"_workflow_instances\" i")
        append(filter, to: &page)
        page.append(" ORDER BY i.\"created_at\" DESC, i.\"id\" DESC LIMIT ")
        page.bind(stored: .integer(Int64(limit)))
        page.append(" OFFSET ")
        page.bind(stored: .integer(Int64(offset)))
        var total = SQLBuilder(dialect)
        total.append("SELECT count(*) FROM \"_workflow_instances\" i")
        append(filter, to: &total)
        return [page.statement(.values), total.statement(.values)]
    }

    private func append(_ filter: Filter, to sql: inout SQLBuilder) {
        var joint = " WHERE "
        for (column, value) in filter.columns {
            sql.append("\(joint)i.\(dialect.quote(column)) = ")
            sql.bind(stored: .text(value))
            joint = " AND "
        }
        let open = "FROM \"_workflow_assignees\" a WHERE a.\"instance_id\" = i.\"id\" AND a.\"is_open\" = 1"
        if filter.isPending {
            sql.append("\(joint)i.\"status\" = 'running' AND EXISTS (SELECT 1 \(open))")
            joint = " AND "
        }
        guard let (user, roles) = filter.pendingFor else { return }
        sql.append("\(joint)i.\"status\" = 'running' AND (")
        sql.append("EXISTS (SELECT 1 \(open) AND a.\"kind\" = 'user' AND a.\"name\" = ")
        sql.bind(stored: .text(user))
        sql.append(")")
        if !roles.isEmpty {
            sql.append(" OR EXISTS (SELECT 1 \(open) AND a.\"kind\" = 'role' AND a.\"name\" IN (")
            append(roles, to: &sql)
            sql.append(") AND NOT EXISTS (SELECT 1 FROM \"_workflow_assignees\" d WHERE d.\"is_open\" = 1")
            sql.append(" AND d.\"instance_id\" = a.\"instance_id\" AND d.\"question\" = a.\"question\"")
            sql.append(" AND d.\"kind\" = 'done' AND d.\"name\" = ")
            sql.bind(stored: .text(user))
            sql.append("))")
        }
        sql.append(")")
    }

    package func one(_ id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.columns) FROM \"_workflow_instances\" i WHERE i.\"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement(.values)
    }

    /// Whether somebody is or was asked. By a role nobody was asked who came after the instance had ended.
    package func isAsked(_ user: String, _ roles: [String], by id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT 1 FROM \"_workflow_assignees\" WHERE \"instance_id\" = ")
        sql.bind(stored: .text(id))
        sql.append(" AND ((\"kind\" <> 'role' AND \"name\" = ")
        sql.bind(stored: .text(user))
        sql.append(")")
        if !roles.isEmpty {
            sql.append(" OR (\"kind\" = 'role' AND \"name\" IN (")
            append(roles, to: &sql)
            sql.append(") AND (\"is_open\" = 1 OR EXISTS (SELECT 1 FROM \"_workflow_instances\" i, \"_users\" u")
            sql.append(" WHERE i.\"id\" = \"instance_id\" AND u.\"created_at\" <= i.\"updated_at\" AND u.\"id\" = ")
            sql.bind(stored: .text(user))
            sql.append(")))")
        }
        sql.append(") LIMIT 1")
        return sql.statement(.values)
    }

    package func history(of ids: [String]) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"instance_id\", \"content\" FROM \"_workflow_history\" WHERE \"instance_id\" IN (")
        append(ids, to: &sql)
        sql.append(") ORDER BY \"instance_id\", \"position\"")
        return sql.statement(.values)
    }

    /// The rows of ``page(_:limit:offset:)`` with their ``history(of:)``, as they are answered.
    package func json(_ rows: [[SQLValue]], _ history: StatementResult?) -> [JSONObject] {
        var entries: [String: [JSONValue]] = [:]
        for row in history?.rows ?? [] where row.count == 2 {
            entries[row[0].textValue ?? "", default: []].append(Self.parsed(row[1]))
        }
        return rows.map { row in
            var object = JSONObject(
                uniqueMembers: zip(Self.shown, row).map { column, value in
                    let json: JSONValue =
                        switch (column, value) {
                        case ("context", _): Self.parsed(value)
                        case (_, .integer(let whole)): .string(Timestamp(microseconds: whole).rfc3339)
                        case (_, .text(let text)): .string(text)
                        case (_, .null), (_, .double): .null
                        }
                    return JSONObject.Member(name: column, value: json)
                }
            )
            if history != nil { object["history"] = .array(entries[row.first?.textValue ?? ""] ?? []) }
            return object
        }
    }

    /// The instances of a record, newest first, without what they remember.
    package func ofRecord(_ entity: String, _ id: String, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.columns) FROM \"_workflow_instances\" i WHERE i.\"entity\" = ")
        sql.bind(stored: .text(entity))
        sql.append(" AND i.\"record_id\" = ")
        sql.bind(stored: .text(id))
        sql.append(" ORDER BY i.\"created_at\" DESC, i.\"id\" DESC LIMIT \(limit)")
        return sql.statement(.values)
    }
}
