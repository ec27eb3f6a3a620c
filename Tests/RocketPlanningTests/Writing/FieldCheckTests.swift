import RocketModel
import RocketPlanning
import Testing

/// What is wrong with an update of a ticket.
private func problem(withUpdate payload: JSONObject, in entity: String = "ticket") throws -> RequestFailure? {
    try Desk.update(payload, id: entity == "note" ? "5" : Desk.ticketID, in: entity).violations
}

struct FieldCheckTests {
    // MARK: create

    @Test func namesEveryViolationAtOnceInTheOrderOfThePayload() {
        let refused = failure {
            try Desk.create(
                [
                    "titel": "x", "state": "done", "priority": "1", "views": "abc", "score": "1.5", "price": "1.005",
                    "urgent": 1, "due": "2026-02-30", "seen_at": "2026-02-05", "attachment": "x",
                    "account_code": "a\u{0}",
                ],
                in: "ticket"
            )
        }
        #expect(refused?.code == .validationFailed)
        #expect(refused?.message == "12 things are not valid")
        #expect(
            details(refused) == [
                "titel unknown", "state enum", "priority type", "views type", "score type", "price type", "urgent type",
                "due type", "seen_at type", "attachment type", "account_code type", "title required",
            ]
        )
        let messages = refused?.details.map(\.message) ?? []
        #expect(messages.first == "\"ticket\" has no field \"titel\"; did you mean \"title\"?")
        #expect(messages.contains("\"done\" is none of \"open\", \"closed\""))
        #expect(messages.contains("expected at most 2 fraction digits, got 1.005"))
        #expect(messages.contains("text can't hold the character NUL"))
    }

    @Test func anAbsentFieldTakesItsDefaultAndNullDoesNot() throws {
        #expect(try Desk.create(["title": "x"], in: "ticket").value(of: "state") == .text("open"))
        #expect(try Desk.create(["title": "x", "state": .null], in: "ticket").value(of: "state") == .null)
        #expect(try Desk.create(["title": "x", "state": "closed"], in: "ticket").value(of: "state") == .text("closed"))
    }

    @Test func anAbsentFieldWithoutADefaultIsNotWritten() throws {
        let plan = try Desk.create(["title": "x"], in: "ticket")
        #expect(plan.value(of: "priority") == nil)
        #expect(plan.value(of: "body") == nil)
    }

    @Test(arguments: [[:], ["title": .null], ["title": ""]] as [JSONObject])
    func aMandatoryFieldMustHaveAValue(payload: JSONObject) {
        let refused = failure { try Desk.create(payload, in: "ticket") }
        #expect(details(refused) == ["title required"])
        #expect(refused?.details.first?.message == "is required")
        #expect(refused?.message == "One thing is not valid")
    }

    @Test func aFieldOfTheWrongTypeIsNotAlsoMissing() {
        #expect(details(failure { try Desk.create(["title": 5], in: "ticket") }) == ["title type"])
    }

    @Test(arguments: [["code": "a"], ["code": "a", "name": .null], ["code": "a", "name": ""]] as [JSONObject])
    func aNullableFieldMayBeEmptyThoughItIsRequired(payload: JSONObject) throws {
        let plan = try Desk.create(payload, in: "account")
        #expect(plan.value(of: "plan") == .text("free"))
    }

    @Test(arguments: [JSONValue.null, ""])
    func aDefaultDoesNotStandInForAnEmptyValueThatIsGiven(value: JSONValue) {
        let refused = failure { try Desk.create(["code": "a", "plan": value], in: "account") }
        #expect(details(refused) == ["plan required"])
    }

    @Test func fieldsOfTheEngineAreIgnoredInSilence() throws {
        let payload: JSONObject = [
            "title": "x", "id": 5, "created_on": "never", "touched_at": .null,
        ]
        let plan = try Desk.create(payload, in: "ticket")
        #expect(plan.value(of: "id") == .uuid(UniqueID.version7(at: Desk.now, random: 0)))
        #expect(plan.value(of: "created_on") == .date(CalendarDate(days: 20513)))
        #expect(plan.value(of: "touched_at") == .timestamp(Desk.now))

        let account = try Desk.create(["code": "a", "deleted_at": "x"], in: "account")
        #expect(account.value(of: "deleted_at") == nil)
    }

    @Test func aKeyThatTheDatabaseMakesIsIgnoredAndAskedOfNobody() throws {
        #expect(try Desk.create(["id": "x", "title": "a"], in: "note").value(of: "id") == nil)
        #expect(try Desk.create([:], in: "note").values.isEmpty)
    }

    @Test(arguments: [[:], ["code": .null], ["code": ""]] as [JSONObject])
    func aKeyThatTheClientGivesMustBeThere(payload: JSONObject) {
        #expect(details(failure { try Desk.create(payload, in: "account") }) == ["code required"])
    }

    @Test(arguments: ["a", "a/b", "...", "é", String(repeating: "k", count: 255)])
    func aKeyIsATextThatAPathCanName(key: String) throws {
        #expect(try Desk.create(["code": .string(key)], in: "account").value(of: "code") == .text(key))
    }

    @Test(arguments: [".", "..", String(repeating: "k", count: 256), String(repeating: "é", count: 128)])
    func aKeyThatNoPathCanNameIsRefused(key: String) {
        let refused = failure { try Desk.create(["code": .string(key)], in: "account") }
        #expect(details(refused) == ["code type"])
        #expect(refused?.details.first?.message.contains("at most 255 bytes") == true)
    }

    @Test func theColumnOfSoftDeletesIsUnknownUnlessItIsNamed() {
        let refused = failure { try Desk.create(["title": "x", "deleted_at": .null], in: "ticket") }
        #expect(details(refused) == ["deleted_at unknown"])
    }

    @Test func anEnumComparesByValue() throws {
        let sizes = EntityDefinition(
            name: "size",
            table: "sizes",
            primaryKey: .init(field: "id", type: .int, generated: true),
            fields: [
                FieldDefinition(name: "id", type: .int),
                FieldDefinition(
                    name: "width",
                    type: .decimal,
                    allowedValues: [.number(JSONNumber(unchecked: "1.50")), .number(JSONNumber(unchecked: "2"))],
                    precision: 2
                ),
            ]
        )
        let entity = try Desk.model(of: sizes)
        #expect(failure { try Desk.create(["width": "1.5"], in: entity) } == nil)
        #expect(failure { try Desk.create(["width": .null], in: entity) } == nil)
        let refused = failure { try Desk.create(["width": 3], in: entity) }
        #expect(refused?.details.map(\.message) == ["3.00 is none of 1.50, 2.00"])
    }

    @Test func carriesTheFirst200OfManyUnknownNames() {
        var payload: JSONObject = [:]
        for index in 0..<400 { payload["x\(index)"] = 1 }
        let refused = failure { try Desk.create(payload, in: "note") }
        #expect(refused?.details.count == 200)
        #expect(refused?.details.first?.field == "x0")
    }

    // MARK: auto fields

    @Test(arguments: [
        ("2026-03-01T00:00:00Z", "2026-03-01"), ("2026-03-01T23:59:59.999999Z", "2026-03-01"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31"), ("1970-01-01T00:00:00Z", "1970-01-01"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31"), ("0001-01-01T00:00:00Z", "0001-01-01"),
    ])
    func anAutoDateIsTheDayOfTheInstant(instant: String, day: String) throws {
        let now = try #require(Timestamp(rfc3339: instant))
        let plan = try Desk.create(["title": "x"], in: try Desk.entity("ticket"), at: now)
        #expect(plan.value(of: "created_on")?.json == .string(day))
    }

    // MARK: update

    @Test func anUpdateLooksAtTheKeysGivenOnly() throws {
        let plan = try Desk.update(["priority": 3], id: Desk.ticketID, in: "ticket")
        #expect(plan.violations == nil)
        #expect(plan.values.count == 1)
        #expect(plan.value(of: "priority") == .whole(3))
    }

    @Test func anUpdateIgnoresTheKeyAndTheFieldsOfTheEngine() throws {
        let payload: JSONObject = ["id": 5, "created_on": "x", "touched_at": "x"]
        let plan = try Desk.update(payload, id: Desk.ticketID, in: "ticket")
        #expect(plan.violations == nil)
        #expect(plan.values.isEmpty)

        let account = try Desk.update(["code": 7, "deleted_at": 7], id: "a", in: "account")
        #expect(account.violations == nil)
        #expect(account.values.isEmpty)
    }

    @Test(arguments: [JSONValue.null, ""])
    func anUpdateDoesNotEmptyAMandatoryField(value: JSONValue) throws {
        #expect(details(try problem(withUpdate: ["title": value])) == ["title required"])
        let plan = try Desk.update(["name": value], id: "a", in: "account")
        #expect(plan.violations == nil)
    }

    @Test func anUpdateHoldsToAnEnum() throws {
        let refused = try problem(withUpdate: ["state": "done"])
        #expect(details(refused) == ["state enum"])
        #expect(refused?.details.first?.message == "\"done\" is none of \"open\", \"closed\"")
        #expect(try problem(withUpdate: ["state": .null]) == nil)
        #expect(try problem(withUpdate: ["state": "closed"]) == nil)
    }

    @Test func anUpdateNamesEveryViolationAtOnce() throws {
        let refused = try problem(withUpdate: [
            "titel": "x", "title": .null, "priority": .number(JSONNumber(unchecked: "1.5")), "state": "gone",
        ])
        #expect(refused?.code == .validationFailed)
        #expect(details(refused) == ["titel unknown", "title required", "priority type", "state enum"])
    }

    @Test(arguments: [("note", "abc"), ("note", "1.5"), ("ticket", "my-slug"), ("ticket", "")])
    func anUpdateOfWhatCanBeNoKeyFindsNothing(entity: String, id: String) {
        let refused = failure { try Desk.update(["titel": 1], id: id, in: entity) }
        #expect(refused?.code == .notFound)
        #expect(refused?.message == "There is no \(entity) \"\(id)\"")
    }
}
