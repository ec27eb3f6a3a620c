import RocketPlanning

/// What PostgreSQL says of a database, and the statements that make another one like it.
struct CopyCatalog: Sendable {
    struct Sequence: Sendable {
        let name: String
        let type: String
        /// The column that it belongs to; empty where it belongs to none.
        let table: String
        let column: String
        /// Whether it comes with its column.
        let isIdentity: Bool
        var lastValue: Int64 = 1
        var isCalled = false
    }

    private(set) var tables: [CopiedTable] = []
    private(set) var sequences: [Sequence] = []
    private(set) var leftOut: [String] = []
    /// Why a copy could not be made a database again; nil where it can.
    private(set) var problem: String?
    private var constraints: [String] = []
    private var indexes: [String] = []

    init() {}

    private static let ofPublic =
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r'"

    static let tableNames = SQLStatement(
        "SELECT c.relname FROM pg_class AS c \(ofPublic) AND NOT c.relispartition ORDER BY c.relname",
        output: .values
    )

    static func lock(_ tables: [String]) -> SQLStatement {
        SQLStatement("LOCK TABLE \(tables.map(SQLDialect.postgres.quote).joined(separator: ", ")) IN ACCESS SHARE MODE")
    }

    /// In the order in which ``init(_:)`` reads them.
    static let queries: [SQLStatement] = [
        tableNames,
        query(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::int::text,
              COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), a.attidentity::text, a.attgenerated::text,
              COALESCE((SELECT quote_ident(m.nspname) || '.' || quote_ident(o.collname) FROM pg_collation AS o
                JOIN pg_namespace AS m ON m.oid = o.collnamespace
                WHERE o.oid = a.attcollation AND a.attcollation <> t.typcollation), '')
            FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_type AS t ON t.oid = a.atttypid
            LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            \(ofPublic) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum
            """
        ),
        query(
            """
            SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint AS k
            JOIN pg_class AS c ON c.oid = k.conrelid
            \(ofPublic) AND k.contype IN ('p', 'u', 'c', 'x', 'f')
            ORDER BY k.contype = 'f', k.contype <> 'p', c.relname, k.conname
            """
        ),
        query(
            """
            SELECT pg_get_indexdef(i.indexrelid) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
            \(ofPublic) AND i.indisvalid AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k
              WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
            ORDER BY i.indexrelid
            """
        ),
        query(
            """
            SELECT c.relname, format_type(s.seqtypid, NULL), COALESCE(t.relname, ''), COALESCE(a.attname, ''),
              COALESCE(d.deptype, '')::text
            FROM pg_class AS c JOIN pg_sequence AS s ON s.seqrelid = c.oid
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
              AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            LEFT JOIN pg_class AS t ON t.oid = d.refobjid
            LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE n.nspname = 'public' ORDER BY c.relname
            """
        ),
        query(
            """
            SELECT CASE c.relkind WHEN 'v' THEN 'the view ' WHEN 'm' THEN 'the materialized view '
              ELSE 'the table ' END || quote_ident(c.relname)
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND (c.relkind IN ('v', 'm', 'f', 'p') OR c.relispartition)
              AND c.relkind <> 'i' AND c.relkind <> 'I'
            UNION ALL SELECT 'the function ' || quote_ident(p.proname) FROM pg_proc AS p
            JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'public'
            UNION ALL SELECT 'the trigger ' || quote_ident(g.tgname) FROM pg_trigger AS g WHERE NOT g.tgisinternal
            UNION ALL SELECT 'the schema ' || quote_ident(n.nspname) FROM pg_namespace AS n
            WHERE n.nspname NOT IN ('public', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
            ORDER BY 1
            """
        ),
        foreign,
    ]

    /// What tables need that stands outside of them and is not PostgreSQL's own.
    private static let foreign = query(
        """
        SELECT 'the type of ' || quote_ident(c.relname) || '.' || quote_ident(a.attname) FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_type AS t ON t.oid = a.atttypid
        LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typelem <> 0
        JOIN pg_namespace AS m ON m.oid = COALESCE(e.typnamespace, t.typnamespace)
        \(ofPublic) AND a.attnum > 0 AND NOT a.attisdropped AND m.nspname <> 'pg_catalog'
        UNION ALL SELECT DISTINCT 'the function ' || quote_ident(p.proname) FROM pg_depend AS d
        JOIN pg_proc AS p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
        JOIN pg_namespace AS m ON m.oid = p.pronamespace
        WHERE m.nspname <> 'pg_catalog' AND m.nspname <> 'information_schema'
          AND d.classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass)
        UNION ALL SELECT DISTINCT 'the operators of ' || quote_ident(i.relname) FROM pg_depend AS d
        JOIN pg_opclass AS o ON d.refclassid = 'pg_opclass'::regclass AND o.oid = d.refobjid
        JOIN pg_class AS i ON d.classid = 'pg_class'::regclass AND i.oid = d.objid
        JOIN pg_namespace AS m ON m.oid = o.opcnamespace WHERE m.nspname <> 'pg_catalog'
        ORDER BY 1
        """
    )

    private static func query(_ text: String) -> SQLStatement { SQLStatement(text, output: .values) }

    /// - Parameter results: what ``queries`` gave.
    init(_ results: ArraySlice<StatementResult>) {
        let results = Array(results).map { result in result.rows.map { $0.map { $0.textValue ?? "" } } }
        guard results.count == Self.queries.count else { return }
        var lines: [String: [String]] = [:]
        var columns: [String: [CopiedTable.Column]] = [:]
        for row in results[1] where row.count == 8 {
            lines[row[0], default: []].append(Self.line(row))
            if row[6].isEmpty {
                columns[row[0], default: []].append(CopiedTable.Column(name: row[1], type: row[2]))
            }
        }
        tables = results[0].compactMap(\.first).map { name in
            let all = (lines[name] ?? []).joined(separator: ", ")
            return CopiedTable(
                name: name,
                create: "CREATE TABLE \(Self.quote(name)) (\(all))",
                columns: columns[name] ?? []
            )
        }
        constraints = results[2].map { "ALTER TABLE \(Self.quote($0[0])) ADD CONSTRAINT \(Self.quote($0[1])) \($0[2])" }
        indexes = results[3].map { $0[0] }
        sequences = results[4].map { row in
            Sequence(name: row[0], type: row[1], table: row[2], column: row[3], isIdentity: row[4] == "i")
        }
        leftOut = results[5].map { $0[0] }
        let foreign = results[6].map { $0[0] }
        if !foreign.isEmpty {
            problem = "Tables rely on what only pg_dump copies: \(foreign.prefix(20).joined(separator: ", "))"
        }
    }

    /// A column within CREATE TABLE.
    private static func line(_ row: [String]) -> String {
        let collation = row[7].isEmpty ? "" : " COLLATE \(row[7])"
        let filling =
            switch (row[5], row[6], row[4]) {
            case ("a", _, _): " GENERATED ALWAYS AS IDENTITY"
            case ("d", _, _): " GENERATED BY DEFAULT AS IDENTITY"
            case (_, "s", let expression): " GENERATED ALWAYS AS (\(expression)) STORED"
            case (_, _, ""): ""
            case (_, _, let expression): " DEFAULT \(expression)"
            }
        return "\(quote(row[1])) \(row[2])\(collation)\(filling)\(row[3] == "1" ? " NOT NULL" : "")"
    }

    private static func quote(_ name: String) -> String { SQLDialect.postgres.quote(name) }

    /// Where each sequence stands. It is asked after the moment that the rows are of: sequences are of no moment, and so
    /// none stands before a row that it has numbered.
    var sequenceStates: [SQLStatement] {
        sequences.map { Self.query("SELECT last_value, is_called::int FROM \(Self.quote($0.name))") }
    }

    mutating func noteSequences(_ results: [StatementResult]) {
        for (place, result) in zip(sequences.indices, results) {
            guard let row = result.rows.first, row.count == 2 else { continue }
            sequences[place].lastValue = row[0].integerValue ?? 1
            sequences[place].isCalled = row[1].integerValue == 1
        }
    }

    /// The statements that open a table's rows: how long each is, and the rows themselves. Both come in the order in which
    /// the table is stored: nothing sorts them, nobody else's scan is joined, and nobody shares the work.
    func cursors(_ place: Int) -> [SQLStatement] {
        let table = tables[place]
        let texts = table.columns.map { "\(Self.quote($0.name))::text" }.joined(separator: ", ")
        let row = "to_json(ARRAY[\(texts)]::text[])::text"
        return [("_sizes", "octet_length(\(row))"), ("_copy", row)].map { name, value in
            SQLStatement("DECLARE \(name) NO SCROLL CURSOR FOR SELECT \(value) FROM ONLY \(Self.quote(table.name))")
        }
    }

    /// What is due when all rows are there, foreign keys last.
    var afterwards: [String] {
        let standing = sequences.map { sequence in
            let name =
                sequence.isIdentity
                ? "pg_get_serial_sequence(\(Self.literal(Self.quote(sequence.table))), \(Self.literal(sequence.column)))"
                : Self.literal(Self.quote(sequence.name))
            return "SELECT setval(\(name), \(sequence.lastValue), \(sequence.isCalled))"
        }
        let owned = sequences.filter { !$0.isIdentity && !$0.table.isEmpty }.map {
            "ALTER SEQUENCE \(Self.quote($0.name)) OWNED BY \(Self.quote($0.table)).\(Self.quote($0.column))"
        }
        let (keys, foreignKeys) = (
            constraints.filter { !$0.contains(" FOREIGN KEY (") }, constraints.filter { $0.contains(" FOREIGN KEY (") }
        )
        return keys + indexes + foreignKeys + owned + standing
    }

    private static func literal(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }
}
