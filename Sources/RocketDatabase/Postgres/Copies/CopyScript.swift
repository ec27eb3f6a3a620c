import RocketModel
import RocketPlanning
import Synchronization

/// The pieces of a copy on their way out of the transaction that reads them.
final class CopyOutbox: Sendable {
    private let sink: any CopySink
    private let failure = Mutex<(any Error)?>(nil)

    init(_ sink: any CopySink) {
        self.sink = sink
    }

    func put(_ pieces: [CopyPiece]) async {
        do {
            try await sink.take(pieces)
        } catch {
            failure.withLock { $0 = error }
        }
    }

    func requireWhole() throws {
        if let error = failure.withLock({ $0 }) { throw error }
    }
}

/// Reads a whole database, as it is at one moment, and hands it on piece by piece, so that neither side holds more than a
/// piece in memory. It sees tables, their rows, constraints, indexes and sequences in the schema `public`; what else there
/// is, somebody else has put there, and it is named.
struct CopyScript: TransactionScript {
    private enum State {
        case start
        case locked
        case described
        case counted
        /// Next, the rows of the table at this place.
        case opening(Int)
        /// The lengths of its next rows.
        case measured(Int)
        case fetched(Int)
        case sent(Int)
        case atEnd
    }

    private let tables: [String]
    private let outbox: CopyOutbox
    private var state = State.start
    private var catalog = CopyCatalog()
    /// The lengths of the next rows of the table at hand, from `nextSize` on.
    private var sizes: [Int] = []
    private var nextSize = 0

    /// - Parameter tables: those that were there just before.
    init(tables: [String], outbox: CopyOutbox) {
        self.tables = tables
        self.outbox = outbox
    }

    /// A piece has no more rows than this, and no more bytes, but for a row that has more by itself.
    private static let maximumRows = 2000
    private static let maximumBytes = 1 << 20

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<[String]> {
        try outbox.requireWhole()
        switch state {
        case .start:
            state = .locked
            // Before anything is read: what is seen then is what the locks hold as it is (manual, LOCK).
            return .run(CopySession.settings + (tables.isEmpty ? [] : [CopyCatalog.lock(tables)]) + CopyCatalog.queries)
        case .locked:
            catalog = CopyCatalog(results.suffix(CopyCatalog.queries.count))
            guard catalog.tables.map(\.name) == tables else { throw TablesChanged() }
            if let problem = catalog.problem { throw RequestFailure(.conflict, problem) }
            state = .described
            return .run(catalog.sequenceStates)
        case .described:
            catalog.noteSequences(results)
            state = .counted
            let pieces = catalog.sequences.filter { !$0.isIdentity }.map {
                CopyPiece.sequence(name: $0.name, type: $0.type)
            }
            return call(pieces)
        case .counted: return table(0)
        case .opening(let place):
            state = .measured(place)
            let closing = place > 0 ? [SQLStatement("CLOSE _copy"), SQLStatement("CLOSE _sizes")] : []
            return .run(closing + catalog.cursors(place) + [fetchSizes])
        case .measured(let place):
            sizes = (results.last?.rows ?? []).compactMap { $0.first?.integerValue.map(Int.init) }
            nextSize = 0
            return sizes.isEmpty ? table(place + 1) : piece(of: place)
        case .fetched(let place):
            let rows = (results.last?.rows ?? []).compactMap { $0.first?.textValue }
            state = .sent(place)
            return call([.rows(rows)])
        case .sent(let place):
            guard nextSize < sizes.count else {
                state = .measured(place)
                return .run([fetchSizes])
            }
            return piece(of: place)
        case .atEnd: return .done(catalog.leftOut)
        }
    }

    private var fetchSizes: SQLStatement { SQLStatement("FETCH \(Self.maximumRows) FROM _sizes", output: .values) }

    private mutating func piece(of place: Int) -> TransactionStep<[String]> {
        var bytes = sizes[nextSize]
        var count = 1
        while nextSize + count < sizes.count, bytes + sizes[nextSize + count] <= Self.maximumBytes {
            bytes += sizes[nextSize + count]
            count += 1
        }
        nextSize += count
        state = .fetched(place)
        return .run([SQLStatement("FETCH \(count) FROM _copy", output: .values)])
    }

    private mutating func table(_ place: Int) -> TransactionStep<[String]> {
        guard place < catalog.tables.count else {
            state = .atEnd
            return call([.afterwards(catalog.afterwards)])
        }
        state = .opening(place)
        return call([.table(catalog.tables[place])])
    }

    private func call(_ pieces: [CopyPiece]) -> TransactionStep<[String]> {
        .call { [outbox] in await outbox.put(pieces) }
    }
}

/// Tables were made or removed while a copy began.
struct TablesChanged: Error {}

/// How texts of values are written and read, whatever the server's own settings are.
enum CopySession {
    static let settings = [
        "SET LOCAL datestyle TO 'ISO, YMD'", "SET LOCAL intervalstyle TO 'postgres'", "SET LOCAL timezone TO 'UTC'",
        "SET LOCAL extra_float_digits TO 1", "SET LOCAL bytea_output TO 'hex'", "SET LOCAL search_path TO public",
        "SET LOCAL synchronize_seqscans TO off", "SET LOCAL max_parallel_workers_per_gather TO 0",
    ].map { SQLStatement($0) }
}
