import RocketModel
import RocketPlanning
import Testing

struct WritePlannerTests {
    @Test func aCreateFillsInWhatThePayloadLeavesOut() throws {
        let plan = try Shop.create(["title": "Blue chair", "id": "x", "created_at": "x", "price": 5])
        let statement = WritePlanner.insert(plan)[0]
        #expect(
            statement.text
                == "INSERT INTO \"products\" (\"id\", \"title\", \"price\", \"stock\", \"created_at\", \"updated_at\")"
                + " VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING \"id\", \"title\", \"slug\", \"price\", \"stock\", \"state\","
                + " \"live\", \"data\", \"shop_id\", \"created_at\", \"updated_at\""
        )
        let stamp = SQLValue.text("2026-03-01T12:00:00.000000Z")
        let id = SQLValue.text("019ca945-0a00-7000-8000-000000000000")
        #expect(statement.binds == [id, .text("Blue chair"), .text("5.00"), .integer(0), stamp, stamp])
        #expect(plan.needs.slugBase == "blue-chair" && plan.needs.references.isEmpty)
    }

    @Test func everyViolationOfAPayloadComesAtOnce() {
        let refused = failure {
            try Shop.create(["titel": "x", "price": "1.005", "stock": "many", "state": "broken", "live": 1])
        }
        #expect(
            details(refused) == [
                "titel unknown", "price type", "stock type", "state enum", "live type", "title required",
            ]
        )
        #expect(refused?.details.first?.message.contains("did you mean \"title\"?") == true)
    }

    @Test func aForeignKeyIsLookedUpAndADanglingOneNamesItsField() throws {
        let plan = try Shop.create(["title": "x", "shop_id": .integer(7)])
        #expect(plan.needs.references.map(\.statement.text) == ["SELECT 1 FROM \"shops\" WHERE \"id\" = ?1"])
        #expect(plan.needs.references[0].statement.binds == [.integer(7)])
        let missing = failure {
            try WritePlanner.judgeReferences(plan.needs, [StatementResult()], entity: plan.entity)
        }
        #expect(missing?.code == .conflict && details(missing) == ["shop_id relation"])
        try WritePlanner.judgeReferences(plan.needs, [StatementResult(rows: [[.integer(1)]])], entity: plan.entity)
        #expect(try Shop.create(["title": "x", "shop_id": .null]).needs.references.isEmpty)
    }

    @Test func anUpdateWritesTheKeysGivenAndTheAutoFields() throws {
        let plan = try Shop.update(["stock": .integer(3), "id": "other", "created_at": .null], .postgres)
        let statement = try #require(WritePlanner.update(plan, now: Shop.now).last)
        #expect(
            statement.text.hasPrefix(
                "UPDATE \"products\" SET \"stock\" = $1, \"updated_at\" = $2 WHERE \"id\" = $3 AND \"deleted_at\" IS NULL RETURNING"
            )
        )
        #expect(plan.storedRow.text.hasSuffix("WHERE \"id\" = $1 AND \"deleted_at\" IS NULL FOR UPDATE"))
        #expect(WritePlanner.update(try Shop.update([:]), now: Shop.now).isEmpty)
    }

    @Test func anUpdateCantEmptyWhatIsRequiredOrLeaveAnEnum() throws {
        let refused = try Shop.update(["title": "", "state": "gone", "nope": 1]).violations
        #expect(details(refused) == ["title required", "state enum", "nope unknown"])
        #expect(details(try Shop.update(["title": .null]).violations) == ["title required"])
        #expect(try Shop.update(["title": "x"]).violations == nil)
    }

    @Test func slugCandidatesLeaveNoGapAndNeverOverlap() {
        let all = (0..<6).flatMap { WritePlanner.slugCandidates("s", batch: $0) }
        #expect(all.prefix(3) == ["s", "s-2", "s-3"])
        #expect(all == ["s"] + (2...all.count).map { "s-\($0)" })
    }

    @Test(arguments: [
        ("Crème brûlée & Co.", "creme-brulee-co"), ("  --Hello,   World!--", "hello-world"), ("Straße", "strasse"),
        ("Łódź ĲÆŒ ﬁ", "lodz-ijaeoe-fi"), ("don't", "dont"), ("日本", ""), ("", ""), ("e\u{301}a", "ea"), ("Ἀ1", "1"),
        ("C++ 17", "c-17"),
    ])
    func aSlugIsPlainLettersDigitsAndHyphens(text: String, slug: String) {
        #expect(SlugText.make(from: text) == slug)
    }

    @Test func aLongSlugIsCut() {
        #expect(SlugText.make(from: String(repeating: "ab ", count: 200)).utf8.count <= SlugText.maximumLength)
    }

    @Test func ifMatchIsReadAsTheStandardSays() {
        #expect(Precondition(ifMatch: "*").isMet(by: "\"a\""))
        #expect(Precondition(ifMatch: "\"b\",  \"a\" ").isMet(by: "\"a\""))
        #expect(!Precondition(ifMatch: "W/\"a\"").isMet(by: "\"a\""))
        #expect(!Precondition(ifMatch: "").isMet(by: "\"a\""))
        #expect(!Precondition(ifMatch: "a").isMet(by: "\"a\""))
    }
}
