package import RocketModel

/// A value of an expression.
package enum ExpressionValue: Sendable {
    /// What is absent: a member that is not there.
    case undefined
    case null
    case boolean(Bool)
    case number(Double)
    /// Exact: fields of type `decimal` and `bigint`, and what is computed with them.
    case decimal(DecimalNumber)
    case string(String)
    case date(DateValue)
    case array([ExpressionValue])
    case object(ExpressionObject)
    case pattern(Pattern)

    package var isNullish: Bool {
        switch self {
        case .undefined, .null: true
        default: false
        }
    }
}

/// Names with values, in the order in which they were given. Immutable: whoever changes one makes another.
package final class ExpressionObject: Sendable {
    /// The names of objects of one kind, shared by all of them.
    package final class Keys: Sendable {
        package let names: [String]
        private let indexes: [ByteName: Int]

        package init(_ names: [String]) {
            self.names = names
            indexes = Dictionary(
                names.indices.map { (ByteName(names[$0]), $0) },
                uniquingKeysWith: { first, _ in first }
            )
        }

        package func index(of name: String) -> Int? { indexes[ByteName(name)] }
    }

    package let keys: Keys
    package let values: [ExpressionValue]

    /// - Parameter values: one for each name.
    package init(_ keys: Keys, _ values: [ExpressionValue]) {
        self.keys = keys
        self.values = values
    }

    package convenience init(_ members: [(name: String, value: ExpressionValue)]) {
        self.init(Keys(members.map(\.name)), members.map(\.value))
    }

    package subscript(name: String) -> ExpressionValue {
        keys.index(of: name).map { values[$0] } ?? .undefined
    }

    /// Members in JavaScript's order: names that are array indexes first, by number, and then as they were given.
    var members: [(name: String, value: ExpressionValue)] {
        let all = zip(keys.names, values).map { (name: $0, value: $1) }
        guard all.contains(where: { Self.arrayIndex($0.name) != nil }) else { return all }
        let indexes = all.filter { Self.arrayIndex($0.name) != nil }
            .sorted { (Self.arrayIndex($0.name) ?? 0) < (Self.arrayIndex($1.name) ?? 0) }
        return indexes + all.filter { Self.arrayIndex($0.name) == nil }
    }

    private static func arrayIndex(_ name: String) -> UInt32? {
        guard let index = UInt32(name), index < UInt32.max, String(index) == name else { return nil }
        return index
    }
}

extension ExpressionValue {
    /// A field's stored value.
    package init(_ value: FieldValue) {
        switch value {
        case .null: self = .null
        case .text(let text): self = .string(text)
        case .whole(let whole): self = .number(Double(whole))
        case .double(let double): self = .number(double)
        case .decimal(let number): self = .decimal(number)
        case .boolean(let flag): self = .boolean(flag)
        case .uuid(let id): self = .string(id.text)
        case .timestamp(let instant): self = .date(DateValue(instant))
        case .date(let day): self = .date(DateValue(day))
        case .json(let json): self.init(json)
        }
    }

    /// A field's stored value by the field's type: a `bigint` is exact.
    package init(_ value: FieldValue, type: FieldType) {
        if type == .bigint, case .whole(let whole) = value {
            self = .decimal(DecimalNumber(whole))
        } else {
            self.init(value)
        }
    }

    /// A JSON document; its depth is bounded where it was read.
    package init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .boolean(let flag): self = .boolean(flag)
        case .number(let number): self = .number(Double(number.text) ?? .nan)
        case .string(let text): self = .string(text)
        case .array(let items): self = .array(items.map { ExpressionValue($0) })
        case .object(let object):
            self = .object(ExpressionObject(object.members.map { ($0.name, ExpressionValue($0.value)) }))
        }
    }
}
