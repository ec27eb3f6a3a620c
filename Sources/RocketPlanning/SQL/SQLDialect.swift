package import RocketModel

/// The databases, and how each spells what Rocket says. Where they differ, the spelling makes them agree: the
/// conformance suite holds both to the same answers.
package enum SQLDialect: String, Sendable {
    case sqlite
    case postgres

    /// An identifier in quotes. Names are checked when metadata is saved; quoting makes SQL's keywords usable.
    package func quote(_ identifier: String) -> String {
        var quoted = "\""
        for scalar in identifier.unicodeScalars {
            if scalar == "\"" { quoted.unicodeScalars.append("\"") }
            quoted.unicodeScalars.append(scalar)
        }
        quoted.unicodeScalars.append("\"")
        return quoted
    }

    package func placeholder(_ number: Int) -> String {
        switch self {
        case .sqlite: "?\(number)"
        case .postgres: "$\(number)"
        }
    }

    /// The type of a field's column. A decimal keeps its digits as text on SQLite, and its collation orders and
    /// compares them by value.
    package func columnType(_ shape: ValueShape) -> String {
        switch self {
        case .sqlite:
            switch shape.type {
            case .string, .text, .uuid, .timestamp, .date, .json, .file: "TEXT"
            case .int, .bigint, .boolean: "INTEGER"
            case .float: "REAL"
            case .decimal: "TEXT COLLATE \(Self.decimalCollation)"
            }
        case .postgres:
            switch shape.type {
            case .string, .text: "TEXT COLLATE \"C\""
            case .int: "INTEGER"
            case .bigint: "BIGINT"
            case .float: "DOUBLE PRECISION"
            case .decimal:
                shape.precision.map { "NUMERIC(\(FieldDefinition.decimalIntegerDigits + $0),\($0))" } ?? "NUMERIC"
            case .boolean: "BOOLEAN"
            case .uuid: "UUID"
            case .timestamp: "TIMESTAMPTZ"
            case .date: "DATE"
            case .json, .file: "JSONB"
            }
        }
    }

    /// A column as it is compared, sorted by and indexed.
    package func comparable(_ name: String, _ shape: ValueShape) -> String {
        let column = quote(name)
        return self == .sqlite && shape.type == .decimal ? "\(column) COLLATE \(Self.decimalCollation)" : column
    }

    /// What always holds, and what never does: `TRUE` and `FALSE` are names on SQLite where a table has such columns.
    static let always = "(1 = 1)"
    static let never = "(1 = 0)"

    /// The SQLite collation that compares decimals by value.
    package static let decimalCollation = "ROCKET_DECIMAL"
    /// The SQLite function behind `ilike`: `(text, pattern)`.
    package static let ilikeFunction = "rocket_ilike"

    /// Foreign keys are looked at when the transaction commits, and no sooner.
    package var deferForeignKeys: SQLStatement {
        switch self {
        case .sqlite: SQLStatement("PRAGMA defer_foreign_keys = ON")
        case .postgres: SQLStatement("SET CONSTRAINTS ALL DEFERRED")
        }
    }

    /// The value in the form in which the database stores it.
    package func bindable(_ value: FieldValue) -> SQLValue {
        switch value {
        case .null: .null
        case .text(let text): .text(text)
        case .whole(let whole): .integer(whole)
        case .double(let double): .double(double)
        case .decimal(let number): .text(number.description)
        case .boolean(let flag):
            switch self {
            case .sqlite: .integer(flag ? 1 : 0)
            case .postgres: .text(flag ? "true" : "false")
            }
        case .uuid(let id): .text(id.text)
        case .timestamp(let instant): .text(instant.rfc3339)
        case .date(let date): .text(date.text)
        case .json(let json): .text(json.jsonText)
        }
    }

    /// A stored value as the field's value; null where the column holds what the type does not know, as an adopted
    /// table's may.
    package func fieldValue(_ stored: SQLValue, _ shape: ValueShape) -> FieldValue {
        switch (shape.type, stored) {
        case (_, .null): return .null
        case (.string, .text(let text)), (.text, .text(let text)): return .text(text)
        case (.int, .integer(let value)), (.bigint, .integer(let value)): return .whole(value)
        case (.float, .double(let value)): return .double(value)
        case (.float, .integer(let value)): return .double(Double(value))
        case (.boolean, .integer(let value)): return .boolean(value != 0)
        case (.decimal, .integer(let value)): return DecimalNumber(String(value)).map(FieldValue.decimal) ?? .null
        case (.decimal, .text(let text)): return DecimalNumber(text).map(FieldValue.decimal) ?? .null
        case (.uuid, .text(let text)): return UniqueID(text).map(FieldValue.uuid) ?? .null
        case (.timestamp, .text(let text)): return Timestamp(rfc3339: text).map(FieldValue.timestamp) ?? .null
        case (.date, .text(let text)): return CalendarDate(text).map(FieldValue.date) ?? .null
        case (.json, .text(let text)), (.file, .text(let text)):
            do throws(JSONSyntaxError) { return .json(try JSONParser.parse(text)) } catch { return .null }
        default: return .null
        }
    }
}
