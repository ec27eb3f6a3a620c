package import RocketModel

/// A value as it is bound to a statement or read from one.
package enum SQLValue: Sendable, Hashable {
    case null
    case integer(Int64)
    case double(Double)
    case text(String)

    package var textValue: String? {
        if case .text(let text) = self { text } else { nil }
    }

    package var integerValue: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }
}

/// One statement: text with placeholders, and the values that are bound to them. Text never carries a value.
package struct SQLStatement: Sendable, Hashable {
    package let text: String
    package let binds: [SQLValue]
    package let output: StatementOutput
    /// Whether it reads at most a row or two through a unique index, so that it never keeps others waiting.
    package let isBrief: Bool

    package init(_ text: String, binds: [SQLValue] = [], output: StatementOutput = .none, isBrief: Bool = false) {
        self.text = text
        self.binds = binds
        self.output = output
        self.isBrief = isBrief
    }
}

extension SQLStatement {
    /// The statement with its values in their places, for people to read; it is never run.
    package var shown: String {
        var shown = text
        for (index, bind) in binds.enumerated().reversed() {
            for mark in ["$\(index + 1)", "?\(index + 1)"] { shown = shown.replacing(mark, with: bind.shown) }
        }
        return shown
    }
}

extension SQLValue {
    fileprivate var shown: String {
        switch self {
        case .null: "NULL"
        case .integer(let value): String(value)
        case .double(let value): String(value)
        case .text(let text): "'\(text.replacing("'", with: "''"))'"
        }
    }
}

/// In which form a statement's rows are wanted.
package enum StatementOutput: Sendable, Hashable {
    case none
    /// Rows as values, to decide with.
    case values
    /// Rows as JSON text for the answer, written from the database's buffers without a value in between.
    case json(RowShape)
    /// Both forms of the same rows.
    case valuesAndJSON(RowShape)
    /// Rows as JSON; the column behind those of the shape is a total, the same in every row.
    case jsonAndTotal(RowShape)
    /// Rows as JSON, with the place where each ends; the columns behind those of the shape as values.
    case jsonAndValues(RowShape)
}

/// How a row becomes a JSON object: its columns in order.
package struct RowShape: Sendable, Hashable {
    package let columns: [ColumnShape]

    package init(columns: [ColumnShape]) {
        self.columns = columns
    }
}

package struct ColumnShape: Sendable, Hashable {
    /// The member's name as JSON text with its colon: `"title":`.
    package let member: [UInt8]
    package let coding: ColumnCoding

    package init(name: String, type: FieldType) {
        var writer = JSONWriter()
        writer.string(name)
        writer.raw(":")
        member = writer.bytes
        coding = ColumnCoding(type)
    }
}

/// How a stored value is written as JSON.
package enum ColumnCoding: Sendable, Hashable {
    /// Digits as they stand: `int`, `bigint`, `decimal`.
    case number
    /// `float`: in the fewest digits.
    case double
    case boolean
    /// Quotes around text that needs no escapes: `uuid`, `timestamp`, `date`.
    case quoted
    /// `string` and `text`.
    case string
    /// Stored JSON text, as it stands.
    case json

    package init(_ type: FieldType) {
        self =
            switch type {
            case .string, .text: .string
            case .int, .bigint, .decimal: .number
            case .float: .double
            case .boolean: .boolean
            case .uuid, .timestamp, .date: .quoted
            case .json, .file: .json
            }
    }
}

/// What a statement gave.
package struct StatementResult: Sendable {
    /// The rows, where values were asked for.
    package var rows: [[SQLValue]]
    /// The rows as JSON objects with commas between them, where JSON was asked for.
    package var json: [UInt8]
    /// Where in ``json`` each row ends, where both JSON and values were asked for.
    package var rowEnds: [Int] = []
    package var rowCount: Int
    /// The total that came with the rows, where it was asked for and there are rows.
    package var total: Int64?
    /// How many rows an INSERT, UPDATE or DELETE touched.
    package var changes: Int

    package init(rows: [[SQLValue]] = [], json: [UInt8] = [], rowCount: Int = 0, changes: Int = 0) {
        self.rows = rows
        self.json = json
        self.rowCount = rowCount
        self.changes = changes
    }
}
