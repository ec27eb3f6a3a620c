import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Export and import.
struct TransferTests {
    @Test(arguments: TestStore.allCases)
    func theHelpDeskImportsOnceAndIsSkippedAfterwards(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let file = try TestFiles.helpdesk()
            let first = try await app.send(.post, "_admin/import", body: file)
            #expect(first.status == 200, "\(first)")
            let summary = first["data"]["summary"]
            #expect(summary["entities"] == 4 && summary["relations"] == 3 && summary["rules"] == 2)
            #expect(summary["state_machines"] == 1 && summary["workflows"] == 1 && summary["permissions"] == 7)
            #expect(summary["webhooks"] == 2 && summary["records"] == 24)
            let again = try await app.send(.post, "_admin/import", body: file)
            #expect(again.status == 200)
            for name in summary.names { #expect(again["data"]["summary"][name] == 0, "\(name)") }
            #expect(try await app.get("ticket")["meta"]["total"] == 7)
            let ticket = try await app.get("ticket/30000000-0000-0000-0000-000000000003")["data"]
            #expect(ticket["resolved_at"] == "2026-02-05T14:30:00.000000Z" && ticket["status"] == "resolved")
            #expect(ticket["created_at"].string?.hasPrefix("2026-03-01T12:00:00.") == true)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsExportedImportsIntoAnEmptyAppAndExportsTheSame(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            var export = try #require(try await app.get("_admin/export")["data"].value.objectValue)
            let copy = try await server.makeApp("copy")
            let wrapped = try await copy.post("_admin/import", ["data": .object(export)])
            #expect(wrapped.status == 200, "\(wrapped)")
            var second = try #require(try await copy.get("_admin/export")["data"].value.objectValue)
            export["exported_at"] = nil
            second["exported_at"] = nil
            #expect(JSONValue.object(export).jsonText == JSONValue.object(second).jsonText)
            #expect(
                export.names == [
                    "version", "entities", "relations", "rules", "state_machines", "workflows", "permissions",
                    "webhooks",
                ]
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func anImportIsAllOrNothing(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            var file = try #require(try JSONParser.parse(try TestFiles.helpdesk()).objectValue)
            file["sample_data"] = [
                "customer": [["id": "10000000-0000-0000-0000-000000000001", "name": "A", "email": "a@x.example"]],
                "ticket": [["title": "T", "description": "d", "customer_id": "10000000-0000-0000-0000-000000000099"]],
            ]
            let dangling = try await app.post("_admin/import", .object(file))
            #expect(
                dangling.status == 409 && dangling.details == ["sample_data.ticket.customer_id relation"],
                "\(dangling)"
            )
            #expect(try await app.get("_admin/entities")["data"].array.isEmpty)
            #expect(try await app.get("customer").code == "UNKNOWN_ENTITY")
            file["sample_data"] = [
                "customer": [["name": 5, "emial": "x"], 7], "nothing": [],
                "ticket": [["priority": "urgent", "id": "x"]],
            ]
            let bad = try await app.post("_admin/import", .object(file))
            #expect(bad.status == 422)
            for expected in [
                "sample_data.customer[0].name type", "sample_data.customer[0].emial unknown",
                "sample_data.customer[0].email required",
                "sample_data.customer[1] type", "sample_data.nothing unknown", "sample_data.ticket[0].priority enum",
                "sample_data.ticket[0].id type", "sample_data.ticket[0].title required",
            ] {
                #expect(bad.details.contains(expected), "\(expected): \(bad.details)")
            }
            #expect(try await app.send(.post, "_admin/import", body: try TestFiles.helpdesk()).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func theSameNameWithOtherContentIsAConflictThatNamesIt(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            var file = try #require(try JSONParser.parse(try TestFiles.helpdesk()).objectValue)
            var entities = file["entities"]?.arrayValue ?? []
            var customer = entities[0].objectValue ?? [:]
            customer["soft_delete"] = true
            entities[0] = .object(customer)
            file["entities"] = .array(entities)
            let answer = try await app.post("_admin/import", .object(file))
            #expect(
                answer.status == 409 && answer.details == ["entities[0]"] && answer.text.contains("customer"),
                "\(answer)"
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func unknownPartsAreRefusedByName(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let answer = try await app.post(
                "_admin/import",
                [
                    "version": 2, "entitys": [],
                    "rules": [["entity": "nope", "type": "field", "definition": ["feld": "x"]]],
                ]
            )
            #expect(
                answer.status == 422 && answer.details.contains("entitys unknown")
                    && answer.details.contains("version enum")
            )
            #expect(answer.text.contains("did you mean \\\"entities\\\"?"))
            let rules = try await app.post(
                "_admin/import",
                [
                    "version": 1,
                    "rules": [["entity": "nope", "type": "field", "definition": ["feld": "x", "operator": "min"]]],
                ]
            )
            #expect(
                rules.details.contains("rules[0].entity unknown")
                    && rules.details.contains("rules[0].definition.feld unknown")
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func sampleUsersAreMadeOnce(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let file: JSONValue = [
                "version": 1,
                "sample_data": [
                    "_users": [
                        ["email": "Agent@X.example", "password": "password1", "role": "agent", "name": "ignored"],
                        ["email": "off@x.example", "password": "password1", "roles": ["agent"], "active": false],
                        ["email": "admin@localhost", "password": "password1", "role": "admin"],
                    ]
                ],
            ]
            #expect(try await app.post("_admin/import", file)["data"]["summary"]["users"] == 2)
            #expect(try await app.post("_admin/import", file)["data"]["summary"]["users"] == 0)
            let token = try await server.login("shop", "agent@x.example", "password1")
            #expect(try await server.get("/api/shop/auth/me", token: token)["data"]["roles"].value == ["agent"])
            let off = try await server.post(
                "/api/shop/auth/login",
                ["email": "off@x.example", "password": "password1"]
            )
            #expect(off.status == 401)
            let admin = try await server.post(
                "/api/shop/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            #expect(admin.status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func joinRowsAreStoredAndCounted(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let entity = { (name: String) -> JSONValue in
                [
                    "name": .string(name), "table": .string(name + "s"), "soft_delete": false,
                    "primary_key": ["field": "id", "type": "int", "generated": true],
                    "fields": [["name": "id", "type": "int"], ["name": "label", "type": "string"]],
                ]
            }
            let file: JSONObject = [
                "version": 1, "entities": [entity("post"), entity("tag")],
                "relations": [
                    [
                        "name": "tags", "type": "many_to_many", "source": "post", "target": "tag",
                        "join_table": "post_tags",
                        "source_join_key": "post_id", "target_join_key": "tag_id", "on_delete": "detach",
                    ]
                ],
                "sample_data": [
                    "post_tags": [["post_id": 1, "tag_id": 2], ["post_id": 1, "tag_id": 1]],
                    "tag": [["id": 1, "label": "a"], ["id": 2, "label": "b"]],
                    "post": [["id": 1], ["label": "numbered"]],
                ],
            ]
            let answer = try await app.post("_admin/import", .object(file))
            #expect(answer["data"]["summary"]["records"] == 6, "\(answer)")
            #expect(try await app.post("_admin/import", .object(file))["data"]["summary"]["records"] == 1)
            var dangling = file
            dangling["sample_data"] = ["post_tags": [["post_id": 1, "tag_id": 9]]]
            #expect(try await app.post("_admin/import", .object(dangling)).status == 409)
        }
    }

    @Test(arguments: TestStore.allCases)
    func numberedRowsAreCheckedForTheirReferencesToo(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let key: JSONValue = ["field": "id", "type": "int", "generated": true]
            let file: JSONObject = [
                "version": 1,
                "entities": [
                    [
                        "name": "a", "primary_key": key, "soft_delete": false,
                        "fields": [["name": "id", "type": "int"]],
                    ],
                    [
                        "name": "b", "primary_key": key, "soft_delete": false,
                        "fields": [["name": "id", "type": "int"], ["name": "a_id", "type": "int"]],
                    ],
                ],
                "relations": [
                    [
                        "name": "bs", "type": "one_to_many", "source": "a", "target": "b", "source_key": "id",
                        "target_key": "a_id",
                        "on_delete": "restrict",
                    ]
                ],
                "sample_data": ["b": [["a_id": 7]]],
            ]
            let dangling = try await app.post("_admin/import", .object(file))
            #expect(dangling.status == 409 && dangling.details == ["sample_data.b.a_id relation"], "\(dangling)")
            var last = file
            last["sample_data"] = ["a": [["id": 2_147_483_647]]]
            #expect(try await app.post("_admin/import", .object(last)).details == ["sample_data.a[0].id type"])
            var whole = file
            whole["sample_data"] = ["b": [["a_id": 7]], "a": [["id": 7]]]
            #expect(try await app.post("_admin/import", .object(whole))["data"]["summary"]["records"] == 2)
        }
    }
}
