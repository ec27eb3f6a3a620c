import RocketExpression
import RocketModel

/// The rules and state machines of an entity, compiled: what its rows are judged by when they are written or deleted.
package final class EntityLogic: Sendable {
    let names: RuleNames
    /// What the programs use of a row.
    let mask: RuleNames.Mask
    /// Whether a program looks at the attributes of the user.
    let readsAttributes: Bool
    /// Of fields, then expressions; within each by priority and age.
    let writeRules: [RowRule]
    let computations: [Computation]
    let deleteRules: [RowRule]
    let machines: [StateMachine]
    /// Those that are active, by age.
    let webhooks: [Webhook]
    /// The workflows that its rows start, by age.
    let triggers: [WorkflowTrigger]
    /// Definitions that can't be run, in words for the client: while there are any, nothing is written.
    let problems: [String]
    /// The fields that are computed, as indexes.
    let computedFields: Set<Int>
    /// Whether a rule looks at the slug, which must be made before it then.
    let readsSlug: Bool
    /// Entities with slugs whose records rules look at.
    let loadedSlugs: Set<String>

    init(
        names: RuleNames,
        wanted: RuleNames.Wanted,
        writeRules: [RowRule],
        computations: [Computation],
        deleteRules: [RowRule],
        machines: [StateMachine],
        webhooks: [Webhook],
        triggers: [WorkflowTrigger],
        problems: [String],
        readsSlug: Bool,
        loadedSlugs: Set<String>
    ) {
        self.names = names
        mask = RuleNames.Mask(wanted, names)
        readsAttributes = wanted.attributes
        self.writeRules = writeRules
        self.computations = computations
        self.deleteRules = deleteRules
        self.machines = machines
        self.webhooks = webhooks
        self.triggers = triggers
        self.problems = problems
        self.readsSlug = readsSlug
        self.loadedSlugs = loadedSlugs
        computedFields = Set(computations.map(\.field))
    }

    package var judgesWrites: Bool {
        !writeRules.isEmpty || !computations.isEmpty || !machines.isEmpty || !problems.isEmpty
    }
    package var judgesDeletes: Bool { !deleteRules.isEmpty || !problems.isEmpty }

    /// Whether somebody is told of the records that are written.
    package var announcesWrites: Bool {
        webhooks.contains { !$0.definition.hook.isOfDeletes } || triggers.contains { !$0.isOfDeletes }
    }
    /// Whether somebody is told of the records that are deleted.
    package var announcesDeletes: Bool {
        webhooks.contains { $0.definition.hook.isOfDeletes } || triggers.contains(where: \.isOfDeletes)
    }

    /// Whether anybody may be told of its rows.
    var hasListeners: Bool { !webhooks.isEmpty || !triggers.isEmpty }

    /// Whether a write may leave work for after its commit.
    var makesWork: Bool {
        !triggers.isEmpty || webhooks.contains { !$0.definition.hook.isSynchronous }
            || machines.contains { $0.transitions.contains { $0.actions.contains(where: \.makesWork) } }
    }

    /// Whether a write may have to wait for calls.
    var awaitsCalls: Bool { webhooks.contains { $0.definition.hook.isSynchronous } }

    /// Whether a record can be made without looking at others.
    package var createsAlone: Bool {
        !readsSlug && writeRules.allSatisfy { $0.loads.isEmpty } && computations.allSatisfy { $0.program.loads.isEmpty }
    }

    /// What must be known of the records related to a row before it is judged.
    func loads(for row: PlannedRow) -> [RelatedLoad] {
        // What workflows ask is looked up for every row of the kind: whether its field changes is not known yet.
        let started = triggers.filter { $0.isOfDeletes == (row.action == .delete) }.flatMap(\.loads)
        let told = webhooks.filter { $0.concerns(row) }.flatMap(\.loads) + started
        if row.action == .delete { return deleteRules.flatMap(\.loads) + told }
        var loads = told + writeRules.flatMap(\.loads) + computations.flatMap(\.program.loads)
        if row.action == .update {
            for machine in machines where row.values[machine.field] != nil || computedFields.contains(machine.field) {
                loads += machine.loads
            }
        }
        return loads
    }
}

/// A compiled expression with the related records that it looks at.
struct RuleProgram: Sendable {
    let program: Program
    let loads: [RelatedLoad]
    private let keys: ExpressionObject.Keys

    init(_ program: Program, _ loads: [RelatedLoad]) {
        self.program = program
        self.loads = loads
        keys = ExpressionObject.Keys(loads.map(\.side.name))
    }

    /// `related`: the records of each load, in their order.
    func related(_ values: [ExpressionValue]) -> ExpressionValue {
        .object(ExpressionObject(keys, values))
    }

    /// The fields of the entity that it reads; nil where it may be all of them.
    func fields(of entity: EntityModel) -> Set<Int>? {
        var fields: Set<Int> = []
        for name in ["record", "changes"] {
            guard let members = program.reads.members(of: name) else { return nil }
            fields.formUnion(members.compactMap(entity.index))
        }
        return fields
    }
}

/// A rule that may be violated.
struct RowRule: Sendable {
    enum Test: Sendable {
        case field(Int, FieldTest)
        case expression(RuleProgram)
    }

    let id: String
    let test: Test
    /// The field to blame; nil for none.
    let blamed: String?
    let message: String?
    let stopsOnFail: Bool
    /// The fields that it looks at; nil where it may be all of them.
    let reads: Set<Int>?

    var loads: [RelatedLoad] {
        if case .expression(let program) = test { program.loads } else { [] }
    }

    func isBlind(to failed: Set<Int>) -> Bool {
        guard !failed.isEmpty else { return true }
        return reads?.isDisjoint(with: failed) ?? false
    }
}

/// A field that is computed before it is written.
struct Computation: Sendable {
    let id: String
    let field: Int
    let program: RuleProgram
}

/// A state machine, compiled.
struct StateMachine: Sendable {
    struct Transition: Sendable {
        let from: Set<FieldValue>
        let isFromAny: Bool
        let to: FieldValue
        /// Who may take it; nil for everyone.
        let roles: [String]?
        let guardProgram: RuleProgram?
        let actions: [Action]

        /// - Parameter state: null where there is none, from which only `*` leads on.
        func leads(from state: FieldValue) -> Bool {
            isFromAny || from.contains(state)
        }

        /// Administrators pass.
        func isOpen(to principal: Principal) -> Bool {
            guard let roles, !principal.isAdmin else { return true }
            return roles.contains(where: principal.hasRole)
        }

        var loads: [RelatedLoad] {
            (guardProgram?.loads ?? []) + actions.flatMap(\.loads)
        }
    }

    enum Action: Sendable {
        case setField(Int, Source)
        case createRecord(entity: String, values: [(name: String, source: Source)])
        case webhook(WebhookCall)
        case sendEvent(String, payload: [(name: String, source: Source)])

        /// Whether it is done after the commit.
        var makesWork: Bool {
            switch self {
            case .setField, .createRecord: false
            case .webhook, .sendEvent: true
            }
        }

        var loads: [RelatedLoad] {
            switch self {
            case .setField(_, let source): source.loads
            case .createRecord(_, let values), .sendEvent(_, let values): values.flatMap(\.source.loads)
            case .webhook: []
            }
        }
    }

    /// Where a value comes from.
    enum Source: Sendable {
        case literal(JSONValue)
        /// The request's instant.
        case now
        case expression(RuleProgram)

        var loads: [RelatedLoad] {
            if case .expression(let program) = self { program.loads } else { [] }
        }
    }

    let id: String
    let field: Int
    let initial: FieldValue
    let transitions: [Transition]

    var loads: [RelatedLoad] { transitions.flatMap(\.loads) }
    var guardLoads: [RelatedLoad] { transitions.flatMap { $0.guardProgram?.loads ?? [] } }

    /// The states that a caller may go to, without asking the guards; from null the initial one is always open.
    func targets(from state: FieldValue, for principal: Principal) -> [FieldValue] {
        var targets: [FieldValue] = state.isNull ? [initial] : []
        for transition in transitions where transition.leads(from: state) && transition.isOpen(to: principal) {
            if transition.to != state, !targets.contains(transition.to) { targets.append(transition.to) }
        }
        return targets
    }
}
