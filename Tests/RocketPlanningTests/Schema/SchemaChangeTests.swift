import Foundation
import RocketModel
import RocketPlanning
import Testing

/// Notes with the fields given beside their numbered key.
private func notes(
    _ fields: [FieldDefinition],
    softDelete: Bool = false,
    indexes: [EntityDefinition.Index] = []
) -> DefinitionSet {
    DefinitionSet(entities: [
        EntityDefinition(
            name: "note",
            table: "notes",
            primaryKey: .init(field: "id", type: .int, generated: true),
            softDelete: softDelete,
            indexes: indexes,
            fields: [FieldDefinition(name: "id", type: .int)] + fields
        )
    ])
}

private func index(_ fields: String..., unique: Bool = false) -> EntityDefinition.Index {
    EntityDefinition.Index(
        columns: fields.map { name in
            let field = name.hasPrefix("-") ? String(name.dropFirst()) : name
            return EntityDefinition.Index.Column(field: field, isDescending: name.hasPrefix("-"))
        },
        unique: unique
    )
}

/// The columns of a table as the database declares them.
private func facts(
    _ columns: [String: String],
    key: Set<String> = ["id"],
    mandatory: Set<String> = [],
    filledKey: Set<String> = ["id"]
) -> [String: TableFacts] {
    ["notes": TableFacts(columns: columns, key: key, mandatory: mandatory, filledKey: filledKey)]
}

/// The tables of `definitions` as the schema plan itself would have made them.
private func madeFacts(_ definitions: DefinitionSet, _ dialect: SQLDialect) -> [String: TableFacts] {
    let declared = [
        "TEXT COLLATE ROCKET_DECIMAL": "TEXT", "TEXT COLLATE \"C\"": "text", "TIMESTAMPTZ": "timestamp with time zone",
    ]
    var facts: [String: TableFacts] = [:]
    for entity in definitions.entities {
        var columns: [String: String] = [:]
        for field in entity.fields {
            let type = dialect.columnType(field.shape)
            columns[field.name] = declared[type] ?? String(type.prefix { $0 != "(" })
        }
        if entity.softDelete { columns["deleted_at"] = dialect == .sqlite ? "TEXT" : "timestamp with time zone" }
        facts[entity.table] = TableFacts(columns: columns, key: [entity.primaryKey.field])
    }
    return facts
}

/// From one state of the metadata to the next, over tables that are as the first one wants them.
private func change(_ old: DefinitionSet, to new: DefinitionSet, _ dialect: SQLDialect = .sqlite) throws -> SchemaPlan {
    try SchemaPlan.make(from: old, to: new, facts: madeFacts(old, dialect), dialect)
}

private func texts(_ plan: SchemaPlan) -> [String] {
    plan.steps.map(\.text)
}

private let title = FieldDefinition(name: "title", type: .string)
private let rank = FieldDefinition(name: "rank", type: .int)

/// A change of a field's type, and the statements that make it in each database.
struct TypeChange: Sendable, CustomTestStringConvertible {
    let old: ValueShape
    let new: ValueShape
    let sqlite: [String]
    let postgres: [String]

    init(_ old: ValueShape, _ new: ValueShape, sqlite: [String] = [], postgres: [String] = []) {
        self.old = old
        self.new = new
        self.sqlite = sqlite
        self.postgres = postgres
    }

    var testDescription: String { "\(old.type.rawValue) to \(new.type.rawValue)" }

    func definitions(_ shape: ValueShape, indexes: [EntityDefinition.Index] = []) -> DefinitionSet {
        notes([FieldDefinition(name: "f", type: shape.type, precision: shape.precision)], indexes: indexes)
    }
}

/// SQLite moves the values to a new column that takes the old one's name.
private func moved(to type: String, by expression: String = "\"f\"") -> [String] {
    [
        "ALTER TABLE \"notes\" ADD COLUMN \"_retyped_f\" \(type)",
        "UPDATE \"notes\" SET \"_retyped_f\" = \(expression)",
        "ALTER TABLE \"notes\" DROP COLUMN \"f\"",
        "ALTER TABLE \"notes\" RENAME COLUMN \"_retyped_f\" TO \"f\"",
    ]
}

private func shape(_ type: FieldType, _ precision: Int? = nil) -> ValueShape {
    ValueShape(type: type, precision: precision)
}

private let allowedChanges: [TypeChange] = [
    .init(shape(.string), shape(.text)),
    .init(shape(.text), shape(.string)),
    .init(
        shape(.int),
        shape(.bigint),
        postgres: [#"ALTER TABLE "notes" ALTER COLUMN "f" TYPE BIGINT USING "f"::BIGINT"#]
    ),
    .init(
        shape(.uuid),
        shape(.string),
        postgres: [#"ALTER TABLE "notes" ALTER COLUMN "f" TYPE TEXT COLLATE "C" USING "f"::TEXT"#]
    ),
    .init(
        shape(.int),
        shape(.float),
        sqlite: moved(to: "REAL"),
        postgres: [#"ALTER TABLE "notes" ALTER COLUMN "f" TYPE DOUBLE PRECISION USING "f"::DOUBLE PRECISION"#]
    ),
    .init(
        shape(.int),
        shape(.decimal),
        sqlite: moved(to: "TEXT COLLATE ROCKET_DECIMAL", by: #"CAST("f" AS TEXT)"#),
        postgres: [#"ALTER TABLE "notes" ALTER COLUMN "f" TYPE NUMERIC USING "f"::NUMERIC"#]
    ),
    .init(
        shape(.bigint),
        shape(.decimal),
        sqlite: moved(to: "TEXT COLLATE ROCKET_DECIMAL", by: #"CAST("f" AS TEXT)"#),
        postgres: [#"ALTER TABLE "notes" ALTER COLUMN "f" TYPE NUMERIC USING "f"::NUMERIC"#]
    ),
    .init(
        shape(.decimal, 2),
        shape(.decimal),
        postgres: [#"ALTER TABLE "notes" ALTER COLUMN "f" TYPE NUMERIC USING "f"::NUMERIC"#]
    ),
]

private let refusedChanges: [TypeChange] = [
    .init(shape(.bigint), shape(.int)), .init(shape(.string), shape(.int)), .init(shape(.int), shape(.string)),
    .init(shape(.float), shape(.int)), .init(shape(.float), shape(.decimal)), .init(shape(.bigint), shape(.float)),
    .init(shape(.decimal), shape(.float)), .init(shape(.decimal), shape(.int)), .init(shape(.string), shape(.decimal)),
    .init(shape(.decimal), shape(.decimal, 2)), .init(shape(.decimal, 4), shape(.decimal, 2)),
    .init(shape(.timestamp), shape(.date)), .init(shape(.date), shape(.timestamp)), .init(shape(.string), shape(.uuid)),
    .init(shape(.boolean), shape(.int)), .init(shape(.int), shape(.boolean)), .init(shape(.json), shape(.text)),
    .init(shape(.text), shape(.json)), .init(shape(.json), shape(.file)), .init(shape(.string), shape(.timestamp)),
]

struct SchemaChangeTests {
    // MARK: nothing

    @Test(arguments: [SQLDialect.sqlite, .postgres])
    func whatStaysTheSameTakesNoStatement(dialect: SQLDialect) throws {
        let plan = try change(Desk.definitions, to: Desk.definitions, dialect)
        #expect(texts(plan) == [])
        #expect(plan.checks.isEmpty)
        #expect(SchemaPlan.tablesToInspect(from: Desk.definitions, to: Desk.definitions, dialect).isEmpty)
    }

    @Test func columnsAndTablesAreNeverDropped() throws {
        #expect(texts(try change(notes([title, rank]), to: notes([title]))) == [])
        #expect(texts(try change(notes([title, rank]), to: DefinitionSet())) == [])
    }

    @Test func theTablesThatChangeAreInspected() {
        let new = notes([title])
        let sqlite = SchemaPlan.tablesToInspect(from: DefinitionSet(), to: new, .sqlite)
        #expect(sqlite.map(\.table) == ["notes"])
        #expect(sqlite.first?.statement.text.hasSuffix("FROM pragma_table_info(?1)") == true)
        #expect(sqlite.map(\.statement.binds) == [[.text("notes")]])
        let postgres = SchemaPlan.tablesToInspect(from: DefinitionSet(), to: new, .postgres)
        #expect(postgres.first?.statement.text.contains("to_regclass(quote_ident($1))") == true)
    }

    // MARK: indexes

    @Test func anIndexHasANameThatStaysTheSame() throws {
        let indexed = notes([title, rank], indexes: [index("rank", "-title"), index("title", "rank", unique: true)])
        let plan = try SchemaPlan.make(from: DefinitionSet(), to: indexed, facts: [:], .sqlite)
        #expect(
            texts(plan).dropFirst() == [
                #"CREATE INDEX IF NOT EXISTS "notes_rank_title_idx_9c74760a85ad1937" ON "notes" ("rank", "title" DESC)"#,
                #"CREATE UNIQUE INDEX IF NOT EXISTS "notes_title_rank_key_cfbdf4f2a0e5cc03" ON "notes" ("title", "rank")"#,
            ]
        )
        #expect(plan.checks.isEmpty)
    }

    @Test func anIndexPutsNullsWhereASortDoes() throws {
        let indexed = notes([title, rank], indexes: [index("rank", "-title")])
        let plan = try SchemaPlan.make(from: DefinitionSet(), to: indexed, facts: [:], .postgres)
        #expect(texts(plan).last?.hasSuffix(#"("rank" NULLS FIRST, "title" DESC NULLS LAST)"#) == true)
    }

    @Test func aChangedIndexIsDroppedAndMadeAnew() throws {
        let plan = try change(
            notes([rank], indexes: [index("rank")]),
            to: notes([rank], indexes: [index("-rank")])
        )
        #expect(
            texts(plan) == [
                #"DROP INDEX IF EXISTS "notes_rank_idx_b3bf0ce4e00fbf80""#,
                #"CREATE INDEX IF NOT EXISTS "notes_rank_idx_277bcacf6d5c88b1" ON "notes" ("rank" DESC)"#,
            ]
        )
    }

    @Test func theIndexesOfAnEntityGoWithItsDefinition() throws {
        let plan = try change(notes([rank], indexes: [index("rank")]), to: DefinitionSet())
        #expect(texts(plan) == [#"DROP INDEX IF EXISTS "notes_rank_idx_b3bf0ce4e00fbf80""#])
    }

    @Test func aLongNameOfAnIndexIsCutAndStaysItsOwn() throws {
        let long = (0..<6).map { FieldDefinition(name: "a_rather_long_name_of_a_field_\($0)", type: .int) }
        let names = long.map(\.name)
        let first = index(names[0], names[1], names[2])
        let second = index(names[0], names[1], names[3])
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: notes(long, indexes: [first, second]),
            facts: [:],
            .sqlite
        )
        let made = texts(plan).dropFirst().map { $0.split(separator: "\"")[1] }
        #expect(made.count == 2)
        #expect(Set(made).count == 2)
        #expect(made.allSatisfy { $0.utf8.count <= 63 })
    }

    @Test func softDeletesMakeAUniqueIndexLookAtLivingRowsOnly() throws {
        let slug = FieldDefinition(name: "slug", type: .string, unique: true)
        let hard = notes([slug])
        let soft = notes([slug], softDelete: true)
        let plan = try change(hard, to: soft)
        #expect(texts(plan).count == 3)
        #expect(texts(plan)[0].hasPrefix(#"DROP INDEX IF EXISTS "notes_slug_key_"#))
        #expect(texts(plan)[1] == #"ALTER TABLE "notes" ADD COLUMN "deleted_at" TEXT"#)
        #expect(texts(plan)[2].hasSuffix(#"ON "notes" ("slug") WHERE "deleted_at" IS NULL"#))
    }

    // MARK: fields that become unique or required

    @Test func aFieldBecomesUniqueWhereNoTwoRowsShareAValue() throws {
        let unique = FieldDefinition(name: "title", type: .string, unique: true)
        let plan = try change(notes([title]), to: notes([unique]))
        #expect(
            plan.checks.map(\.statement.text) == [
                #"""
                SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM (SELECT count(*) AS n FROM "notes" WHERE "title" IS NOT NULL \#
                GROUP BY "title" HAVING count(*) > 1) AS clashes
                """#
            ]
        )
        #expect(plan.checks.map(\.statement.output) == [.values])
        #expect(plan.checks.map(\.field) == ["fields[1].unique"])
        #expect(plan.checks.first?.message(3) == "3 rows share a value of title")
        #expect(
            texts(plan) == [
                #"CREATE UNIQUE INDEX IF NOT EXISTS "notes_title_key_2e3600cacd839445" ON "notes" ("title")"#
            ]
        )
    }

    @Test func deletedRowsDoNotStandInTheWayOfUnique() throws {
        let unique = FieldDefinition(name: "title", type: .string, unique: true)
        let plan = try change(notes([title], softDelete: true), to: notes([unique], softDelete: true))
        #expect(
            plan.checks.first?.statement.text.contains(
                #"WHERE "title" IS NOT NULL AND "deleted_at" IS NULL GROUP BY "title""#
            ) == true
        )
    }

    @Test func aUniqueIndexOverSeveralFieldsNamesThemAll() throws {
        let plan = try change(
            notes([title, rank]),
            to: notes([title, rank], indexes: [index("title", "rank", unique: true)])
        )
        #expect(plan.checks.map(\.field) == ["indexes"])
        #expect(plan.checks.first?.message(2) == "2 rows share a value of title, rank")
        #expect(
            plan.checks.first?.statement.text.contains(
                #"WHERE "title" IS NOT NULL AND "rank" IS NOT NULL GROUP BY "title", "rank""#
            ) == true
        )
    }

    @Test func aNewUniqueFieldHasNoValuesThatCouldClash() throws {
        let code = FieldDefinition(name: "code", type: .string, unique: true)
        #expect(try change(notes([title]), to: notes([title, code])).checks.isEmpty)
    }

    /// Every row that is there gets the default, so more than one row stands in the way of unique.
    @Test func aNewUniqueFieldWithADefaultIsCheckedAgainstTheRowsThatAreThere() throws {
        let code = FieldDefinition(name: "code", type: .string, unique: true, defaultValue: .string("x"))
        let plan = try change(notes([title]), to: notes([title, code]))
        #expect(plan.checks.map(\.field) == ["fields[2].unique"])
        #expect(plan.checks.first?.message(3) == "3 rows share a value of code")
    }

    @Test func aDefaultSharedByDeletedRowsStandsInNobodysWay() throws {
        let code = FieldDefinition(name: "code", type: .string, unique: true, defaultValue: .string("x"))
        let plan = try change(notes([title], softDelete: true), to: notes([title, code], softDelete: true))
        #expect(plan.checks.map(\.field) == ["fields[2].unique"])
        #expect(plan.checks.first?.statement.text.contains("\"deleted_at\" IS NULL") == true)
    }

    @Test func aUniqueIndexWithANewFieldIsCheckedWhereItsDefaultCouldClash() throws {
        let code = FieldDefinition(name: "code", type: .string, defaultValue: .string("x"))
        let plan = try change(
            notes([title]),
            to: notes([title, code], indexes: [index("title", "code", unique: true)])
        )
        #expect(plan.checks.map(\.field) == ["indexes"])
    }

    @Test func aFieldBecomesRequiredWhereEveryRowHasAValue() throws {
        let required = [
            FieldDefinition(name: "title", type: .string, required: true),
            FieldDefinition(name: "rank", type: .int, required: true),
        ]
        let plan = try change(notes([title, rank]), to: notes(required))
        #expect(
            plan.checks.map(\.statement.text) == [
                #"SELECT count(*) FROM "notes" WHERE "title" IS NULL OR "title" = ''"#,
                #"SELECT count(*) FROM "notes" WHERE "rank" IS NULL"#,
            ]
        )
        #expect(plan.checks.map(\.field) == ["fields[1].required", "fields[2].required"])
        #expect(plan.checks.map(\.rule) == [.required, .required])
        #expect(plan.checks.first?.message(4) == "4 rows have no \"title\"")
        #expect(texts(plan) == [])
    }

    @Test func aFieldThatMayBeNullAsksNothingOfItsRows() throws {
        let nullable = FieldDefinition(name: "title", type: .string, required: true, nullable: true)
        #expect(try change(notes([title]), to: notes([nullable])).checks.isEmpty)
        let required = FieldDefinition(name: "title", type: .string, required: true)
        #expect(try change(notes([required]), to: notes([title])).checks.isEmpty)
    }

    // MARK: new fields

    @Test(arguments: [(SQLDialect.sqlite, "?1"), (.postgres, "$1")])
    func aNewFieldTakesItsDefaultInTheRowsThatAreThere(dialect: SQLDialect, place: String) throws {
        let price = FieldDefinition(name: "price", type: .decimal, required: true, defaultValue: 5, precision: 2)
        let plan = try change(notes([title]), to: notes([title, price]), dialect)
        let type = dialect == .sqlite ? "TEXT COLLATE ROCKET_DECIMAL" : "NUMERIC(20,2)"
        #expect(
            texts(plan) == [
                "ALTER TABLE \"notes\" ADD COLUMN \"price\" \(type)", "UPDATE \"notes\" SET \"price\" = \(place)",
            ]
        )
        #expect(plan.steps.last?.binds == [.text("5.00")])
        #expect(plan.checks.isEmpty)
    }

    @Test func aNewRequiredFieldWithoutADefaultNeedsAnEmptyTable() throws {
        let required = FieldDefinition(name: "code", type: .string, required: true)
        let plan = try change(notes([title]), to: notes([title, required]))
        #expect(plan.checks.map(\.statement.text) == [#"SELECT count(*) FROM "notes""#])
        #expect(plan.checks.map(\.field) == ["fields[2]"])
        #expect(plan.checks.map(\.rule) == [.required])
        #expect(plan.checks.first?.message(2).contains("needs a \"default\"") == true)
        #expect(texts(plan) == [#"ALTER TABLE "notes" ADD COLUMN "code" TEXT"#])
    }

    @Test func aFieldThatComesBackFindsItsColumn() throws {
        let plan = try SchemaPlan.make(
            from: notes([title]),
            to: notes([title, rank]),
            facts: facts(["id": "INTEGER", "title": "TEXT", "rank": "INTEGER"]),
            .sqlite
        )
        #expect(texts(plan) == [])
    }

    // MARK: types

    @Test(arguments: allowedChanges)
    func aTypeChangesWhereNoValueCanBeLost(row: TypeChange) throws {
        let sqlite = try change(row.definitions(row.old), to: row.definitions(row.new), .sqlite)
        #expect(texts(sqlite) == row.sqlite)
        let postgres = try change(row.definitions(row.old), to: row.definitions(row.new), .postgres)
        #expect(texts(postgres) == row.postgres)
    }

    @Test(arguments: refusedChanges)
    func aTypeStaysWhereAValueCouldBeLost(row: TypeChange) {
        for dialect in [SQLDialect.sqlite, .postgres] {
            let refused = failure { try change(row.definitions(row.old), to: row.definitions(row.new), dialect) }
            #expect(refused?.code == .validationFailed)
            #expect(details(refused) == ["fields[1].type type"])
            #expect(
                refused?.details.first?.message.hasPrefix("values could be lost from \(row.old.type.rawValue)") == true
            )
        }
    }

    @Test func anIndexOnAColumnThatMovesIsMadeAnew() throws {
        let row = TypeChange(shape(.int), shape(.decimal))
        let old = row.definitions(row.old, indexes: [index("f")])
        let new = row.definitions(row.new, indexes: [index("f")])
        let sqlite = texts(try change(old, to: new, .sqlite))
        #expect(sqlite.count == 6)
        #expect(sqlite.first?.hasPrefix(#"DROP INDEX IF EXISTS "notes_f_idx_"#) == true)
        #expect(
            Array(sqlite.dropFirst().dropLast()) == moved(to: "TEXT COLLATE ROCKET_DECIMAL", by: #"CAST("f" AS TEXT)"#)
        )
        #expect(sqlite.last?.hasSuffix(#"ON "notes" ("f" COLLATE ROCKET_DECIMAL)"#) == true)
        #expect(texts(try change(old, to: new, .postgres)).count == 1)
    }

    @Test func theKeyOfATableCannotChange() {
        func keyed(_ type: FieldType, generated: Bool, field: String = "id") -> DefinitionSet {
            DefinitionSet(entities: [
                EntityDefinition(
                    name: "note",
                    table: "notes",
                    primaryKey: .init(field: field, type: type, generated: generated),
                    softDelete: false,
                    fields: [FieldDefinition(name: "id", type: type), FieldDefinition(name: "other", type: type)]
                )
            ])
        }
        let wider = failure { try change(keyed(.int, generated: true), to: keyed(.bigint, generated: true)) }
        #expect(wider?.details.contains { $0.field == "fields[0].type" && $0.message.contains("key") } == true)
        let given = failure { try change(keyed(.int, generated: true), to: keyed(.int, generated: false)) }
        #expect(details(given) == ["primary_key type"])
        let rekeyed = failure {
            try change(keyed(.int, generated: true), to: keyed(.int, generated: true, field: "other"))
        }
        #expect(details(rekeyed) == ["primary_key type"])
    }

    @Test func namesEveryFieldThatCannotChange() {
        let old = notes([title, rank, FieldDefinition(name: "due", type: .date)])
        let new = notes([
            FieldDefinition(name: "title", type: .int), FieldDefinition(name: "rank", type: .bigint),
            FieldDefinition(name: "due", type: .json),
        ])
        let refused = failure { try change(old, to: new) }
        #expect(details(refused) == ["fields[1].type type", "fields[3].type type"])
    }

    // MARK: tables that are there already

    @Test func aTableThatIsThereIsAdopted() throws {
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: notes([title, rank]),
            facts: facts(["id": "integer", "title": "VARCHAR(20)", "extra": "BLOB"]),
            .sqlite
        )
        #expect(texts(plan) == [#"ALTER TABLE "notes" ADD COLUMN "rank" INTEGER"#])
    }

    @Test func anAdoptedTableIsCheckedForMissingValues() throws {
        let required = FieldDefinition(name: "title", type: .string, required: true)
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: notes([required]),
            facts: facts(["id": "INTEGER", "title": "TEXT"]),
            .sqlite
        )
        let missing = plan.checks.filter { $0.rule == .required }
        #expect(missing.map(\.field) == ["fields[1].required"])
    }

    @Test func anAdoptedTableOfSQLiteIsCheckedForValuesThatItsTypesWouldNotHaveStored() throws {
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: notes([title]),
            facts: facts(["id": "INTEGER", "title": "TEXT"]),
            .sqlite
        )
        #expect(plan.checks.map(\.field) == ["fields[0].type", "fields[1].type"])
        #expect(plan.checks.map(\.rule) == [.type, .type])
        #expect(
            plan.checks.last?.statement.text
                == #"SELECT count(*) FROM "notes" WHERE typeof("title") NOT IN ('text', 'null')"#
        )
        #expect(plan.checks.last?.message(2).hasPrefix("2 rows") == true)
    }

    @Test func anAdoptedTableOfPostgresHoldsWhatItsTypesSay() throws {
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: notes([title]),
            facts: facts(["id": "integer", "title": "text"]),
            .postgres
        )
        #expect(plan.checks.isEmpty)
    }

    @Test(arguments: [([], "none"), (["title"], "title"), (["id", "title"], "id, title")] as [([String], String)])
    func aTableWithAnotherKeyIsNotAdopted(key: [String], shown: String) {
        let columns = ["id": "INTEGER", "title": "TEXT"]
        for dialect in [SQLDialect.sqlite, .postgres] {
            let refused = failure {
                try SchemaPlan.make(
                    from: DefinitionSet(),
                    to: notes([title]),
                    facts: facts(columns, key: Set(key)),
                    dialect
                )
            }
            #expect(details(refused) == ["table type"])
            #expect(refused?.details.first?.message.hasSuffix("its key is \(shown)") == true)
        }
    }

    @Test func aTableThatSQLiteDoesNotNumberIsNotAdoptedForANumberedKey() {
        let refused = failure {
            try SchemaPlan.make(
                from: DefinitionSet(),
                to: notes([title]),
                facts: facts(["id": "INT", "title": "TEXT"]),
                .sqlite
            )
        }
        #expect(details(refused) == ["table type"])
        #expect(refused?.details.first?.message.contains("nothing numbers its rows") == true)
    }

    @Test func aTableThatPostgresDoesNotNumberIsNotAdoptedForANumberedKey() {
        let refused = failure {
            try SchemaPlan.make(
                from: DefinitionSet(),
                to: notes([title]),
                facts: facts(["id": "integer", "title": "text"], filledKey: []),
                .postgres
            )
        }
        #expect(details(refused) == ["table type"])
    }

    @Test func aTableWithColumnsThatNobodyWouldFillIsNotAdopted() {
        let columns = ["id": "INTEGER", "title": "TEXT", "b": "TEXT", "a": "TEXT"]
        let refused = failure {
            try SchemaPlan.make(
                from: DefinitionSet(),
                to: notes([title]),
                facts: facts(columns, mandatory: ["a", "b", "title"]),
                .sqlite
            )
        }
        #expect(details(refused) == ["table type"])
        #expect(refused?.details.first?.message.hasSuffix("columns that must be filled: a, b") == true)
    }

    @Test func theFactsOfATableAreReadFromItsColumns() {
        let rows: [[SQLValue]] = [
            [.text("id"), .text("INTEGER"), .integer(1), .integer(0)],
            [.text("title"), .null, .integer(0), .integer(0)],
            [.text("must"), .text("TEXT"), .integer(0), .integer(1)],
        ]
        let expected = TableFacts(
            columns: ["id": "INTEGER", "title": "", "must": "TEXT"],
            key: ["id"],
            mandatory: ["must"],
            filledKey: ["id"]
        )
        #expect(TableFacts(StatementResult(rows: rows)) == expected)
        #expect(TableFacts(StatementResult()) == nil)
    }

    @Test(arguments: [
        ("INTEGER", FieldType.text), ("REAL", .int), ("NUMERIC", .decimal), ("BLOB", .string), ("", .text),
        ("TEXT", .int), ("DATE", .date),
        ("TEXT", .float),
    ])
    func anAdoptedColumnOfAnotherAffinityIsRefused(declared: String, type: FieldType) {
        let refused = failure {
            try SchemaPlan.make(
                from: DefinitionSet(),
                to: notes([FieldDefinition(name: "f", type: type)]),
                facts: facts(["id": "INTEGER", "f": declared]),
                .sqlite
            )
        }
        #expect(details(refused) == ["fields[1].type type"])
        #expect(
            refused?.details.first?.message.hasPrefix("the column \"f\" of the table \"notes\" is \(declared), not")
                == true
        )
    }

    @Test(arguments: [
        ("character varying", FieldType.string), ("character varying(10)", .text), ("text", .text), ("integer", .int),
        ("bigint", .bigint),
        ("double precision", .float),
        ("numeric", .decimal), ("boolean", .boolean), ("uuid", .uuid), ("timestamp with time zone", .timestamp),
        ("date", .date),
        ("jsonb", .json),
    ])
    func aPostgresColumnOfTheSameTypeIsAdopted(declared: String, type: FieldType) throws {
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: notes([FieldDefinition(name: "f", type: type)]),
            facts: facts(["id": "integer", "f": declared]),
            .postgres
        )
        #expect(texts(plan) == [])
    }

    @Test(arguments: [
        ("timestamp without time zone", FieldType.timestamp), ("integer", .bigint), ("bigint", .int), ("json", .json),
        ("text", .uuid),
        ("real", .float), ("uuid", .string), ("numeric(5,2)", .decimal), ("character(5)", .string),
        ("timestamp(3) with time zone", .timestamp),
    ])
    func aPostgresColumnOfAnotherTypeIsRefused(declared: String, type: FieldType) {
        let refused = failure {
            try SchemaPlan.make(
                from: DefinitionSet(),
                to: notes([FieldDefinition(name: "f", type: type)]),
                facts: facts(["id": "integer", "f": declared]),
                .postgres
            )
        }
        #expect(details(refused) == ["fields[1].type type"])
    }

    // MARK: relations

    private static let tag = EntityDefinition(
        name: "tag",
        table: "tags",
        primaryKey: .init(field: "id", type: .bigint, generated: true),
        softDelete: false,
        fields: [FieldDefinition(name: "id", type: .bigint), FieldDefinition(name: "note_id", type: .int)]
    )

    @Test(arguments: [
        (SQLDialect.sqlite, "INTEGER", "INTEGER", ""), (.postgres, "INTEGER", "BIGINT", " NULLS FIRST"),
    ])
    func aRelationOfManyToManyBringsItsJoinTable(dialect: SQLDialect, noteID: String, tagID: String, nulls: String)
        throws
    {
        let entities = notes([title]).entities + [Self.tag]
        let join = RelationDefinition.JoinTable(table: "note_tags", sourceKey: "note_id", targetKey: "tag_id")
        let relation = RelationDefinition(
            name: "tags",
            kind: .manyToMany,
            source: "note",
            target: "tag",
            link: .joinTable(join),
            onDelete: .cascade
        )
        let plan = try change(
            DefinitionSet(entities: entities),
            to: DefinitionSet(entities: entities, relations: [relation]),
            dialect
        )
        #expect(texts(plan).count == 2)
        let columns = "\"note_id\" \(noteID) NOT NULL, \"tag_id\" \(tagID) NOT NULL"
        let key = "PRIMARY KEY (\"note_id\", \"tag_id\")"
        let start = "CREATE TABLE \"note_tags\" (\(columns), \(key)"
        #expect(texts(plan).first?.hasPrefix(start) == true)
        // SQLite makes a table with its constraints; PostgreSQL gets them when all tables are there.
        let constraints = texts(plan).first?.components(separatedBy: "FOREIGN KEY").count
        #expect(constraints == (dialect == .sqlite ? 3 : 1))
        let added = plan.foreignKeys.decide(
            plan.foreignKeys.inspections.map { _ in StatementResult(rows: [[.integer(0)]]) }
        )
        #expect(added.steps.count == (dialect == .sqlite ? 0 : 2))
        #expect(added.warnings.isEmpty)
        #expect(texts(plan).last?.hasPrefix(#"CREATE INDEX IF NOT EXISTS "note_tags_tag_id_idx_"#) == true)
        #expect(texts(plan).last?.hasSuffix("ON \"note_tags\" (\"tag_id\"\(nulls))") == true)
    }

    @Test(arguments: [
        (RelationDefinition.Kind.oneToMany, "CREATE INDEX IF NOT EXISTS \"tags_note_id_idx_"),
        (.oneToOne, "CREATE UNIQUE INDEX IF NOT EXISTS \"tags_note_id_key_"),
    ])
    func aForeignKeyHasAnIndex(kind: RelationDefinition.Kind, start: String) throws {
        let entities = notes([title]).entities + [Self.tag]
        let relation = RelationDefinition(
            name: "tags",
            kind: kind,
            source: "note",
            target: "tag",
            link: .foreignKey(sourceKey: "id", targetKey: "note_id"),
            onDelete: .cascade
        )
        let without = DefinitionSet(entities: entities)
        let with = DefinitionSet(entities: entities, relations: [relation])
        let plan = try change(without, to: with)
        #expect(texts(plan).count == 1)
        #expect(texts(plan).first?.hasPrefix(start) == true)
        #expect(plan.checks.count == (kind == .oneToOne ? 1 : 0))

        let back = texts(try change(with, to: without))
        #expect(back.count == 1)
        #expect(back.first?.hasPrefix("DROP INDEX IF EXISTS \"tags_note_id_") == true)
    }
}
