import RocketDatabase
import RocketModel
import RocketPlanning

/// Takes events and starts what they start: an event is gone when its instances are there.
struct EventScript: TransactionScript {
    private enum State {
        case start
        case read
        case started(Int)
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

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Int> {
        switch state {
        case .start:
            state = .read
            return .run([store.events(limit: limit)])
        case .read:
            let rows = results[0].rows
            guard !rows.isEmpty else { return .done(0) }
            let now = dependencies.now()
            let outbox = OutboxStore(snapshot.dialect)
            var starts: [WorkflowStore.Start] = []
            for row in rows { starts += store.event(row).map { self.starts($0, now) } ?? [] }
            let ids = rows.compactMap { $0.first?.textValue }
            state = .started(rows.count)
            return .finish(store.inserts(starts, now: now) + ids.map(outbox.removeEvent(id:)))
        case .started(let count): return .done(count)
        }
    }

    private func starts(
        _ event: (id: String, name: String, entity: String?, recordID: String?, trigger: JSONObject, depth: Int),
        _ now: Timestamp
    ) -> [WorkflowStore.Start] {
        snapshot.workflows(startedBy: event.name).flatMap { workflow in
            Self.starts(
                workflow,
                event.trigger,
                entity: event.entity,
                recordID: event.recordID,
                depth: event.depth,
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
        depth: Int = 0,
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
            depth: depth + 1
        )
        return [
            WorkflowStore.Start(
                instance,
                entity: entity,
                recordID: recordID,
                problem: problem ?? EventDepth.problem(at: depth)
            )
        ]
    }
}

/// Starts a workflow once for each instant that it is due, whichever server is first.
struct ScheduleScript: TransactionScript {
    let move: SQLStatement
    let starts: [SQLStatement]
    private var state = 0

    init(move: SQLStatement, starts: [SQLStatement]) {
        self.move = move
        self.starts = starts
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Bool> {
        state += 1
        switch state {
        case 1: return .run([move])
        case 2 where results[0].changes > 0 && !starts.isEmpty: return .finish(starts)
        default: return .done(true)
        }
    }
}
