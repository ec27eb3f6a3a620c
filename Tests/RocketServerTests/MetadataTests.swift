import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Changing an app's metadata while it runs.
struct MetadataTests {
    private static let thing: JSONObject = [
        "name": "thing", "table": "things", "primary_key": ["field": "id", "type": "uuid", "generated": true],
        "soft_delete": false, "fields": [["name": "id", "type": "uuid"], ["name": "label", "type": "string"]],
    ]

    private static func thing(fields: [JSONValue]) -> JSONValue {
        var object = thing
        object["fields"] = .array([["name": "id", "type": "uuid"]] + fields)
        return .object(object)
    }

    @Test(arguments: TestStore.allCases)
    func anEntityWorksAsSoonAsItIsSaved(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            #expect(try await app.get("thing").code == "UNKNOWN_ENTITY")
            let created = try await app.post("_admin/entities", .object(Self.thing))
            #expect(created.status == 201 && created.headers[.location] == "/api/shop/_admin/entities/thing")
            #expect(created["data"]["indexes"].value == [] && created["data"]["fields"][1]["required"] == false)
            #expect(try await app.post("thing", ["label": "a"]).status == 201)
            let read = try await app.get("_admin/entities/thing")
            #expect(read["data"] == created["data"] && read.headers[.eTag] == created.headers[.eTag])
            #expect(try await app.get("_admin/entities")["data"].array.count == 1)
            #expect(try await app.post("_admin/entities", .object(Self.thing)).status == 409)
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyFaultOfADefinitionComesAtOnceWithItsPath(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let answer = try await app.post(
                "_admin/entities",
                [
                    "name": "Bad Name", "table": "sqlite_x", "primary_key": ["field": "idd", "type": "float"],
                    "soft_delet": true,
                    "fields": [
                        ["name": "id", "type": "uuid"], ["name": "id", "type": "strin"],
                        ["name": "xmin", "type": "int", "requird": true],
                        ["name": "e", "type": "int", "enum": ["a"], "default": 5], 7,
                    ],
                ]
            )
            #expect(answer.status == 422)
            for expected in [
                "name type", "table type", "fields[4] type", "fields[1].type enum", "fields[1].name unknown",
                "fields[2].name type",
                "fields[2].requird unknown", "fields[3].enum[0] type", "primary_key.field unknown",
                "primary_key.type enum",
                "soft_delet unknown",
            ] {
                #expect(answer.details.contains(expected), "\(expected): \(answer.details)")
            }
            #expect(answer.text.contains("did you mean \\\"soft_delete\\\"?"))
            #expect(answer.text.contains("did you mean \\\"string\\\"?"))
        }
    }

    @Test(arguments: TestStore.allCases)
    func aNewFieldFillsTheRowsThatAreThereWithItsDefault(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            _ = try await app.post("_admin/entities", .object(Self.thing))
            _ = try await app.post("thing", ["label": "old"])
            let refused = try await app.put(
                "_admin/entities/thing",
                Self.thing(fields: [
                    ["name": "label", "type": "string"], ["name": "n", "type": "int", "required": true],
                ])
            )
            #expect(refused.status == 422 && refused.details == ["fields[2] required"], "\(refused)")
            let taken = try await app.put(
                "_admin/entities/thing",
                Self.thing(fields: [
                    ["name": "label", "type": "string"], ["name": "n", "type": "int", "required": true, "default": 7],
                ])
            )
            #expect(taken.status == 200, "\(taken)")
            #expect(try await app.get("thing")["data"][0]["n"] == 7)
            #expect(try await app.post("thing", ["n": nil]).details == ["n required"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func requiredAndUniqueLookAtTheRowsFirst(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            _ = try await app.post("_admin/entities", .object(Self.thing))
            for label in ["a", "a", "b"] as [JSONValue] { _ = try await app.post("thing", ["label": label]) }
            _ = try await app.post("thing", [:])
            let unique = try await app.put(
                "_admin/entities/thing",
                Self.thing(fields: [["name": "label", "type": "string", "unique": true, "required": true]])
            )
            #expect(
                unique.status == 422 && unique.details == ["fields[1].required required", "fields[1].unique"]
            )
            #expect(unique.text.contains("1 rows have no") && unique.text.contains("2 rows share"), "\(unique)")
            #expect(try await app.get("_admin/entities/thing")["data"]["fields"][1]["unique"] == false)
            #expect(try await app.post("thing", ["label": "a"]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTypeChangesOnlyWhereNoValueCanBeLost(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            _ = try await app.post(
                "_admin/entities",
                Self.thing(fields: [["name": "n", "type": "int", "unique": true]])
            )
            _ = try await app.post("thing", ["n": 10])
            _ = try await app.post("thing", ["n": 9])
            let retype = { (type: String) in
                try await app.put(
                    "_admin/entities/thing",
                    Self.thing(fields: [["name": "n", "type": .string(type), "unique": true]])
                )
            }
            #expect(try await retype("string").details == ["fields[1].type type"])
            #expect(try await retype("bigint").status == 200)
            #expect(try await app.post("thing", ["n": 3_000_000_000]).status == 201)
            #expect(try await retype("int").status == 422)
            let decimal = try await retype("decimal")
            #expect(decimal.status == 200, "\(decimal)")
            let half = try await app.send(.post, "thing", body: Array(#"{"n":9.5}"#.utf8))
            #expect(half["data"]["n"].digits == "9.5")
            #expect(try await app.send(.post, "thing", body: Array(#"{"n":9.50}"#.utf8)).status == 409)
            #expect(
                try await app.get("thing?sort=n")["data"].array.map { $0["n"].digits } == [
                    "9", "9.5", "10", "3000000000",
                ]
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFieldThatIsTakenOutNoLongerStandsInTheWayAndItsColumnIsKept(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let label: JSONValue = ["name": "label", "type": "string", "required": true]
            _ = try await app.post("_admin/entities", Self.thing(fields: [label, ["name": "n", "type": "int"]]))
            _ = try await app.post("thing", ["label": "kept", "n": 1])
            #expect(
                try await app.put("_admin/entities/thing", Self.thing(fields: [["name": "n", "type": "int"]])).status
                    == 200
            )
            #expect(try await app.post("thing", ["n": 2]).status == 201)
            #expect(try await app.get("thing?filter[n]=1")["data"][0].names == ["id", "n"])
            let otherType: JSONValue = ["name": "label", "type": "int"]
            let refused = try await app.put("_admin/entities/thing", Self.thing(fields: [otherType]))
            #expect(refused.status == 422 && refused.details == ["fields[1].type type"], "\(refused)")
            let optional: JSONValue = ["name": "label", "type": "string"]
            _ = try await app.put(
                "_admin/entities/thing",
                Self.thing(fields: [optional, ["name": "n", "type": "int"]])
            )
            #expect(try await app.get("thing?filter[n]=1")["data"][0]["label"] == "kept")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatOtherMetadataUsesCantBeDeletedOrRenamed(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let refused = try await app.delete("_admin/entities/ticket")
            #expect(refused.status == 409 && refused.code == "CONFLICT")
            #expect(refused.text.contains("relation \\\"ticket_customer\\\"") && refused.text.contains("workflow"))
            var ticket = try #require(try await app.get("_admin/entities/ticket")["data"].value.objectValue)
            ticket["name"] = "issue"
            #expect(try await app.put("_admin/entities/ticket", .object(ticket)).status == 409)
            ticket["name"] = "ticket"
            ticket["fields"] = .array(
                (ticket["fields"]?.arrayValue ?? []).filter { $0.objectValue?["name"] != "customer_id" }
            )
            let field = try await app.put("_admin/entities/ticket", .object(ticket))
            #expect(field.status == 409 && field.text.contains("customer_id"))
            for path in ["_admin/entities/ticket?cascade", "_admin/relations/ticket_agent?cascade", "ticket/1?purge"] {
                #expect(try await app.delete("\(path)=maybe").code == "INVALID_PARAMETER", "\(path)")
            }
            #expect(try await app.delete("_admin/entities/ticket?cascade=true").status == 200)
            #expect(try await app.get("ticket").code == "UNKNOWN_ENTITY")
            let export = try await app.get("_admin/export")["data"]
            #expect(export["relations"].array.isEmpty && export["entities"].array.count == 3)
            #expect(export["webhooks"].array.isEmpty && export["permissions"].array.count == 4)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDeletedEntitysTableIsKeptAndAdoptedAgain(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            _ = try await app.post(
                "_admin/entities",
                Self.thing(fields: [["name": "label", "type": "string", "unique": true]])
            )
            _ = try await app.post("thing", ["label": "kept"])
            #expect(try await app.delete("_admin/entities/thing").status == 200)
            #expect(
                try await app.post("_admin/entities", Self.thing(fields: [["name": "label", "type": "int"]])).status
                    == 422
            )
            #expect(try await app.post("_admin/entities", .object(Self.thing)).status == 201)
            #expect(try await app.get("thing")["data"][0]["label"] == "kept")
            #expect(try await app.post("thing", ["label": "kept"]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDefinitionHasAVersionThatIfMatchNames(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let created = try await app.post("_admin/entities", .object(Self.thing))
            let tag = try #require(created.headers[.eTag])
            #expect(
                try await app.put("_admin/entities/thing", .object(Self.thing), headers: [.ifMatch: "\"x\""]).status
                    == 412
            )
            let changed = Self.thing(fields: [["name": "label", "type": "text"]])
            #expect(try await app.put("_admin/entities/thing", changed, headers: [.ifMatch: tag]).status == 200)
            #expect(try await app.delete("_admin/entities/thing", headers: [.ifMatch: tag]).status == 412)
        }
    }

    @Test(arguments: TestStore.allCases)
    func indexesAreMadeAndAUniqueOneNamesItsFields(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "seat",
                fields: [["name": "row", "type": "string"], ["name": "number", "type": "int"]],
                softDelete: true,
                extra: ["indexes": [["fields": ["row", "-number"], "unique": true]]]
            )
            #expect(try await app.post("seat", ["row": "A", "number": 1]).status == 201)
            #expect(try await app.post("seat", ["row": "A", "number": 2]).status == 201)
            let taken = try await app.post("seat", ["row": "A", "number": 1])
            #expect(taken.status == 409 && taken.details == ["row", "number"], "\(taken)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRelationIsCheckedAgainstItsEntities(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("author", fields: [["name": "name", "type": "string"]])
            try await app.makeEntity(
                "book",
                fields: [["name": "author_id", "type": "uuid"], ["name": "pages", "type": "int"]]
            )
            let relation: JSONObject = [
                "name": "books", "type": "one_to_many", "source": "author", "target": "book", "source_key": "id",
                "target_key": "author_id", "on_delete": "restrict",
            ]
            var bad = relation
            bad["source"] = "autor"
            bad["on_delet"] = "x"
            let unknown = try await app.post("_admin/relations", .object(bad))
            #expect(unknown.details == ["on_delet unknown"])
            bad["on_delet"] = nil
            let dangling = try await app.post("_admin/relations", .object(bad))
            #expect(
                dangling.details == ["source unknown"] && dangling.text.contains("did you mean \\\"author\\\"?"),
                "\(dangling)"
            )
            var mistyped = relation
            mistyped["target_key"] = "pages"
            #expect(try await app.post("_admin/relations", .object(mistyped)).details == ["target_key unknown"])
            var clash = relation
            clash["name"] = "name"
            #expect(try await app.post("_admin/relations", .object(clash)).details == ["name unknown"])
            let created = try await app.post("_admin/relations", .object(relation))
            #expect(
                created.status == 201 && created["data"]["inverse"] == "books"
                    && created["data"]["write_mode"] == "diff"
            )
            #expect(try await app.post("_admin/relations", .object(relation)).status == 409)
            #expect(try await app.post("book", ["author_id": "00000000-0000-4000-8000-000000000001"]).status == 409)
            #expect(try await app.delete("_admin/relations/books").status == 200)
            #expect(try await app.post("book", ["author_id": "00000000-0000-4000-8000-000000000001"]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func manyChangesAtOnceAllHold(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask { try await app.makeEntity("e\(index)", fields: [["name": "n", "type": "int"]]) }
                }
                try await group.waitForAll()
            }
            #expect(try await app.get("_admin/entities")["data"].array.count == 20)
            for index in 0..<20 { #expect(try await app.post("e\(index)", ["n": 1]).status == 201) }
        }
    }

    @Test func aColumnThatIsThereAlreadyIsTakenOnlyWithValuesOfItsType() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            let text: [JSONValue] = [["name": "x", "type": "string"], ["name": "y", "type": "string"]]
            _ = try await app.post("_admin/entities", Self.thing(fields: text))
            _ = try await app.post("thing", ["x": #"{"a":1"#, "y": "2}"])
            _ = try await app.put("_admin/entities/thing", Self.thing(fields: []))
            for type in ["json", "uuid", "date", "timestamp", "decimal", "file"] as [JSONValue] {
                let back = try await app.put(
                    "_admin/entities/thing",
                    Self.thing(fields: [["name": "x", "type": type]])
                )
                #expect(back.status == 422 && back.details == ["fields[1].type type"], "\(type): \(back)")
            }
            #expect(try await app.put("_admin/entities/thing", Self.thing(fields: text)).status == 200)
            #expect(try await app.get("thing")["data"][0]["y"] == "2}")
        }
    }

    @Test func aTableIsAdoptedOnlyWithItsKey() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            _ = try await app.post("_admin/entities", .object(Self.thing))
            _ = try await app.delete("_admin/entities/thing")
            let other = try await app.post(
                "_admin/entities",
                [
                    "name": "other", "table": "things", "primary_key": ["field": "label", "type": "string"],
                    "soft_delete": false,
                    "fields": [["name": "label", "type": "string"]],
                ]
            )
            #expect(other.status == 422 && other.details == ["table type"], "\(other)")
        }
    }

    @Test func aUniqueFieldWithADefaultNeedsRoomForIt() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            _ = try await app.post("_admin/entities", .object(Self.thing))
            for _ in 0..<2 { _ = try await app.post("thing", [:]) }
            let field: JSONValue = ["name": "n", "type": "int", "unique": true, "default": 1]
            let answer = try await app.put("_admin/entities/thing", Self.thing(fields: [field]))
            #expect(answer.status == 422 && answer.details == ["fields[1].unique"], "\(answer)")
        }
    }

    @Test(arguments: ["json_each", "json_tree", "pragma_table_info", "pg_class", "sqlite_master"])
    func aTableOfTheDatabasesIsRefused(table: String) async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            var entity = Self.thing
            entity["table"] = .string(table)
            #expect(try await app.post("_admin/entities", .object(entity)).details == ["table type"])
        }
    }
}
