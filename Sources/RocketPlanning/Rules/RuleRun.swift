import RocketExpression
import RocketModel

/// Judges rows by the logic of their entities. A row is judged for itself; what rules see beside it are the related
/// records, read beforehand. All programs of a request share a budget, for a store may run them on its own thread.
struct RuleRun: Sendable {
    /// As ``Evaluation/stepBudget`` counts them: some tenths of a second.
    static let maximumSteps = 2_000_000
    /// Text and values that the programs of a request may make together.
    static let maximumBytes = 64 << 20

    private let access: Access
    let principal: Principal
    let now: Timestamp
    private var budget: EvaluationBudget
    var related: RelatedRecords

    /// - Parameter steps: what the programs may take together.
    init(_ access: Access, now: Timestamp, steps: Int = maximumSteps) {
        let share = Self.maximumBytes / max(1, Self.maximumSteps / max(1, steps))
        budget = EvaluationBudget(steps: steps, bytes: max(share, Evaluation.memoryBudget))
        self.access = access
        principal = access.principal
        self.now = now
        related = RelatedRecords(access.snapshot)
    }

    /// The fields that the caller may read of every row; nil for all.
    func readableFields(_ entity: EntityModel) -> Set<Int>? {
        access.grantIfAny(.read, on: entity)?.fields(of: entity)?.everywhere
    }

    // MARK: rules

    /// What the rules say of a row: those of a write, or of a delete.
    ///
    /// - Parameter incomplete: entities of which the write has rows that can't be looked at: with a field that failed, or
    ///   refused altogether.
    mutating func violations(
        of index: Int,
        in rows: [PlannedRow],
        _ logic: EntityLogic,
        incomplete: Set<String> = []
    ) -> [FailureDetail] {
        let row = rows[index]
        var details = logic.problems.map { row.detail(nil, .expression, $0) }
        let rules = row.action == .delete ? logic.deleteRules : logic.writeRules
        guard !rules.isEmpty else { return details }
        var names: [ExpressionValue]?
        for rule in rules {
            guard rule.isBlind(to: row.failed),
                incomplete.isEmpty || !rule.loads.contains(where: { incomplete.contains($0.other.name) })
            else { continue }
            switch rule.test {
            case .field(let field, let test):
                // A key that the database has yet to number will be there.
                guard let value = row.value(field), !test.holds(of: value) else { continue }
                details.append(row.detail(rule.blamed, test.rule, rule.message ?? test.message))
            case .expression(let program):
                let values = names ?? logic.names.values(of: row, logic.mask, user: principal, now: now)
                names = values
                do throws(EvaluationFailure) {
                    guard try value(program, values, of: index, in: rows).isTruthy else { continue }
                    details.append(
                        row.detail(rule.blamed, .expression, rule.message ?? "is refused by the rule \(rule.id)")
                    )
                } catch {
                    let message = "the rule \(rule.id) can't be evaluated: \(error.message)"
                    details.append(row.detail(rule.blamed, .expression, message))
                }
            }
            if rule.stopsOnFail { break }
        }
        return details
    }

    mutating func value(
        _ program: RuleProgram,
        _ names: [ExpressionValue],
        of index: Int,
        in rows: [PlannedRow]
    ) throws(EvaluationFailure) -> ExpressionValue {
        guard !program.loads.isEmpty else {
            return try program.program.value(names, now: DateValue(now), within: &budget)
        }
        var values: [ExpressionValue] = []
        for load in program.loads { values.append(try related.value(of: load, for: index, rows)) }
        let names = RuleNames.values(names, related: program.related(values))
        return try program.program.value(names, now: DateValue(now), within: &budget)
    }

    // MARK: computed fields

    /// Computes the fields of a row; each sees those that were computed before it.
    ///
    /// - Returns: what does not fit.
    mutating func compute(_ index: Int, in rows: inout [PlannedRow], _ logic: EntityLogic) -> [FailureDetail] {
        var details: [FailureDetail] = []
        for computation in logic.computations {
            let names = logic.names.values(of: rows[index], logic.mask, user: principal, now: now)
            let field = rows[index].entity.fields[computation.field]
            do {
                let result = try value(computation.program, names, of: index, in: rows)
                let value = try field.fitting(try field.shape.value(of: result))
                if let parent = rows[index].parent, parent.theirs == computation.field,
                    value != rows[index].value(computation.field)
                {
                    throw CoercionFailure("names another record than the one above")
                }
                rows[index].set(computation.field, to: value, now: now)
            } catch let failure as EvaluationFailure {
                details.append(rows[index].detail(field.name, .computed, "can't be computed: \(failure.message)"))
            } catch let failure as CoercionFailure {
                let isReadable = readableFields(rows[index].entity)?.contains(computation.field) ?? true
                let message = isReadable ? "is computed, and \(failure.message)" : "is computed, and does not fit"
                details.append(rows[index].detail(field.name, .computed, message))
            } catch {
                preconditionFailure("an expression fails in two ways only")
            }
        }
        if details.isEmpty, let slug = rows[index].slugWithoutSource {
            details.append(rows[index].detail(slug.name, .required, "is required"))
        }
        return details
    }

    // MARK: state machines

    /// What a state machine makes of a row.
    enum Verdict {
        /// The state stays, or is the first one.
        case stays
        case moves(StateMachine.Transition)
        case refused(FailureDetail)
        /// A transition is there, but not for this caller.
        case forbidden(RequestFailure)
    }

    mutating func judge(_ machine: StateMachine, _ index: Int, in rows: [PlannedRow], _ logic: EntityLogic) -> Verdict {
        let row = rows[index]
        let field = row.entity.fields[machine.field]
        let state = row.value(machine.field) ?? .null
        guard row.action == .update else {
            guard state != machine.initial else { return .stays }
            let message = "Initial state must be \(shown(machine.initial)), not \(shown(state))"
            return .refused(row.detail(field.name, .stateMachine, message))
        }
        let stored = row.storedValue(machine.field) ?? .null
        guard state != stored else { return .stays }
        if stored.isNull, state == machine.initial { return .moves(.first(machine)) }
        let ways = machine.transitions.filter { $0.to == state && $0.leads(from: stored) }
        let isReadable = readableFields(row.entity)?.contains(machine.field) ?? true
        guard isReadable || ways.contains(where: { $0.isOpen(to: principal) }) else {
            return .refused(hidden(row, field))
        }
        guard !ways.isEmpty else { return .refused(unreachable(machine, row, field, state, stored)) }
        let open = ways.filter { $0.isOpen(to: principal) }
        guard !open.isEmpty else {
            let roles = Set(ways.flatMap { $0.roles ?? [] }).sorted().joined(separator: ", ")
            let place = row.place(field.name) ?? field.name
            return .forbidden(
                RequestFailure(
                    .forbidden,
                    "\"\(place)\" goes from \(shown(stored)) to \(shown(state)) by these roles only: \(roles)",
                    details: [row.detail(field.name, .stateMachine, "needs one of the roles \(roles)")]
                )
            )
        }
        let verdict = firstAllowed(open, index, rows, logic, field, from: stored, to: state)
        if case .refused = verdict, !isReadable { return .refused(hidden(row, field)) }
        return verdict
    }

    /// What is said of a state that the caller can't read.
    private func hidden(_ row: PlannedRow, _ field: FieldModel) -> FailureDetail {
        row.detail(field.name, .stateMachine, "can't go there now")
    }

    private mutating func firstAllowed(
        _ ways: [StateMachine.Transition],
        _ index: Int,
        _ rows: [PlannedRow],
        _ logic: EntityLogic,
        _ field: FieldModel,
        from stored: FieldValue,
        to state: FieldValue
    ) -> Verdict {
        let names = logic.names.values(of: rows[index], logic.mask, user: principal, now: now)
        var reason = "the guard does not allow it"
        for way in ways {
            guard let program = way.guardProgram else { return .moves(way) }
            do throws(EvaluationFailure) {
                if try value(program, names, of: index, in: rows).isTruthy { return .moves(way) }
            } catch {
                reason = "the guard can't be evaluated: \(error.message)"
            }
        }
        let message = "can't go from \(shown(stored)) to \(shown(state)) now: \(reason)"
        return .refused(rows[index].detail(field.name, .stateMachine, message))
    }

    private func unreachable(
        _ machine: StateMachine,
        _ row: PlannedRow,
        _ field: FieldModel,
        _ state: FieldValue,
        _ stored: FieldValue
    ) -> FailureDetail {
        let targets = machine.targets(from: stored, for: principal)
        let way =
            targets.isEmpty
            ? "no state can be reached from there"
            : "what can be reached is \(targets.map(shown).joined(separator: ", "))"
        return row.detail(
            field.name,
            .stateMachine,
            "can't go from \(shown(stored)) to \(shown(state)): \(way)"
        )
    }

    private func shown(_ state: FieldValue) -> String { state.json.jsonText }

    /// The states that a caller can bring a stored row to now, guards included.
    mutating func targets(_ machine: StateMachine, _ index: Int, in rows: [PlannedRow], _ logic: EntityLogic)
        -> [FieldValue]
    {
        let stored = rows[index].storedValue(machine.field) ?? .null
        return machine.targets(from: stored, for: principal).filter { target in
            var moved = rows
            moved[index].values[machine.field] = target
            if case .moves = judge(machine, index, in: moved, logic) { return true }
            return false
        }
    }

    // MARK: actions

    /// The value of an action's source, with what earlier actions have set.
    mutating func value(
        _ source: StateMachine.Source,
        of index: Int,
        in rows: [PlannedRow],
        _ logic: EntityLogic
    ) throws(EvaluationFailure) -> ExpressionValue {
        switch source {
        case .literal(let json): return ExpressionValue(json)
        case .now: return .date(DateValue(now))
        case .expression(let program):
            let names = logic.names.values(of: rows[index], logic.mask, user: principal, now: now)
            return try value(program, names, of: index, in: rows)
        }
    }
}

extension StateMachine.Transition {
    /// From no state into the first.
    fileprivate static func first(_ machine: StateMachine) -> StateMachine.Transition {
        machine.transitions.first {
            $0.isFromAny && $0.to == machine.initial && $0.roles == nil && $0.guardProgram == nil
        }
            ?? StateMachine.Transition(
                from: [],
                isFromAny: true,
                to: machine.initial,
                roles: nil,
                guardProgram: nil,
                actions: []
            )
    }
}

extension FieldModel {
    /// A value that the engine sets, which holds as one that a client gives.
    ///
    /// - Throws: what does not fit: null or "" where a value must be, none of the enum.
    func fitting(_ value: FieldValue) throws(CoercionFailure) -> FieldValue {
        if definition.isMandatory, value.isNull || value == .text("") {
            throw CoercionFailure(
                value.isNull ? "null is no value for it: it is required" : "\"\" is no value for it: it is required"
            )
        }
        if let allowed = allowedValues, !value.isNull, !allowed.contains(value) {
            let list = allowed.map(\.json.jsonText).joined(separator: ", ")
            throw CoercionFailure("\(value.json.jsonText) is none of \(list)")
        }
        return value
    }
}

extension PlannedRow {
    /// The slug, where the new row must have one and what it is made from has turned out to be null.
    fileprivate var slugWithoutSource: FieldModel? {
        guard action == .create, let slug = entity.slugField, slug.definition.isMandatory,
            let index = entity.index(of: slug.name), (values[index] ?? .null).isNull,
            WritePlanner.slugBase(values, entity) == nil
        else { return nil }
        return slug
    }

    /// Gives a field its value, and marks the change where nothing else of the row was changed.
    mutating func set(_ index: Int, to value: FieldValue, now: Timestamp) {
        guard value != self.value(index) else { return }
        if action == .update, values.isEmpty {
            for (index, field) in entity.fields.enumerated() where field.definition.auto == .update {
                values[index] = field.value(at: now)
            }
        }
        values[index] = value
    }

    /// Where a field of the row stands in the payload.
    func place(_ field: String?) -> String? {
        guard let field else { return path.isEmpty ? nil : path }
        return path.isEmpty ? field : "\(path).\(field)"
    }

    /// A violation of the row.
    func detail(_ field: String?, _ rule: ViolatedRule, _ message: String) -> FailureDetail {
        let blamed = field.map { "\"\($0)\": " } ?? ""
        switch origin {
        case .payload:
            return FailureDetail(field: place(field), rule: rule, message: message)
        case .action:
            return FailureDetail(
                field: path,
                rule: rule,
                message: "its action makes a record of \"\(entity.name)\": \(blamed)\(message)"
            )
        case .cascade:
            let key = key.map(\.json.jsonText) ?? ""
            return FailureDetail(
                field: path.isEmpty ? nil : path,
                rule: rule,
                message: "the \(entity.name) \(key) goes with it: \(blamed)\(message)"
            )
        }
    }
}
