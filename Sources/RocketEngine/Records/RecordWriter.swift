import RocketDatabase
package import RocketModel
package import RocketPlanning
import Synchronization

/// Runs record operations: one request is one transaction.
package enum RecordWriter {
    /// - Throws: what the operation's plan and its transaction throw; nothing has changed then.
    package static func run(
        _ operation: RecordOperation,
        access: Access,
        cause: Cause = .none,
        keyed: KeyedAnswer<OperationOutcome>? = nil,
        calls: SynchronousCalls,
        _ dependencies: EngineDependencies,
        in app: AppContext
    ) async throws -> OperationOutcome {
        let slugs = MadeSlugs()
        let setting = OperationSetting(access: access, dependencies: dependencies, slugs: slugs, cause: cause)
        let script = try operation.script(setting)
        if access.snapshot.makesWork { await app.expectWork(dependencies) }
        do {
            let outcome = try await retryingSlugs(slugs) {
                let journal =
                    access.snapshot.awaitsCalls
                    ? AwaitedCallJournal(calls, access, in: app, now: dependencies.now) : nil
                return try await write(script, keyed, journal, dependencies, in: app)
            }
            if access.snapshot.makesWork { app.workIsDue() }
            return outcome
        } catch let failure as DatabaseFailure {
            throw slugs.located(failure) ?? failure
        }
    }

    private static func write(
        _ script: some AnnouncingScript<OperationOutcome>,
        _ keyed: KeyedAnswer<OperationOutcome>?,
        _ journal: AwaitedCallJournal?,
        _ dependencies: EngineDependencies,
        in app: AppContext
    ) async throws -> OperationOutcome {
        if let keyed {
            let script = keyed.script(script, app.database.dialect)
            return try await write(script, nil, journal, dependencies, in: app)
        }
        guard let journal else { return try await app.database.write(script) }
        return try await app.write(script, journal, dependencies)
    }

    /// A slug that was free when it was looked for may be taken by another writer before it is stored; then the next
    /// free one is looked for.
    static func retryingSlugs<Value>(_ slugs: MadeSlugs, _ write: () async throws -> Value) async throws -> Value {
        for _ in 0..<maximumSlugRaces {
            do {
                return try await write()
            } catch DatabaseFailure.uniqueViolation(let table, let columns) where slugs.contain(columns, of: table) {
                continue
            }
        }
        return try await write()
    }

    /// Each lost race means that another writer has won one.
    private static let maximumSlugRaces = 50
}

/// What a transaction was about: written inside it, read when it has failed.
final class MadeSlugs: Sendable {
    /// The slug columns for which it has made values, by table.
    private let columns = Mutex<[String: String]>([:])
    private let written = Mutex<(tree: WriteTree, access: TreeAccess?)?>(nil)

    func note(_ tree: WriteTree, _ access: TreeAccess?) { written.withLock { $0 = (tree, access) } }

    /// What was written before was another operation's.
    func beginOperation() { written.withLock { $0 = nil } }

    /// A taken value with its place in the payload, or the refusal of one who could not have stored it; nil where there
    /// is none to tell.
    func located(_ failure: DatabaseFailure) -> RequestFailure? {
        guard case .uniqueViolation(let table, let columns) = failure,
            let (tree, access) = written.withLock({ $0 })
        else { return nil }
        do {
            try access?.requirePossible(tree.rows, isFailing: true)
        } catch {
            return error
        }
        guard let place = tree.place(ofTaken: columns, in: table), !place.path.isEmpty else { return nil }
        return RequestFailure(
            .conflict,
            "A \(place.entity) with this \(columns.joined(separator: ", ")) exists already",
            details: columns.map { FailureDetail(field: "\(place.path).\($0)", message: "is taken") }
        )
    }

    func note(_ entity: EntityModel) {
        guard let field = entity.slugField else { return }
        columns.withLock { $0[entity.definition.table] = field.name }
    }

    func contain(_ columns: [String], of table: String) -> Bool {
        columns.count == 1 && self.columns.withLock { $0[table] } == columns[0]
    }
}

extension StoredRecord {
    /// The row that an INSERT or UPDATE gave back.
    init(_ result: StatementResult, of entity: EntityModel) {
        let keyIndex = entity.index(of: entity.key.name) ?? 0
        let key: String? =
            switch result.rows.first?[keyIndex] {
            case .text(let text): text
            case .integer(let whole): String(whole)
            case .null, .double, nil: nil
            }
        self.init(json: result.json, tag: RecordVersion.tag(ofRow: result.json), key: key)
    }
}

/// Lookups, then the INSERT. Without lookups it is one step.
struct CreateScript: AnnouncingScript {
    private enum State {
        case start
        case lookedUp
        case slug(SlugSearch)
        case written
    }

    /// Who is told of a record makes it a tree.
    var awaitedCalls: [AwaitedCall] { [] }
    private var plan: CreatePlan
    private let slugs: MadeSlugs
    private var state = State.start

    init(plan: CreatePlan, slugs: MadeSlugs) {
        self.plan = plan
        self.slugs = slugs
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        switch state {
        case .start:
            guard !plan.needs.references.isEmpty else { return slugOrInsert() }
            state = .lookedUp
            return .run(plan.needs.references.map(\.statement))
        case .lookedUp:
            try WritePlanner.judgeReferences(plan.needs, results, entity: plan.entity)
            return slugOrInsert()
        case .slug(var search):
            guard let slug = search.judge(results) else {
                state = .slug(search)
                return .run([search.statement])
            }
            slugs.note(plan.entity)
            plan.setSlug(slug)
            return insert()
        case .written:
            guard results[0].rowCount > 0 else {
                throw RequestFailure.validation([
                    FailureDetail(message: "the table stored no row: a trigger of its own has refused it")
                ])
            }
            return .done(.stored(StoredRecord(results[0], of: plan.entity)))
        }
    }

    private mutating func slugOrInsert() -> TransactionStep<OperationOutcome> {
        guard let base = plan.needs.slugBase, let search = SlugSearch(base, plan.entity, except: nil) else {
            return insert()
        }
        state = .slug(search)
        return .run([search.statement])
    }

    private mutating func insert() -> TransactionStep<OperationOutcome> {
        state = .written
        return .finish(WritePlanner.insert(plan))
    }
}

/// The stored row, locked; lookups; the UPDATE.
struct UpdateScript: AnnouncingScript {
    private enum State {
        case start
        case lookedUp
        case slug(SlugSearch, stored: StatementResult)
        case written
    }

    /// Who is told of a record makes it a tree.
    var awaitedCalls: [AwaitedCall] { [] }
    private var plan: UpdatePlan
    private let id: String
    private let now: Timestamp
    private let slugs: MadeSlugs
    private var state = State.start

    init(plan: UpdatePlan, id: String, now: Timestamp, slugs: MadeSlugs) {
        self.plan = plan
        self.id = id
        self.now = now
        self.slugs = slugs
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        switch state {
        case .start:
            if plan.isBlind {
                state = .written
                return .finish(WritePlanner.update(plan, now: now))
            }
            state = .lookedUp
            return .run([plan.storedRow] + plan.needs.references.map(\.statement))
        case .lookedUp:
            let stored = results[0]
            guard stored.rowCount > 0 else { throw RequestFailure.recordNotFound(plan.entity, id) }
            try plan.precondition?.require(stored.json)
            if let violations = plan.violations { throw violations }
            try WritePlanner.judgeReferences(plan.needs, results.dropFirst(), entity: plan.entity)
            if let base = plan.needs.slugBase, let search = SlugSearch(base, plan.entity, except: plan.key) {
                state = .slug(search, stored: stored)
                return .run([search.statement])
            }
            return update(stored)
        case .slug(var search, let stored):
            guard let slug = search.judge(results) else {
                state = .slug(search, stored: stored)
                return .run([search.statement])
            }
            slugs.note(plan.entity)
            plan.setSlug(slug)
            return update(stored)
        case .written:
            guard let written = results.last, written.rowCount > 0 else {
                throw RequestFailure.recordNotFound(plan.entity, id)
            }
            return .done(.stored(StoredRecord(written, of: plan.entity)))
        }
    }

    private mutating func update(_ stored: StatementResult) -> TransactionStep<OperationOutcome> {
        let statements = WritePlanner.update(plan, now: now)
        guard !statements.isEmpty else { return .done(.stored(StoredRecord(stored, of: plan.entity))) }
        state = .written
        return .finish(statements)
    }
}

/// Looks for the first slug of `base`, `base-2`, `base-3`… that no row has.
private struct SlugSearch {
    private let base: String
    private let entity: EntityModel
    private let key: FieldValue?
    private var batch = 0
    private(set) var statement: SQLStatement

    init?(_ base: String, _ entity: EntityModel, except key: FieldValue?) {
        guard
            let statement = WritePlanner.takenSlugs(
                among: WritePlanner.slugCandidates(base, batch: 0),
                entity,
                except: key
            )
        else { return nil }
        self.base = base
        self.entity = entity
        self.key = key
        self.statement = statement
    }

    /// The slug to take, or nil where all of the batch are taken and ``statement`` asks for the next.
    mutating func judge(_ results: [StatementResult]) -> String? {
        let taken = Set(results[0].rows.compactMap { $0.first?.textValue })
        if let free = WritePlanner.slugCandidates(base, batch: batch).first(where: { !taken.contains($0) }) {
            return free
        }
        batch += 1
        let candidates = WritePlanner.slugCandidates(base, batch: batch)
        statement = WritePlanner.takenSlugs(among: candidates, entity, except: key) ?? statement
        return nil
    }
}

extension CreatePlan {
    fileprivate mutating func setSlug(_ slug: String) {
        guard let field = entity.slugField, let index = entity.index(of: field.name) else { return }
        values[index] = .text(slug)
    }
}

extension UpdatePlan {
    fileprivate mutating func setSlug(_ slug: String) {
        guard let field = entity.slugField, let index = entity.index(of: field.name) else { return }
        values[index] = .text(slug)
    }
}

extension Precondition {
    /// - Throws: 412 where the stored row has another version.
    func require(_ row: [UInt8]) throws(RequestFailure) {
        guard isMet(by: RecordVersion.tag(ofRow: row)) else {
            throw RequestFailure(.preconditionFailed, "The record has changed since the version that If-Match names")
        }
    }
}
