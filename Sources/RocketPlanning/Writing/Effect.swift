package import RocketModel

/// Something that is recorded in the transaction of a write, to be done after it.
package enum Effect: Sendable {
    /// A call that a transition makes.
    case call(WebhookCall, row: Int)
    /// An event for whoever listens.
    case event(String, payload: JSONObject, row: Int)
}

/// What an effect says of the record that set it off.
package struct EffectRecord: Sendable {
    package let entity: String
    package let key: FieldValue?
    package let action: RecordAction
    /// As it is stored when all is written.
    package let record: JSONObject
    /// As it was; nil where it is new.
    package let old: JSONObject?
    /// The fields whose values differ, as `{field: {old, new}}`.
    package let changes: JSONObject
}

extension PlannedRow {
    package var effectRecord: EffectRecord {
        func object(_ value: (Int) -> FieldValue?) -> JSONObject {
            JSONObject(
                uniqueMembers: entity.fields.indices.map { index in
                    JSONObject.Member(name: entity.fields[index].name, value: (value(index) ?? .null).json)
                }
            )
        }
        let changes = changes.map { index in
            JSONObject.Member(
                name: entity.fields[index].name,
                value: ["old": (storedValue(index) ?? .null).json, "new": (value(index) ?? .null).json]
            )
        }
        return EffectRecord(
            entity: entity.name,
            key: key,
            action: action.recordAction,
            record: object(value),
            old: stored.map { _ in object(storedValue) },
            changes: JSONObject(uniqueMembers: changes)
        )
    }
}
