import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Creating, reading, updating, deleting one record.
struct RecordTests {
    @Test(arguments: TestStore.allCases)
    func aCreatedRecordHasItsDefaultsAndAutoFields(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let created = try await app.post(
                "ticket",
                [
                    "title": "Printer on fire", "description": "d",
                    "customer_id": "10000000-0000-0000-0000-000000000001",
                    "id": "ffffffff-0000-0000-0000-000000000001", "created_at": "1999-01-01T00:00:00Z",
                    "deleted_at": "1999-01-01T00:00:00Z",
                ]
            )
            let data = created["data"]
            #expect(created.status == 201)
            #expect(data["status"] == "open" && data["priority"] == "medium" && data["category"] == "question")
            #expect(data["agent_id"].isNull && data["deleted_at"].isNull)
            let id = try #require(data["id"].string)
            #expect(id != "ffffffff-0000-0000-0000-000000000001" && Array(id)[14] == "7")
            #expect(created.headers[.location] == "/api/helpdesk/ticket/\(id)")
            #expect(data["created_at"].string?.hasPrefix("2026-03-01T12:00:00.") == true)
            #expect(data["created_at"].string?.count == 27 && data["created_at"].string?.hasSuffix("Z") == true)
            #expect(data["created_at"] == data["updated_at"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func theAnswersToCreateReadAndUpdateAgree(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let created = try await app.post("customer", ["name": "Ada \"L\" \u{1F600}\n", "email": "ada@x.example"])
            let path = "customer/\(try #require(created["data"]["id"].string))"
            let read = try await app.get(path)
            #expect(read.bytes == created.bytes && read.headers[.eTag] == created.headers[.eTag])
            let updated = try await app.put(path, ["phone": "1"])
            let again = try await app.get(path)
            #expect(again.bytes == updated.bytes && again.headers[.eTag] == updated.headers[.eTag])
            #expect(again.headers[.eTag] != read.headers[.eTag])
        }
    }

    @Test(arguments: TestStore.allCases)
    func anUpdateTouchesTheKeysGivenOnly(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "customer/10000000-0000-0000-0000-000000000001"
            let before = try await app.get(path)["data"]
            server.clock.advance(seconds: 5)
            let after = try await app.send(.patch, path, body: Array(#"{"phone":null,"id":"zzz"}"#.utf8))["data"]
            #expect(after["name"] == before["name"] && after["phone"].isNull && after["id"] == before["id"])
            #expect(after["created_at"] == before["created_at"] && after["updated_at"] != before["updated_at"])
            let empty = try await app.put(path, [:])
            #expect(empty.status == 200 && empty["data"] == after)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anUpdateCantEmptyARequiredFieldOrLeaveAnEnum(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "ticket/30000000-0000-0000-0000-000000000001"
            let answer = try await app.put(path, ["title": "", "description": nil, "priority": "urgent", "nope": 1])
            #expect(answer.status == 422)
            #expect(answer.details == ["title required", "description required", "priority enum", "nope unknown"])
            #expect(try await app.put(path, ["priority": nil])["data"]["priority"].isNull)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aSoftDeletedRecordIsInvisibleUntilItIsRestored(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let id = "30000000-0000-0000-0000-000000000002"
            let deleted = try await app.delete("ticket/\(id)")
            #expect(deleted.status == 200 && deleted["data"]["id"].string == id)
            #expect(try await app.get("ticket/\(id)").status == 404)
            #expect(try await app.put("ticket/\(id)", ["title": "Another"]).status == 404)
            #expect(try await app.delete("ticket/\(id)").status == 404)
            let list = try await app.get("ticket")
            #expect(list["meta"]["total"] == 6 && !list.text.contains(id))
            #expect(try await app.get("ticket?deleted=only")["data"].array.map { $0["id"].string } == [id])
            #expect(try await app.get("ticket?deleted=with")["meta"]["total"] == 7)
            let restored = try await app.send(.post, "ticket/\(id)/restore")
            #expect(restored.status == 200 && restored["data"]["deleted_at"].isNull)
            #expect(try await app.get("ticket/\(id)").status == 200)
            #expect(try await app.send(.post, "ticket/\(id)/restore").status == 404)
            #expect(try await app.delete("ticket/\(id)?purge=true").status == 200)
            #expect(try await app.get("ticket?deleted=with")["meta"]["total"] == 6)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aHardDeletedRecordIsGone(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "response/40000000-0000-0000-0000-000000000001"
            #expect(try await app.delete(path).status == 200)
            #expect(try await app.get(path).status == 404)
            #expect(try await app.get("response?deleted=with")["meta"]["total"] == 7)
            #expect(try await app.send(.post, "\(path)/restore").status == 404)
        }
    }

    @Test(arguments: TestStore.allCases)
    func uniqueMeansAmongRowsThatAreNotDeleted(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "page",
                fields: [["name": "path", "type": "string", "unique": true]],
                softDelete: true
            )
            let first = try await app.post("page", ["path": "/a"])
            #expect(try await app.post("page", ["path": "/a"]).status == 409)
            _ = try await app.delete("page/\(try #require(first["data"]["id"].string))")
            #expect(try await app.post("page", ["path": "/a"]).status == 201)
            let restored = try await app.send(.post, "page/\(try #require(first["data"]["id"].string))/restore")
            #expect(restored.status == 409 && restored.details == ["path"])
            for _ in 0..<2 { #expect(try await app.post("page", [:]).status == 201) }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aSlugIsMadeOnceAndFindsTheRecord(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "post",
                fields: [
                    ["name": "title", "type": "string"],
                    ["name": "slug", "type": "string", "unique": true, "required": true],
                ],
                softDelete: true,
                extra: ["slug": ["field": "slug", "source": "title"]]
            )
            let first = try await app.post("post", ["title": "Crème brûlée & Co."])
            #expect(first["data"]["slug"] == "creme-brulee-co", "\(first)")
            #expect(try await app.post("post", ["title": "Creme Brulee, Co"])["data"]["slug"] == "creme-brulee-co-2")
            #expect(try await app.post("post", ["title": "x", "slug": "own"])["data"]["slug"] == "own")
            #expect(try await app.post("post", ["title": "x", "slug": "own"]).status == 409)
            let id = try #require(first["data"]["id"].string)
            #expect(try await app.get("post/creme-brulee-co")["data"]["id"].string == id)
            #expect(try await app.get("post/\(id)")["data"]["id"].string == id)
            #expect(try await app.put("post/\(id)", ["title": "Other"])["data"]["slug"] == "creme-brulee-co")
            _ = try await app.delete("post/\(id)")
            #expect(try await app.get("post/creme-brulee-co").status == 404)
            #expect(try await app.post("post", ["title": "Crème brûlée Co"])["data"]["slug"] == "creme-brulee-co")
        }
    }

    @Test(arguments: TestStore.allCases)
    func manyCreatesOfOneTitleAtOnceGetDifferentSlugs(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "post",
                fields: [["name": "title", "type": "string"], ["name": "slug", "type": "string", "unique": true]],
                extra: ["slug": ["field": "slug", "source": "title", "regenerate_on_update": true]]
            )
            let slugs = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<40 {
                    group.addTask { try await app.post("post", ["title": "Same"])["data"]["slug"].string }
                }
                return try await group.reduce(into: [String?]()) { $0.append($1) }
            }
            #expect(Set(slugs.compactMap(\.self)) == Set(["same"] + (2...40).map { "same-\($0)" }))
            let id = try #require(try await app.get("post/same-7")["data"]["id"].string)
            #expect(try await app.put("post/\(id)", ["title": "Same"])["data"]["slug"] == "same-7")
            #expect(try await app.put("post/\(id)", ["title": "New"])["data"]["slug"] == "new")
        }
    }

    @Test(arguments: TestStore.allCases)
    func numbersAndStringsAreKeysToo(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            _ = try await app.post(
                "_admin/entities",
                [
                    "name": "invoice", "primary_key": ["field": "number", "type": "int", "generated": true],
                    "soft_delete": false,
                    "fields": [["name": "number", "type": "int"], ["name": "note", "type": "text"]],
                ]
            )
            let first = try await app.post("invoice", ["note": "a"])
            #expect(first.status == 201 && first["data"]["number"] == 1, "\(first)")
            #expect(first.headers[.location] == "/api/shop/invoice/1")
            #expect(try await app.post("invoice", [:])["data"]["number"] == 2)
            #expect(try await app.get("invoice/1")["data"]["note"] == "a")
            #expect(try await app.delete("invoice/2")["data"]["id"] == 2)
            #expect(try await app.post("invoice", [:])["data"]["number"] == 3)
            _ = try await app.post(
                "_admin/entities",
                [
                    "name": "country", "primary_key": ["field": "code", "type": "string", "generated": false],
                    "soft_delete": false,
                    "fields": [["name": "code", "type": "string"], ["name": "name", "type": "text"]],
                ]
            )
            #expect(try await app.post("country", ["name": "x"]).details == ["code required"])
            let odd = try await app.post("country", ["code": "a/b c", "name": "x"])
            #expect(odd.headers[.location] == "/api/shop/country/a%2Fb%20c")
            #expect(try await app.get("country/a%2Fb%20c")["data"]["name"] == "x")
            let twice = try await app.post("country", ["code": "a/b c"])
            #expect(twice.status == 409 && twice.details == ["code"])
            for code in ["", ".", "..", String(repeating: "x", count: 256)] {
                #expect(try await app.post("country", ["code": .string(code)]).status == 422, "\(code)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func entitiesAndFieldsMayHaveTheNamesOfSQLKeywords(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "select",
                fields: [
                    ["name": "order", "type": "int"], ["name": "group", "type": "string", "unique": true],
                    ["name": "table", "type": "text"],
                ],
                extra: ["table": "from", "indexes": [["fields": ["order", "-group"]]]]
            )
            #expect(try await app.post("select", ["order": 1, "group": "g", "table": "t"]).status == 201)
            let list = try await app.get("select?filter[order.gte]=1&filter[group]=g&sort=-order,table")
            #expect(list["data"][0]["table"] == "t", "\(list)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyTypeComesBackAsItWasSent(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let types = [
                "string", "text", "int", "bigint", "float", "decimal", "boolean", "uuid", "timestamp", "date", "json",
                "file",
            ]
            try await app.makeEntity("all", fields: types.map { ["name": .string("f_\($0)"), "type": .string($0)] })
            let file = try await Form.file("a.txt", Array("a".utf8)).send(app)["data"]
            let stored: JSONValue = [
                "id": file["id"].value, "size": 1, "filename": "a.txt", "mime_type": "text/plain",
            ]
            let cases: [(String, JSONValue, JSONValue)] = [
                ("string", "", ""), ("text", "a\u{301}", "a\u{301}"), ("int", -2_147_483_648, -2_147_483_648),
                ("bigint", "9223372036854775807", .integer(Int64.max)), ("boolean", false, false),
                ("uuid", "AAAAAAAA-bbbb-4CCC-8ddd-EEEEEEEEEEEE", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
                ("timestamp", "2026-02-05T14:30:00.1+01:00", "2026-02-05T13:30:00.100000Z"),
                ("date", "2024-02-29", "2024-02-29"),
                ("json", ["a": [1, nil, "x"]], ["a": [1, nil, "x"]]), ("json", "text", "text"), ("json", false, false),
                ("file", file["id"].value, stored),
            ]
            for (type, sent, expected) in cases {
                let answer = try await app.post("all", .object(["f_\(type)": sent]))
                #expect(answer["data"]["f_\(type)"].value == expected, "\(type): \(answer)")
            }
            let empty = try await app.post(
                "all",
                .object(JSONObject(uniqueMembers: types.map { .init(name: "f_\($0)", value: .null) }))
            )
            for type in types { #expect(empty["data"]["f_\(type)"].isNull) }
        }
    }

    @Test(arguments: [
        ("int", "2147483648"), ("int", "1.5"), ("int", "\"1\""), ("bigint", "9223372036854775808"), ("bigint", "\"x\""),
        ("float", "1e400"), ("float", "\"1\""), ("decimal", "\"abc\""), ("decimal", "1e2000"), ("boolean", "1"),
        ("boolean", "\"true\""), ("uuid", "\"x\""), ("timestamp", "\"2026-02-05T14:30:00\""),
        ("timestamp", "\"2026-02-30T00:00:00Z\""),
        ("timestamp", "1738765800"), ("date", "\"2026-2-5\""), ("date", "\"2025-02-29\""), ("string", "1"),
        ("string", "\"a\\u0000b\""),
        ("json", "{\"a\":\"\\u0000\"}"), ("file", "1"), ("file", "\"x\""), ("text", "[]"),
    ])
    func aValueThatDoesNotFitItsTypeIsAViolation(type: String, value: String) async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("thing", fields: [["name": "f", "type": .string(type)]])
            let answer = try await app.send(.post, "thing", body: Array("{\"f\":\(value)}".utf8))
            #expect(answer.status == 422 && answer.details == ["f type"], "\(answer)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func moreFractionDigitsThanThePrecisionAreAViolationNotARounding(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("thing", fields: [["name": "price", "type": "decimal", "precision": 2]])
            #expect(try await app.send(.post, "thing", body: Array("{\"price\":1.005}".utf8)).details == ["price type"])
            #expect(
                try await app.send(.post, "thing", body: Array("{\"price\":1.000}".utf8))["data"]["price"].digits
                    == "1.00"
            )
            #expect(
                try await app.send(.post, "thing", body: Array("{\"price\":\"-0.5\"}".utf8))["data"]["price"].digits
                    == "-0.50"
            )
            let wide = Array("{\"price\":1234567890123456789}".utf8)
            #expect(try await app.send(.post, "thing", body: wide).details == ["price type"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func fieldsProjectARecordAndItsVersionStaysTheWholeRows(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "ticket/30000000-0000-0000-0000-000000000001"
            let whole = try await app.get(path)
            let part = try await app.get("\(path)?fields=title,id")
            #expect(part["data"].names == ["id", "title"])
            #expect(part.headers[.eTag] == whole.headers[.eTag])
            #expect(try await app.get("\(path)?fields=titel").code == "UNKNOWN_FIELD")
            #expect(try await app.get("\(path)?page=1").code == "INVALID_PARAMETER")
        }
    }

    @Test(arguments: TestStore.allCases)
    func twoUpdatesOfOneVersionAtOnceCantBothWin(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let path = "customer/10000000-0000-0000-0000-000000000001"
            for round in 0..<10 {
                let tag = try #require(try await app.get(path).headers[.eTag])
                let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                    for index in 0..<8 {
                        group.addTask {
                            try await app.put(path, ["name": .string("\(round) \(index)")], headers: [.ifMatch: tag])
                                .status
                        }
                    }
                    return try await group.reduce(into: [Int]()) { $0.append($1) }
                }
                #expect(statuses.sorted() == [200] + Array(repeating: 412, count: 7))
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func nothingIsSaidOfAPayloadBeforeTheRowIsFound(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            #expect(try await app.put("ticket/30000000-0000-0000-0000-0000000000ff", ["bogus": 1]).status == 404)
            let path = "ticket/30000000-0000-0000-0000-000000000001"
            #expect(try await app.put(path, ["bogus": 1], headers: [.ifMatch: "\"old\""]).status == 412)
            #expect(try await app.put(path, ["bogus": 1]).status == 422)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRequiredSlugNeedsItsSource(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let slug: JSONValue = ["name": "slug", "type": "string", "unique": true, "required": true]
            try await app.makeEntity(
                "post",
                fields: [["name": "title", "type": "string"], slug],
                extra: ["slug": ["field": "slug", "source": "title"]]
            )
            #expect(try await app.post("post", [:]).details == ["slug required"])
            #expect(try await app.post("post", ["title": "日本"])["data"]["slug"] == "post")
        }
    }

    @Test func aHostileCountOfUnknownKeysIsAnsweredShortly() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeHelpdesk()
            let members = (0..<50_000).map { "\"k\($0)\":0" }.joined(separator: ",")
            let body = Array("{\(members)}".utf8)
            let start = ContinuousClock.now
            let answer = try await app.send(.post, "ticket", body: body)
            #expect(answer.status == 422 && answer.bytes.count < 100_000)
            let login = try await server.send(.post, "/api/helpdesk/auth/login", body: body)
            #expect(login.status == 413)
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }
}
