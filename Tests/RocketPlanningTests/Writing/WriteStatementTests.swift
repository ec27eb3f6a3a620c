import RocketModel
import RocketPlanning
import Testing

private let noteColumns = #""id", "title", "rank""#

struct WriteStatementTests {
    // MARK: insert

    @Test(arguments: [
        (SQLDialect.sqlite, #"INSERT INTO "notes" ("title", "rank") VALUES (?1, ?2) RETURNING "id", "title", "rank""#),
        (.postgres, #"INSERT INTO "notes" ("title", "rank") VALUES ($1, $2) RETURNING "id", "title", "rank""#),
    ])
    func anInsertNamesTheFieldsThatHaveAValue(dialect: SQLDialect, text: String) throws {
        let statement = WritePlanner.insert(try Desk.create(["rank": 3, "title": "a"], in: "note", dialect))[0]
        #expect(statement.text == text)
        #expect(statement.binds == [.text("a"), .integer(3)])
    }

    @Test func anInsertOfNothingTakesTheDefaultsOfTheTable() throws {
        let statement = WritePlanner.insert(try Desk.create([:], in: "note"))[0]
        #expect(statement.text == #"INSERT INTO "notes" DEFAULT VALUES RETURNING "id", "title", "rank""#)
        #expect(statement.binds.isEmpty)
    }

    @Test func anInsertBindsNullWhereItIsGiven() throws {
        let statement = WritePlanner.insert(try Desk.create(["rank": .null], in: "note"))[0]
        #expect(statement.text == #"INSERT INTO "notes" ("rank") VALUES (?1) RETURNING "id", "title", "rank""#)
        #expect(statement.binds == [.null])
    }

    @Test func anInsertGivesTheStoredRowAsValuesAndAsJSON() throws {
        let plan = try Desk.create(["title": "a"], in: "note")
        #expect(WritePlanner.insert(plan)[0].output == .valuesAndJSON(plan.entity.rowShape))
    }

    @Test func bindsEveryTypeInTheFormThatTheDatabaseStores() throws {
        let payload: JSONObject = [
            "title": "x", "slug": "s", "views": "9007199254740993", "score": 2, "price": "1.5", "urgent": true,
            "due": "2026-02-05", "seen_at": "2026-02-05T01:00:00+01:00", "meta": ["b": 1, "a": [.null]],
            "attachment": ["size": 1, "id": .string(Desk.ticketID)],
        ]
        let files: [JSONValue] = [["id": .string(Desk.ticketID), "size": 1]]
        let expected: [SQLValue] = [
            .text("x"), .text("s"), .integer(9_007_199_254_740_993), .double(2), .text("1.50"), .integer(1),
            .text("2026-02-05"), .text("2026-02-05T00:00:00.000000Z"), .text(#"{"a":[null],"b":1}"#),
            .text(#"{"id":"\#(Desk.ticketID)","size":1}"#), .text("open"), .text("2026-03-01"),
            .text("2026-03-01T12:00:00.000000Z"),
        ]
        let sqlite = WritePlanner.insert(
            try Desk.create(payload, in: try Desk.entity("ticket", .sqlite), files: files)
        )[0].binds
        #expect(Array(sqlite.dropFirst()) == expected)
        let postgres = WritePlanner.insert(
            try Desk.create(payload, in: try Desk.entity("ticket", .postgres), files: files)
        )[0].binds
        #expect(postgres[6] == .text("true"))
        #expect(postgres.count == sqlite.count)
    }

    // MARK: update

    @Test(arguments: [
        (
            SQLDialect.sqlite,
            #"UPDATE "notes" SET "title" = ?1, "rank" = ?2 WHERE "id" = ?3 RETURNING "id", "title", "rank""#
        ),
        (.postgres, #"UPDATE "notes" SET "title" = $1, "rank" = $2 WHERE "id" = $3 RETURNING "id", "title", "rank""#),
    ])
    func anUpdateSetsTheFieldsOfThePayload(dialect: SQLDialect, text: String) throws {
        let plan = try Desk.update(["rank": .null, "title": "a"], id: "5", in: "note", dialect)
        let statement = WritePlanner.update(plan, now: Desk.now).last
        #expect(statement?.text == text)
        #expect(statement?.binds == [.text("a"), .null, .integer(5)])
        #expect(statement?.output == .valuesAndJSON(plan.entity.rowShape))
    }

    @Test func anUpdateSetsAutoFieldsOfUpdatesAndNotThoseOfCreates() throws {
        let plan = try Desk.update(["priority": 1], id: Desk.ticketID, in: "ticket")
        let statement = WritePlanner.update(plan, now: Desk.now).last
        #expect(
            statement?.text.hasPrefix(
                #"UPDATE "tickets" SET "priority" = ?1, "touched_at" = ?2 WHERE "id" = ?3 AND "deleted_at" IS NULL RETURNING"#
            ) == true
        )
        #expect(
            statement?.binds == [.integer(1), .text("2026-03-01T12:00:00.000000Z"), .text(Desk.ticketID)]
        )
    }

    @Test func anUpdateOfNothingIsNoStatement() throws {
        for payload in [[:], ["touched_at": "x"], ["id": "x"]] as [JSONObject] {
            let plan = try Desk.update(payload, id: Desk.ticketID, in: "ticket")
            #expect(WritePlanner.update(plan, now: Desk.now).isEmpty)
        }
    }

    @Test func anUpdateLocksItsLivingRow() throws {
        let sqlite = try Desk.update([:], id: "a", in: "account", .sqlite).storedRow
        #expect(sqlite.text.hasSuffix(#"FROM "accounts" WHERE "code" = ?1 AND "deleted_at" IS NULL"#))
        #expect(sqlite.binds == [.text("a")])
        let postgres = try Desk.update([:], id: "a", in: "account", .postgres).storedRow
        #expect(postgres.text.hasSuffix(#"FROM "accounts" WHERE "code" = $1 AND "deleted_at" IS NULL FOR UPDATE"#))
    }

    // MARK: delete and restore

    @Test(arguments: [
        (SQLDialect.sqlite, #"UPDATE "accounts" SET "deleted_at" = ?1 WHERE "code" = ?2 AND "deleted_at" IS NULL"#),
        (.postgres, #"UPDATE "accounts" SET "deleted_at" = $1 WHERE "code" = $2 AND "deleted_at" IS NULL"#),
    ])
    func aSoftDeleteWritesItsInstant(dialect: SQLDialect, text: String) throws {
        let plan = try Desk.delete("a", in: "account", dialect)
        #expect(plan.statements[0].text == text)
        #expect(plan.statements[0].binds == [.text("2026-03-01T12:00:00.000000Z"), .text("a")])
        #expect(plan.storedRow.text.contains(#"AND "deleted_at" IS NULL"#))
    }

    @Test func anEntityWithoutSoftDeletesLosesItsRow() throws {
        let plan = try Desk.delete("5", in: "note", .postgres)
        #expect(plan.statements[0].text == #"DELETE FROM "notes" WHERE "id" = $1"#)
        #expect(plan.statements[0].binds == [.integer(5)])
        #expect(plan.storedRow.text == "SELECT \(noteColumns) FROM \"notes\" WHERE \"id\" = $1 FOR UPDATE")
    }

    @Test func aPurgeRemovesTheRowWhetherItIsDeletedOrNot() throws {
        let plan = try Desk.delete("a", in: "account", purges: true)
        #expect(plan.statements[0].text == #"DELETE FROM "accounts" WHERE "code" = ?1"#)
        #expect(plan.storedRow.text.hasSuffix(#"FROM "accounts" WHERE "code" = ?1"#))
    }

    @Test func aDeleteOfWhatCanBeNoKeyFindsNothing() {
        #expect(failure { try Desk.delete("x", in: "note") }?.code == .notFound)
        #expect(failure { try Desk.delete("my-slug", in: "ticket") }?.code == .notFound)
    }

    @Test func aRestoreBringsADeletedRowBackAndTouchesNoOther() throws {
        let statement = try Desk.restore("a", in: "account")[0]
        #expect(
            statement.text == #"""
                UPDATE "accounts" SET "deleted_at" = NULL WHERE "code" = ?1 AND "deleted_at" IS NOT NULL \#
                RETURNING "code", "name", "plan", "deleted_at"
                """#
        )
        #expect(statement.binds == [.text("a")])
    }

    @Test func thereIsNothingToRestoreWithoutSoftDeletes() {
        #expect(failure { try Desk.restore("5", in: "note") }?.code == .notFound)
        #expect(failure { try Desk.restore("x", in: "ticket") }?.code == .notFound)
    }

    // MARK: references

    @Test func looksUpTheRowsThatForeignKeysName() throws {
        let payload: JSONObject = ["title": "x", "account_code": "a", "agent_id": 7]
        let sqlite = try Desk.create(payload, in: "ticket", .sqlite).needs.references
        #expect(
            sqlite.map(\.statement.text) == [
                #"SELECT 1 FROM "accounts" WHERE "code" = ?1 AND "deleted_at" IS NULL"#,
                #"SELECT 1 FROM "agents" WHERE "id" = ?1"#,
            ]
        )
        #expect(sqlite.map(\.statement.binds) == [[.text("a")], [.integer(7)]])
        let postgres = try Desk.create(payload, in: "ticket", .postgres).needs.references
        #expect(postgres.map(\.statement.text).last == #"SELECT 1 FROM "agents" WHERE "id" = $1::BIGINT FOR KEY SHARE"#)
    }

    @Test func looksUpNothingForKeysThatAreAbsentOrNull() throws {
        let created = try Desk.create(["title": "x", "account_code": .null, "slug": "s"], in: "ticket")
        #expect(created.needs.references.isEmpty)
        #expect(created.needs.isEmpty)
        let updated = try Desk.update(["agent_id": 7], id: Desk.ticketID, in: "ticket")
        #expect(updated.needs.references.map(\.statement.binds) == [[.integer(7)]])
        #expect(!updated.needs.isEmpty)
    }

    @Test func namesEachFieldWhoseRowDoesNotExist() throws {
        let plan = try Desk.create(["title": "x", "account_code": "a", "agent_id": 7], in: "ticket")
        let found = StatementResult(rows: [[.integer(1)]])
        let missing = StatementResult()

        let one = failure { try WritePlanner.judgeReferences(plan.needs, [found, missing], entity: plan.entity) }
        #expect(one?.code == .conflict)
        #expect(details(one) == ["agent_id relation"])
        #expect(one?.details.first?.message == "names no existing agent")

        let both = failure { try WritePlanner.judgeReferences(plan.needs, [missing, missing], entity: plan.entity) }
        #expect(details(both) == ["account_code relation", "agent_id relation"])

        #expect(failure { try WritePlanner.judgeReferences(plan.needs, [found, found], entity: plan.entity) } == nil)
    }

    // MARK: slugs

    @Test(
        arguments: [
            ["title": "Hello, World"], ["title": "Hello World", "slug": ""], ["title": "hello world", "slug": .null],
        ] as [JSONObject]
    )
    func aCreateWithoutASlugNeedsOne(payload: JSONObject) throws {
        #expect(try Desk.create(payload, in: "ticket").needs.slugBase == "hello-world")
    }

    @Test func aCreateWithASlugKeepsIt() throws {
        let plan = try Desk.create(["title": "Hello", "slug": "Mine"], in: "ticket")
        #expect(plan.needs.slugBase == nil)
        #expect(plan.value(of: "slug") == .text("Mine"))
    }

    @Test func aTitleWithoutLettersGivesTheNameOfTheEntity() throws {
        #expect(try Desk.create(["title": "日本!"], in: "ticket").needs.slugBase == "ticket")
    }

    @Test func anUpdateMakesANewSlugOnlyWhereItsSourceChanges() throws {
        let renamed = try Desk.update(["title": "New name"], id: Desk.ticketID, in: "ticket")
        #expect(renamed.needs.slugBase == "new-name")
        let given = try Desk.update(["title": "New name", "slug": "mine"], id: Desk.ticketID, in: "ticket")
        #expect(given.needs.slugBase == nil)
        let other = try Desk.update(["priority": 1], id: Desk.ticketID, in: "ticket")
        #expect(other.needs.slugBase == nil)
    }

    @Test func anUpdateKeepsTheSlugWhereItIsNotToBeMadeAgain() throws {
        #expect(try Shop.update(["title": "New name"]).needs.slugBase == nil)
    }

    @Test func aMandatorySlugIsFilledInFromItsSource() throws {
        let page = EntityDefinition(
            name: "wiki_page",
            table: "pages",
            primaryKey: .init(field: "id", type: .int, generated: true),
            softDelete: false,
            slug: .init(field: "slug", source: "title", regenerateOnUpdate: false),
            fields: [
                FieldDefinition(name: "id", type: .int),
                FieldDefinition(name: "slug", type: .string, required: true, unique: true),
                FieldDefinition(name: "title", type: .string),
            ]
        )
        let entity = try Desk.model(of: page)
        #expect(try Desk.create(["title": "A b"], in: entity).needs.slugBase == "a-b")
        #expect(try Desk.create(["title": "!"], in: entity).needs.slugBase == "wiki-page")
        #expect(details(failure { try Desk.create([:], in: entity) }) == ["slug required"])
        #expect(details(failure { try Desk.create(["title": "A", "slug": .null], in: entity) }) == ["slug required"])
    }

    @Test func asksWhichSlugsLivingRowsHave() throws {
        let ticket = try Desk.entity("ticket")
        let taken = WritePlanner.takenSlugs(among: ["a", "a-2"], ticket, except: nil)
        #expect(
            taken?.text == #"""
                SELECT "slug" FROM "tickets" WHERE "slug" IN (SELECT value FROM json_each(?1)) \#
                AND "deleted_at" IS NULL
                """#
        )
        #expect(taken?.binds == [.text(#"["a","a-2"]"#)])

        let postgres = try Desk.entity("ticket", .postgres)
        let id = try #require(UniqueID(Desk.ticketID))
        let others = WritePlanner.takenSlugs(among: ["a"], postgres, except: .uuid(id))
        #expect(
            others?.text == #"""
                SELECT "slug" FROM "tickets" WHERE "slug" = ANY($1::TEXT[]) AND "deleted_at" IS NULL AND "id" <> $2
                """#
        )
        #expect(others?.binds == [.text(#"{"a"}"#), .text(Desk.ticketID)])
        #expect(WritePlanner.takenSlugs(among: ["a"], try Desk.entity("note"), except: nil) == nil)
    }

    @Test func slugCandidatesComeInBatchesThatGrowToABound() {
        let sizes = (0..<11).map { WritePlanner.slugCandidates("a", batch: $0).count }
        #expect(sizes == [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 2048, 2048])
        let all = (0..<11).flatMap { WritePlanner.slugCandidates("a", batch: $0) }
        #expect(all.first == "a")
        #expect(Array(all.dropFirst()) == (2...all.count).map { "a-\($0)" })
    }
}

struct SlugTextTests {
    @Test(arguments: [
        ("Crème brûlée & Co.", "creme-brulee-co"), ("CREME", "creme"), ("e\u{301}te\u{301}", "ete"),
        ("--a--b--", "a-b"), ("a_b.c/d", "a-b-c-d"),
        ("don't", "dont"), ("don\u{2019}t", "dont"), ("Straße", "strasse"), ("GROẞ", "gross"), ("Łódź", "lodz"),
        ("Ørsted", "orsted"), ("Ægir", "aegir"),
        ("œuvre", "oeuvre"), ("ığdır", "igdir"), ("Đà Nẵng", "da-nang"), ("100%", "100"), ("2026-02-05", "2026-02-05"),
        ("a\u{0}b", "a-b"), ("a\nb", "a-b"),
        ("日本 tokyo", "tokyo"), ("日本", ""), ("😀", ""), ("-", ""), ("", ""), ("١٢", ""), (" a ", "a"),
    ])
    func isLowerCaseLettersDigitsAndSingleHyphens(text: String, slug: String) {
        #expect(SlugText.make(from: text) == slug)
    }

    @Test func isCutToItsLongestWithoutAHyphenAtTheEnd() {
        #expect(SlugText.make(from: String(repeating: "a", count: 500)) == String(repeating: "a", count: 80))
        #expect(SlugText.make(from: String(repeating: "a", count: 79) + " b") == String(repeating: "a", count: 79))
        #expect(SlugText.make(from: String(repeating: "a", count: 79) + "œ") == String(repeating: "a", count: 79) + "o")
    }

    @Test func isASlugOfItself() {
        for text in ["Crème brûlée & Co.", "  --Hello,   World!--", "Łódź", String(repeating: "ab ", count: 200)] {
            let slug = SlugText.make(from: text)
            #expect(SlugText.make(from: slug) == slug)
        }
    }
}

struct PreconditionTests {
    @Test(arguments: [
        (#""a""#, ["\"a\""]), (#""a", "b""#, ["\"a\"", "\"b\""]), (#""a","b""#, ["\"a\"", "\"b\""]),
        ("  \"a\"\t,\t\"b\" ", ["\"a\"", "\"b\""]),
    ])
    func readsTheTagsOfTheHeader(header: String, tags: [String]) {
        #expect(Precondition(ifMatch: header) == .versions(tags))
    }

    @Test(arguments: ["*", " * ", "\t*"])
    func aStarIsMetByEveryVersion(header: String) {
        #expect(Precondition(ifMatch: header) == .anyVersion)
        #expect(Precondition(ifMatch: header).isMet(by: "\"a\""))
    }

    @Test(arguments: ["", " ", ",", #"W/"a""#, "a", #""A""#, #""a"#, #""b", W/"a""#, #"**"#])
    func isNotMetByAnotherTagOrAWeakOne(header: String) {
        #expect(!Precondition(ifMatch: header).isMet(by: "\"a\""))
    }

    @Test func isMetByAnyOfItsTags() {
        let precondition = Precondition(ifMatch: #"W/"a", "b", "a""#)
        #expect(precondition.isMet(by: "\"a\""))
        #expect(precondition.isMet(by: "\"b\""))
        #expect(!precondition.isMet(by: "\"c\""))
    }
}
