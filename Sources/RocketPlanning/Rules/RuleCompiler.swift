import RocketExpression
package import RocketModel

/// A rule, a state machine or a policy that can't be run, and why.
package struct BrokenDefinition: Sendable {
    package let definition: StoredDefinition
    /// Where it stands among those of its kind: `rules[3]`.
    package let path: String
    /// Their paths begin with ``path``.
    package let violations: [FailureDetail]
}

/// Makes the logic of entities out of definitions, or says what is wrong with them.
struct RuleCompiler {
    private struct Draft {
        var rules: [(rule: RowRule, definition: RuleDefinition)] = []
        var computations: [(computation: Computation, priority: Int)] = []
        var machines: [StateMachine] = []
        var webhooks: [Webhook] = []
        var triggers: [WorkflowTrigger] = []
        var wanted = RuleNames.Wanted()
        var problems: [String] = []
        /// Whether a rule looks at the slug, which must be made before it then.
        var readsSlug = false
        /// Entities with slugs whose records rules look at.
        var loadedSlugs: Set<String> = []
    }

    private let models: [String: EntityModel]
    private let names: [String: RuleNames]
    private var drafts: [String: Draft] = [:]
    private(set) var broken: [BrokenDefinition] = []
    /// In the order of their age.
    private(set) var workflows: [StoredWorkflow] = []

    init(_ definitions: DefinitionSet, _ models: [String: EntityModel]) {
        self.models = models
        let concerned = definitions.others.contains {
            [.rules, .stateMachines, .webhooks, .workflows].contains($0.kind)
        }
        names = concerned ? models.mapValues { RuleNames($0.definition) } : [:]
        var places: [DefinitionKind: Int] = [:]
        for definition in definitions.others {
            let place = places[definition.kind, default: 0]
            places[definition.kind] = place + 1
            add(definition, at: "\(definition.kind.rawValue)[\(place)]", definitions)
        }
    }

    private mutating func add(_ definition: StoredDefinition, at path: String, _ definitions: DefinitionSet) {
        var violations: [FailureDetail] = []
        switch definition.kind {
        case .rules:
            let rule = RuleDefinition(stored: definition.content)
            violations = add(rule, definition.id, at: path)
            note(violations, rule.entity, rule.isActive, "rule \(definition.id)")
        case .stateMachines:
            let machine = StateMachineDefinition(stored: definition.content)
            violations = add(machine, definition.id, at: path, definitions)
            note(violations, machine.entity, machine.isActive, "state machine of \"\(machine.field)\"")
        case .webhooks:
            violations = add(WebhookDefinition(stored: definition.content), definition.id, at: path)
        case .workflows:
            violations = add(WorkflowDefinition(stored: definition.content), definition, at: path, definitions)
        default: break
        }
        guard !violations.isEmpty else { return }
        broken.append(BrokenDefinition(definition: definition, path: path, violations: violations))
    }

    /// What can't be run must not be passed over.
    private mutating func note(_ violations: [FailureDetail], _ entity: String, _ isActive: Bool, _ what: String) {
        guard let first = violations.first, isActive else { return }
        drafts[entity, default: Draft()].problems.append("the \(what) can't be run: \(first.message)")
    }

    // MARK: results

    var recordTypes: [String: ObjectType] { names.mapValues(\.record) }

    var logics: [String: EntityLogic] {
        var logics: [String: EntityLogic] = [:]
        for (entity, draft) in drafts {
            guard let names = names[entity] else { continue }
            logics[entity] = EntityLogic(
                names: names,
                wanted: draft.wanted,
                writeRules: Self.ordered(draft.rules.filter { $0.definition.hook == .beforeWrite }),
                computations: Self.ordered(draft.computations),
                deleteRules: Self.ordered(draft.rules.filter { $0.definition.hook == .beforeDelete }),
                machines: draft.machines,
                webhooks: draft.webhooks,
                triggers: draft.triggers,
                problems: draft.problems,
                readsSlug: draft.readsSlug,
                loadedSlugs: draft.loadedSlugs
            )
        }
        return logics
    }

    /// By type, priority and age, which is the order in which they come.
    private static func ordered(_ rules: [(rule: RowRule, definition: RuleDefinition)]) -> [RowRule] {
        let kinds = RuleDefinition.Kind.allCases
        func rank(_ rule: RuleDefinition) -> (Int, Int) { (kinds.firstIndex(of: rule.kind) ?? 0, rule.priority) }
        return rules.enumerated().sorted { left, right in
            let (a, b) = (rank(left.element.definition), rank(right.element.definition))
            return a == b ? left.offset < right.offset : a < b
        }.map(\.element.rule)
    }

    private static func ordered(_ computations: [(computation: Computation, priority: Int)]) -> [Computation] {
        computations.enumerated().sorted { left, right in
            let (a, b) = (left.element.priority, right.element.priority)
            return a == b ? left.offset < right.offset : a < b
        }.map(\.element.computation)
    }

    /// A rule by itself, as it is tried before it is saved; nil where the entity is not there.
    static func trial(
        _ rule: RuleDefinition,
        _ models: [String: EntityModel]
    ) -> (logic: EntityLogic?, violations: [FailureDetail]) {
        var compiler = RuleCompiler(models, for: rule.entity)
        let violations = compiler.add(rule, "", at: "")
        return (compiler.logics[rule.entity], violations)
    }

    private init(_ models: [String: EntityModel], for entity: String) {
        self.models = models
        names = models.mapValues { RuleNames($0.definition) }
        drafts[entity] = Draft()
    }

    // MARK: rules

    private mutating func add(_ rule: RuleDefinition, _ id: String, at path: String) -> [FailureDetail] {
        var problems = Problems(path)
        guard let entity = models[rule.entity], let names = names[rule.entity] else {
            problems.add("entity", .unknown, "there is no entity \"\(rule.entity)\"" + hint(rule.entity, models.keys))
            return problems.all
        }
        let loads = compile(rule.loads, of: entity, &problems)
        switch rule.content {
        case .field(let field, let comparison, let value):
            guard let index = self.index(field, of: entity, "definition.field", &problems) else { break }
            do throws(FieldTest.Mistake) {
                let test = try FieldTest(comparison, value, of: entity.fields[index])
                add(rule, RowRule(rule, id, .field(index, test), blamed: field, reads: [index]))
            } catch {
                problems.add("definition.\(error.member)", error.rule, error.message)
            }
        case .expression(let text, let field):
            if let field { _ = index(field, of: entity, "definition.field", &problems) }
            guard let program = compile(text, names, loads, "definition.expression", &problems) else { break }
            drafts[rule.entity, default: Draft()].wanted.add(program.program.reads)
            add(
                rule,
                RowRule(rule, id, .expression(program), blamed: field, reads: program.fields(of: entity))
            )
        case .computed(let field, let text):
            let program = compile(text, names, loads, "definition.expression", &problems)
            guard let index = self.index(field, of: entity, "definition.field", &problems) else { break }
            if entity.fields[index].isEngineOwned || index == entity.keyIndex {
                problems.add("definition.field", .type, "\"\(field)\" is written by the engine alone")
            }
            if entity.fileFields.contains(index) {
                problems.add("definition.field", .type, "\"\(field)\" takes uploaded files, which can't be computed")
            }
            guard let program, problems.isEmpty else { break }
            let type = entity.fields[index].shape.type
            if !program.program.type.mayFit(type) {
                let message = "this is \(program.program.type.shown), and \"\(field)\" is \(type.rawValue)"
                problems.add("definition.expression", .type, message)
                break
            }
            drafts[rule.entity, default: Draft()].wanted.add(program.program.reads)
            guard rule.isActive else { break }
            noteSlug(program.fields(of: entity), rule.entity)
            noteSlugs(of: loads, rule.entity)
            let computation = Computation(id: id, field: index, program: program)
            drafts[rule.entity, default: Draft()].computations.append((computation, rule.priority))
        }
        return problems.all
    }

    private mutating func add(_ definition: RuleDefinition, _ rule: RowRule) {
        guard definition.isActive else { return }
        if definition.hook == .beforeWrite {
            noteSlug(rule.reads, definition.entity)
            noteSlugs(of: rule.loads, definition.entity)
        }
        drafts[definition.entity, default: Draft()].rules.append((rule, definition))
    }

    private mutating func noteSlugs(of loads: [RelatedLoad], _ entity: String) {
        for load in loads where load.other.slugField != nil {
            drafts[entity, default: Draft()].loadedSlugs.insert(load.other.name)
        }
    }

    private mutating func noteSlug(_ reads: Set<Int>?, _ entity: String) {
        guard let model = models[entity], let slug = model.slugField, let index = model.index(of: slug.name) else {
            return
        }
        if reads?.contains(index) ?? true { drafts[entity, default: Draft()].readsSlug = true }
    }

    private func index(
        _ field: String,
        of entity: EntityModel,
        _ member: String,
        _ problems: inout Problems
    ) -> Int? {
        if let index = entity.index(of: field) { return index }
        problems.add(
            member,
            .unknown,
            "\"\(entity.name)\" has no field \"\(field)\"" + hint(field, entity.fieldNames)
        )
        return nil
    }

    private func hint(_ name: String, _ known: some Sequence<String>) -> String {
        suggestion(for: name, among: known)
    }

    private func compile(
        _ loads: [RuleDefinition.RelatedLoad],
        of entity: EntityModel,
        _ problems: inout Problems
    ) -> [RelatedLoad] {
        loads.enumerated().compactMap { position, load in
            let member = "definition.related_load[\(position)]"
            guard let side = entity.relation(load.relation), let other = models[side.other] else {
                problems.add(
                    "\(member).relation",
                    .unknown,
                    "\"\(entity.name)\" has no relation \"\(load.relation)\""
                        + hint(load.relation, entity.relations.map(\.name))
                )
                return nil
            }
            var conditions: [FieldCondition] = []
            for filter in load.filter.members {
                do throws(CoercionFailure) {
                    conditions.append(try FieldCondition(filter.name, filter.value, of: other))
                } catch {
                    problems.add("\(member).filter.\(filter.name)", .type, error.message)
                }
            }
            return RelatedLoad(
                side: side,
                other: other,
                conditions: conditions,
                filter: JSONValue.object(load.filter).jsonText
            )
        }
    }

    // MARK: expressions

    private func compile(
        _ text: String,
        _ names: RuleNames,
        _ loads: [RelatedLoad],
        _ member: String,
        _ problems: inout Problems,
        isOfWebhook: Bool = false
    ) -> RuleProgram? {
        do throws(ExpressionProblems) {
            let environment = names.environment(related: relatedType(loads), isOfWebhook: isOfWebhook)
            return RuleProgram(try Program.compile(text, in: environment), loads)
        } catch {
            for (problem, shown) in zip(error.problems, error.shown) {
                problems.add(member, .expression, shown + hint(toLoad: problem.message, names, loads))
            }
            return nil
        }
    }

    /// What to do where an expression looks for a relation that it does not load.
    private func hint(toLoad message: String, _ names: RuleNames, _ loads: [RelatedLoad]) -> String {
        guard let entity = models[names.record.name],
            let side = entity.relations.first(where: { message.hasPrefix("\"related\" has no field \"\($0.name)\"") })
        else { return "" }
        return "\nadd {\"relation\": \"\(side.name)\"} to related_load"
    }

    private func relatedType(_ loads: [RelatedLoad]) -> ObjectType {
        ObjectType(
            name: "related",
            members: loads.map { load in
                let record = names[load.other.name].map { ExpressionType.object($0.record) } ?? .any
                return (load.side.name, load.side.isMany ? .array(record) : record)
            }
        )
    }

    /// An expression of a state machine or a webhook, which has no place to say what it loads: it is what it reads.
    private mutating func compile(
        _ text: String,
        of entity: EntityModel,
        _ member: String,
        _ problems: inout Problems,
        isOfWebhook: Bool = false
    ) -> RuleProgram? {
        guard let names = names[entity.name] else { return nil }
        let all = entity.relations.compactMap { side in
            models[side.other].map { RelatedLoad(side: side, other: $0, conditions: [], filter: "") }
        }
        guard let program = compile(text, names, all, member, &problems, isOfWebhook: isOfWebhook) else { return nil }
        drafts[entity.name, default: Draft()].wanted.add(program.program.reads)
        guard let read = program.program.reads.members(of: "related") else {
            problems.add(member, .expression, "name the relations of \"related\" one by one: related.relation")
            return nil
        }
        let loads = all.filter { read.contains($0.side.name) }
        // Whom a webhook tells is decided when all slugs are made.
        if !isOfWebhook {
            noteSlug(program.fields(of: entity), entity.name)
            noteSlugs(of: loads, entity.name)
        }
        // Compiled again, so that it loads no more than it reads.
        return compile(text, names, loads, member, &problems, isOfWebhook: isOfWebhook)
    }

    // MARK: webhooks

    private mutating func add(_ webhook: WebhookDefinition, _ id: String, at path: String) -> [FailureDetail] {
        var problems = Problems(path)
        guard let entity = models[webhook.entity] else {
            problems.add(
                "entity",
                .unknown,
                "there is no entity \"\(webhook.entity)\"" + hint(webhook.entity, models.keys)
            )
            return problems.all
        }
        let condition = webhook.condition.flatMap {
            compile($0, of: entity, "condition", &problems, isOfWebhook: true)
        }
        guard webhook.isActive else { return problems.all }
        let problem = problems.all.first.map { "it can't be used: \($0.message)" }
        drafts[webhook.entity, default: Draft()].webhooks.append(
            Webhook(id: id, definition: webhook, condition: condition, problem: problem)
        )
        return problems.all
    }

    // MARK: workflows

    private mutating func add(
        _ workflow: WorkflowDefinition,
        _ stored: StoredDefinition,
        at path: String,
        _ definitions: DefinitionSet
    ) -> [FailureDetail] {
        var problems = Problems(path)
        for detail in WorkflowPlan.violations(in: workflow) {
            problems.add(detail.field ?? "", detail.rule ?? .type, detail.message)
        }
        checkSteps(of: workflow, definitions, &problems)
        if let twin = definitions.others.first(where: { $0.kind == .workflows && $0.name == workflow.name }),
            twin.id != stored.id
        {
            problems.add("name", .unknown, "there is a workflow \"\(workflow.name)\" already")
        }
        var event: WorkflowTrigger.Event?
        var (condition, own): (RuleProgram?, Program?)
        switch workflow.trigger {
        case .stateChange(let name, let field, let to):
            if let entity = entity(name, &problems) {
                event = becomes(to, field, of: entity, &problems)
                condition = workflow.condition.flatMap {
                    compile($0, of: entity, "trigger.condition", &problems, isOfWebhook: true)
                }
            }
        case .record(let name, let action):
            if let entity = entity(name, &problems) {
                event = .row(action == .create ? .create : action == .update ? .update : .delete)
                condition = workflow.condition.flatMap {
                    compile($0, of: entity, "trigger.condition", &problems, isOfWebhook: true)
                }
            }
        case .event, .schedule:
            own = workflow.condition.flatMap { compile($0, &problems) }
        }
        let problem = problems.all.first.map { "it can't be used: \($0.message)" }
        let compiled = StoredWorkflow(
            id: stored.id,
            version: stored.version,
            definition: workflow,
            condition: own,
            problem: problem
        )
        workflows.append(compiled)
        if let event, workflow.isActive, let entity = workflow.trigger.entity {
            drafts[entity, default: Draft()].triggers.append(
                WorkflowTrigger(workflow: compiled, event: event, condition: condition, problem: problem)
            )
        }
        return problems.all
    }

    private func entity(_ name: String, _ problems: inout Problems) -> EntityModel? {
        if let entity = models[name] { return entity }
        problems.add("trigger.entity", .unknown, "there is no entity \"\(name)\"" + hint(name, models.keys))
        return nil
    }

    private func becomes(
        _ value: JSONValue,
        _ name: String,
        of entity: EntityModel,
        _ problems: inout Problems
    ) -> WorkflowTrigger.Event? {
        guard let index = entity.index(of: name) else {
            let names = entity.fields.map(\.name)
            problems.add("trigger.field", .unknown, "\"\(entity.name)\" has no field \"\(name)\"" + hint(name, names))
            return nil
        }
        do throws(CoercionFailure) {
            return .becomes(index, try entity.fields[index].shape.value(of: value))
        } catch {
            problems.add("trigger.to", .type, error.message)
            return nil
        }
    }

    private func compile(_ text: String, _ problems: inout Problems) -> Program? {
        do throws(ExpressionProblems) {
            return try Program.compile(text, in: StoredWorkflow.eventEnvironment)
        } catch {
            for shown in error.shown { problems.add("trigger.condition", .expression, shown) }
            return nil
        }
    }

    /// What the steps write is there, and so are the workflows that they call.
    private func checkSteps(
        of workflow: WorkflowDefinition,
        _ definitions: DefinitionSet,
        _ problems: inout Problems
    ) {
        let names = definitions.others.filter { $0.kind == .workflows }.compactMap(\.name)
        for (index, step) in workflow.steps.enumerated() {
            let path = "steps[\(index)]"
            switch step.kind {
            case .action(let actions, _):
                for (place, action) in actions.enumerated() {
                    check(action, "\(path).actions[\(place)]", &problems)
                }
            case .call(let name, _, _, _) where !names.contains(name):
                problems.add("\(path).workflow", .unknown, "there is no workflow \"\(name)\"" + hint(name, names))
            default: break
            }
        }
    }

    private func check(_ action: WorkflowAction, _ path: String, _ problems: inout Problems) {
        guard let name = action.entity else { return }
        guard let entity = models[name] else {
            problems.add("\(path).entity", .unknown, "there is no entity \"\(name)\"" + hint(name, models.keys))
            return
        }
        func check(_ field: String, _ member: String) {
            let known = entity.fields.map(\.name) + entity.relations.map(\.name)
            guard !known.contains(field) else { return }
            let message = "\"\(name)\" has no field \"\(field)\"" + hint(field, known)
            problems.add("\(path).\(member)", .unknown, message)
        }
        switch action {
        case .setField(_, _, let field, _): check(field, "field")
        case .createRecord(_, let values, _), .updateRecord(_, _, let values):
            for value in values { check(value.name, "values.\(value.name)") }
        case .webhook, .sendEvent: break
        }
    }

    // MARK: state machines

    private mutating func add(
        _ machine: StateMachineDefinition,
        _ id: String,
        at path: String,
        _ definitions: DefinitionSet
    ) -> [FailureDetail] {
        var problems = Problems(path)
        guard let entity = models[machine.entity] else {
            problems.add(
                "entity",
                .unknown,
                "there is no entity \"\(machine.entity)\"" + hint(machine.entity, models.keys)
            )
            return problems.all
        }
        guard let index = index(machine.field, of: entity, "field", &problems) else { return problems.all }
        let field = entity.fields[index]
        if !field.shape.type.isText {
            problems.add("field", .type, "a state is text, but \"\(field.name)\" is \(field.shape.type.rawValue)")
        } else if field.isEngineOwned || field.isPrimaryKey || entity.definition.slug?.field == field.name {
            problems.add("field", .type, "\"\(field.name)\" is written by the engine, and can't be a state")
        }
        if machine.isActive, drafts[machine.entity]?.machines.contains(where: { $0.field == index }) == true {
            problems.add("field", .stateMachine, "\"\(field.name)\" has a state machine already")
        }
        requireState(machine.initial, field, "definition.initial", &problems)
        var transitions: [StateMachine.Transition] = []
        for (position, transition) in machine.transitions.enumerated() {
            let member = "definition.transitions[\(position)]"
            for (place, state) in transition.from.enumerated() where state != StateMachineDefinition.anyState {
                requireState(state, field, "\(member).from[\(place)]", &problems)
            }
            requireState(transition.to, field, "\(member).to", &problems)
            let guardProgram = transition.guardExpression.flatMap {
                compile($0, of: entity, "\(member).guard", &problems)
            }
            var actions: [StateMachine.Action] = []
            for (place, action) in transition.actions.enumerated() {
                let member = "\(member).actions[\(place)]"
                if let action = compile(action, of: entity, member, definitions, &problems) { actions.append(action) }
            }
            transitions.append(
                StateMachine.Transition(
                    from: Set(transition.from.map(FieldValue.text)),
                    isFromAny: transition.from.contains(StateMachineDefinition.anyState),
                    to: .text(transition.to),
                    roles: transition.roles,
                    guardProgram: guardProgram,
                    actions: actions
                )
            )
        }
        if machine.isActive, problems.isEmpty {
            let compiled = StateMachine(id: id, field: index, initial: .text(machine.initial), transitions: transitions)
            drafts[machine.entity, default: Draft()].machines.append(compiled)
        }
        return problems.all
    }

    private func requireState(_ state: String, _ field: FieldModel, _ member: String, _ problems: inout Problems) {
        guard let allowed = field.allowedValues, !allowed.contains(.text(state)) else { return }
        let states = allowed.compactMap(\.json.stringValue)
        problems.add(
            member,
            .enum,
            "\"\(field.name)\" can't be \"\(state)\": it is one of \(states.joined(separator: ", "))"
                + hint(state, states)
        )
    }

    private mutating func compile(
        _ action: StateMachineDefinition.Action,
        of entity: EntityModel,
        _ member: String,
        _ definitions: DefinitionSet,
        _ problems: inout Problems
    ) -> StateMachine.Action? {
        switch action {
        case .setField(let name, let source):
            guard let index = index(name, of: entity, "\(member).field", &problems) else { return nil }
            let field = entity.fields[index]
            if field.isEngineOwned || field.isPrimaryKey {
                problems.add("\(member).field", .type, "\"\(name)\" is written by the engine alone")
            } else if definitions.hasActiveMachine(of: name, entity.name) {
                problems.add("\(member).field", .stateMachine, "\"\(name)\" is moved by its own state machine only")
            }
            let place = if case .expression = source { "\(member).expression" } else { "\(member).value" }
            let compiled = compile(source, for: field, of: entity, place, &problems, nowIsText: true)
            return compiled.map { .setField(index, $0) }
        case .createRecord(let name, let values):
            guard let other = models[name] else {
                problems.add("\(member).entity", .unknown, "there is no entity \"\(name)\"" + hint(name, models.keys))
                return nil
            }
            var compiled: [(name: String, source: StateMachine.Source)] = []
            for value in values {
                let place = "\(member).values.\(value.name)"
                guard let index = index(value.name, of: other, place, &problems) else { continue }
                let field = other.fields[index]
                if field.isEngineOwned {
                    problems.add(place, .type, "\"\(value.name)\" is written by the engine alone")
                }
                if let source = compile(value.source, for: field, of: entity, place, &problems) {
                    compiled.append((value.name, source))
                }
            }
            for field in other.fields
            where field.definition.isMandatory && !field.isEngineOwned && field.defaultValue == nil
                && !values.contains(where: { $0.name == field.name })
                && !definitions.fillsIn(field.name, of: other.definition)
            {
                problems.add("\(member).values", .required, "\"\(field.name)\" of \"\(name)\" is required")
            }
            return .createRecord(entity: name, values: compiled)
        case .webhook(let call):
            return .webhook(call)
        case .sendEvent(let event, let payload):
            var compiled: [(name: String, source: StateMachine.Source)] = []
            for value in payload {
                let place = "\(member).payload.\(value.name)"
                if let source = compile(value.source, for: nil, of: entity, place, &problems) {
                    compiled.append((value.name, source))
                }
            }
            return .sendEvent(event, payload: compiled)
        }
    }

    /// - Parameter field: the field that gets the value; nil where it may be any.
    /// - Parameter nowIsText: whether a text field takes `"now"` for the instant, too.
    private mutating func compile(
        _ source: StateMachineDefinition.ValueSource,
        for field: FieldModel?,
        of entity: EntityModel,
        _ member: String,
        _ problems: inout Problems,
        nowIsText: Bool = false
    ) -> StateMachine.Source? {
        switch source {
        case .expression(let text):
            return compile(text, of: entity, member, &problems).map { .expression($0) }
        case .literal("now") where field?.shape.type == .timestamp || field?.shape.type == .date:
            return .now
        case .literal("now") where nowIsText && field?.shape.type.isText == true && field?.allowedValues == nil:
            return .now
        case .literal(let json):
            guard let field else { return .literal(json) }
            do throws(CoercionFailure) {
                let value = try field.shape.value(of: json)
                if field.definition.isMandatory, value.isNull || value == .text("") {
                    problems.add(member, .required, "\"\(field.name)\" is required")
                } else if let allowed = field.allowedValues, !value.isNull, !allowed.contains(value) {
                    let list = allowed.map(\.json.jsonText).joined(separator: ", ")
                    problems.add(member, .enum, "\(json.jsonText) is none of \(list)")
                }
            } catch {
                problems.add(member, .type, error.message)
            }
            return .literal(json)
        }
    }
}

extension ExpressionType {
    /// Whether a value of the type may fit a field; where nothing is known, it may.
    fileprivate func mayFit(_ field: FieldType) -> Bool {
        switch (self, field) {
        case (.any, _), (.null, _), (_, .json): true
        case (.boolean, _): field == .boolean
        case (.number, _), (.decimal, _): field.isWhole || field == .float || field == .decimal
        case (.text, _), (.choice, _): field != .boolean && field != .int && field != .float
        case (.date, _): field == .timestamp || field == .date || field.isText
        case (.array, _), (.pattern, _): false
        case (.object, _): field == .file
        }
    }
}

/// Violations of one definition.
private struct Problems {
    private let path: String
    private(set) var all: [FailureDetail] = []

    init(_ path: String) {
        self.path = path
    }

    var isEmpty: Bool { all.isEmpty }

    mutating func add(_ member: String, _ rule: ViolatedRule, _ message: String) {
        all.append(
            FailureDetail(field: path.isEmpty ? member : "\(path).\(member)", rule: rule, message: message)
        )
    }
}

extension RowRule {
    fileprivate init(_ rule: RuleDefinition, _ id: String, _ test: Test, blamed: String?, reads: Set<Int>?) {
        self.init(
            id: id,
            test: test,
            blamed: blamed,
            message: rule.message.flatMap { $0.isEmpty ? nil : $0 },
            stopsOnFail: rule.stopsOnFail,
            reads: reads
        )
    }
}

extension DefinitionSet {
    fileprivate func hasActiveMachine(of field: String, _ entity: String) -> Bool {
        others.contains { other in
            other.kind == .stateMachines && other.entity == entity && other.content["field"]?.stringValue == field
                && other.content["active"] != .boolean(false)
        }
    }

    /// Whether a record needs no value of a field to be made, because a slug, a computation or a state machine gives it.
    fileprivate func fillsIn(_ field: String, of entity: EntityDefinition) -> Bool {
        if entity.slug?.field == field, entity.slug?.source != nil { return true }
        if hasActiveMachine(of: field, entity.name) { return true }
        return others.contains { other in
            other.kind == .rules && other.entity == entity.name && other.content["type"] == "computed"
                && other.content["active"] != .boolean(false)
                && other.content["definition"]?.objectValue?["field"]?.stringValue == field
        }
    }
}
