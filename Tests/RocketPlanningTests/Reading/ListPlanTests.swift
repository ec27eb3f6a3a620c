import RocketModel
import RocketPlanning
import Testing

/// A query on notes and the statement of its rows in each database.
struct ListRow: Sendable, CustomTestStringConvertible {
    let query: String
    let sqlite: String
    let postgres: String
    let binds: [SQLValue]

    init(_ query: String, _ sqlite: String, _ postgres: String, _ binds: [SQLValue]) {
        self.query = query
        self.sqlite = sqlite
        self.postgres = postgres
        self.binds = binds
    }

    var testDescription: String { query }
}

private let rows: [ListRow] = [
    .init(
        "",
        #"SELECT "id", "title", "rank" FROM "notes" ORDER BY "id" LIMIT ?1"#,
        #"SELECT "id", "title", "rank" FROM "notes" ORDER BY "id" LIMIT $1"#,
        [.integer(25)]
    ),
    .init(
        "page=1&per_page=1000",
        #"SELECT "id", "title", "rank" FROM "notes" ORDER BY "id" LIMIT ?1"#,
        #"SELECT "id", "title", "rank" FROM "notes" ORDER BY "id" LIMIT $1"#,
        [.integer(100)]
    ),
    .init(
        "page=3&per_page=10",
        #"SELECT "id", "title", "rank" FROM "notes" ORDER BY "id" LIMIT ?1 OFFSET ?2"#,
        #"SELECT "id", "title", "rank" FROM "notes" ORDER BY "id" LIMIT $1 OFFSET $2"#,
        [.integer(10), .integer(20)]
    ),
    .init(
        "sort=-rank,title&fields=rank",
        #"""
        SELECT "rank" FROM "notes" WHERE "id" IN (SELECT "id" FROM "notes" ORDER BY "rank" DESC, "title", "id" LIMIT ?1) \#
        ORDER BY "rank" DESC, "title", "id"
        """#,
        #"SELECT "rank" FROM "notes" ORDER BY "rank" DESC NULLS LAST, "title" ASC NULLS FIRST, "id" LIMIT $1"#,
        [.integer(25)]
    ),
    .init(
        "sort=-id&fields=title",
        #"SELECT "title" FROM "notes" ORDER BY "id" DESC LIMIT ?1"#,
        #"SELECT "title" FROM "notes" ORDER BY "id" DESC LIMIT $1"#,
        [.integer(25)]
    ),
    .init(
        "sort=id,rank&fields=title,id,title",
        #"SELECT "id", "title" FROM "notes" ORDER BY "id", "rank" LIMIT ?1"#,
        #"SELECT "id", "title" FROM "notes" ORDER BY "id", "rank" ASC NULLS FIRST LIMIT $1"#,
        [.integer(25)]
    ),
    .init(
        "page=2&fields=id&filter[title]=a&filter[rank.gt]=3",
        #"SELECT "id" FROM "notes" WHERE "title" = ?1 AND "rank" > ?2 ORDER BY "id" LIMIT ?3 OFFSET ?4"#,
        #"SELECT "id" FROM "notes" WHERE "title" = $1 AND "rank" > $2 ORDER BY "id" LIMIT $3 OFFSET $4"#,
        [.text("a"), .integer(3), .integer(25), .integer(25)]
    ),
    .init(
        "deleted=only&fields=id",
        #"SELECT "id" FROM "notes" WHERE (1 = 0) ORDER BY "id" LIMIT ?1"#,
        #"SELECT "id" FROM "notes" WHERE (1 = 0) ORDER BY "id" LIMIT $1"#,
        [.integer(25)]
    ),
    .init(
        "deleted=only&fields=id&filter[rank]=1",
        #"SELECT "id" FROM "notes" WHERE (1 = 0) AND "rank" = ?1 ORDER BY "id" LIMIT ?2"#,
        #"SELECT "id" FROM "notes" WHERE (1 = 0) AND "rank" = $1 ORDER BY "id" LIMIT $2"#,
        [.integer(1), .integer(25)]
    ),
    .init(
        "deleted=with&fields=id",
        #"SELECT "id" FROM "notes" ORDER BY "id" LIMIT ?1"#,
        #"SELECT "id" FROM "notes" ORDER BY "id" LIMIT $1"#,
        [.integer(25)]
    ),
]

struct ListPlanTests {
    @Test(arguments: rows)
    func isOneStatementInEachDatabase(row: ListRow) throws {
        let sqlite = try Desk.list(row.query, of: "note", .sqlite).rows
        #expect(sqlite.text == row.sqlite)
        #expect(sqlite.binds == row.binds)
        let withoutTotal = row.query.isEmpty ? "count=none" : row.query + "&count=none"
        let postgres = try Desk.list(withoutTotal, of: "note", .postgres).rows
        #expect(postgres.text == row.postgres)
        #expect(postgres.binds == row.binds)
    }

    @Test func bringsTheTotalWithTheFirstPageOnPostgres() throws {
        let plan = try Desk.list("filter[title]=a&fields=id", of: "note", .postgres)
        let shape = try Desk.list("fields=id&count=none", of: "note", .postgres).rows.output
        #expect(plan.carriesTotal)
        #expect(
            plan.rows.text
                == #"SELECT "id", (SELECT count(*) FROM "notes" WHERE "title" = $1) AS "_total" FROM "notes""#
                + #" WHERE "title" = $2"#
                + #" ORDER BY "id" LIMIT $3"#
        )
        #expect(plan.rows.binds == [.text("a"), .text("a"), .integer(25)])
        guard case .json(let columns) = shape else {
            Issue.record("rows without a total are JSON alone")
            return
        }
        #expect(plan.rows.output == .jsonAndTotal(columns))
    }

    @Test func asksForTheTotalBesideAPageThatMayBeEmpty() throws {
        let plan = try Desk.list("page=2", of: "note", .postgres)
        #expect(!plan.carriesTotal)
        #expect(plan.count?.text == #"SELECT count(*) FROM "notes""#)
    }

    @Test(arguments: [
        ("", #" WHERE "deleted_at" IS NULL"#), ("deleted=only", #" WHERE "deleted_at" IS NOT NULL"#),
        ("deleted=with", ""),
        ("deleted=with&filter[title]=a", #" WHERE "title" = ?1"#),
        ("deleted=only&filter[title]=a", #" WHERE "deleted_at" IS NOT NULL AND "title" = ?1"#),
    ])
    func showsLivingRowsUnlessDeletedOnesAreAskedFor(query: String, condition: String) throws {
        let plan = try Desk.list("fields=id&" + query, of: "ticket")
        #expect(plan.count?.text == #"SELECT count(*) FROM "tickets""# + condition)
        #expect(plan.rows.text.hasPrefix(#"SELECT "id" FROM "tickets""# + condition + " ORDER BY"))
    }

    @Test func countsWithTheSameConditionsAndNoPage() throws {
        let plan = try Desk.list("filter[rank.lt]=5&page=4&sort=title&fields=id", of: "note")
        #expect(plan.count?.text == #"SELECT count(*) FROM "notes" WHERE "rank" < ?1"#)
        #expect(plan.count?.binds == [.integer(5)])
        #expect(plan.count?.output == .values)
        #expect(plan.page == 4)
        #expect(plan.perPage == 25)
    }

    @Test func countsNothingWhereTheTotalIsNotWanted() throws {
        #expect(try Desk.list("count=none", of: "note").count == nil)
        #expect(try Desk.list("count=exact", of: "note").count != nil)
    }

    @Test func givesItsRowsAsJSONInTheOrderOfTheFields() throws {
        let all = try Desk.list("", of: "note").rows.output
        let columns = [
            ColumnShape(name: "id", type: .int), ColumnShape(name: "title", type: .string),
            ColumnShape(name: "rank", type: .int),
        ]
        #expect(all == .json(RowShape(columns: columns)))

        let some = try Desk.list("fields=rank,id", of: "note").rows.output
        #expect(some == .json(RowShape(columns: [columns[0], columns[2]])))
    }

    @Test func pagesToTheEndOfTheNumbers() throws {
        let last = Int.max / 100
        let plan = try Desk.list("page=\(last)&per_page=100", of: "note")
        #expect(plan.rows.binds == [.integer(100), .integer(Int64((last - 1) * 100))])
    }

    @Test func sortsDecimalsByValueWhateverTheCollationOfTheirColumn() throws {
        let sqlite = try Desk.list("sort=-price", of: "ticket", .sqlite).rows.text
        #expect(sqlite.contains(#"ORDER BY "price" COLLATE ROCKET_DECIMAL DESC, "id" LIMIT"#))
        let postgres = try Desk.list("sort=price", of: "ticket", .postgres).rows.text
        #expect(postgres.contains(#"ORDER BY "price" ASC NULLS FIRST, "id" LIMIT"#))
    }

    @Test(arguments: [("sort=-titel", "sort"), ("fields=id,titel", "fields"), ("filter[titel]=x", "filter[titel]")])
    func namesTheFieldThatWasMeant(query: String, parameter: String) {
        let refused = failure { try Desk.list(query, of: "note") }
        #expect(refused?.code == .unknownField)
        #expect(refused?.message == "\"note\" has no field \"titel\"; did you mean \"title\"?")
        #expect(details(refused) == ["\(parameter) unknown"])
    }

    @Test(arguments: ["meta", "attachment"])
    func refusesToSortByADocument(field: String) {
        let refused = failure { try Desk.list("sort=\(field)", of: "ticket") }
        #expect(refused?.code == .invalidParameter)
        #expect(refused?.message.contains("no order to sort by") == true)
        #expect(refused?.details.map(\.field) == ["sort"])
    }

    @Test(arguments: ["title", "body", "priority", "views", "score", "price", "urgent", "due", "seen_at", "id"])
    func sortsByEveryOtherType(field: String) throws {
        let plan = try Desk.list("sort=-\(field)", of: "ticket", .postgres)
        // A key is never null, and as it is its index serves.
        let nulls = field == "id" ? " LIMIT" : " NULLS LAST"
        #expect(plan.rows.text.contains("ORDER BY \"\(field)\" DESC\(nulls)"))
    }
}

struct ReadOnePlanTests {
    @Test func readsByTheKeyInTheTypeOfTheKey() throws {
        let plan = try Desk.one("5", of: "note")
        #expect(plan.attempts.map(\.text) == [#"SELECT "id", "title", "rank" FROM "notes" WHERE "id" = ?1"#])
        #expect(plan.attempts.map(\.binds) == [[.integer(5)]])
        #expect(plan.projection == nil)
    }

    @Test func readsByAKeyOfText() throws {
        let plan = try Desk.one("a/b c", of: "account", .postgres)
        #expect(
            plan.attempts.map(\.text) == [
                #"SELECT "code", "name", "plan", "deleted_at" FROM "accounts" WHERE "code" = $1 AND "deleted_at" IS NULL"#
            ]
        )
        #expect(plan.attempts.map(\.binds) == [[.text("a/b c")]])
    }

    @Test(arguments: [SQLDialect.sqlite, .postgres])
    func readsByTheSlugWhereTheTextIsNoKey(dialect: SQLDialect) throws {
        let columns = try Desk.entity("ticket", dialect).columnList
        let plan = try Desk.one("my-slug", of: "ticket", dialect)
        let place = dialect == .sqlite ? "?1" : "$1"
        #expect(
            plan.attempts.map(\.text) == [
                "SELECT \(columns) FROM \"tickets\" WHERE \"slug\" = \(place) AND \"deleted_at\" IS NULL"
            ]
        )
        #expect(plan.attempts.map(\.binds) == [[.text("my-slug")]])
    }

    @Test func triesTheKeyBeforeTheSlug() throws {
        let plan = try Desk.one(Desk.ticketID.uppercased(), of: "ticket")
        #expect(plan.attempts.count == 2)
        #expect(plan.attempts[0].text.hasSuffix(#"WHERE "id" = ?1 AND "deleted_at" IS NULL"#))
        #expect(plan.attempts[0].binds == [.text(Desk.ticketID)])
        #expect(plan.attempts[1].text.hasSuffix(#"WHERE "slug" = ?1 AND "deleted_at" IS NULL"#))
    }

    @Test(arguments: ["abc", "", "1.5", "2147483648", "-", "0x1", " 5"])
    func findsNothingWhereTheTextCanBeNoKey(id: String) {
        let refused = failure { try Desk.one(id, of: "note") }
        #expect(refused?.code == .notFound)
        #expect(refused?.message == "There is no note \"\(id)\"")
    }

    @Test(arguments: ["a\u{0}b", "\u{0}"])
    func findsNothingForATextWithNUL(id: String) {
        #expect(failure { try Desk.one(id, of: "ticket") }?.code == .notFound)
        #expect(failure { try Desk.one(id, of: "account") }?.code == .notFound)
    }

    @Test func shortensALongID() {
        let refused = failure { try Desk.one(String(repeating: "9", count: 5000), of: "note") }
        #expect((refused?.message.utf8.count ?? 0) < 200)
    }

    @Test func projectsInTheOrderOfTheFields() throws {
        #expect(try Desk.one("5", of: "note", fields: ["rank", "id", "rank"]).projection == [0, 2])
        let refused = failure { try Desk.one("abc", of: "note", fields: ["titel"]) }
        #expect(refused?.code == .unknownField)
        #expect(details(refused) == ["fields unknown"])
    }
}
