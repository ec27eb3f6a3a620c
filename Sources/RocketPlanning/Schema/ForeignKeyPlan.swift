package import RocketModel

/// The foreign-key constraints that a change of the metadata makes and removes. A constraint is made where the rows
/// that are there allow it; where they don't, the change holds all the same and the reason is told.
package struct ForeignKeyPlan: Sendable {
    private let made: [DesiredSchema.ForeignKey]
    private let removed: [DesiredSchema.ForeignKey]
    private let reasons: [String]
    /// Columns whose type changes.
    private let retyped: Set<String>
    private let dialect: SQLDialect

    /// - Parameter inline: tables that are made with their constraints.
    init(from before: DesiredSchema, to after: DesiredSchema, inline: Set<String>, _ dialect: SQLDialect) {
        made = after.foreignKeys.filter { !before.foreignKeys.contains($0) && !inline.contains($0.table) }
        removed = before.foreignKeys.filter { !after.foreignKeys.contains($0) }
        reasons = after.unconstrained.filter { !before.unconstrained.contains($0) }.map(\.reason)
        self.dialect = dialect
        retyped = Set(
            after.tables.flatMap { table in
                table.columns.filter { column in
                    let earlier = before.table(table.name)?.columns.first { $0.name == column.name }
                    return earlier.map { $0.shape != column.shape } ?? false
                }.map { "\(table.name).\($0.name)" }
            }
        )
    }

    /// What goes before all other steps of the change.
    var firstSteps: [SQLStatement] {
        guard dialect == .postgres else { return [] }
        return removed.map { key in
            SQLStatement("ALTER TABLE \(dialect.quote(key.table)) DROP CONSTRAINT IF EXISTS \(dialect.quote(key.name))")
        }
    }

    /// What must be known of the tables once they are as the metadata wants them; none where nothing is to be done.
    package var inspections: [SQLStatement] {
        // Nobody may add a row between the look and the constraint.
        let dangling = made.flatMap { key -> [SQLStatement] in
            let lock = SQLStatement("LOCK TABLE \(dialect.quote(key.table)) IN SHARE ROW EXCLUSIVE MODE")
            return dialect == .postgres ? [lock, danglingRows(key)] : [danglingRows(key)]
        }
        guard dialect == .sqlite, !made.isEmpty || !removed.isEmpty else { return dangling }
        let texts = editedTables.map { table in
            SQLStatement(
                "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                binds: [.text(table)],
                output: .values
            )
        }
        return dangling + [SQLStatement("PRAGMA schema_version", output: .values)] + texts
    }

    /// The statements that make and remove the constraints, and why some are not made.
    ///
    /// - Parameter results: what ``inspections`` gave.
    package func decide(_ results: [StatementResult]) -> (steps: [SQLStatement], warnings: [String]) {
        var warnings = reasons
        var keys: [DesiredSchema.ForeignKey] = []
        let width = dialect == .postgres ? 2 : 1
        for (index, key) in made.enumerated() {
            let result = results[index * width + width - 1]
            let count = result.rows.first?.first?.integerValue ?? 0
            if count == 0 {
                keys.append(key)
            } else {
                warnings.append(Self.warning(key, count))
            }
        }
        switch dialect {
        case .postgres: return (keys.map(added), warnings)
        case .sqlite: return edits(keys, results.dropFirst(made.count), &warnings)
        }
    }

    /// Counts rows that would keep constraints from being made, where the tables are there already.
    ///
    /// - Parameter facts: of the tables that the change touches; the others are as before.
    package func previewInspections(_ before: DefinitionSet, _ facts: [String: TableFacts]) -> [SQLStatement] {
        countable(before, facts).map(danglingRows)
    }

    /// The constraints that would be made and removed, in SQL: on SQLite as what is put into a table's text and taken out
    /// of it. And why some would not be.
    ///
    /// - Parameter results: what ``previewInspections(_:_:)`` gave.
    package func preview(
        _ before: DefinitionSet,
        _ facts: [String: TableFacts],
        _ results: [StatementResult]
    ) -> (sql: [String], warnings: [String]) {
        var warnings = reasons
        var refused: Set<DesiredSchema.ForeignKey> = []
        for (key, result) in zip(countable(before, facts), results) {
            let count = result.rows.first?.first?.integerValue ?? 0
            guard count > 0 else { continue }
            refused.insert(key)
            warnings.append(Self.warning(key, count))
        }
        let made = made.filter { !refused.contains($0) }.map {
            "ALTER TABLE \(dialect.quote($0.table)) ADD \($0.clause(dialect))"
        }
        // PostgreSQL's are taken away first of all, with the other steps.
        guard dialect == .sqlite else { return (made, warnings) }
        let removed = removed.map { "ALTER TABLE \(dialect.quote($0.table)) DROP CONSTRAINT \(dialect.quote($0.name))" }
        return ((removed + made).map { "-- in the text of the schema: \($0)" }, warnings)
    }

    private func countable(_ before: DefinitionSet, _ facts: [String: TableFacts]) -> [DesiredSchema.ForeignKey] {
        let schema = DesiredSchema(before)
        let isThere = { (table: String, column: String) in
            // One that is to have another type can't be compared yet.
            guard !retyped.contains("\(table).\(column)") else { return false }
            return facts[table]?.columns[column] != nil
                || schema.table(table)?.columns.contains { $0.name == column } ?? false
        }
        return made.filter { isThere($0.table, $0.column) && isThere($0.parent, $0.parentColumn) }
    }

    private static func warning(_ key: DesiredSchema.ForeignKey, _ count: Int64) -> String {
        "\(key.relation): no foreign-key constraint is made, because \(count) rows of \"\(key.table)\""
            + " have a \"\(key.column)\" that names no row of \"\(key.parent)\""
    }

    private func danglingRows(_ key: DesiredSchema.ForeignKey) -> SQLStatement {
        let (table, column) = (dialect.quote(key.table), dialect.quote(key.column))
        let collation = dialect == .postgres && key.isText ? " COLLATE \"C\"" : ""
        return SQLStatement(
            "SELECT count(*) FROM \(table) AS _c WHERE _c.\(column) IS NOT NULL AND NOT EXISTS (SELECT 1"
                + " FROM \(dialect.quote(key.parent)) AS _p"
                + " WHERE _p.\(dialect.quote(key.parentColumn)) = _c.\(column)\(collation))",
            output: .values
        )
    }

    private func added(_ key: DesiredSchema.ForeignKey) -> SQLStatement {
        SQLStatement("ALTER TABLE \(dialect.quote(key.table)) ADD \(key.clause(dialect))")
    }

    // MARK: SQLite

    private var editedTables: [String] {
        var tables: [String] = []
        for key in made + removed where !tables.contains(key.table) { tables.append(key.table) }
        return tables
    }

    /// SQLite has no ALTER TABLE for constraints. What it recommends where nothing on disk changes is to edit the
    /// table's text in the schema (https://www.sqlite.org/lang_altertable.html part 7); the rows are known to hold.
    private func edits(
        _ keys: [DesiredSchema.ForeignKey],
        _ facts: ArraySlice<StatementResult>,
        _ warnings: inout [String]
    ) -> (steps: [SQLStatement], warnings: [String]) {
        guard let version = facts.first?.rows.first?.first?.integerValue else { return ([], warnings) }
        var updates: [SQLStatement] = []
        for (table, fact) in zip(editedTables, facts.dropFirst()) {
            guard let text = fact.rows.first?.first?.textValue else { continue }
            var edited = text
            for key in removed where key.table == table {
                edited = edited.replacing(", \(key.clause(dialect))", with: "")
            }
            for key in keys where key.table == table {
                if let longer = TableText.adding(key.clause(dialect), to: edited) {
                    edited = longer
                } else {
                    warnings.append(
                        "\(key.relation): no foreign-key constraint is made, because \"\(table)\" is no plain table"
                    )
                }
            }
            guard edited != text else { continue }
            updates.append(
                SQLStatement(
                    "UPDATE sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2",
                    binds: [.text(edited), .text(table)]
                )
            )
        }
        guard !updates.isEmpty else { return ([], warnings) }
        // A new version makes every connection read the schema again.
        let steps =
            [SQLStatement("PRAGMA writable_schema = ON")] + updates
            + [
                SQLStatement("PRAGMA writable_schema = OFF"),
                SQLStatement("PRAGMA schema_version = \((version + 1) & 0x7FFF_FFFF)"),
            ]
        return (steps, warnings)
    }
}

extension DesiredSchema.ForeignKey {
    func clause(_ dialect: SQLDialect) -> String {
        let clause =
            "CONSTRAINT \(dialect.quote(name)) FOREIGN KEY (\(dialect.quote(column)))"
            + " REFERENCES \(dialect.quote(parent)) (\(dialect.quote(parentColumn)))"
        return dialect == .postgres ? clause + " DEFERRABLE INITIALLY IMMEDIATE" : clause
    }
}

/// The text of a CREATE TABLE.
enum TableText {
    /// The text with a constraint as the last thing in its parentheses; nil where it is no plain CREATE TABLE.
    static func adding(_ clause: String, to text: String) -> String? {
        guard text.utf8.prefix(13).map({ $0 & 0xDF }) == Array("CREATE TABLE ".utf8).map({ $0 & 0xDF }) else {
            return nil
        }
        let bytes = Array(text.utf8)
        guard let end = closingParenthesis(bytes) else { return nil }
        return String(decoding: bytes[..<end], as: UTF8.self) + ", \(clause)"
            + String(decoding: bytes[end...], as: UTF8.self)
    }

    /// The parenthesis that closes the first one, leaving out what stands in quotes and comments; nil where there is
    /// none, or a comment is in the way.
    private static func closingParenthesis(_ bytes: [UInt8]) -> Int? {
        var depth = 0
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return index }
            case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"):
                guard let end = bytes[(index + 1)...].firstIndex(of: bytes[index]) else { return nil }
                index = end
            case UInt8(ascii: "["):
                guard let end = bytes[index...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
                index = end
            case UInt8(ascii: "-") where bytes[index...].starts(with: "--".utf8),
                UInt8(ascii: "/") where bytes[index...].starts(with: "/*".utf8):
                return nil
            default: break
            }
            index += 1
        }
        return nil
    }
}
