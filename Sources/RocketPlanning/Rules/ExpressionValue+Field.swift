import RocketExpression
import RocketModel

// The way back from an expression: a value that becomes a field's.

extension ValueShape {
    /// The field's value of what an expression gave. Nothing is rounded; undefined is null.
    ///
    /// - Throws: what does not fit the field's type.
    func value(of value: ExpressionValue) throws(CoercionFailure) -> FieldValue {
        try self.value(of: try json(value, depth: 0))
    }

    private static let maximumDepth = 64

    private func json(_ value: ExpressionValue, depth: Int) throws(CoercionFailure) -> JSONValue {
        switch value {
        case .undefined, .null: return .null
        case .boolean(let flag): return .boolean(flag)
        case .number(let number):
            guard number.isFinite else {
                throw CoercionFailure(expected: type.expectation, got: NumberText.string(number))
            }
            return .number(JSONNumber(unchecked: NumberText.string(number)))
        case .decimal(let number): return .number(JSONNumber(unchecked: number.description))
        case .string(let text): return .string(text)
        case .date(let date): return .string(try text(of: date))
        case .pattern: return .object(JSONObject())
        case .array(let items):
            guard depth < Self.maximumDepth else { throw Self.tooDeep }
            var values: [JSONValue] = []
            for item in items { values.append(try json(item, depth: depth + 1)) }
            return .array(values)
        case .object(let object):
            guard depth < Self.maximumDepth else { throw Self.tooDeep }
            var members: [JSONObject.Member] = []
            for (name, value) in zip(object.keys.names, object.values) {
                if case .undefined = value { continue }
                members.append(JSONObject.Member(name: name, value: try json(value, depth: depth + 1)))
            }
            return .object(JSONObject(uniqueMembers: members))
        }
    }

    private static var tooDeep: CoercionFailure {
        CoercionFailure("values stand within each other more than \(maximumDepth) levels deep")
    }

    /// An instant that becomes a date is its day, in UTC; a day that becomes an instant is its midnight.
    private func text(of date: DateValue) throws(CoercionFailure) -> String {
        guard let microseconds = date.microseconds else {
            throw CoercionFailure(expected: type.expectation, got: "an invalid date")
        }
        let isDay = type == .date || (date.isDay && type != .timestamp)
        return DateValue(microseconds: microseconds, isDay: isDay).text
    }
}
