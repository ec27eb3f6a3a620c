package import RocketDatabase
package import RocketModel
package import RocketPlanning

/// Tries rules on records that are not stored.
package enum RuleTester {
    /// - Returns: `{"result", "violated", "reads", "error"?}`.
    package static func run(_ trial: RuleTrial, in database: any AppDatabase) async throws -> JSONObject {
        guard !trial.statements.isEmpty else {
            var trial = trial
            return trial.outcome()
        }
        return try await database.read(TrialScript(trial: trial))
    }
}

/// The related records that the rule looks at, then what it says.
private struct TrialScript: TransactionScript {
    var trial: RuleTrial
    private var hasAsked = false

    init(trial: RuleTrial) {
        self.trial = trial
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<JSONObject> {
        guard hasAsked else {
            hasAsked = true
            return .run(trial.statements)
        }
        trial.take(results)
        return .done(trial.outcome())
    }
}
