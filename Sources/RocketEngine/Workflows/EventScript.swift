import RocketDatabase
import RocketModel
import RocketPlanning

/// Takes events and starts what they start: an event is gone when its instances are there. Gives false where the metadata
/// has changed, and nothing was done.
struct EventScript: TransactionScript {
    private enum State {
        case start
        case read
        case started
    }

    private let snapshot: AppSnapshot
    private let store: WorkflowStore
    private let dependencies: EngineDependencies
    private let limit: Int
    private var state = State.start

    init(_ snapshot: AppSnapshot, _ store: WorkflowStore, _ dependencies: EngineDependencies, limit: Int) {
        self.snapshot = snapshot
        self.store = store
        self.dependencies = dependencies
        self.limit = limit
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Bool> {
        switch state {
        case .start:
            state = .read
            return .run([DefinitionStore(snapshot.dialect).version, store.events(limit: limit)])
        case .read:
            guard (results[0].rows.first?.first?.integerValue ?? 0) <= snapshot.version else { return .done(false) }
            let rows = results[1].rows
            guard !rows.isEmpty else { return .done(true) }
            let now = dependencies.now()
            let outbox = OutboxStore(snapshot.dialect)
            var starts: [WorkflowStore.Start] = []
            for row in rows { starts += store.event(row).map { self.starts($0, now) } ?? [] }
            let ids = rows.compactMap { $0.first?.textValue }
            state = .started
            return .finish(store.inserts(starts, now: now) + ids.map(outbox.removeEvent(id:)))
        case .started: return .done(true)
        }
    }

    private func starts(
        _ event: (id: String, name: String, entity: String?, recordID: String?, trigger: JSONObject, cause: Cause),
        _ now: Timestamp
    ) -> [WorkflowStore.Start] {
        snapshot.workflows(startedBy: event.name).flatMap { workflow in
            Self.starts(
                workflow,
                event.trigger,
                entity: event.entity,
                recordID: event.recordID,
                cause: event.cause,
                now,
                dependencies
            )
        }
    }

    /// One, or none where the workflow's condition does not hold.
    static func starts(
        _ workflow: StoredWorkflow,
        _ trigger: JSONObject,
        entity: String? = nil,
        recordID: String? = nil,
        cause: Cause = .none,
        _ now: Timestamp,
        _ dependencies: EngineDependencies
    ) -> [WorkflowStore.Start] {
        var problem = workflow.problem
        if problem == nil {
            do throws(RequestFailure) {
                guard try workflow.isStarted(by: trigger, now: now) else { return [] }
            } catch {
                problem = error.message
            }
        }
        let instance = WorkflowInstance(
            id: dependencies.newID().text,
            workflowID: workflow.id,
            workflowName: workflow.definition.name,
            version: workflow.version,
            context: workflow.context(of: trigger),
            cause: cause.next
        )
        return [
            WorkflowStore.Start(
                instance,
                entity: entity,
                recordID: recordID,
                problem: problem ?? EventDepth.problem(at: cause.depth)
                    ?? WorkflowBounds.problem(with: instance.context)
            )
        ]
    }
}

/// Starts a workflow once for each instant that it is due, whichever server is first.
struct ScheduleScript: TransactionScript {
    private enum State {
        case start
        case read
        case moved
        case started
    }

    private let version: Int64
    private let versionNow: SQLStatement
    private let move: SQLStatement
    private let starts: [SQLStatement]
    private var state = State.start

    /// - Parameters:
    ///   - version: the metadata's, by which it was decided.
    ///   - versionNow: asks for the one in force.
    init(version: Int64, _ versionNow: SQLStatement, move: SQLStatement, starts: [SQLStatement]) {
        self.version = version
        self.versionNow = versionNow
        self.move = move
        self.starts = starts
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Void> {
        switch state {
        case .start:
            state = .read
            return .run([versionNow])
        case .read:
            guard (results[0].rows.first?.first?.integerValue ?? 0) <= version else { return .done(()) }
            state = .moved
            return .run([move])
        case .moved:
            guard results[0].changes > 0, !starts.isEmpty else { return .done(()) }
            state = .started
            return .finish(starts)
        case .started: return .done(())
        }
    }
}
