import Foundation
import HTTPTypes
import RocketAutomation
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

@testable import RocketServer

/// Uploaded files over HTTP: what is stored, who may read it, and when it goes.
struct FileTests {
    private static let png: [UInt8] =
        [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + Array(repeating: 7, count: 5000)

    private static func run(
        _ store: TestStore,
        server: ServerSettings = ServerSettings(),
        _ test: (TestApp) async throws -> Void
    ) async throws {
        try await TestServer.run(store, server: server) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "photo",
                fields: [
                    ["name": "title", "type": "string"], ["name": "open", "type": "boolean"],
                    ["name": "image", "type": "file"], ["name": "secret", "type": "file"],
                    ["name": "album_id", "type": "uuid"],
                ],
                softDelete: true
            )
            try await test(app)
        }
    }

    private static func upload(_ app: TestApp, _ name: String = "a.png", _ bytes: [UInt8] = png) async throws
        -> TestJSON
    {
        let answer = try await Form.file(name, bytes).send(app)
        guard answer.status == 201 else { throw TestFailure("\(answer)") }
        return answer["data"]
    }

    private static func id(_ file: TestJSON) -> String { file["id"].string ?? "" }

    /// The names of what lies in the folder of files, drafts among them.
    private static func onDisk(_ app: TestApp) throws -> [String] {
        let root = app.server.filesDirectory
        let all = FileManager.default.enumerator(atPath: root)?.allObjects.compactMap { $0 as? String } ?? []
        return all.filter { UniqueID(String($0.suffix(36))) != nil || $0.hasSuffix(".part") }
    }

    // MARK: up and down

    @Test(arguments: TestStore.allCases)
    func whatGoesUpComesDown(store: TestStore) async throws {
        try await Self.run(store) { app in
            let sent = try await Form.file("holiday é.png", Self.png).send(app)
            #expect(sent.status == 201, "\(sent)")
            let file = sent["data"]
            #expect(file["filename"] == "holiday é.png" && file["mime_type"] == "image/png")
            #expect(file["size"].value == .integer(Self.png.count))
            let path = "_files/\(Self.id(file))"
            #expect(sent.headers[.location] == "/api/shop/\(path)")
            let answer = try await app.get(path)
            #expect(answer.status == 200 && answer.bytes == Self.png)
            #expect(answer.headers[.contentType] == "image/png" && answer.headers[.acceptRanges] == "bytes")
            #expect(
                answer.headers[.contentDisposition]
                    == "inline; filename=\"holiday _.png\"; filename*=UTF-8''holiday%20%C3%A9.png"
            )
            #expect(answer.headers[.contentSecurityPolicy]?.contains("sandbox") == true)
            #expect(answer.headers[.xContentTypeOptions] == "nosniff")
            let saved = try await app.get("\(path)?download=true")
            #expect(saved.headers[.contentDisposition]?.hasPrefix("attachment") == true)
            #expect(try await app.get("\(path)?downlod=true").status == 400)
            // Ranges, conditions and HEAD.
            let part = try await app.send(.get, path, headers: [.range: "bytes=0-7"])
            #expect(part.status == 206 && part.bytes == Array(Self.png.prefix(8)))
            #expect(part.headers[.contentRange] == "bytes 0-7/\(Self.png.count)")
            let last = try await app.send(.get, path, headers: [.range: "bytes=-2"])
            #expect(last.status == 206 && last.bytes == [7, 7])
            let beyond = try await app.send(.get, path, headers: [.range: "bytes=90000-"])
            #expect(beyond.status == 416 && beyond.headers[.contentRange] == "bytes */\(Self.png.count)")
            let tag = try #require(answer.headers[.eTag])
            #expect(try await app.send(.get, path, headers: [.ifNoneMatch: tag]).status == 304)
            let old = try await app.send(.get, path, headers: [.range: "bytes=0-7", .ifRange: "\"other\""])
            #expect(old.status == 200 && old.bytes == Self.png)
            let head = try await app.send(.head, path)
            #expect(head.status == 200 && head.bytes.isEmpty)
            #expect(head.headers[.contentLength] == "\(Self.png.count)")
            #expect(try await app.send(.head, path, headers: [.range: "bytes=0-7"]).status == 200)
            let same = try await app.send(.get, path, headers: [.ifNoneMatch: "W/\(tag), \"x\""])
            #expect(same.status == 304 && same.bytes.isEmpty)
            #expect(same.headers[.contentType] == nil && same.headers[.contentLength] == nil)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aRecordTakesTheIdAndKeepsWhatIsKnownOfTheFile(store: TestStore) async throws {
        try await Self.run(store) { app in
            let file = try await Self.upload(app)
            let id: JSONValue = .string(Self.id(file).uppercased())
            let expected: JSONValue = [
                "id": file["id"].value, "size": .integer(Self.png.count), "filename": "a.png", "mime_type": "image/png",
            ]
            let made = try await app.post("photo", ["title": "a", "image": id])
            #expect(made.status == 201 && made["data"]["image"].value == expected, "\(made)")
            // An object says which file it is, and nothing else of it.
            let forged: JSONValue = ["id": id, "filename": "virus.exe", "size": 1, "mime_type": "text/html", "more": 1]
            let path = "photo/\(made["data"]["id"].string ?? "")"
            let changed = try await app.put(path, ["secret": forged])
            #expect(changed.status == 200 && changed["data"]["secret"].value == expected, "\(changed)")
            #expect(try await app.put(path, ["secret": .null])["data"]["secret"].value == .null)
            // The record as it was read is what it may be written as.
            let read = try await app.get(path)["data"].value
            #expect(try await app.put(path, read).status == 200)
            #expect(try await app.get("photo?filter[image.is_null]=false")["meta"]["total"] == 1)
            let history = try await app.get("\(path)/history")["data"].array
            #expect(history.last?["changes"]["image"]["new"].value == expected)
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsNoFileOfOnesOwnIsRefusedWhereverItStands(store: TestStore) async throws {
        try await Self.run(store) { app in
            try await app.makeEntity("album", fields: [["name": "cover", "type": "file"]])
            let relation: JSONValue = [
                "name": "photos", "type": "one_to_many", "source": "album", "target": "photo", "source_key": "id",
                "target_key": "album_id", "on_delete": "cascade",
            ]
            #expect(try await app.post("_admin/relations", relation).status == 201)
            for action in ["create", "read", "update"] {
                for entity in ["photo", "album"] { try await PermissionTests.allow(app, action, entity, ["clerk"]) }
            }
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"]).app
            let others = try await Self.upload(app)
            let own = try await Self.upload(clerk)
            let missing = "11111111-1111-4111-8111-111111111111"
            let wrong: [JSONValue] = [
                .string(missing), ["id": .string(missing)], others["id"].value, ["filename": "x"],
                .object(JSONObject()),
                "no id", 7, [], ["id": 7], true,
                ["id": .string(missing), "filename": "x", "size": 1, "mime_type": "image/png"],
            ]
            for value in wrong {
                let answer = try await clerk.post("photo", ["image": value])
                #expect(answer.status == 422 && answer.details.first?.hasPrefix("image") == true, "\(value) \(answer)")
                let nested = try await clerk.post("album", ["photos": ["data": [["title": "x"], ["image": value]]]])
                #expect(nested.status == 422 && nested.details.first?.hasPrefix("photos[1].image") == true, "\(nested)")
            }
            let both: JSONValue = ["cover": own["id"].value, "photos": [["image": own["id"].value]]]
            let made = try await clerk.post("album", both)
            #expect(made.status == 201 && made["data"]["photos"].array[0]["image"]["size"] == 5008, "\(made)")
            // What somebody else shows in a record may be used.
            #expect(try await app.post("photo", ["image": others["id"].value]).status == 201)
            #expect(try await clerk.post("photo", ["image": others["id"].value]).status == 201)
            let operations: JSONValue = [
                ["method": "POST", "path": "/photo", "body": ["image": own["id"].value]],
                ["method": "POST", "path": "/photo", "body": ["image": .string(missing)]],
            ]
            let batch = try await clerk.post("_batch", ["operations": operations])
            #expect(batch.status == 422 && batch.details == ["operations[1].body.image type"], "\(batch)")
            #expect(try await clerk.put("photo/\(missing)", ["image": .string(missing)]).status == 404)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFileIsReadableAsItsRecordIs(store: TestStore) async throws {
        try await Self.run(store) { app in
            let open = PermissionTests.condition("open", "eq", true)
            try await PermissionTests.allow(app, "read", "photo", ["clerk"], [open], more: ["except": ["secret"]])
            let anyone: JSONObject = ["fields": ["id", "image"]]
            let public_ = PermissionTests.condition("title", "eq", "public")
            try await PermissionTests.allow(app, "read", "photo", ["anonymous"], [public_], more: anyone)
            let clerk = try await PermissionTests.user(app, "clerk", roles: ["clerk"]).app
            let (image, secret) = (try await Self.upload(app), try await Self.upload(app, "b.png"))
            let (imagePath, secretPath) = ("_files/\(Self.id(image))", "_files/\(Self.id(secret))")
            // Before a record has it, it is its uploader's and the administrators'.
            #expect(try await clerk.get(imagePath).status == 404)
            let made = try await app.post(
                "photo",
                ["open": false, "image": image["id"].value, "secret": secret["id"].value]
            )
            let path = "photo/\(made["data"]["id"].string ?? "")"
            #expect(try await clerk.get(imagePath).status == 404)
            #expect(try await app.put(path, ["open": true]).status == 200)
            #expect(try await clerk.get(imagePath).status == 200)
            #expect(try await clerk.get(secretPath).status == 404)
            let anonymous = { (path: String) in try await app.server.get("/api/shop/\(path)") }
            #expect(try await anonymous(imagePath).status == 401)
            #expect(try await app.put(path, ["title": "public"]).status == 200)
            let shown = try await anonymous(imagePath)
            #expect(shown.status == 200 && shown.bytes == Self.png && shown.headers[.cacheControl] == nil)
            for hidden in [secretPath, "_files/x", "_files/11111111-1111-4111-8111-111111111111"] {
                #expect(try await anonymous(hidden).status == 401, "\(hidden)")
            }
            for path in ["/api/nowhere/\(imagePath)", "/api/nowhere/\(imagePath)?z=1", "/api/shop/\(imagePath)?z=1"] {
                #expect(try await app.server.get(path).status == 401, "\(path)")
            }
            #expect(try await app.delete(path).status == 200)
            #expect(try await clerk.get(imagePath).status == 404)
            #expect(try await anonymous(imagePath).status == 401)
            #expect(try await app.get(imagePath).status == 200)
            // One's own is one's own no longer when a record has it that one can't read.
            let own = try await Self.upload(clerk)
            #expect(try await clerk.get("_files/\(Self.id(own))").status == 200)
            #expect(try await app.post("photo", ["open": false, "image": own["id"].value]).status == 201)
            #expect(try await clerk.get("_files/\(Self.id(own))").status == 404)
        }
    }

    @Test(arguments: TestStore.allCases)
    func importedRowsMayNameFilesAndWhatIsStoredMayBeWrittenAgain(store: TestStore) async throws {
        try await Self.run(store) { app in
            let file = try await Self.upload(app)
            let key = "11111111-1111-4111-8111-111111111111"
            let old = "22222222-2222-4222-8222-222222222222"
            let rows: JSONValue = [
                ["id": .string(key), "image": .string(Self.id(file).uppercased())],
                ["id": .string(old), "image": ["url": "elsewhere"]],
            ]
            let answer = try await app.post("_admin/import", ["version": 1, "sample_data": ["photo": rows]])
            #expect(answer.status == 200, "\(answer)")
            #expect(try await app.delete("_files/\(Self.id(file))").status == 409)
            for (id, title) in [(key, "a"), (old, "b")] {
                var record = try await app.get("photo/\(id)")["data"].value.objectValue ?? JSONObject()
                record["title"] = .string(title)
                let again = try await app.put("photo/\(id)", .object(record))
                let image = again["data"]["image"]
                #expect(
                    again.status == 200 && image["id"].value == record["image"]?.objectValue?["id"] ?? .null,
                    "\(again)"
                )
                #expect(image["url"] == "elsewhere" || image["size"] == 5008)
            }
            #expect(try await app.post("photo", ["image": ["url": "elsewhere"]]).status == 422)
            let fallback: JSONValue = [
                "name": "x", "primary_key": ["field": "id", "type": "uuid"],
                "fields": [["name": "id", "type": "uuid"], ["name": "f", "type": "file", "default": .string(key)]],
            ]
            #expect(try await app.post("_admin/entities", fallback).details == ["fields[1].default type"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aWorkflowPutsNoFileIntoARecordForWhoeverSetsItOff(store: TestStore) async throws {
        try await Self.run(store) { app in
            try await app.makeEntity("note", fields: [["name": "text", "type": "string"]])
            let workflow: JSONValue = [
                "name": "attach", "trigger": ["type": "record", "entity": "note", "action": "create"],
                "context": ["file": "record.text"],
                "steps": [
                    [
                        "id": "attach", "type": "action",
                        "actions": [["type": "create_record", "entity": "photo", "values": ["image": "context.file"]]],
                    ]
                ],
            ]
            let made = try await app.post("_admin/workflows", workflow)
            #expect(made.status == 201, "\(made)")
            let file = try await Self.upload(app)
            #expect(try await app.post("note", ["text": file["id"].value]).status == 201)
            try await app.deliver()
            #expect(try await app.get("photo")["meta"]["total"] == 0)
            let instance = try await app.get("_workflows")["data"].array.first
            #expect(instance?["status"] != "completed", "\(String(describing: instance))")
        }
    }

    // MARK: what clients send

    @Test(arguments: TestStore.allCases)
    func formsThatAreNoneAreRefusedAndLeaveNothing(store: TestStore) async throws {
        var settings = ServerSettings()
        settings.maximumFileBytes = 100_000
        try await Self.run(store, server: settings) { app in
            let small = Array("x".utf8)
            let file = #"form-data; name="file"; filename="a""#
            let forms: [(Form, Int)] = [
                (Form(parts: []), 422), (Form(parts: [(#"form-data; name="file""#, small)]), 422),
                (Form(parts: [(#"form-data; name="other"; filename="a""#, small)]), 422),
                (Form(parts: [(file, small), (file, small)]), 422),
                (Form(parts: [(file, small), (#"form-data; name="title""#, small)]), 422),
                (Form(parts: [("attachment", small)]), 400),
                (Form.file("a", Array(repeating: 1, count: 100_001)), 413),
                (Form.file("a", Array(repeating: 1, count: 300_000)), 413), (Form.file("a", []), 201),
                (Form.file("a", Array(repeating: 1, count: 100_000)), 201),
            ]
            for (form, status) in forms {
                let answer = try await form.send(app)
                #expect(answer.status == status, "\(form.parts.map(\.disposition)) \(answer)")
            }
            let whole = Form.file("a", small).bytes
            let type: HTTPFields = [.contentType: "multipart/form-data; boundary=----boundary42"]
            for cut in [0, 10, 60, whole.count - 8] {
                let answer = try await app.send(.post, "_files/upload", headers: type, body: Array(whole.prefix(cut)))
                #expect(answer.status == 400, "\(cut) \(answer)")
            }
            for type in ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "text/plain", ""]
            {
                let headers: HTTPFields = [.contentType: type]
                let answer = try await app.send(.post, "_files/upload", headers: headers, body: whole)
                #expect(answer.status == 415, "\(type) \(answer)")
            }
            // The two that were taken.
            #expect(try Self.onDisk(app).count == 2)
            #expect(try await app.get("_files")["meta"]["total"] == 2)
        }
    }

    @Test func noNameLeadsOutOfTheFolder() async throws {
        try await Self.run(.sqlite) { app in
            let names = [
                "../../../etc/passwd", "..\\..\\x", "/etc/passwd", "..", ".", "", "a\u{0}b", "a\r\nX: y", ".htaccess",
                "\u{202E}gnp.exe", String(repeating: "é", count: 400) + ".png", "con", "a/b\\c.txt", "  x  .txt. ",
                "<script>.html", "%2e%2e%2fx",
            ]
            for name in names {
                let disposition = #"form-data; name="file"; filename*=UTF-8''"#
                let form = Form(parts: [(disposition + percentEncoded(name), Self.png)])
                let answer = try await form.send(app)
                #expect(answer.status == 201, "\(name) \(answer)")
                let kept = answer["data"]["filename"].string ?? ""
                #expect(!kept.isEmpty && kept.utf8.count <= 200 && !kept.hasPrefix("."), "\(name) \(kept)")
                #expect(
                    !kept.unicodeScalars.contains { "/\\\u{0}\r\n\u{202E}<>".unicodeScalars.contains($0) },
                    "\(kept)"
                )
                #expect(try await app.get("_files/\(Self.id(answer["data"]))").status == 200)
            }
            let disk = try Self.onDisk(app)
            #expect(disk.count == names.count)
            for path in ["..%2F..%2Fconfig", "%2e%2e", "a%00b", "..", "x"] {
                #expect([404, 405].contains(try await app.get("_files/\(path)").status), "\(path)")
            }
        }
    }

    @Test(
        arguments: [
            ("x.png", Array("<html><script>alert(1)</script>".utf8), "text/plain", "inline"),
            ("x.html", Array("<html><script>alert(1)</script>".utf8), "text/html", "attachment"),
            ("x.svg", Array("<svg xmlns=\"http://www.w3.org/2000/svg\"/>".utf8), "image/svg+xml", "attachment"),
            ("x.txt", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], "image/png", "inline"),
            ("x.csv", Array("a,b\n1,é\n".utf8), "text/csv", "attachment"),
            (
                "x.docx", Array("PK\u{3}\u{4}rest".utf8),
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "attachment"
            ),
            ("x.bin", [0, 1, 2, 3], "application/octet-stream", "attachment"),
            ("x", Array(repeating: 0xFF, count: 20), "application/octet-stream", "attachment"),
            ("empty", [], "text/plain", "inline"),
            ("x.pdf", Array("%PDF-1.7".utf8), "application/pdf", "inline"),
        ] as [(String, [UInt8], String, String)]
    )
    func theTypeIsWhatTheBytesAre(name: String, bytes: [UInt8], type: String, disposition: String) async throws {
        try await Self.run(.sqlite) { app in
            let file = try await Self.upload(app, name, bytes)
            #expect(file["mime_type"] == TestJSON(.string(type)))
            let answer = try await app.get("_files/\(Self.id(file))")
            #expect(answer.headers[.contentType]?.hasPrefix(type) == true && answer.bytes == bytes)
            #expect(answer.headers[.contentDisposition]?.hasPrefix(disposition) == true)
        }
    }

    @Test func aUserUploadsSoMuchADayAndNoMore() async throws {
        var settings = ServerSettings()
        settings.fileBytesPerDay = 6000
        try await Self.run(.sqlite, server: settings) { app in
            let clerk = try await PermissionTests.user(app, "clerk", roles: []).app
            let file = try await Self.upload(clerk)
            // What is removed was uploaded all the same.
            #expect(try await clerk.delete("_files/\(Self.id(file))").status == 200)
            let refused = try await Form.file("a", Self.png).send(clerk)
            #expect(refused.status == 429 && refused.headers[.retryAfter] != nil, "\(refused)")
            for _ in 0..<3 { _ = try await Self.upload(app) }
            app.server.clock.advance(seconds: 24 * 3600 + 1)
            let token = try await app.server.login("shop", "clerk@x.example", "password1")
            _ = try await Self.upload(TestApp(server: app.server, name: "shop", token: token))
        }
    }

    @Test func uploadsAtOnceAreBoundedForAUserAndForAll() throws {
        let slots = UploadSlots()
        for _ in 0..<8 { try slots.take(for: "a") }
        #expect(throws: RequestFailure.self) { try slots.take(for: "a") }
        slots.giveBack(of: "a")
        try slots.take(for: "a")
        for user in 0..<7 { for _ in 0..<8 { try slots.take(for: "user \(user)") } }
        do {
            try slots.take(for: "b")
            Issue.record("more than there are")
        } catch {
            #expect(error.code == .unavailable)
        }
    }

    // MARK: the end

    @Test(arguments: TestStore.allCases)
    func aFileThatNoRecordUsesGoes(store: TestStore) async throws {
        try await Self.run(store) { app in
            let clerk = try await PermissionTests.user(app, "clerk", roles: []).app
            let files = [try await Self.upload(app), try await Self.upload(app), try await Self.upload(app)]
            let ids = files.map(Self.id)
            let made = try await app.post("photo", ["image": files[0]["id"].value, "secret": files[1]["id"].value])
            let path = "photo/\(made["data"]["id"].string ?? "")"
            #expect(try await app.delete("_files/\(ids[0])").status == 409)
            #expect(try await clerk.delete("_files/\(ids[2])").status == 404)
            let own = try await Self.upload(clerk)
            #expect(try await clerk.delete("_files/\(Self.id(own))").status == 200)
            #expect(try await clerk.delete("_files/\(Self.id(own))").status == 404)
            #expect(try Self.onDisk(app).count == 3)
            // A day later what was never used is gone; what is used stays, in a deleted record too.
            var later = try await app.after(seconds: 24 * 3600 + 60)
            #expect(try await later.delete(path).status == 200)
            await later.server.worker.tidy(steadyFor: .seconds(3600))
            #expect(try await later.get("_files")["data"].array.map(Self.id).sorted() == ids.prefix(2).sorted())
            #expect(try Self.onDisk(app).count == 2)
            #expect(try await later.post("\(path)/restore", [:]).status == 200)
            // One is taken out: it is kept for a day, and can be put back.
            #expect(try await later.put(path, ["secret": .null]).status == 200)
            await later.server.worker.tidy(steadyFor: .seconds(3600))
            #expect(try await later.get("_files/\(ids[1])").status == 200)
            #expect(try await later.put(path, ["secret": .string(ids[1])]).status == 200)
            later = try await later.after(seconds: 24 * 3600 + 60)
            await later.server.worker.tidy(steadyFor: .seconds(3600))
            #expect(try await later.get("_files/\(ids[1])").status == 200)
            #expect(try await later.delete("\(path)?purge=true").status == 200)
            for _ in 0..<2 {
                await later.server.worker.tidy(steadyFor: .seconds(3600))
                later = try await later.after(seconds: 24 * 3600 + 60)
            }
            await later.server.worker.tidy(steadyFor: .seconds(3600))
            #expect(try await later.get("_files")["meta"]["total"] == 0)
            #expect(try Self.onDisk(app).isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFileThatIsBeingUsedIsNotRemovedAtTheSameTime(store: TestStore) async throws {
        try await Self.run(store) { app in
            for _ in 0..<10 {
                let file = try await Self.upload(app)
                async let used = app.post("photo", ["image": file["id"].value])
                async let removed = app.delete("_files/\(Self.id(file))")
                let (made, gone) = (try await used.status, try await removed.status)
                let isThere = try await app.get("_files/\(Self.id(file))").status == 200
                #expect((made, gone, isThere) == (201, 409, true) || (made, gone, isThere) == (422, 200, false))
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func copiesAndBackupsHaveTheFilesAndRemovedAppsHaveNone(store: TestStore) async throws {
        try await Self.run(store) { app in
            let file = try await Self.upload(app)
            #expect(try await app.post("photo", ["image": file["id"].value]).status == 201)
            let platform = try await app.server.platformToken()
            let copy: JSONValue = ["name": "copy", "from": "shop", "rows": true]
            let copied = try await app.server.post("/api/_platform/apps", token: platform, copy)
            #expect(copied.status == 201, "\(copied)")
            let backup = app.server.filesDirectory + "-backup"
            let made = try await app.server.control(.post, "/_control/backup", ["folder": .string(backup)])
            #expect(made.status == 201, "\(made)")
            #expect(try await app.server.delete("/api/_platform/apps/shop", token: platform).status == 200)
            #expect(try Self.onDisk(app).count == 1)
            let path = "_files/\(Self.id(file))"
            let inCopy = try await app.server.get("/api/copy/\(path)", token: platform)
            #expect(inCopy.status == 200 && inCopy.bytes == Self.png)
            let body: JSONValue = ["folder": .string(backup), "apps": ["shop"]]
            // A backup that has lost files is none.
            let kept = backup + "/apps/shop.files"
            try FileManager.default.moveItem(atPath: kept, toPath: kept + ".away")
            #expect(try await app.server.control(.post, "/_control/restore", body).status == 422)
            try FileManager.default.moveItem(atPath: kept + ".away", toPath: kept)
            let restored = try await app.server.control(.post, "/_control/restore", body)
            #expect(restored.status == 201, "\(restored)")
            #expect(try await app.server.get("/api/shop/\(path)", token: platform).bytes == Self.png)
            #expect(try await app.server.delete("/api/_platform/apps/copy", token: platform).status == 200)
            #expect(try Self.onDisk(app).count == 1)
        }
    }
}
