import Foundation
import RocketDatabase
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// What is SQLite's own.
struct SQLiteTests {
    private static func run(_ settings: SQLiteSettings, _ test: (SQLiteDatabase) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.url.appendingPathComponent("test.db").path
        let database = try SQLiteDatabase(path: path, settings: settings, logger: .silent)
        try await test(database)
        await database.close()
        try directory.remove()
    }

    @Test func aCommitIsSyncedToTheDiskByDefault() async throws {
        try await Self.run(SQLiteSettings()) { database in
            let pragmas = ["PRAGMA synchronous", "PRAGMA journal_mode", "PRAGMA foreign_keys"]
            let results = try await database.write(pragmas.map { SQLStatement($0, output: .values) })
            #expect(results.map { $0.rows[0][0] } == [.integer(2), .text("wal"), .integer(1)])
        }
    }

    /// As a full disk leaves it: closing could not write the log into the file.
    @Test func aFileWhoseLogIsLeftGetsNoOtherName() async throws {
        let directory = try TemporaryDirectory()
        let provider = try SQLiteProvider(directory: directory.url, logger: .silent)
        #expect(try await provider.create("draft.db"))
        let database = try await provider.open("draft.db")
        _ = try await database.write([SQLStatement("CREATE TABLE x (y)")])
        await database.close()
        let log = directory.url.appendingPathComponent("apps/draft.db-wal")
        try Data("pages".utf8).write(to: log)
        await #expect(throws: DatabaseFailure.self) { try await provider.rename("draft.db", to: "app.db") }
        #expect(try await !provider.exists("app.db"))
        try FileManager.default.removeItem(at: log)
        #expect(try await provider.rename("draft.db", to: "app.db"))
        let renamed = try await provider.open("app.db")
        _ = try await renamed.write([SQLStatement("INSERT INTO x VALUES (1)")])
        await renamed.close()
        try directory.remove()
    }

    /// Writers that share a commit: one that fails takes nobody along, and its own writes are gone.
    @Test func ofWritersThatShareACommitTheOneThatFailsFailsAlone() async throws {
        try await Self.run(SQLiteSettings()) { database in
            _ = try await database.write([SQLStatement("CREATE TABLE x (y UNIQUE, z)")])
            for round in 0..<20 {
                await withTaskGroup(of: Bool.self) { group in
                    for writer in 0..<16 {
                        group.addTask {
                            // Each fourth collides with the first of its round, in its second statement.
                            let key = writer % 4 == 3 ? 0 : writer
                            do {
                                _ = try await database.write([
                                    SQLStatement("INSERT INTO x VALUES ('\(round)-first-\(writer)', 0)"),
                                    SQLStatement("INSERT INTO x VALUES ('\(round)-\(key)', 1)"),
                                ])
                                return true
                            } catch {
                                return false
                            }
                        }
                    }
                    var held = 0
                    for await isHeld in group where isHeld { held += 1 }
                    // Of those with the same key one holds.
                    #expect(held == 12, "\(round)")
                }
            }
            let counts = try await database.read([
                SQLStatement("SELECT count(*), sum(z) FROM x", output: .values)
            ])
            #expect(counts[0].rows[0] == [.integer(480), .integer(240)])
        }
    }

    /// SQLite says what kind it is in an extended code: here SQLITE_CORRUPT_INDEX, as after a disk that has lost a page.
    @Test func whatIsWrongWithTheFileIsNoFaultOfTheStatement() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.url.appendingPathComponent("test.db").path
        for statements in [
            [
                "CREATE TABLE x (y, z)", "INSERT INTO x VALUES (1, 2)", "CREATE INDEX i ON x (y)",
                "PRAGMA writable_schema = ON",
                "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON x (z)' WHERE name = 'i'",
            ], [],
        ] {
            let database = try SQLiteDatabase(path: path, logger: .silent)
            if statements.isEmpty {
                do {
                    _ = try await database.write([SQLStatement("DELETE FROM x WHERE y = 1")])
                    Issue.record("it was written")
                } catch DatabaseFailure.unavailable {}
            } else {
                _ = try await database.write(statements.map { SQLStatement($0) })
            }
            await database.close()
        }
        try directory.remove()
    }

    @Test func aReaderCantWrite() async throws {
        try await Self.run(SQLiteSettings()) { database in
            await #expect(throws: DatabaseFailure.self) {
                try await database.read([SQLStatement("CREATE TABLE x (y)")])
            }
        }
    }

    @Test func aStatementThatRunsTooLongIsInterrupted() async throws {
        var settings = SQLiteSettings()
        settings.statementLimit = .milliseconds(100)
        try await Self.run(settings) { database in
            let endless = SQLStatement(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
                output: .values
            )
            let start = ContinuousClock.now
            do {
                _ = try await database.read([endless])
                Issue.record("it ended")
            } catch DatabaseFailure.timedOut {}
            #expect(ContinuousClock.now - start < .seconds(60))
            #expect(try await database.read([SQLStatement("SELECT 1", output: .values)])[0].rows == [[.integer(1)]])
        }
    }

    @Test func whoIsOneTooManyIsRefusedAtOnce() async throws {
        var settings = SQLiteSettings()
        settings.maximumWaiting = 4
        settings.statementLimit = .milliseconds(300)
        try await Self.run(settings) { database in
            let slow = SQLStatement(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
                output: .values
            )
            let overloaded = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<12 {
                    group.addTask {
                        do {
                            _ = try await database.read([slow])
                        } catch DatabaseFailure.overloaded {
                            return true
                        } catch {}
                        return false
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(overloaded >= 6)
        }
    }

    @Test(arguments: [
        ("abc", "abc", true), ("ABC", "abc", true), ("ÄÖ", "äö", true), ("abc", "a%", true), ("abc", "%c", true),
        ("abc", "a_c", true),
        ("abc", "a_", false), ("a%c", "a\\%c", true), ("abc", "a\\%c", false), ("", "%", true), ("", "", true),
        ("a", "", false),
        ("aXbXc", "a%x%c", true), ("aaa", "%a%a%a%", true), ("aa", "%a%a%a%", false), ("straße", "STRAßE", true),
        ("éa", "_a", true),
    ])
    func ilikeMatchesByUnicode(text: String, pattern: String, isMatch: Bool) throws {
        #expect(try LikePattern(pattern, ignoresCase: true).matches(text) == isMatch)
    }

    @Test func aHostilePatternIsNoWorkToSpeakOf() throws {
        let pattern = LikePattern(String(repeating: "%a", count: 500) + "%b", ignoresCase: true)
        #expect(try !pattern.matches(String(repeating: "a", count: 5000)))
    }

    @Test func aHostilePatternIsStoppedAtTheDeadline() async throws {
        var settings = SQLiteSettings()
        settings.statementLimit = .milliseconds(200)
        try await Self.run(settings) { database in
            let text = String(repeating: "a", count: 3_000_000)
            let pattern = "%" + String(repeating: "_", count: 900) + "b"
            let match = SQLStatement(
                "SELECT \(SQLDialect.ilikeFunction)(?1, ?2)",
                binds: [.text(text), .text(pattern)],
                output: .values
            )
            let start = ContinuousClock.now
            do {
                _ = try await database.read([match])
                Issue.record("it ended")
            } catch DatabaseFailure.timedOut {}
            #expect(ContinuousClock.now - start < .seconds(60))
        }
    }
}
