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

/// Somebody who is told of a row: a webhook, or a workflow that it starts.
package struct Announcement: Sendable {
    package enum Listener: Sendable {
        case webhook(Webhook)
        case workflow(WorkflowTrigger)
    }

    package let listener: Listener
    package let record: EffectRecord
    /// Why it can't be told; nil where it can.
    package let problem: String?
}

extension RuleRun {
    /// The webhooks that a row sets off, in the order of their age, and the workflows that it starts.
    ///
    /// - Throws: 422 where the condition of one that the write waits for can't be evaluated.
    mutating func announcements(
        of index: Int,
        in rows: [PlannedRow],
        _ logic: EntityLogic
    ) throws(RequestFailure) -> [Announcement] {
        var announcements: [Announcement] = []
        for webhook in logic.webhooks where webhook.concerns(rows[index]) {
            let hook = webhook.definition.hook
            let wanted = wanted(webhook.condition, webhook.problem, event: hook.rawValue, index, rows, logic)
            guard wanted.isWanted else { continue }
            if let problem = wanted.problem, hook.isSynchronous {
                let message = "the webhook \(webhook.id) can't be asked: \(problem)"
                throw .validation([rows[index].detail(nil, .expression, message)])
            }
            announcements.append(
                Announcement(listener: .webhook(webhook), record: rows[index].effectRecord, problem: wanted.problem)
            )
        }
        for trigger in logic.triggers where trigger.concerns(rows[index]) {
            let event = trigger.workflow.definition.trigger.word
            let wanted = wanted(trigger.condition, trigger.problem, event: event, index, rows, logic)
            guard wanted.isWanted else { continue }
            announcements.append(
                Announcement(listener: .workflow(trigger), record: rows[index].effectRecord, problem: wanted.problem)
            )
        }
        return announcements
    }

    /// A condition that can't be evaluated wants it told that it can't.
    private mutating func wanted(
        _ condition: RuleProgram?,
        _ problem: String?,
        event: String,
        _ index: Int,
        _ rows: [PlannedRow],
        _ logic: EntityLogic
    ) -> (isWanted: Bool, problem: String?) {
        if let problem { return (true, problem) }
        guard let condition else { return (true, nil) }
        let names = logic.names.values(of: rows[index], logic.mask, user: principal, now: now)
        let told = [ExpressionValue.string(rows[index].entity.name), .string(event)]
        do throws(EvaluationFailure) {
            return (try value(condition, names + told, of: index, in: rows).isTruthy, nil)
        } catch {
            return (true, "its condition can't be evaluated: \(error.message)")
        }
    }
}

extension WorkflowDefinition.Trigger {
    /// Its type, as definitions write it.
    var word: String {
        switch self {
        case .stateChange: "state_change"
        case .record: "record"
        case .event: "event"
        case .schedule: "schedule"
        }
    }
}
