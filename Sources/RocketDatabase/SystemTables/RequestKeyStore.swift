package import RocketModel
package import RocketPlanning

/// The statements on `_request_keys`: requests that are to be carried out once, by their `Idempotency-Key`. A row is
/// written in the transaction of the request, so that it is there exactly when what the request has done is.
package struct RequestKeyStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// Takes a key: gives a row where nobody has it, or had it before `since`. On PostgreSQL it waits for a transaction
    /// that has it and is not at its end.
    package func claim(_ key: String, body: String, now: Timestamp, since: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("INSERT INTO \"_request_keys\" (\"key\", \"body\", \"created_at\") VALUES (")
        sql.bind(stored: .text(key))
        sql.append(", ")
        sql.bind(stored: .text(body))
        sql.append(", ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(") ON CONFLICT (\"key\") DO UPDATE SET \"body\" = excluded.\"body\", \"answer\" = NULL,")
        sql.append(" \"created_at\" = excluded.\"created_at\" WHERE \"_request_keys\".\"created_at\" < ")
        sql.bind(stored: .integer(since.microseconds))
        sql.append(" RETURNING 1")
        return sql.statement(.values)
    }

    package func keep(_ answer: KeptAnswer, of key: String) -> SQLStatement {
        let headers = JSONObject(
            uniqueMembers: answer.headers.sorted { $0.key < $1.key }.map {
                .init(name: $0.key, value: .string($0.value))
            }
        )
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_request_keys\" SET \"status\" = ")
        sql.bind(stored: .integer(Int64(answer.status)))
        sql.append(", \"headers\" = ")
        sql.bind(stored: .text(JSONValue.object(headers).jsonText))
        sql.append(", \"answer\" = ")
        sql.bind(stored: .text(answer.body))
        sql.append(" WHERE \"key\" = ")
        sql.bind(stored: .text(key))
        return sql.statement()
    }

    package func answer(of key: String, since: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"body\", \"status\", \"headers\", \"answer\" FROM \"_request_keys\" WHERE \"key\" = ")
        sql.bind(stored: .text(key))
        sql.append(" AND \"created_at\" >= ")
        sql.bind(stored: .integer(since.microseconds))
        return sql.statement(.values)
    }

    /// Reads what ``answer(of:since:)`` gave.
    package func read(_ row: [SQLValue]) -> (body: String, answer: KeptAnswer)? {
        guard row.count == 4, let body = row[0].textValue, let status = row[1].integerValue,
            let answer = row[3].textValue
        else { return nil }
        var headers: [String: String] = [:]
        do throws(JSONSyntaxError) {
            for member in try JSONParser.parse(row[2].textValue ?? "{}").objectValue?.members ?? [] {
                headers[member.name] = member.value.stringValue
            }
        } catch {
            headers = [:]
        }
        return (body, KeptAnswer(status: Int(status), headers: headers, body: answer))
    }

    /// Removes some of those that nobody may ask for any more.
    package func prune(before instant: Timestamp, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_request_keys\" WHERE \"key\" IN (SELECT \"key\" FROM \"_request_keys\"")
        sql.append(" WHERE \"created_at\" < ")
        sql.bind(stored: .integer(instant.microseconds))
        sql.append(" ORDER BY \"created_at\" LIMIT \(limit))")
        return sql.statement()
    }
}
