import Foundation
import RocketPlanning
import RocketTestSupport
import Synchronization
import Testing

@testable import RocketDatabase

/// What becomes of writers that share a commit.
struct WriteBatchTests {
    @Test func thoseThatHoldAreAcknowledgedAfterOneCommit() async throws {
        let (log, callers, rows) = try await Self.run([.holds, .holds, .holds])
        #expect(log == ["run 0", "run 1", "run 2", "succeed 0", "succeed 1", "succeed 2"])
        #expect(callers == 0 && rows == [0, 1, 2])
    }

    @Test func theOneThatFailsFailsAloneAndTheOthersRunAgain() async throws {
        let (log, callers, rows) = try await Self.run([.holds, .fails, .holds])
        #expect(
            log == [
                "run 0", "run 1", "start over 0", "start over 1", "start over 2", "run 0", "run 1", "run 2",
                "succeed 0", "succeed 2", "fail 1",
            ]
        )
        #expect(callers == 0 && rows == [0, 2])
    }

    /// Nothing of it has happened, and it is run by itself later.
    @Test func theOneThatCallsOutsideIsGivenBack() async throws {
        let (log, callers, rows) = try await Self.run([.holds, .calls])
        #expect(log.suffix(4) == ["run 0", "run 1", "start over 1", "succeed 0"])
        #expect(callers == 1 && rows == [0])
    }

    /// A constraint that is looked at when all is written ends all of it.
    @Test func whereTheCommitFailsNobodyIsTold() async throws {
        let (log, callers, rows) = try await Self.run([.holds, .breaksTheCommit])
        #expect(log == ["run 0", "run 1", "fail 0", "fail 1"])
        #expect(callers == 0 && rows.isEmpty)
    }

    private static func run(_ kinds: [BatchTurn.Kind]) async throws -> (log: [String], callers: Int, rows: [Int64]) {
        let directory = try TemporaryDirectory()
        let path = directory.url.appendingPathComponent("batch.db").path
        let connection = try SQLiteConnection(path: path, role: .writer(.full), SQLiteSettings())
        let log = BatchLog()
        let turns = kinds.enumerated().map { BatchTurn($0.offset, $0.element, log) }
        let outcome: Result<(Int, [Int64]), any Error> = await withCheckedContinuation { continuation in
            connection.schedule { access in
                var batch = WriteBatch()
                do {
                    _ = try access.run(SQLStatement("CREATE TABLE x (y INTEGER PRIMARY KEY)"))
                    let deferred = "CREATE TABLE z (y INTEGER REFERENCES x (y) DEFERRABLE INITIALLY DEFERRED)"
                    _ = try access.run(SQLStatement(deferred))
                    let callers = batch.run(turns, access)
                    let rows = try access.run(SQLStatement("SELECT y FROM x ORDER BY y", output: .values)).rows
                    continuation.resume(returning: .success((callers.count, rows.compactMap { $0[0].integerValue })))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        await connection.close()
        try directory.remove()
        let (callers, rows) = try outcome.get()
        return (log.lines.withLock { $0 }, callers, rows)
    }
}

private final class BatchLog: Sendable {
    let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

private final class BatchTurn: Turn {
    enum Kind {
        case holds
        case fails
        case calls
        case breaksTheCommit
    }

    let mode = WriteMode.shared
    let isBrief = false
    private let number: Int
    private let kind: Kind
    private let log: BatchLog

    init(_ number: Int, _ kind: Kind, _ log: BatchLog) {
        (self.number, self.kind, self.log) = (number, kind, log)
    }

    func runReading(_ access: borrowing SQLiteAccess) {}

    func advanceWriting(_ access: borrowing SQLiteAccess) throws -> OutsideCall? {
        log.add("run \(number)")
        _ = try access.run(SQLStatement("INSERT INTO x VALUES (\(number))"))
        switch kind {
        case .holds: return nil
        case .fails: throw DatabaseFailure.overloaded
        case .calls: return {}
        case .breaksTheCommit:
            _ = try access.run(SQLStatement("INSERT INTO z VALUES (1000)"))
            return nil
        }
    }

    func startOver() { log.add("start over \(number)") }
    func succeed() { log.add("succeed \(number)") }
    func fail(_ failure: DatabaseFailure) { log.add("fail \(number)") }
    func fail(with error: any Error) { log.add("fail \(number)") }
}
