import RocketModel
import RocketPlanning
import Testing

struct ReadPlannerTests {
    private static let alive = "SELECT count(*) FROM \"products\" WHERE \"deleted_at\" IS NULL"

    @Test(arguments: [
        ("filter[title]=a", "\"title\" = ?1", "\"title\" = $1", ["a"]),
        ("filter[title.neq]=a", "\"title\" IS NOT ?1", "\"title\" IS DISTINCT FROM $1", ["a"]),
        ("filter[title.gte]=a", "\"title\" >= ?1", "\"title\" >= $1", ["a"]),
        ("filter[price.lt]=1.005", "\"price\" COLLATE ROCKET_DECIMAL < ?1", "\"price\" < $1", ["1.005"]),
        (
            "filter[title.in]=a,b%22", "\"title\" IN (SELECT value FROM json_each(?1))", "\"title\" = ANY($1::TEXT[])",
            ["[\"a\",\"b\\\"\"]", "{\"a\",\"b\\\"\"}"]
        ),
        (
            "filter[stock.not_in]=1,2", "(\"stock\" IS NULL OR NOT \"stock\" IN (SELECT value FROM json_each(?1)))",
            "(\"stock\" IS NULL OR NOT \"stock\" = ANY($1::BIGINT[]))", ["[1,2]", "{1,2}"]
        ),
        ("filter[title.like]=a%25", "\"title\" LIKE ?1 ESCAPE '\\'", "\"title\" LIKE $1 ESCAPE '\\'", ["a%"]),
        (
            "filter[title.ilike]=a", "rocket_ilike(\"title\", ?1)",
            "\"title\" ILIKE $1 COLLATE \"und-x-icu\" ESCAPE '\\'",
            ["a"]
        ),
        ("filter[title.contains]=a", "instr(\"title\", ?1) > 0", "strpos(\"title\", $1) > 0", ["a"]),
        ("filter[data.is_null]=true", "\"data\" IS NULL", "\"data\" IS NULL", []),
        ("filter[data.is_null]=false", "\"data\" IS NOT NULL", "\"data\" IS NOT NULL", []),
    ])
    func aFilterIsSpelledForEachDatabase(query: String, sqlite: String, postgres: String, binds: [String]) throws {
        let lite = try #require(try Shop.list(query, .sqlite).count)
        let post = try #require(try Shop.list(query, .postgres).count)
        #expect(lite.text == "\(Self.alive) AND \(sqlite)")
        #expect(post.text == "\(Self.alive) AND \(postgres)")
        #expect(lite.binds == binds.prefix(1).map(SQLValue.text))
        #expect(post.binds == binds.suffix(1).map(SQLValue.text))
    }

    @Test func valuesAreBoundInTheFormThatTheDatabaseStores() throws {
        let query = "filter[live]=true&filter[stock]=1e1&filter[created_at.gt]=2026-01-01T01:00:00%2B01:00"
        #expect(
            try Shop.list(query, .sqlite).count?.binds == [
                .integer(1), .integer(10), .text("2026-01-01T00:00:00.000000Z"),
            ]
        )
        #expect(
            try Shop.list(query, .postgres).count?.binds == [
                .text("true"), .integer(10), .text("2026-01-01T00:00:00.000000Z"),
            ]
        )
    }

    @Test func theKeyIsAlwaysTheLastToSortBy() throws {
        let plan = try Shop.list("sort=-price,title&page=3&per_page=10&fields=title,id", .sqlite)
        #expect(
            plan.rows.text == "SELECT \"id\", \"title\" FROM \"products\" WHERE \"id\" IN"
                + " (SELECT \"id\" FROM \"products\" WHERE \"deleted_at\" IS NULL"
                + " ORDER BY \"price\" COLLATE ROCKET_DECIMAL DESC, \"title\", \"id\" LIMIT ?1 OFFSET ?2)"
                + " ORDER BY \"price\" COLLATE ROCKET_DECIMAL DESC, \"title\", \"id\""
        )
        #expect(plan.rows.binds == [.integer(10), .integer(20)])
        #expect(
            try Shop.list("sort=-price", .postgres).rows.text.contains(
                "ORDER BY \"price\" DESC NULLS LAST, \"id\" LIMIT"
            )
        )
        #expect(try Shop.list("sort=-id", .sqlite).rows.text.contains("ORDER BY \"id\" DESC LIMIT"))
    }

    @Test func deletedRowsAreAskedForByName() throws {
        #expect(
            try Shop.list("deleted=only", .sqlite).count?.text.hasSuffix("WHERE \"deleted_at\" IS NOT NULL") == true
        )
        #expect(try Shop.list("deleted=with", .sqlite).count?.text == "SELECT count(*) FROM \"products\"")
        #expect(try Shop.list("count=none", .sqlite).count == nil)
    }

    @Test func aListWithoutAGrantOfItsOwnCantBePlannedForOthers() throws {
        let entity = try Shop.entity("product", .sqlite)
        let stranger = Principal(userID: "x", email: "x@x.example", roles: ["agent", "administrator"])
        #expect(
            failure { try Access(stranger, to: try Shop.snapshot(), at: Shop.now).grant(.read, on: entity) }?.code
                == .forbidden
        )
        let platformUser = Principal(userID: "x", email: "x@x.example", roles: ["admin"], isOfPlatform: true)
        #expect(
            failure { try Access(platformUser, to: try Shop.snapshot(), at: Shop.now).grant(.read, on: entity) }?.code
                == .forbidden
        )
    }

    @Test func oneRecordIsFoundByItsKeyThenByItsSlug() throws {
        let entity = try Shop.entity("product", .sqlite)
        let grant = try Access(Shop.admin, to: try Shop.snapshot(), at: Shop.now).grant(.read, on: entity)
        let byText = try ReadPlanner.one(id: "my-slug", view: RecordView(), of: entity, grant: grant)
        #expect(byText.attempts.map(\.binds) == [[.text("my-slug")]])
        let id = "AAAAAAAA-0000-4000-8000-000000000001"
        let byKey = try ReadPlanner.one(
            id: id,
            view: RecordView.parse(QueryString("fields=title")).view,
            of: entity,
            grant: grant
        )
        #expect(byKey.attempts.map(\.binds) == [[.text(id.lowercased())], [.text(id)]])
        #expect(byKey.projection == [1])
    }
}

struct QueryStringTests {
    @Test(arguments: [
        ("a=b&c=d", [["a", "b"], ["c", "d"]]), ("a=b=c", [["a", "b=c"]]), ("a", [["a", ""]]), ("&&a=1&", [["a", "1"]]),
        ("a+b=c%20d%2B", [["a b", "c d+"]]), ("%C3%A9=%F0%9F%98%80", [["é", "😀"]]), ("", []),
    ])
    func parametersAreDecodedInOrder(text: String, expected: [[String]]) throws {
        #expect(try QueryString(text).parameters.map { [$0.name, $0.value] } == expected)
    }

    @Test(arguments: ["a=%", "a=%2", "a=%GG", "a=%FF", "%C3=1"])
    func abrokenEscapeIsRefused(text: String) {
        #expect(failure { try QueryString(text) }?.code == .invalidParameter)
    }

    @Test func aHostileNumberOfParametersIsRefused() {
        #expect(failure { try QueryString(String(repeating: "a=1&", count: 201)) }?.code == .invalidParameter)
    }
}
