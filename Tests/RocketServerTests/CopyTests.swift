import Foundation
import HTTPTypes
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// Apps as things to move: clones, backups and what becomes of them.
struct CopyTests {
    private static func clone(_ server: TestServer, _ body: JSONObject) async throws -> TestAnswer {
        try await server.post("/api/_platform/apps", token: try await server.platformToken(), .object(body))
    }

    private static func signIn(_ server: TestServer, _ name: String) async throws -> TestApp {
        TestApp(server: server, name: name, token: try await server.login(name, "admin@localhost", "changeme"))
    }

    /// Runs a test beside a folder's name that nothing has.
    private static func inFolder(_ test: (String) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        do {
            try await test(directory.url.appendingPathComponent("copy").path)
        } catch {
            try directory.remove()
            throw error
        }
        try directory.remove()
    }

    private static func backUp(_ server: TestServer, _ folder: String, _ apps: [String]? = nil) async throws
        -> TestAnswer
    {
        var body: JSONObject = ["folder": .string(folder)]
        body["apps"] = apps.map { .array($0.map(JSONValue.string)) }
        return try await server.control(.post, "/_control/backup", .object(body))
    }

    private static func restore(_ server: TestServer, _ folder: String, _ more: JSONObject = [:]) async throws
        -> TestAnswer
    {
        var body: JSONObject = ["folder": .string(folder)]
        for member in more.members { body[member.name] = member.value }
        return try await server.control(.post, "/_control/restore", .object(body))
    }

    private static let lists = [
        "thing?per_page=100", "counted?per_page=100", "label?per_page=100", "_admin/entities", "_admin/relations",
        "_admin/webhooks", "_admin/workflows", "_admin/permissions",
    ]

    /// An app that has something of everything, and a receiver whom it tells.
    private static func run(
        _ store: TestStore,
        _ test: (TestServer, TestApp, TestReceiver) async throws -> Void
    ) async throws {
        try await WorkflowTests.run(store) { server, app, receiver in
            try await StoreAgreementTests.makeThing(app)
            for (index, row) in StoreAgreementTests.rows.enumerated() {
                guard case .object(var object) = row else { continue }
                object["id"] = .integer(Int64(index + 1))
                _ = try await app.post("thing", .object(object))
            }
            #expect(try await app.get("thing")["meta"]["total"].int ?? 0 > 3)
            let counted: JSONValue = [
                "name": "counted", "table": "counted", "slug": ["field": "slug", "source": "title"],
                "primary_key": ["field": "id", "type": "bigint", "generated": true],
                "fields": [
                    ["name": "id", "type": "bigint"], ["name": "title", "type": "string", "required": true],
                    ["name": "slug", "type": "string", "unique": true],
                    ["name": "gone", "type": "string"],
                ],
            ]
            #expect(try await app.post("_admin/entities", counted).status == 201)
            for index in 0..<60 {
                #expect(try await app.post("counted", ["title": .string("t\(index)"), "gone": "x"]).status == 201)
            }
            try await WebhookTests.hook(app, receiver, "label", ["secret": "generate"])
            try await WorkflowTests.workflow(app, [["id": "w", "type": "wait", "duration": "1h"]])
            let user: JSONValue = ["email": "ann@x.example", "password": "password1", "roles": ["agent"]]
            #expect(try await app.post("_admin/users", user).status == 201)
            try await test(server, app, receiver)
        }
    }

    private static func contents(_ app: TestApp) async throws -> [String] {
        var texts: [String] = []
        for list in lists { texts.append(try await app.get(list).text) }
        return texts
    }

    // MARK: clones

    @Test(arguments: TestStore.allCases)
    func aCloneHasTheDefinitionsAndNothingElse(store: TestStore) async throws {
        try await Self.run(store) { server, app, _ in
            let made = try await Self.clone(server, ["name": "copy", "from": "till", "display_name": "Copy"])
            #expect(made.status == 201 && made["data"]["display_name"] == "Copy", "\(made)")
            let copy = try await Self.signIn(server, "copy")
            for list in Self.lists where list.hasPrefix("_admin") {
                #expect(try await copy.get(list).text == app.get(list).text, "\(list)")
            }
            #expect(try await copy.get("thing")["meta"]["total"] == 0)
            #expect(try await copy.get("_admin/users")["meta"]["total"] == 1)
            #expect(try await copy.post("counted", ["title": "first"])["data"]["id"] == 1)
            #expect(try await server.get("/api/copy/thing", token: app.token).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCloneWithRowsHasEveryByteAndGoesItsOwnWay(store: TestStore) async throws {
        try await Self.run(store) { server, app, _ in
            #expect(try await Self.clone(server, ["name": "copy", "from": "till", "rows": true]).status == 201)
            let copy = try await Self.signIn(server, "copy")
            #expect(try await Self.contents(copy) == Self.contents(app))
            _ = try await server.login("copy", "ann@x.example", "password1")
            // A key that was used there is free here.
            let key: HTTPFields = [.init("Idempotency-Key")!: "k"]
            #expect(try await app.post("label", ["text": "keyed"], headers: key).status == 201)
            #expect(try await Self.clone(server, ["name": "keyed", "from": "till", "rows": true]).status == 201)
            let keyed = try await Self.signIn(server, "keyed")
            let again = try await keyed.post("label", ["text": "another"], headers: key)
            #expect(again.status == 201 && again.headers[.init("Idempotency-Replayed")!] == nil, "\(again)")
            // Numbers go on, constraints hold, and neither app sees the other's rows.
            #expect(try await copy.post("counted", ["title": "t61"])["data"]["id"] == 61)
            #expect(try await app.post("counted", ["title": "t61"])["data"]["id"] == 61)
            #expect(try await copy.post("counted", ["title": "t1", "slug": "t1"]).status == 409)
            #expect(try await copy.delete("thing/1").status == 200)
            #expect(try await app.get("thing/1").status == 200)
            let field: JSONValue = ["name": "more", "type": "int", "default": 7]
            var entity = try await copy.get("_admin/entities/counted")["data"].value.objectValue ?? [:]
            entity["fields"] = .array((entity["fields"]?.arrayValue ?? []) + [field])
            #expect(try await copy.put("_admin/entities/counted", .object(entity)).status == 200)
            #expect(try await copy.get("counted/60")["data"]["more"] == 7)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCloneSendsAndDoesNothingThatWaitedInItsOriginal(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            let login = try await server.post(
                "/api/till/auth/login",
                ["email": "ann@x.example", "password": "password1"]
            )
            _ = try await app.make("label", ["text": "waits"])
            #expect(try await Self.clone(server, ["name": "copy", "from": "till", "rows": true]).status == 201)
            let copy = try await Self.signIn(server, "copy")
            try await copy.deliver()
            #expect(receiver.received.isEmpty)
            let log = try await WebhookTests.logs(copy)
            #expect(log.count == 1 && log[0]["status"] == "failed", "\(log)")
            #expect(log[0]["error"].string?.contains("copy") == true)
            #expect(try await WorkflowTests.instances(copy).map { $0["status"] } == ["cancelled"])
            let refresh: JSONValue = ["refresh_token": login["data"]["refresh_token"].value]
            #expect(try await server.post("/api/copy/auth/refresh", refresh).status == 401)
            #expect(try await server.post("/api/till/auth/refresh", refresh).status == 200)
            // The original goes on, and what is written in the copy is told with the same secret.
            try await app.deliver()
            #expect(receiver.received.count == 1)
            #expect(try await WorkflowTests.instances(app).map { $0["status"] } == ["running"])
            _ = try await copy.make("label", ["text": "new"])
            try await copy.deliver()
            #expect(receiver.received.count == 2 && receiver.received[1].headers["webhook-signature"] != nil)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatHasNoDefinitionAnyMoreIsCopiedToo(store: TestStore) async throws {
        try await Self.run(store) { server, app, _ in
            let definition = try await app.get("_admin/entities/thing")["data"].value
            #expect(try await app.delete("_admin/entities/thing").status == 200)
            #expect(try await Self.clone(server, ["name": "copy", "from": "till", "rows": true]).status == 201)
            let copy = try await Self.signIn(server, "copy")
            for place in [app, copy] { #expect(try await place.post("_admin/entities", definition).status == 201) }
            #expect(try await copy.get("thing").text == app.get("thing").text)
            #expect(try await copy.get("thing")["meta"]["total"].int ?? 0 > 3)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatCantBeClonedIsTold(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp("one")
            let cases: [(JSONObject, Int, [String])] = [
                (["name": "two", "from": "none"], 422, ["from unknown"]),
                (["name": "two", "from": "../one"], 422, ["from unknown"]),
                (["name": "one", "from": "one"], 409, ["name"]),
                (["name": "two", "rows": true], 422, ["rows type"]),
                (["name": "two", "from": 5], 422, ["from type"]),
                (["name": "two", "form": "one"], 422, ["form unknown"]),
            ]
            for (body, status, details) in cases {
                let answer = try await Self.clone(server, body)
                #expect(answer.status == status && answer.details == details, "\(answer)")
            }
            let token = try await server.platformToken()
            #expect(try await server.get("/api/_platform/apps", token: token)["data"].array.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aCopyTakenWhileOthersWriteIsOfOneMoment(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp("bank")
            try await app.makeEntity("account", fields: [["name": "n", "type": "int"]])
            var ids: [String] = []
            for amount in [400, 600] as [Int64] {
                ids.append(try await app.post("account", ["n": .integer(amount)])["data"]["id"].string ?? "")
            }
            let accounts = ids
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<3 {
                    group.addTask {
                        for round in 0..<60 {
                            // Both in one transaction, a thousand together.
                            let amount = Int64(writer * 100 + round)
                            let operations = zip(accounts, [amount, 1000 - amount]).map { id, amount -> JSONValue in
                                [
                                    "method": "PUT", "path": .string("/account/\(id)"),
                                    "body": ["n": .integer(amount)],
                                ]
                            }
                            let answer = try await app.post("_batch", ["operations": .array(operations)])
                            #expect(answer.status == 200, "\(answer)")
                        }
                    }
                }
                for index in 0..<3 {
                    let name = "bank\(index)"
                    let body: JSONObject = ["name": .string(name), "from": "bank", "rows": true]
                    #expect(try await Self.clone(server, body).status == 201)
                    let rows = try await Self.signIn(server, name).get("account")["data"].array
                    #expect(rows.count == 2 && rows.compactMap { $0["n"].int }.reduce(0, +) == 1000, "\(rows)")
                }
                try await group.waitForAll()
            }
        }
    }

    // MARK: backups

    @Test(arguments: TestStore.allCases)
    func aRestoredAppIsAsItWasAndDoesWhatWaited(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.inFolder { folder in
                _ = try await app.make("label", ["text": "waits"])
                let before = try await Self.contents(app)
                let report = try await Self.backUp(server, folder)
                #expect(report.status == 201 && report["data"]["apps"][0]["name"] == "till", "\(report)")
                #expect(report["data"]["warnings"].array.isEmpty)
                _ = try await app.make("label", ["text": "later"])
                let there = try await Self.restore(server, folder)
                #expect(there.status == 409 && there.details == ["apps"], "\(there)")
                _ = try await server.delete("/api/_platform/apps/till", token: try await server.platformToken())
                let restored = try await Self.restore(server, folder)
                #expect(restored.status == 201 && restored["data"]["warnings"].array.isEmpty, "\(restored)")
                let again = try await Self.signIn(server, "till")
                #expect(try await Self.contents(again) == before)
                #expect(try await server.get("/api/till/label", token: app.token).status == 401)
                try await again.deliver()
                #expect(receiver.received.map { $0.json["record"]["text"] } == ["waits"])
                #expect(try await WorkflowTests.instances(again).map { $0["status"] } == ["running"])
                #expect(try await again.after(seconds: 3700).get("label")["meta"]["total"] == 1)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func underAnotherNameAnAppIsACopy(store: TestStore) async throws {
        try await Self.run(store) { server, app, receiver in
            try await Self.inFolder { folder in
                _ = try await app.make("label", ["text": "waits"])
                #expect(try await Self.backUp(server, folder, ["till"]).status == 201)
                #expect(try await Self.restore(server, folder, ["as": "other"]).status == 201)
                let other = try await Self.signIn(server, "other")
                #expect(try await Self.contents(other) == Self.contents(app))
                try await other.deliver()
                #expect(receiver.received.isEmpty)
                let taken = try await Self.restore(server, folder, ["as": "other"])
                #expect(taken.status == 409)
                #expect(try await Self.restore(server, folder, ["as": "Other!"]).status == 422)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDamagedBackupIsRefusedAndMakesNothing(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            for name in ["one", "two"] { _ = try await server.makeApp(name) }
            try await Self.inFolder { folder in
                #expect(try await Self.backUp(server, folder).status == 201)
                let again = try await Self.backUp(server, folder)
                #expect(again.status == 409 && again.text.contains("already"), "\(again)")
                let token = try await server.platformToken()
                for name in ["one", "two"] { _ = try await server.delete("/api/_platform/apps/\(name)", token: token) }
                let url = URL(fileURLWithPath: folder).appendingPathComponent("apps/two.copy")
                let whole = try Data(contentsOf: url)
                for damaged in [Data(whole.dropLast(10)), Data(whole.dropLast(1) + [33]), Data()] {
                    try damaged.write(to: url)
                    let answer = try await Self.restore(server, folder)
                    #expect(answer.status == 422 && answer.text.contains("damaged"), "\(answer)")
                    #expect(try await server.get("/api/_platform/apps", token: token)["data"].array.isEmpty)
                }
                try whole.write(to: url)
                let unknown = try await Self.restore(server, folder, ["apps": ["one", "tow"]])
                #expect(unknown.status == 422 && unknown.text.contains("did you mean \\\"two\\\""), "\(unknown)")
                #expect(try await Self.restore(server, folder, ["as": "three"]).status == 422)
                #expect(try await Self.restore(server, folder, ["apps": ["two"]]).status == 201)
                #expect(try await Self.restore(server, folder + "x").status == 422)
                #expect(try await Self.restore(server, "relative").details == ["folder type"])
                #expect(try await Self.backUp(server, "/proc/nowhere/copy").status == 503)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWholeBackupMovesToAnotherServer(store: TestStore) async throws {
        try await Self.inFolder { folder in
            try await Self.run(store) { server, app, _ in
                let platform = try await server.control(
                    .post,
                    "/_control/users",
                    ["email": "op@x.example", "password": "operator1", "roles": ["platform_admin"]]
                )
                #expect(platform.status == 201)
                #expect(try await Self.backUp(server, folder).status == 201)
                let mode = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
                #expect(mode == 0o700)
            }
            try await TestServer.run(store) { server in
                #expect(try await Self.restore(server, folder).status == 201)
                let app = try await Self.signIn(server, "till")
                #expect(try await app.get("counted")["meta"]["total"] == 60)
                _ = try await server.login("_platform", "op@x.example", "operator1")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func usersOfThePlatformWhoAreThereStayAsTheyAre(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let make = { (email: String) -> JSONValue in
                [
                    "email": .string(email), "password": "operator1", "roles": ["platform_admin"],
                    "attributes": ["team": "red"],
                ]
            }
            let token = try await server.platformToken()
            for email in ["kept@x.example", "gone@x.example"] {
                #expect(try await server.post("/api/_platform/users", token: token, make(email)).status == 201)
            }
            try await Self.inFolder { folder in
                #expect(try await Self.backUp(server, folder).status == 201)
                let users = try await server.get("/api/_platform/users", token: token)["data"].array
                for user in users where user["email"].string?.hasSuffix("@x.example") == true {
                    let path = "/api/_platform/users/\(user["id"].string ?? "")"
                    if user["email"] == "gone@x.example" {
                        #expect(try await server.delete(path, token: token).status == 200)
                    } else {
                        #expect(
                            try await server.put(path, token: token, ["password": "another12", "active": false]).status
                                == 200
                        )
                    }
                }
                let restored = try await Self.restore(server, folder)
                #expect(
                    restored.status == 201 && restored["data"]["warnings"][0].string?.contains("kept@x") ?? false,
                    "\(restored)"
                )
                let login = { (email: String) in
                    try await server.post(
                        "/api/_platform/auth/login",
                        ["email": .string(email), "password": "operator1"]
                    ).status
                }
                #expect(try await login("kept@x.example") == 401)
                #expect(try await login("gone@x.example") == 200)
                let again = try await server.platformToken()
                let list = try await server.get("/api/_platform/users", token: again)["data"].array
                #expect(list.first { $0["email"] == "gone@x.example" }?["attributes"]["team"] == "red")
                #expect(list.first { $0["email"] == "kept@x.example" }?["active"] == false)
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aManifestThatCantBeIsRefusedBeforeAnythingIsDone(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            for name in ["one", "two"] { _ = try await server.makeApp(name) }
            try await Self.inFolder { folder in
                #expect(try await Self.backUp(server, folder, ["one", "two", "one"]).status == 201)
                let token = try await server.platformToken()
                for name in ["one", "two"] { _ = try await server.delete("/api/_platform/apps/\(name)", token: token) }
                let url = URL(fileURLWithPath: folder).appendingPathComponent("manifest.json")
                let manifest = try JSONParser.parse([UInt8](try Data(contentsOf: url))).objectValue ?? [:]
                let apps = manifest["apps"]?.arrayValue ?? []
                #expect(apps.count == 2)
                let evil: JSONValue = [
                    "email": "evil@x.example", "password_hash": "plain", "roles": ["platform_admin"],
                ]
                let changes: [(String, JSONValue, String)] = [
                    ("apps", .array([apps[0], ["name": "two", "sha256": nil]]), "apps[1]"),
                    ("apps", .array([apps[0], ["name": "../two", "sha256": "x"]]), "apps[1]"),
                    ("apps", .array([apps[0], apps[0]]), "apps[1]"), ("apps", .array([apps[0], 5]), "apps[1]"),
                    ("platform_users", [evil], "platform_users[0]"), ("platform_users", [7], "platform_users[0]"),
                ]
                for (name, value, place) in changes {
                    var changed = manifest
                    changed[name] = value
                    try Data(JSONValue.object(changed).jsonBytes).write(to: url)
                    let answer = try await Self.restore(server, folder)
                    #expect(answer.status == 422 && answer.text.contains("damaged at \(place)"), "\(answer)")
                    #expect(try await server.get("/api/_platform/apps", token: token)["data"].array.isEmpty)
                }
                try Data(JSONValue.object(manifest).jsonBytes).write(to: url)
                let copy = URL(fileURLWithPath: folder).appendingPathComponent("apps/two.copy")
                try FileManager.default.removeItem(at: copy)
                #expect(mkfifo(copy.path, 0o600) == 0)
                let answer = try await Self.restore(server, folder)
                #expect(answer.status == 422 && answer.text.contains("no file"), "\(answer)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBrokenAppKeepsNoOtherFromBeingCopied(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            for name in ["broken", "whole"] { _ = try await server.makeApp(name) }
            server.clock.advance(seconds: 600)
            await server.apps.closeIdleApps()
            _ = try await AppRegistryTests.breakDatabase(of: "broken", server, store)
            try await Self.inFolder { folder in
                let named = try await Self.backUp(server, folder, ["broken"])
                #expect(named.status == 503 && !FileManager.default.fileExists(atPath: folder), "\(named)")
                let all = try await Self.backUp(server, folder)
                #expect(all.status == 201 && all["data"]["apps"].array.map { $0["name"] } == ["whole"], "\(all)")
                #expect(all["data"]["failures"][0].string?.hasPrefix("broken: ") == true)
                let restored = try await Self.restore(server, folder, ["as": "again"])
                #expect(restored.status == 201, "\(restored)")
                let files = try FileManager.default.subpathsOfDirectory(atPath: folder)
                #expect(files.filter { $0.hasSuffix(".copy") } == ["apps/whole.copy"])
                let beside = URL(fileURLWithPath: folder).deletingLastPathComponent().path
                #expect(try FileManager.default.contentsOfDirectory(atPath: beside) == ["copy"], "nothing is left over")
            }
        }
    }

    @Test func whatOnlyPgDumpCopiesIsRefusedAndLeavesNothing() async throws {
        try await TestServer.run(.postgres) { server in
            let app = try await server.makeApp("source")
            try await app.makeEntity("thing", fields: [["name": "n", "type": "int"]])
            let own = try await server.provider.open(server.provider.databaseName(ofApp: "source"))
            for (make, remove, words) in [
                ("CREATE TYPE mood AS ENUM ('a')", "DROP TYPE mood", "things_rows.feeling"),
                (
                    "CREATE FUNCTION half(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2'",
                    "DROP FUNCTION half", "half"
                ),
            ] {
                let isType = make.contains("TYPE")
                let use =
                    isType ? "ALTER TABLE thing_rows ADD feeling mood" : "CREATE INDEX halves ON thing_rows (half(n))"
                let end = isType ? "ALTER TABLE thing_rows DROP feeling" : "DROP INDEX halves"
                _ = try await own.write([SQLStatement(make)], mode: .alone)
                _ = try await own.write([SQLStatement(use)], mode: .alone)
                let answer = try await Self.clone(server, ["name": "copy", "from": "source", "rows": true])
                #expect(answer.status == 409 && answer.text.contains("pg_dump"), "\(words): \(answer)")
                #expect(try await server.provider.exists(server.provider.databaseName(ofApp: "copy")) == false)
                _ = try await own.write([SQLStatement(end)], mode: .alone)
                _ = try await own.write([SQLStatement(remove)], mode: .alone)
            }
            #expect(try await Self.clone(server, ["name": "copy", "from": "source", "rows": true]).status == 201)
            let drafts = SQLStatement(
                "SELECT datname FROM pg_database WHERE datname LIKE current_database() || '%~%'",
                output: .values
            )
            #expect(try await server.apps.management.read([drafts])[0].rows.isEmpty)
            await own.close()
        }
    }

    @Test(arguments: TestStore.allCases)
    func rowsLargerThanAPieceAndManySmallOnesAreCopied(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp("large")
            try await app.makeEntity(
                "page",
                fields: [["name": "text", "type": "text"], ["name": "n", "type": "int"]]
            )
            var rows: [JSONValue] = []
            for n in 0..<4500 {
                let length = n % 700 == 0 ? 1_500_000 : n % 50 == 0 ? 20_000 : 3
                rows.append(["n": .integer(n), "text": .string(String(repeating: "\u{1F680}\"\n", count: length / 6))])
            }
            for chunk in stride(from: 0, to: rows.count, by: 500).map({ Array(rows[$0..<min($0 + 500, rows.count)]) }) {
                let answer = try await app.post("_admin/import", ["sample_data": ["page": .array(chunk)]])
                #expect(answer.status == 200, "\(answer.text.prefix(300))")
            }
            #expect(try await Self.clone(server, ["name": "copy", "from": "large", "rows": true]).status == 201)
            let copy = try await Self.signIn(server, "copy")
            #expect(try await copy.get("page?per_page=1")["meta"]["total"] == 4500)
            for n in [0, 1, 50, 699, 700, 1999, 2000, 2001, 4200, 4499] {
                let query = "page?filter[n]=\(n)&fields=id,text,n"
                #expect(try await copy.get(query).bytes == app.get(query).bytes, "\(n)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func onlyTheOneWhoRunsTheServerMakesBackups(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let token = try await server.platformToken()
            for path in ["/_control/backup", "/_control/restore"] {
                #expect(try await server.post(path, token: token, ["folder": "/tmp/x"]).status == 404)
            }
        }
    }
}
