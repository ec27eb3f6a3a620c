import RocketDatabase
import RocketModel
import RocketPlanning

/// How deep one write may set off another, by calls and workflows.
package enum EventDepth {
    /// Where writes set each other off without end, this ends it.
    package static let maximum = 16

    /// Why a workflow does not begin; nil where it may.
    static func problem(at depth: Int) -> String? {
        depth >= maximum
            ? "not begun: \(maximum) writes have set each other off before this one, by webhooks or workflows" : nil
    }
}

/// Turns what a write leaves to be done into rows of the outbox.
struct EventRecorder {
    let principal: Principal
    let now: Timestamp
    let newID: @Sendable () -> UniqueID
    let store: OutboxStore
    let workflows: WorkflowStore
    var cause = Cause.none
    /// The calls that the write waits for.
    private(set) var awaited: [AwaitedCall] = []

    init(principal: Principal, now: Timestamp, snapshot: AppSnapshot, _ setting: OperationSetting) {
        self.principal = principal
        self.now = now
        newID = setting.dependencies.newID
        store = OutboxStore(snapshot.dialect)
        workflows = WorkflowStore(snapshot.dialect)
        cause = setting.cause
    }

    private static let tooDeep =
        "not sent: \(EventDepth.maximum) writes have set each other off before this one, by webhooks or workflows"

    /// How often a call of a transition is tried, the first time included.
    private static let maximumAttempts = WebhookDefinition.defaultAttempts

    /// - Parameters:
    ///   - effects: what transitions do, by the rows' indexes.
    ///   - rows: with their keys.
    ///   - announcements: what webhooks are told; those that the write waits for go to ``awaited``.
    mutating func statements(
        _ effects: [Effect],
        of rows: [PlannedRow],
        _ announcements: [Announcement]
    ) -> [SQLStatement] {
        var deliveries: [OutboxStore.Delivery] = []
        var events: [OutboxStore.Event] = []
        for effect in effects {
            switch effect {
            case .call(let call, let row): deliveries.append(delivery(call, rows[row].effectRecord))
            case .event(let name, let payload, let row): events.append(event(name, payload, rows[row].effectRecord))
            }
        }
        var starts: [WorkflowStore.Start] = []
        for announcement in announcements {
            switch announcement.listener {
            case .webhook(let webhook) where webhook.definition.hook.isSynchronous:
                let call = delivery(announcement, webhook)
                awaited.append(AwaitedCall(delivery: call, sealedSecret: webhook.definition.sealedSecret))
            case .webhook(let webhook): deliveries.append(delivery(announcement, webhook))
            case .workflow(let trigger): starts.append(start(announcement, trigger.workflow))
            }
        }
        return store.inserts(deliveries, now: now) + store.inserts(events, now: now)
            + workflows.inserts(starts, now: now)
    }

    /// What an instance has sent.
    func events(_ events: [(name: String, payload: JSONObject)], of instance: WorkflowInstance) -> [SQLStatement] {
        store.inserts(
            events.map { name, payload in
                OutboxStore.Event(
                    id: newID().text,
                    name: name,
                    payload: payload,
                    entity: "",
                    recordID: "",
                    record: JSONObject(),
                    user: user,
                    cause: cause
                )
            },
            now: now
        )
    }

    private func start(_ announcement: Announcement, _ workflow: StoredWorkflow) -> WorkflowStore.Start {
        let record = announcement.record
        let trigger: JSONObject = [
            "record": .object(record.record), "record_id": record.key?.json ?? .null,
            "old": record.old.map(JSONValue.object) ?? .null, "user": .object(user),
            "entity": .string(record.entity), "action": .string(record.action.rawValue),
        ]
        let instance = WorkflowInstance(
            id: newID().text,
            workflowID: workflow.id,
            workflowName: workflow.definition.name,
            version: workflow.version,
            context: workflow.context(of: trigger),
            cause: cause.next
        )
        return WorkflowStore.Start(
            instance,
            entity: record.entity,
            recordID: record.key?.keyText ?? "",
            problem: announcement.problem ?? EventDepth.problem(at: cause.depth)
                ?? WorkflowBounds.problem(with: instance.context)
        )
    }

    private func delivery(_ announcement: Announcement, _ webhook: Webhook) -> OutboxStore.Delivery {
        return delivery(
            webhook.definition.call,
            announcement.record,
            hook: webhook.definition.hook.rawValue,
            webhookID: webhook.id,
            maximumAttempts: webhook.definition.maximumAttempts,
            backoff: webhook.definition.backoff,
            problem: announcement.problem
        )
    }

    private func delivery(
        _ call: WebhookCall,
        _ record: EffectRecord,
        hook: String = "state_change",
        webhookID: String? = nil,
        maximumAttempts: Int = Self.maximumAttempts,
        backoff: Backoff = .exponential,
        problem: String? = nil
    ) -> OutboxStore.Delivery {
        let id = newID().text
        let idempotencyKey = "wh_\(id)"
        var body: JSONObject = [
            "event": .string(hook), "entity": .string(record.entity), "action": .string(record.action.rawValue),
            "record": .object(record.record),
        ]
        body["old"] = record.old.map(JSONValue.object)
        if record.action == .update { body["changes"] = .object(record.changes) }
        body["user"] = .object(user)
        body["timestamp"] = .string(now.rfc3339)
        body["idempotency_key"] = .string(idempotencyKey)
        return OutboxStore.Delivery(
            id: id,
            webhookID: webhookID,
            entity: record.entity,
            recordID: record.key?.keyText ?? "",
            hook: hook,
            call: call,
            body: JSONValue.object(body).jsonText,
            maximumAttempts: maximumAttempts,
            backoff: backoff,
            idempotencyKey: idempotencyKey,
            cause: cause,
            problem: problem ?? (cause.depth >= EventDepth.maximum ? Self.tooDeep : nil)
        )
    }

    private func event(_ name: String, _ payload: JSONObject, _ record: EffectRecord) -> OutboxStore.Event {
        OutboxStore.Event(
            id: newID().text,
            name: name,
            payload: payload,
            entity: record.entity,
            recordID: record.key?.keyText ?? "",
            record: record.record,
            user: user,
            cause: cause
        )
    }

    private var user: JSONObject {
        ["id": .string(principal.userID), "roles": .array(principal.appRoles.map(JSONValue.string))]
    }
}
