/// The types that a field can have, as metadata spells them.
package enum FieldType: String, Sendable, Hashable, CaseIterable {
    case string
    case text
    case int
    case bigint
    case float
    case decimal
    case boolean
    case uuid
    case timestamp
    case date
    case json
    case file

    /// Reads a type's name; `integer` is another name of `int`.
    package init?(name: String) {
        self.init(rawValue: name == "integer" ? "int" : name)
    }

    package var isText: Bool { self == .string || self == .text }
    package var isWhole: Bool { self == .int || self == .bigint }

    /// Whether values have an order that clients may sort by and compare with `gt` and its like.
    package var isOrdered: Bool {
        switch self {
        case .string, .text, .int, .bigint, .float, .decimal, .uuid, .timestamp, .date: true
        case .boolean, .json, .file: false
        }
    }

    /// Whether two values can be asked for equality in a filter.
    package var isComparable: Bool {
        isOrdered || self == .boolean
    }

    /// What a value of this type looks like, for error messages.
    package var expectation: String {
        switch self {
        case .string, .text: "a string"
        case .int: "a whole number from -2147483648 to 2147483647"
        case .bigint: "a whole number in 64 bits, or its digits in a string"
        case .float: "a number"
        case .decimal: "a number, or its digits in a string"
        case .boolean: "true or false"
        case .uuid: "a UUID such as 0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d"
        case .timestamp: "an RFC 3339 time with an offset, such as 2026-02-05T14:30:00Z"
        case .date: "a date such as 2026-02-05"
        case .json: "any JSON value"
        case .file: "the id of an uploaded file, or its metadata object"
        }
    }
}
