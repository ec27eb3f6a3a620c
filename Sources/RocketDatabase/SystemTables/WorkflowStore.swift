package import RocketModel
package import RocketPlanning

/// The statements on the tables of workflows: instances, their history, who is asked, older texts of definitions, and
/// when workflows start by themselves. An instance with a `due_at` has something to do then.
package struct WorkflowStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// An instance that is to be made.
    package struct Start: Sendable {
        package let instance: WorkflowInstance
        package let entity: String?
        package let recordID: String?
        /// Why it fails before it begins; nil where it begins.
        package let problem: String?

        package init(_ instance: WorkflowInstance, entity: String?, recordID: String?, problem: String?) {
            self.instance = instance
            self.entity = entity
            self.recordID = recordID
            self.problem = problem
        }
    }

    // MARK: instances

    package func inserts(_ starts: [Start], now: Timestamp) -> [SQLStatement] {
        guard !starts.isEmpty else { return [] }
        let instant = SQLValue.integer(now.microseconds)
        let rows = starts.map { start -> [SQLValue] in
            let instance = start.instance
            return [
                .text(instance.id), .text(instance.workflowID), .text(instance.workflowName), .text(instance.version),
                .text(start.problem == nil ? "running" : "failed"), start.entity.map(SQLValue.text) ?? .null,
                start.recordID.map(SQLValue.text) ?? .null,
                .text(JSONValue.object(start.problem == nil ? instance.context : JSONObject()).jsonText),
                .text(JSONValue.object(instance.state).jsonText), .integer(Int64(instance.depth)),
                instance.parent.map(SQLValue.text) ?? .null, start.problem == nil ? instant : .null,
                .integer(start.problem == nil ? 0 : 1), instant, instant,
            ]
        }
        let columns = [
            "id", "workflow_id", "workflow_name", "version", "status", "entity", "record_id", "context", "state",
            "depth", "parent", "due_at", "entry_count", "created_at", "updated_at",
        ]
        let failed = starts.compactMap { start in
            start.problem.map { problem -> [SQLValue] in
                let entry: JSONObject = [
                    "step": .null, "status": "failed", "error": .string(problem), "at": .string(now.rfc3339),
                ]
                return [.text(start.instance.id), .integer(0), .text(JSONValue.object(entry).jsonText)]
            }
        }
        return dialect.inserts("_workflow_instances", columns, rows)
            + dialect.inserts("_workflow_history", ["instance_id", "position", "content"], failed)
    }

    /// The ids of instances that have something to do, and when the next one will have.
    package func due(at now: Timestamp, limit: Int) -> [SQLStatement] {
        var due = SQLBuilder(dialect)
        due.append("SELECT \"id\" FROM \"_workflow_instances\" WHERE \"due_at\" <= ")
        due.bind(stored: .integer(now.microseconds))
        due.append(" ORDER BY \"due_at\" LIMIT \(limit)")
        var next = SQLBuilder(dialect)
        next.append("SELECT min(\"due_at\") FROM \"_workflow_instances\" WHERE \"due_at\" > ")
        next.bind(stored: .integer(now.microseconds))
        return [due.statement(.values), next.statement(.values)]
    }

    private static let stored = [
        "id", "workflow_id", "workflow_name", "version", "status", "context", "state", "depth", "parent",
        "entry_count", "due_at",
    ].map { "\"\($0)\"" }.joined(separator: ", ")

    /// - Parameter skipsLocked: whether one that somebody else is at counts as absent; else it is waited for.
    package func locked(_ id: String, skipsLocked: Bool) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.stored) FROM \"_workflow_instances\" WHERE \"id\" = ")
        sql.bind(stored: .text(id))
        if dialect == .postgres { sql.append(skipsLocked ? " FOR UPDATE SKIP LOCKED" : " FOR UPDATE") }
        return sql.statement(.values)
    }

    /// Reads a row of ``locked(_:skipsLocked:)``.
    package func instance(_ row: [SQLValue]) -> (instance: WorkflowInstance, due: Timestamp?)? {
        guard row.count == 11, let id = row[0].textValue, let workflowID = row[1].textValue,
            let name = row[2].textValue, let version = row[3].textValue,
            let status = row[4].textValue.flatMap(WorkflowInstance.Status.init)
        else { return nil }
        let instance = WorkflowInstance(
            id: id,
            workflowID: workflowID,
            workflowName: name,
            version: version,
            status: status,
            context: Self.object(row[5]),
            state: Self.object(row[6]),
            depth: Int(row[7].integerValue ?? 0),
            parent: row[8].textValue,
            entryCount: Int(row[9].integerValue ?? 0)
        )
        return (instance, row[10].integerValue.map(Timestamp.init(microseconds:)))
    }

    private static func object(_ value: SQLValue) -> JSONObject { parsed(value).objectValue ?? JSONObject() }

    private static func parsed(_ value: SQLValue) -> JSONValue {
        do {
            return try JSONParser.parse(Array((value.textValue ?? "null").utf8), maximumDepth: 512)
        } catch {
            // Whoever has edited the table sees what stands there.
            return value.textValue.map(JSONValue.string) ?? .null
        }
    }

    /// Stores what has become of an instance.
    ///
    /// - Parameter asks: whether who is asked may have changed.
    package func update(_ instance: WorkflowInstance, asks: Bool, now: Timestamp) -> [SQLStatement] {
        let count = instance.entryCount + instance.entries.count
        let values: [(String, SQLValue)] = [
            ("status", .text(instance.status.rawValue)),
            ("current_step", instance.currentStep.map(SQLValue.text) ?? .null),
            ("current_step_deadline", instance.currentDeadline.map { .integer($0.microseconds) } ?? .null),
            ("context", .text(JSONValue.object(instance.context).jsonText)),
            ("state", .text(JSONValue.object(instance.state).jsonText)), ("entry_count", .integer(Int64(count))),
            ("due_at", instance.due.map { .integer($0.microseconds) } ?? .null),
            ("updated_at", .integer(now.microseconds)),
        ]
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_workflow_instances\" SET ")
        for (index, (column, value)) in values.enumerated() {
            sql.append("\(index > 0 ? ", " : "")\"\(column)\" = ")
            sql.bind(stored: value)
        }
        sql.append(" WHERE \"id\" = ")
        sql.bind(stored: .text(instance.id))
        let entries = instance.entries.enumerated().map { offset, entry -> [SQLValue] in
            [
                .text(instance.id), .integer(Int64(instance.entryCount + offset)),
                .text(JSONValue.object(entry).jsonText),
            ]
        }
        return [sql.statement()]
            + dialect.inserts("_workflow_history", ["instance_id", "position", "content"], entries)
            + (asks ? assignees(of: instance) : [])
    }

    /// Those who were asked stay as such, for they may read the instance.
    private func assignees(of instance: WorkflowInstance) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_workflow_assignees\" SET \"is_open\" = 0 WHERE \"instance_id\" = ")
        sql.bind(stored: .text(instance.id))
        var rows: [[String]: [SQLValue]] = [:]
        for token in instance.tokens where instance.status == .running {
            guard case .asking(let question) = token.state else { continue }
            func add(_ kind: String, _ name: String) {
                rows[[kind, name, String(token.id)]] = Self.assignee(instance.id, kind, name, token.id, isOpen: true)
            }
            for user in question.users where !question.approvedBy.contains(user) { add("user", user) }
            for role in question.roles { add("role", role.lowercased()) }
            for user in question.approvedBy + question.excused where !question.users.contains(user) {
                add("done", user)
            }
        }
        let ordered = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
        let otherwise =
            " ON CONFLICT (\"instance_id\", \"kind\", \"name\", \"question\") DO UPDATE SET \"is_open\" = 1"
        return [sql.statement()]
            + dialect.inserts("_workflow_assignees", Self.assigneeColumns, ordered, otherwise: otherwise)
    }

    private static let assigneeColumns = ["instance_id", "kind", "name", "question", "is_open"]

    private static func assignee(
        _ instance: String,
        _ kind: String,
        _ name: String,
        _ question: Int,
        isOpen: Bool
    ) -> [SQLValue] {
        [.text(instance), .text(kind), .text(name), .integer(Int64(question)), .integer(isOpen ? 1 : 0)]
    }

    /// Somebody has had a say, and may read the instance from now on.
    package func note(_ user: String, of instance: String) -> SQLStatement {
        dialect.inserts(
            "_workflow_assignees",
            Self.assigneeColumns,
            [Self.assignee(instance, "past", user, 0, isOpen: false)],
            otherwise: " ON CONFLICT DO NOTHING"
        )[0]
    }

    /// Ends instances that nobody waits for any more, and those that they have started.
    package func abandon(_ ids: [String], now: Timestamp) -> [SQLStatement] {
        guard !ids.isEmpty else { return [] }
        let quoted = dialect == .postgres ? "to_json(\"current_step\")::TEXT" : "json_quote(\"current_step\")"
        /// A statement on them and all below them.
        func statement(
            _ column: String,
            _ more: String,
            _ output: StatementOutput = .none,
            _ head: (inout SQLBuilder) -> Void
        ) -> SQLStatement {
            var sql = SQLBuilder(dialect)
            sql.append("WITH RECURSIVE tree(\"id\") AS (SELECT \"id\" FROM \"_workflow_instances\" WHERE \"id\" IN (")
            append(ids, to: &sql)
            sql.append(
                ") UNION SELECT i.\"id\" FROM \"_workflow_instances\" i JOIN tree ON i.\"parent\" = tree.\"id\") "
            )
            head(&sql)
            sql.append(" WHERE \"\(column)\" IN (SELECT \"id\" FROM tree)\(more)")
            return sql.statement(output)
        }
        let running = " AND \"status\" = 'running'"
        let lock = dialect == .postgres ? " ORDER BY \"id\" FOR UPDATE" : ""
        return [
            // Held first: an entry that is just being written must not be numbered as ours.
            statement("id", lock, .values) { $0.append("SELECT \"id\" FROM \"_workflow_instances\"") },
            statement("id", running) { sql in
                sql.append("INSERT INTO \"_workflow_history\" (\"instance_id\", \"position\", \"content\")")
                sql.append(" SELECT \"id\", \"entry_count\", '{\"step\":' || COALESCE(\(quoted), 'null') || ")
                sql.bind(stored: .text(",\"status\":\"cancelled\",\"at\":\"\(now.rfc3339)\"}"))
                sql.append(" FROM \"_workflow_instances\"")
            },
            statement("instance_id", "") { $0.append("UPDATE \"_workflow_assignees\" SET \"is_open\" = 0") },
            statement("id", running) { sql in
                sql.append("UPDATE \"_workflow_instances\" SET \"status\" = 'cancelled', \"due_at\" = NULL,")
                sql.append(" \"current_step\" = NULL, \"current_step_deadline\" = NULL,")
                sql.append(" \"entry_count\" = \"entry_count\" + 1, \"updated_at\" = ")
                sql.bind(stored: .integer(now.microseconds))
            },
        ]
    }

    /// Wakes an instance that waits for another one.
    package func wake(_ id: String, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        let instant = SQLValue.integer(now.microseconds)
        sql.append("UPDATE \"_workflow_instances\" SET \"due_at\" = ")
        sql.bind(stored: instant)
        sql.append(" WHERE \"status\" = 'running' AND \"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement()
    }

    package func outcome(of id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"status\", \"context\" FROM \"_workflow_instances\" WHERE \"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement(.values)
    }

    /// Reads what ``outcome(of:)`` gave; no status where the instance is gone.
    package func outcome(_ result: StatementResult) -> (status: WorkflowInstance.Status?, context: JSONObject) {
        guard let row = result.rows.first, row.count == 2 else { return (nil, JSONObject()) }
        return (row[0].textValue.flatMap(WorkflowInstance.Status.init), Self.object(row[1]))
    }

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
            SELECT "id", "event", "payload", "entity", "record_id", "record", "user", "depth" FROM "_events"
            ORDER BY "created_at", "id" LIMIT \(limit)\(lock)
            """,
            output: .values
        )
    }

    package var hasEvents: SQLStatement { SQLStatement("SELECT 1 FROM \"_events\" LIMIT 1", output: .values) }

    /// What an event tells workflows that it starts.
    package func event(_ row: [SQLValue]) -> (
        id: String, name: String, entity: String?, recordID: String?, trigger: JSONObject, depth: Int
    )? {
        guard row.count == 8, let id = row[0].textValue, let name = row[1].textValue else { return nil }
        let (entity, recordID) = (row[3].textValue ?? "", row[4].textValue ?? "")
        let trigger: JSONObject = [
            "event": .string(name), "payload": Self.parsed(row[2]), "record": Self.parsed(row[5]),
            "record_id": recordID.isEmpty ? .null : .string(recordID),
            "entity": entity.isEmpty ? .null : .string(entity), "user": Self.parsed(row[6]),
        ]
        return (
            id, name, entity.isEmpty ? nil : entity, recordID.isEmpty ? nil : recordID, trigger,
            Int(row[7].integerValue ?? 0)
        )
    }

    // MARK: reading

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

    private func append(_ texts: [String], to sql: inout SQLBuilder) {
        for (index, text) in texts.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: .text(text))
        }
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
