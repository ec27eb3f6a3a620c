package import RocketModel
package import RocketPlanning

/// The statements on the tables of workflows: instances, their history, who is asked, older texts of definitions, and
/// when workflows start by themselves. An instance with a `due_at` has something to do then.
package struct WorkflowStore: Sendable {
    let dialect: SQLDialect

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
                .text(JSONValue.object(instance.state).jsonText), instance.cause.storedDepth,
                instance.cause.storedTrace,
                instance.parent.map(SQLValue.text) ?? .null, start.problem == nil ? instant : .null,
                .integer(start.problem == nil ? 0 : 1), instant, instant,
            ]
        }
        let columns = [
            "id", "workflow_id", "workflow_name", "version", "status", "entity", "record_id", "context", "state",
            "depth", "trace", "parent", "due_at", "entry_count", "created_at", "updated_at",
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
        "entry_count", "due_at", "trace", "updated_at",
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
        guard row.count == 13, let id = row[0].textValue, let workflowID = row[1].textValue,
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
            cause: Cause(row[7], row[11]),
            parent: row[8].textValue,
            entryCount: Int(row[9].integerValue ?? 0)
        )
        return (instance, row[10].integerValue.map(Timestamp.init(microseconds:)))
    }

    /// When a row of ``locked(_:skipsLocked:)`` was written.
    package func written(_ row: [SQLValue]) -> Timestamp? {
        row.last?.integerValue.map(Timestamp.init(microseconds:))
    }

    /// The ids of some instances that a clock wrote and put off that was ahead.
    package func ahead(of bound: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"id\" FROM \"_workflow_instances\" WHERE \"due_at\" > ")
        sql.bind(stored: .integer(bound.microseconds))
        sql.append(" AND \"updated_at\" > ")
        sql.bind(stored: .integer(bound.microseconds))
        sql.append(" ORDER BY \"due_at\" LIMIT 10000")
        return sql.statement(.values)
    }

    static func object(_ value: SQLValue) -> JSONObject { parsed(value).objectValue ?? JSONObject() }

    static func parsed(_ value: SQLValue) -> JSONValue {
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
        var instance = instance
        // An instance with something of a clock that was ahead is found by that.
        let written = max(now, instance.noteDue(at: now))
        let count = instance.entryCount + instance.entries.count
        let values: [(String, SQLValue)] = [
            ("status", .text(instance.status.rawValue)),
            ("current_step", instance.currentStep.map(SQLValue.text) ?? .null),
            ("current_step_deadline", instance.currentDeadline.map { .integer($0.microseconds) } ?? .null),
            ("context", .text(JSONValue.object(instance.context).jsonText)),
            ("state", .text(JSONValue.object(instance.state).jsonText)), ("entry_count", .integer(Int64(count))),
            ("due_at", instance.due.map { .integer($0.microseconds) } ?? .null),
            ("updated_at", .integer(written.microseconds)),
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

    func append(_ texts: [String], to sql: inout SQLBuilder) {
        for (index, text) in texts.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: .text(text))
        }
    }
}
