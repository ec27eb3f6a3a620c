import RocketDatabase
import RocketModel
import RocketPlanning

/// Turns what a write leaves to be done into rows of the outbox.
struct EventRecorder {
    let principal: Principal
    let now: Timestamp
    let newID: @Sendable () -> UniqueID
    let store: OutboxStore

    /// How often a call of a transition is tried, the first time included.
    private static let maximumAttempts = 3

    func statements(_ effects: [Effect], of tree: WriteTree) -> [SQLStatement] {
        var deliveries: [OutboxStore.Delivery] = []
        var events: [OutboxStore.Event] = []
        for effect in effects {
            switch effect {
            case .call(let call, let row): deliveries.append(delivery(call, tree.rows[row].effectRecord))
            case .event(let name, let payload, let row):
                events.append(event(name, payload, tree.rows[row].effectRecord))
            }
        }
        return store.inserts(deliveries, now: now) + store.inserts(events, now: now)
    }

    private func delivery(_ call: WebhookCall, _ record: EffectRecord) -> OutboxStore.Delivery {
        let id = newID().text
        let idempotencyKey = "wh_\(id)"
        var body: JSONObject = [
            "event": "state_change", "entity": .string(record.entity), "action": .string(record.action.rawValue),
            "record": .object(record.record),
        ]
        body["old"] = record.old.map(JSONValue.object)
        body["changes"] = .object(record.changes)
        body["user"] = .object(user)
        body["timestamp"] = .string(now.rfc3339)
        body["idempotency_key"] = .string(idempotencyKey)
        return OutboxStore.Delivery(
            id: id,
            webhookID: nil,
            entity: record.entity,
            recordID: text(record.key),
            hook: "state_change",
            call: call,
            body: JSONValue.object(body).jsonText,
            maximumAttempts: Self.maximumAttempts,
            idempotencyKey: idempotencyKey
        )
    }

    private func event(_ name: String, _ payload: JSONObject, _ record: EffectRecord) -> OutboxStore.Event {
        OutboxStore.Event(
            id: newID().text,
            name: name,
            payload: payload,
            entity: record.entity,
            recordID: text(record.key),
            record: record.record,
            user: user
        )
    }

    private var user: JSONObject {
        ["id": .string(principal.userID), "roles": .array(principal.appRoles.map(JSONValue.string))]
    }

    private func text(_ key: FieldValue?) -> String {
        switch key?.json {
        case .string(let text)?: text
        case let json?: json.jsonText
        case nil: ""
        }
    }
}
