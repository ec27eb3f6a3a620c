import RocketModel

/// A policy, compiled: whom it is for, and for which records.
struct Policy: Sendable {
    let id: String
    let roles: [String]
    let conditions: [PolicyCondition]
    /// What must hold after an update; nil for nothing.
    let check: [PolicyCondition]?
    /// The fields that may be read or written, as indexes; nil for all.
    let fields: Set<Int>?

    var readsAttributes: Bool {
        (conditions + (check ?? [])).contains { if case .userAttribute = $0.value { true } else { false } }
    }

    /// Role names compare without case.
    func applies(to principal: Principal) -> Bool {
        roles.contains { role in
            switch role {
            case PermissionDefinition.anonymous: true
            case PermissionDefinition.anySignedIn: !principal.isAnonymous
            default: principal.hasRole(role)
            }
        }
    }
}

/// One comparison of a policy.
struct PolicyCondition: Sendable {
    /// Relations on the way to the field, each with the entity at its end.
    let path: [(side: RelationSide, other: EntityModel)]
    let own: EntityModel
    let field: FieldModel
    let comparison: FilterOperator
    let value: PolicyValue
    let definition: PermissionDefinition.Condition

    /// What conditions say together for a caller; nil where one can't hold. Those that lead through the same relations
    /// speak of the same related record.
    static func conditions(
        _ conditions: [PolicyCondition],
        for principal: Principal,
        now: Timestamp
    ) -> [RowCondition]? {
        var leaves:
            [(path: ArraySlice<(side: RelationSide, other: EntityModel)>, own: EntityModel, leaf: RowCondition)] = []
        for condition in conditions {
            guard let values = condition.value.values(for: principal, condition.field, condition.comparison, now: now)
            else { return nil }
            let leaf = FieldCondition(field: condition.field, comparison: condition.comparison, values: values)
            leaves.append((condition.path[...], condition.own, .field(leaf)))
        }
        return together(leaves)
    }

    private static func together(
        _ leaves: [(path: ArraySlice<(side: RelationSide, other: EntityModel)>, own: EntityModel, leaf: RowCondition)]
    ) -> [RowCondition] {
        var conditions = leaves.filter(\.path.isEmpty).map(\.leaf)
        var done: Set<String> = []
        for leaf in leaves {
            guard let (side, other) = leaf.path.first, done.insert(side.name).inserted else { continue }
            let further = leaves.filter { $0.path.first?.side.name == side.name }
                .map { (path: $0.path.dropFirst(), own: other, leaf: $0.leaf) }
            conditions.append(
                .related(
                    RelatedCondition(
                        side: side,
                        own: leaf.own,
                        other: other,
                        conditions: together(further),
                        isNegated: false
                    )
                )
            )
        }
        return conditions
    }
}

/// What a field is compared with.
enum PolicyValue: Sendable {
    case constants([FieldValue])
    case userID
    case userEmail
    case userRoles
    case userAttribute([String])
    case now

    /// The values for a caller; nil where there are none to compare with. Nobody who has not signed in is anybody.
    func values(
        for principal: Principal,
        _ field: FieldModel,
        _ comparison: FilterOperator,
        now: Timestamp
    ) -> [FieldValue]? {
        let takesList = comparison == .isIn || comparison == .isNotIn
        switch self {
        case .constants(let values): return values
        case .now: return [field.value(at: now)]
        case .userID, .userEmail, .userRoles, .userAttribute: break
        }
        guard !principal.isAnonymous else { return nil }
        let json: [JSONValue]
        switch self {
        case .userID: json = [.string(principal.userID)]
        case .userEmail: json = [.string(principal.email)]
        case .userRoles: json = principal.appRoles.map(JSONValue.string)
        case .userAttribute(let path):
            guard let value = principal.attribute(path) else { return nil }
            guard let items = value.arrayValue else {
                json = [value]
                break
            }
            // A list is for operators that take one; an empty one says nothing.
            guard takesList, !items.isEmpty else { return nil }
            json = items
        case .constants, .now: json = []
        }
        let values = json.compactMap { Self.value($0, field) }
        // A value of another type is no record's.
        return values.count == json.count ? values : nil
    }

    private static func value(_ json: JSONValue, _ field: FieldModel) -> FieldValue? {
        do throws(CoercionFailure) {
            let value = try ValueShape(type: field.shape.type).value(of: json)
            return value.isNull ? nil : value
        } catch {
            return nil
        }
    }
}

extension Principal {
    fileprivate func attribute(_ path: [String]) -> JSONValue? {
        var value = JSONValue.object(attributes)
        for name in path {
            guard let next = value.objectValue?[name], next != .null else { return nil }
            value = next
        }
        return value
    }
}
