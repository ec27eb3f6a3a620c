import HTTPTypes
import RocketAutomation
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// Every committed change of a record has its entry in the record's history, and nothing else has.
struct HistoryTests {
    private static func run(_ store: TestStore, _ test: (TestApp) async throws -> Void) async throws {
        try await TestServer.run(store) { server in try await test(try await server.makeApp()) }
    }

    /// `action field=old>new field=old>new`, oldest first.
    private static func lines(_ app: TestApp, _ path: String) async throws -> [String] {
        let answer = try await app.get("\(path)/history")
        guard answer.status == 200 else { throw TestFailure("\(answer)") }
        return answer["data"].array.reversed().map { entry in
            let changes = entry["changes"].value.objectValue?.members ?? []
            let words = changes.map { change in
                let (old, new) = (change.value.objectValue?["old"], change.value.objectValue?["new"])
                return "\(change.name)=\(old?.jsonText ?? "?")>\(new?.jsonText ?? "?")"
            }
            return ([entry["action"].string ?? "?"] + words).joined(separator: " ")
        }
    }

    private static func make(_ app: TestApp, _ path: String, _ body: JSONValue) async throws -> String {
        let answer = try await app.post(path, body)
        guard answer.status == 201 else { throw TestFailure("\(answer)") }
        return answer["data"]["id"].string ?? answer["data"]["id"].value.jsonText
    }

    // MARK: one record

    @Test(arguments: TestStore.allCases)
    func everyChangeOfARecordIsAnEntry(store: TestStore) async throws {
        try await Self.run(store) { app in
            let fields: [JSONValue] = [
                ["name": "title", "type": "string"], ["name": "n", "type": "int"],
                ["name": "changed_at", "type": "timestamp", "auto": "update"],
            ]
            try await app.makeEntity("note", fields: fields, softDelete: true)
            let header = try #require(HTTPField.Name("X-Request-Id"))
            let made = try await app.post("note", ["title": "a", "n": 1], headers: [header: "my-request"])
            let path = "note/\(made["data"]["id"].string ?? "")"
            #expect(try await app.put(path, ["title": "b"]).status == 200)
            // A change that changes nothing, and one of two fields.
            #expect(try await app.put(path, ["title": "b"]).status == 200)
            #expect(try await app.put(path, ["title": .null, "n": 2]).status == 200)
            #expect(try await app.delete(path).status == 200)
            #expect(try await app.post("\(path)/restore", [:]).status == 200)
            #expect(try await app.delete("\(path)?purge=true").status == 200)
            let lines = try await Self.lines(app, path).map { line in
                line.split(separator: " ").filter { !$0.hasPrefix("changed_at") }.joined(separator: " ")
            }
            #expect(
                lines == [
                    "create title=null>\"a\" n=null>1", "update title=\"a\">\"b\"", "update",
                    "update title=\"b\">null n=1>2", "delete n=2>null", "restore", "delete n=2>null",
                ]
            )
            let entries = try await app.get("\(path)/history")["data"].array
            let first = try #require(entries.last)
            #expect(first["request_id"] == "my-request" && first["user"]["roles"].value == ["admin"])
            #expect(first["user"]["id"].string?.count == 36 && first["at"].string?.hasSuffix("Z") == true)
            #expect(entries.map { $0["id"].value.jsonText }.count == Set(entries.map { $0["id"] }).count)
        }
    }

    @Test(arguments: TestStore.allCases, ["uuid", "int", "bigint", "string"])
    func keysOfEveryTypeHaveAHistory(store: TestStore, type: String) async throws {
        try await Self.run(store) { app in
            let key: JSONValue = ["field": "id", "type": .string(type), "generated": .boolean(type != "string")]
            let fields: JSONValue = [["name": "id", "type": .string(type)], ["name": "n", "type": "int"]]
            let entity: JSONValue = ["name": "thing", "primary_key": key, "fields": fields]
            #expect(try await app.post("_admin/entities", entity).status == 201)
            for id in ["a b/c", "é"] {
                let body: JSONValue = type == "string" ? ["id": .string(id), "n": 1] : ["n": 1]
                let made = try await app.post("thing", body)
                let location = made.headers[.location] ?? ""
                let path = location.replacing("/api/shop/", with: "")
                #expect(try await app.put(path, ["n": 2]).status == 200)
                #expect(try await Self.lines(app, path) == ["create n=null>1", "update n=1>2"], "\(made)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func valuesOfEveryTypeAreAsAnswersShowThem(store: TestStore) async throws {
        try await Self.run(store) { app in
            let types = [
                "string", "text", "int", "bigint", "float", "decimal", "boolean", "uuid", "timestamp", "date", "json",
            ]
            var fields = types.map { JSONValue.object(["name": .string("a_\($0)"), "type": .string($0)]) }
            fields.append(["name": "price", "type": "decimal", "precision": 2])
            try await app.makeEntity("all", fields: fields)
            let values: [JSONObject] = [
                [
                    "a_string": "quote \" backslash \\ line\n é 𝄞 \u{7f}", "a_text": "", "a_int": -1,
                    "a_bigint": "9223372036854775807", "a_float": .number(JSONNumber(unchecked: "0.30000000000000004")),
                    "a_decimal": "123456789012345678901234567890.000100", "a_boolean": true,
                    "a_uuid": "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d", "a_timestamp": "2026-02-05T14:30:00.123456Z",
                    "a_date": "0001-01-01",
                    "a_json": ["b": [.number(JSONNumber(unchecked: "1.50")), .null, "x\"y"], "a": [:]], "price": "1.50",
                ],
                [
                    "a_string": "'; DROP TABLE x; --", "a_text": "x", "a_int": 2_147_483_647, "a_bigint": -5,
                    "a_float": .number(JSONNumber(unchecked: "1e300")), "a_decimal": "-0.5", "a_boolean": false,
                    "a_uuid": "ffffffff-ffff-4fff-bfff-ffffffffffff", "a_timestamp": "9999-12-31T23:59:59.999999Z",
                    "a_date": "9999-12-31", "a_json": .null, "price": "-7.25",
                ],
                JSONObject(uniqueMembers: (types.map { "a_\($0)" } + ["price"]).map { .init(name: $0, value: .null) }),
            ]
            let made = try await app.post("all", .object(values[0]))
            let path = "all/\(made["data"]["id"].string ?? "")"
            var shown = [made["data"]]
            for value in values.dropFirst() + [values[0]] {
                shown.append(try await app.put(path, .object(value))["data"])
            }
            let entries = try await app.get("\(path)/history")["data"].array.reversed().map { $0["changes"] }
            #expect(entries.count == shown.count)
            for (index, changes) in entries.enumerated() {
                for field in fields.compactMap({ $0.objectValue?["name"]?.stringValue }) {
                    let old = index == 0 ? .null : shown[index - 1][field].value
                    let new = shown[index][field].value
                    #expect((changes[field]["old"].value, changes[field]["new"].value) == (old, new), "\(field)")
                }
            }
        }
    }

    // MARK: many records

    private static func desk(_ app: TestApp, numbered: Bool) async throws {
        let key: JSONValue = ["field": "id", "type": numbered ? "int" : "uuid", "generated": true]
        let id: JSONValue = ["name": "id", "type": numbered ? "int" : "uuid"]
        let type: JSONValue = numbered ? "int" : "uuid"
        for (name, fields) in [
            ("box", [["name": "n", "type": "int"], ["name": "room_id", "type": type]]),
            ("item", [["name": "n", "type": "int"], ["name": "box_id", "type": type]]),
            ("tag", [["name": "n", "type": "int"]]), ("room", [["name": "n", "type": "int"]]),
        ] as [(String, [JSONValue])] {
            let entity: JSONValue = [
                "name": .string(name), "table": .string("\(name)_rows"), "primary_key": key,
                "soft_delete": .boolean(name == "item"),
                "fields": .array([id] + fields),
            ]
            let answer = try await app.post("_admin/entities", entity)
            guard answer.status == 201 else { throw TestFailure("\(answer)") }
        }
        for relation in [
            [
                "name": "items", "type": "one_to_many", "source": "box", "target": "item", "source_key": "id",
                "target_key": "box_id", "on_delete": "cascade",
            ],
            [
                "name": "boxes", "type": "one_to_many", "source": "room", "target": "box", "source_key": "id",
                "target_key": "room_id", "on_delete": "set_null",
            ],
            [
                "name": "tags", "type": "many_to_many", "source": "box", "target": "tag", "join_table": "box_tags",
                "source_join_key": "box_id", "target_join_key": "tag_id", "on_delete": "detach",
            ],
        ] as [JSONObject] {
            let answer = try await app.post("_admin/relations", .object(relation))
            guard answer.status == 201 else { throw TestFailure("\(answer)") }
        }
    }

    @Test(arguments: TestStore.allCases, [false, true])
    func nestedWritesAndWhatGoesWithADeleteHaveEntriesOfEachRecord(store: TestStore, numbered: Bool) async throws {
        try await Self.run(store) { app in
            try await Self.desk(app, numbered: numbered)
            let room = try await Self.make(app, "room", ["n": 1])
            let roomID: JSONValue = numbered ? .number(JSONNumber(unchecked: room)) : .string(room)
            let made = try await app.post(
                "box",
                ["n": 1, "room_id": roomID, "items": [["n": 10], ["n": 11]], "tags": [["n": 20]]]
            )
            #expect(made.status == 201, "\(made)")
            let data = made["data"]
            let text = { (json: TestJSON) in json.string ?? json.value.jsonText }
            let (box, boxID) = (text(data["id"]), data["id"].value.jsonText)
            let items = data["items"].array.map { text($0["id"]) }
            let tag = data["tags"].array[0]["id"]
            let links = try await Self.lines(app, "box/\(box)")
            #expect(links.count == 2 && links.last == "update tags=null>[\(tag.value.jsonText)]", "\(links)")
            #expect(links[0] == "create n=null>1 room_id=null>\(roomID.jsonText)")
            #expect(try await Self.lines(app, "item/\(items[0])") == ["create n=null>10 box_id=null>\(boxID)"])
            #expect(try await Self.lines(app, "tag/\(text(tag))") == ["create n=null>20"])
            // One is changed, one goes, one comes; one tag is unlinked.
            let changed = try await app.put(
                "box/\(box)",
                [
                    "items": [
                        ["id": data["items"].array[0]["id"].value, "n": 12],
                        ["id": data["items"].array[1]["id"].value, "_delete": true], ["n": 13],
                    ], "tags": [["id": tag.value, "_delete": true]],
                ]
            )
            #expect(changed.status == 200, "\(changed)")
            #expect(try await Self.lines(app, "item/\(items[0])").last == "update n=10>12")
            #expect(try await Self.lines(app, "item/\(items[1])").last == "delete n=11>null box_id=\(boxID)>null")
            #expect(try await Self.lines(app, "box/\(box)").last == "update tags=[\(tag.value.jsonText)]>null")
            // The record's own change is kept beside rows that the database numbers.
            #expect(try await app.put("box/\(box)", ["n": 2, "items": [["n": 14]]]).status == 200)
            #expect(try await Self.lines(app, "box/\(box)").last == "update n=1>2")
            let outer: JSONValue = ["n": 2, "boxes": [["n": 7, "items": [["n": 15]]]]]
            #expect(try await app.put("room/\(room)", outer).status == 200)
            #expect(try await Self.lines(app, "room/\(room)") == ["create n=null>1", "update n=1>2"])
            // The room goes, and its box stays without it; the box goes, and its items with it.
            #expect(try await app.delete("room/\(room)").status == 200)
            #expect(try await Self.lines(app, "box/\(box)").last == "update room_id=\(roomID.jsonText)>null")
            #expect(try await app.delete("box/\(box)").status == 200)
            #expect(try await Self.lines(app, "box/\(box)").last == "delete n=2>null")
            #expect(try await Self.lines(app, "item/\(items[0])").last?.hasPrefix("delete n=12>null") == true)
            #expect(
                try await Self.lines(app, "room/\(room)") == ["create n=null>1", "update n=1>2", "delete n=2>null"]
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsRolledBackLeavesNoEntry(store: TestStore) async throws {
        try await Self.run(store) { app in
            try await app.makeEntity("note", fields: [["name": "code", "type": "string", "unique": true]])
            let first = try await Self.make(app, "note", ["code": "a"])
            let second = try await Self.make(app, "note", ["code": "b"])
            #expect(try await app.put("note/\(second)", ["code": "a"]).status == 409)
            #expect(try await app.post("note", ["code": "a"]).status == 409)
            let operations: JSONValue = [
                ["method": "PUT", "path": .string("/note/\(first)"), "body": ["code": "c"]],
                ["method": "POST", "path": "/note", "body": ["code": "b"]],
            ]
            let batch = try await app.post("_batch", ["operations": operations])
            #expect(batch.status == 409, "\(batch)")
            for id in [first, second] { #expect(try await Self.lines(app, "note/\(id)").count == 1) }
            let missing = "11111111-1111-4111-8111-111111111111"
            #expect(try await app.put("note/\(missing)", ["code": "x"]).status == 404)
            #expect(try await app.get("note/\(missing)/history").status == 404)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatTransitionsAndWorkflowsWriteHasEntries(store: TestStore) async throws {
        try await Self.run(store) { app in
            let log: JSONValue = [
                "name": "log", "primary_key": ["field": "id", "type": "int", "generated": true],
                "fields": [["name": "id", "type": "int"], ["name": "text", "type": "string"]],
            ]
            #expect(try await app.post("_admin/entities", log).status == 201)
            let fields: [JSONValue] = [
                ["name": "state", "type": "string"], ["name": "note", "type": "string"], ["name": "n", "type": "int"],
            ]
            try await app.makeEntity("job", fields: fields)
            let machine: JSONValue = [
                "entity": "job", "field": "state",
                "definition": [
                    "initial": "open",
                    "transitions": [
                        [
                            "from": "open", "to": "done",
                            "actions": [
                                ["type": "set_field", "field": "note", "value": "finished"],
                                ["type": "create_record", "entity": "log", "values": ["text": "x"]],
                            ],
                        ]
                    ],
                ],
            ]
            let made = try await app.post("_admin/state-machines", machine)
            #expect(made.status == 201, "\(made)")
            let action: JSONValue = [
                "type": "set_field", "entity": "job", "record_id": "context.id", "field": "n", "value": 7,
            ]
            let workflow: JSONValue = [
                "name": "counting", "trigger": ["type": "record", "entity": "job", "action": "create"],
                "context": ["id": "record.id"],
                "steps": [["id": "count", "type": "action", "actions": [action]]],
            ]
            let flow = try await app.post("_admin/workflows", workflow)
            #expect(flow.status == 201, "\(flow)")
            let job = try await Self.make(app, "job", ["note": "a"])
            try await app.deliver()
            #expect(try await app.put("job/\(job)", ["state": "done"]).status == 200)
            #expect(
                try await Self.lines(app, "job/\(job)") == [
                    "create state=null>\"open\" note=null>\"a\"", "update n=null>7",
                    "update state=\"open\">\"done\" note=\"a\">\"finished\"",
                ]
            )
            let entries = try await app.get("job/\(job)/history")["data"].array
            #expect(entries[1]["user"]["id"] == "workflow" && entries[1]["request_id"].value == .null)
            let entry = try #require(try await app.get("log")["data"].array.first?["id"].value.jsonText)
            #expect(try await Self.lines(app, "log/\(entry)") == ["create text=null>\"x\""])
        }
    }

    @Test(arguments: TestStore.allCases)
    func linksThatGoWithADeleteHaveEntriesAndKeysAreShownToWhoReadsAllOfThem(store: TestStore) async throws {
        try await Self.run(store) { app in
            try await Self.desk(app, numbered: true)
            let tags = [try await Self.make(app, "tag", ["n": 1]), try await Self.make(app, "tag", ["n": 2])]
            let rows = JSONValue.array(tags.map { ["id": .number(JSONNumber(unchecked: $0))] })
            let box = try await Self.make(app, "box", ["n": 5, "tags": rows])
            try await PermissionTests.allow(app, "read", "box", ["clerk", "half"], more: ["except": ["n"]])
            try await PermissionTests.allow(app, "read", "tag", ["clerk"])
            try await PermissionTests.allow(app, "read", "tag", ["half"], [PermissionTests.condition("n", "eq", 1)])
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"]).app
            let half = try await PermissionTests.user(app, "half", roles: ["half"]).app
            #expect(try await app.put("box/\(box)", ["n": 6]).status == 200)
            #expect(try await app.delete("tag/\(tags[1])").status == 200)
            let linked = "update tags=null>[\(tags[0]),\(tags[1])]"
            #expect(
                try await Self.lines(app, "box/\(box)") == [
                    "create n=null>5", linked, "update n=5>6", "update tags=[\(tags[1])]>null",
                ]
            )
            // That something has changed that one can't see is nobody's business, nor which records there are.
            #expect(
                try await Self.lines(clerk, "box/\(box)") == ["create", linked, "update tags=[\(tags[1])]>null"]
            )
            let hidden = try await half.get("box/\(box)/history")
            #expect(
                hidden["data"].array.map { $0["action"] } == ["create"] && hidden["meta"]["total"] == 1,
                "\(hidden)"
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func fieldsMayHaveAnyNameAndTheHistoryGoesWithARenaming(store: TestStore) async throws {
        try await Self.run(store) { app in
            var entity: JSONObject = [
                "name": "line", "table": "lines", "primary_key": ["field": "n", "type": "int", "generated": true],
                "fields": [
                    ["name": "n", "type": "int"], ["name": "i", "type": "int"], ["name": "v", "type": "int"],
                ],
            ]
            #expect(try await app.post("_admin/entities", .object(entity)).status == 201)
            try await app.makeEntity("page", fields: [["name": "v", "type": "int"]])
            let relation: JSONValue = [
                "name": "lines", "type": "many_to_many", "source": "page", "target": "line", "join_table": "page_lines",
                "source_join_key": "page_id", "target_join_key": "line_id", "on_delete": "detach",
            ]
            #expect(try await app.post("_admin/relations", relation).status == 201)
            let made = try await app.post("page", ["lines": [["v": 1], ["v": 2], [:], [:]]])
            #expect(made.status == 201, "\(made)")
            let lines = made["data"]["lines"].array
            for line in lines {
                let v = line["v"].value == .null ? "create" : "create v=null>\(line["v"].value.jsonText)"
                #expect(try await Self.lines(app, "line/\(line["n"].value.jsonText)") == [v])
            }
            #expect(try await app.delete("_admin/relations/lines").status == 200)
            entity["name"] = "row"
            #expect(
                try await app.send(.put, "_admin/entities/line", body: JSONValue.object(entity).jsonBytes).status == 200
            )
            #expect(try await Self.lines(app, "row/\(lines[0]["n"].value.jsonText)") == ["create v=null>1"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsTooLargeForAPageIsLeftOutOfIt(store: TestStore) async throws {
        try await Self.run(store) { app in
            try await app.makeEntity("note", fields: [["name": "text", "type": "text"]])
            let note = try await Self.make(app, "note", ["text": .string(String(repeating: "x", count: 400_000))])
            #expect(try await app.put("note/\(note)", ["text": "y"]).status == 200)
            let full = try await app.get("note/\(note)/history?per_page=100")["data"].array
            #expect(full.count == 2 && full.allSatisfy { $0["changes"].value == .null })
            let one = try await app.get("note/\(note)/history?per_page=1&page=2")["data"].array
            #expect(one[0]["changes"]["text"]["new"].string?.count == 400_000)
        }
    }

    @Test(arguments: TestStore.allCases)
    func importedRowsHaveEntries(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let tickets = try await app.get("ticket?per_page=1")["data"].array
            let id = try #require(tickets.first?["id"].string)
            let lines = try await Self.lines(app, "ticket/\(id)")
            #expect(lines.count == 1 && lines[0].hasPrefix("create "), "\(lines)")
            // The same file again makes none.
            #expect(try await app.send(.post, "_admin/import", body: try TestFiles.helpdesk()).status == 200)
            #expect(try await Self.lines(app, "ticket/\(id)").count == 1)
        }
    }

    // MARK: who sees what

    @Test(arguments: TestStore.allCases)
    func theHistoryShowsWhatIsReadableOfTheRecord(store: TestStore) async throws {
        try await Self.run(store) { app in
            let fields: [JSONValue] = [
                ["name": "open", "type": "boolean"], ["name": "title", "type": "string"],
                ["name": "secret", "type": "string"],
            ]
            try await app.makeEntity("note", fields: fields, softDelete: true)
            let condition = PermissionTests.condition("open", "eq", true)
            let more: JSONObject = ["except": ["secret"]]
            try await PermissionTests.allow(app, "read", "note", ["clerk"], [condition], more: more)
            try await app.makeEntity("news", fields: fields)
            try await PermissionTests.allow(app, "read", "news", ["anonymous"])
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"]).app
            let stranger = try await PermissionTests.user(app, "stranger", roles: ["nobody"]).app
            let id = try await Self.make(app, "note", ["open": true, "title": "a", "secret": "s"])
            let hidden = try await Self.make(app, "note", ["open": false, "title": "b"])
            #expect(try await app.put("note/\(id)", ["secret": "t", "title": "c"]).status == 200)
            #expect(
                try await Self.lines(clerk, "note/\(id)") == [
                    "create open=null>true title=null>\"a\"", "update title=\"a\">\"c\"",
                ]
            )
            let both = "update title=\"a\">\"c\" secret=\"s\">\"t\""
            #expect(try await Self.lines(app, "note/\(id)").last == both)
            #expect(try await clerk.get("note/\(hidden)/history").status == 404)
            #expect(try await stranger.get("note/\(id)/history").status == 403)
            // What a record was before is not shown to everyone, though everyone may read what it is.
            let news = try await Self.make(app, "news", ["title": "a"])
            #expect(try await app.server.get("/api/shop/news/\(news)").status == 200)
            #expect(try await app.server.get("/api/shop/news/\(news)/history").status == 401)
            #expect(try await stranger.get("news/\(news)/history").status == 200)
            // A record that is gone has a history for administrators only.
            #expect(try await app.delete("note/\(id)").status == 200)
            #expect(try await clerk.get("note/\(id)/history").status == 404)
            #expect(try await Self.lines(app, "note/\(id)").count == 3)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofAnEarlierRecordWithTheSameKeyOnlyAdministratorsSeeEntries(store: TestStore) async throws {
        try await Self.run(store) { app in
            let entity: JSONValue = [
                "name": "thing", "primary_key": ["field": "id", "type": "string", "generated": false],
                "soft_delete": false, "fields": [["name": "id", "type": "string"], ["name": "n", "type": "int"]],
            ]
            #expect(try await app.post("_admin/entities", entity).status == 201)
            try await PermissionTests.allow(app, "read", "thing", ["clerk"])
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"]).app
            for number in 1...2 {
                #expect(try await app.post("thing", ["id": "k", "n": .integer(number)]).status == 201)
                #expect(try await Self.lines(clerk, "thing/k") == ["create n=null>\(number)"])
                if number == 1 { #expect(try await app.delete("thing/k").status == 200) }
            }
            #expect(try await Self.lines(app, "thing/k").count == 3)
            let bySlug = try await app.get("thing/k/history?page=2&per_page=2")
            #expect(bySlug["meta"].value == ["page": 2, "per_page": 2, "total": 3] && bySlug["data"].array.count == 1)
            #expect(try await app.get("thing/k/history?pge=2").status == 400)
            // What was before a time without history may be an earlier record's as well.
            for isKept in [false, true] {
                var definition = try await app.get("_admin/entities/thing")["data"].value.objectValue ?? JSONObject()
                definition["history"] = .boolean(isKept)
                let changed = try await app.put("_admin/entities/thing", .object(definition))
                #expect(changed.status == 200, "\(changed)")
                #expect(try await Self.lines(clerk, "thing/k").isEmpty)
            }
            #expect(try await app.put("thing/k", ["n": 9]).status == 200)
            #expect(try await Self.lines(clerk, "thing/k") == ["update n=2>9"])
            #expect(try await Self.lines(app, "thing/k").count == 4)
        }
    }

    // MARK: how much is kept

    @Test(arguments: TestStore.allCases)
    func anEntityMayGoWithoutAndEntriesEndWithTime(store: TestStore) async throws {
        try await Self.run(store) { app in
            let number: JSONValue = ["name": "n", "type": "int"]
            try await app.makeEntity("quiet", fields: [number], extra: ["history": false])
            try await app.makeEntity("loud", fields: [number])
            #expect(try await app.get("_admin/entities/quiet")["data"]["history"] == false)
            #expect(try await app.get("_admin/entities/loud")["data"]["history"] == true)
            let quiet = try await Self.make(app, "quiet", ["n": 1])
            #expect(try await app.put("quiet/\(quiet)", ["n": 2]).status == 200)
            #expect(try await Self.lines(app, "quiet/\(quiet)").isEmpty)
            let loud = try await Self.make(app, "loud", ["n": 1])
            let later = try await app.after(seconds: 300 * 86_400)
            #expect(try await later.put("loud/\(loud)", ["n": 2]).status == 200)
            await later.server.worker.tidy(steadyFor: .seconds(3600))
            #expect(try await Self.lines(later, "loud/\(loud)").count == 2)
            let muchLater = try await later.after(seconds: 100 * 86_400)
            await muchLater.server.worker.tidy(steadyFor: .seconds(3600))
            #expect(try await Self.lines(muchLater, "loud/\(loud)") == ["update n=1>2"])
        }
    }
}
