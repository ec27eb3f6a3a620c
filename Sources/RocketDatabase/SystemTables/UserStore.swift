package import RocketModel
package import RocketPlanning

/// The statements on users, refresh tokens and token floors, of an app or of the platform.
package struct UserStore: Sendable {
    private let dialect: SQLDialect
    private let prefix: String

    package init(_ dialect: SQLDialect, schema: SystemSchema) {
        self.dialect = dialect
        prefix =
            switch schema {
            case .app: "_"
            case .management: "_platform_"
            }
    }

    // MARK: users

    private static let userColumns =
        "\"id\", \"email\", \"password_hash\", \"roles\", \"active\", \"token_version\""

    /// - Parameter email: trimmed and in lower case, as e-mails are stored.
    package func user(email: String) -> SQLStatement {
        select(" WHERE \"email\" = ", .text(email))
    }

    package func user(id: String) -> SQLStatement {
        select(" WHERE \"id\" = ", .text(id))
    }

    /// The user, locked until the transaction ends.
    package func lockedUser(id: String) -> SQLStatement {
        let statement = user(id: id)
        guard dialect == .postgres else { return statement }
        return SQLStatement(statement.text + " FOR UPDATE", binds: statement.binds, output: .values)
    }

    private func select(_ condition: String, _ value: SQLValue) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.userColumns) FROM \"\(prefix)users\"\(condition)")
        sql.bind(stored: value)
        return sql.statement(.values)
    }

    package var countUsers: SQLStatement {
        SQLStatement("SELECT count(*) FROM \"\(prefix)users\"", output: .values)
    }

    package func read(_ row: [SQLValue]) -> StoredUser? {
        guard row.count == 6, let id = row[0].textValue, let email = row[1].textValue, let hash = row[2].textValue,
            let roles = row[3].textValue, let active = row[4].integerValue, let version = row[5].integerValue
        else { return nil }
        return StoredUser(
            id: id,
            email: email,
            passwordHash: hash,
            roles: Self.strings(inJSON: roles),
            isActive: active != 0,
            tokenVersion: version
        )
    }

    private static func strings(inJSON text: String) -> [String] {
        do throws(JSONSyntaxError) {
            return try JSONParser.parse(text).arrayValue?.compactMap(\.stringValue) ?? []
        } catch {
            return []
        }
    }

    package func insert(_ user: StoredUser, attributes: JSONObject, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(
            "INSERT INTO \"\(prefix)users\" (\(Self.userColumns), \"attributes\", \"created_at\", \"updated_at\") VALUES ("
        )
        let values: [SQLValue] = [
            .text(user.id), .text(user.email), .text(user.passwordHash),
            .text(JSONValue.array(user.roles.map(JSONValue.string)).jsonText), .integer(user.isActive ? 1 : 0),
            .integer(user.tokenVersion), .text(JSONValue.object(attributes).jsonText), .integer(now.microseconds),
            .integer(now.microseconds),
        ]
        for (index, value) in values.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: value)
        }
        sql.append(")")
        return sql.statement()
    }

    /// Changes a password and ends every token of the user: access tokens by the version, refresh tokens by hand.
    package func changePassword(of user: StoredUser, to hash: String, now: Timestamp) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"\(prefix)users\" SET \"password_hash\" = ")
        sql.bind(stored: .text(hash))
        sql.append(", \"token_version\" = \"token_version\" + 1, \"updated_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"id\" = ")
        sql.bind(stored: .text(user.id))
        return [
            sql.statement(), revokeRefreshTokens(ofUser: user.id), raiseFloor(user.id, user.tokenVersion + 1, now),
            MetaStore.raise(.accountsVersion),
        ]
    }

    // MARK: refresh tokens

    package func insertRefreshToken(hash: String, _ token: StoredRefreshToken, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(
            "INSERT INTO \"\(prefix)refresh_tokens\""
                + " (\"token_hash\", \"family\", \"user_id\", \"used\", \"created_at\", \"expires_at\") VALUES ("
        )
        let values: [SQLValue] = [
            .text(hash), .text(token.family), .text(token.userID), .integer(token.isUsed ? 1 : 0),
            .integer(now.microseconds), .integer(token.expiresAt.microseconds),
        ]
        for (index, value) in values.enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: value)
        }
        sql.append(")")
        return sql.statement()
    }

    package func refreshToken(hash: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(
            "SELECT \"family\", \"user_id\", \"used\", \"expires_at\" FROM \"\(prefix)refresh_tokens\" WHERE \"token_hash\" = "
        )
        sql.bind(stored: .text(hash))
        return sql.statement(.values)
    }

    package func readRefreshToken(_ row: [SQLValue]) -> StoredRefreshToken? {
        guard row.count == 4, let family = row[0].textValue, let user = row[1].textValue,
            let used = row[2].integerValue, let expires = row[3].integerValue
        else { return nil }
        return StoredRefreshToken(
            family: family,
            userID: user,
            isUsed: used != 0,
            expiresAt: Timestamp(microseconds: expires)
        )
    }

    package func markUsed(hash: String) -> SQLStatement {
        statement("UPDATE \"\(prefix)refresh_tokens\" SET \"used\" = 1 WHERE \"token_hash\" = ", .text(hash))
    }

    package func revoke(family: String) -> SQLStatement {
        statement("DELETE FROM \"\(prefix)refresh_tokens\" WHERE \"family\" = ", .text(family))
    }

    package func revokeRefreshTokens(ofUser id: String) -> SQLStatement {
        statement("DELETE FROM \"\(prefix)refresh_tokens\" WHERE \"user_id\" = ", .text(id))
    }

    package func removeExpiredRefreshTokens(now: Timestamp) -> SQLStatement {
        statement("DELETE FROM \"\(prefix)refresh_tokens\" WHERE \"expires_at\" < ", .integer(now.microseconds))
    }

    // MARK: token floors

    /// From here on access tokens of the user below `version` are dead.
    package func raiseFloor(_ userID: String, _ version: Int64, _ now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("INSERT INTO \"\(prefix)token_floors\" (\"user_id\", \"version\", \"raised_at\") VALUES (")
        sql.bind(stored: .text(userID))
        sql.append(", ")
        sql.bind(stored: .integer(version))
        sql.append(", ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(
            ") ON CONFLICT (\"user_id\") DO UPDATE SET \"version\" = excluded.\"version\", \"raised_at\" = excluded.\"raised_at\""
        )
        return sql.statement()
    }

    /// The floors that can still matter: access tokens from before are dead of age.
    package func floors(raisedAfter instant: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \"user_id\", \"version\" FROM \"\(prefix)token_floors\" WHERE \"raised_at\" > ")
        sql.bind(stored: .integer(instant.microseconds))
        return sql.statement(.values)
    }

    private func statement(_ text: String, _ value: SQLValue) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(text)
        sql.bind(stored: value)
        return sql.statement()
    }
}
