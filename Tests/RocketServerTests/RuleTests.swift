import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Rules and computed fields as clients meet them: on a record, on the rows below it, on a part of it.
struct RuleTests {
    struct FieldRow: Sendable, CustomTestStringConvertible {
        let field: String
        let comparison: String
        let value: JSONValue
        let good: JSONValue
        let bad: JSONValue
        let rule: String

        init(
            _ field: String,
            _ comparison: String,
            _ value: JSONValue,
            good: JSONValue,
            bad: JSONValue,
            _ rule: String
        ) {
            self.field = field
            self.comparison = comparison
            self.value = value
            self.good = good
            self.bad = bad
            self.rule = rule
        }

        var testDescription: String { "\(field) \(comparison) \(value.jsonText)" }
    }

    private static let fieldRows = [
        FieldRow("qty", "min", 2, good: 2, bad: 1, "min"),
        FieldRow("price", "max", "9.5", good: "9.5", bad: "9.51", "max"),
        FieldRow("name", "min_length", 3, good: "a\u{301}b", bad: "ab", "min_length"),
        FieldRow("name", "max_length", 2, good: "😀😀", bad: "a\u{301}b", "max_length"),
        FieldRow("name", "pattern", "^[a-z]+-\\d{2}$", good: "ab-12", bad: "xab-123", "pattern"),
        FieldRow("name", "pattern", "^\\p{Lu}", good: "Äb", bad: "äb", "pattern"),
        FieldRow("qty", "eq", 7, good: 7, bad: 8, "enum"), FieldRow("qty", "neq", 7, good: 8, bad: 7, "enum"),
        FieldRow("price", "gt", 1, good: "1.01", bad: 1, "min"),
        FieldRow("price", "gte", 1, good: 1, bad: "0.99", "min"),
        FieldRow("name", "lt", "m", good: "l", bad: "m", "max"), FieldRow("qty", "lte", 3, good: 3, bad: 4, "max"),
        FieldRow("state", "in", ["packed"], good: "packed", bad: "open", "enum"),
        FieldRow("name", "not_in", ["a", "b"], good: "c", bad: "b", "enum"),
        FieldRow("name", "not_empty", nil, good: "x", bad: "", "required"),
    ]

    @Test(arguments: TestStore.allCases)
    func everyOperatorHoldsOnARecordOnRowsBelowAndOnAPart(store: TestStore) async throws {
        try await Till.run(store) { app in
            for row in Self.fieldRows {
                let definition: JSONObject = [
                    "field": .string(row.field), "operator": .string(row.comparison), "value": row.value,
                ]
                let id = try await app.rule("line", "field", .object(definition))
                let sale = try await app.make("sale", ["title": "s"])
                func line(_ value: JSONValue) -> JSONObject { [row.field: value] }
                var bad = line(row.bad)
                bad["sale_id"] = .string(sale)
                let alone = try await app.post("line", .object(bad))
                #expect(alone.status == 422 && alone.details == ["\(row.field) \(row.rule)"], "\(row): \(alone)")
                let below = try await app.post("sale", ["lines": [.object(line(row.good)), .object(line(row.bad))]])
                #expect(
                    below.status == 422 && below.details == ["lines[1].\(row.field) \(row.rule)"],
                    "\(row): \(below)"
                )
                var good = line(row.good)
                good["sale_id"] = .string(sale)
                let made = try await app.make("line", .object(good))
                let part = try await app.put("line/\(made)", .object(line(row.bad)))
                #expect(part.status == 422 && part.details == ["\(row.field) \(row.rule)"], "\(row): \(part)")
                let kept = try await app.put("line/\(made)", ["sale_id": .string(sale)])
                #expect(kept.status == 200, "\(row): \(kept)")
                #expect(try await app.get("sale?filter[title]=null")["meta"]["total"] == 0)
                #expect(try await app.delete("_admin/rules/\(id)").status == 200)
            }
            #expect(try await app.get("line")["meta"]["total"] == .init(integerLiteral: Self.fieldRows.count))
        }
    }

    @Test(arguments: TestStore.allCases)
    func nullPassesEveryOperatorButNotEmpty(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule("sale", "field", ["field": "title", "operator": "min_length", "value": 3])
            try await app.rule("sale", "field", ["field": "title", "operator": "in", "value": ["abc"]])
            #expect(try await app.post("sale", ["title": nil]).status == 201)
            #expect(try await app.post("sale", [:]).status == 201)
            try await app.rule(
                "sale",
                "field",
                ["field": "title", "operator": "not_empty", "message": "Give it a name"]
            )
            let refused = try await app.post("sale", [:])
            #expect(refused.details == ["title required"] && refused.text.contains("Give it a name"), "\(refused)")
        }
    }

    // MARK: expressions

    @Test(arguments: TestStore.allCases)
    func aTruthyExpressionIsAViolationAndSeesTheWholeRecord(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "record.total > 100 && record.note == null", "field": "note",
                    "message": "A large sale needs a note",
                ]
            )
            let refused = try await app.post("sale", ["total": "100.01"])
            #expect(refused.details == ["note expression"] && refused.text.contains("A large sale needs a note"))
            let id = try await app.make("sale", ["total": 50])
            // The payload alone says nothing of the note: the stored row does.
            let part = try await app.put("sale/\(id)", ["total": 200])
            #expect(part.status == 422 && part.details == ["note expression"], "\(part)")
            #expect(try await app.put("sale/\(id)", ["total": 200, "note": "agreed"]).status == 200)
            #expect(try await app.put("sale/\(id)", ["note": nil]).status == 422)
            #expect(try await app.put("sale/\(id)", ["title": "still"]).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func rulesKnowTheOldRecordTheChangesTheActionAndTheUser(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                ["expression": "old && record.total < old.total", "message": "less"]
            )
            try await app.rule(
                "sale",
                "expression",
                ["expression": "action == 'update' && changes.title && changes.title.old == 'fixed'", "field": "title"]
            )
            try await app.rule(
                "sale",
                "expression",
                ["expression": "action == 'create' && Object.keys(changes).length > 0"]
            )
            try await app.rule(
                "sale",
                "expression",
                ["expression": "!('admin' in user.roles) || user.email != 'admin@localhost'"]
            )
            try await app.rule("sale", "expression", ["expression": "record.due != null && record.due < now"])
            let id = try await app.make("sale", ["title": "fixed", "total": 10, "due": "2026-03-02"])
            #expect(try await app.put("sale/\(id)", ["total": "9.99"]).text.contains("less"))
            #expect(try await app.put("sale/\(id)", ["title": "other"]).details == ["title expression"])
            #expect(try await app.put("sale/\(id)", ["title": "fixed", "total": 11]).status == 200)
            #expect(try await app.put("sale/\(id)", ["due": "2026-02-01"]).status == 422)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatFailsToEvaluateIsAViolationWithTheReasonAndNeverPasses(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                ["expression": "'x'.repeat(record.count).length < 0", "field": "count", "message": "no"]
            )
            let answer = try await app.post("sale", ["count": 2_000_000_000])
            #expect(answer.status == 422 && answer.details == ["count expression"], "\(answer)")
            #expect(answer.text.contains("can't be evaluated"))
            #expect(try await app.post("sale", ["count": 3]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func theExpressionsOfOneRequestShareABudget(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "line",
                "expression",
                [
                    "expression":
                        "[0,1,2,3,4,5,6,7,8,9].map(a => [0,1,2,3,4,5,6,7,8,9].map(b => a * b * record.qty)).length == 0"
                ]
            )
            let few = try await app.post("sale", ["lines": .array(Array(repeating: ["qty": 1], count: 20))])
            #expect(few.status == 201)
            let many = try await app.post("sale", ["lines": .array(Array(repeating: ["qty": 1], count: 9000))])
            #expect(
                many.status == 422 && many.text.contains("take too many steps together"),
                "\(many.text.prefix(300))"
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatTheExpressionsOfOneRequestMakeIsBounded(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule("line", "computed", ["field": "name", "expression": "'x'.repeat(1000000)"])
            #expect(try await app.post("sale", ["lines": [[:], [:]]]).status == 201)
            let many = try await app.post("sale", ["lines": .array(Array(repeating: ["qty": 1], count: 200))])
            #expect(many.status == 422 && many.text.contains("write less at once"), "\(many.text.prefix(300))")
        }
    }

    @Test(arguments: TestStore.allCases)
    func valuesThatAreEqualAreNoChange(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "box",
                fields: [["name": "data", "type": "json"], ["name": "note", "type": "text"]]
            )
            try await app.rule(
                "box",
                "expression",
                ["expression": "action == 'update' && changes.data", "field": "data"]
            )
            let made = try await app.send(.post, "box", body: Array(#"{"data":{"a":[1,2],"b":null}}"#.utf8))
            let id = try #require(made["data"]["id"].string)
            let same = try await app.send(.put, "box/\(id)", body: Array(#"{"data":{"b":null,"a":[1.0,2]}}"#.utf8))
            #expect(same.status == 200, "\(same)")
            #expect(try await app.put("box/\(id)", ["data": ["a": [1, 3]]]).details == ["data expression"])
        }
    }

    // MARK: computed fields

    @Test(arguments: TestStore.allCases)
    func aComputedFieldIsSetWhateverThePayloadSays(store: TestStore) async throws {
        try await Till.run(store) { app in
            let sale = try await app.make("sale", [:])
            let made = try await app.post("line", ["sale_id": .string(sale), "qty": 3, "price": "0.10", "amount": 99])
            #expect(made["data"]["amount"].digits == "0.30", "\(made)")
            let id = try #require(made["data"]["id"].string)
            #expect(try await app.put("line/\(id)", ["qty": 5])["data"]["amount"].digits == "0.50")
            #expect(try await app.put("line/\(id)", ["amount": nil])["data"]["amount"].digits == "0.50")
            let below = try await app.put("sale/\(sale)", ["lines": [["id": .string(id), "price": 2], ["price": 7]]])
            let amounts = below["data"]["lines"].array.compactMap { $0["amount"].digits }.sorted()
            #expect(amounts == ["10.00", "7.00"], "\(below)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsComputedGoesThroughTheFieldsType(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule("sale", "computed", ["field": "count", "expression": "record.total / 2"])
            let misfit = try await app.post("sale", ["total": 3])
            #expect(misfit.status == 422 && misfit.details == ["count computed"], "\(misfit)")
            #expect(try await app.post("sale", ["total": 4])["data"]["count"] == 2)
            #expect(try await app.post("sale", ["total": nil])["data"]["count"] == 0)
            try await app.rule("sale", "computed", ["field": "due", "expression": "new Date(now + days(30))"])
            try await app.rule("sale", "computed", ["field": "paid_at", "expression": "record.due"])
            let dated = try await app.post("sale", ["total": 4])
            #expect(dated["data"]["due"] == "2026-03-31", "\(dated)")
            #expect(dated["data"]["paid_at"] == "2026-03-31T00:00:00.000000Z")
            try await app.rule("sale", "computed", ["field": "title", "expression": "record.note ?? undefined"])
            #expect(try await app.post("sale", ["total": 4, "title": "x"])["data"]["title"].isNull)
            try await app.rule("sale", "computed", ["field": "state", "expression": "record.note"])
            let odd = try await app.post("sale", ["total": 4, "note": "odd"])
            #expect(odd.details == ["state computed"] && odd.text.contains("none of"), "\(odd)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func computedFieldsSeeThoseBeforeThemAndTheRowsBelow(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "computed",
                [
                    "field": "total", "expression": "sum(related.lines, 'amount')",
                    "related_load": [["relation": "lines"]],
                ]
            )
            try await app.rule(
                "sale",
                "computed",
                ["field": "count", "expression": "record.total > 10 ? 1 : 0"],
                more: ["priority": 5]
            )
            let made = try await app.post("sale", ["lines": [["qty": 2, "price": 4], ["qty": 1, "price": "2.5"]]])
            #expect(made["data"]["total"].digits == "10.50" && made["data"]["count"] == 1, "\(made)")
            let id = try #require(made["data"]["id"].string)
            let lines = made["data"]["lines"].array
            let key = try #require(lines[0]["id"].string)
            let deleted = try await app.put("sale/\(id)", ["lines": [["id": .string(key), "_delete": true]]])
            let left = lines[1]["amount"].digits
            #expect(deleted["data"]["total"].digits == left && deleted["data"]["count"] == 0, "\(deleted)")
            // Stored children count although the payload names none.
            #expect(try await app.put("sale/\(id)", ["title": "x"])["data"]["total"].digits == left)
            let replaced = try await app.put(
                "sale/\(id)",
                ["lines": ["_write_mode": "replace", "data": [["price": 1], ["price": 2]]]]
            )
            #expect(replaced["data"]["total"].digits == "3.00", "\(replaced)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func anUpdateThatSaysNothingStillComputesAndOnlyWritesWhatDiffers(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.make("sale", ["count": 1])
            let before = try await app.get("sale/\(id)")["data"]["updated_at"]
            app.server.clock.advance(seconds: 5)
            #expect(try await app.put("sale/\(id)", [:])["data"]["updated_at"] == before)
            try await app.rule("sale", "computed", ["field": "total", "expression": "record.count * 2"])
            let computed = try await app.put("sale/\(id)", [:])
            #expect(computed["data"]["total"].digits == "2.00" && computed["data"]["updated_at"] != before)
            app.server.clock.advance(seconds: 5)
            #expect(try await app.put("sale/\(id)", [:])["data"]["updated_at"] == computed["data"]["updated_at"])
        }
    }

    // MARK: related records

    @Test(arguments: TestStore.allCases)
    func relatedRecordsAreThoseThatWillBeStored(store: TestStore) async throws {
        try await Till.run(store) { app in
            let rule: JSONValue = [
                "expression": "related.lines.length > 2", "message": "too many",
                "related_load": [["relation": "lines", "filter": ["qty.gt": 0]]],
            ]
            try await app.rule("sale", "expression", rule)
            #expect(try await app.post("sale", ["lines": [[:], [:], [:]]]).text.contains("too many"))
            #expect(try await app.post("sale", ["lines": [[:], [:], ["qty": 0]]]).status == 201)
            let made = try await app.post("sale", ["lines": [["name": "a"], ["name": "b"]]])
            let id = try #require(made["data"]["id"].string)
            let key = try #require(made["data"]["lines"][0]["id"].string)
            #expect(try await app.put("sale/\(id)", ["lines": [[:]]]).status == 422)
            // One that the payload takes out of the filter makes room; one that it deletes as well.
            let moved = try await app.put("sale/\(id)", ["lines": [["id": .string(key), "qty": 0], ["name": "c"]]])
            #expect(moved.status == 200, "\(moved)")
            #expect(try await app.put("sale/\(id)", ["lines": [["id": .string(key), "qty": 1]]]).status == 422)
            let swapped: JSONValue = ["lines": ["_write_mode": "replace", "data": [["name": "d"], ["name": "e"]]]]
            #expect(try await app.put("sale/\(id)", swapped).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aChildSeesItsParentAsItWillBeStored(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "line",
                "expression",
                [
                    "expression": "related.sale.note == 'closed'", "message": "the sale is closed",
                    "related_load": [["relation": "sale"]],
                ]
            )
            #expect(try await app.post("sale", ["note": "closed", "lines": [[:]]]).details == ["lines[0] expression"])
            let id = try await app.make("sale", ["note": "closed"])
            #expect(try await app.post("line", ["sale_id": .string(id)]).status == 422)
            #expect(try await app.put("sale/\(id)", ["lines": [[:]]]).status == 422)
            #expect(try await app.put("sale/\(id)", ["note": "open", "lines": [[:]]]).status == 200)
            #expect(try await app.put("sale/\(id)", ["note": "closed", "lines": [[:]]]).status == 422)
            // Told of a sale that is not there, the key is the mistake.
            let nowhere = try await app.post("line", ["sale_id": "11111111-1111-4111-8111-111111111111"])
            #expect(nowhere.status == 409, "\(nowhere)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func linkedRecordsAreRelatedToo(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "sum(related.labels, 'rank') > 5", "message": "too heavy",
                    "related_load": [["relation": "labels"]],
                ]
            )
            try await app.rule(
                "label",
                "expression",
                [
                    "expression": "count(related.sales) > 0 && record.rank < old.rank", "message": "in use",
                    "related_load": [["relation": "sales"]],
                ]
            )
            let light = try await app.make("label", ["text": "light", "rank": 2])
            let heavy = try await app.make("label", ["text": "heavy", "rank": 4])
            #expect(
                try await app.post("sale", ["labels": [["id": .string(light)], ["id": .string(heavy)]]]).status == 422
            )
            let id = try await app.make("sale", ["labels": [["id": .string(light)], ["text": "new", "rank": 3]]])
            #expect(try await app.put("sale/\(id)", ["labels": [["text": "more", "rank": 1]]]).status == 422)
            let swapped = try await app.put(
                "sale/\(id)",
                ["labels": [["id": .string(light), "_delete": true], ["text": "more", "rank": 1]]]
            )
            #expect(swapped.status == 200, "\(swapped)")
            #expect(try await app.put("label/\(light)", ["rank": 1]).status == 200)
            let new = try await app.get("label?filter[text]=new")["data"][0]["id"].string ?? ""
            #expect(try await app.put("label/\(new)", ["rank": 2]).text.contains("in use"))
        }
    }

    @Test(arguments: TestStore.allCases)
    func loadsOfOneRelationWithOtherFiltersAreKeptApart(store: TestStore) async throws {
        try await Till.run(store) { app in
            func rule(_ most: Int, _ filter: JSONValue) async throws {
                try await app.rule(
                    "sale",
                    "expression",
                    [
                        "expression": .string("related.lines.length > \(most)"), "message": .string("over \(most)"),
                        "related_load": [["relation": "lines", "filter": filter]],
                    ]
                )
            }
            try await rule(1, ["name.ilike": "A%"])
            try await rule(2, ["name.in": ["b", "c"]])
            let id = try await app.make("sale", ["lines": [["name": "a"], ["name": "b"], ["name": "c"]]])
            #expect(try await app.put("sale/\(id)", ["title": "t"]).status == 200)
            let both = try await app.put("sale/\(id)", ["lines": [["name": "ab"], ["name": "c"]]])
            #expect(both.text.contains("over 1") && both.text.contains("over 2"), "\(both)")
        }
    }

    // MARK: all at once, in order

    @Test(arguments: TestStore.allCases)
    func everyViolationOfParentAndRowsBelowComesTogether(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule("sale", "field", ["field": "title", "operator": "min_length", "value": 3])
            try await app.rule("sale", "expression", ["expression": "record.count > 5", "field": "count"])
            try await app.rule("line", "field", ["field": "qty", "operator": "max", "value": 10])
            try await app.rule("line", "expression", ["expression": "record.price < 0", "field": "price"])
            let answer = try await app.post(
                "sale",
                [
                    "title": "x", "count": 9, "total": "abc", "unheard": 1,
                    "lines": [["qty": 11, "price": -1], ["qty": "many", "price": -2], ["qty": 1]],
                ]
            )
            #expect(
                Set(answer.details) == [
                    "total type", "unheard unknown", "title min_length", "count expression", "lines[0].qty max",
                    "lines[0].price expression", "lines[1].qty type", "lines[1].price expression",
                ],
                "\(answer)"
            )
            #expect(try await app.get("sale")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRuleThatReadsAFailedFieldHoldsItsTongue(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule("sale", "expression", ["expression": "record.count == null", "field": "title"])
            try await app.rule("sale", "field", ["field": "count", "operator": "not_empty"])
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "related.lines.some(l => l.qty == null)", "field": "note",
                    "related_load": [["relation": "lines"]],
                ]
            )
            let answer = try await app.post("sale", ["count": "x", "lines": [["qty": "y"]]])
            #expect(answer.details == ["count type", "lines[0].qty type"], "\(answer)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func rulesRunByTypePriorityAndAgeAndStopWhereOneSaysSo(store: TestStore) async throws {
        try await Till.run(store) { app in
            func rule(_ type: String, _ message: String, _ priority: Int, stops: Bool = false) async throws -> String {
                let test: JSONObject =
                    type == "field"
                    ? ["field": "count", "operator": "max", "value": 0] : ["expression": "record.count > 0"]
                var definition = test
                definition["message"] = .string(message)
                definition["stop_on_fail"] = .boolean(stops)
                return try await app.rule("sale", type, .object(definition), more: ["priority": .integer(priority)])
            }
            _ = try await rule("expression", "e1", -5)
            _ = try await rule("expression", "e0", -9)
            _ = try await rule("field", "f2", 5)
            let last = try await rule("field", "f3", 5, stops: true)
            _ = try await rule("field", "f1", 1)
            func messages(_ answer: TestAnswer) -> [String] {
                answer.json["error"]["details"].array.compactMap { $0["message"].string }
            }
            #expect(messages(try await app.post("sale", ["count": 1])) == ["f1", "f2", "f3"])
            #expect(try await app.delete("_admin/rules/\(last)").status == 200)
            #expect(messages(try await app.post("sale", ["count": 1])) == ["f1", "f2", "e0", "e1"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func anInactiveRuleRests(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.rule(
                "sale",
                "field",
                ["field": "count", "operator": "max", "value": 0],
                more: ["active": false]
            )
            #expect(try await app.post("sale", ["count": 1]).status == 201)
            let active: JSONValue = [
                "entity": "sale", "type": "field", "definition": ["field": "count", "operator": "max", "value": 0],
            ]
            #expect(try await app.put("_admin/rules/\(id)", active).status == 200)
            #expect(try await app.post("sale", ["count": 1]).status == 422)
        }
    }

    @Test(arguments: TestStore.allCases)
    func rulesHoldInBatches(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule("sale", "field", ["field": "count", "operator": "max", "value": 5])
            let answer = try await app.post(
                "_batch",
                [
                    "operations": [
                        ["method": "POST", "path": "sale", "body": ["title": "first"]],
                        ["method": "PUT", "path": "sale/$0.id", "body": ["count": 6]],
                    ]
                ]
            )
            #expect(answer.status == 422 && answer.details == ["operations[1].body.count max"], "\(answer)")
            #expect(try await app.get("sale")["meta"]["total"] == 0)
        }
    }

    // MARK: deletes

    @Test(arguments: TestStore.allCases)
    func aDeleteMeetsItsRulesBeforeAnythingGoes(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "action == 'delete' && related.lines.length > 0 && old.note == 'keep'",
                    "message": "still has lines", "related_load": [["relation": "lines"]],
                ],
                more: ["hook": "before_delete"]
            )
            let id = try await app.make("sale", ["note": "keep", "lines": [[:]]])
            let refused = try await app.delete("sale/\(id)")
            #expect(refused.status == 422 && refused.text.contains("still has lines"), "\(refused)")
            #expect(try await app.put("sale/\(id)", ["title": "writes do not ask it"]).status == 200)
            #expect(try await app.get("sale/\(id)?include=lines")["data"]["lines"].array.count == 1)
            #expect(try await app.put("sale/\(id)", ["note": nil]).status == 200)
            #expect(try await app.delete("sale/\(id)").status == 200)
            #expect(try await app.delete("sale/\(id)").status == 404)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRowThatGoesAlongMeetsItsOwnRules(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "line",
                "field",
                ["field": "state", "operator": "neq", "value": "packed", "message": "is packed already"],
                more: ["hook": "before_delete"]
            )
            let customer = try await app.make("customer", ["name": "c"])
            let made = try await app.post(
                "sale",
                ["customer_id": .string(customer), "lines": [["state": "packed"], ["state": "open"]]]
            )
            let sale = try #require(made["data"]["id"].string)
            let packed = made["data"]["lines"].array.first { $0["state"] == "packed" }?["id"].string ?? ""
            for path in ["line/\(packed)", "sale/\(sale)", "customer/\(customer)"] {
                let refused = try await app.delete(path)
                #expect(refused.status == 422 && refused.text.contains("is packed already"), "\(path): \(refused)")
            }
            let nested = try await app.put("sale/\(sale)", ["lines": [["id": .string(packed), "_delete": true]]])
            #expect(nested.status == 422 && nested.details == ["lines[0].state enum"], "\(nested)")
            let replaced = try await app.put("sale/\(sale)", ["lines": ["_write_mode": "replace", "data": []]])
            #expect(replaced.status == 422 && replaced.text.contains("is packed already"), "\(replaced)")
            #expect(try await app.get("line")["meta"]["total"] == 2)
            #expect(try await app.put("line/\(packed)", ["state": "open"]).status == 200)
            #expect(try await app.delete("customer/\(customer)").status == 200)
            #expect(try await app.get("line")["meta"]["total"] == 0)
        }
    }

    // MARK: rules among rows that are written at once

    @Test(arguments: TestStore.allCases)
    func filtersDoNotGrowWithTheRows(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "line",
                "expression",
                [
                    "expression": "related.sale && related.sale.count > 5",
                    "related_load": [["relation": "sale", "filter": ["note": "open", "count.in": [1, 2, 3, 9]]]],
                ]
            )
            let id = try await app.make("sale", ["note": "open", "count": 3])
            let lines = JSONValue.array(Array(repeating: ["qty": 1], count: 3000))
            #expect(try await app.put("sale/\(id)", ["lines": lines]).status == 200)
            #expect(try await app.put("sale/\(id)", ["count": 9, "lines": [[:]]]).status == 422)
        }
    }

    @Test(arguments: TestStore.allCases)
    func rowsThatGoTogetherAreSeenByEachOthersRules(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "line",
                "expression",
                [
                    "expression": "related.sale && related.sale.note == 'keep'", "message": "kept by its sale",
                    "related_load": [["relation": "sale"]],
                ],
                more: ["hook": "before_delete"]
            )
            let customer = try await app.make("customer", ["name": "c", "sales": [["note": "keep", "lines": [[:]]]]])
            #expect(try await app.delete("customer/\(customer)").text.contains("kept by its sale"))
            // A rule of the sale's own that lets it go changes nothing of that.
            try await app.rule("sale", "expression", ["expression": "false"], more: ["hook": "before_delete"])
            #expect(try await app.delete("customer/\(customer)").text.contains("kept by its sale"))
        }
    }

    @Test(arguments: TestStore.allCases)
    func rulesSeeSlugsThatAreMade(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "post",
                fields: [
                    ["name": "title", "type": "string"], ["name": "url", "type": "string"],
                    ["name": "slug", "type": "string", "unique": true, "required": true],
                ],
                extra: ["slug": ["field": "slug", "source": "title", "regenerate_on_update": true]]
            )
            try await app.rule("post", "field", ["field": "slug", "operator": "not_empty"])
            try await app.rule("post", "computed", ["field": "url", "expression": "'/' + record.slug"])
            let first = try await app.post("post", ["title": "Hello"])
            #expect(first["data"]["url"] == "/hello", "\(first)")
            let second = try await app.post("post", ["title": "Hello"])
            #expect(second["data"]["slug"] == "hello-2" && second["data"]["url"] == "/hello-2", "\(second)")
            let id = try #require(second["data"]["id"].string)
            let renamed = try await app.put("post/\(id)", ["title": "Good bye"])
            #expect(renamed["data"]["url"] == "/good-bye", "\(renamed)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aSlugIsMadeOfAComputedField(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "post",
                fields: [
                    ["name": "first", "type": "string"], ["name": "title", "type": "string"],
                    ["name": "slug", "type": "string", "unique": true, "required": true],
                ],
                extra: ["slug": ["field": "slug", "source": "title"]]
            )
            try await app.rule(
                "post",
                "computed",
                ["field": "title", "expression": "record.first && `${record.first} of all`"]
            )
            #expect(try await app.post("post", ["first": "One"])["data"]["slug"] == "one-of-all")
            #expect(try await app.post("post", [:]).details == ["slug required"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aKeyThatTheDatabaseNumbersIsNotEmpty(store: TestStore) async throws {
        try await Bazaar.run(store) { app in
            try await app.rule("part", "field", ["field": "bin_id", "operator": "not_empty"])
            #expect(try await app.post("bin", ["parts": [["label": "a"]]]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aComputedKeyLeadsToItsRecord(store: TestStore) async throws {
        try await Till.run(store) { app in
            let cheap = try await app.make("customer", ["name": "cheap", "limit": 10])
            let dear = try await app.make("customer", ["name": "dear", "limit": 1000])
            try await app.rule(
                "sale",
                "computed",
                ["field": "customer_id", "expression": .string("record.count > 5 ? '\(dear)' : '\(cheap)'")]
            )
            try await app.rule(
                "sale",
                "computed",
                [
                    "field": "total", "expression": "related.customer.limit * 2",
                    "related_load": [["relation": "customer"]],
                ],
                more: ["priority": 1]
            )
            let made = try await app.post("sale", ["count": 1])
            #expect(made["data"]["total"].digits == "20.00", "\(made)")
            let id = try #require(made["data"]["id"].string)
            #expect(try await app.put("sale/\(id)", ["count": 9])["data"]["total"].digits == "2000.00")
            let both = try await app.post("customer", ["name": "x", "sales": [["count": 1]]])
            #expect(both.status == 422 && both.details == ["sales[0].customer_id computed"], "\(both)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aLinkedRowThatComesIntoTheFilterIsSeenFromBothSides(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "related.labels.length > 0", "message": "heavy label",
                    "related_load": [["relation": "labels", "filter": ["rank.gt": 5]]],
                ]
            )
            try await app.rule(
                "label",
                "expression",
                [
                    "expression": "related.sales.length > 1", "message": "used twice",
                    "related_load": [["relation": "sales"]],
                ]
            )
            let label = try await app.make("label", ["text": "a", "rank": 1])
            let sale = try await app.make("sale", ["labels": [["id": .string(label)]]])
            let heavier = try await app.put("sale/\(sale)", ["labels": [["id": .string(label), "rank": 9]]])
            #expect(heavier.text.contains("heavy label"), "\(heavier)")
            let other = try await app.make("sale", [:])
            let twice = try await app.put("sale/\(other)", ["labels": [["id": .string(label), "rank": 2]]])
            #expect(twice.text.contains("used twice"), "\(twice)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func rowsBelowAreNamedByAComputedField(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "supplier",
                fields: [["name": "name", "type": "string"], ["name": "code", "type": "string", "unique": true]]
            )
            try await app.makeEntity("good", fields: [["name": "supplier_code", "type": "string"]])
            let relation = Bazaar.relation(
                "goods",
                "one_to_many",
                "supplier",
                "good",
                by: "supplier_code",
                onDelete: "cascade",
                more: ["source_key": "code", "inverse": "supplier"]
            )
            #expect(try await app.post("_admin/relations", relation).status == 201)
            try await app.rule("supplier", "computed", ["field": "code", "expression": "record.name?.toUpperCase()"])
            let made = try await app.post("supplier", ["name": "acme", "goods": [[:]]])
            #expect(made["data"]["goods"][0]["supplier_code"] == "ACME", "\(made)")
            let nameless = try await app.post("supplier", ["goods": [[:]]])
            #expect(nameless.status == 422 && nameless.details == ["goods[0] relation"], "\(nameless)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRuleOnRowsThatCantBeReadHoldsItsTongueAndNoOtherDoes(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "related.lines.length == 0", "field": "note", "message": "needs lines",
                    "related_load": [["relation": "lines"]],
                ]
            )
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "related.labels.length == 0", "field": "title", "message": "needs labels",
                    "related_load": [["relation": "labels"]],
                ]
            )
            let answer = try await app.post("sale", ["lines": [["id": "no-uuid"]]])
            #expect(Set(answer.details) == ["lines[0].id type", "title expression"], "\(answer)")
        }
    }

    // MARK: what the original got wrong

    @Test(arguments: TestStore.allCases)
    func childrenDoNotSkipValidation(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let ticket = "30000000-0000-0000-0000-000000000001"
            let nested = try await app.put(
                "ticket/\(ticket)",
                ["ticket_responses": [["author_type": "robot", "author_id": .string(ticket), "body": ""]]]
            )
            #expect(
                Set(nested.details) == ["ticket_responses[0].author_type enum", "ticket_responses[0].body required"],
                "\(nested)"
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func anUpdateCantEmptyARequiredFieldNorLeaveTheEnum(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "ticket/30000000-0000-0000-0000-000000000001"
            #expect(try await app.put(path, ["title": ""]).details.contains("title required"))
            #expect(try await app.put(path, ["title": nil]).details.contains("title required"))
            #expect(try await app.put(path, ["priority": "urgent"]).details == ["priority enum"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func theHelpDesksRulesActAsWritten(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let short = try await app.post(
                "ticket",
                ["title": "Hi", "description": "d", "customer_id": "10000000-0000-0000-0000-000000000001"]
            )
            #expect(short.details == ["title min_length"])
            #expect(short.text.contains("Title must be at least 5 characters"))
            #expect(try await app.put("ticket/30000000-0000-0000-0000-000000000001", ["title": "Hi"]).status == 422)
        }
    }
}
