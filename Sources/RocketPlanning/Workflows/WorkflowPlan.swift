import RocketExpression
package import RocketModel

/// A workflow that is ready to run: its expressions compiled, and where each step stands.
package struct WorkflowPlan: Sendable {
    /// Where a step of a branch stands.
    struct Branch: Sendable {
        /// The step that has the branches.
        let owner: String
        let index: Int
        let steps: [String]

        func following(_ step: String) -> String? {
            steps.firstIndex(of: step).flatMap { steps.indices.contains($0 + 1) ? steps[$0 + 1] : nil }
        }
    }

    package let definition: WorkflowDefinition
    /// By text; one that can't be compiled is missing, and its step fails.
    private let programs: [String: Program]
    private let branches: [String: Branch]

    package init(_ definition: WorkflowDefinition) {
        self.definition = definition
        var programs: [String: Program] = [:]
        for (_, text) in Self.expressions(of: definition) where programs[text] == nil {
            do throws(ExpressionProblems) {
                programs[text] = try Program.compile(text, in: Self.environment)
            } catch {
                // It was told when the definition was saved.
            }
        }
        self.programs = programs
        var branches: [String: Branch] = [:]
        for step in definition.steps {
            guard case .parallel(let lists, _, _) = step.kind else { continue }
            for (index, steps) in lists.enumerated() {
                for name in steps { branches[name] = Branch(owner: step.id, index: index, steps: steps) }
            }
        }
        self.branches = branches
    }

    /// How many branches stand within each other.
    private static let maximumNesting = 8

    /// What expressions of steps know.
    private static let environment = ExpressionEnvironment([("context", .any), ("now", .date)])

    /// Every expression of the steps, with its place.
    private static func expressions(of definition: WorkflowDefinition) -> [(path: String, text: String)] {
        var found: [(String, String)] = []
        for (index, step) in definition.steps.enumerated() {
            let path = "steps[\(index)]"
            switch step.kind {
            case .condition(let text, _, _): found.append(("\(path).expression", text))
            case .action(let actions, _):
                for (place, action) in actions.enumerated() {
                    for (member, value) in action.values {
                        if case .expression(let text) = value {
                            found.append(("\(path).actions[\(place)].\(member)", text))
                        }
                    }
                }
            case .call(_, let values, _, _):
                for value in values {
                    if case .expression(let text) = value.value {
                        found.append(("\(path).context.\(value.name)", text))
                    }
                }
            case .approval, .wait, .parallel: break
            }
        }
        return found
    }

    func branch(of step: String) -> Branch? { branches[step] }

    /// - Throws: what can't be computed, in words.
    func value(_ text: String, _ context: JSONObject, now: Timestamp) throws(EvaluationFailure) -> ExpressionValue {
        guard let program = programs[text] else { throw EvaluationFailure("the expression can't be compiled") }
        return try program.value(
            [ExpressionValue(.object(context)), .date(DateValue(now))],
            now: DateValue(now)
        )
    }

    // MARK: checks

    /// Everything that is wrong with the steps, as far as the workflow itself tells.
    static func violations(in definition: WorkflowDefinition) -> [FailureDetail] {
        var details: [FailureDetail] = []
        let seen = Set(definition.steps.map(\.id))
        for (path, text) in expressions(of: definition) {
            do throws(ExpressionProblems) {
                _ = try Program.compile(text, in: environment)
            } catch {
                details += error.shown.map { detail(path, .expression, $0) }
            }
        }
        let plan = WorkflowPlan(definition)
        details += plan.branchViolations(seen)
        for (index, step) in definition.steps.enumerated() {
            for (member, goto) in step.gotos {
                guard case .step(let target) = goto else { continue }
                let path = "steps[\(index)].\(member)"
                if !seen.contains(target) {
                    let hint = suggestion(for: target, among: seen.sorted())
                    details.append(detail(path, .unknown, "there is no step \"\(target)\"" + hint))
                } else if !plan.isSameBranch(step.id, target) {
                    details.append(detail(path, .type, "leads into a branch, or out of its own"))
                }
            }
        }
        if details.isEmpty, let step = plan.endlessStep,
            let index = definition.steps.firstIndex(where: { $0.id == step })
        {
            let message = "leads back to itself without an approval or a wait, and would never end"
            details.append(detail("steps[\(index)]", .type, message))
        }
        return details
    }

    private static func detail(_ path: String, _ rule: ViolatedRule, _ message: String) -> FailureDetail {
        FailureDetail(field: path, rule: rule, message: message)
    }

    private func branchViolations(_ known: Set<String>) -> [FailureDetail] {
        var details: [FailureDetail] = []
        var owners: [String: String] = [:]
        for (index, step) in definition.steps.enumerated() {
            guard case .parallel(let lists, _, _) = step.kind else { continue }
            for (list, steps) in lists.enumerated() {
                for (place, name) in steps.enumerated() {
                    let path = "steps[\(index)].branches[\(list)][\(place)]"
                    if !known.contains(name) {
                        details.append(Self.detail(path, .unknown, "there is no step \"\(name)\""))
                    } else if name == step.id || name == definition.steps.first?.id {
                        details.append(Self.detail(path, .type, "\"\(name)\" can't be in a branch of this step"))
                    } else if owners[name] != nil {
                        details.append(Self.detail(path, .type, "\"\(name)\" is in another branch already"))
                    }
                    owners[name] = step.id
                }
            }
        }
        // A step that holds itself, over others, would never begin.
        for (index, step) in definition.steps.enumerated() {
            var owner = owners[step.id]
            var depth = 0
            while let above = owner {
                guard above != step.id, depth < Self.maximumNesting else {
                    let message = above == step.id ? "is in a branch of its own" : "is in too many branches"
                    details.append(Self.detail("steps[\(index)]", .type, message))
                    break
                }
                owner = owners[above]
                depth += 1
            }
        }
        return details
    }

    private func isSameBranch(_ left: String, _ right: String) -> Bool {
        let (a, b) = (branches[left], branches[right])
        return a?.owner == b?.owner && a?.index == b?.index
    }

    /// A step on a circle in which an instance never rests; nil where there is none.
    private var endlessStep: String? {
        var state: [String: Bool] = [:]
        func visit(_ id: String) -> String? {
            guard let step = definition.step(id), !step.pauses else { return nil }
            if let isDone = state[id] { return isDone ? nil : id }
            state[id] = false
            var targets = step.gotos.compactMap { goto in
                switch goto.goto {
                case .step(let target): target
                case .next: branches[id]?.following(id)
                case .end: nil
                }
            }
            if case .parallel(let lists, _, _) = step.kind { targets += lists.compactMap(\.first) }
            for target in targets { if let found = visit(target) { return found } }
            state[id] = true
            return nil
        }
        for step in definition.steps { if let found = visit(step.id) { return found } }
        return nil
    }
}
