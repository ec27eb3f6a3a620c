import RocketModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension Evaluation {
    /// `left + right`: texts are put together; a date and a number of milliseconds are a date.
    mutating func add(_ left: ExpressionValue, _ right: ExpressionValue) throws(EvaluationFailure) -> ExpressionValue {
        if case .number(let a) = left, case .number(let b) = right { return .number(a + b) }
        let (a, b) = (try primitive(left), try primitive(right))
        switch (a, b) {
        case (.string, _), (_, .string):
            let result = try text(a) + text(b)
            try allocate(result.utf8.count)
            return .string(result)
        case (.date(let date), .number), (.date(let date), .decimal):
            return .date(date.adding(milliseconds: try double(b)))
        case (.number, .date(let date)), (.decimal, .date(let date)):
            return .date(date.adding(milliseconds: try double(a)))
        case (.date, _), (_, .date):
            let result = try text(a) + text(b)
            try allocate(result.utf8.count)
            return .string(result)
        default:
            return try arithmetic(.add, a, b)
        }
    }

    mutating func arithmetic(
        _ op: BinaryOperator,
        _ left: ExpressionValue,
        _ right: ExpressionValue
    ) throws(EvaluationFailure) -> ExpressionValue {
        if op == .subtract, case .date(let date) = left {
            if case .date(let other) = right { return .number(date.difference(other)) }
            if right.isNumeric { return .date(date.adding(milliseconds: -(try double(right)))) }
        }
        let (a, b) = (try numeric(left), try numeric(right))
        if let (x, y) = Self.exact(a, b) { return try exactly(op, x, y) }
        let (x, y) = (try double(a), try double(b))
        switch op {
        case .add: return .number(x + y)
        case .subtract: return .number(x - y)
        case .multiply: return .number(x * y)
        case .divide: return .number(x / y)
        case .remainder: return .number(x.truncatingRemainder(dividingBy: y))
        default: return .number(Self.power(x, y))
        }
    }

    /// A number in JavaScript's way: NaN where C says 1.
    static func power(_ base: Double, _ exponent: Double) -> Double {
        if exponent.isNaN || (abs(base) == 1 && exponent.isInfinite) { return .nan }
        return pow(base, exponent)
    }

    /// Steps that a computation with many digits takes.
    private mutating func spendDigits(_ left: DecimalNumber, _ right: DecimalNumber) throws(EvaluationFailure) {
        try spend((left.digits.count + right.digits.count) / 8)
    }

    private mutating func exactly(
        _ op: BinaryOperator,
        _ left: DecimalNumber,
        _ right: DecimalNumber
    ) throws(EvaluationFailure) -> ExpressionValue {
        try spendDigits(left, right)
        if op == .power { try spend(64) }
        let result: DecimalNumber?
        do throws(DecimalOverflow) {
            result = try Self.decimal(op, left, right)
        } catch {
            throw Self.tooManyDigits
        }
        // As with numbers: infinity, NaN, or what only a number can be.
        guard let result else { return .number(Self.inexactly(op, left, right)) }
        try allocate(result.digits.count)
        return .decimal(result.canonical)
    }

    static var tooManyDigits: EvaluationFailure { EvaluationFailure("a decimal would have more than 1,000 digits") }

    /// Nil where the result is no decimal.
    private static func decimal(
        _ op: BinaryOperator,
        _ left: DecimalNumber,
        _ right: DecimalNumber
    ) throws(DecimalOverflow) -> DecimalNumber? {
        switch op {
        case .add: return try left.adding(right)
        case .subtract: return try left.subtracting(right)
        case .multiply: return try left.multiplied(by: right)
        case .divide: return try left.divided(by: right)
        case .remainder: return try left.remainder(dividingBy: right)
        default:
            guard let exponent = right.int64, let power = Int(exactly: exponent) else { return nil }
            return try left.raised(toWhole: power)
        }
    }

    private static func inexactly(_ op: BinaryOperator, _ left: DecimalNumber, _ right: DecimalNumber) -> Double {
        let (x, y) = (left.doubleValue, right.doubleValue)
        switch op {
        case .divide: return x / y
        case .remainder: return .nan
        default: return power(x, y)
        }
    }

    mutating func negated(_ value: ExpressionValue) throws(EvaluationFailure) -> ExpressionValue {
        switch try numeric(value) {
        case .decimal(let number): return .decimal(number.negated)
        case let other: return .number(-(try double(other)))
        }
    }
}
