import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Corners of relations that a reviewer has found.
struct RelationCornerTests {
    /// A field beside the key is unique among living rows only: a deleted row may have had it before.
    @Test(arguments: TestStore.allCases, ["cascade", "restrict", "set_null"])
    func aPurgeLeavesTheChildrenOfALivingNamesakeAlone(store: TestStore, onDelete: String) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let code: JSONValue = ["name": "code", "type": "string", "unique": true]
            try await app.makeEntity("land", fields: [code], softDelete: true)
            try await app.makeEntity("town", fields: [["name": "land_code", "type": "string"]], softDelete: true)
            let relation = Bazaar.relation(
                "towns",
                "one_to_many",
                "land",
                "town",
                by: "land_code",
                onDelete: onDelete,
                more: ["source_key": "code"]
            )
            #expect(try await app.post("_admin/relations", relation).status == 201)
            let first = try #require(try await app.post("land", ["code": "x"])["data"]["id"].string)
            #expect(try await app.delete("land/\(first)").status == 200)
            let second = try await app.post("land", ["code": "x", "towns": [[:], [:]]])
            #expect(second.status == 201, "\(second)")
            let purged = try await app.delete("land/\(first)?purge=true")
            #expect(purged.status == 200, "\(purged)")
            let towns = try await app.get("land/\(second["data"]["id"].string ?? "")?include=towns")
            #expect(towns["data"]["towns"].array.count == 2, "\(towns)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func oneTargetInTwoPlacesIsWrittenOnceOrRefused(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let tag = Bazaar.id(6, 1)
            func orders(_ first: String, _ second: String) -> JSONValue {
                [
                    "orders": [
                        ["id": .string(Bazaar.id(3, 1)), "tags": [["id": .string(tag), "label": .string(first)]]],
                        ["id": .string(Bazaar.id(3, 2)), "tags": [["id": .string(tag), "label": .string(second)]]],
                    ]
                ]
            }
            let same = try await app.put("customer/\(Bazaar.id(1, 1))", orders("green", "green"))
            #expect(same.status == 200 && same["data"]["orders"][1]["tags"][0]["label"] == "green", "\(same)")
            let other = try await app.put("customer/\(Bazaar.id(1, 1))", orders("a", "b"))
            #expect(other.status == 422 && other.details == ["orders[1].tags[0].id relation"], "\(other)")
            // A tree that was read goes back as it is.
            let path = "customer/\(Bazaar.id(1, 1))"
            let read = try await app.get("\(path)?include=profile,orders.items.notes,orders.tags")["data"]
            let back = try await app.put(path, read.value)
            #expect(back.status == 200, "\(back)")
            let again = try await app.get("\(path)?include=profile,orders.items.notes,orders.tags")["data"]
            #expect(again["orders"].array.map { $0["tags"] } == read["orders"].array.map { $0["tags"] })
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatARequestDeletesItNeitherWritesNorNames(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            // A ring: the child above is the record itself below.
            let (root, leaf) = (Bazaar.id(7, 1), Bazaar.id(7, 2))
            #expect(try await app.put("category/\(root)", ["parent_id": .string(leaf)]).status == 200)
            let ring = try await app.put(
                "category/\(root)",
                ["title": "x", "children": [["id": .string(leaf), "_delete": true]]]
            )
            #expect(ring.status == 422 && ring.text.contains("itself"), "\(ring)")
            #expect(try await app.get("category")["meta"]["total"] == 3)
            let child = try await app.post("category", ["title": "c", "parent_id": .string(Bazaar.id(7, 3))])
            let named = try await app.put(
                "category/\(leaf)",
                [
                    "children": [
                        ["id": .string(Bazaar.id(7, 3)), "_delete": true],
                        ["title": "new", "children": [["title": "n", "children": []]]],
                    ]
                ]
            )
            #expect(named.status == 200, "\(named)")
            #expect(try await app.get("category/\(child["data"]["id"].string ?? "")").status == 404)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTableMayHaveTheNameOfAnAlias(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            for (name, table) in [("one", "t1"), ("two", "v"), ("three", "t0")] {
                try await app.makeEntity(
                    name,
                    fields: [["name": "label", "type": "string"], ["name": "parent_id", "type": "uuid"]],
                    extra: ["table": .string(table)]
                )
            }
            for (name, source, target) in [
                ("twos", "one", "two"), ("threes", "two", "three"), ("ones", "three", "one"),
            ] {
                let relation = Bazaar.relation(
                    name,
                    "one_to_many",
                    source,
                    target,
                    by: "parent_id",
                    onDelete: "cascade"
                )
                #expect(try await app.post("_admin/relations", relation).status == 201)
            }
            let made = try await app.post(
                "one",
                ["label": "a", "twos": [["label": "b", "threes": [["label": "c"]]], ["label": "d"]]]
            )
            #expect(made.status == 201, "\(made)")
            let twos = made["data"]["twos"].array
            let rows = twos.map { two in ["id": two["id"].value, "label": .string("x")] as JSONValue }
            let changed = try await app.put("one/\(made["data"]["id"].string ?? "")", ["twos": .array(rows)])
            #expect(changed.status == 200, "\(changed)")
            for (path, count) in [
                ("one?filter[twos.threes.label]=c", 1), ("three?filter[threes.twos.label]=a", 1),
                ("one?filter[twos.label]=x&sort=ones.label", 1), ("two?include=threes.ones,twos&sort=twos.label", 2),
            ] {
                let answer = try await app.get(path)
                #expect(answer["meta"]["total"] == TestJSON(.integer(count)), "\(path): \(answer)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func pathsOfAnyDepthAreAnsweredOrRefusedButNeverAFault(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            for depth in [8, 9, 17, 30] {
                let up = Array(repeating: "parent", count: depth).joined(separator: ".")
                let down = Array(repeating: "children", count: depth).joined(separator: ".")
                for query in ["filter[\(up).title]=x", "filter[\(down).title]=x", "sort=\(up).title"] {
                    let answer = try await app.get("category?\(query)")
                    #expect(answer.status == 200, "\(depth) \(query.prefix(20)): \(answer.text.prefix(200))")
                }
            }
            let wide = (1...50).map { index in
                "filter[\(Array(repeating: index % 2 == 0 ? "parent" : "children", count: 1 + index % 20).joined(separator: ".")).title]=x"
            }
            let answer = try await app.get("category?" + wide.joined(separator: "&"))
            #expect(answer.status == 400 || answer.status == 200, "\(answer.text.prefix(200))")
            let include = Array(repeating: "children", count: 25).joined(separator: ".")
            #expect(try await app.get("category?include=\(include)").status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRecordIsNotRestoredBelowOneThatIsDeleted(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            #expect(try await app.delete("category/\(Bazaar.id(7, 1))").status == 200)
            let early = try await app.post("category/\(Bazaar.id(7, 2))/restore", [:])
            #expect(early.status == 409 && early.details == ["parent_id relation"], "\(early)")
            #expect(try await app.get("category/\(Bazaar.id(7, 2))").status == 404)
            for number in 1...3 {
                #expect(try await app.post("category/\(Bazaar.id(7, number))/restore", [:]).status == 200)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func mistakesBelowARowThatIsNotWrittenAreTold(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let row: JSONValue = ["id": .string(Bazaar.id(4, 4)), "qty": "x", "notes": [["txt": "y"]]]
            let answer = try await app.put("order/\(Bazaar.id(3, 1))", ["items": [row]])
            #expect(answer.status == 422)
            #expect(
                Set(answer.details) == ["items[0].id relation", "items[0].qty type", "items[0].notes[0].txt unknown"]
            )
            let typed = try await app.put("product/pen", ["variants": [["code": 5]]])
            #expect(typed.details == ["variants[0].code type"], "\(typed)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func keysThatNameNothingAreJudgedInAMoment(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let rows = (0..<3000).map { index in
                ["product_sku": .string(index % 2 == 0 ? "pen" : "p\(index)")] as JSONValue
            }
            let start = ContinuousClock.now
            let answer = try await app.post("order", ["number": 1, "items": .array(rows)])
            #expect(answer.status == 409 && answer.details.count == 200, "\(answer.text.prefix(200))")
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTakenValueIsToldWithItsPlace(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let twice = try await app.post(
                "order",
                ["number": 1, "tags": [["label": "x"], ["label": "y"], ["label": "x"]]]
            )
            #expect(twice.status == 409 && twice.details == ["tags[2].label"], "\(twice)")
            let taken = try await app.post("order", ["number": 1, "tags": [["label": "red"]]])
            #expect(taken.status == 409 && taken.details == ["tags[0].label"], "\(taken)")
            let batch: JSONValue = [
                ["method": "POST", "path": "/tag", "body": ["label": "z"]],
                ["method": "POST", "path": "/order", "body": ["number": 1, "tags": [["label": "red"]]]],
            ]
            let answer = try await app.post("_batch", ["operations": batch])
            #expect(answer.details == ["operations[1].body.tags[0].label"], "\(answer)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBatchThatNamesItselfAgainAndAgainIsBounded(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("doc", fields: [["name": "j", "type": "json"]])
            var operations: [JSONValue] = [
                ["method": "POST", "path": "/doc", "body": ["j": .string(String(repeating: "x", count: 1000))]]
            ]
            for index in 0..<12 {
                let again = JSONValue.array(Array(repeating: .string("$\(index).j"), count: 8))
                operations.append(["method": "POST", "path": "/doc", "body": ["j": again]])
            }
            let answer = try await app.post("_batch", ["operations": .array(operations)])
            #expect(answer.status == 413 && answer.code == "PAYLOAD_TOO_LARGE", "\(answer.text.prefix(200))")
            var deep: JSONValue = []
            for _ in 0..<56 { deep = [deep] }
            var outer: JSONValue = "$0.j"
            for _ in 0..<8 { outer = [outer] }
            let deeper: JSONValue = [
                ["method": "POST", "path": "/doc", "body": ["j": deep]],
                ["method": "POST", "path": "/doc", "body": ["j": outer]],
            ]
            let refused = try await app.post("_batch", ["operations": deeper])
            #expect(
                refused.status == 422 && refused.details == ["operations[1].body type"],
                "\(refused.text.prefix(300))"
            )
        }
    }

    /// Sixty rows that are all related to each other: a path of four has thirteen million ways.
    @Test(arguments: TestStore.allCases)
    func aFilterThroughManyToManyDoesNotTryEveryPath(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("node", fields: [["name": "name", "type": "string"]])
            let relation: JSONValue = [
                "name": "friends", "type": "many_to_many", "source": "node", "target": "node", "join_table": "edges",
                "source_join_key": "a", "target_join_key": "b", "on_delete": "cascade",
            ]
            #expect(try await app.post("_admin/relations", relation).status == 201)
            let ids = (0..<60).map { Bazaar.id(1, $0) }
            let edges = ids.flatMap { a in ids.map { b in ["a": .string(a), "b": .string(b)] as JSONValue } }
            let rows = ids.map { ["id": .string($0), "name": "n"] as JSONValue }
            let data: JSONValue = ["sample_data": ["node": .array(rows), "edges": .array(edges)]]
            #expect(try await app.post("_admin/import", data).status == 200)
            let start = ContinuousClock.now
            for depth in [2, 4, 12] {
                let path = Array(repeating: "friends", count: depth).joined(separator: ".")
                #expect(try await app.get("node?filter[\(path).name]=z")["meta"]["total"] == 0)
                #expect(try await app.get("node?filter[\(path).name]=n")["meta"]["total"] == 60)
            }
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }

    @Test(arguments: TestStore.allCases)
    func rowsThatAreMarkedKeepAnEntityFromGivingUpItsMarks(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            var tag = try #require(try await app.get("_admin/entities/tag")["data"].value.objectValue)
            tag["soft_delete"] = false
            let refused = try await app.put("_admin/entities/tag", .object(tag))
            #expect(refused.status == 422 && refused.details == ["soft_delete"], "\(refused)")
            #expect(try await app.delete("tag/\(Bazaar.id(6, 3))?purge=true").status == 200)
            let changed = try await app.put("_admin/entities/tag", .object(tag))
            #expect(changed.status == 200, "\(changed)")
            #expect(try await app.get("tag")["meta"]["total"] == 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func writersWhoLockTheSameRowsInOtherOrdersAllSucceed(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("acc", fields: [["name": "n", "type": "int"]])
            let ids = (0..<4).map { Bazaar.id(1, $0) }
            let rows = ids.map { ["id": .string($0), "n": 0] as JSONValue }
            #expect(try await app.post("_admin/import", ["sample_data": ["acc": .array(rows)]]).status == 200)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<12 {
                    group.addTask {
                        for round in 0..<4 {
                            let order = writer % 2 == 0 ? ids : ids.reversed()
                            let operations = order.map { id in
                                [
                                    "method": "PUT", "path": .string("/acc/\(id)"),
                                    "body": ["n": .integer(writer * 10 + round)],
                                ] as JSONValue
                            }
                            let answer = try await app.post("_batch", ["operations": .array(operations)])
                            #expect(answer.status == 200, "\(answer)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            let values = Set(try await app.get("acc")["data"].array.compactMap { $0["n"].int })
            #expect(values.count == 1)
        }
    }
}
