package import RocketModel
package import RocketPlanning

// The tokens that reset passwords, of an app. The platform has no such table.

extension UserStore {
    package func insertPasswordReset(hash: String, _ reset: StoredPasswordReset, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(
            "INSERT INTO \"_password_resets\" (\"token_hash\", \"user_id\", \"expires_at\", \"created_at\") VALUES ("
        )
        let values: [SQLValue] = [
            .text(hash), .text(reset.userID), .integer(reset.expiresAt.microseconds), .integer(now.microseconds),
        ]
        for (index, value) in values.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: value)
        }
        sql.append(")")
        return sql.statement()
    }

    package func passwordReset(hash: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"user_id\", \"expires_at\" FROM \"_password_resets\" WHERE \"token_hash\" = ")
        sql.bind(stored: .text(hash))
        return sql.statement(.values)
    }

    package func readPasswordReset(_ row: [SQLValue]) -> StoredPasswordReset? {
        guard row.count == 2, let user = row[0].textValue, let expires = row[1].integerValue else { return nil }
        return StoredPasswordReset(userID: user, expiresAt: Timestamp(microseconds: expires))
    }

    package func removePasswordReset(hash: String) -> SQLStatement {
        statement("DELETE FROM \"_password_resets\" WHERE \"token_hash\" = ", .text(hash))
    }

    /// Leaves a user the newest tokens that have not expired. Of others' none is touched: who holds their lock might
    /// be waiting for this one's.
    package func thinPasswordResets(ofUser id: String, keeping count: Int, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_password_resets\" WHERE \"user_id\" = ")
        sql.bind(stored: .text(id))
        sql.append(" AND (\"expires_at\" <= ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(
            " OR \"token_hash\" NOT IN (SELECT \"token_hash\" FROM \"_password_resets\" WHERE \"user_id\" = "
        )
        sql.bind(stored: .text(id))
        sql.append(" ORDER BY \"created_at\" DESC, \"token_hash\" LIMIT ")
        sql.bind(stored: .integer(Int64(count)))
        sql.append("))")
        return sql.statement()
    }

    /// Nothing on the platform.
    package func removePasswordResets(ofUser id: String) -> [SQLStatement] {
        switch schema {
        case .app: [statement("DELETE FROM \"_password_resets\" WHERE \"user_id\" = ", .text(id))]
        case .management: []
        }
    }
}
