import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// What a delete does to related records.
struct CascadeTests {
    @Test(arguments: TestStore.allCases)
    func aCascadeFollowsTheTargetsOwnRelationsAndMarksWhatIsOnlyMarked(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            #expect(try await app.delete("order/\(Bazaar.id(3, 1))").status == 200)
            #expect(try await app.get("item")["data"].array.map { $0["name"].string } == ["d"])
            // Its item is gone for good, so the note that was only marked names it no more.
            let note = try await app.get("note?deleted=only")["data"]
            #expect(note.array.count == 1 && note[0]["item_id"].isNull, "\(note)")
            #expect(try await app.get("tag/\(Bazaar.id(6, 1))?include=orders")["data"]["orders"].array.count == 1)
            #expect(try await app.get("product")["meta"]["total"] == 2)
            let restored = try await app.post("order/\(Bazaar.id(3, 1))/restore", [:])
            #expect(restored.status == 200, "\(restored)")
            #expect(try await app.get("order/\(Bazaar.id(3, 1))?include=tags,items")["data"]["tags"].array.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRestrictionIsToldWithItsCountAndDeletedRowsRestrictNothing(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let refused = try await app.delete("customer/\(Bazaar.id(1, 1))")
            #expect(
                refused.status == 409 && refused.code == "CONFLICT" && refused.text.contains("2 of order"),
                "\(refused)"
            )
            #expect(refused.details == ["orders relation"])
            #expect(try await app.get("profile")["meta"]["total"] == 1)
            for number in 1...2 { #expect(try await app.delete("order/\(Bazaar.id(3, number))").status == 200) }
            #expect(try await app.delete("customer/\(Bazaar.id(1, 1))").status == 200)
            #expect(try await app.get("profile")["meta"]["total"] == 0)
            // For good: the orders that are marked lose their customer.
            #expect(try await app.delete("customer/\(Bazaar.id(1, 1))?purge=true").status == 200)
            let orders = try await app.get("order?deleted=only&sort=number")["data"]
            #expect(orders.array.count == 2 && orders[0]["customer_id"].isNull)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aKeyBecomesNullWithItsRecordsInstantOfChange(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            #expect(try await app.put("item/\(Bazaar.id(4, 1))", ["name": "a"]).status == 200)
            let before = try await app.get("item/\(Bazaar.id(4, 1))")["data"]["updated_at"]
            app.server.clock.advance(seconds: 5)
            #expect(try await app.delete("product/pen").status == 200)
            let item = try await app.get("item/\(Bazaar.id(4, 1))")["data"]
            #expect(item["product_sku"].isNull && item["name"] == "a")
            #expect(item["updated_at"] != before)
            #expect(try await app.get("item?filter[product_sku]=ink")["meta"]["total"] == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func treesAndRingsAreFollowedToTheirEnd(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let ring = try await app.put("category/\(Bazaar.id(7, 1))", ["parent_id": .string(Bazaar.id(7, 3))])
            #expect(ring.status == 200, "\(ring)")
            #expect(try await app.delete("category/\(Bazaar.id(7, 2))").status == 200)
            #expect(try await app.get("category")["meta"]["total"] == 0)
            #expect(try await app.get("category?deleted=only")["meta"]["total"] == 3)
            // For good, one after the other: what is marked loses its parent.
            for number in 1...3 {
                #expect(try await app.delete("category/\(Bazaar.id(7, number))?purge=true").status == 200)
            }
            #expect(try await app.get("category?deleted=with")["meta"]["total"] == 0)
        }
    }

    /// Two entities whose rows name each other, and go for good.
    @Test(arguments: TestStore.allCases)
    func aRingOfTwoTablesIsCut(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("hen", fields: [["name": "egg_id", "type": "uuid"]])
            try await app.makeEntity("egg", fields: [["name": "hen_id", "type": "uuid"]])
            for (source, target) in [("hen", "egg"), ("egg", "hen")] {
                let relation = Bazaar.relation(
                    "\(target)s_of",
                    "one_to_many",
                    source,
                    target,
                    by: "\(source)_id",
                    onDelete: "cascade"
                )
                #expect(try await app.post("_admin/relations", relation).status == 201)
            }
            let hen = try #require(try await app.post("hen", [:])["data"]["id"].string)
            let egg = try #require(try await app.post("egg", ["hen_id": .string(hen)])["data"]["id"].string)
            #expect(try await app.put("hen/\(hen)", ["egg_id": .string(egg)]).status == 200)
            let deleted = try await app.delete("egg/\(egg)")
            #expect(deleted.status == 200, "\(deleted)")
            #expect(try await app.get("hen")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRowThatCantBeWithoutItsKeyGoesWithIt(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("box", fields: [])
            try await app.makeEntity(
                "toy",
                fields: [["name": "box_id", "type": "uuid", "required": true]],
                softDelete: true
            )
            let relation = Bazaar.relation("toys", "one_to_many", "box", "toy", by: "box_id", onDelete: "restrict")
            #expect(try await app.post("_admin/relations", relation).status == 201)
            let made = try await app.post("box", ["toys": [[:], [:]]])
            #expect(made.status == 201, "\(made)")
            let box = try #require(made["data"]["id"].string)
            #expect(try await app.delete("box/\(box)").text.contains("2 of toy"))
            for toy in made["data"]["toys"].array {
                #expect(try await app.delete("toy/\(toy["id"].string ?? "")").status == 200)
            }
            #expect(try await app.delete("box/\(box)").status == 200)
            #expect(try await app.get("toy?deleted=with")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases, ["restrict", "cascade", "detach"])
    func linksAreRestrictedOrRemovedAndTheirTargetsStay(store: TestStore, onDelete: String) async throws {
        try await Bazaar.withRows(store) { app async throws in
            var tags = try #require(try await app.get("_admin/relations/tags")["data"].value.objectValue)
            tags["on_delete"] = .string(onDelete)
            #expect(try await app.put("_admin/relations/tags", .object(tags)).status == 200)
            let answer = try await app.delete("order/\(Bazaar.id(3, 1))")
            #expect(answer.status == (onDelete == "restrict" ? 409 : 200), "\(answer)")
            if onDelete == "restrict" { #expect(answer.text.contains("2 of tag"), "\(answer)") }
            #expect(try await app.get("tag")["meta"]["total"] == 2)
            // The other way: a tag that is deleted takes its links out of sight, and for good out of the table.
            #expect(try await app.delete("tag/\(Bazaar.id(6, 1))?purge=true").status == 200)
            #expect(try await app.get("order/\(Bazaar.id(3, 2))?include=tags")["data"]["tags"].array.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func childrenThatANestedWriteRemovesTakeTheirOwnWithThem(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let answer = try await app.put(
                "order/\(Bazaar.id(3, 1))",
                ["items": [["id": .string(Bazaar.id(4, 1)), "_delete": true]]]
            )
            #expect(answer.status == 200 && answer["data"]["items"].array.count == 2, "\(answer)")
            #expect(try await app.get("note")["meta"]["total"] == 0)
            let orders: JSONValue = ["orders": ["_write_mode": "replace", "data": []]]
            #expect(try await app.put("customer/\(Bazaar.id(1, 1))", orders).status == 200)
            #expect(try await app.get("item")["meta"]["total"] == 0)
            #expect(try await app.get("order?sort=number")["data"].array.map { $0["number"].int } == [3, 4])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFieldThatOthersGoByCantChangeWhileTheyDo(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "land",
                fields: [["name": "code", "type": "string", "unique": true]],
                softDelete: true
            )
            try await app.makeEntity("town", fields: [["name": "land_code", "type": "string"]])
            let relation = Bazaar.relation(
                "towns",
                "one_to_many",
                "land",
                "town",
                by: "land_code",
                onDelete: "cascade",
                more: ["source_key": "code"]
            )
            #expect(try await app.post("_admin/relations", relation).status == 201)
            let land = try #require(try await app.post("land", ["code": "de", "towns": [[:]]])["data"]["id"].string)
            let refused = try await app.put("land/\(land)", ["code": "fr"])
            #expect(refused.status == 409 && refused.details == ["code relation"], "\(refused)")
            #expect(try await app.put("land/\(land)", ["code": "de"]).status == 200)
            #expect(try await app.put("land/\(land)", ["towns": ["_write_mode": "replace", "data": []]]).status == 200)
            let changed = try await app.put("land/\(land)", ["code": "fr", "towns": [[:]]])
            #expect(changed.status == 200 && changed["data"]["towns"][0]["land_code"] == "fr", "\(changed)")
        }
    }
}
