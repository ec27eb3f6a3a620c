import RocketModel

/// An expression that is ready to run: read, checked and compiled once, immutable, shared by all requests.
package final class Program: Sendable {
    /// One part of a program at work.
    typealias Step = @Sendable (inout Evaluation) throws(EvaluationFailure) -> ExpressionValue

    package let source: String
    /// What the program uses.
    package let reads: Reads
    /// What is known of its value.
    package let type: ExpressionType
    private let step: Step
    private let parameterCount: Int

    init(source: String, reads: Reads, type: ExpressionType, step: @escaping Step, parameterCount: Int) {
        self.source = source
        self.reads = reads
        self.type = type
        self.step = step
        self.parameterCount = parameterCount
    }

    /// Reads, checks and compiles an expression.
    ///
    /// - Throws: every problem of the text at once.
    package static func compile(
        _ source: String,
        in environment: ExpressionEnvironment
    ) throws(ExpressionProblems) -> Program {
        let (node, problems) = Parser.parse(source)
        guard let node else { throw ExpressionProblems(source: source, problems: problems) }
        var compiler = Compiler(environment)
        let (step, type) = compiler.compile(node)
        guard compiler.problems.isEmpty else {
            throw ExpressionProblems(source: source, problems: compiler.problems.sorted { $0.offset < $1.offset })
        }
        return Program(
            source: source,
            reads: compiler.reads,
            type: type,
            step: step,
            parameterCount: compiler.parameterCount
        )
    }

    /// Gives the expression's value.
    ///
    /// - Parameters:
    ///   - names: the values of the environment's names, in their order.
    ///   - now: the one instant of the request.
    /// - Throws: what can't be done, or is over the budget; the message is for the client.
    package func value(_ names: [ExpressionValue], now: DateValue) throws(EvaluationFailure) -> ExpressionValue {
        var run = Evaluation(names: names, parameterCount: parameterCount, now: now)
        return try step(&run)
    }

    /// Gives the expression's value as one of several that share a budget, which a run that fails has spent as well.
    ///
    /// - Throws: what can't be done, or is over its own budget or the shared one.
    package func value(
        _ names: [ExpressionValue],
        now: DateValue,
        within budget: inout EvaluationBudget
    ) throws(EvaluationFailure) -> ExpressionValue {
        guard !budget.isSpent else { throw Self.spent }
        let given = (min(Evaluation.stepBudget, budget.steps), min(Evaluation.memoryBudget, budget.bytes))
        var run = Evaluation(names: names, parameterCount: parameterCount, now: now, budget: given)
        defer { budget.spend(steps: given.0 - max(run.steps, 0), bytes: given.1 - max(run.bytes, 0)) }
        do throws(EvaluationFailure) {
            return try step(&run)
        } catch {
            FaultCount.raise()
            let isOver =
                run.steps < 0 ? given.0 < Evaluation.stepBudget : run.bytes < 0 && given.1 < Evaluation.memoryBudget
            throw isOver ? Self.spent : error
        }
    }

    private static var spent: EvaluationFailure {
        EvaluationFailure(
            "the expressions of this request take too many steps together, or make too much; write less at once"
        )
    }

    /// Gives the value as `JSON.stringify` writes it; undefined is null.
    package func json(_ names: [ExpressionValue], now: DateValue) throws(EvaluationFailure) -> String {
        var run = Evaluation(names: names, parameterCount: parameterCount, now: now)
        let value = try step(&run)
        var writer = JSONWriter()
        guard try run.write(value, &writer) else { return "null" }
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// What a program uses, so that metadata checks, loading and documentation need not run it.
package struct Reads: Sendable, Hashable {
    /// Members of the environment's names, as `record.total`, or a name by itself where all of it is used.
    package var paths: Set<String> = []
    package var functions: Set<String> = []

    /// The members of one name that are used; nil where all of it may be.
    package func members(of name: String) -> Set<String>? {
        if paths.contains(name) { return nil }
        return Set(paths.filter { $0.hasPrefix(name + ".") }.map { String($0.dropFirst(name.count + 1)) })
    }
}

/// Everything that is wrong with an expression.
package struct ExpressionProblems: Error, Sendable {
    package let source: String
    package let problems: [SyntaxProblem]

    /// Each problem with its line and a caret.
    package var shown: [String] { problems.map { $0.shown(in: source) } }
}
