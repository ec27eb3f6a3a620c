package import RocketModel

/// What a table looks like now.
package struct TableFacts: Sendable, Hashable {
    /// Declared types by column, as the database tells them.
    package let columns: [String: String]
    /// The columns of the key.
    package let key: Set<String>
    /// Columns beside the key that take no null and have no default of the database's.
    package let mandatory: Set<String>
    /// Columns of the key that the database fills by itself.
    package let filledKey: Set<String>

    package init(
        columns: [String: String],
        key: Set<String> = [],
        mandatory: Set<String> = [],
        filledKey: Set<String> = []
    ) {
        self.columns = columns
        self.key = key
        self.mandatory = mandatory
        self.filledKey = filledKey
    }

    /// Reads what ``SQLDialect/columnsStatement(_:)`` gave; nil where there is no such table.
    package init?(_ result: StatementResult) {
        guard !result.rows.isEmpty else { return nil }
        var columns: [String: String] = [:]
        var key: Set<String> = []
        var mandatory: Set<String> = []
        var filledKey: Set<String> = []
        for row in result.rows where row.count == 4 {
            guard let name = row[0].textValue else { continue }
            columns[name] = row[1].textValue ?? ""
            if row[2].integerValue != 0 {
                key.insert(name)
                if row[3].integerValue == 0 { filledKey.insert(name) }
            } else if row[3].integerValue != 0 {
                mandatory.insert(name)
            }
        }
        self.init(columns: columns, key: key, mandatory: mandatory, filledKey: filledKey)
    }
}

/// A count of rows that must be zero before the schema may change.
package struct SchemaCheck: Sendable {
    package let statement: SQLStatement
    package let field: String
    /// Nil where no layer of checks has a name for it.
    package let rule: ViolatedRule?
    /// What is wrong when the count is not zero.
    package let message: @Sendable (Int64) -> String
}

/// How the tables get from what they are to what the metadata asks for. Columns are never dropped.
package struct SchemaPlan: Sendable {
    package let checks: [SchemaCheck]
    package let steps: [SQLStatement]
    /// What comes after the steps.
    package let foreignKeys: ForeignKeyPlan

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

    /// - Parameters:
    ///   - facts: what ``tablesToInspect(from:to:_:)`` found, without the tables that do not exist.
    ///   - place: what the paths of a table's fields begin with, where they come in a file with others.
    /// - Throws: 422 where a column's type can't become what is asked without losing values.
    package static func make(
        from old: DefinitionSet,
        to new: DefinitionSet,
        facts: [String: TableFacts],
        place: (String) -> String = { _ in "" },
        _ dialect: SQLDialect
    ) throws(RequestFailure) -> SchemaPlan {
        let places = Dictionary(
            DesiredSchema(new).tables.map { ($0.name, place($0.name)) },
            uniquingKeysWith: { first, _ in first }
        )
        var planner = SchemaPlanner(old: old, new: new, facts: facts, places: places, dialect: dialect)
        planner.planTables()
        planner.planIndexes()
        guard planner.violations.isEmpty else { throw .validation(planner.violations) }
        let foreignKeys = planner.foreignKeys
        return SchemaPlan(
            checks: planner.checks,
            steps: foreignKeys.firstSteps + planner.steps,
            foreignKeys: foreignKeys
        )
    }
}

private struct SchemaPlanner {
    private let before: DesiredSchema
    private let after: DesiredSchema
    private let facts: [String: TableFacts]
    private let dialect: SQLDialect
    private let places: [String: String]
    /// What the paths of the table at hand begin with.
    private var prefix = ""
    private(set) var violations: [FailureDetail] = []
    private(set) var checks: [SchemaCheck] = []
    private(set) var steps: [SQLStatement] = []
    /// Indexes on columns that are made anew: they go first and come back last.
    private var remadeIndexes: [DesiredSchema.Index] = []

    init(
        old: DefinitionSet,
        new: DefinitionSet,
        facts: [String: TableFacts],
        places: [String: String],
        dialect: SQLDialect
    ) {
        self.places = places
        before = DesiredSchema(old)
        after = DesiredSchema(new)
        self.facts = facts
        self.dialect = dialect
    }

    var foreignKeys: ForeignKeyPlan {
        ForeignKeyPlan(from: before, to: after, inline: inlineTables, dialect)
    }

    /// Tables that are made with their constraints: SQLite adds none later without an edit of its schema.
    private var inlineTables: Set<String> {
        guard dialect == .sqlite else { return [] }
        return Set(after.tables.filter { before.table($0.name) == nil && facts[$0.name] == nil }.map(\.name))
    }

    // MARK: tables

    mutating func planTables() {
        for table in after.tables where before.table(table.name) != table {
            prefix = places[table.name] ?? ""
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
        if inlineTables.contains(table.name) {
            lines += after.foreignKeys.filter { $0.table == table.name }.map { $0.clause(dialect) }
        }
        steps.append(SQLStatement("CREATE TABLE \(dialect.quote(table.name)) (\(lines.joined(separator: ", ")))"))
    }

    private mutating func change(_ table: DesiredSchema.Table, _ facts: TableFacts) {
        let previous = before.table(table.name)
        if let previous, previous.key != table.key || previous.isNumbered != table.isNumbered {
            violate("primary_key", .type, "the key of a table that exists can't change")
            return
        }
        if previous == nil, !canAdopt(table, facts) { return }
        if previous?.marksDeleted == true, !table.marksDeleted { requireNoDeleted(table) }
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
            if earlier == nil { checkContents(of: column, in: table) }
            if column.isMandatory, earlier?.isMandatory != true { requireValues(column, in: table) }
        }
    }

    /// Whether a table that is there can be this one: the same key, and nothing that inserts would stumble over.
    private mutating func canAdopt(_ table: DesiredSchema.Table, _ facts: TableFacts) -> Bool {
        if facts.key != Set(table.key) {
            let key = facts.key.isEmpty ? "none" : facts.key.sorted().joined(separator: ", ")
            violate("table", .type, "the table \"\(table.name)\" is there already, and its key is \(key)")
            return false
        }
        let isNumbered =
            switch dialect {
            case .sqlite: facts.columns[table.key[0]]?.uppercased() == "INTEGER"
            case .postgres: facts.filledKey.contains(table.key[0])
            }
        if table.isNumbered, !isNumbered {
            violate("table", .type, "the table \"\(table.name)\" is there already, and nothing numbers its rows")
            return false
        }
        let foreign = facts.mandatory.subtracting(table.columns.map(\.name)).sorted()
        guard foreign.isEmpty else {
            violate(
                "table",
                .type,
                "the table \"\(table.name)\" has columns that must be filled: \(foreign.joined(separator: ", "))"
            )
            return false
        }
        return true
    }

    /// A column that the metadata did not know may hold anything that its storage allows: SQLite keeps a UUID, a
    /// date and JSON all as text. Values that the type would not have stored stand in the way.
    private mutating func checkContents(of column: DesiredSchema.Column, in table: DesiredSchema.Table) {
        guard dialect == .sqlite, let condition = sqliteMisfit(column) else { return }
        let field = column.path.map { "\($0).type" } ?? "table"
        let type = column.shape.type.rawValue
        checks.append(
            SchemaCheck(
                statement: SQLStatement(
                    "SELECT count(*) FROM \(dialect.quote(table.name)) WHERE \(condition)",
                    output: .values
                ),
                field: prefix + field,
                rule: .type,
                message: { "\($0) rows of the table that is there have a \"\(column.name)\" that is no \(type)" }
            )
        )
    }

    /// What holds for a stored value that is none of the column's type.
    private func sqliteMisfit(_ column: DesiredSchema.Column) -> String? {
        let name = dialect.quote(column.name)
        let hex = "[0-9a-f]"
        let digit = "[0-9]"
        let repeated = { (pattern: String, count: Int) in String(repeating: pattern, count: count) }
        let day = "\(repeated(digit, 4))-\(repeated(digit, 2))-\(repeated(digit, 2))"
        switch column.shape.type {
        case .string, .text: return "typeof(\(name)) NOT IN ('text', 'null')"
        case .int:
            return
                "\(name) IS NOT NULL AND (typeof(\(name)) <> 'integer' OR \(name) NOT BETWEEN -2147483648 AND 2147483647)"
        case .bigint: return "typeof(\(name)) NOT IN ('integer', 'null')"
        case .float: return "typeof(\(name)) NOT IN ('real', 'integer', 'null')"
        case .boolean: return "\(name) IS NOT NULL AND \(name) NOT IN (0, 1)"
        case .uuid:
            let pattern = [8, 4, 4, 4, 12].map { repeated(hex, $0) }.joined(separator: "-")
            return "\(name) NOT GLOB '\(pattern)'"
        case .date: return "\(name) NOT GLOB '\(day)'"
        case .timestamp:
            let time = "\(repeated(digit, 2)):\(repeated(digit, 2)):\(repeated(digit, 2)).\(repeated(digit, 6))Z"
            return "\(name) NOT GLOB '\(day)T\(time)'"
        case .json, .file: return "\(name) IS NOT NULL AND NOT json_valid(\(name))"
        case .decimal:
            // Nothing but an optional minus, digits, and a point between digits.
            return "\(name) IS NOT NULL AND (typeof(\(name)) <> 'text' OR ltrim(\(name), '-') GLOB '*[^0-9.]*'"
                + " OR ltrim(\(name), '-') NOT GLOB '[0-9]*' OR \(name) NOT GLOB '*[0-9]' OR \(name) GLOB '*.*.*' OR \(name) GLOB '--*')"
        }
    }

    /// Rows that are marked as deleted would all be back.
    private mutating func requireNoDeleted(_ table: DesiredSchema.Table) {
        let deletedAt = dialect.quote(EntityDefinition.deletedAt)
        checks.append(
            SchemaCheck(
                statement: SQLStatement(
                    "SELECT count(*) FROM \(dialect.quote(table.name)) WHERE \(deletedAt) IS NOT NULL",
                    output: .values
                ),
                field: prefix + "soft_delete",
                rule: nil,
                message: { "\($0) rows are marked as deleted and would be back; remove them for good first" }
            )
        )
    }

    private mutating func add(_ column: DesiredSchema.Column, to table: DesiredSchema.Table) {
        let name = dialect.quote(column.name)
        if column.isMandatory, column.backfill == nil, let path = column.path {
            checks.append(
                SchemaCheck(
                    statement: SQLStatement("SELECT count(*) FROM \(dialect.quote(table.name))", output: .values),
                    field: prefix + path,
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
                field: prefix + "\(path).required",
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
        let key = before.foreignKeys.first {
            ($0.table == table.name && $0.column == column.name)
                || ($0.parent == table.name && $0.parentColumn == column.name)
        }
        if let key, !(earlier.type.isText && column.shape.type.isText) {
            violate(
                "\(path).type",
                .type,
                "is a key of the relation \"\(key.relation)\": the type can change when the relation is taken away"
            )
            return
        }
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
            prefix = places[index.table] ?? ""
            if index.unique { checkUnique(index) }
            let columns = index.columns.map {
                index.isOfFile ? dialect.fileID($0.field) : spell($0, of: index.table)
            }.joined(separator: ", ")
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

    private func spell(_ column: EntityDefinition.Index.Column, of table: String) -> String {
        let shape = after.table(table)?.columns.first { $0.name == column.field }?.shape ?? ValueShape(type: .text)
        let nulls = dialect == .postgres ? (column.isDescending ? " NULLS LAST" : " NULLS FIRST") : ""
        return dialect.comparable(column.field, shape) + (column.isDescending ? " DESC" : "") + nulls
    }

    /// Counts the rows that would clash. A column that is new has no values that could, unless every row gets the
    /// same default.
    private mutating func checkUnique(_ index: DesiredSchema.Index) {
        let present = presentColumns(index.table)
        guard !present.isEmpty, let table = after.table(index.table) else { return }
        let columns = index.columns.compactMap { column in table.columns.first { $0.name == column.field } }
        guard columns.allSatisfy({ present.contains($0.name) || $0.backfill != nil }) else { return }
        let compared = columns.filter { present.contains($0.name) }.map { dialect.comparable($0.name, $0.shape) }
        var conditions = compared.map { "\($0) IS NOT NULL" }
        if index.livingOnly, present.contains(EntityDefinition.deletedAt) {
            conditions.append("\(dialect.quote(EntityDefinition.deletedAt)) IS NULL")
        }
        let filter = conditions.isEmpty ? "" : " WHERE \(conditions.joined(separator: " AND "))"
        let grouping = compared.isEmpty ? "" : " GROUP BY \(compared.joined(separator: ", "))"
        let names = columns.map(\.name).joined(separator: ", ")
        checks.append(
            SchemaCheck(
                statement: SQLStatement(
                    "SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM (SELECT count(*) AS n"
                        + " FROM \(dialect.quote(index.table))\(filter)\(grouping) HAVING count(*) > 1) AS clashes",
                    output: .values
                ),
                field: prefix + path(of: index),
                rule: nil,
                message: { "\($0) rows share a value of \(names)" }
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
        violations.append(FailureDetail(field: prefix + field, rule: rule, message: message))
    }
}

extension SQLDialect {
    /// Tells a table's columns: rows of (name, declared type), none where there is no such table.
    package func columnsStatement(_ table: String) -> SQLStatement {
        switch self {
        case .sqlite:
            SQLStatement(
                "SELECT name, type, pk, \"notnull\" AND dflt_value IS NULL FROM pragma_table_info(?1)",
                binds: [.text(table)],
                output: .values
            )
        case .postgres:
            SQLStatement(
                // A collation of its own would sort otherwise than by code point, which is what the databases do.
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod) || COALESCE((SELECT ' COLLATE ' || c.collname"
                    + " FROM pg_collation AS c WHERE c.oid = a.attcollation"
                    + " AND c.collname NOT IN ('default', 'C', 'POSIX', 'ucs_basic')), ''),"
                    + " CASE WHEN EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisprimary"
                    + " AND a.attnum = ANY(i.indkey)) THEN 1 ELSE 0 END,"
                    + " CASE WHEN a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' THEN 1 ELSE 0 END"
                    + " FROM pg_attribute AS a WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0"
                    + " AND NOT a.attisdropped ORDER BY a.attnum",
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
            let declaredName = declared.uppercased()
            let isText =
                declaredName == "TEXT"
                || declaredName.hasPrefix("CHARACTER VARYING") && !declaredName.contains(" COLLATE ")
            let name = declaredName == "TIMESTAMP WITH TIME ZONE" ? "TIMESTAMPTZ" : isText ? "TEXT" : declaredName
            return name == wantedName
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
