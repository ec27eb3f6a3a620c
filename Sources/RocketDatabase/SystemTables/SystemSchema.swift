package import RocketPlanning

// The engine's own tables, one list of steps per kind of database. A step that was released is never edited: a
// change is a new step at the end, and a database of any age takes the ones that it lacks when it is opened.
// Instants are microseconds since 1970, truths are 0 and 1, so that one text serves both stores.

package enum SystemSchema: Sendable {
    case app
    case management

    private func steps(_ dialect: SQLDialect) -> [[String]] {
        switch self {
        case .app:
            [
                [
                    """
                    CREATE TABLE "_definitions" ("kind" TEXT NOT NULL, "id" TEXT NOT NULL, "position" BIGINT NOT NULL,
                    "content" TEXT NOT NULL, "created_at" BIGINT NOT NULL, "updated_at" BIGINT NOT NULL,
                    PRIMARY KEY ("kind", "id"))
                    """,
                    """
                    INSERT INTO "_meta" ("key", "value") VALUES ('definitions_version', 1)
                    """,
                ] + Self.accountTables(prefix: "_"),
                [Self.insertVersion(.accountsVersion)],
                Self.outboxTables,
                Self.passwordResetTables,
                Self.deliveryColumns(dialect),
                Self.workflowTables,
                ["_webhook_logs", "_events", "_workflow_instances"].map {
                    "ALTER TABLE \"\($0)\" ADD COLUMN \"trace\" TEXT"
                },
                Self.inviteTables,
                [
                    """
                    CREATE TABLE "_request_keys" ("key" TEXT PRIMARY KEY NOT NULL, "body" TEXT NOT NULL, "status" INTEGER,
                    "headers" TEXT, "answer" TEXT, "created_at" BIGINT NOT NULL)
                    """,
                    "CREATE INDEX \"_request_keys_age_idx\" ON \"_request_keys\" (\"created_at\")",
                ],
                Self.historyTable(dialect),
                Self.fileTables,
                ["CREATE INDEX \"_webhook_logs_held_idx\" ON \"_webhook_logs\" (\"id\") WHERE \"is_held\" = 1"],
            ]
        case .management:
            [
                [
                    """
                    CREATE TABLE "_apps" ("name" TEXT PRIMARY KEY NOT NULL, "display_name" TEXT NOT NULL,
                    "db_name" TEXT NOT NULL, "db_driver" TEXT NOT NULL, "status" TEXT NOT NULL,
                    "identity" TEXT NOT NULL, "created_at" BIGINT NOT NULL)
                    """
                ] + Self.accountTables(prefix: "_platform_"),
                [
                    "ALTER TABLE \"_apps\" ADD COLUMN \"lease_until\" BIGINT NOT NULL DEFAULT 0",
                    "CREATE TABLE \"_secrets\" (\"name\" TEXT PRIMARY KEY NOT NULL, \"value\" TEXT NOT NULL)",
                    Self.insertVersion(.accountsVersion),
                    Self.insertVersion(.appsVersion),
                ],
                [
                    "ALTER TABLE \"_apps\" ADD COLUMN \"work_due_at\" BIGINT",
                    "ALTER TABLE \"_apps\" ADD COLUMN \"work_noted_at\" BIGINT NOT NULL DEFAULT 0",
                    // Of those that are there already nobody knows.
                    "UPDATE \"_apps\" SET \"work_due_at\" = 0",
                ],
            ]
        }
    }

    /// What a database has that is up to date.
    package func version(_ dialect: SQLDialect) -> Int { steps(dialect).count }

    private static func insertVersion(_ key: MetaKey) -> String {
        "INSERT INTO \"_meta\" (\"key\", \"value\") VALUES ('\(key.rawValue)', 1)"
    }

    /// What is done after a commit is written in its transaction: calls and events.
    private static let outboxTables = [
        """
        CREATE TABLE "_webhook_logs" ("id" TEXT PRIMARY KEY NOT NULL, "webhook_id" TEXT, "entity" TEXT NOT NULL,
        "record_id" TEXT NOT NULL, "hook" TEXT NOT NULL, "url" TEXT NOT NULL, "method" TEXT NOT NULL,
        "request_headers" TEXT NOT NULL, "request_body" TEXT NOT NULL, "response_status" INTEGER,
        "response_body" TEXT, "status" TEXT NOT NULL, "attempt" INTEGER NOT NULL, "max_attempts" INTEGER NOT NULL,
        "next_retry_at" BIGINT, "error" TEXT, "idempotency_key" TEXT NOT NULL, "duration_ms" BIGINT,
        "created_at" BIGINT NOT NULL, "updated_at" BIGINT NOT NULL)
        """,
        """
        CREATE TABLE "_events" ("id" TEXT PRIMARY KEY NOT NULL, "event" TEXT NOT NULL, "payload" TEXT NOT NULL,
        "entity" TEXT NOT NULL, "record_id" TEXT NOT NULL, "record" TEXT NOT NULL, "user" TEXT NOT NULL,
        "created_at" BIGINT NOT NULL)
        """,
    ]

    /// What sending needs: a delivery is due at an instant until it is done with, belongs to the lane of its webhook, and
    /// whoever sends it holds the latest fence. The order in which rows were written is SQLite's own number of them.
    private static func deliveryColumns(_ dialect: SQLDialect) -> [String] {
        let isPending = "WHERE \"due_at\" IS NOT NULL"
        let number = dialect == .postgres ? ", \"seq\"" : ""
        let columns = [
            "\"lane\" TEXT NOT NULL DEFAULT ''", "\"due_at\" BIGINT", "\"fence\" BIGINT NOT NULL DEFAULT 0",
            "\"is_held\" INTEGER NOT NULL DEFAULT 0", "\"depth\" INTEGER NOT NULL DEFAULT 0",
            "\"backoff\" TEXT NOT NULL DEFAULT 'exponential'",
        ]
        return (columns + (dialect == .postgres ? ["\"seq\" BIGSERIAL"] : [])).map {
            "ALTER TABLE \"_webhook_logs\" ADD COLUMN \($0)"
        } + [
            """
            UPDATE "_webhook_logs" SET "lane" = COALESCE("webhook_id", "url"), "due_at" = "created_at"
            WHERE "status" IN ('pending', 'retrying')
            """,
            "CREATE INDEX \"_webhook_logs_due_idx\" ON \"_webhook_logs\" (\"lane\", \"due_at\") \(isPending)",
            """
            CREATE INDEX "_webhook_logs_record_idx" ON "_webhook_logs" ("lane", "entity", "record_id"\(number)) \(isPending)
            """,
            """
            CREATE INDEX "_webhook_logs_list_idx" ON "_webhook_logs"
            ("created_at", "id", "status", "entity", "webhook_id")
            """,
        ]
    }

    private static let workflowTables = [
        """
        CREATE TABLE "_workflow_instances" ("id" TEXT PRIMARY KEY NOT NULL, "workflow_id" TEXT NOT NULL,
        "workflow_name" TEXT NOT NULL, "version" TEXT NOT NULL, "status" TEXT NOT NULL, "current_step" TEXT,
        "current_step_deadline" BIGINT, "entity" TEXT, "record_id" TEXT, "context" TEXT NOT NULL,
        "state" TEXT NOT NULL, "depth" INTEGER NOT NULL, "parent" TEXT, "due_at" BIGINT,
        "entry_count" INTEGER NOT NULL, "created_at" BIGINT NOT NULL, "updated_at" BIGINT NOT NULL)
        """,
        """
        CREATE INDEX "_workflow_instances_due_idx" ON "_workflow_instances" ("due_at") WHERE "due_at" IS NOT NULL
        """,
        """
        CREATE INDEX "_workflow_instances_list_idx" ON "_workflow_instances" ("created_at", "id")
        """,
        """
        CREATE INDEX "_workflow_instances_record_idx" ON "_workflow_instances" ("entity", "record_id")
        """,
        """
        CREATE INDEX "_workflow_instances_parent_idx" ON "_workflow_instances" ("parent") WHERE "parent" IS NOT NULL
        """,
        """
        CREATE INDEX "_workflow_instances_use_idx" ON "_workflow_instances" ("workflow_id", "version")
        WHERE "status" IN ('running', 'failed')
        """,
        """
        CREATE TABLE "_workflow_history" ("instance_id" TEXT NOT NULL, "position" INTEGER NOT NULL,
        "content" TEXT NOT NULL, PRIMARY KEY ("instance_id", "position"))
        """,
        """
        CREATE TABLE "_workflow_assignees" ("instance_id" TEXT NOT NULL, "kind" TEXT NOT NULL, "name" TEXT NOT NULL,
        "question" INTEGER NOT NULL, "is_open" INTEGER NOT NULL,
        PRIMARY KEY ("instance_id", "kind", "name", "question"))
        """,
        """
        CREATE INDEX "_workflow_assignees_open_idx" ON "_workflow_assignees" ("kind", "name") WHERE "is_open" = 1
        """,
        """
        CREATE TABLE "_workflow_versions" ("workflow_id" TEXT NOT NULL, "version" TEXT NOT NULL,
        "content" TEXT NOT NULL, PRIMARY KEY ("workflow_id", "version"))
        """,
        """
        CREATE TABLE "_workflow_schedules" ("workflow_id" TEXT PRIMARY KEY NOT NULL, "version" TEXT NOT NULL,
        "next_at" BIGINT NOT NULL)
        """,
        "ALTER TABLE \"_events\" ADD COLUMN \"depth\" INTEGER NOT NULL DEFAULT 0",
    ]

    private static let inviteTables = [
        """
        CREATE TABLE "_invites" ("id" TEXT PRIMARY KEY NOT NULL, "token_hash" TEXT NOT NULL, "email" TEXT NOT NULL,
        "roles" TEXT NOT NULL, "attributes" TEXT NOT NULL, "invited_by" TEXT NOT NULL, "expires_at" BIGINT NOT NULL,
        "created_at" BIGINT NOT NULL, "accepted_at" BIGINT)
        """,
        "CREATE UNIQUE INDEX \"_invites_token_key\" ON \"_invites\" (\"token_hash\")",
        "CREATE INDEX \"_invites_email_idx\" ON \"_invites\" (\"email\") WHERE \"accepted_at\" IS NULL",
        "CREATE INDEX \"_invites_list_idx\" ON \"_invites\" (\"created_at\", \"id\")",
    ]

    private static let fileTables = [
        """
        CREATE TABLE "_files" ("id" TEXT PRIMARY KEY NOT NULL, "filename" TEXT NOT NULL, "size" BIGINT NOT NULL,
        "mime_type" TEXT NOT NULL, "owner" TEXT NOT NULL, "created_at" BIGINT NOT NULL, "unused_since" BIGINT)
        """,
        "CREATE INDEX \"_files_list_idx\" ON \"_files\" (\"created_at\", \"id\")",
        """
        CREATE INDEX "_files_unused_idx" ON "_files" ("unused_since") WHERE "unused_since" IS NOT NULL
        """,
        // What each user has uploaded on a day, removed files among it.
        """
        CREATE TABLE "_file_uploads" ("owner" TEXT NOT NULL, "day" BIGINT NOT NULL, "bytes" BIGINT NOT NULL,
        PRIMARY KEY ("owner", "day"))
        """,
    ]

    /// The audit trail, in the order in which it was written.
    private static func historyTable(_ dialect: SQLDialect) -> [String] {
        let number = dialect == .postgres ? "BIGSERIAL" : "INTEGER"
        return [
            """
            CREATE TABLE "_history" ("seq" \(number) PRIMARY KEY, "entity" TEXT NOT NULL, "record_id" TEXT NOT NULL,
            "action" TEXT NOT NULL, "old" TEXT, "new" TEXT, "user" TEXT, "request_id" TEXT, "created_at" BIGINT NOT NULL)
            """,
            "CREATE INDEX \"_history_record_idx\" ON \"_history\" (\"entity\", \"record_id\", \"seq\")",
        ]
    }

    /// The platform has none: it has no events by which a token could reach its user.
    private static let passwordResetTables = [
        """
        CREATE TABLE "_password_resets" ("token_hash" TEXT PRIMARY KEY NOT NULL, "user_id" TEXT NOT NULL,
        "expires_at" BIGINT NOT NULL, "created_at" BIGINT NOT NULL)
        """,
        """
        CREATE INDEX "_password_resets_user_idx" ON "_password_resets" ("user_id")
        """,
    ]

    private static func accountTables(prefix: String) -> [String] {
        [
            """
            CREATE TABLE "\(prefix)users" ("id" TEXT PRIMARY KEY NOT NULL, "email" TEXT NOT NULL,
            "password_hash" TEXT NOT NULL, "roles" TEXT NOT NULL, "active" INTEGER NOT NULL,
            "attributes" TEXT NOT NULL, "token_version" BIGINT NOT NULL,
            "created_at" BIGINT NOT NULL, "updated_at" BIGINT NOT NULL)
            """,
            """
            CREATE UNIQUE INDEX "\(prefix)users_email_key" ON "\(prefix)users" ("email")
            """,
            """
            CREATE TABLE "\(prefix)refresh_tokens" ("token_hash" TEXT PRIMARY KEY NOT NULL, "family" TEXT NOT NULL,
            "user_id" TEXT NOT NULL, "used" INTEGER NOT NULL, "created_at" BIGINT NOT NULL, "expires_at" BIGINT NOT NULL)
            """,
            """
            CREATE INDEX "\(prefix)refresh_tokens_family_idx" ON "\(prefix)refresh_tokens" ("family")
            """,
            """
            CREATE INDEX "\(prefix)refresh_tokens_user_idx" ON "\(prefix)refresh_tokens" ("user_id")
            """,
            """
            CREATE INDEX "\(prefix)refresh_tokens_expiry_idx" ON "\(prefix)refresh_tokens" ("expires_at")
            """,
            """
            CREATE TABLE "\(prefix)token_floors" ("user_id" TEXT PRIMARY KEY NOT NULL, "version" BIGINT NOT NULL,
            "raised_at" BIGINT NOT NULL)
            """,
        ]
    }

    /// Brings a database's own tables up to date, in one transaction; of several servers at once one does it, and the
    /// others find it done.
    ///
    /// - Throws: ``DatabaseFailure``; a database that a newer Rocket has written is unavailable to this one.
    package func migrate(_ database: any AppDatabase) async throws {
        try await database.write(
            MigrationScript(steps: steps(database.dialect), dialect: database.dialect),
            mode: .alone
        )
    }
}

private struct MigrationScript: TransactionScript {
    private enum State {
        case asking
        case judging
        case applying
    }

    private let steps: [[String]]
    private let dialect: SQLDialect
    private var state = State.asking

    init(steps: [[String]], dialect: SQLDialect) {
        self.steps = steps
        self.dialect = dialect
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Void> {
        switch state {
        case .asking:
            state = .judging
            let version = SQLStatement(
                "SELECT \"value\" FROM \"_meta\" WHERE \"key\" = 'schema_version'",
                output: .values
            )
            return .run(lock + [SQLStatement(Self.metaTable), version])
        case .judging:
            state = .applying
            let version = Int(results.last?.rows.first?[0].integerValue ?? 0)
            guard version <= steps.count else {
                throw DatabaseFailure.unavailable(
                    cause: "its tables have version \(version), this Rocket knows \(steps.count): run a newer Rocket"
                )
            }
            guard version < steps.count else { return .done(()) }
            let upsert =
                "INSERT INTO \"_meta\" (\"key\", \"value\") VALUES ('schema_version', \(steps.count))"
                + " ON CONFLICT (\"key\") DO UPDATE SET \"value\" = excluded.\"value\""
            return .finish(steps[version...].joined().map { SQLStatement($0) } + [SQLStatement(upsert)])
        case .applying:
            return .done(())
        }
    }

    private static let metaTable =
        "CREATE TABLE IF NOT EXISTS \"_meta\" (\"key\" TEXT PRIMARY KEY NOT NULL, \"value\" BIGINT NOT NULL)"

    /// Held until the transaction ends. SQLite has one writer anyway.
    private var lock: [SQLStatement] {
        dialect == .postgres ? [SQLStatement("SELECT pg_advisory_xact_lock(8017259341)")] : []
    }
}
