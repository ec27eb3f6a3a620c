package import RocketModel

/// What a table looks like now.
package struct TableFacts: Sendable, Hashable {
    /// Declared types by column, as the database tells them.
    package let columns: [String: String]

    package init(columns: [String: String]) {
        self.columns = columns
    }
}

/// A count of rows that must be zero before the schema may change.
package struct SchemaCheck: Sendable {
    package let statement: SQLStatement
    package let field: String
    package let rule: ViolatedRule
    /// What is wrong when the count is not zero.
    package let message: @Sendable (Int64) -> String
}

/// How the tables get from what they are to what the metadata asks for. Columns are never dropped.
package struct SchemaPlan: Sendable {
    package let checks: [SchemaCheck]
    package let steps: [SQLStatement]

    /// The tables that a change touches, each with the statement that tells its columns: rows of (name, type).
    package static func tablesToInspect(
        from old: DefinitionSet,
        to new: DefinitionSet,
        _ dialect: SQLDialect
    ) -> [(table: String, statement: SQLStatement)] {
        let before = DesiredSchema(old)
        return DesiredSchema(new).tables.filter { before.table($0.name) != $0 }.map { table in
            (table.name, dialect.columnsStatement(table.name))
        }
    }

    /// - Parameter facts: what ``tablesToInspect(from:to:_:)`` found, without the tables that do not exist.
    /// - Throws: 422 where a column's type can't become what is asked without losing values.
    package static func make(
        from old: DefinitionSet,
        to new: DefinitionSet,
        facts: [String: TableFacts],
        _ dialect: SQLDialect
    ) throws(RequestFailure) -> SchemaPlan {
        var planner = SchemaPlanner(old: old, new: new, facts: facts, dialect: dialect)
        planner.planTables()
        planner.planIndexes()
        guard planner.violations.isEmpty else { throw .validation(planner.violations) }
        return SchemaPlan(checks: planner.checks, steps: planner.steps)
    }
}

private struct SchemaPlanner {
    private let before: DesiredSchema
    private let after: DesiredSchema
    private let facts: [String: TableFacts]
    private let dialect: SQLDialect
    private(set) var violations: [FailureDetail] = []
    private(set) var checks: [SchemaCheck] = []
    private(set) var steps: [SQLStatement] = []
    /// Indexes on columns that are made anew: they go first and come back last.
    private var remadeIndexes: [DesiredSchema.Index] = []

    init(old: DefinitionSet, new: DefinitionSet, facts: [String: TableFacts], dialect: SQLDialect) {
        before = DesiredSchema(old)
        after = DesiredSchema(new)
        self.facts = facts
        self.dialect = dialect
    }

    // MARK: tables

    mutating func planTables() {
        for table in after.tables where before.table(table.name) != table {
            if let existing = facts[table.name] {
                change(table, existing)
            } else {
                create(table)
            }
        }
    }

    private mutating func create(_ table: DesiredSchema.Table) {
        var lines = table.columns.map { column in
            let isOnlyKey = table.key == [column.name]
            let type = isOnlyKey && table.isNumbered ? dialect.numberedKeyType(column.shape) : columnType(column)
            return "\(dialect.quote(column.name)) \(type)" + (table.key.contains(column.name) ? " NOT NULL" : "")
                + (isOnlyKey ? " PRIMARY KEY" + (table.isNumbered ? dialect.numberedKeySuffix : "") : "")
        }
        if table.key.count > 1 { lines.append("PRIMARY KEY (\(table.key.map(dialect.quote).joined(separator: ", ")))") }
        steps.append(SQLStatement("CREATE TABLE \(dialect.quote(table.name)) (\(lines.joined(separator: ", ")))"))
    }

    private mutating func change(_ table: DesiredSchema.Table, _ facts: TableFacts) {
        let previous = before.table(table.name)
        if let previous, previous.key != table.key || previous.isNumbered != table.isNumbered {
            violate("primary_key", .type, "the key of a table that exists can't change")
            return
        }
        for column in table.columns {
            let earlier = previous?.columns.first { $0.name == column.name }
            guard let declared = facts.columns[column.name] else {
                add(column, to: table)
                continue
            }
            if let earlier, earlier.shape != column.shape {
                changeType(of: column, from: earlier.shape, in: table)
            } else if !dialect.isSameStorage(declared, columnType(column)) {
                let wanted = columnType(column)
                violate(
                    column.path.map { "\($0).type" } ?? "table",
                    .type,
                    "the column \"\(column.name)\" of the table \"\(table.name)\" is \(declared), not \(wanted)"
                )
            }
            if column.isMandatory, earlier?.isMandatory != true { requireValues(column, in: table) }
        }
    }

    private mutating func add(_ column: DesiredSchema.Column, to table: DesiredSchema.Table) {
        let name = dialect.quote(column.name)
        if column.isMandatory, column.backfill == nil, let path = column.path {
            checks.append(
                SchemaCheck(
                    statement: SQLStatement("SELECT count(*) FROM \(dialect.quote(table.name))", output: .values),
                    field: path,
                    rule: .required,
                    message: { "\($0) rows are there already: a new required field needs a \"default\"" }
                )
            )
        }
        steps.append(SQLStatement("ALTER TABLE \(dialect.quote(table.name)) ADD COLUMN \(name) \(columnType(column))"))
        if let backfill = column.backfill {
            var sql = SQLBuilder(dialect)
            sql.append("UPDATE \(dialect.quote(table.name)) SET \(name) = ")
            sql.bind(backfill)
            steps.append(sql.statement())
        }
    }

    private mutating func requireValues(_ column: DesiredSchema.Column, in table: DesiredSchema.Table) {
        guard let path = column.path else { return }
        let name = dialect.quote(column.name)
        let empty = column.shape.type.isText ? " OR \(name) = ''" : ""
        checks.append(
            SchemaCheck(
                statement: SQLStatement(
                    "SELECT count(*) FROM \(dialect.quote(table.name)) WHERE \(name) IS NULL\(empty)",
                    output: .values
                ),
                field: "\(path).required",
                rule: .required,
                message: { "\($0) rows have no \"\(column.name)\"" }
            )
        )
    }

    /// Changes that can lose no value; everything else is refused.
    private mutating func changeType(
        of column: DesiredSchema.Column,
        from earlier: ValueShape,
        in table: DesiredSchema.Table
    ) {
        let path = column.path ?? "fields"
        switch (earlier.type, column.shape.type) {
        case (.string, .text), (.text, .string):
            break
        case (.int, .bigint), (.uuid, .string), (.uuid, .text):
            if dialect == .postgres { retype(column, in: table) }
        case (.int, .float),
            (.int, .decimal) where column.shape.precision == nil,
            (.bigint, .decimal) where column.shape.precision == nil:
            retype(column, in: table)
        case (.decimal, .decimal) where column.shape.precision == nil:
            if dialect == .postgres { retype(column, in: table) }
        default:
            violate(
                "\(path).type",
                .type,
                "values could be lost from \(describe(earlier)) to \(describe(column.shape)); make a new field instead"
            )
        }
        if table.key.contains(column.name), earlier.type != column.shape.type {
            violate("\(path).type", .type, "the type of a key can't change")
        }
    }

    private mutating func retype(_ column: DesiredSchema.Column, in table: DesiredSchema.Table) {
        let name = dialect.quote(column.name)
        let type = columnType(column)
        let tableName = dialect.quote(table.name)
        switch dialect {
        case .postgres:
            let cast = type.split(separator: " COLLATE")[0]
            steps.append(
                SQLStatement("ALTER TABLE \(tableName) ALTER COLUMN \(name) TYPE \(type) USING \(name)::\(cast)")
            )
        case .sqlite:
            // SQLite has no ALTER COLUMN: the values move to a new column, which takes the old one's name.
            remadeIndexes += before.indexes.filter {
                $0.table == table.name && $0.columns.contains { $0.field == column.name }
            }
            let fresh = dialect.quote("_retyped_" + column.name.prefix(50))
            let converted = column.shape.type == .decimal ? "CAST(\(name) AS TEXT)" : name
            steps += [
                "ALTER TABLE \(tableName) ADD COLUMN \(fresh) \(type)",
                "UPDATE \(tableName) SET \(fresh) = \(converted)",
                "ALTER TABLE \(tableName) DROP COLUMN \(name)",
                "ALTER TABLE \(tableName) RENAME COLUMN \(fresh) TO \(name)",
            ].map { SQLStatement($0) }
        }
    }

    private func columnType(_ column: DesiredSchema.Column) -> String {
        dialect.columnType(column.shape)
    }

    private func describe(_ shape: ValueShape) -> String {
        shape.type.rawValue + (shape.precision.map { " with precision \($0)" } ?? "")
    }

    // MARK: indexes

    mutating func planIndexes() {
        let dropped = before.indexes.filter { !after.indexes.contains($0) || remadeIndexes.contains($0) }
        let made = after.indexes.filter { !before.indexes.contains($0) || remadeIndexes.contains($0) }
        steps = dropped.map { SQLStatement("DROP INDEX IF EXISTS \(dialect.quote($0.name))") } + steps
        for index in made {
            if index.unique { checkUnique(index) }
            let columns = index.columns.map(spell).joined(separator: ", ")
            let condition = index.livingOnly ? " WHERE \(dialect.quote(EntityDefinition.deletedAt)) IS NULL" : ""
            steps.append(
                SQLStatement(
                    "CREATE \(index.unique ? "UNIQUE " : "")INDEX IF NOT EXISTS \(dialect.quote(index.name))"
                        + " ON \(dialect.quote(index.table)) (\(columns))\(condition)"
                )
            )
        }
    }

    /// The columns that a table has before the steps run; none where the steps make it.
    private func presentColumns(_ table: String) -> Set<String> {
        facts[table].map { Set($0.columns.keys) } ?? Set(before.table(table)?.columns.map(\.name) ?? [])
    }

    private func spell(_ column: EntityDefinition.Index.Column) -> String {
        dialect.quote(column.field)
            + (column.isDescending
                ? (dialect == .postgres ? " DESC NULLS LAST" : " DESC") : (dialect == .postgres ? " NULLS FIRST" : ""))
    }

    private mutating func checkUnique(_ index: DesiredSchema.Index) {
        let present = presentColumns(index.table)
        let names = index.columns.map(\.field)
        // A column that is new has no values that could clash.
        guard names.allSatisfy(present.contains) else { return }
        let columns = names.map(dialect.quote)
        let filled = columns.map { "\($0) IS NOT NULL" }.joined(separator: " AND ")
        let isFiltered = index.livingOnly && present.contains(EntityDefinition.deletedAt)
        let alive = isFiltered ? " AND \(dialect.quote(EntityDefinition.deletedAt)) IS NULL" : ""
        let list = columns.joined(separator: ", ")
        checks.append(
            SchemaCheck(
                statement: SQLStatement(
                    "SELECT COALESCE(sum(n), 0) FROM (SELECT count(*) AS n FROM \(dialect.quote(index.table))"
                        + " WHERE \(filled)\(alive) GROUP BY \(list) HAVING count(*) > 1) AS clashes",
                    output: .values
                ),
                field: path(of: index),
                rule: .unknown,
                message: { "\($0) rows share a value of \(names.joined(separator: ", "))" }
            )
        )
    }

    private func path(of index: DesiredSchema.Index) -> String {
        if index.columns.count == 1,
            let column = after.table(index.table)?.columns.first(where: { $0.name == index.columns[0].field }),
            let path = column.path
        {
            return "\(path).unique"
        }
        return "indexes"
    }

    private mutating func violate(_ field: String, _ rule: ViolatedRule, _ message: String) {
        violations.append(FailureDetail(field: field, rule: rule, message: message))
    }
}

extension SQLDialect {
    /// Tells a table's columns: rows of (name, declared type), none where there is no such table.
    package func columnsStatement(_ table: String) -> SQLStatement {
        switch self {
        case .sqlite:
            SQLStatement("SELECT name, type FROM pragma_table_info(?1)", binds: [.text(table)], output: .values)
        case .postgres:
            SQLStatement(
                "SELECT column_name, data_type FROM information_schema.columns"
                    + " WHERE table_schema = current_schema() AND table_name = $1",
                binds: [.text(table)],
                output: .values
            )
        }
    }

    fileprivate func numberedKeyType(_ shape: ValueShape) -> String {
        switch self {
        case .sqlite: "INTEGER"
        case .postgres: "\(columnType(shape)) GENERATED BY DEFAULT AS IDENTITY"
        }
    }

    fileprivate var numberedKeySuffix: String {
        switch self {
        case .sqlite: " AUTOINCREMENT"
        case .postgres: ""
        }
    }

    /// Whether a column that is there stores values as the wanted type would.
    fileprivate func isSameStorage(_ declared: String, _ wanted: String) -> Bool {
        let wantedName = String(wanted.split(separator: " COLLATE")[0]).uppercased()
        switch self {
        case .sqlite: return sqliteAffinity(declared) == sqliteAffinity(wantedName)
        case .postgres:
            let names = [
                "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "CHARACTER VARYING": "TEXT", "CHARACTER": "TEXT",
            ]
            let declaredName = names[declared.uppercased()] ?? declared.uppercased()
            return declaredName == wantedName.split(separator: "(")[0]
        }
    }

    /// SQLite's rules of column affinity (https://www.sqlite.org/datatype3.html part 3.1).
    private func sqliteAffinity(_ declared: String) -> String {
        let type = declared.uppercased()
        if type.contains("INT") { return "INTEGER" }
        if type.contains("CHAR") || type.contains("CLOB") || type.contains("TEXT") { return "TEXT" }
        if type.contains("BLOB") || type.isEmpty { return "BLOB" }
        if type.contains("REAL") || type.contains("FLOA") || type.contains("DOUB") { return "REAL" }
        return "NUMERIC"
    }
}
