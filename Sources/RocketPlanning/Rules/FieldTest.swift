import RocketExpression
import RocketModel

/// What a rule of type `field` asks of a value.
struct FieldTest: Sendable {
    private enum Test: Sendable {
        case order(than: FieldValue, allowed: Set<Int>)
        case member(of: [FieldValue], wanted: Bool)
        case length(ClosedRange<Int>)
        case pattern(Pattern)
        case filled
    }

    private let test: Test
    /// The kind of mistake, as `details` names it.
    let rule: ViolatedRule
    /// What is wrong with a value that fails.
    let message: String

    /// - Throws: why the comparison does not go with the field, or the value with either.
    init(
        _ comparison: RuleDefinition.Comparison,
        _ value: JSONValue,
        of field: FieldModel
    ) throws(Mistake) {
        let type = field.shape.type
        guard Self.isAllowed(comparison, type) else {
            let hint =
                switch comparison {
                case .min where type.isText: "; use min_length for the length of a text"
                case .max where type.isText: "; use max_length for the length of a text"
                default: ""
                }
            throw Mistake(
                "operator",
                .type,
                "\"\(comparison.rawValue)\" does not go with \"\(field.name)\", which is \(type.rawValue)\(hint)"
            )
        }
        let shown = value.jsonText
        switch comparison {
        case .notEmpty:
            (test, rule, message) = (.filled, .required, "can't be empty")
        case .min, .greaterOrEqual:
            test = .order(than: try Self.value(value, field), allowed: [0, 1])
            (rule, message) = (.min, "must be at least \(shown)")
        case .max, .lessOrEqual:
            test = .order(than: try Self.value(value, field), allowed: [-1, 0])
            (rule, message) = (.max, "must be at most \(shown)")
        case .greater:
            test = .order(than: try Self.value(value, field), allowed: [1])
            (rule, message) = (.min, "must be \(type.isTemporal ? "after" : "greater than") \(shown)")
        case .less:
            test = .order(than: try Self.value(value, field), allowed: [-1])
            (rule, message) = (.max, "must be \(type.isTemporal ? "before" : "less than") \(shown)")
        case .equal:
            test = .member(of: [try Self.value(value, field, isMember: true)], wanted: true)
            (rule, message) = (.enum, "must be \(shown)")
        case .notEqual:
            test = .member(of: [try Self.value(value, field, isMember: true)], wanted: false)
            (rule, message) = (.enum, "must not be \(shown)")
        case .isIn, .isNotIn:
            var values: [FieldValue] = []
            for (index, item) in (value.arrayValue ?? []).enumerated() {
                values.append(try Self.value(item, field, "value[\(index)]", isMember: true))
            }
            test = .member(of: values, wanted: comparison == .isIn)
            let list = (value.arrayValue ?? []).map(\.jsonText).joined(separator: ", ")
            (rule, message) = (.enum, comparison == .isIn ? "must be one of \(list)" : "must be none of \(list)")
        case .minLength:
            test = .length((Self.length(value))...Int.max)
            (rule, message) = (.minLength, "must have at least \(shown) characters")
        case .maxLength:
            test = .length(0...Self.length(value))
            (rule, message) = (.maxLength, "must have at most \(shown) characters")
        case .pattern:
            let source = value.stringValue ?? ""
            test = .pattern(try Self.pattern(source))
            (rule, message) = (.pattern, "must match \(source)")
        }
    }

    /// Why a definition can't be, and below which of its members.
    struct Mistake: Error {
        let member: String
        let rule: ViolatedRule
        let message: String

        init(_ member: String, _ rule: ViolatedRule, _ message: String) {
            self.member = member
            self.rule = rule
            self.message = message
        }
    }

    private static func isAllowed(_ comparison: RuleDefinition.Comparison, _ type: FieldType) -> Bool {
        switch comparison {
        case .min, .max: type.isOrdered && !type.isText && type != .uuid
        case .greater, .greaterOrEqual, .less, .lessOrEqual: type.isOrdered
        case .minLength, .maxLength, .pattern: type.isText
        case .equal, .notEqual, .isIn, .isNotIn: type.isComparable
        case .notEmpty: true
        }
    }

    /// There is no place for flags: what only the flag u allows, as `\p{L}`, is read with it.
    private static func pattern(_ source: String) throws(Mistake) -> Pattern {
        do throws(PatternFailure) {
            return try Pattern(source: source, flags: "")
        } catch {
            do throws(PatternFailure) {
                return try Pattern(source: source, flags: "u")
            } catch let second {
                let message = error.message.contains("flag u") ? second.message : error.message
                throw Mistake("value", .pattern, message)
            }
        }
    }

    private static func length(_ value: JSONValue) -> Int {
        guard case .number(let number) = value else { return 0 }
        return number.int64.flatMap(Int.init(exactly:)) ?? 0
    }

    private static func value(
        _ json: JSONValue,
        _ field: FieldModel,
        _ member: String = "value",
        isMember: Bool = false
    ) throws(Mistake) -> FieldValue {
        if json == .null { throw Mistake(member, .type, "null is no value: it passes every test but not_empty") }
        let value: FieldValue
        do throws(CoercionFailure) {
            // A bound may have more fraction digits than the field keeps.
            value = try ValueShape(type: field.shape.type).value(of: json)
        } catch {
            throw Mistake(member, .type, error.message)
        }
        if isMember, let allowed = field.allowedValues, !allowed.contains(value) {
            let list = allowed.map(\.json.jsonText).joined(separator: ", ")
            let hint = suggestion(for: json.stringValue ?? "", among: allowed.compactMap(\.json.stringValue))
            throw Mistake(member, .enum, "\(json.jsonText) is none of \(list)\(hint)")
        }
        return value
    }

    /// `null` passes all but `not_empty`.
    func holds(of value: FieldValue) -> Bool {
        if case .filled = test { return !value.isEmpty }
        if value.isNull { return true }
        switch test {
        case .order(let bound, let allowed): return FieldValue.order(value, bound).map(allowed.contains) ?? true
        case .member(let values, let wanted): return values.contains(value) == wanted
        case .length(let range):
            guard case .text(let text) = value else { return true }
            return range.contains(text.unicodeScalars.count)
        case .pattern(let pattern):
            guard case .text(let text) = value else { return true }
            return pattern.isMatch(text)
        case .filled: return true
        }
    }
}

extension FieldType {
    fileprivate var isTemporal: Bool { self == .timestamp || self == .date }
}

extension FieldValue {
    /// Whether there is nothing in it: null, a text, a list or an object without anything.
    fileprivate var isEmpty: Bool {
        switch self {
        case .null, .json(.null): true
        case .text(let text): text.utf8.isEmpty
        case .json(.string(let text)): text.utf8.isEmpty
        case .json(.array(let items)): items.isEmpty
        case .json(.object(let object)): object.members.isEmpty
        default: false
        }
    }
}
