import RocketDatabase
package import RocketModel
package import RocketPlanning
import Synchronization

/// Runs batches: all operations in one transaction, each planned when those before it are done.
package enum BatchWriter {
    /// - Returns: what each operation left, in their order.
    /// - Throws: the failure of the first operation that fails, with its number; nothing has changed then.
    package static func run(
        _ batch: BatchRequest,
        access: Access,
        cause: Cause = .none,
        keyed: KeyedAnswer<[OperationOutcome]>? = nil,
        calls: SynchronousCalls,
        _ dependencies: EngineDependencies,
        in app: AppContext
    ) async throws -> [OperationOutcome] {
        let slugs = MadeSlugs()
        // One that is by itself could not take less than an expression may.
        let steps = max(OperationSetting.maximumSteps / max(1, batch.operations.count), 100_000)
        let setting = OperationSetting(
            access: access,
            dependencies: dependencies,
            slugs: slugs,
            steps: steps,
            cause: cause
        )
        let progress = BatchProgress()
        if access.snapshot.makesWork { await app.expectWork(dependencies) }
        do {
            let journal = AwaitedCallJournal(calls, access, in: app, now: dependencies.now)
            let script = BatchScript(batch: batch, setting: setting, progress: progress)
            let outcomes = try await RecordWriter.retryingSlugs(slugs) {
                guard let keyed else { return try await app.write(script, journal, dependencies) }
                return try await app.write(keyed.script(script, app.database.dialect), journal, dependencies)
            }
            if access.snapshot.makesWork { app.workIsDue() }
            return outcomes
        } catch let failure as DatabaseFailure {
            if let located = slugs.located(failure) { throw located.ofOperation(progress.operation) }
            // What the tables refuse, they refuse to the operation that has just sent something.
            let translated = FailureTranslation.requestFailure(
                for: failure,
                snapshot: access.snapshot,
                logger: dependencies.logger
            )
            guard let translated, translated.code != .unavailable else { throw failure }
            throw translated.ofOperation(progress.operation)
        }
    }
}

/// How far a batch has come: written inside its transaction, read when it has failed.
private final class BatchProgress: Sendable {
    private let current = Mutex(0)

    var operation: Int { current.withLock { $0 } }
    func reach(_ operation: Int) { current.withLock { $0 = operation } }
}

private struct BatchScript: AnnouncingScript {
    private let batch: BatchRequest
    private let setting: OperationSetting
    private var outcomes: [OperationOutcome] = []
    /// Of the operations whose results others have asked for.
    private var results: [Int: JSONValue] = [:]
    private var current: (any AnnouncingScript<OperationOutcome>)?
    /// They wait until the last operation is done, like the commit.
    private(set) var awaitedCalls: [AwaitedCall] = []
    private let progress: BatchProgress
    private var hasLocked = false
    private var isLocking = false
    /// The operation that is next, or runs.
    private var planned = RecordOperation(entity: "", kind: .restore(id: ""))
    /// Bytes of results that references have put into bodies.
    private var resolvedBytes = 0

    /// What references may make of a batch: a body that names itself again and again grows without bound.
    private static let maximumResolvedBytes = 10 << 20

    init(batch: BatchRequest, setting: OperationSetting, progress: BatchProgress) {
        self.batch = batch
        self.setting = setting
        self.progress = progress
    }

    /// Locks the rows that the operations change, in one order for all batches. Rows that only a reference names, or
    /// that come along relations, are locked in their turn.
    private var locks: [SQLStatement] {
        var keys: [String: Set<FieldValue>] = [:]
        for operation in batch.operations where operation.segments.count == 2 {
            guard let model = setting.access.snapshot.model(operation.segments[0]), isAllowed(operation, on: model),
                let key = ReadPlanner.keyValue(operation.segments[1], model)
            else { continue }
            keys[model.name, default: []].insert(key)
        }
        // One row of each of two entities can be locked in two orders as well.
        let count = keys.values.reduce(0) { $0 + $1.count }
        guard count > 1 else { return [] }
        return keys.keys.sorted().compactMap { name in
            guard let model = setting.access.snapshot.model(name), let keys = keys[name] else { return nil }
            return WritePlanner.orderedLock(keys, model)
        }
    }

    private func isAllowed(_ operation: BatchRequest.Operation, on model: EntityModel) -> Bool {
        do {
            // Rows that may be hidden from the caller are locked in their turn, when they are known to be the caller's.
            let grant = try setting.access.grant(operation.method == .delete ? .delete : .update, on: model)
            return setting.access.writesFreely(grant, model)
        } catch {
            return false
        }
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<[OperationOutcome]> {
        var results = results
        if !hasLocked {
            hasLocked = true
            isLocking = true
            let locks = locks
            if !locks.isEmpty { return .run(locks) }
        }
        if isLocking {
            isLocking = false
            results = []
        }
        while outcomes.count < batch.operations.count {
            let index = outcomes.count
            progress.reach(index)
            if current == nil {
                setting.slugs.beginOperation()
                do {
                    planned = try plan(index)
                } catch let failure as RequestFailure {
                    throw failure.ofOperation(index, below: "operations[\(index)]")
                }
            }
            do {
                var script = try current ?? planned.script(setting)
                let step = try script.next(results)
                current = script
                switch step {
                // The commit is the last operation's business, and that of none before it.
                case .run(let statements), .finish(let statements):
                    if !statements.isEmpty { return .run(statements) }
                    results = []
                case .call(let call):
                    return .call(call)
                case .done(let outcome):
                    outcomes.append(outcome)
                    awaitedCalls += script.awaitedCalls.map { call in
                        var call = call
                        call.operation = index
                        return call
                    }
                    current = nil
                    results = []
                }
            } catch let failure as RequestFailure {
                let isDelete = batch.operations[index].method == .delete
                throw failure.ofOperation(index, below: isDelete ? "operations[\(index)]" : nil)
            }
        }
        return .done(outcomes)
    }

    /// The operation with values in the place of references.
    private mutating func plan(_ index: Int) throws -> RecordOperation {
        let operation = batch.operations[index]
        var segments: [String] = []
        for segment in operation.segments {
            let value = try resolve(.string(segment), at: "path")
            switch value {
            case .string(let text): segments.append(text)
            case .number(let number): segments.append(number.text)
            default:
                throw RequestFailure.validation([
                    FailureDetail(field: "path", rule: .type, message: "\"\(segment)\" is \(value.kind), and no key")
                ])
            }
        }
        let body = try resolve(.object(operation.body), at: "body").objectValue ?? JSONObject()
        let id = segments.count > 1 ? segments[1] : ""
        let kind: RecordOperation.Kind =
            switch operation.method {
            case .post where segments.count == 1: .create(body)
            case .post: .restore(id: id)
            case .put, .patch: .update(id: id, body)
            case .delete: .delete(id: id, purges: operation.purges)
            }
        return RecordOperation(
            entity: segments[0],
            kind: kind,
            precondition: operation.ifMatch.map(Precondition.init(ifMatch:))
        )
    }

    private mutating func resolve(_ value: JSONValue, at path: String) throws -> JSONValue {
        for reference in BatchReference.all(in: value) where results[reference.operation] == nil {
            results[reference.operation] = try outcomes[reference.operation].json
        }
        let results = results
        let resolved = try BatchReference.resolve(value, at: path) { results[$0] ?? .null }
        guard resolved.depth <= JSONParser.maximumDepth else {
            let most = JSONParser.maximumDepth
            throw RequestFailure.validation([
                FailureDetail(field: path, rule: .type, message: "is deeper than \(most) levels with what it refers to")
            ])
        }
        resolvedBytes += resolved.size(atMost: Self.maximumResolvedBytes)
        guard resolvedBytes < Self.maximumResolvedBytes else {
            throw RequestFailure(
                .payloadTooLarge,
                "With what they refer to, the operations are larger than \(Self.maximumResolvedBytes) bytes"
            )
        }
        return resolved
    }
}

extension OperationOutcome {
    /// What the client is shown of it.
    fileprivate var json: JSONValue {
        get throws {
            switch self {
            case .deleted(let key): ["id": key.json]
            case .stored(let record): try JSONParser.parse(record.json, maximumDepth: 512)
            }
        }
    }
}

extension JSONValue {
    /// How many arrays and objects stand within each other.
    fileprivate var depth: Int {
        switch self {
        case .array(let items): 1 + (items.map(\.depth).max() ?? 0)
        case .object(let object): 1 + (object.members.map(\.value.depth).max() ?? 0)
        case .null, .boolean, .number, .string: 0
        }
    }

    /// About how many bytes it has as JSON; counting ends at the bound.
    fileprivate func size(atMost bound: Int) -> Int {
        var count = 2
        switch self {
        case .null, .boolean: count = 4
        case .number(let number): count = number.text.utf8.count
        case .string(let text): count += text.utf8.count
        case .array(let items):
            for item in items where count < bound { count += 1 + item.size(atMost: bound - count) }
        case .object(let object):
            for member in object.members where count < bound {
                count += member.name.utf8.count + 4 + member.value.size(atMost: bound - count)
            }
        }
        return count
    }
}

extension RequestFailure {
    /// The failure of one operation of a batch.
    ///
    /// - Parameter below: what the places of the failure stand below; the operation's body unless it is given.
    func ofOperation(_ index: Int, below parent: String? = nil) -> RequestFailure {
        let path = "operations[\(index)]"
        let details = details.map { detail in
            let field = detail.field.map { "\(parent ?? path + ".body").\($0)" }
            return FailureDetail(field: field ?? path, rule: detail.rule, message: detail.message, facts: detail.facts)
        }
        return RequestFailure(
            code,
            "Operation \(index): \(message)",
            details: details.isEmpty ? [FailureDetail(field: path, message: message)] : details,
            retryAfterSeconds: retryAfterSeconds
        )
    }
}
