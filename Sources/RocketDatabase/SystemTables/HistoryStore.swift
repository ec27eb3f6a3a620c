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
    /// - Parameter isWhole: whether entries of an earlier record count, whose key this one has.
    package func page(
        of recordID: String,
        entity: String,
        isWhole: Bool,
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
            guard !isWhole else { return }
            sql.append(" AND \"seq\" >= COALESCE((SELECT max(\"seq\")")
            ofRecord(&sql)
            sql.append(" AND \"action\" = 'create'), 0)")
        }
        var rows = SQLBuilder(dialect)
        rows.append("SELECT \"seq\", \"action\", \"old\", \"new\", \"user\", \"request_id\", \"created_at\"")
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
        guard row.count == 7, let number = row[0].integerValue, let action = row[1].textValue,
            let at = row[6].integerValue
        else { return nil }
        return StoredHistoryEntry(
            number: number,
            action: action,
            old: Self.object(row[2]) ?? JSONObject(),
            new: Self.object(row[3]) ?? JSONObject(),
            user: Self.object(row[4]),
            requestID: row[5].textValue,
            at: Timestamp(microseconds: at)
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

    /// Removes some of the oldest entries: they are in the order of time, so that nothing else is looked at.
    package func prune(before instant: Timestamp, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_history\" WHERE \"seq\" < (SELECT min(\"seq\") FROM \"_history\") + \(limit)")
        sql.append(" AND \"created_at\" < ")
        sql.bind(stored: .integer(instant.microseconds))
        return sql.statement()
    }
}
