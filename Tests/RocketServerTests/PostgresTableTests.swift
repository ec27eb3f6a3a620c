import RocketDatabase
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// Tables of PostgreSQL that have rules of their own, and what only its tables have.
struct PostgresTableTests {
    /// Runs a test on an app in whose database these statements have been run.
    private static func run(
        _ statements: [String],
        _ test: (TestServer, TestApp) async throws -> Void
    ) async throws {
        try await TestServer.run(.postgres) { server async throws in
            let app = try await server.makeApp()
            let database = try await server.provider.open(server.provider.databaseName(ofApp: "shop"))
            _ = try await database.write(statements.map { SQLStatement($0) }, mode: .alone)
            await database.close()
            try await test(server, app)
        }
    }

    private static func adopt(_ table: String, _ fields: [JSONValue], _ app: TestApp) async throws -> TestAnswer {
        try await app.post(
            "_admin/entities",
            [
                "name": "thing", "table": .string(table), "soft_delete": false,
                "primary_key": ["field": "id", "type": "int", "generated": false],
                "fields": .array([["name": "id", "type": "int"]] + fields),
            ]
        )
    }

    @Test func aRowThatATriggerSwallowsIsNotCreated() async throws {
        try await Self.run([
            "CREATE TABLE t (id int PRIMARY KEY, a int)",
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
            "CREATE TRIGGER swallow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing()",
        ]) { _, app async throws in
            #expect(try await Self.adopt("t", [["name": "a", "type": "int"]], app).status == 201)
            let answer = try await app.post("thing", ["id": 1, "a": 2])
            #expect(answer.status == 422 && answer.code == "VALIDATION_FAILED", "\(answer)")
        }
    }

    @Test func aConstraintThatIsCheckedAtTheCommitIsAConflict() async throws {
        try await Self.run([
            "CREATE TABLE t (id int PRIMARY KEY, code int, UNIQUE (code) DEFERRABLE INITIALLY DEFERRED)"
        ]) { _, app async throws in
            #expect(try await Self.adopt("t", [["name": "code", "type": "int"]], app).status == 201)
            #expect(try await app.post("thing", ["id": 1, "code": 5]).status == 201)
            let answer = try await app.post("thing", ["id": 2, "code": 5])
            #expect(answer.status == 409 && answer.details == ["code"], "\(answer)")
        }
    }

    @Test func whatTheTableRefusesIsAViolationAndNoFault() async throws {
        try await Self.run([
            "CREATE TABLE t (id int PRIMARY KEY, short varchar(3), low int CHECK (low < 10), must int DEFAULT 1 NOT NULL,"
                + " made int GENERATED ALWAYS AS (low * 2) STORED)"
        ]) { _, app async throws in
            let fields: [JSONValue] = [
                ["name": "short", "type": "string"], ["name": "low", "type": "int"], ["name": "must", "type": "int"],
                ["name": "made", "type": "int"],
            ]
            #expect(try await Self.adopt("t", fields, app).status == 201)
            let payloads: [JSONValue] = [
                ["id": 1, "short": "long"], ["id": 1, "low": 11], ["id": 1, "must": nil], ["id": 1, "made": 2],
            ]
            for payload in payloads {
                let answer = try await app.post("thing", payload)
                #expect(answer.status == 422, "\(payload.jsonText): \(answer)")
            }
            #expect(try await app.post("thing", ["id": 1, "must": nil]).details == ["must type"])
            #expect(try await app.get("thing")["meta"]["total"] == 0)
        }
    }

    @Test func aValueThatIsTooLongForItsIndexIsAViolationOfItsField() async throws {
        try await TestServer.run(.postgres) { server async throws in
            let app = try await server.makeApp()
            try await app.makeEntity("thing", fields: [["name": "code", "type": "string", "unique": true]])
            // Without a pattern, or it would be compressed to fit.
            var generator = SystemRandomNumberGenerator()
            let text = (0..<2600).map { _ in String(UInt8.random(in: 0...255, using: &generator), radix: 16) }.joined()
            let answer = try await app.post("thing", ["code": .string(text)])
            #expect(answer.status == 422 && answer.details == ["code type"], "\(answer)")
        }
    }

    @Test(arguments: ["text COLLATE \"und-x-icu\"", "char(5)", "timestamp", "numeric(5,2)"])
    func aColumnThatWouldAnswerOtherwiseIsNotAdopted(type: String) async throws {
        try await Self.run(["CREATE TABLE t (id int PRIMARY KEY, a \(type))"]) { _, app async throws in
            let asked = type == "timestamp" ? "timestamp" : type.hasPrefix("numeric") ? "decimal" : "string"
            let answer = try await Self.adopt("t", [["name": "a", "type": .string(asked)]], app)
            #expect(answer.status == 422 && answer.details == ["fields[1].type type"], "\(answer)")
        }
    }

    @Test func aTableThatCanHaveNoMoreColumnsIsNoFault() async throws {
        let columns = (1...1598).map { "c\($0) int" }.joined(separator: ", ")
        try await Self.run(["CREATE TABLE t (id int PRIMARY KEY, \(columns))"]) { _, app async throws in
            let fields = (1...5).map { number -> JSONValue in ["name": .string("new\(number)"), "type": "int"] }
            let answer = try await Self.adopt("t", fields, app)
            #expect(answer.status == 422, "\(answer)")
        }
    }
}
