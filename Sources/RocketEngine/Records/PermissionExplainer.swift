package import RocketDatabase
package import RocketModel
package import RocketPlanning

/// Explains permissions.
package enum PermissionExplainer {
    /// - Returns: `{"allowed", "decided_by", "policies"}`.
    /// - Throws: 404 where the record is not there.
    package static func run(_ explanation: PermissionExplanation, in database: any AppDatabase) async throws
        -> JSONObject
    {
        let statements = explanation.statements
        return try explanation.answer(statements.isEmpty ? [] : try await database.read(statements))
    }
}
