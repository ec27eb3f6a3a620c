import RocketModel
import RocketPlanning
import Testing

/// A filter on tickets and the condition that it becomes in each database.
struct FilterRow: Sendable, CustomTestStringConvertible {
    let filter: String
    let sqlite: String
    let postgres: String
    let sqliteBinds: [SQLValue]
    let postgresBinds: [SQLValue]

    init(_ filter: String, _ sqlite: String, _ postgres: String, _ binds: [SQLValue]) {
        self.init(filter, sqlite, postgres, binds, binds)
    }

    init(
        _ filter: String,
        _ sqlite: String,
        _ postgres: String,
        _ sqliteBinds: [SQLValue],
        _ postgresBinds: [SQLValue]
    ) {
        self.filter = filter
        self.sqlite = sqlite
        self.postgres = postgres
        self.sqliteBinds = sqliteBinds
        self.postgresBinds = postgresBinds
    }

    var testDescription: String { filter }
}

/// A filter on tickets that is refused.
struct RefusedFilter: Sendable, CustomTestStringConvertible {
    let name: String
    let value: String
    let words: String

    init(_ name: String, _ value: String, _ words: String) {
        self.name = name
        self.value = value
        self.words = words
    }

    var testDescription: String { "\(name)=\(value)" }
}

private let comparisons: [FilterRow] = [
    .init("filter[title]=a", #""title" = ?1"#, #""title" = $1"#, [.text("a")]),
    .init("filter[title.eq]=a", #""title" = ?1"#, #""title" = $1"#, [.text("a")]),
    .init("filter[title]=", #""title" = ?1"#, #""title" = $1"#, [.text("")]),
    .init("filter[title.neq]=a", #""title" IS NOT ?1"#, #""title" IS DISTINCT FROM $1"#, [.text("a")]),
    .init("filter[body.gt]=a", #""body" > ?1"#, #""body" > $1"#, [.text("a")]),
    .init("filter[priority]=1.0", #""priority" = ?1"#, #""priority" = $1"#, [.integer(1)]),
    .init("filter[priority.gt]=3", #""priority" > ?1"#, #""priority" > $1"#, [.integer(3)]),
    .init("filter[priority.gte]=3", #""priority" >= ?1"#, #""priority" >= $1"#, [.integer(3)]),
    .init("filter[priority.lt]=-3", #""priority" < ?1"#, #""priority" < $1"#, [.integer(-3)]),
    .init("filter[priority.lte]=3", #""priority" <= ?1"#, #""priority" <= $1"#, [.integer(3)]),
    .init("filter[priority.neq]=3", #""priority" IS NOT ?1"#, #""priority" IS DISTINCT FROM $1"#, [.integer(3)]),
    .init(
        "filter[views.gt]=9223372036854775806",
        #""views" > ?1"#,
        #""views" > $1"#,
        [.integer(9_223_372_036_854_775_806)]
    ),
    .init("filter[score.lt]=1.5", #""score" < ?1"#, #""score" < $1"#, [.double(1.5)]),
    .init("filter[score]=2", #""score" = ?1"#, #""score" = $1"#, [.double(2)]),
    .init("filter[price]=1.50", #""price" COLLATE ROCKET_DECIMAL = ?1"#, #""price" = $1"#, [.text("1.50")]),
    .init("filter[price.gte]=1e2", #""price" COLLATE ROCKET_DECIMAL >= ?1"#, #""price" >= $1"#, [.text("100")]),
    .init("filter[price.lt]=1.23456", #""price" COLLATE ROCKET_DECIMAL < ?1"#, #""price" < $1"#, [.text("1.23456")]),
    .init("filter[urgent]=true", #""urgent" = ?1"#, #""urgent" = $1"#, [.integer(1)], [.text("true")]),
    .init(
        "filter[urgent.neq]=false",
        #""urgent" IS NOT ?1"#,
        #""urgent" IS DISTINCT FROM $1"#,
        [.integer(0)],
        [.text("false")]
    ),
    .init("filter[due.lte]=2026-02-05", #""due" <= ?1"#, #""due" <= $1"#, [.text("2026-02-05")]),
    .init(
        "filter[seen_at.gt]=2026-02-05T01:00:00%2B02:00",
        #""seen_at" > ?1"#,
        #""seen_at" > $1"#,
        [.text("2026-02-04T23:00:00.000000Z")]
    ),
    .init(
        "filter[id]=0190B1C2-7D4E-7A3B-8C5D-1E2F3A4B5C6D",
        #""id" = ?1"#,
        #""id" = $1"#,
        [.text("0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d")]
    ),
    .init("filter[title.is_null]=true", #""title" IS NULL"#, #""title" IS NULL"#, []),
    .init("filter[title.is_null]=false", #""title" IS NOT NULL"#, #""title" IS NOT NULL"#, []),
    .init("filter[meta.is_null]=true", #""meta" IS NULL"#, #""meta" IS NULL"#, []),
    .init("filter[attachment.is_null]=false", #""attachment" IS NOT NULL"#, #""attachment" IS NOT NULL"#, []),
]

private let patterns: [FilterRow] = [
    .init("filter[title.like]=a%25_", #""title" LIKE ?1 ESCAPE '\'"#, #""title" LIKE $1 ESCAPE '\'"#, [.text("a%_")]),
    .init(
        "filter[title.like]=a%5C%25",
        #""title" LIKE ?1 ESCAPE '\'"#,
        #""title" LIKE $1 ESCAPE '\'"#,
        [.text("a\\%")]
    ),
    .init(
        "filter[title.like]=a%5C%5C",
        #""title" LIKE ?1 ESCAPE '\'"#,
        #""title" LIKE $1 ESCAPE '\'"#,
        [.text("a\\\\")]
    ),
    .init("filter[title.like]=", #""title" LIKE ?1 ESCAPE '\'"#, #""title" LIKE $1 ESCAPE '\'"#, [.text("")]),
    .init(
        "filter[body.ilike]=%C3%84%25",
        #"rocket_ilike("body", ?1)"#,
        #""body" ILIKE $1 COLLATE "und-x-icu" ESCAPE '\'"#,
        [.text("Ä%")]
    ),
    .init("filter[title.contains]=a%25", #"instr("title", ?1) > 0"#, #"strpos("title", $1) > 0"#, [.text("a%")]),
    .init("filter[title.contains]=a%5C", #"instr("title", ?1) > 0"#, #"strpos("title", $1) > 0"#, [.text("a\\")]),
    .init(
        "filter[title.starts_with]=a_",
        #"substr("title", 1, length(?1)) = ?2"#,
        #"starts_with("title", $1)"#,
        [.text("a_"), .text("a_")],
        [.text("a_")]
    ),
]

private let lists: [FilterRow] = [
    .init(
        "filter[state.in]=open,closed",
        #""state" IN (SELECT value FROM json_each(?1))"#,
        #""state" = ANY($1::TEXT[])"#,
        [.text(#"["open","closed"]"#)],
        [.text(#"{"open","closed"}"#)]
    ),
    .init(
        "filter[title.in]=a,,b",
        #""title" IN (SELECT value FROM json_each(?1))"#,
        #""title" = ANY($1::TEXT[])"#,
        [.text(#"["a","","b"]"#)],
        [.text(#"{"a","","b"}"#)]
    ),
    .init(
        "filter[title.in]=",
        #""title" IN (SELECT value FROM json_each(?1))"#,
        #""title" = ANY($1::TEXT[])"#,
        [.text(#"[""]"#)],
        [.text(#"{""}"#)]
    ),
    .init(
        "filter[title.in]=a%22b,c%5Cd,%7Be%7D,NULL",
        #""title" IN (SELECT value FROM json_each(?1))"#,
        #""title" = ANY($1::TEXT[])"#,
        [.text(#"["a\"b","c\\d","{e}","NULL"]"#)],
        [.text(#"{"a\"b","c\\d","{e}","NULL"}"#)]
    ),
    .init(
        "filter[state.not_in]=open",
        #"("state" IS NULL OR NOT "state" IN (SELECT value FROM json_each(?1)))"#,
        #"("state" IS NULL OR NOT "state" = ANY($1::TEXT[]))"#,
        [.text(#"["open"]"#)],
        [.text(#"{"open"}"#)]
    ),
    .init(
        "filter[priority.in]=1,2.0",
        #""priority" IN (SELECT value FROM json_each(?1))"#,
        #""priority" = ANY($1::BIGINT[])"#,
        [.text("[1,2]")],
        [.text("{1,2}")]
    ),
    .init(
        "filter[views.in]=-9223372036854775808",
        #""views" IN (SELECT value FROM json_each(?1))"#,
        #""views" = ANY($1::BIGINT[])"#,
        [.text("[-9223372036854775808]")],
        [.text("{-9223372036854775808}")]
    ),
    .init(
        "filter[score.in]=1,1.5",
        #""score" IN (SELECT value FROM json_each(?1))"#,
        #""score" = ANY($1::DOUBLE PRECISION[])"#,
        [.text("[1,1.5]")],
        [.text("{1,1.5}")]
    ),
    .init(
        "filter[price.in]=1.50,2",
        #""price" COLLATE ROCKET_DECIMAL IN (SELECT value FROM json_each(?1))"#,
        #""price" = ANY($1::NUMERIC[])"#,
        [.text(#"["1.50","2"]"#)],
        [.text(#"{"1.50","2"}"#)]
    ),
    .init(
        "filter[urgent.in]=true,false",
        #""urgent" IN (SELECT value FROM json_each(?1))"#,
        #""urgent" = ANY($1::BOOLEAN[])"#,
        [.text("[1,0]")],
        [.text(#"{"true","false"}"#)]
    ),
    .init(
        "filter[due.in]=2026-02-05",
        #""due" IN (SELECT value FROM json_each(?1))"#,
        #""due" = ANY($1::DATE[])"#,
        [.text(#"["2026-02-05"]"#)],
        [.text(#"{"2026-02-05"}"#)]
    ),
    .init(
        "filter[seen_at.not_in]=2026-02-05T00:00:00Z",
        #"("seen_at" IS NULL OR NOT "seen_at" IN (SELECT value FROM json_each(?1)))"#,
        #"("seen_at" IS NULL OR NOT "seen_at" = ANY($1::TIMESTAMPTZ[]))"#,
        [.text(#"["2026-02-05T00:00:00.000000Z"]"#)],
        [.text(#"{"2026-02-05T00:00:00.000000Z"}"#)]
    ),
    .init(
        "filter[id.in]=0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d",
        #""id" IN (SELECT value FROM json_each(?1))"#,
        #""id" = ANY($1::UUID[])"#,
        [.text(#"["0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d"]"#)],
        [.text(#"{"0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d"}"#)]
    ),
]

private let refused: [RefusedFilter] = [
    .init("filter[title.eqq]", "1", #""eqq" is no operator: eq, neq, gt"#),
    .init("filter[title.EQ]", "1", #"did you mean "eq"?"#),
    .init("filter[title.startswith]", "1", #"did you mean "starts_with"?"#),
    .init("filter[priority]", "abc", #""priority": expected a whole number from -2147483648 to 2147483647, got "abc""#),
    .init("filter[priority]", "", #"got """#),
    .init("filter[priority.gt]", "2147483648", "got 2147483648"),
    .init("filter[priority.in]", "1,x", #"got "x""#),
    .init("filter[priority.in]", "1,", #"got """#),
    .init("filter[views]", "1.5", "in 64 bits"),
    .init("filter[score]", "nan", "expected a number"),
    .init("filter[price]", "abc", "expected a number"),
    .init("filter[urgent]", "1", #"expected true or false, got "1""#),
    .init("filter[id]", "x", "expected a UUID"),
    .init("filter[due]", "2026-02-30", "expected a date"),
    .init("filter[seen_at]", "2026-02-05", "expected an RFC 3339 time"),
    .init("filter[title]", "%00", "NUL"),
    .init("filter[title.contains]", "a%00b", "NUL"),
    .init("filter[title.is_null]", "yes", #""is_null" takes true or false, not "yes""#),
    .init("filter[title.is_null]", "", "true or false"),
    .init("filter[meta]", "1", #""eq" does not go with "meta", which is json"#),
    .init("filter[meta.in]", "1", #""in" does not go with "meta", which is json"#),
    .init("filter[attachment.neq]", "1", #""neq" does not go with "attachment", which is file"#),
    .init("filter[urgent.gt]", "true", #""gt" does not go with "urgent", which is boolean"#),
    .init("filter[priority.like]", "1", #""like" does not go with "priority", which is int"#),
    .init("filter[id.contains]", "a", #""contains" does not go with "id", which is uuid"#),
    .init("filter[due.starts_with]", "2026", #""starts_with" does not go with "due", which is date"#),
    .init("filter[price.ilike]", "1", #""ilike" does not go with "price", which is decimal"#),
    .init("filter[title.like]", "a%5C", #"can't end in a single \"#),
    .init("filter[title.like]", "%5C", #"can't end in a single \"#),
    .init("filter[title.like]", "a%5C%5C%5C", #"can't end in a single \"#),
    .init("filter[title.ilike]", "a%5C", #"can't end in a single \"#),
]

private func check(_ row: FilterRow) throws {
    let alive = #"SELECT count(*) FROM "tickets" WHERE "deleted_at" IS NULL AND "#
    let sqlite = try Desk.list(row.filter, of: "ticket", .sqlite).count
    #expect(sqlite?.text == alive + row.sqlite)
    #expect(sqlite?.binds == row.sqliteBinds)
    let postgres = try Desk.list(row.filter, of: "ticket", .postgres).count
    #expect(postgres?.text == alive + row.postgres)
    #expect(postgres?.binds == row.postgresBinds)
}

struct FilterConditionTests {
    @Test(arguments: comparisons)
    func comparesWithABoundValueOfTheFieldsType(row: FilterRow) throws {
        try check(row)
    }

    @Test(arguments: patterns)
    func matchesTextByABoundPattern(row: FilterRow) throws {
        try check(row)
    }

    @Test(arguments: lists)
    func bindsAListAsOneValue(row: FilterRow) throws {
        try check(row)
    }

    @Test(arguments: refused)
    func refusesAValueOrOperatorThatTheFieldDoesNotTake(row: RefusedFilter) {
        let problem = failure { try Desk.list("\(row.name)=\(row.value)", of: "ticket") }
        #expect(problem?.code == .invalidParameter)
        #expect(problem?.message.contains(row.words) == true, "\(problem?.message ?? "")")
        #expect(problem?.details.map(\.field) == [row.name])
    }

    @Test func refusesAFieldThatTheEntityDoesNotHave() {
        let problem = failure { try Desk.list("filter[titel.gt]=x", of: "ticket") }
        #expect(problem?.code == .unknownField)
        #expect(problem?.message == "\"ticket\" has no field \"titel\"; did you mean \"title\"?")
        #expect(details(problem) == ["filter[titel.gt] unknown"])
    }

    @Test func theColumnOfSoftDeletesIsNoFieldUnlessItIsNamed() throws {
        #expect(failure { try Desk.list("filter[deleted_at.is_null]=false", of: "ticket") }?.code == .unknownField)
        let named = try Desk.list("filter[deleted_at.is_null]=false", of: "account").count
        #expect(named?.text.hasSuffix(#"WHERE "deleted_at" IS NULL AND "deleted_at" IS NOT NULL"#) == true)
    }

    @Test func allFiltersMustHold() throws {
        let plan = try Desk.list("filter[title]=a&filter[title.neq]=b&filter[rank.in]=1,2", of: "note")
        #expect(
            plan.count?.text == #"""
                SELECT count(*) FROM "notes" WHERE "title" = ?1 AND "title" IS NOT ?2 \#
                AND "rank" IN (SELECT value FROM json_each(?3))
                """#
        )
        #expect(plan.count?.binds == [.text("a"), .text("b"), .text("[1,2]")])
    }

    @Test func aLongPatternIsRefused() throws {
        let longest = String(repeating: "a", count: 1000)
        #expect(try Desk.list("filter[title.like]=\(longest)", of: "ticket").count?.binds == [.text(longest)])
        for comparison in ["like", "ilike"] {
            let problem = failure { try Desk.list("filter[title.\(comparison)]=\(longest)b", of: "ticket") }
            #expect(problem?.code == .invalidParameter)
            #expect(problem?.message.contains("at most 1000 bytes") == true)
        }
    }

    /// A combining accent joins the character before it, and must not hide it.
    @Test func aListIsSplitAtACommaWhateverFollowsIt() throws {
        let plan = try Desk.list("filter[title.in]=a,%CC%81b", of: "ticket", .sqlite)
        #expect(plan.count?.binds == [.text("[\"a\",\"\u{301}b\"]")])
    }

    @Test func aListEscapesAQuoteAndABackslashWhateverFollowsThem() throws {
        let plan = try Desk.list("filter[title.in]=a%22%CC%81b%5C%CC%81", of: "ticket", .postgres)
        let expected = "{\"a\\\"\u{301}b\\\\\u{301}\"}"
        #expect(plan.count?.binds.first?.textValue.map { Array($0.utf8) } == Array(expected.utf8))
    }
}
