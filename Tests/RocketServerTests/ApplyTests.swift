import HTTPTypes
import RocketAutomation
import RocketModel
import RocketTestSupport
import Testing

/// Schema as code: a file of definitions in the place of those that an app has.
struct ApplyTests {
    private static func apply(_ app: TestApp, _ file: JSONValue, isTrial: Bool = false) async throws -> TestAnswer {
        try await app.post("_admin/import?mode=apply\(isTrial ? "&dry_run=true" : "")", file)
    }

    private static func export(_ app: TestApp) async throws -> JSONObject {
        var document = try await app.get("_admin/export")["data"].value.objectValue ?? [:]
        document["exported_at"] = nil
        return document
    }

    /// `kind name action` of each change.
    private static func changes(_ answer: TestAnswer) -> [String] {
        answer["data"]["changes"].array.map { change in
            ["kind", "name", "action"].compactMap { change[$0].string }.joined(separator: " ")
        }
    }

    /// The file with a member of an entity replaced.
    private static func changing(
        _ document: JSONObject,
        _ entity: String,
        _ change: (inout JSONObject) -> Void
    ) -> JSONValue {
        var document = document
        document["entities"] = .array(
            (document["entities"]?.arrayValue ?? []).map { value in
                guard var object = value.objectValue, object["name"] == .string(entity) else { return value }
                change(&object)
                return .object(object)
            }
        )
        return .object(document)
    }

    private static func field(_ entity: inout JSONObject, _ name: String, _ change: (inout JSONObject) -> Void) {
        entity["fields"] = .array(
            (entity["fields"]?.arrayValue ?? []).map { value in
                guard var object = value.objectValue, object["name"] == .string(name) else { return value }
                change(&object)
                return .object(object)
            }
        )
    }

    @Test(arguments: TestStore.allCases)
    func anEmptyAppBecomesTheFileAndASecondTimeNothingChanges(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let file = try JSONParser.parse(try TestFiles.helpdesk())
            let app = try await server.makeApp("desk")
            let trial = try await Self.apply(app, file, isTrial: true)
            #expect(trial.status == 200 && trial["data"]["applied"] == false, "\(trial)")
            #expect(
                trial["data"]["sql"].array.contains {
                    $0["text"].string?.hasPrefix("CREATE TABLE \"tickets\"") ?? false
                }
            )
            #expect(trial["data"]["sql"].array.allSatisfy { $0["risk"].isNull }, "\(trial)")
            #expect(try await app.get("_admin/entities")["data"].array.isEmpty)
            let applied = try await Self.apply(app, file)
            #expect(applied.status == 200 && applied["data"]["applied"] == true, "\(applied)")
            #expect(Self.changes(applied) == Self.changes(trial) && Self.changes(applied).count > 10)
            #expect(applied["meta"]["warnings"].array.contains { $0.string?.hasPrefix("sample_data is left") ?? false })
            #expect(try await app.get("ticket")["meta"]["total"] == 0)
            let again = try await Self.apply(app, file)
            #expect(again["data"]["changes"].array.isEmpty && again["data"]["sql"].array.isEmpty, "\(again)")
            // What an import makes of the file is the same.
            let helpdesk = try await server.makeHelpdesk()
            #expect(try await Self.export(app) == Self.export(helpdesk))
            #expect(try await Self.apply(helpdesk, file)["data"]["changes"].array.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func itAddsChangesAndRemovesInOneTransaction(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let before = try await Self.export(app)
            var file =
                Self.changing(before, "ticket") { entity in
                    entity["fields"] = .array(
                        (entity["fields"]?.arrayValue ?? []) + [["name": "mood", "type": "string", "default": "fine"]]
                    )
                    Self.field(&entity, "title") { $0["type"] = "text" }
                }.objectValue ?? [:]
            let rules = before["rules"]?.arrayValue ?? []
            #expect(rules.count > 1)
            file["rules"] = .array(Array(rules.dropFirst()))
            let article: JSONValue = [
                "name": "article", "table": "articles", "soft_delete": false,
                "primary_key": ["field": "id", "type": "uuid", "generated": true],
                "fields": [["name": "id", "type": "uuid"], ["name": "title", "type": "string", "unique": true]],
            ]
            file["entities"] = .array((file["entities"]?.arrayValue ?? []) + [article])
            let ids = try await app.get("_admin/rules")["data"].array.map { $0["id"] }
            let trial = try await Self.apply(app, .object(file), isTrial: true)
            let applied = try await Self.apply(app, .object(file))
            #expect(applied["data"]["changes"] == trial["data"]["changes"], "\(applied)")
            #expect(applied["data"]["sql"] == trial["data"]["sql"])
            let update = applied["data"]["sql"].array.first {
                $0["text"].string?.hasPrefix("UPDATE \"tickets\"") ?? false
            }
            #expect(update?["risk"] == "writes every row of the table")
            #expect(
                Self.changes(applied).filter { !$0.hasPrefix("rules") } == [
                    "entities ticket change", "entities article add",
                ]
            )
            #expect(Self.changes(applied).count { $0.hasPrefix("rules") && $0.hasSuffix("remove") } == 1)
            let ticket = applied["data"]["changes"][0]
            #expect(
                ticket["details"].array.map { $0.string } == [
                    "fields.title.type: \"string\" → \"text\"",
                    "fields.mood: added {\"name\":\"mood\",\"type\":\"string\",\"required\":false,"
                        + "\"unique\":false,\"nullable\":false,\"default\":\"fine\"}",
                ],
                "\(ticket)"
            )
            #expect(try await app.get("ticket?filter[mood]=fine")["meta"]["total"] == 7)
            #expect(try await app.post("article", ["title": "a"]).status == 201)
            let kept = try await app.get("_admin/rules")["data"].array.map { $0["id"] }
            #expect(kept == Array(ids.dropFirst()))
            // And back again: what goes is not read any more, and its rows are kept.
            let back = try await Self.apply(app, .object(before))
            #expect(Self.changes(back).count == 3, "\(back)")
            #expect(try await Self.export(app)["entities"] == before["entities"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatGoesIsMarkedAndItsRowsAreKept(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("thing", fields: [["name": "n", "type": "int"], ["name": "m", "type": "int"]])
            let policy: JSONValue = ["entity": "thing", "action": "read", "roles": ["reader"]]
            #expect(try await app.post("_admin/permissions", policy).status == 201)
            #expect(try await app.post("thing", ["n": 1, "m": 2]).status == 201)
            let before = try await Self.export(app)
            let without = Self.changing(before, "thing") { entity in
                entity["fields"] = .array(
                    (entity["fields"]?.arrayValue ?? []).filter { $0.objectValue?["name"] != "m" }
                )
            }
            let answer = try await Self.apply(app, without)
            #expect(answer["data"]["changes"][0]["risk"].string?.contains("its column is kept") == true, "\(answer)")
            let gone = try await Self.apply(app, ["version": 1])
            #expect(Self.changes(gone) == ["entities thing remove", "permissions thing read for reader remove"])
            #expect(gone["data"]["changes"].array.allSatisfy { $0["risk"].string != nil }, "\(gone)")
            #expect(try await app.get("thing").status == 404)
            let back = try await Self.apply(app, .object(before))
            #expect(back.status == 200, "\(back)")
            let row = try await app.get("thing")["data"][0]
            #expect(row["n"] == 1 && row["m"] == 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatTheRowsDoNotAllowIsToldByTheTrialToo(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "thing",
                fields: [["name": "n", "type": "int"], ["name": "other", "type": "uuid"]]
            )
            for n in [1, 1] as [JSONValue] {
                let row: JSONValue = ["n": n, "other": "00000000-0000-0000-0000-000000000001"]
                #expect(try await app.post("thing", row).status == 201)
            }
            #expect(try await app.post("thing", [:]).status == 201)
            let before = try await Self.export(app)
            let cases: [((inout JSONObject) -> Void, String)] = [
                ({ $0["unique"] = true }, "entities[0].fields[1].unique"),
                ({ $0["required"] = true }, "entities[0].fields[1].required"),
                ({ $0["type"] = "date" }, "entities[0].fields[1].type"),
            ]
            for (change, path) in cases {
                let file = Self.changing(before, "thing") { Self.field(&$0, "n", change) }
                for isTrial in [true, false] {
                    let answer = try await Self.apply(app, file, isTrial: isTrial)
                    #expect(answer.status == 422 && answer.details.first?.contains(path) ?? false, "\(answer)")
                }
            }
            #expect(try await Self.export(app) == before)
            // A key that names nothing keeps a constraint away, and no more than that.
            var file = before
            file["relations"] = [
                [
                    "name": "thing_other", "type": "one_to_many", "source": "thing", "target": "thing",
                    "source_key": "id", "target_key": "other", "on_delete": "restrict",
                ]
            ]
            let trial = try await Self.apply(app, .object(file), isTrial: true)
            let applied = try await Self.apply(app, .object(file))
            #expect(trial.status == 200 && applied.status == 200, "\(applied)")
            #expect(
                trial["meta"] == applied["meta"] && trial["meta"]["warnings"][0].string?.contains("2 rows") ?? false
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func theTypeOfAKeyOfARelationStays(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let unique: JSONValue = ["name": "code", "type": "int", "unique": true]
            try await app.makeEntity("parent", fields: [unique])
            try await app.makeEntity("child", fields: [["name": "ref", "type": "int"]])
            let relation: JSONValue = [
                "name": "child_parent", "type": "one_to_many", "source": "parent", "target": "child",
                "source_key": "code", "target_key": "ref", "on_delete": "restrict",
            ]
            #expect(try await app.post("_admin/relations", relation).status == 201)
            let before = try await Self.export(app)
            for type in ["bigint", "float", "decimal", "string"] {
                var file = Self.changing(before, "parent") { Self.field(&$0, "code") { $0["type"] = .string(type) } }
                file = Self.changing(file.objectValue ?? [:], "child") {
                    Self.field(&$0, "ref") { $0["type"] = .string(type) }
                }
                for isTrial in [true, false] {
                    let answer = try await Self.apply(app, file, isTrial: isTrial)
                    #expect(answer.status == 422 && answer.text.contains("child_parent"), "\(type): \(answer)")
                }
            }
            #expect(try await Self.export(app) == before)
        }
    }

    @Test func addressesInAnEnvelopeAreJudgedToo() async throws {
        try await TestServer.run(.sqlite, addresses: CallAddresses(refusesInner: true)) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]])
            var file = try await Self.export(app)
            file["webhooks"] = [["entity": "thing", "url": "http://169.254.169.254/latest"]]
            for query in ["", "?mode=apply"] {
                for body in [JSONValue.object(file), ["data": .object(file)]] {
                    let answer = try await app.post("_admin/import\(query)", body)
                    #expect(answer.status == 422 && answer.details == ["webhooks[0].url type"], "\(answer)")
                }
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWebhookKeepsItsIDAndItsSecret(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, receiver in
            let made = try await WebhookTests.hook(app, receiver, "label", ["secret": "generate"])
            var file = try await Self.export(app)
            #expect(!made["data"]["id"].isNull)
            file["webhooks"] = .array(
                (file["webhooks"]?.arrayValue ?? []).map { webhook in
                    var webhook = webhook.objectValue ?? [:]
                    webhook["headers"] = ["X-A": "b"]
                    return .object(webhook)
                }
            )
            let answer = try await Self.apply(app, .object(file))
            #expect(answer["data"]["changes"].array.map { $0["action"] } == ["change"], "\(answer)")
            let stored = try await app.get("_admin/webhooks")["data"]
            #expect(stored.array.count == 1 && stored[0]["id"] == made["data"]["id"] && !stored[0]["secret"].isNull)
            _ = try await app.make("label", ["text": "a"])
            try await app.deliver()
            #expect(
                receiver.received[0].headers["webhook-signature"] != nil && receiver.received[0].headers["x-a"] == "b"
            )
            // The same secret in the file is no change, another one is.
            let given = made["meta"]["secret"].string ?? made["data"]["secret"].string ?? ""
            #expect(given.hasPrefix("whsec_"), "\(made)")
            for (secret, count) in [(given, 0), ("whsec_" + String(repeating: "QUJD", count: 8), 1)] {
                file["webhooks"] = .array(
                    (file["webhooks"]?.arrayValue ?? []).map { webhook in
                        var webhook = webhook.objectValue ?? [:]
                        webhook["secret"] = .string(secret)
                        return .object(webhook)
                    }
                )
                let changed = try await Self.apply(app, .object(file))
                #expect(
                    changed["data"]["changes"].array.count == count && !changed.text.contains("whsec_"),
                    "\(changed)"
                )
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatCantBeAppliedIsToldByItsPlaceInTheFile(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let before = try await Self.export(app)
            var broken = before
            broken["rules"] = .array(
                (before["rules"]?.arrayValue ?? []) + [
                    [
                        "entity": "ticket", "type": "expression",
                        "definition": ["expression": "record.nothing > 1", "message": "m"],
                    ]
                ]
            )
            let count = before["rules"]?.arrayValue?.count ?? 0
            let cases: [(JSONValue, String)] = [
                (.object(broken), "rules[\(count)].definition.expression"),
                (Self.changing(before, "agent") { $0["table"] = "others" }, "entities[1].table type"),
                (Self.changing(before, "agent") { $0["name"] = "ticket" }, "entities[2].name unknown"),
                (["version": 1, "entitys": []], "entitys unknown"),
                (["version": 1, "relations": before["relations"] ?? []], "relations[0].source unknown"),
            ]
            for (file, detail) in cases {
                for isTrial in [true, false] {
                    let answer = try await Self.apply(app, file, isTrial: isTrial)
                    #expect(answer.status == 422 && answer.details.contains { $0.hasPrefix(detail) }, "\(answer)")
                }
            }
            for query in ["mode=app", "dry_run=true", "mode=apply&dry_run=1", "mode=apply&mode=apply", "modes=apply"] {
                #expect(try await app.post("_admin/import?\(query)", .object(before)).status == 400, "\(query)")
            }
            #expect(try await Self.export(app) == before)
            let reader = try await server.post("/api/helpdesk/_admin/import?mode=apply", .object(before))
            #expect(reader.status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofTwoAtOnceBothAreWholeAndTheLastIsInForce(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let files = (0..<6).map { index -> JSONValue in
                let entity = { (name: String) -> JSONValue in
                    [
                        "name": .string(name), "table": .string(name),
                        "primary_key": ["field": "id", "type": "uuid", "generated": true],
                        "fields": [["name": "id", "type": "uuid"], ["name": .string("f\(index)"), "type": "int"]],
                    ]
                }
                return ["version": 1, "entities": [entity("a"), entity("b")]]
            }
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for file in files { group.addTask { try await Self.apply(app, file).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(Set(statuses).isSubset(of: [200, 503]), "\(statuses)")
            let entities = try await app.get("_admin/entities")["data"].array
            #expect(entities.count == 2 && entities[0]["fields"] == entities[1]["fields"])
        }
    }
}
