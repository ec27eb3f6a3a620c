package import RocketModel

/// What a caller sees of a record's history: of its fields what is readable of the record as it is now, of its relations
/// those of which the caller may read every record. Of what the entity has no longer, administrators alone see what was
/// kept.
package struct HistoryView: Sendable {
    private let entity: EntityModel
    private let access: Access
    private let fields: Set<String>

    /// - Parameter fields: the names of the fields that the caller may read of the record; nil for all.
    package init(of entity: EntityModel, _ access: Access, fields: Set<String>?) {
        self.entity = entity
        self.access = access
        self.fields = fields ?? Set(entity.fieldNames)
    }

    /// `{"id", "action", "changes": {field: {"old", "new"}}, "user", "request_id", "at"}`; changes that are too large for a
    /// page are null.
    package func json(_ entry: StoredHistoryEntry) -> JSONObject {
        var changes: [JSONObject.Member] = []
        for name in names(entry) where isVisible(name) {
            let (old, new) = (value(entry.old[name], name), value(entry.new[name], name))
            guard old != new else { continue }
            changes.append(JSONObject.Member(name: name, value: ["old": old, "new": new]))
        }
        return [
            "id": .integer(entry.number), "action": .string(entry.action),
            "changes": entry.isWhole ? .object(JSONObject(uniqueMembers: changes)) : .null,
            "user": entry.user.map(JSONValue.object) ?? .null,
            "request_id": entry.requestID.map(JSONValue.string) ?? .null, "at": .string(entry.at.rfc3339),
        ]
    }

    /// In the order of the metadata, and then what that does not know.
    private func names(_ entry: StoredHistoryEntry) -> [String] {
        let kept = entry.old.names + entry.new.names.filter { entry.old[$0] == nil }
        let known = entity.fieldNames.filter { entry.old[$0] != nil || entry.new[$0] != nil }
        return known + kept.filter { entity.index(of: $0) == nil }
    }

    private func isVisible(_ name: String) -> Bool {
        if entity.index(of: name) != nil { return fields.contains(name) }
        if let side = entity.relation(name) { return showsAll(side) }
        return access.principal.isAdmin
    }

    /// Keys of records tell that these are there.
    private func showsAll(_ side: RelationSide) -> Bool {
        guard let other = access.snapshot.model(side.other), access.mayInclude(side, of: entity) else { return false }
        return access.grantIfAny(.read, on: other)?.isUnlimited ?? false
    }

    /// What a caller sees of who is not shown all of a record: nil where nothing is hidden. An update of other things is
    /// none of the caller's business, not even that there was one.
    package var visibleNames: [String]? {
        let relations = entity.relations.filter(\.isSource)
        let shown = entity.fieldNames.filter(fields.contains) + relations.filter(showsAll).map(\.name)
        return shown.count < entity.fieldNames.count + relations.count ? shown : nil
    }

    /// As an answer would show it today, where it still fits the field.
    private func value(_ kept: JSONValue?, _ name: String) -> JSONValue {
        guard let kept, kept != .null else { return .null }
        guard let field = entity.field(name) else { return kept }
        do throws(CoercionFailure) { return try field.shape.value(of: kept).json } catch { return kept }
    }
}
