/// Why an expression gave no value: over its budget, or asked for something that can't be done.
package struct EvaluationFailure: Error, Sendable, Hashable {
    package let message: String

    package init(_ message: String) {
        self.message = message
    }
}

/// What the runs of several programs may spend together; each by itself has its own bound beside it.
package struct EvaluationBudget: Sendable {
    private(set) var steps: Int
    private(set) var bytes: Int

    /// - Parameters:
    ///   - steps: as ``Evaluation/stepBudget`` counts them.
    ///   - bytes: as ``Evaluation/memoryBudget`` counts them.
    package init(steps: Int, bytes: Int) {
        self.steps = steps
        self.bytes = bytes
    }

    mutating func spend(steps: Int, bytes: Int) {
        self.steps -= steps
        self.bytes -= bytes
    }

    var isSpent: Bool { steps <= 0 || bytes <= 0 }
}

/// One run of a program: what it may still spend, and the values of its names. Nothing in it outlives the run.
package struct Evaluation: ~Copyable {
    /// Nodes and elements that one run may look at: a few milliseconds.
    package static let stepBudget = 100_000
    /// Bytes of text and elements that one run may make.
    package static let memoryBudget = 4 << 20
    /// How deep values may stand within each other.
    static let maximumDepth = 100

    /// The values of the environment's names, by slot.
    let names: [ExpressionValue]
    /// The values of parameters of functions that are running, by slot.
    var parameters: [ExpressionValue]
    /// The one instant of the request, in microseconds since 1970.
    let now: DateValue
    private(set) var steps: Int
    private(set) var bytes: Int
    private var depth = 0
    /// Patterns that were made of texts.
    var patterns: [String: Pattern] = [:]

    /// - Parameter budget: what is left of the budget of several runs.
    init(
        names: [ExpressionValue],
        parameterCount: Int,
        now: DateValue,
        budget: (steps: Int, bytes: Int) = (stepBudget, memoryBudget)
    ) {
        self.names = names
        steps = budget.steps
        bytes = budget.bytes
        parameters = parameterCount == 0 ? [] : Array(repeating: .undefined, count: parameterCount)
        self.now = now
    }

    @inline(__always)
    mutating func spend(_ count: Int) throws(EvaluationFailure) {
        steps -= count
        if steps < 0 { throw Self.tooLong }
    }

    private static var tooLong: EvaluationFailure { EvaluationFailure("the expression takes too many steps") }
    private static var tooLarge: EvaluationFailure {
        EvaluationFailure("the expression makes too much text or too many values")
    }

    /// What is made counts against the budget for good.
    mutating func allocate(_ count: Int) throws(EvaluationFailure) {
        bytes -= count
        if bytes < 0 { throw Self.tooLarge }
    }

    /// Whether so much may be made at all, before it is.
    func allocateNow(_ count: Int) throws(EvaluationFailure) {
        if count > bytes { throw Self.tooLarge }
    }

    mutating func descend() throws(EvaluationFailure) {
        depth += 1
        if depth > Self.maximumDepth { throw EvaluationFailure("values stand within each other too deeply") }
    }

    mutating func ascend() { depth -= 1 }

    /// Values that stand within each other without end would end the stack when they are looked at, or let go.
    mutating func requireShallow(_ items: [ExpressionValue]) throws(EvaluationFailure) {
        try descend()
        defer { ascend() }
        for item in items {
            switch item {
            case .array(let inner):
                try spend(1)
                try requireShallow(inner)
            case .object(let object):
                try spend(1)
                try requireShallow(object.values)
            default: break
            }
        }
    }
}
