import RocketDatabase
package import RocketModel
package import RocketPlanning
import Synchronization

/// What an instance is told.
package enum InstanceInput: Sendable {
    /// Do what is due.
    case proceed
    /// A call has ended.
    case called(WorkflowCall, CallOutcome)
    /// A step could not be done.
    case stopped(WorkflowPlace, problem: String, isFinal: Bool)
    case decide(approves: Bool, by: WorkflowMachine.Person, Decision)
    case delegate(to: String, by: WorkflowMachine.Person, step: String?)
    case cancel(by: WorkflowMachine.Person)
    case retry(by: WorkflowMachine.Person)

    /// What somebody says beside yes or no.
    package struct Decision: Sendable {
        package let step: String?
        package let comment: String?
        package let form: JSONObject

        package init(step: String?, comment: String?, form: JSONObject) {
            self.step = step
            self.comment = comment
            self.form = form
        }
    }

    fileprivate var person: WorkflowMachine.Person? {
        switch self {
        case .decide(_, let person, _), .delegate(_, let person, _), .cancel(let person), .retry(let person): person
        case .proceed, .called, .stopped: nil
        }
    }
}

/// What a transaction on an instance has left.
package enum InstanceOutcome: Sendable {
    /// There is more to do at once.
    case goOn
    case call(WorkflowCall)
    case rest
    /// It is not there, or somebody else is at it.
    case absent
}

/// A step that could not be done, with what its write said.
struct StepFailure: Error {
    let failure: RequestFailure
}

/// Which step a transaction was at: written inside it, read when it has failed.
final class InstanceProgress: Sendable {
    private let place = Mutex<WorkflowPlace?>(nil)

    var current: WorkflowPlace? { place.withLock { $0 } }
    func reach(_ new: WorkflowPlace?) { if let new { place.withLock { $0 = new } } }
}

/// One transaction of an instance: its row, locked; what it is told; the writes of a step; the row with its history.
struct InstanceScript: AnnouncingScript {
    private enum State {
        case start
        case loaded
        case versionRead
        case usersRead
        case writing
        case looked(String)
        case stored(InstanceOutcome)
    }

    private let id: String
    private let input: InstanceInput
    private var setting: OperationSetting
    private let plans: WorkflowPlans
    private let progress: InstanceProgress
    private let leaseSeconds: Int64
    private let store: WorkflowStore
    private var state = State.start
    private var instance: WorkflowInstance?
    private var machine: WorkflowMachine?
    private var operation: (any AnnouncingScript<OperationOutcome>)?
    private(set) var awaitedCalls: [AwaitedCall] = []

    init(
        _ id: String,
        _ input: InstanceInput,
        _ setting: OperationSetting,
        _ plans: WorkflowPlans,
        _ progress: InstanceProgress,
        leaseSeconds: Int64
    ) {
        self.id = id
        self.input = input
        self.setting = setting
        self.plans = plans
        self.progress = progress
        self.leaseSeconds = leaseSeconds
        store = WorkflowStore(setting.access.snapshot.dialect)
    }

    private var now: Timestamp { setting.access.now }
    private var isOfWorker: Bool { input.person == nil }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<InstanceOutcome> {
        switch state {
        case .start:
            state = .loaded
            return .run([store.locked(id, skipsLocked: { if case .proceed = input { true } else { false } }())])
        case .loaded:
            guard let (instance, due) = results[0].rows.first.flatMap(store.instance) else { return .done(.absent) }
            if case .proceed = input, due.map({ $0 > now }) ?? true { return .done(.rest) }
            self.instance = instance
            setting.cause = instance.cause
            if let plan = plans.plan(of: instance, setting.access.snapshot) { return try tell(plan) }
            state = .versionRead
            return .run([store.version(instance.workflowID, instance.version)])
        case .versionRead:
            guard let instance else { return .done(.absent) }
            return try tell(plans.keep(store.definition(results[0]), of: instance))
        case .usersRead:
            return try apply(results[0])
        case .writing:
            return try goOn(results)
        case .looked(let child):
            let (status, context) = store.outcome(results[0])
            machine?.saw(status, context, child)
            return try goOn([])
        case .stored(let outcome):
            return .done(outcome)
        }
    }

    /// What is told may need to know of users.
    private mutating func tell(_ plan: WorkflowPlan) throws -> TransactionStep<InstanceOutcome> {
        guard let instance else { return .done(.absent) }
        machine = WorkflowMachine(
            instance,
            plan,
            setting.access.snapshot,
            now: now,
            leaseSeconds: leaseSeconds,
            newID: setting.dependencies.newID
        )
        let users = UserStore(setting.access.snapshot.dialect, schema: .app)
        switch input {
        case .decide(true, let person, let decision)
        where machine?.needsUsers(for: person, step: decision.step) == true:
            state = .usersRead
            return .run([users.activeRoles])
        case .delegate(let user, _, _):
            state = .usersRead
            return .run([users.isActive(user)])
        default: return try apply(nil)
        }
    }

    private mutating func apply(_ users: StatementResult?) throws -> TransactionStep<InstanceOutcome> {
        machine?.wake()
        switch input {
        case .proceed: break
        case .called(let call, let outcome): machine?.take(outcome, of: call)
        case .stopped(let place, let problem, let isFinal):
            machine?.stopped(place, problem, isFinal: isFinal)
        case .decide(let approves, let person, let decision):
            try machine?.decide(
                approves,
                by: person,
                step: decision.step,
                comment: decision.comment,
                form: decision.form,
                active: users.map(UserStore.activeRoles) ?? []
            )
        case .delegate(let user, let person, let step):
            guard users?.rows.isEmpty == false else {
                let message = "there is no active user \"\(user.prefix(100))\""
                throw RequestFailure.validation([FailureDetail(field: "user", message: message)])
            }
            try machine?.delegate(to: user, by: person, step: step)
        case .cancel(let person): try machine?.cancel(by: person)
        case .retry(let person): try machine?.retry(by: person)
        }
        // What people say is stored by itself; the worker does what follows from it.
        return isOfWorker ? try goOn([]) : try store(.goOn)
    }

    // MARK: steps

    private mutating func goOn(_ results: [StatementResult]) throws -> TransactionStep<InstanceOutcome> {
        var results = results
        while true {
            if operation != nil {
                if let statements = try operate(results) {
                    state = .writing
                    return .run(statements)
                }
                results = []
                continue
            }
            let need = machine?.need() ?? .rest
            progress.reach(machine?.place)
            switch need {
            case .write(let write): try begin(write)
            case .look(let child):
                state = .looked(child)
                return .run([store.outcome(of: child)])
            case .call(let call): return try store(.call(call))
            case .commit: return try store(.goOn)
            case .rest:
                // Its row was due, and must not stay so.
                return try store(.rest)
            }
        }
    }

    private mutating func begin(_ write: WorkflowWrite) throws {
        setting.slugs.beginOperation()
        let kind: RecordOperation.Kind = write.id.map { .update(id: $0, write.payload) } ?? .create(write.payload)
        do {
            operation = try RecordOperation(entity: write.entity, kind: kind).script(setting)
        } catch let failure as RequestFailure {
            throw StepFailure(failure: failure)
        }
    }

    /// - Returns: what the write runs; nil when it is done.
    private mutating func operate(_ results: [StatementResult]) throws -> [SQLStatement]? {
        guard var script = operation else { return nil }
        var results = results
        while true {
            do {
                switch try script.next(results) {
                // The commit is the step's business.
                case .run(let statements), .finish(let statements):
                    operation = script
                    if !statements.isEmpty { return statements }
                    results = []
                case .call: preconditionFailure("a write makes its calls when all is done")
                case .done(let outcome):
                    awaitedCalls += script.awaitedCalls
                    operation = nil
                    machine?.wrote(try Self.json(outcome))
                    return nil
                }
            } catch let failure as RequestFailure {
                throw StepFailure(failure: failure)
            }
        }
    }

    private static func json(_ outcome: OperationOutcome) throws -> JSONValue {
        switch outcome {
        case .deleted(let key): key.json
        case .stored(let record): try JSONParser.parse(record.json, maximumDepth: 512)
        }
    }

    // MARK: storing

    private mutating func store(_ outcome: InstanceOutcome) throws -> TransactionStep<InstanceOutcome> {
        guard let machine else { return .done(.absent) }
        let instance = machine.instance
        let recorder = EventRecorder(
            principal: setting.access.principal,
            now: now,
            snapshot: setting.access.snapshot,
            setting
        )
        let asks = instance.isAsking || self.instance?.isAsking == true
        var statements = store.update(instance, asks: asks, now: now)
        if let person = input.person { statements.append(store.note(person.id, of: instance.id)) }
        if instance.status != .running, let parent = instance.parent {
            statements.append(store.wake(parent, now: now))
        }
        statements += store.abandon(machine.abandoned, now: now)
        statements += recorder.events(machine.events, of: instance)
        let starts = machine.children.map { child in start(child, of: instance) }
        statements += store.inserts(starts, now: now)
        // One that has failed before it began wakes nobody.
        if starts.contains(where: { $0.problem != nil }) { statements.append(store.wake(instance.id, now: now)) }
        state = .stored(outcome)
        return .finish(statements)
    }

    private func start(_ child: WorkflowChild, of instance: WorkflowInstance) -> WorkflowStore.Start {
        let workflow = setting.access.snapshot.workflows.first { $0.definition.name == child.workflow }
        let made = WorkflowInstance(
            id: child.id,
            workflowID: workflow?.id ?? "",
            workflowName: child.workflow,
            version: workflow?.version ?? "",
            context: child.context,
            cause: instance.cause.next,
            parent: instance.id
        )
        let problem =
            workflow == nil
            ? "there is no workflow \"\(child.workflow)\" any more"
            : workflow?.problem ?? EventDepth.problem(at: instance.cause.depth)
                ?? WorkflowBounds.problem(with: child.context)
        return WorkflowStore.Start(made, entity: nil, recordID: nil, problem: problem)
    }
}
