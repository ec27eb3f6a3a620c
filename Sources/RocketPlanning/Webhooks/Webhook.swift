import RocketExpression
package import RocketModel

/// A webhook, compiled.
package struct Webhook: Sendable {
    package let id: String
    package let definition: WebhookDefinition
    let condition: RuleProgram?
    /// Why its condition can't be evaluated, where it can't be: it sends nothing then, and says so.
    let problem: String?

    var loads: [RelatedLoad] { condition?.loads ?? [] }

    /// Whether a row is its business, its condition aside.
    func concerns(_ row: PlannedRow) -> Bool {
        definition.hook.isOfDeletes == (row.action == .delete)
    }
}

/// A webhook that a row sets off.
package struct Announcement: Sendable {
    package let webhook: Webhook
    package let record: EffectRecord
    /// Why it can't be sent; nil where it can.
    package let problem: String?
}

extension RuleRun {
    /// The webhooks that a row sets off, in the order of their age.
    ///
    /// - Throws: 422 where the condition of one that the write waits for can't be evaluated.
    mutating func announcements(
        of index: Int,
        in rows: [PlannedRow],
        _ logic: EntityLogic
    ) throws(RequestFailure) -> [Announcement] {
        var announcements: [Announcement] = []
        for webhook in logic.webhooks where webhook.concerns(rows[index]) {
            var problem = webhook.problem
            do throws(EvaluationFailure) {
                if problem == nil, try !isWanted(webhook, index, rows, logic) { continue }
            } catch {
                problem = "its condition can't be evaluated: \(error.message)"
            }
            if let problem, webhook.definition.hook.isSynchronous {
                let message = "the webhook \(webhook.id) can't be asked: \(problem)"
                throw .validation([rows[index].detail(nil, .expression, message)])
            }
            announcements.append(
                Announcement(webhook: webhook, record: rows[index].effectRecord, problem: problem)
            )
        }
        return announcements
    }

    private mutating func isWanted(
        _ webhook: Webhook,
        _ index: Int,
        _ rows: [PlannedRow],
        _ logic: EntityLogic
    ) throws(EvaluationFailure) -> Bool {
        guard let condition = webhook.condition else { return true }
        let names = logic.names.values(of: rows[index], logic.mask, user: principal, now: now)
        let told = [ExpressionValue.string(webhook.definition.entity), .string(webhook.definition.hook.rawValue)]
        return try value(condition, names + told, of: index, in: rows).isTruthy
    }
}
