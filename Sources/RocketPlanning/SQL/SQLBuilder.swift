package import RocketModel

/// Puts a statement together: text on one side, bound values on the other.
package struct SQLBuilder {
    package let dialect: SQLDialect
    private var text = ""
    private var binds: [SQLValue] = []
    /// Subqueries that stand at the head of the statement, by name.
    private var definitions: [(name: String, text: String, isMadeOnce: Bool)] = []

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// SQL of our own: a literal in this code, or text that ``SQLDialect`` quoted.
    package mutating func append(_ sql: String) {
        text += sql
    }

    /// The text that `write` appends, to be put elsewhere; what it binds stays bound, as placeholders have numbers.
    mutating func capture(_ write: (inout SQLBuilder) -> Void) -> String {
        let before = text
        text = ""
        write(&self)
        defer { text = before }
        return text
    }

    /// A subquery that the statement reads as a table; one that is there already is not made again. What it binds has
    /// numbers, so that it may stand before what was bound earlier.
    ///
    /// - Parameter isMadeOnce: whether the rows are found once, rather than asked for again with each row outside.
    mutating func define(_ name: String, isMadeOnce: Bool, _ write: (inout SQLBuilder) -> Void) {
        guard !definitions.contains(where: { $0.name == name }) else { return }
        definitions.append((name, "", isMadeOnce))
        let text = capture(write)
        guard let index = definitions.firstIndex(where: { $0.name == name }) else { return }
        definitions[index].text = text
    }

    package mutating func bind(stored value: SQLValue) {
        binds.append(value)
        text += dialect.placeholder(binds.count)
    }

    package mutating func bind(_ value: FieldValue) {
        bind(stored: dialect.bindable(value))
    }

    package func statement(_ output: StatementOutput = .none, isBrief: Bool = false) -> SQLStatement {
        let head = definitions.map { definition in
            "\(definition.name) AS \(definition.isMadeOnce ? "" : "NOT ")MATERIALIZED (\(definition.text))"
        }.joined(separator: ", ")
        return SQLStatement(
            head.isEmpty ? text : "WITH \(head) \(text)",
            binds: binds,
            output: output,
            isBrief: isBrief
        )
    }
}

extension SQLBuilder {
    /// `column IN (…)` with one bound value whatever the number of elements, so that the statement's text is the
    /// same for every list.
    package mutating func isMember(_ column: String, of values: [FieldValue], _ shape: ValueShape) {
        switch dialect {
        case .sqlite:
            append("\(column) IN (SELECT value FROM json_each(")
            bind(stored: .text(jsonArray(values)))
            append("))")
        case .postgres:
            // A larger number than the column takes is in no row, rather than a mistake of the statement.
            let widest = shape.type == .int ? FieldType.bigint : shape.type
            append("\(column) = ANY(")
            bindArray(values, ValueShape(type: widest))
            append(")")
        }
    }

    /// Values as one bound array of PostgreSQL's.
    package mutating func bindArray(_ values: [FieldValue], _ shape: ValueShape) {
        bind(stored: .text(postgresArray(values)))
        append("::\(dialect.columnType(shape).split(separator: " COLLATE")[0])[]")
    }

    private func jsonArray(_ values: [FieldValue]) -> String {
        var writer = JSONWriter()
        writer.raw("[")
        for (index, value) in values.enumerated() {
            if index > 0 { writer.raw(",") }
            switch dialect.bindable(value) {
            case .null: writer.raw("null")
            case .integer(let whole): writer.integer(whole)
            case .double(let double): writer.double(double)
            case .text(let text): writer.string(text)
            }
        }
        writer.raw("]")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// PostgreSQL's array literal (manual, 8.15.2): every element in quotes, `"` and `\` escaped.
    private func postgresArray(_ values: [FieldValue]) -> String {
        let elements = values.map { value -> String in
            switch dialect.bindable(value) {
            case .null: return "NULL"
            case .integer(let whole): return String(whole)
            case .double(let double): return doubleText(double)
            case .text(let text):
                // By scalar: a quote that a combining mark follows is one Character with it.
                var escaped = "\""
                for scalar in text.unicodeScalars {
                    if scalar == "\"" || scalar == "\\" { escaped.unicodeScalars.append("\\") }
                    escaped.unicodeScalars.append(scalar)
                }
                escaped.unicodeScalars.append("\"")
                return escaped
            }
        }
        return "{" + elements.joined(separator: ",") + "}"
    }
}
