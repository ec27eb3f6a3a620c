import RocketModel

/// Makes policies out of definitions, or says what is wrong with them. One that can't be run allows nothing.
struct PolicyCompiler {
    private let models: [String: EntityModel]
    private(set) var policies: [String: [RecordAction: [Policy]]] = [:]
    private(set) var broken: [BrokenDefinition] = []

    init(_ definitions: DefinitionSet, _ models: [String: EntityModel]) {
        self.models = models
        var count = 0
        for definition in definitions.others where definition.kind == .permissions {
            let path = "\(DefinitionKind.permissions.rawValue)[\(count)]"
            count += 1
            add(definition, at: path)
        }
    }

    private mutating func add(_ definition: StoredDefinition, at path: String) {
        let permission = PermissionDefinition(stored: definition.content)
        var violations: [FailureDetail] = []
        func violate(_ member: String, _ rule: ViolatedRule, _ message: String) {
            violations.append(FailureDetail(field: "\(path).\(member)", rule: rule, message: message))
        }
        guard let entity = models[permission.entity] else {
            let hint = suggestion(for: permission.entity, among: models.keys)
            violate("entity", .unknown, "there is no entity \"\(permission.entity)\"\(hint)")
            broken.append(BrokenDefinition(definition: definition, path: path, violations: violations))
            return
        }
        func compile(_ conditions: [PermissionDefinition.Condition], _ member: String) -> [PolicyCondition] {
            conditions.enumerated().compactMap { index, condition in
                do throws(Mistake) {
                    return try self.compile(condition, of: entity)
                } catch {
                    violate("\(member)[\(index)].\(error.member)", error.rule, error.message)
                    return nil
                }
            }
        }
        let policy = Policy(
            id: definition.id,
            roles: permission.roles,
            conditions: compile(permission.conditions, "conditions"),
            check: permission.check.map { compile($0, "check") },
            fields: Self.fields(permission.fields, of: entity, violate)
        )
        guard violations.isEmpty else {
            broken.append(BrokenDefinition(definition: definition, path: path, violations: violations))
            return
        }
        policies[permission.entity, default: [:]][RecordAction(permission.action), default: []].append(policy)
    }

    /// The key goes with whatever may be read: without it no row could be named.
    private static func fields(
        _ fields: PermissionDefinition.Fields,
        of entity: EntityModel,
        _ violate: (String, ViolatedRule, String) -> Void
    ) -> Set<Int>? {
        let (member, names) =
            switch fields {
            case .all: ("", [String]())
            case .only(let names): ("fields", names)
            case .except(let names): ("except", names)
            }
        var indexes: Set<Int> = []
        for (place, name) in names.enumerated() {
            if let index = entity.index(of: name) {
                indexes.insert(index)
            } else {
                let hint = suggestion(for: name, among: entity.fieldNames)
                violate("\(member)[\(place)]", .unknown, "\"\(entity.name)\" has no field \"\(name)\"\(hint)")
            }
        }
        switch fields {
        case .all: return nil
        case .only: return indexes.union([entity.keyIndex])
        case .except: return Set(entity.fields.indices).subtracting(indexes).union([entity.keyIndex])
        }
    }

    private struct Mistake: Error {
        let member: String
        let rule: ViolatedRule
        let message: String
    }

    private func compile(
        _ condition: PermissionDefinition.Condition,
        of entity: EntityModel
    ) throws(Mistake) -> PolicyCondition {
        let names = RecordQuery.pieces(Substring(condition.field))
        var path: [(side: RelationSide, other: EntityModel)] = []
        var last = entity
        guard names.count <= Self.maximumPath else {
            throw Mistake(
                member: "field",
                rule: .type,
                message: "leads through more than \(Self.maximumPath) relations"
            )
        }
        for name in names.dropLast() {
            guard let side = last.relation(name), let other = models[side.other] else {
                let hint = suggestion(for: name, among: last.relations.map(\.name))
                throw Mistake(
                    member: "field",
                    rule: .unknown,
                    message: "\"\(last.name)\" has no relation \"\(name)\"\(hint)"
                )
            }
            path.append((side, other))
            last = other
        }
        guard let field = last.field(names.last ?? "") else {
            let hint = suggestion(for: names.last ?? "", among: last.fieldNames)
            throw Mistake(
                member: "field",
                rule: .unknown,
                message: "\"\(last.name)\" has no field \"\(names.last ?? "")\"\(hint)"
            )
        }
        guard let comparison = FilterOperator(rawValue: condition.comparison),
            comparison.isAllowed(on: field.shape.type)
        else {
            throw Mistake(
                member: "operator",
                rule: .type,
                message: "\"\(condition.comparison)\" does not go with \"\(field.name)\", which is"
                    + " \(field.shape.type.rawValue)"
            )
        }
        return PolicyCondition(
            path: path,
            own: entity,
            field: field,
            comparison: comparison,
            value: try value(condition, comparison, field, last),
            definition: condition
        )
    }

    private static let maximumPath = 10

    private func value(
        _ condition: PermissionDefinition.Condition,
        _ comparison: FilterOperator,
        _ field: FieldModel,
        _ entity: EntityModel
    ) throws(Mistake) -> PolicyValue {
        guard case .string(let text) = condition.value, text.hasPrefix("$") else {
            if condition.value.arrayValue?.contains(where: { $0.stringValue?.hasPrefix("$") ?? false }) ?? false {
                let message =
                    "a list has plain values; $user.roles and $user.attributes.… stand for lists by themselves"
                throw Mistake(member: "value", rule: .type, message: message)
            }
            do throws(CoercionFailure) {
                let name = comparison == .equal ? field.name : "\(field.name).\(comparison.rawValue)"
                return .constants(try FieldCondition(name, condition.value, of: entity).values)
            } catch {
                throw Mistake(member: "value", rule: .type, message: error.message)
            }
        }
        let isList = comparison == .isIn || comparison == .isNotIn
        let known = ["$user.id", "$user.email", "$user.roles", "$user.attributes.name", "$now"]
        let value: PolicyValue
        switch text {
        case "$user.id": value = .userID
        case "$user.email": value = .userEmail
        case "$user.roles":
            guard isList else {
                throw Mistake(member: "operator", rule: .type, message: "$user.roles goes with in and not_in only")
            }
            value = .userRoles
        case "$now": value = .now
        case _ where text.hasPrefix("$user.attributes.") && text.utf8.count > "$user.attributes.".utf8.count:
            value = .userAttribute(Array(RecordQuery.pieces(Substring(text)).dropFirst(2)))
        default:
            let hint = suggestion(for: text, among: known)
            throw Mistake(
                member: "value",
                rule: .unknown,
                message: "\"\(text)\" stands for nothing; there are \(known.joined(separator: ", "))\(hint)"
            )
        }
        let type = field.shape.type
        if comparison == .like {
            // What a user is called is no pattern.
            throw Mistake(member: "operator", rule: .type, message: "like takes a plain pattern, and not \(text)")
        }
        if comparison == .isNull {
            throw Mistake(member: "value", rule: .type, message: "expected true or false, got \"\(text)\"")
        }
        switch value {
        case .now:
            guard type == .timestamp || type == .date, !isList else {
                throw Mistake(member: "value", rule: .type, message: "$now is for timestamps and dates")
            }
        case .userID, .userEmail, .userRoles:
            guard type.isText || type == .uuid else {
                throw Mistake(
                    member: "value",
                    rule: .type,
                    message: "\(text) is text, and \"\(field.name)\" is \(type.rawValue)"
                )
            }
        case .userAttribute, .constants: break
        }
        return value
    }
}

extension RecordAction {
    init(_ action: PermissionDefinition.Action) {
        self =
            switch action {
            case .read: .read
            case .create: .create
            case .update: .update
            case .delete: .delete
            }
    }
}
