package import RocketModel

/// What is known of a value before it is there. Any field may also be null, so null goes with every type.
package indirect enum ExpressionType: Sendable, Hashable {
    /// Nothing is known.
    case any
    case null
    case boolean
    case number
    /// Exact: `decimal` and `bigint` fields.
    case decimal
    case text
    /// Text that is one of these: a field with an enum.
    case choice([String])
    case date
    case array(ExpressionType)
    case object(ObjectType)
    case pattern

    /// The type as an error message names it.
    package var shown: String {
        switch self {
        case .any: "any value"
        case .null: "null"
        case .boolean: "a boolean"
        case .number, .decimal: "a number"
        case .text, .choice: "text"
        case .date: "a date"
        case .array: "an array"
        case .object(let type): "\"\(type.name)\""
        case .pattern: "a regular expression"
        }
    }

    package init(field type: FieldType, allowedValues: [JSONValue]? = nil) {
        switch type {
        case .string, .text, .uuid:
            let texts = allowedValues?.compactMap(\.stringValue)
            self = texts.map(ExpressionType.choice) ?? .text
        case .int, .float: self = .number
        case .bigint, .decimal: self = .decimal
        case .boolean: self = .boolean
        case .timestamp, .date: self = .date
        case .json, .file: self = .any
        }
    }

    var isText: Bool {
        switch self {
        case .text, .choice: true
        default: false
        }
    }

    var isNumber: Bool { self == .number || self == .decimal }
}

/// An object whose members are known: a record of an entity, a user.
package final class ObjectType: Sendable, Hashable {
    package let name: String
    package let keys: ExpressionObject.Keys
    package let types: [ExpressionType]

    package init(name: String, members: [(name: String, type: ExpressionType)]) {
        self.name = name
        keys = ExpressionObject.Keys(members.map(\.name))
        types = members.map(\.type)
    }

    /// A record of an entity.
    package convenience init(_ entity: EntityDefinition) {
        self.init(
            name: entity.name,
            members: entity.fields.map { ($0.name, ExpressionType(field: $0.type, allowedValues: $0.allowedValues)) }
        )
    }

    func type(of member: String) -> ExpressionType? { keys.index(of: member).map { types[$0] } }

    package static func == (left: ObjectType, right: ObjectType) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// The names that an expression may use, and what is known of each.
package struct ExpressionEnvironment: Sendable {
    package let names: [String]
    package let types: [ExpressionType]

    package init(_ names: [(name: String, type: ExpressionType)]) {
        self.names = names.map(\.name)
        types = names.map(\.type)
    }

    func slot(of name: String) -> Int? {
        names.firstIndex { $0.utf8.elementsEqual(name.utf8) }
    }
}
