import RocketModel

extension FunctionLibrary {
    private typealias OfDouble = @Sendable (Double) -> Double
    private typealias OfDecimal = @Sendable (DecimalNumber) throws(DecimalOverflow) -> DecimalNumber

    private static func math(
        _ name: String,
        _ summary: String,
        _ example: (String, String),
        _ ofDouble: @escaping OfDouble,
        _ ofDecimal: OfDecimal? = nil
    ) -> LibraryFunction {
        LibraryFunction(.namespace("Math"), name, [.number("x")], .any, summary, example) {
            (_, arguments, run) throws(EvaluationFailure) in
            switch try run.numeric(arguments.value(0)) {
            case .decimal(let number):
                guard let ofDecimal else { return .number(ofDouble(number.doubleValue)) }
                do throws(DecimalOverflow) {
                    return .decimal(try ofDecimal(number).canonical)
                } catch {
                    throw Evaluation.tooManyDigits
                }
            case let other: return .number(ofDouble(try run.double(other)))
            }
        }
    }

    /// JavaScript's: halves towards positive infinity.
    private static func rounded(_ number: Double) -> Double {
        let floor = number.rounded(.down)
        let result = number - floor >= 0.5 ? floor + 1 : floor
        return result == 0 && (number < 0 || number.sign == .minus) ? -0.0 : result
    }

    private static func rounded(_ number: DecimalNumber) throws(DecimalOverflow) -> DecimalNumber {
        guard let half = DecimalNumber("0.5") else { return number }
        return try number.adding(half).floor
    }

    static let mathFunctions: [LibraryFunction] = [
        math("abs", "The number without its sign.", ("Math.abs(-2.5)", "2.5"), { abs($0) }, { $0.magnitude }),
        math(
            "ceil",
            "The least whole number that is not less.",
            ("Math.ceil(1.2)", "2"),
            { $0.rounded(.up) },
            { (number: DecimalNumber) throws(DecimalOverflow) in try number.ceiling }
        ),
        math(
            "floor",
            "The greatest whole number that is not greater.",
            ("Math.floor(-1.2)", "-2"),
            { $0.rounded(.down) },
            { (number: DecimalNumber) throws(DecimalOverflow) in try number.floor }
        ),
        math("round", "The nearest whole number, halves upwards.", ("Math.round(-2.5)", "-2"), rounded, rounded),
        math(
            "trunc",
            "The number without its fraction.",
            ("Math.trunc(-2.7)", "-2"),
            { $0.rounded(.towardZero) },
            { $0.truncated }
        ),
        math(
            "sign",
            "-1, 0 or 1.",
            ("Math.sign(-3)", "-1"),
            { $0.isNaN || $0 == 0 ? $0 : $0 < 0 ? -1 : 1 },
            { DecimalNumber(Int64($0.sign)) }
        ),
        math("sqrt", "The square root.", ("Math.sqrt(16)", "4"), { $0.squareRoot() }),
        LibraryFunction(
            .namespace("Math"),
            "pow",
            [.number("base"), .number("exponent")],
            .any,
            "A power, as ** gives it.",
            ("Math.pow(2, 10)", "1024")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            try run.arithmetic(.power, arguments.value(0), arguments.value(1))
        },
        LibraryFunction(
            .namespace("Math"),
            "min",
            [.rest("numbers")],
            .any,
            "The least number; Infinity for none.",
            ("Math.min(3, 1, 2)", "1")
        ) { (_, arguments, run) throws(EvaluationFailure) in try run.extremeNumber(arguments, -1) },
        LibraryFunction(
            .namespace("Math"),
            "max",
            [.rest("numbers")],
            .any,
            "The greatest number; -Infinity for none.",
            ("Math.max(3, 1, 2)", "3")
        ) { (_, arguments, run) throws(EvaluationFailure) in try run.extremeNumber(arguments, 1) },
    ]
}

extension Evaluation {
    fileprivate mutating func extremeNumber(
        _ arguments: [Argument],
        _ sign: Int
    ) throws(EvaluationFailure) -> ExpressionValue {
        var best = ExpressionValue.number(sign < 0 ? .infinity : -.infinity)
        for argument in arguments {
            try spend(1)
            let value = try numeric(argument.value)
            if case .number(let number) = value, number.isNaN { return .number(.nan) }
            guard let order = try order(value, best) else { continue }
            // Of two zeros the negative one is less.
            if order == sign || (order == 0 && isNegativeZero(sign < 0 ? value : best)) { best = value }
        }
        return best
    }

    private func isNegativeZero(_ value: ExpressionValue) -> Bool {
        if case .number(let number) = value { number == 0 && number.sign == .minus } else { false }
    }
}
