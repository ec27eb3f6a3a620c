import RocketDatabase
import RocketModel
import RocketPlanning
import RocketTestSupport
import Synchronization
import Testing

/// What every store must do, whatever it is.
struct StoreConformanceTests {
    private static func run(_ store: TestStore, _ test: (any AppDatabase) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let provider = try store.makeProvider(in: directory.url)
        await (try await provider.openManagement()).close()
        #expect(try await provider.create(provider.databaseName(ofApp: "test")))
        let database = try await provider.open(provider.databaseName(ofApp: "test"))
        do {
            try await test(database)
        } catch {
            await database.close()
            await provider.close()
            try await store.remove(directory)
            throw error
        }
        await database.close()
        try await provider.drop(provider.databaseName(ofApp: "test"))
        await provider.close()
        try await store.remove(directory)
    }

    private static func makeTable(_ database: any AppDatabase) async throws {
        _ = try await database.write(
            [
                SQLStatement("CREATE TABLE \"t\" (\"id\" INTEGER PRIMARY KEY NOT NULL, \"name\" TEXT)"),
                SQLStatement("CREATE UNIQUE INDEX \"t_name\" ON \"t\" (\"name\")"),
            ],
            mode: .alone
        )
    }

    private static func insert(_ id: Int64, _ name: String?, _ dialect: SQLDialect) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("INSERT INTO \"t\" (\"id\", \"name\") VALUES (")
        sql.bind(stored: .integer(id))
        sql.append(", ")
        sql.bind(stored: name.map(SQLValue.text) ?? .null)
        sql.append(")")
        return sql.statement()
    }

    private static let all = SQLStatement("SELECT \"id\", \"name\" FROM \"t\" ORDER BY \"id\"", output: .values)

    private struct OutsideRefusal: Error {}

    /// Inserts a row, calls outside, and then inserts another one or throws.
    private struct CallingScript: TransactionScript {
        let statements: [SQLStatement]
        let fails: Bool
        let call: OutsideCall
        var position = 0

        mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Void> {
            position += 1
            switch position {
            case 1: return .run([statements[0]])
            case 2: return .call(call)
            case 3 where fails: throw OutsideRefusal()
            case 3: return .run([statements[1]])
            default: return .done(())
            }
        }
    }

    /// The call is made once, with the transaction open and unseen, and what comes of it decides.
    @Test(arguments: TestStore.allCases, [false, true])
    func aTransactionWaitsForWhatItCallsOutside(store: TestStore, fails: Bool) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            let seen = Mutex<[Int]>([])
            let script = CallingScript(
                statements: [Self.insert(1, "a", database.dialect), Self.insert(2, "b", database.dialect)],
                fails: fails
            ) {
                let rows = try? await database.read([Self.all])[0].rows
                seen.withLock { $0.append(rows?.count ?? -1) }
            }
            async let others: Void = withThrowingTaskGroup(of: Void.self) { group in
                for id in 10..<20 {
                    group.addTask { _ = try await database.write([Self.insert(Int64(id), nil, database.dialect)]) }
                }
                try await group.waitForAll()
            }
            if fails {
                await #expect(throws: OutsideRefusal.self) { try await database.write(script) }
            } else {
                try await database.write(script)
            }
            try await others
            let rows = try await database.read([Self.all])[0].rows
            #expect(rows.count == (fails ? 10 : 12))
            #expect(rows.contains { $0[0] == .integer(1) } == !fails)
            let looks = seen.withLock { $0 }
            #expect(looks.count == 1 && looks[0] >= 0 && looks[0] <= 10, "\(looks)")
        }
    }

    /// Two at once, each in a transaction of its own, and a store that closes under one that waits.
    @Test(arguments: TestStore.allCases)
    func callersComeOneAfterTheOther(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in stride(from: Int64(1), to: 9, by: 2) {
                    let script = CallingScript(
                        statements: [
                            Self.insert(id, nil, database.dialect), Self.insert(id + 1, nil, database.dialect),
                        ],
                        fails: false
                    ) {
                        await Task.yield()
                    }
                    group.addTask { try await database.write(script) }
                }
                try await group.waitForAll()
            }
            #expect(try await database.read([Self.all])[0].rowCount == 8)
        }
    }

    @Test(arguments: TestStore.allCases)
    func closingEndsATransactionThatWaits(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            let hasCalled = AsyncStream<Void>.makeStream()
            let script = CallingScript(
                statements: [Self.insert(1, nil, database.dialect), Self.insert(2, nil, database.dialect)],
                fails: false
            ) {
                hasCalled.continuation.yield()
                do { try await Task.sleep(for: .seconds(3)) } catch {
                    // The one that waits is told to stop waiting.
                }
            }
            let written = Task { try await database.write(script) }
            for await _ in hasCalled.stream { break }
            await database.close()
            await #expect(throws: DatabaseFailure.self) { try await written.value }
        }
    }

    /// Runs its statements, then throws.
    private struct FailingScript: TransactionScript {
        let statements: [SQLStatement]
        var isRun = false

        mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Void> {
            guard isRun else {
                isRun = true
                return .run(statements)
            }
            throw RequestFailure(.conflict, "no")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsWrittenIsReadAsValuesAndAsJSON(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            _ = try await database.write([
                Self.insert(1, "a \"quoted\" \\ \u{1F600}\u{1}", database.dialect),
                Self.insert(2, nil, database.dialect),
            ])
            let shape = RowShape(columns: [
                ColumnShape(name: "id", type: .int), ColumnShape(name: "name", type: .string),
            ])
            let both = SQLStatement(Self.all.text, output: .valuesAndJSON(shape))
            let result = try await database.read([both])[0]
            #expect(result.rows == [[.integer(1), .text("a \"quoted\" \\ \u{1F600}\u{1}")], [.integer(2), .null]])
            #expect(
                String(decoding: result.json, as: UTF8.self)
                    == #"{"id":1,"name":"a \"quoted\" \\ 😀\u0001"},{"id":2,"name":null}"#
            )
            #expect(result.rowCount == 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anEmptyTextIsNotNull(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            _ = try await database.write([Self.insert(1, "", database.dialect)])
            #expect(try await database.read([Self.all])[0].rows == [[.integer(1), .text("")]])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aScriptThatThrowsChangesNothing(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            await #expect(throws: RequestFailure.self) {
                try await database.write(FailingScript(statements: [Self.insert(1, "a", database.dialect)]))
            }
            #expect(try await database.read([Self.all])[0].rows.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFailureAmongWritersThatShareACommitFailsAlone(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            _ = try await database.write([Self.insert(0, "taken", database.dialect)])
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for index in 1...200 {
                    group.addTask {
                        do {
                            if index % 3 == 0 {
                                try await database.write(
                                    FailingScript(statements: [Self.insert(Int64(index), "n\(index)", database.dialect)]
                                    )
                                )
                            } else {
                                let name = index % 5 == 0 ? "taken" : "n\(index)"
                                _ = try await database.write([Self.insert(Int64(index), name, database.dialect)])
                            }
                            return true
                        } catch {
                            return false
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            let expected = (1...200).filter { $0 % 3 != 0 && $0 % 5 != 0 }
            #expect(outcomes == expected.count)
            let rows = try await database.read([Self.all])[0].rows
            #expect(rows.dropFirst().map(\.[0]) == expected.map { .integer(Int64($0)) })
        }
    }

    @Test(arguments: TestStore.allCases)
    func aUniqueViolationNamesItsColumns(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            _ = try await database.write([Self.insert(1, "a", database.dialect)])
            do {
                _ = try await database.write([Self.insert(2, "a", database.dialect)])
                Issue.record("the second row was taken")
            } catch DatabaseFailure.uniqueViolation(let table, let columns) {
                #expect(table == "t" && columns == ["name"])
            }
            do {
                _ = try await database.write([Self.insert(1, "b", database.dialect)])
                Issue.record("the second row was taken")
            } catch DatabaseFailure.uniqueViolation(let table, let columns) {
                #expect(table == "t" && columns == ["id"])
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aStatementThatIsNoSQLIsAFaultAndLeavesTheStoreUsable(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            do {
                _ = try await database.write([Self.insert(1, "a", database.dialect), SQLStatement("SELEKT 1")])
                Issue.record("it was taken")
            } catch DatabaseFailure.fault {}
            #expect(try await database.read([Self.all])[0].rows.isEmpty)
            _ = try await database.write([Self.insert(1, "a", database.dialect)])
            #expect(try await database.read([Self.all])[0].rows.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aReadOfSeveralStatementsSeesOneMoment(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            let writer = Task {
                for index in 1...300 {
                    _ = try await database.write([Self.insert(Int64(index), nil, database.dialect)])
                }
            }
            let count = SQLStatement("SELECT count(*) FROM \"t\"", output: .values)
            for _ in 0..<200 {
                let results = try await database.read([count, Self.all, count])
                let counts = [results[0].rows[0][0], .integer(Int64(results[1].rows.count)), results[2].rows[0][0]]
                #expect(Set(counts).count == 1)
            }
            try await writer.value
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsClosedIsUnavailable(store: TestStore) async throws {
        try await Self.run(store) { database in
            try await Self.makeTable(database)
            await database.close()
            await #expect(throws: DatabaseFailure.self) { try await database.read([Self.all]) }
            await #expect(throws: DatabaseFailure.self) {
                try await database.write([Self.insert(1, nil, database.dialect)])
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aDatabaseIsMadeOnceAndDroppedForGood(store: TestStore) async throws {
        let directory = try TemporaryDirectory()
        let provider = try store.makeProvider(in: directory.url)
        await (try await provider.openManagement()).close()
        let name = provider.databaseName(ofApp: "once")
        #expect(try await provider.create(name))
        #expect(try await !provider.create(name))
        let database = try await provider.open(name)
        try await Self.makeTable(database)
        await database.close()
        try await provider.drop(name)
        try await provider.drop(name)
        await #expect(throws: DatabaseFailure.self) { _ = try await provider.open(name) }
        #expect(try await provider.create(name))
        let fresh = try await provider.open(name)
        await #expect(throws: DatabaseFailure.self) { try await fresh.read([Self.all]) }
        await fresh.close()
        try await provider.drop(name)
        await provider.close()
        try await store.remove(directory)
    }

    @Test(arguments: TestStore.allCases)
    func theSystemTablesAreMadeOnce(store: TestStore) async throws {
        try await Self.run(store) { database in
            for _ in 0..<3 { try await SystemSchema.app.migrate(database) }
            let version = SQLStatement(
                "SELECT \"value\" FROM \"_meta\" WHERE \"key\" = 'schema_version'",
                output: .values
            )
            #expect(
                try await database.read([version])[0].rows == [
                    [.integer(Int64(SystemSchema.app.version(database.dialect)))]
                ]
            )
            _ = try await database.write([
                SQLStatement("UPDATE \"_meta\" SET \"value\" = 999 WHERE \"key\" = 'schema_version'")
            ])
            await #expect(throws: DatabaseFailure.self) { try await SystemSchema.app.migrate(database) }
        }
    }
}
