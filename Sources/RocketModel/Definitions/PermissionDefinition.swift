/// A policy, as metadata describes it: who may do what with which records of an entity. Policies are a whitelist, and
/// alternatives of each other.
package struct PermissionDefinition: Sendable, Hashable {
    package enum Action: String, Sendable, CaseIterable {
        case read
        case create
        case update
        case delete
    }

    /// A comparison of a field with a value, or with what `$user.id`, `$user.email`, `$user.roles`, `$user.attributes.…`
    /// and `$now` stand for.
    package struct Condition: Sendable, Hashable {
        /// A field, or a field at the end of relations: `customer.owner_id`.
        package let field: String
        package let comparison: String
        package let value: JSONValue
    }

    package let entity: String
    package let action: Action
    package let roles: [String]
    /// What must hold of the record as it is stored, or, where it is made, as it will be; all of it.
    package let conditions: [Condition]
    /// What must hold of an updated record after the change; nil for nothing.
    package let check: [Condition]?
    /// Which fields may be read or written.
    package let fields: Fields

    package enum Fields: Sendable, Hashable {
        case all
        case only([String])
        case except([String])
    }

    /// In `roles`: whoever has signed in.
    package static let anySignedIn = "*"
    /// In `roles`: whoever comes, without a token too.
    package static let anonymous = "anonymous"

    package static let comparisons = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "like", "is_null"]

    /// Reads a policy that was checked when it was saved.
    package init(stored content: JSONObject) {
        var reader = DefinitionReader(content)
        self = Self.read(&reader, [:])
    }

    private init(
        entity: String,
        action: Action,
        roles: [String],
        conditions: [Condition],
        check: [Condition]?,
        fields: Fields
    ) {
        self.fields = fields
        self.entity = entity
        self.action = action
        self.roles = roles
        self.conditions = conditions
        self.check = check
    }

    /// - Parameter known: the field names of each entity, to find dangling names with.
    static func read(_ reader: inout DefinitionReader, _ known: [String: [String]]) -> PermissionDefinition {
        let entity = reader.entity(in: known)
        let action = reader.requiredWord("action", as: Action.self)
        let roles = reader.strings("roles") ?? []
        for (index, role) in roles.enumerated() where role.isEmpty {
            reader.violate("roles[\(index)]", .required, "a role has a name")
        }
        if reader.object["conditions"] == .null {
            reader.violate("conditions", .type, "expected an array of conditions, got null")
        }
        let conditions = readConditions("conditions", &reader)
        let check = reader.object["check"] ?? .null == .null ? nil : readConditions("check", &reader)
        _ = reader.value("check")
        if check != nil, let action, action != .update {
            reader.violate(
                "check",
                .type,
                "is for updates: \"conditions\" of a create hold of the record as it is made"
            )
        }
        return PermissionDefinition(
            entity: entity,
            action: action ?? .read,
            roles: roles,
            conditions: conditions,
            check: check,
            fields: readFields(&reader, action, known[entity])
        )
    }

    private static func readFields(_ reader: inout DefinitionReader, _ action: Action?, _ known: [String]?) -> Fields {
        var fields = Fields.all
        for (name, make) in [("fields", Fields.only), ("except", Fields.except)] {
            // Whoever sends null means something narrower than all.
            if reader.object[name] == .null {
                reader.violate(name, .type, "expected an array of field names, got null")
            }
            guard let names = reader.strings(name) else { continue }
            for (index, field) in names.enumerated() {
                if let known, !known.contains(field) {
                    let hint = suggestion(for: field, among: known)
                    reader.violate("\(name)[\(index)]", .unknown, "there is no field \"\(field)\"\(hint)")
                }
            }
            if fields != .all { reader.violate("except", .type, "a policy has either \"fields\" or \"except\"") }
            if action == .delete { reader.violate(name, .type, "a record is deleted with all its fields") }
            fields = make(names)
        }
        return fields
    }

    private static func readConditions(_ name: String, _ reader: inout DefinitionReader) -> [Condition] {
        var conditions: [Condition] = []
        for (object, path) in reader.objects(name) ?? [] {
            var inner = DefinitionReader(object, path: path)
            let field = inner.requiredString("field")
            let comparison = inner.oneOf("operator", comparisons, default: nil)
            let value = inner.value("value") ?? .null
            if value == .null { inner.violate("value", .required, "is required; ask for null with is_null") }
            inner.refuseUnknownMembers()
            reader.include(inner.violations)
            conditions.append(Condition(field: field, comparison: comparison, value: value))
        }
        return conditions
    }

    /// The definition with its defaults filled in, as it is stored and answered.
    package var json: JSONObject {
        var object: JSONObject = [
            "entity": .string(entity), "action": .string(action.rawValue),
            "roles": .array(roles.map(JSONValue.string)), "conditions": .array(conditions.map(\.json)),
        ]
        object["check"] = check.map { .array($0.map(\.json)) }
        switch fields {
        case .all: break
        case .only(let names): object["fields"] = .array(names.map(JSONValue.string))
        case .except(let names): object["except"] = .array(names.map(JSONValue.string))
        }
        return object
    }
}

extension PermissionDefinition.Condition {
    package var json: JSONValue {
        ["field": .string(field), "operator": .string(comparison), "value": value]
    }
}
