import RocketPlanning

/// One database on a PostgreSQL server, over connections that the reactor makes as they are needed.
final class PostgresDatabase: AppDatabase {
    let dialect = SQLDialect.postgres
    let isRemote = true
    private let reactor: PostgresReactor
    private let pool: PoolID
    private let lockMilliseconds: Int

    init(_ target: PostgresTarget, on reactor: PostgresReactor, lockMilliseconds: Int) {
        self.reactor = reactor
        self.lockMilliseconds = lockMilliseconds
        pool = reactor.newPool()
        reactor.post(.open(pool, target))
    }

    func read<Script: TransactionScript>(_ script: Script) async throws -> Script.Outcome {
        try await run(script, .read)
    }

    func write<Script: TransactionScript>(_ script: Script, mode: WriteMode) async throws -> Script.Outcome {
        switch mode {
        case .shared: try await run(script, .write)
        case .alone: try await run(script, .alone(lockMilliseconds: lockMilliseconds))
        }
    }

    /// Runs a script whose reads all see one moment, and which may call outside in between.
    func readAtOneMoment<Script: TransactionScript>(_ script: Script) async throws -> Script.Outcome {
        try await run(script, .snapshot(lockMilliseconds: lockMilliseconds))
    }

    /// Runs a statement that can be in no transaction.
    func execute(_ text: String) async throws {
        _ = try await run(StatementList(statements: [SQLStatement(text)]), .bare)
    }

    private func run<Script: TransactionScript>(
        _ script: Script,
        _ mode: TransactionMachine.Mode
    ) async throws -> Script.Outcome {
        try await withCheckedThrowingContinuation { continuation in
            let run = ScriptRun(script, mode, continuation)
            do {
                // The first step is taken here: it costs the reactor nothing and tells which connection it needs.
                let first = try run.begin()
                if case .done = first { return run.succeed() }
                guard reactor.post(.submit(run, first, Self.lane(first, mode), pool)) else {
                    return run.fail(DatabaseFailure.unavailable(cause: "the server stops"))
                }
            } catch {
                run.fail(error)
            }
        }
    }

    private static func lane(_ step: TransactionMachine.Step, _ mode: TransactionMachine.Mode) -> PoolMachine.Lane {
        guard mode == .read, case .finish(let statements) = step, statements.allSatisfy(\.isBrief) else { return .own }
        return .sharing
    }

    func load() async -> DatabaseLoad {
        await withCheckedContinuation { continuation in
            if !reactor.post(.load(pool, continuation)) { continuation.resume(returning: DatabaseLoad()) }
        }
    }

    func close() async {
        await withCheckedContinuation { continuation in
            if !reactor.post(.close(pool, continuation)) { continuation.resume() }
        }
    }
}
