import RocketDatabase
import RocketPlanning
import RocketTestSupport
import Synchronization
import Testing

/// What only PostgreSQL does, over real connections.
struct PostgresTests {
    private static func run(
        _ adjust: (inout PostgresSettings) -> Void = { _ in },
        _ test: (any AppDatabase) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        var settings = try TestCluster.settings(for: directory.url)
        adjust(&settings)
        let provider = try PostgresProvider(settings: settings, logger: .silent)
        let database = try await provider.openManagement()
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await test(database))
        } catch {
            outcome = .failure(error)
        }
        await database.close()
        await provider.close()
        try await TestStore.postgres.remove(directory)
        try outcome.get()
    }

    private static func number(_ sql: String, isBrief: Bool = false) -> SQLStatement {
        SQLStatement(sql, output: .values, isBrief: isBrief)
    }

    private static let one = number("SELECT 1", isBrief: true)

    private static func answers(_ database: any AppDatabase) async throws -> Bool {
        try await database.read([one])[0].rows == [[.integer(1)]]
    }

    /// Runs two statements, the second after the first has given its result.
    private struct TwoSteps: TransactionScript {
        let first: SQLStatement
        let second: SQLStatement
        var step = 0

        mutating func next(_ results: [StatementResult]) -> TransactionStep<Void> {
            step += 1
            switch step {
            case 1: return .run([first])
            case 2: return .finish([second])
            default: return .done(())
            }
        }
    }

    private final class Count: Sendable {
        let value = Mutex(0)
    }

    @Test func aStatementThatRunsTooLongIsEndedAndTheConnectionGoesOn() async throws {
        try await Self.run {
            $0.statementLimit = .milliseconds(200)
        } _: { database async throws in
            let start = ContinuousClock.now
            do {
                _ = try await database.read([Self.number("SELECT pg_sleep(20)")])
                Issue.record("it ended")
            } catch DatabaseFailure.timedOut {}
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(try await Self.answers(database))
        }
    }

    @Test func aChangeOfTablesMayTakeLongerThanAStatementAlsoBehindASetting() async throws {
        try await Self.run {
            $0.statementLimit = .milliseconds(500)
            $0.appPoolSize = 1
        } _: { database async throws in
            // A brief read first, so that the connection is set anew for the change.
            _ = try await Self.answers(database)
            let change = [SQLStatement("CREATE TABLE t (id int)"), SQLStatement("SELECT pg_sleep(8)")]
            _ = try await database.write(change, mode: .alone)
            #expect(try await database.read([Self.number("SELECT count(*) FROM t")])[0].rows == [[.integer(0)]])
        }
    }

    @Test func whoWaitsTooLongForAConnectionIsTurnedAway() async throws {
        try await Self.run {
            $0.appPoolSize = 1
            // Long enough for the first connection on a busy machine.
            $0.waitLimit = .seconds(5)
        } _: { database async throws in
            _ = try await Self.answers(database)
            let slow = Task { try await database.read([Self.number("SELECT pg_sleep(14)")]) }
            try await Task.sleep(for: .seconds(1))
            do {
                _ = try await database.read([Self.number("SELECT 2")])
                Issue.record("it ran")
            } catch DatabaseFailure.overloaded {}
            _ = try await slow.value
        }
    }

    @Test func briefReadsGoOnWhileSlowStatementsHaveTheirConnections() async throws {
        try await Self.run {
            $0.appPoolSize = 4
        } _: { database async throws in
            _ = try await Self.answers(database)
            let ended = Count()
            let slow = (0..<6).map { _ in
                Task {
                    _ = try await database.read([Self.number("SELECT pg_sleep(5)")])
                    ended.value.withLock { $0 += 1 }
                }
            }
            try await Task.sleep(for: .milliseconds(50))
            #expect(try await Self.answers(database))
            // More than have a connection at once, so that the brief ones would have waited for the first to end.
            #expect(ended.value.withLock { $0 } < 6)
            for task in slow { try await task.value }
        }
    }

    @Test func noMoreConnectionsAreMadeThanThePoolMayHave() async throws {
        try await Self.run {
            $0.appPoolSize = 3
        } _: { database async throws in
            let counts = try await withThrowingTaskGroup(of: Int64.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        let count = Self.number(
                            "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01) WHERE datname = current_database()"
                                + " AND application_name = 'rocket'"
                        )
                        return try await database.read([count])[0].rows[0][0].integerValue ?? 0
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            // One more for making and dropping databases.
            #expect((1...4).contains(counts.max() ?? 0))
        }
    }

    @Test func connectionsThatTheServerEndsAreReplaced() async throws {
        try await Self.run { database async throws in
            _ = try await database.write([SQLStatement("CREATE TABLE t (id int primary key)")])
            let others = Self.number(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    + " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            var acknowledged: Set<Int64> = []
            for round in 0..<20 {
                // Those that run meanwhile fail or hold; none hangs, and the next ones work.
                acknowledged.formUnion(
                    await withTaskGroup(of: Int64?.self) { group in
                        for index in 0..<6 {
                            group.addTask {
                                let id = Int64(round * 10 + index)
                                let row = SQLStatement("INSERT INTO t VALUES (\(id))")
                                guard (try? await database.write([row])) != nil else { return nil }
                                _ = try? await database.read([Self.one])
                                return id
                            }
                        }
                        group.addTask {
                            _ = try? await database.read([others])
                            return nil
                        }
                        return await group.reduce(into: [Int64]()) { if let id = $1 { $0.append(id) } }
                    }
                )
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(try await Self.answers(database))
            let rows = try await database.read([Self.number("SELECT id FROM t")])[0].rows
            #expect(acknowledged.isSubset(of: Set(rows.compactMap { $0[0].integerValue })))
            #expect(!acknowledged.isEmpty)
        }
    }

    @Test func aDeadlockIsTriedAgainAndBothWritersSucceed() async throws {
        try await Self.run { database async throws in
            _ = try await database.write(
                [
                    SQLStatement("CREATE TABLE t (id int primary key, n int)"),
                    SQLStatement("INSERT INTO t VALUES (1, 0), (2, 0)"),
                ],
                mode: .alone
            )
            let raise: @Sendable (Int) -> SQLStatement = { id in
                SQLStatement("UPDATE t SET n = n + 1 FROM pg_sleep(0.2) WHERE id = \(id)")
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (first, second) in [(1, 2), (2, 1)] {
                    group.addTask {
                        try await database.write(TwoSteps(first: raise(first), second: raise(second)))
                    }
                }
                try await group.waitForAll()
            }
            let rows = try await database.read([Self.number("SELECT n FROM t ORDER BY id")])[0].rows
            #expect(rows == [[.integer(2)], [.integer(2)]])
        }
    }

    @Test func aStatementThatWasPreparedForAnotherTableIsPreparedAgain() async throws {
        try await Self.run { database async throws in
            _ = try await database.write([SQLStatement("CREATE TABLE t (id int primary key, n int)")])
            let select = Self.number("SELECT * FROM t WHERE id = 1", isBrief: true)
            let insert = SQLStatement("INSERT INTO t (id, n) VALUES (1, $1)", binds: [.integer(5)])
            _ = try await database.write([insert])
            for _ in 0..<8 { #expect(try await database.read([select])[0].rows == [[.integer(1), .integer(5)]]) }
            _ = try await database.write([SQLStatement("ALTER TABLE t ALTER COLUMN n TYPE text")], mode: .alone)
            #expect(try await database.read([select])[0].rows == [[.integer(1), .text("5")]])
            _ = try await database.write([SQLStatement("ALTER TABLE t ADD COLUMN m int")], mode: .alone)
            #expect(try await database.read([select])[0].rows == [[.integer(1), .text("5"), .null]])
            _ = try await database.write([SQLStatement("DELETE FROM t")])
            // Bound to a column that was an integer when it was prepared.
            _ = try await database.write([SQLStatement(insert.text, binds: [.text("five")])])
            #expect(try await database.read([select])[0].rows == [[.integer(1), .text("five"), .null]])
        }
    }

    @Test func statementsWithoutEndDoNotFillTheServer() async throws {
        try await Self.run {
            $0.appPoolSize = 1
        } _: { database async throws in
            for index in 0..<400 {
                let result = try await database.read([Self.number("SELECT \(index)")])[0]
                #expect(result.rows == [[.integer(Int64(index))]])
            }
            let count = try await database.read([Self.number("SELECT count(*) FROM pg_prepared_statements")])
            #expect((count[0].rows[0][0].integerValue ?? 0) <= 251)
        }
    }

    @Test func statementsThatAreRefusedDoNotFillTheServerEither() async throws {
        try await Self.run {
            $0.appPoolSize = 1
        } _: { database async throws in
            _ = try await database.write([SQLStatement("CREATE TABLE t (id int primary key)")])
            let row = SQLStatement("INSERT INTO t VALUES ($1)", binds: [.integer(1)])
            _ = try await database.write([row])
            for _ in 0..<100 {
                do {
                    _ = try await database.write([row])
                    Issue.record("the second row was taken")
                } catch DatabaseFailure.uniqueViolation {}
            }
            let count = try await database.read([Self.number("SELECT count(*) FROM pg_prepared_statements")])
            #expect((count[0].rows[0][0].integerValue ?? 100) < 10)
        }
    }

    @Test func aViolationThatIsFoundAtTheCommitIsToldAsOne() async throws {
        try await Self.run { database async throws in
            _ = try await database.write([
                SQLStatement("CREATE TABLE t (id int, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)")
            ])
            let row = SQLStatement("INSERT INTO t VALUES (1)")
            _ = try await database.write([row])
            do {
                _ = try await database.write([row])
                Issue.record("the second row was taken")
            } catch DatabaseFailure.uniqueViolation(let table, let columns) {
                #expect(table == "t" && columns == ["id"])
            }
            #expect(try await database.read([Self.number("SELECT count(*) FROM t")])[0].rows == [[.integer(1)]])
        }
    }

    @Test func readsOfOtherTablesGoOnWhileOneIsChanged() async throws {
        try await Self.run {
            $0.appPoolSize = 4
            // Those who wait for the table wait as long as the change takes, however slow the machine.
            $0.lockLimit = .seconds(60)
        } _: { database async throws in
            _ = try await database.write(
                [
                    SQLStatement("CREATE TABLE a (id int primary key)"),
                    SQLStatement("CREATE TABLE b (id int primary key)"),
                ],
                mode: .alone
            )
            let read: @Sendable (String) -> SQLStatement = { table in
                Self.number("SELECT count(*) FROM \(table) WHERE id = 1", isBrief: true)
            }
            _ = try await database.read([read("b")])
            let change = Task {
                try await database.write(
                    [SQLStatement("ALTER TABLE a ADD COLUMN n int"), SQLStatement("SELECT pg_sleep(9)")],
                    mode: .alone
                )
            }
            try await Task.sleep(for: .milliseconds(500))
            let blocked = (0..<4).map { _ in Task { try await database.read([read("a")]) } }
            let start = ContinuousClock.now
            for _ in 0..<3 { _ = try await database.read([read("b")]) }
            // Without a bound on its wait for the table, each of these would wait for the change to end.
            #expect(ContinuousClock.now - start < .seconds(7))
            _ = try await change.value
            for task in blocked { #expect(try await task.value[0].rows == [[.integer(0)]]) }
        }
    }

    @Test func aLargeTextMakesTheRoundTrip() async throws {
        try await Self.run { database async throws in
            let text = String(repeating: "äöü\n\"", count: 1_000_000)
            let echo = SQLStatement("SELECT $1::text", binds: [.text(text)], output: .values)
            let results = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<3 {
                    group.addTask { try await database.read([echo])[0].rows == [[.text(text)]] }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(results == [true, true, true])
        }
    }

    @Test func aTextWithNULIsNotCutShort() async throws {
        try await Self.run { database async throws in
            let echo = SQLStatement("SELECT $1::text", binds: [.text("a\0b")], output: .values)
            await #expect(throws: DatabaseFailure.self) { try await database.read([echo]) }
            #expect(try await Self.answers(database))
        }
    }

    @Test func aChangeOfTablesWaitsForThoseWhoUseThemOnlySoLong() async throws {
        try await Self.run {
            $0.lockLimit = .seconds(1)
        } _: { database async throws in
            _ = try await database.write([SQLStatement("CREATE TABLE t (id int primary key)")])
            let holder = Task {
                try await database.write(
                    TwoSteps(first: SQLStatement("LOCK TABLE t"), second: SQLStatement("SELECT pg_sleep(8)"))
                )
            }
            try await Task.sleep(for: .milliseconds(300))
            let start = ContinuousClock.now
            do {
                _ = try await database.write([SQLStatement("ALTER TABLE t ADD COLUMN n int")], mode: .alone)
                Issue.record("it did not wait")
            } catch DatabaseFailure.overloaded {}
            #expect(ContinuousClock.now - start < .seconds(6))
            try await holder.value
        }
    }

    @Test func aServerThatIsNotThereIsUnavailableAtOnce() async throws {
        var settings = try PostgresSettings(connectionText: "postgres://nobody@127.0.0.1:1/none")
        settings.waitLimit = .seconds(600)
        let provider = try PostgresProvider(settings: settings, logger: .silent)
        let start = ContinuousClock.now
        do {
            _ = try await provider.openManagement()
            Issue.record("it opened")
        } catch DatabaseFailure.unavailable {}
        // Well before the time that anybody waits for a connection, even where the machine is busy.
        #expect(ContinuousClock.now - start < .seconds(60))
        await provider.close()
    }

    @Test func aHostIsFoundByItsName() async throws {
        try await Self.run {
            $0.parameters["host"] = "localhost"
        } _: { database async throws in
            #expect(try await Self.answers(database))
        }
    }

    @Test func aHostThatNobodyKnowsIsUnavailable() async throws {
        let settings = try PostgresSettings(connectionText: "postgres://nobody@no-such-host.invalid/none")
        let provider = try PostgresProvider(settings: settings, logger: .silent)
        await #expect(throws: DatabaseFailure.self) { _ = try await provider.openManagement() }
        await provider.close()
    }

    @Test(arguments: [
        "nonsense", "postgres://u:secret@h:port=x/x?y", "http://u:secret@x", "postgres://u:pw@secret@h/d",
        "postgres://h/a/b", "postgres://h/template1",
    ])
    func aTextThatNamesNoDatabaseIsRefusedWithoutRepeatingIt(text: String) {
        do throws(ConnectionTextFailure) {
            _ = try PostgresSettings(connectionText: text)
            Issue.record("it was taken")
        } catch {
            #expect(!error.description.contains("secret"))
        }
    }
}
