/// A value that fits its field's type: what is planned with, bound and stored.
package enum FieldValue: Sendable, Hashable {
    case null
    case text(String)
    case whole(Int64)
    case double(Double)
    case decimal(DecimalNumber)
    case boolean(Bool)
    case uuid(UniqueID)
    case timestamp(Timestamp)
    case date(CalendarDate)
    case json(JSONValue)

    package var isNull: Bool { self == .null }

    package static func == (left: FieldValue, right: FieldValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
        case (.whole(let a), .whole(let b)): a == b
        case (.double(let a), .double(let b)): a == b
        case (.decimal(let a), .decimal(let b)): a == b
        case (.boolean(let a), .boolean(let b)): a == b
        case (.uuid(let a), .uuid(let b)): a == b
        case (.timestamp(let a), .timestamp(let b)): a == b
        case (.date(let a), .date(let b)): a == b
        case (.json(let a), .json(let b)): a == b
        default: false
        }
    }
}

/// Why a value does not fit its field: what is wrong, in words for the client.
package struct CoercionFailure: Error, Sendable, Hashable {
    package let message: String

    package init(expected: String, got: String) {
        message = "expected \(expected), got \(got)"
    }

    package init(_ message: String) {
        self.message = message
    }
}

/// What decides how a value is read: a field's type and, for decimals, its count of fraction digits.
package struct ValueShape: Sendable, Hashable {
    package let type: FieldType
    package let precision: Int?

    package init(type: FieldType, precision: Int? = nil) {
        self.type = type
        self.precision = precision
    }
}
