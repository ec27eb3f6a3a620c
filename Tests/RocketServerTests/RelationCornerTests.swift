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
}
