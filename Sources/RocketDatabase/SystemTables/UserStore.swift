package import RocketModel
package import RocketPlanning

/// The statements on users, refresh tokens and token floors, of an app or of the platform; and on the tokens that reset
/// an app's passwords.
package struct UserStore: Sendable {
    let dialect: SQLDialect
    let schema: SystemSchema
    private let prefix: String

    package init(_ dialect: SQLDialect, schema: SystemSchema) {
        self.dialect = dialect
        self.schema = schema
        prefix =
            switch schema {
            case .app: "_"
            case .management: "_platform_"
            }
    }

    // MARK: users

    private static let userColumns = [
        "id", "email", "password_hash", "roles", "active", "token_version", "attributes", "created_at", "updated_at",
    ]
    private static let userColumnList = userColumns.map { "\"\($0)\"" }.joined(separator: ", ")

    /// In the order of the columns.
    private static func values(of user: StoredUser) -> [SQLValue] {
        [
            .text(user.id), .text(user.email), .text(user.passwordHash),
            .text(JSONValue.array(user.roles.map(JSONValue.string)).jsonText), .integer(user.isActive ? 1 : 0),
            .integer(user.tokenVersion), .text(JSONValue.object(user.attributes).jsonText),
            .integer(user.createdAt.microseconds), .integer(user.updatedAt.microseconds),
        ]
    }

    /// - Parameter email: trimmed and in lower case, as e-mails are stored.
    package func user(email: String) -> SQLStatement {
        select(" WHERE \"email\" = ", .text(email))
    }

    package func user(id: String) -> SQLStatement {
        select(" WHERE \"id\" = ", .text(id))
    }

    /// The roles of the users who are active.
    package var activeRoles: SQLStatement {
        SQLStatement("SELECT \"id\", \"roles\" FROM \"\(prefix)users\" WHERE \"active\" = 1", output: .values)
    }

    /// Reads what ``activeRoles`` gave.
    package static func activeRoles(_ result: StatementResult) -> [(id: String, roles: [String])] {
        result.rows.compactMap { row -> (id: String, roles: [String])? in
            guard row.count == 2, let id = row[0].textValue else { return nil }
            do throws(JSONSyntaxError) {
                return (id, (try JSONParser.parse(row[1].textValue ?? "").arrayValue ?? []).compactMap(\.stringValue))
            } catch {
                return (id, [])
            }
        }
    }

    /// A row where there is an active user with an id.
    package func isActive(_ id: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT 1 FROM \"\(prefix)users\" WHERE \"active\" = 1 AND \"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement(.values)
    }

    /// The user, locked until the transaction ends.
    package func lockedUser(id: String) -> SQLStatement {
        locked(user(id: id))
    }

    /// The same.
    ///
    /// - Parameter email: trimmed and in lower case.
    package func lockedUser(email: String) -> SQLStatement {
        locked(user(email: email))
    }

    private func locked(_ statement: SQLStatement) -> SQLStatement {
        guard dialect == .postgres else { return statement }
        return SQLStatement(statement.text + " FOR UPDATE", binds: statement.binds, output: .values)
    }

    /// The active users with a role, locked until the transaction ends: whoever asks for them next waits, and sees
    /// what became of them. Their text is only searched, so a role that looks like the one asked for comes along.
    ///
    /// - Parameter role: letters and underscores of ASCII, in lower case.
    package func lockedActiveUsers(withRole role: String) -> SQLStatement {
        // What a database's own collation takes for lower case may depend on where it was set up.
        let roles = dialect == .postgres ? "\"roles\" COLLATE \"C\"" : "\"roles\""
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.userColumnList) FROM \"\(prefix)users\"")
        sql.append(" WHERE \"active\" = 1 AND lower(\(roles)) LIKE ")
        sql.bind(stored: .text("%\"\(role)\"%"))
        // In one order for all, so that nobody holds what another one waits for.
        sql.append(" ORDER BY \"id\"")
        if dialect == .postgres { sql.append(" FOR UPDATE") }
        return sql.statement(.values)
    }

    /// A page of users, newest first, and how many there are in all.
    ///
    /// - Parameter email: only the user with it, trimmed and in lower case.
    package func users(email: String?, limit: Int, offset: Int) -> (page: SQLStatement, total: SQLStatement) {
        var page = SQLBuilder(dialect)
        var total = SQLBuilder(dialect)
        page.append("SELECT \(Self.userColumnList) FROM \"\(prefix)users\"")
        total.append("SELECT count(*) FROM \"\(prefix)users\"")
        if let email {
            page.append(" WHERE \"email\" = ")
            page.bind(stored: .text(email))
            total.append(" WHERE \"email\" = ")
            total.bind(stored: .text(email))
        }
        page.append(" ORDER BY \"created_at\" DESC, \"id\" DESC LIMIT ")
        page.bind(stored: .integer(Int64(limit)))
        page.append(" OFFSET ")
        page.bind(stored: .integer(Int64(offset)))
        return (page.statement(.values), total.statement(.values))
    }

    private func select(_ condition: String, _ value: SQLValue) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.userColumnList) FROM \"\(prefix)users\"\(condition)")
        sql.bind(stored: value)
        return sql.statement(.values)
    }

    package var countUsers: SQLStatement {
        SQLStatement("SELECT count(*) FROM \"\(prefix)users\"", output: .values)
    }

    package func read(_ row: [SQLValue]) -> StoredUser? {
        guard row.count == Self.userColumns.count, let id = row[0].textValue, let email = row[1].textValue,
            let hash = row[2].textValue, let roles = row[3].textValue, let active = row[4].integerValue,
            let version = row[5].integerValue, let attributes = row[6].textValue,
            let created = row[7].integerValue, let updated = row[8].integerValue
        else { return nil }
        return StoredUser(
            id: id,
            email: email,
            passwordHash: hash,
            roles: Self.json(roles)?.arrayValue?.compactMap(\.stringValue) ?? [],
            isActive: active != 0,
            tokenVersion: version,
            attributes: Self.json(attributes)?.objectValue ?? JSONObject(),
            createdAt: Timestamp(microseconds: created),
            updatedAt: Timestamp(microseconds: updated)
        )
    }

    private static func json(_ text: String) -> JSONValue? {
        do throws(JSONSyntaxError) { return try JSONParser.parse(text) } catch { return nil }
    }

    package func insert(_ user: StoredUser) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("INSERT INTO \"\(prefix)users\" (\(Self.userColumnList)) VALUES (")
        for (index, value) in Self.values(of: user).enumerated() {
            if index > 0 { sql.append(", ") }
            sql.bind(stored: value)
        }
        sql.append(")")
        return sql.statement()
    }

    /// Stores a user as it is now, who was locked before.
    package func update(_ user: StoredUser) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"\(prefix)users\" SET ")
        for (index, value) in Self.values(of: user).enumerated() {
            sql.append("\(index > 0 ? ", " : "")\"\(Self.userColumns[index])\" = ")
            sql.bind(stored: value)
        }
        sql.append(" WHERE \"id\" = ")
        sql.bind(stored: .text(user.id))
        return sql.statement()
    }

    /// Removes a user and ends every token of theirs.
    ///
    /// - Parameter floor: more than the version of any token of the user.
    package func delete(_ user: StoredUser, floor: Int64, now: Timestamp) -> [SQLStatement] {
        [
            statement("DELETE FROM \"\(prefix)users\" WHERE \"id\" = ", .text(user.id)),
            revokeRefreshTokens(ofUser: user.id),
        ] + removePasswordResets(ofUser: user.id) + endAccessTokens(ofUser: user.id, below: floor, now: now)
    }

    /// Changes a password and ends every token of the user: access tokens by the version, the others by hand.
    package func changePassword(of user: StoredUser, to hash: String, now: Timestamp) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"\(prefix)users\" SET \"password_hash\" = ")
        sql.bind(stored: .text(hash))
        sql.append(", \"token_version\" = \"token_version\" + 1, \"updated_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"id\" = ")
        sql.bind(stored: .text(user.id))
        return [sql.statement(), revokeRefreshTokens(ofUser: user.id)] + removePasswordResets(ofUser: user.id)
            + endAccessTokens(ofUser: user.id, below: user.tokenVersion + 1, now: now)
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

    /// From here on access tokens of the user below a version are dead, and other servers get to know.
    package func endAccessTokens(ofUser id: String, below version: Int64, now: Timestamp) -> [SQLStatement] {
        [raiseFloor(id, version, now), MetaStore.raise(.accountsVersion)]
    }

    private func raiseFloor(_ userID: String, _ version: Int64, _ now: Timestamp) -> SQLStatement {
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

    func statement(_ text: String, _ value: SQLValue) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(text)
        sql.bind(stored: value)
        return sql.statement()
    }
}
