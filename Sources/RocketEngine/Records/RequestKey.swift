import Crypto
import Foundation
import RocketDatabase
package import RocketModel
import RocketPlanning

/// The `Idempotency-Key` of a request: what makes it safe to send the request again.
package struct RequestKey: Sendable {
    /// How long a key holds.
    package static let seconds: Int64 = 24 * 3600
    package static let maximumBytes = 255

    /// The caller, the method, the path and the key, as a hash.
    let key: String
    /// Of what was sent.
    let body: String
    let now: Timestamp

    var since: Timestamp { now.adding(seconds: -Self.seconds) }

    /// - Parameter owner: who may use the key: the same key of somebody else is another one.
    /// - Throws: 400 for a key that can't be one.
    package init(
        _ text: String,
        owner: String,
        method: String,
        path: String,
        body: [UInt8],
        now: Timestamp
    ) throws(RequestFailure) {
        guard (1...Self.maximumBytes).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            let message = "An Idempotency-Key has 1 to \(Self.maximumBytes) visible ASCII characters"
            throw .parameter("Idempotency-Key", message)
        }
        key = Accounts.hash(ofToken: [owner, method, path, text].joined(separator: "\n"))
        self.body = SHA256.hash(data: Data(body)).hexadecimal
        self.now = now
    }
}

/// Somebody has used the key before; the transaction is rolled back.
private struct KeyIsKnown: Error {}

extension AppContext {
    /// The answer that was given when a key was used first.
    ///
    /// - Throws: 422 where that request was another one.
    package func answer(to key: RequestKey) async throws -> KeptAnswer? {
        let store = RequestKeyStore(database.dialect)
        let row = try await database.read([store.answer(of: key.key, since: key.since)])[0].rows.first
        guard let known = row.flatMap(store.read) else { return nil }
        guard known.body == key.body else {
            let message = "This key was used for another request; send a new one"
            throw RequestFailure.validation([FailureDetail(field: "Idempotency-Key", message: message)])
        }
        return known.answer
    }

    /// Removes keys that hold no longer.
    package func pruneRequestKeys(now: Timestamp) async throws {
        let store = RequestKeyStore(database.dialect)
        let prune = store.prune(before: now.adding(seconds: -RequestKey.seconds), limit: 500)
        while try await database.write([prune])[0].changes == 500, !Task.isCancelled {}
    }
}

/// A script that is carried out once for a key: the key is taken with its first statements, and the answer kept with its
/// last ones, in the same transaction.
struct KeyedScript<Script: AnnouncingScript>: AnnouncingScript {
    private enum State {
        case start
        /// The first results are the key's.
        case claimed
        case running
        case keeping(Script.Outcome)
    }

    private var script: Script
    private let key: RequestKey
    private let store: RequestKeyStore
    private let answer: @Sendable (Script.Outcome) -> KeptAnswer
    private var state = State.start
    /// A first step that has no statements.
    private var first: TransactionStep<Script.Outcome>?

    var awaitedCalls: [AwaitedCall] { script.awaitedCalls }

    /// - Parameter answer: what is answered when all is done.
    init(
        _ script: Script,
        _ key: RequestKey,
        _ store: RequestKeyStore,
        _ answer: @escaping @Sendable (Script.Outcome) -> KeptAnswer
    ) {
        self.script = script
        self.key = key
        self.store = store
        self.answer = answer
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Script.Outcome> {
        switch state {
        case .start:
            state = .claimed
            let claim = store.claim(key.key, body: key.body, now: key.now, since: key.since)
            switch try script.next([]) {
            case .run(let statements), .finish(let statements): return .run([claim] + statements)
            case let step:
                first = step
                return .run([claim])
            }
        case .claimed:
            guard let claim = results.first, !claim.rows.isEmpty else { throw KeyIsKnown() }
            state = .running
            if let first { return goOn(first) }
            return goOn(try script.next(Array(results.dropFirst())))
        case .running: return goOn(try script.next(results))
        case .keeping(let outcome): return .done(outcome)
        }
    }

    private mutating func goOn(_ step: TransactionStep<Script.Outcome>) -> TransactionStep<Script.Outcome> {
        switch step {
        // The commit comes after the answer is kept.
        case .run(let statements), .finish(let statements): return .run(statements)
        case .call(let call): return .call(call)
        case .done(let outcome):
            state = .keeping(outcome)
            return .finish([store.keep(answer(outcome), of: key.key)])
        }
    }
}

/// A key with what is answered to the request.
package struct KeyedAnswer<Outcome: Sendable>: Sendable {
    let key: RequestKey
    let answer: @Sendable (Outcome) -> KeptAnswer

    package init(_ key: RequestKey, _ answer: @escaping @Sendable (Outcome) -> KeptAnswer) {
        self.key = key
        self.answer = answer
    }

    func script<Script: AnnouncingScript>(_ script: Script, _ dialect: SQLDialect) -> KeyedScript<Script>
    where Script.Outcome == Outcome {
        KeyedScript(script, key, RequestKeyStore(dialect), answer)
    }
}
