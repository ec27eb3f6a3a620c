import RocketModel

// The same comparisons on values at hand: related records are filtered as they will be stored, which no database has
// yet. `WhereTests` and `RelatedFilterTests` hold the two against each other.

extension FieldCondition {
    /// Reads `field.op` and what it is compared with, as metadata writes it.
    ///
    /// - Throws: what of it does not fit the entity.
    init(_ name: String, _ json: JSONValue, of entity: EntityModel) throws(CoercionFailure) {
        let parts = RecordQuery.pieces(Substring(name))
        guard let field = entity.field(parts[0]) else {
            throw CoercionFailure(
                "\"\(entity.name)\" has no field \"\(parts[0])\"" + suggestion(for: parts[0], among: entity.fieldNames)
            )
        }
        guard parts.count <= 2 else { throw CoercionFailure("expected field or field.op, got \"\(name)\"") }
        var comparison = FilterOperator.equal
        if parts.count == 2 {
            guard let known = FilterOperator(rawValue: parts[1]) else {
                let names = FilterOperator.allCases.map(\.rawValue)
                throw CoercionFailure(
                    "\"\(parts[1])\" is no operator: \(names.joined(separator: ", "))"
                        + suggestion(for: parts[1], among: names)
                )
            }
            comparison = known
        }
        guard comparison.isAllowed(on: field.shape.type) else {
            throw CoercionFailure(
                "\"\(comparison.rawValue)\" does not go with \"\(field.name)\", which is \(field.shape.type.rawValue)"
            )
        }
        self.init(field: field, comparison: comparison, values: try Self.values(json, comparison, field))
    }

    private static func values(
        _ json: JSONValue,
        _ comparison: FilterOperator,
        _ field: FieldModel
    ) throws(CoercionFailure) -> [FieldValue] {
        let shape = ValueShape(type: field.shape.type)
        switch comparison {
        case .isNull:
            guard case .boolean(let flag) = json else {
                throw CoercionFailure("expected true or false, got \(json.kind)")
            }
            return [.boolean(flag)]
        case .isIn, .isNotIn:
            guard case .array(let items) = json, !items.isEmpty else {
                let got = json.arrayValue == nil ? json.kind : "an empty one"
                throw CoercionFailure("expected an array of values, got \(got)")
            }
            var values: [FieldValue] = []
            for item in items { values.append(try value(item, shape)) }
            return values
        case .like, .ilike:
            let value = try value(json, shape)
            if case .text(let pattern) = value, Self.isBadPattern(pattern) {
                throw CoercionFailure(
                    "a pattern has at most \(maximumPatternLength) bytes, and no single \\ at its end"
                )
            }
            return [value]
        default:
            return [try value(json, shape)]
        }
    }

    private static func value(_ json: JSONValue, _ shape: ValueShape) throws(CoercionFailure) -> FieldValue {
        guard json != .null else { throw CoercionFailure("null is no value; ask with is_null") }
        return try shape.value(of: json)
    }

    /// Whether a field's value meets the condition, as the databases have it.
    func holds(of value: FieldValue) -> Bool {
        if comparison == .isNull { return value.isNull == (values[0] == .boolean(true)) }
        if value.isNull { return comparison == .notEqual || comparison == .isNotIn }
        switch comparison {
        case .equal: return value == values[0]
        case .notEqual: return value != values[0]
        case .greater: return FieldValue.order(value, values[0]) == 1
        case .greaterOrEqual: return FieldValue.order(value, values[0]).map { $0 >= 0 } ?? false
        case .less: return FieldValue.order(value, values[0]) == -1
        case .lessOrEqual: return FieldValue.order(value, values[0]).map { $0 <= 0 } ?? false
        case .isIn: return values.contains(value)
        case .isNotIn: return !values.contains(value)
        case .like, .ilike, .contains, .startsWith: return matches(value)
        case .isNull: return false
        }
    }

    private func matches(_ value: FieldValue) -> Bool {
        guard case .text(let text) = value, case .text(let wanted) = values[0] else { return false }
        switch comparison {
        case .contains: return text.holds(wanted)
        case .startsWith: return text.utf8.starts(with: wanted.utf8)
        default:
            do throws(LikePattern.Stopped) {
                return try LikePattern(wanted, ignoresCase: comparison == .ilike).matches(text)
            } catch {
                return false
            }
        }
    }
}

extension String {
    /// Whether the bytes of a text stand somewhere in this one.
    fileprivate func holds(_ part: String) -> Bool {
        let (all, wanted) = (Array(utf8), Array(part.utf8))
        guard wanted.count <= all.count else { return false }
        return (0...all.count - wanted.count).contains { all[$0...].starts(with: wanted) }
    }
}
