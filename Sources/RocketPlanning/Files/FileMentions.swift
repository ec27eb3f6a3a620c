package import RocketModel

/// The uploaded files that the payload of a write names, in its own file fields and in those of the rows below it: by
/// their ids or by objects that have one.
package struct FileMentions: Sendable {
    private let payload: JSONObject
    private let entity: EntityModel
    private let snapshot: AppSnapshot

    /// Nil where no file field is given a value.
    package init?(_ payload: JSONObject, of entity: EntityModel, _ snapshot: AppSnapshot) {
        guard snapshot.hasFiles else { return nil }
        self.payload = payload
        self.entity = entity
        self.snapshot = snapshot
        var hasFiles = false
        _ = Self.map(payload, entity, snapshot) { value in
            if value != .null { hasFiles = true }
            return value
        }
        guard hasFiles else { return nil }
    }

    package var ids: [UniqueID] {
        var ids: Set<UniqueID> = []
        _ = Self.map(payload, entity, snapshot) { value in
            if let id = Self.id(of: value) { ids.insert(id) }
            return value
        }
        return Array(ids)
    }

    /// The payload with what is known of each file in the place of its mention; where nothing is known the id stands
    /// alone, so that nobody's own words on a file are kept.
    package func resolved(_ files: [UniqueID: JSONValue]) -> JSONObject {
        Self.map(payload, entity, snapshot) { value in
            guard let id = Self.id(of: value) else { return value }
            return files[id] ?? .string(id.text)
        }
    }

    private static func id(of value: JSONValue) -> UniqueID? {
        switch value {
        case .string(let text): UniqueID(text)
        case .object(let object): object["id"]?.stringValue.flatMap(UniqueID.init)
        default: nil
        }
    }

    private static func map(
        _ payload: JSONObject,
        _ entity: EntityModel,
        _ snapshot: AppSnapshot,
        _ change: (JSONValue) -> JSONValue
    ) -> JSONObject {
        let members = payload.members.map { member -> JSONObject.Member in
            if let index = entity.index(of: member.name) {
                guard entity.fileFields.contains(index) else { return member }
                return JSONObject.Member(name: member.name, value: change(member.value))
            }
            guard let side = entity.relation(member.name), let other = snapshot.model(side.other) else { return member }
            return JSONObject.Member(name: member.name, value: mapRows(member.value, other, snapshot, change))
        }
        return JSONObject(uniqueMembers: members)
    }

    /// Rows as a relation takes them: a list, one object, or either below `data`.
    private static func mapRows(
        _ value: JSONValue,
        _ entity: EntityModel,
        _ snapshot: AppSnapshot,
        _ change: (JSONValue) -> JSONValue
    ) -> JSONValue {
        switch value {
        case .array(let rows):
            return .array(
                rows.map { row in row.objectValue.map { .object(map($0, entity, snapshot, change)) } ?? row }
            )
        case .object(let object):
            guard let data = object["data"], entity.index(of: "data") == nil else {
                return .object(map(object, entity, snapshot, change))
            }
            var object = object
            object["data"] = mapRows(data, entity, snapshot, change)
            return .object(object)
        default: return value
        }
    }
}
