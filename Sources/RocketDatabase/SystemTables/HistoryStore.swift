package import RocketModel
package import RocketPlanning

/// The statements that read and prune `_history`; what writes it is ``Trail``.
package struct HistoryStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// A page of a record's entries, newest first, and how many there are in all.
    ///
    /// - Parameters:
    ///   - isWhole: whether entries of an earlier record count, whose key this one has.
    ///   - names: updates of other fields and relations are left out; nil for all.
    package func page(
        of recordID: String,
        entity: String,
        isWhole: Bool,
        names: [String]?,
        limit: Int,
        offset: Int
    ) -> [SQLStatement] {
        let ofRecord = { (sql: inout SQLBuilder) in
            sql.append(" FROM \"_history\" WHERE \"entity\" = ")
            sql.bind(stored: .text(entity))
            sql.append(" AND \"record_id\" = ")
            sql.bind(stored: .text(recordID))
        }
        let condition = { (sql: inout SQLBuilder) in
            ofRecord(&sql)
            if let names { appendChange(of: names, to: &sql) }
            guard !isWhole else { return }
            let last = { (action: String, sql: inout SQLBuilder) in
                sql.append("COALESCE((SELECT max(\"seq\")")
                ofRecord(&sql)
                sql.append(" AND \"action\" = '\(action)'), 0)")
            }
            sql.append(" AND \"seq\" >= ")
            last("create", &sql)
            sql.append(" AND \"seq\" > COALESCE((SELECT max(\"seq\") FROM \"_history\" WHERE \"entity\" = ")
            sql.bind(stored: .text(entity))
            sql.append(" AND \"record_id\" = ''), 0)")
            // One that is there was made again after it was deleted, or restored.
            sql.append(" AND (")
            last("restore", &sql)
            sql.append(" > ")
            last("delete", &sql)
            sql.append(" OR \"seq\" > ")
            last("delete", &sql)
            sql.append(")")
        }
        // A page holds so much, and so does each of its entries a part of that.
        let bound = Self.maximumPageBytes / max(1, limit)
        var rows = SQLBuilder(dialect)
        let size = "(COALESCE(length(\"old\"), 0) + COALESCE(length(\"new\"), 0)) <= \(bound)"
        let values = ["old", "new"].map { "CASE WHEN \(size) THEN \"\($0)\" END" }.joined(separator: ", ")
        rows.append("SELECT \"seq\", \"action\", \(values), \"user\", \"request_id\", \"created_at\"")
        rows.append(", CASE WHEN \(size) THEN 1 ELSE 0 END")
        condition(&rows)
        rows.append(" ORDER BY \"seq\" DESC LIMIT ")
        rows.bind(stored: .integer(Int64(limit)))
        rows.append(" OFFSET ")
        rows.bind(stored: .integer(Int64(offset)))
        var count = SQLBuilder(dialect)
        count.append("SELECT count(*)")
        condition(&count)
        return [rows.statement(.values), count.statement(.values)]
    }

    package func read(_ row: [SQLValue]) -> StoredHistoryEntry? {
        guard row.count == 8, let number = row[0].integerValue, let action = row[1].textValue,
            let at = row[6].integerValue
        else { return nil }
        return StoredHistoryEntry(
            number: number,
            action: action,
            old: Self.object(row[2]) ?? JSONObject(),
            new: Self.object(row[3]) ?? JSONObject(),
            user: Self.object(row[4]),
            requestID: row[5].textValue,
            at: Timestamp(microseconds: at),
            isWhole: row[7] == .integer(1)
        )
    }

    /// Nested as deep as records may be, and one level more.
    private static let maximumDepth = 512

    private static func object(_ value: SQLValue) -> JSONObject? {
        guard let text = value.textValue else { return nil }
        do throws(JSONSyntaxError) {
            return try JSONParser.parse(Array(text.utf8), maximumDepth: maximumDepth).objectValue
        } catch {
            return nil
        }
    }

    private static let maximumPageBytes = 32 * 1024 * 1024

    /// Something else than an update, or one of something that is named.
    private func appendChange(of names: [String], to sql: inout SQLBuilder) {
        sql.append(" AND (\"action\" <> 'update' OR ")
        switch dialect {
        case .postgres:
            for (index, side) in ["old", "new"].enumerated() {
                if index > 0 { sql.append(" OR ") }
                sql.append("COALESCE(\"\(side)\"::jsonb ?| ")
                sql.bindArray(names.map(FieldValue.text), ValueShape(type: .text))
                sql.append(", FALSE)")
            }
        case .sqlite:
            for (index, side) in ["old", "new"].enumerated() {
                if index > 0 { sql.append(" OR ") }
                sql.append("EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(\"\(side)\") THEN \"\(side)\" END)")
                sql.append(" AS _c WHERE ")
                sql.isMember("_c.key", of: names.map(FieldValue.text), ValueShape(type: .text))
                sql.append(")")
            }
        }
        sql.append(")")
    }

    /// Marks that changes of an entity's records are kept from here on, after a time without.
    package func begin(_ entity: String, now: Timestamp) -> SQLStatement {
        dialect.inserts(
            "_history",
            ["entity", "record_id", "action", "created_at"],
            [[.text(entity), .text(""), .text("begin"), .integer(now.microseconds)]]
        )[0]
    }

    package func rename(_ entity: String, to newName: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_history\" SET \"entity\" = ")
        sql.bind(stored: .text(newName))
        sql.append(" WHERE \"entity\" = ")
        sql.bind(stored: .text(entity))
        return sql.statement()
    }

    /// Removes some of the oldest entries: they are in the order of time, so that nothing else is looked at.
    package func prune(before instant: Timestamp, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_history\" WHERE \"seq\" < (SELECT min(\"seq\") FROM \"_history\") + \(limit)")
        sql.append(" AND \"created_at\" < ")
        sql.bind(stored: .integer(instant.microseconds))
        return sql.statement()
    }
}
