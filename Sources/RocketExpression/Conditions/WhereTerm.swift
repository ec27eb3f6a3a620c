import RocketModel

/// The part of an expression that a database can answer too: what is known beforehand is a constant, and what is
/// asked of each record is a path of names.
package indirect enum WhereTerm: Sendable {
    package enum Comparison: String, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    package enum TextTest: Sendable {
        case includes
        case startsWith
        case endsWith
    }

    package enum Arithmetic: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
    }

    case constant(ExpressionValue)
    case path([String], at: Int)
    case and(WhereTerm, WhereTerm)
    case or(WhereTerm, WhereTerm)
    case not(WhereTerm)
    /// - Parameter isStrict: whether null and undefined are two things.
    case comparison(Comparison, WhereTerm, WhereTerm, isStrict: Bool, at: Int)
    case membership(WhereTerm, [ExpressionValue], at: Int)
    case text(TextTest, WhereTerm, String, at: Int)
    case arithmetic(Arithmetic, WhereTerm, WhereTerm, at: Int)

    /// Reads a condition.
    ///
    /// - Parameter constants: names that are known beforehand, with their values; all others are a record's.
    /// - Throws: every part that is no expression, or that no database can answer.
    package static func read(
        _ source: String,
        constants: [(name: String, type: ExpressionType, value: ExpressionValue)],
        now: DateValue
    ) throws(ExpressionProblems) -> WhereTerm {
        let (node, problems) = Parser.parse(source)
        guard let node else { throw ExpressionProblems(source: source, problems: problems) }
        var reader = WhereReader(constants: constants, now: now)
        let term = reader.term(node)
        guard reader.problems.isEmpty else { throw ExpressionProblems(source: source, problems: reader.problems) }
        return term
    }

    /// How a comparison turns out of two values, as the language has it.
    package static func holds(_ comparison: Comparison, _ left: ExpressionValue, _ right: ExpressionValue) -> Bool {
        var run = Evaluation(names: [], parameterCount: 0, now: .invalid)
        do throws(EvaluationFailure) {
            switch comparison {
            case .equal: return try run.isEqual(left, right)
            case .notEqual: return !(try run.isEqual(left, right))
            case .less: return try run.order(left, right) == -1
            case .greater: return try run.order(left, right) == 1
            case .lessOrEqual: return (try run.order(left, right)).map { $0 <= 0 } ?? false
            case .greaterOrEqual: return (try run.order(left, right)).map { $0 >= 0 } ?? false
            }
        } catch {
            return false
        }
    }
}

private struct WhereReader {
    let constants: [(name: String, type: ExpressionType, value: ExpressionValue)]
    let now: DateValue
    private(set) var problems: [SyntaxProblem] = []
    /// One budget for all that is known beforehand.
    private var budget = (steps: Evaluation.stepBudget, bytes: Evaluation.memoryBudget)
    /// Bytes that may still be sent to the database.
    private var boundBytes = 65_536

    init(constants: [(name: String, type: ExpressionType, value: ExpressionValue)], now: DateValue) {
        self.constants = constants
        self.now = now
    }

    private mutating func problem(_ message: String, _ offset: Int) -> WhereTerm {
        problems.append(SyntaxProblem(message, at: offset))
        return .constant(.null)
    }

    mutating func term(_ node: SyntaxNode) -> WhereTerm {
        if !asksRecord(node) { return constant(node) }
        switch node.kind {
        case .name(let name): return .path([name], at: node.start)
        case .member(let base, let name, _):
            guard case .path(let path, _) = term(base) else { return untranslatable("a member of this", node) }
            return .path(path + [name], at: node.start)
        case .unary(.not, let operand): return .not(term(operand))
        case .logical(.and, let left, let right): return .and(term(left), term(right))
        case .logical(.or, let left, let right): return .or(term(left), term(right))
        case .binary(let op, let left, let right): return binary(op, left, right, node)
        case .call(let callee, let arguments): return call(callee, arguments, node)
        default: return untranslatable("this", node)
        }
    }

    private mutating func untranslatable(_ what: String, _ node: SyntaxNode) -> WhereTerm {
        problem(
            "\(what) can't be asked of the database: comparisons, && || !, in, + - * of whole numbers, includes, startsWith"
                + " and endsWith can",
            node.start
        )
    }

    private mutating func binary(_ op: BinaryOperator, _ left: SyntaxNode, _ right: SyntaxNode, _ node: SyntaxNode)
        -> WhereTerm
    {
        let comparison: WhereTerm.Comparison? =
            switch op {
            case .equal, .same: .equal
            case .notEqual, .notSame: .notEqual
            case .less: .less
            case .lessOrEqual: .lessOrEqual
            case .greater: .greater
            case .greaterOrEqual: .greaterOrEqual
            default: nil
            }
        if let comparison {
            let isStrict = op == .same || op == .notSame
            return .comparison(comparison, term(left), term(right), isStrict: isStrict, at: node.start)
        }
        switch op {
        case .isIn, .isNotIn:
            let membership = membership(left, right, node)
            return op == .isIn ? membership : .not(membership)
        case .add: return .arithmetic(.add, term(left), term(right), at: node.start)
        case .subtract: return .arithmetic(.subtract, term(left), term(right), at: node.start)
        case .multiply: return .arithmetic(.multiply, term(left), term(right), at: node.start)
        default: return untranslatable("\(op.rawValue)", node)
        }
    }

    private mutating func membership(_ left: SyntaxNode, _ right: SyntaxNode, _ node: SyntaxNode) -> WhereTerm {
        if !asksRecord(right) {
            guard case .constant(.array(let items)) = constant(right) else {
                return problem("in takes an array here", right.start)
            }
            return .membership(term(left), items, at: node.start)
        }
        guard !asksRecord(left), case .constant(.string(let part)) = constant(left) else {
            return untranslatable("this use of in", node)
        }
        return .text(.includes, term(right), part, at: node.start)
    }

    private mutating func call(
        _ callee: SyntaxNode,
        _ arguments: [SyntaxNode.Element],
        _ node: SyntaxNode
    ) -> WhereTerm {
        let tests: [String: WhereTerm.TextTest] = [
            "includes": .includes, "startsWith": .startsWith, "endsWith": .endsWith,
        ]
        guard case .member(let base, let name, _) = callee.kind, let test = tests[name], arguments.count == 1 else {
            return untranslatable("this call", node)
        }
        let argument = arguments[0].value
        // An array of the caller's that has the record's value.
        if !asksRecord(base), case .constant(.array(let items)) = constant(base), test == .includes {
            return .membership(term(argument), items, at: node.start)
        }
        guard !asksRecord(argument), case .constant(.string(let part)) = constant(argument) else {
            return problem("\(name) takes a text that is known beforehand", argument.start)
        }
        return .text(test, term(base), part, at: node.start)
    }

    // MARK: constants

    private func isConstant(_ name: String) -> Bool {
        constants.contains { $0.name == name }
    }

    /// Whether the node names anything of a record.
    private func asksRecord(_ node: SyntaxNode, _ bound: Set<String> = []) -> Bool {
        switch node.kind {
        case .undefined, .null, .boolean, .number, .string, .pattern, .broken: false
        case .name(let name): !bound.contains(name) && !isConstant(name)
        case .template(_, let parts): parts.contains { asksRecord($0, bound) }
        case .array(let elements), .newDate(let elements): elements.contains { asksRecord($0.value, bound) }
        case .object(let properties):
            properties.contains { property in
                switch property {
                case .named(_, let value), .spread(let value): asksRecord(value, bound)
                case .computed(let key, let value): asksRecord(key, bound) || asksRecord(value, bound)
                }
            }
        case .unary(_, let operand): asksRecord(operand, bound)
        case .binary(_, let left, let right), .logical(_, let left, let right), .element(let left, let right):
            asksRecord(left, bound) || asksRecord(right, bound)
        case .condition(let condition, let then, let otherwise):
            asksRecord(condition, bound) || asksRecord(then, bound) || asksRecord(otherwise, bound)
        case .member(let base, _, _):
            if case .name(let name) = base.kind, FunctionLibrary.namespaces.contains(name) {
                false
            } else {
                asksRecord(base, bound)
            }
        case .call(let callee, let arguments):
            arguments.contains { asksRecord($0.value, bound) } || asksCallee(callee, bound)
        case .arrow(let names, let body): asksRecord(body, bound.union(names))
        }
    }

    private func asksCallee(_ callee: SyntaxNode, _ bound: Set<String>) -> Bool {
        if case .name(let name) = callee.kind { return FunctionLibrary.function(.global, name) == nil }
        return asksRecord(callee, bound)
    }

    /// The value of what names nothing of a record.
    private mutating func constant(_ node: SyntaxNode) -> WhereTerm {
        var compiler = Compiler(ExpressionEnvironment(constants.map { ($0.name, $0.type) }))
        let step = compiler.compile(node).step
        guard compiler.problems.isEmpty else {
            problems += compiler.problems
            return .constant(.null)
        }
        var run = Evaluation(
            names: constants.map(\.value),
            parameterCount: compiler.parameterCount,
            now: now,
            budget: budget
        )
        do throws(EvaluationFailure) {
            let value = try step(&run)
            budget = (run.steps, run.bytes)
            boundBytes -= size(value)
            guard boundBytes >= 0 else { return problem("the condition's values are too large together", node.start) }
            return .constant(value)
        } catch {
            return problem(error.message, node.start)
        }
    }

    private func size(_ value: ExpressionValue) -> Int {
        switch value {
        case .string(let text): text.utf8.count + 16
        case .array(let items): items.reduce(16) { $0 + size($1) }
        default: 16
        }
    }
}
