import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// The mode table of nested writes, every cell of it, for each type of relation.
struct NestedWriteTests {
    /// What a payload does to an order with the items a (1), b (2), c (3), or a bin with parts.
    struct Cell: Sendable, CustomTestStringConvertible {
        let mode: String
        let row: String
        /// The names of the children afterwards.
        let after: [String]

        var testDescription: String { "\(mode): \(row)" }
    }

    private static let cells = [
        Cell(mode: "diff", row: "new", after: ["a", "b", "c", "new"]),
        Cell(mode: "replace", row: "new", after: ["new"]),
        Cell(mode: "append", row: "new", after: ["a", "b", "c", "new"]),
        Cell(mode: "diff", row: "current", after: ["b", "c", "changed"]),
        Cell(mode: "replace", row: "current", after: ["changed"]),
        Cell(mode: "append", row: "current", after: ["a", "b", "c"]),
        Cell(mode: "diff", row: "deletion", after: ["b", "c"]),
        Cell(mode: "replace", row: "deletion", after: []),
        Cell(mode: "append", row: "deletion", after: ["a", "b", "c"]),
        Cell(mode: "diff", row: "none", after: ["a", "b", "c"]),
        Cell(mode: "replace", row: "none", after: []),
        Cell(mode: "append", row: "none", after: ["a", "b", "c"]),
    ]

    private static func names(_ json: TestJSON, _ field: String = "name") -> [String] {
        json.array.compactMap { $0[field].string }.sorted()
    }

    /// A payload of one row for a cell; `label` is the child's field that is written.
    private static func data(
        _ cell: Cell,
        _ key: (String, JSONValue),
        label: String,
        suffix: String
    ) -> JSONValue {
        switch cell.row {
        case "new": [.object([label: .string("new" + suffix)])]
        case "current": [.object([key.0: key.1, label: .string("changed" + suffix)])]
        case "deletion": [.object([key.0: key.1, "_delete": true])]
        default: []
        }
    }

    private static func payload(
        _ cell: Cell,
        _ relation: String,
        _ key: (String, JSONValue),
        label: String,
        suffix: String = ""
    ) -> JSONValue {
        let data = data(cell, key, label: label, suffix: suffix)
        return .object([relation: ["_write_mode": .string(cell.mode), "data": data]])
    }

    private static func order(_ app: TestApp, _ path: String = "") async throws -> TestJSON {
        try await app.get("order/\(Bazaar.id(3, 1))\(path)")["data"]
    }

    @Test(arguments: TestStore.allCases)
    func oneToManyFollowsTheTable(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            for cell in Self.cells {
                let rows: JSONValue = [["name": "a"], ["name": "b"], ["name": "c"]]
                let made = try await app.post("order", ["number": 1, "items": rows])
                let order = try #require(made["data"]["id"].string, "\(made)")
                let key = ("id", made["data"]["items"][0]["id"].value)
                let answer = try await app.put("order/\(order)", Self.payload(cell, "items", key, label: "name"))
                #expect(answer.status == 200, "\(cell): \(answer)")
                #expect(Self.names(answer["data"]["items"]) == cell.after.sorted(), "\(cell): \(answer)")
                #expect(try await app.get("order/\(order)?include=items")["data"] == answer["data"], "\(cell)")
            }
            // The rows of other orders are not touched.
            #expect(try await app.get("item?filter[order_id]=\(Bazaar.id(3, 1))")["meta"]["total"] == 3)
        }
    }

    @Test(arguments: TestStore.allCases)
    func numberedKeysFollowTheTable(store: TestStore) async throws {
        try await Bazaar.run(store) { app async throws in
            for cell in Self.cells {
                let parts: JSONValue = [["label": "a"], ["label": "b"], ["label": "c"]]
                let made = try await app.post("bin", ["label": "x", "parts": parts])
                #expect(made.status == 201, "\(made)")
                let bin = try #require(made["data"]["id"].int)
                let first = made["data"]["parts"][0]
                #expect(first["label"] == "a" && first["bin_id"] == TestJSON(.integer(bin)))
                let payload = Self.payload(cell, "parts", ("id", first["id"].value), label: "label")
                let answer = try await app.put("bin/\(bin)", payload)
                #expect(answer.status == 200, "\(cell): \(answer)")
                #expect(Self.names(answer["data"]["parts"], "label") == cell.after.sorted(), "\(cell): \(answer)")
                #expect(try await app.get("bin/\(bin)?include=parts")["data"] == answer["data"], "\(cell)")
            }
        }
    }

    /// `_delete` unlinks; a row without a key makes the target; what is no longer linked is there all the same.
    @Test(arguments: TestStore.allCases)
    func manyToManyFollowsTheTableOnTheLinks(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            for (index, cell) in Self.cells.enumerated() {
                let rows = ["a", "b", "c"].map { ["label": .string("\($0)\(index)")] as JSONValue }
                let made = try await app.post("order", ["number": 1, "tags": .array(rows)])
                let order = try #require(made["data"]["id"].string, "\(made)")
                let first = made["data"]["tags"][0]["id"].value
                // Another order's link to the same tag is not touched.
                let other = try await app.post("order", ["number": 2, "tags": [["id": first]]])
                let payload = Self.payload(cell, "tags", ("id", first), label: "label", suffix: "\(index)")
                let answer = try await app.put("order/\(order)", payload)
                #expect(answer.status == 200, "\(cell): \(answer)")
                let after = cell.after.map { "\($0)\(index)" }.sorted()
                #expect(Self.names(answer["data"]["tags"], "label") == after, "\(cell): \(answer)")
                #expect(try await app.get("order/\(order)?include=tags")["data"] == answer["data"], "\(cell)")
                let linked = try await app.get("order/\(other["data"]["id"].string ?? "")?include=tags")["data"]["tags"]
                #expect(linked.array.count == 1 && linked[0]["id"].value == first)
            }
        }
    }

    private static let onlyChild: [(mode: String, data: String, after: String)] = [
        ("diff", #"{"bio":"new"}"#, "1 new"), ("replace", #"{"bio":"new"}"#, "other new"),
        ("append", #"{"bio":"new"}"#, "1 first"), ("diff", "null", "none"), ("replace", "null", "none"),
        ("append", "null", "1 first"), ("diff", #"{"id":"KEY","bio":"new"}"#, "1 new"),
        ("replace", #"{"id":"KEY","bio":"new"}"#, "1 new"), ("append", #"{"id":"KEY","bio":"new"}"#, "1 first"),
        ("diff", #"{"_delete":true}"#, "none"), ("replace", #"{"id":"KEY","_delete":true}"#, "none"),
        ("append", #"{"_delete":true}"#, "1 first"),
    ]

    @Test(arguments: TestStore.allCases)
    func oneToOneFollowsItsRules(store: TestStore) async throws {
        try await Bazaar.run(store) { app async throws in
            for row in Self.onlyChild {
                let made = try await app.post("customer", ["name": "x", "profile": ["bio": "first"]])
                let first = try #require(made["data"]["profile"]["id"].string, "\(made)")
                let customer = made["data"]["id"].string ?? ""
                let data = row.data.replacing("KEY", with: first)
                let body = #"{"profile":{"_write_mode":"\#(row.mode)","data":\#(data)}}"#
                let answer = try await app.send(.put, "customer/\(customer)", body: Array(body.utf8))
                #expect(answer.status == 200, "\(row): \(answer)")
                let profile = answer["data"]["profile"]
                let which = profile["id"].string == first ? "1" : "other"
                let after = profile.isNull ? "none" : "\(which) \(profile["bio"].string ?? "")"
                #expect(after == row.after, "\(row): \(answer)")
                let stored = try await app.get("profile?filter[customer_id]=\(customer)")
                #expect(stored["meta"]["total"] == (row.after == "none" ? 0 : 1))
            }
            // Where there is none, an object makes it and null is nothing.
            for mode in ["diff", "replace", "append"] {
                for (data, bio) in [("null", nil), (#"{"bio":"x"}"#, "x")] as [(String, String?)] {
                    let body = #"{"name":"y","profile":{"_write_mode":"\#(mode)","data":\#(data)}}"#
                    let made = try await app.send(.post, "customer", body: Array(body.utf8))
                    #expect(made.status == 201 && made["data"]["profile"]["bio"].string == bio, "\(made)")
                }
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWholeTreeIsMadeInOneCall(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let answer = try await app.post(
                "customer",
                [
                    "name": "Eve", "profile": ["bio": "b"],
                    "orders": [
                        [
                            "number": 10,
                            "items": [
                                ["name": "x", "notes": [["text": "n1"], ["text": "n2"]], "product_sku": "pen"],
                                ["name": "y", "qty": 2],
                            ],
                            "tags": [["id": .string(Bazaar.id(6, 1))], ["label": "fresh"]],
                        ],
                        ["number": 11],
                    ],
                ]
            )
            #expect(
                answer.status == 201 && answer.headers[.location]?.hasPrefix("/api/bazaar/customer/") == true,
                "\(answer)"
            )
            let id = try #require(answer["data"]["id"].string)
            let read = try await app.get("customer/\(id)?include=profile,orders.items.notes,orders.tags")
            #expect(read["data"] == answer["data"], "\(read)")
            #expect(read.headers[.eTag] == answer.headers[.eTag])
            let order = answer["data"]["orders"][0]
            #expect(order["number"] == 10 && order["customer_id"].string == id && order["state"] == "open")
            #expect(order["items"][0]["notes"].array.count == 2 && order["items"][1]["qty"] == 2)
            #expect(Self.names(order["tags"], "label") == ["fresh", "red"])
            // The tree again as it was answered, with one thing changed at its end.
            var tree = try #require(read["data"].value.objectValue)
            tree["orders"] = [
                [
                    "id": order["id"].value,
                    "items": [["id": order["items"][0]["id"].value, "notes": ["_write_mode": "replace", "data": []]]],
                ]
            ]
            let changed = try await app.put("customer/\(id)", .object(tree))
            #expect(changed.status == 200, "\(changed)")
            #expect(changed["data"]["orders"][0]["items"][0]["notes"].array.isEmpty)
            #expect(changed["data"]["orders"][0]["items"].array.count == 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func everythingThatIsWrongComesTogetherWithItsPlaceAndNothingIsWritten(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let body: JSONValue = [
                "number": "x", "nope": 1,
                "items": [
                    ["qty": "many", "notes": [["text": ""], ["txt": "t"]]],
                    ["id": .string(Bazaar.id(4, 4))], 5, ["_delete": true], ["id": "no-uuid"],
                    ["order_id": .string(Bazaar.id(3, 2)), "name": "stolen"], ["qty": nil],
                ],
                "tags": [["id": .string(Bazaar.id(6, 9))], ["id": .string(Bazaar.id(6, 3))], ["label": nil]],
                "customer": ["name": "x"],
            ]
            let before = try await app.get("item")["data"]
            let answer = try await app.put("order/\(Bazaar.id(3, 1))", body)
            #expect(answer.status == 422, "\(answer)")
            let expected = [
                "number type", "nope unknown", "items[0].qty type", "items[0].notes[0].text required",
                "items[0].notes[1].txt unknown", "items[0].notes[1].text required", "items[1].id relation",
                "items[2] type", "items[3] relation", "items[4].id type", "items[5].order_id relation",
                "items[6].qty required", "tags[0].id relation", "tags[1].id relation", "tags[2].label required",
                "customer relation",
            ]
            for detail in expected { #expect(answer.details.contains(detail), "\(detail): \(answer.details)") }
            #expect(answer.details.count == expected.count, "\(answer.details)")
            #expect(try await app.get("item")["data"] == before)
            // Nothing is said of a payload whose record is not there.
            #expect(try await app.put("order/\(Bazaar.id(3, 9))", body).status == 404)
        }
    }

    private static let wrongShapes: [(body: String, detail: String)] = [
        (#"{"items":"x"}"#, "items type"), (#"{"items":{"data":{}}}"#, "items type"),
        (#"{"items":{"_write_mode":"dif","data":[]}}"#, "items._write_mode type"),
        (#"{"items":{"_write_mode":"diff"}}"#, "items.data required"), (#"{"items":null}"#, "items type"),
        (#"{"items":{"data":[],"mode":"diff"}}"#, "items.mode unknown"),
        (#"{"items":[{"name":"a","_delete":"yes"}]}"#, "items[0]._delete type"),
        (#"{"items":[{"_write_mode":"diff"}]}"#, "items[0]._write_mode unknown"),
        (#"{"_delete":true}"#, "_delete unknown"), (#"{"tags":[{"id":"KEY"},{"id":"KEY"}]}"#, "tags[1].id relation"),
    ]

    @Test(arguments: TestStore.allCases)
    func aPayloadOfTheWrongShapeIsTold(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            for row in Self.wrongShapes {
                let body = row.body.replacing("KEY", with: Bazaar.id(6, 1))
                let answer = try await app.send(.put, "order/\(Bazaar.id(3, 1))", body: Array(body.utf8))
                #expect(answer.status == 422 && answer.details.contains(row.detail), "\(row.body): \(answer)")
            }
        }
    }

    /// Lesson 4: `_delete` in diff mode deletes a child of another parent.
    @Test(arguments: TestStore.allCases, ["diff", "replace", "append"])
    func aChildOfAnotherParentCantBeReached(store: TestStore, mode: String) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let foreign = JSONValue.string(Bazaar.id(4, 4))
            for row: JSONObject in [
                ["id": foreign, "_delete": true], ["id": foreign, "name": "mine"], ["id": foreign],
            ] {
                let answer = try await app.put(
                    "order/\(Bazaar.id(3, 1))",
                    ["items": ["_write_mode": .string(mode), "data": [.object(row)]]]
                )
                #expect(answer.status == 422 && answer.details == ["items[0].id relation"], "\(answer)")
            }
            let item = try await app.get("item/\(Bazaar.id(4, 4))")["data"]
            #expect(item["name"] == "d" && item["order_id"].string == Bazaar.id(3, 2))
            // Nor on a create, where there are no children yet.
            let created = try await app.post("order", ["number": 7, "items": [["id": foreign, "name": "mine"]]])
            #expect(created.status == 422 && created.details == ["items[0].id relation"], "\(created)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aKeyThatTheClientGivesIsAnInsertUnlessItIsTaken(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let made = try await app.post(
                "product",
                ["sku": "cap", "name": "Cap", "variants": [["code": "c1", "color": "red"]]]
            )
            #expect(made.status == 201 && made["data"]["variants"][0]["product_sku"] == "cap", "\(made)")
            let more = try await app.put(
                "product/cap",
                ["variants": [["code": "c1", "color": "blue"], ["code": "c2"]]]
            )
            #expect(
                Self.names(more["data"]["variants"], "code") == ["c1", "c2"]
                    && more["data"]["variants"][0]["color"] == "blue"
            )
            let stolen = try await app.put("product/pen", ["variants": [["code": "c1", "color": "x"]]])
            #expect(stolen.status == 422 && stolen.details == ["variants[0].code relation"], "\(stolen)")
            #expect(try await app.get("variant/c1")["data"]["product_sku"] == "cap")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDanglingKeyInANestedRowIsAConflictThatNamesIt(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let answer = try await app.post(
                "order",
                [
                    "number": 8, "customer_id": .string(Bazaar.id(1, 9)),
                    "items": [["product_sku": "pen"], ["product_sku": "none"], ["product_sku": "nil"]],
                ]
            )
            #expect(answer.status == 409, "\(answer)")
            #expect(
                Set(answer.details) == [
                    "customer_id relation", "items[1].product_sku relation", "items[2].product_sku relation",
                ]
            )
            #expect(try await app.get("order?filter[number]=8")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func theVersionOfTheRecordGuardsItsChildren(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let tag = try #require(try await app.get("order/\(Bazaar.id(3, 1))").headers[.eTag])
            let body: JSONValue = ["items": ["_write_mode": "replace", "data": []]]
            let stale = try await app.put("order/\(Bazaar.id(3, 1))", body, headers: [.ifMatch: "\"other\""])
            #expect(stale.status == 412)
            #expect(try await Self.order(app, "?include=items")["items"].array.count == 3)
            // Children do not change the version.
            let first = try await app.put(
                "order/\(Bazaar.id(3, 1))",
                ["items": [["name": "new"]]],
                headers: [.ifMatch: tag]
            )
            #expect(first.status == 200 && first.headers[.eTag] == tag)
            #expect(try await app.put("order/\(Bazaar.id(3, 1))", body, headers: [.ifMatch: tag]).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func hundredsOfRowsOfSeveralShapesAreWrittenAtOnce(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let rows = (0..<300).map { index -> JSONValue in
                var row: JSONObject = ["name": .string("n\(index)"), "qty": .integer(index)]
                if index % 3 == 0 { row["price"] = .integer(index) }
                if index % 7 == 0 { row["notes"] = [["text": .string("t\(index)")]] }
                return .object(row)
            }
            let made = try await app.post("order", ["number": 50, "items": .array(rows)])
            #expect(made.status == 201 && made["data"]["items"].array.count == 300)
            let items = made["data"]["items"].array
            #expect(items.allSatisfy { $0["name"].string == "n\($0["qty"].int ?? -1)" })
            #expect(items.count { !$0["price"].isNull } == 100)
            let id = try #require(made["data"]["id"].string)
            let changes = items.map { item -> JSONValue in
                ["id": item["id"].value, "qty": .integer((item["qty"].int ?? 0) + 1000)]
            }
            let changed = try await app.put("order/\(id)", ["items": .array(changes)])
            #expect(changed.status == 200, "\(changed.text.prefix(300))")
            let after = changed["data"]["items"].array
            #expect(after.count == 300 && after.allSatisfy { $0["name"].string == "n\(($0["qty"].int ?? 0) - 1000)" })
            #expect(after.allSatisfy { !$0["updated_at"].isNull })
            #expect(try await app.put("order/\(id)", ["items": ["_write_mode": "replace", "data": []]]).status == 200)
            #expect(try await app.get("item?filter[qty.gte]=1000")["meta"]["total"] == 0)
            #expect(try await app.get("note?filter[text.starts_with]=t")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func slugsOfNestedRowsAreMadeApart(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("blog", fields: [["name": "name", "type": "string"]])
            try await app.makeEntity(
                "page",
                fields: [
                    ["name": "title", "type": "string"], ["name": "slug", "type": "string", "unique": true],
                    ["name": "blog_id", "type": "uuid"],
                ],
                extra: ["slug": ["field": "slug", "source": "title"]]
            )
            let pages = Bazaar.relation("pages", "one_to_many", "blog", "page", by: "blog_id", onDelete: "cascade")
            #expect(try await app.post("_admin/relations", pages).status == 201)
            #expect(try await app.post("page", ["title": "A"]).status == 201)
            let rows: JSONValue = [["title": "A"], ["title": "A"], ["title": "B", "slug": "a-3"], ["title": "A"]]
            let made = try await app.post("blog", ["pages": rows])
            #expect(made.status == 201, "\(made)")
            #expect(Self.names(made["data"]["pages"], "slug") == ["a-2", "a-3", "a-4", "a-5"])
        }
    }

    /// Twenty clients write the children of one record at the same time: some order of them explains what is there.
    @Test(arguments: TestStore.allCases)
    func nestedWritesToOneRecordAtOnceComeOneAfterAnother(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let order = Bazaar.id(3, 1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        let mode = index % 2 == 0 ? "replace" : "append"
                        let rows = (0..<3).map { ["name": .string("w\(index)-\($0)")] as JSONValue }
                        let answer = try await app.put(
                            "order/\(order)",
                            ["number": .integer(index), "items": ["_write_mode": .string(mode), "data": .array(rows)]]
                        )
                        #expect(answer.status == 200, "\(answer)")
                        // What a writer is answered is what was there when it was done.
                        let own = answer["data"]["items"].array.filter {
                            $0["name"].string?.hasPrefix("w\(index)-") == true
                        }
                        #expect(own.count == 3 && answer["data"]["number"] == TestJSON(.integer(index)))
                        #expect(mode == "append" || answer["data"]["items"].array.count == 3)
                    }
                }
                try await group.waitForAll()
            }
            let items = try await Self.order(app, "?include=items")["items"].array
            var writers: [String: Int] = [:]
            for item in items { writers[String(item["name"].string?.prefix { $0 != "-" } ?? ""), default: 0] += 1 }
            // Every writer's rows are there whole or not at all; of those that replace, the last one's alone.
            #expect(writers.values.allSatisfy { $0 == 3 })
            let replacing = writers.keys.filter { Int($0.dropFirst()).map { $0 % 2 == 0 } ?? false }
            #expect(replacing.count == 1, "\(writers)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func newChildrenComeInWhileTheirRecordIsDeleted(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            for round in 0..<5 {
                let order = try #require(try await app.post("order", ["number": .integer(round)])["data"]["id"].string)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<6 {
                        group.addTask {
                            let answer = try await app.post(
                                "item",
                                ["order_id": .string(order), "name": .string("i\(index)")]
                            )
                            #expect(answer.status == 201 || answer.status == 409, "\(answer)")
                        }
                    }
                    group.addTask {
                        let deleted = try await app.delete("order/\(order)")
                        #expect(deleted.status == 200, "\(deleted)")
                    }
                    try await group.waitForAll()
                }
                #expect(try await app.get("item?filter[order_id]=\(order)")["meta"]["total"] == 0)
            }
        }
    }
}
