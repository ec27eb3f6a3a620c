import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// Constraints of relations in the tables themselves.
struct ForeignKeyTests {
    /// Writes past the engine, as another program that shares the database would.
    private static func writesPastTheEngine(_ app: TestApp, _ text: String) async throws -> Bool {
        try await app.server.apps.withApp(app.name) { context in
            do {
                _ = try await context.database.write([SQLStatement(text)])
                return true
            } catch DatabaseFailure.foreignKeyViolation {
                return false
            }
        }
    }

    private static let pets: [JSONValue] = [["name": "owner_id", "type": "uuid"], ["name": "name", "type": "string"]]

    private static let nobody = "00000000-0000-4000-8000-000000000009"

    private static func owns(_ more: JSONObject = [:]) -> JSONValue {
        Bazaar.relation("pets", "one_to_many", "owner", "pet", by: "owner_id", onDelete: "restrict", more: more)
    }

    @Test(arguments: TestStore.allCases)
    func tablesThatComeWithTheirRelationsHoldThem(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let cases = [
                "INSERT INTO \"items\" (\"id\", \"order_id\") VALUES ('\(Self.nobody)', '\(Self.nobody)')",
                "INSERT INTO \"order_tags\" (\"order_id\", \"tag_id\") VALUES ('\(Bazaar.id(3, 1))', '\(Self.nobody)')",
                "DELETE FROM \"orders\"", "UPDATE \"categorys\" SET \"parent_id\" = '\(Self.nobody)'",
            ]
            for text in cases { #expect(try await !Self.writesPastTheEngine(app, text), "\(text)") }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRelationOfTablesThatAreThereMakesAConstraintAndItsRemovalRemovesIt(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("owner", fields: [])
            try await app.makeEntity("pet", fields: Self.pets)
            let owner = try #require(try await app.post("owner", [:])["data"]["id"].string)
            #expect(try await app.post("pet", ["owner_id": .string(owner), "name": "Rex"]).status == 201)
            let made = try await app.post("_admin/relations", Self.owns())
            #expect(made.status == 201 && made["meta"].isNull, "\(made)")
            let stray = "UPDATE \"pet_rows\" SET \"owner_id\" = '\(Self.nobody)'"
            #expect(try await !Self.writesPastTheEngine(app, stray))
            // A new column, and a table that goes on as before.
            let wider = try #require(try await app.get("_admin/entities/pet")["data"].value.objectValue)
            var changed = wider
            changed["fields"] = .array(
                (wider["fields"]?.arrayValue ?? []) + [["name": "age", "type": "int", "default": 3]]
            )
            #expect(try await app.put("_admin/entities/pet", .object(changed)).status == 200)
            #expect(try await !Self.writesPastTheEngine(app, stray))
            #expect(try await app.get("pet")["data"][0]["age"] == 3)
            #expect(try await app.put("_admin/relations/pets", Self.owns(["fetch": "eager"])).status == 200)
            #expect(try await !Self.writesPastTheEngine(app, stray))
            #expect(try await app.delete("_admin/relations/pets").status == 200)
            #expect(try await Self.writesPastTheEngine(app, stray))
        }
    }

    @Test(arguments: TestStore.allCases)
    func rowsThatNameNothingKeepTheConstraintOutAndTheReasonIsTold(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("owner", fields: [])
            try await app.makeEntity("pet", fields: Self.pets)
            for _ in 0..<2 {
                #expect(try await app.post("pet", ["owner_id": .string(Self.nobody), "name": "Rex"]).status == 201)
            }
            let made = try await app.post("_admin/relations", Self.owns())
            #expect(made.status == 201, "\(made)")
            #expect(made["meta"]["warnings"][0].string?.contains("2 rows of \"pet_rows\"") == true, "\(made)")
            // The engine's own check is there all the same.
            let dangling = try await app.post("pet", ["owner_id": .string(Self.nobody)])
            #expect(dangling.status == 409 && dangling.details == ["owner_id relation"], "\(dangling)")
            for pet in try await app.get("pet")["data"].array {
                #expect(try await app.delete("pet/\(pet["id"].string ?? "")").status == 200)
            }
            #expect(try await app.delete("_admin/relations/pets").status == 200)
            #expect(try await app.post("_admin/relations", Self.owns())["meta"].isNull)
            let stray = "INSERT INTO \"pet_rows\" (\"id\", \"owner_id\") VALUES ('\(Self.nobody)', '\(Self.nobody)')"
            #expect(try await !Self.writesPastTheEngine(app, stray))
        }
    }

    @Test(arguments: TestStore.allCases)
    func aKeyThatIsUniqueAmongLivingRowsOnlyHasNoConstraint(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let code: JSONValue = ["name": "code", "type": "string", "unique": true]
            try await app.makeEntity("soft", fields: [code], softDelete: true)
            try await app.makeEntity("hard", fields: [code])
            try await app.makeEntity(
                "leaf",
                fields: [["name": "soft_code", "type": "string"], ["name": "hard_code", "type": "string"]]
            )
            for (name, warns) in [("soft", true), ("hard", false)] {
                let made = try await app.post(
                    "_admin/relations",
                    [
                        "name": .string(name + "_leaves"), "type": "one_to_many", "source": .string(name),
                        "target": "leaf", "source_key": "code", "target_key": .string(name + "_code"),
                        "on_delete": "restrict",
                    ]
                )
                #expect(made.status == 201 && made["meta"]["warnings"].array.isEmpty == !warns, "\(made)")
            }
            let stray = "INSERT INTO \"leaf_rows\" (\"id\", \"hard_code\") VALUES ('\(Self.nobody)', 'x')"
            #expect(try await !Self.writesPastTheEngine(app, stray))
        }
    }

    @Test(arguments: TestStore.allCases)
    func anImportTakesRowsInAnyOrderAndLeavesNothingDangling(store: TestStore) async throws {
        try await Bazaar.run(store) { app async throws in
            var data = try #require(Bazaar.rows.objectValue?["sample_data"]?.objectValue)
            let names = Array(data.names.reversed())
            data = JSONObject(uniqueMembers: names.map { .init(name: $0, value: data[$0] ?? .null) })
            data["category"] = [
                ["id": .string(Bazaar.id(7, 2)), "title": "leaf", "parent_id": .string(Bazaar.id(7, 1))],
                ["id": .string(Bazaar.id(7, 1)), "title": "root"],
            ]
            let answer = try await app.post("_admin/import", ["sample_data": .object(data)])
            #expect(answer.status == 200 && answer["data"]["summary"]["records"] == 23, "\(answer)")
            let again = try await app.post("_admin/import", ["sample_data": .object(data)])
            #expect(again["data"]["summary"]["records"] == 0, "\(again)")
            let stray: JSONValue = [
                "sample_data": ["order_tags": [["order_id": .string(Bazaar.id(3, 3)), "tag_id": .string(Self.nobody)]]]
            ]
            let refused = try await app.post("_admin/import", stray)
            #expect(
                refused.status == 409 && refused.details == ["sample_data.order_tags.tag_id relation"],
                "\(refused)"
            )
        }
    }
}
