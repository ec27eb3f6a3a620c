package import RocketModel

/// How one set of definitions differs from another, in words, for who is about to put one in the place of the other.
package struct DefinitionDifference: Sendable, Hashable {
    package enum Action: String, Sendable {
        case add
        case change
        case remove
    }

    /// What is different about one definition.
    package struct Change: Sendable, Hashable {
        package let kind: DefinitionKind
        /// What it is known by: its name, or what tells it from others of its kind.
        package let name: String
        package let action: Action
        /// `fields.title.required: false → true`
        package let details: [String]
        /// What somebody may come to regret; nil for nothing.
        package let risk: String?

        package var json: JSONValue {
            var object: JSONObject = [
                "kind": .string(kind.rawValue), "name": .string(name), "action": .string(action.rawValue),
                "details": .array(details.map(JSONValue.string)),
            ]
            object["risk"] = risk.map(JSONValue.string)
            return .object(object)
        }
    }

    package let changes: [Change]

    /// Definitions are the same by their name or, where they have none, by their id.
    package init(from old: DefinitionSet, to new: DefinitionSet) {
        changes = Self.entities(old, new) + Self.relations(old, new) + Self.others(old, new)
    }

    // MARK: kinds

    private static func entities(_ old: DefinitionSet, _ new: DefinitionSet) -> [Change] {
        pairs(old.entities, new.entities, by: \.name).compactMap { before, after in
            switch (before, after) {
            case (let before?, let after?):
                change(.entities, after.name, before.json, after.json, risk: risk(from: before, to: after))
            case (nil, let after?): add(.entities, after.name, ["\(after.fields.count) fields"])
            case (let before?, nil):
                remove(
                    .entities,
                    before.name,
                    "its records can't be reached any more; the table \"\(before.table)\" is kept"
                )
            case (nil, nil): nil
            }
        }
    }

    private static func risk(from old: EntityDefinition, to new: EntityDefinition) -> String? {
        var risks: [String] = []
        for field in old.fields {
            guard let other = new.field(field.name) else {
                risks.append("\"\(field.name)\" is not read or written any more; its column is kept")
                continue
            }
            if other.shape != field.shape, !(other.type.isText && field.type.isText) {
                risks.append("the values of \"\(field.name)\" become \(other.type.rawValue)")
            }
            if other.isMandatory, !field.isMandatory {
                risks.append("writes without \"\(field.name)\" are refused from then on")
            }
            if other.unique, !field.unique { risks.append("a second \"\(field.name)\" of one value is refused") }
            if let allowed = other.allowedValues, allowed != field.allowedValues {
                risks.append("values of \"\(field.name)\" that are not listed are refused")
            }
        }
        for field in new.fields where old.field(field.name) == nil {
            if field.isMandatory, field.defaultValue == nil {
                risks.append("writes without \"\(field.name)\" are refused from then on")
            }
        }
        for index in new.indexes where index.unique && !old.indexes.contains(index) {
            risks.append(
                "a second record with the same \(index.columns.map(\.field).joined(separator: ", ")) is refused"
            )
        }
        if old.softDelete != new.softDelete {
            risks.append(
                new.softDelete ? "records that are deleted are kept from then on" : "records that are deleted are gone"
            )
        }
        return risks.isEmpty ? nil : risks.joined(separator: "; ")
    }

    private static func relations(_ old: DefinitionSet, _ new: DefinitionSet) -> [Change] {
        pairs(old.relations, new.relations, by: \.name).compactMap { before, after in
            switch (before, after) {
            case (let before?, let after?):
                change(
                    .relations,
                    after.name,
                    before.json,
                    after.json,
                    risk: "what a delete takes with it, and which keys are taken, may change"
                )
            case (nil, let after?): add(.relations, after.name, ["\(after.source) → \(after.target)"])
            case (let before?, nil):
                remove(
                    .relations,
                    before.name,
                    "includes and nested writes by it are refused, and keys are not checked"
                )
            case (nil, nil): nil
            }
        }
    }

    private static func others(_ old: DefinitionSet, _ new: DefinitionSet) -> [Change] {
        DefinitionKind.allCases.flatMap { kind -> [Change] in
            let before = old.others.filter { $0.kind == kind }
            let after = new.others.filter { $0.kind == kind }
            return pairs(before, after, by: \.id).compactMap { before, after in
                switch (before, after) {
                case (let before?, let after?):
                    guard before.content != after.content else { return nil }
                    let hasNewSecret = before.content["secret"] != after.content["secret"]
                    return change(
                        kind,
                        after.title,
                        .object(before.withoutSecret),
                        .object(after.withoutSecret),
                        more: hasNewSecret ? ["secret: another one"] : [],
                        risk: kind.riskOfChange
                    )
                case (nil, let after?): return add(kind, after.title, [], risk: kind.riskOfAddition)
                case (let before?, nil): return remove(kind, before.title, kind.riskOfRemoval)
                case (nil, nil): return nil
                }
            }
        }
    }

    private static func pairs<Item>(_ old: [Item], _ new: [Item], by name: (Item) -> String) -> [(Item?, Item?)] {
        let before = Dictionary(old.map { (name($0), $0) }, uniquingKeysWith: { first, _ in first })
        let after = Set(new.map(name))
        return new.map { (before[name($0)], $0) } + old.filter { !after.contains(name($0)) }.map { ($0, nil) }
    }

    private static func add(_ kind: DefinitionKind, _ name: String, _ details: [String], risk: String? = nil) -> Change
    {
        Change(kind: kind, name: name, action: .add, details: details, risk: risk)
    }

    private static func remove(_ kind: DefinitionKind, _ name: String, _ risk: String?) -> Change {
        Change(kind: kind, name: name, action: .remove, details: [], risk: risk)
    }

    private static func change(
        _ kind: DefinitionKind,
        _ name: String,
        _ old: JSONValue,
        _ new: JSONValue,
        more: [String] = [],
        risk: String?
    ) -> Change? {
        let details = lines(old, new, at: "") + more
        return details.isEmpty ? nil : Change(kind: kind, name: name, action: .change, details: details, risk: risk)
    }

    // MARK: values

    private static func lines(_ old: JSONValue?, _ new: JSONValue?, at path: String) -> [String] {
        guard old != new else { return [] }
        switch (old, new) {
        case (.object(let before)?, .object(let after)?):
            let names = before.names + after.names.filter { before[$0] == nil }
            return names.flatMap { lines(before[$0], after[$0], at: path.isEmpty ? $0 : "\(path).\($0)") }
        case (.array(let before)?, .array(let after)?):
            guard let before = named(before), let after = named(after) else {
                return ["\(path): \(shown(old)) → \(shown(new))"]
            }
            let names = before.map(\.0) + after.map(\.0).filter { name in !before.contains { $0.0 == name } }
            let inside = names.flatMap { name in
                lines(
                    before.first { $0.0 == name }?.1,
                    after.first { $0.0 == name }?.1,
                    at: "\(path).\(name)"
                )
            }
            return inside.isEmpty ? ["\(path): in another order"] : inside
        case (nil, let value?): return ["\(path): added \(shown(value))"]
        case (let value?, nil): return ["\(path): removed \(shown(value))"]
        default: return ["\(path): \(shown(old)) → \(shown(new))"]
        }
    }

    /// Items that have names or ids of their own, with them; nil where one has none.
    private static func named(_ items: [JSONValue]) -> [(String, JSONValue)]? {
        var named: [(String, JSONValue)] = []
        for item in items {
            guard let object = item.objectValue, let name = (object["name"] ?? object["id"])?.stringValue,
                !named.contains(where: { $0.0 == name })
            else { return nil }
            named.append((name, item))
        }
        return named
    }

    private static let longest = 200

    private static func shown(_ value: JSONValue?) -> String {
        let text = value?.jsonText ?? "nothing"
        return text.count > longest ? "\(text.prefix(longest))…" : text
    }
}

extension StoredDefinition {
    /// What it is known by among its kind, for people.
    package var title: String {
        if let name { return name }
        let inner = content["definition"]?.objectValue
        let parts: [String?]
        switch kind {
        case .entities, .relations, .workflows: parts = []
        case .stateMachines: parts = [entity, content["field"]?.stringValue]
        case .rules:
            parts = [
                entity, content["type"]?.stringValue,
                inner?["field"]?.stringValue ?? inner?["expression"]?.stringValue,
            ]
        case .permissions:
            let roles = (content["roles"]?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: ", ")
            parts = [entity, content["action"]?.stringValue, roles.isEmpty ? nil : "for \(roles)"]
        case .webhooks: parts = [entity, content["hook"]?.stringValue, content["url"]?.stringValue]
        }
        return parts.compactMap(\.self).joined(separator: " ")
    }

    fileprivate var withoutSecret: JSONObject {
        JSONObject(uniqueMembers: content.members.filter { $0.name != "secret" })
    }
}

extension DefinitionKind {
    fileprivate var riskOfAddition: String? {
        switch self {
        case .entities, .relations: nil
        case .rules, .stateMachines: "writes that are taken now may be refused"
        case .permissions: "gives access"
        case .workflows: "begins to act by itself"
        case .webhooks: "tells somebody outside of writes"
        }
    }

    fileprivate var riskOfChange: String? {
        switch self {
        case .entities, .relations: nil
        case .webhooks: "somebody else may be told of writes"
        case .rules, .stateMachines: "writes that are taken now may be refused, and the other way round"
        case .permissions: "gives or takes access"
        case .workflows: "instances that run go on by the text that they began with"
        }
    }

    fileprivate var riskOfRemoval: String? {
        switch self {
        case .entities, .relations: nil
        case .rules, .stateMachines: "writes that are refused now are taken"
        case .permissions: "takes access"
        case .workflows: "nothing starts it any more"
        case .webhooks: "what waits to be sent to it is not sent any more"
        }
    }
}
