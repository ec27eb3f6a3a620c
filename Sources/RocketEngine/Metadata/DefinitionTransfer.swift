import RocketDatabase
package import RocketModel
import RocketPlanning

/// Runs an import: definitions, tables, sample rows and users in one transaction.
package enum DefinitionTransfer {
    /// - Parameters:
    ///   - principal: who is named in the audit trail of the rows.
    ///   - requestID: the request that is named there.
    /// - Returns: how many of each kind were made, and what was done without.
    /// - Throws: 409 and 422 as ``DefinitionImport`` says, with nothing changed.
    package static func run(
        _ file: DefinitionImport,
        into app: AppContext,
        by principal: Principal,
        requestID: String?,
        _ dependencies: EngineDependencies
    ) async throws -> (summary: JSONObject, warnings: [String]) {
        let users = try await newUsers(file, app)
        let now = dependencies.now()
        let counter = RowCounter()
        let before = DefinitionsSeen()
        let change = file.change(newID: dependencies.newID)
        let trail = Trail(app.database.dialect, principal, requestID: requestID, at: now)
        let rows = file.rows(now: now, newID: dependencies.newID, counter: counter, trail: trail)
        let applied = try await app.metadata.apply(
            now: now,
            rows: RowsThenUsers(rows: rows, users: users),
            place: file.place(ofTable:)
        ) {
            definitions in
            before.note(definitions)
            return try change(definitions)
        }
        let summary = file.summary(
            from: before.definitions,
            to: applied.snapshot.definitions,
            records: counter.value,
            users: users.count
        )
        return (summary, applied.warnings)
    }

    /// Puts the definitions of a file in the place of those that the app has.
    ///
    /// - Parameter isTrial: whether it is only asked what would be done.
    /// - Throws: 409 and 422, with nothing changed.
    package static func apply(
        _ file: DefinitionImport,
        to app: AppContext,
        isTrial: Bool,
        _ box: SecretBox,
        _ dependencies: EngineDependencies
    ) async throws -> MetadataChange {
        let change = file.replacement(box, newID: dependencies.newID)
        return try await app.metadata.apply(
            now: dependencies.now(),
            place: file.place(ofTable:),
            isTrial: isTrial,
            change
        )
    }

    /// Hashes the passwords of the users that are not there yet, before the transaction begins.
    private static func newUsers(_ file: DefinitionImport, _ app: AppContext) async throws -> [SQLStatement] {
        var statements: [SQLStatement] = []
        var seen = Set<String>()
        for user in file.users where seen.insert(Accounts.normalized(user.email)).inserted {
            guard try await app.accounts.user(email: user.email) == nil else { continue }
            statements.append(
                try await app.accounts.newUser(
                    email: user.email,
                    password: user.password,
                    roles: user.roles,
                    isActive: user.isActive
                ).1
            )
        }
        return statements
    }
}

/// The rows of an import, and its users after them.
private struct RowsThenUsers: RowImport {
    var rows: SampleRows
    var users: [SQLStatement]

    mutating func next(_ results: [StatementResult], _ snapshot: AppSnapshot) throws -> [SQLStatement] {
        let statements = try rows.next(results, snapshot)
        guard statements.isEmpty else { return statements }
        defer { users = [] }
        return users
    }
}
