package import RocketModel
package import RocketPlanning

/// The statements on `_invites`.
package struct InviteStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    private static let columns = [
        "id", "email", "roles", "attributes", "invited_by", "expires_at", "created_at", "accepted_at",
    ]
    private static let columnList = columns.map { "\"\($0)\"" }.joined(separator: ", ")

    /// - Parameter invites: each with the hash of its token.
    package func inserts(_ invites: [(StoredInvite, hash: String)]) -> [SQLStatement] {
        dialect.inserts(
            "_invites",
            Self.columns + ["token_hash"],
            invites.map { invite, hash in
                [
                    .text(invite.id), .text(invite.email),
                    .text(JSONValue.array(invite.roles.map(JSONValue.string)).jsonText),
                    .text(JSONValue.object(invite.attributes).jsonText), .text(invite.invitedBy),
                    .integer(invite.expiresAt.microseconds), .integer(invite.createdAt.microseconds), .null,
                    .text(hash),
                ]
            }
        )
    }

    /// Ends the open invitations of an e-mail, as a new one takes their place.
    package func removeOpen(email: String) -> SQLStatement {
        statement("DELETE FROM \"_invites\" WHERE \"accepted_at\" IS NULL AND \"email\" = ", [.text(email)])
    }

    package func remove(id: String) -> SQLStatement {
        statement("DELETE FROM \"_invites\" WHERE \"id\" = ", [.text(id)])
    }

    /// The invitation of a token, locked until the transaction ends.
    package func locked(hash: String) -> SQLStatement {
        let lock = dialect == .postgres ? " FOR UPDATE" : ""
        return statement(
            "SELECT \(Self.columnList) FROM \"_invites\" WHERE \"token_hash\" = ",
            [.text(hash)],
            lock,
            .values
        )
    }

    package func accept(id: String, now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_invites\" SET \"accepted_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"id\" = ")
        sql.bind(stored: .text(id))
        return sql.statement()
    }

    /// A page, newest first, and how many there are in all.
    package func page(limit: Int, offset: Int) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(Self.columnList) FROM \"_invites\" ORDER BY \"created_at\" DESC, \"id\" DESC LIMIT ")
        sql.bind(stored: .integer(Int64(limit)))
        sql.append(" OFFSET ")
        sql.bind(stored: .integer(Int64(offset)))
        return [sql.statement(.values), SQLStatement("SELECT count(*) FROM \"_invites\"", output: .values)]
    }

    package func read(_ row: [SQLValue]) -> StoredInvite? {
        guard row.count == Self.columns.count, let id = row[0].textValue, let email = row[1].textValue,
            let expires = row[5].integerValue, let created = row[6].integerValue
        else { return nil }
        return StoredInvite(
            id: id,
            email: email,
            roles: (Self.parsed(row[2]).arrayValue ?? []).compactMap(\.stringValue),
            attributes: Self.parsed(row[3]).objectValue ?? JSONObject(),
            invitedBy: row[4].textValue ?? "",
            expiresAt: Timestamp(microseconds: expires),
            createdAt: Timestamp(microseconds: created),
            acceptedAt: row[7].integerValue.map(Timestamp.init(microseconds:))
        )
    }

    private static func parsed(_ value: SQLValue) -> JSONValue {
        do throws(JSONSyntaxError) { return try JSONParser.parse(value.textValue ?? "") } catch { return .null }
    }

    private func statement(
        _ text: String,
        _ values: [SQLValue],
        _ closing: String = "",
        _ output: StatementOutput = .none
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(text)
        for value in values { sql.bind(stored: value) }
        sql.append(closing)
        return sql.statement(output)
    }
}
