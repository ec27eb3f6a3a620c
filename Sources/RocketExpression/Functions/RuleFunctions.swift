import RocketModel

extension FunctionLibrary {
    /// What business rules ask for.
    static let ruleFunctions: [LibraryFunction] = [
        LibraryFunction(
            .global,
            "len",
            [.value("x")],
            .number,
            "How many elements an array has, UTF-16 units a text, members an object; 0 for null.",
            ("len([1, 2, 3])", "3")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            switch arguments.value(0) {
            case .array(let items): return .number(Double(items.count))
            case .string(let text):
                try run.spend(text.utf8.count / 16)
                return .number(Double(text.utf16.count))
            case .object(let object): return .number(Double(object.values.count))
            case .undefined, .null: return .number(0)
            case let other: throw EvaluationFailure("len takes an array, a text or an object, and got \(other.kind)")
            }
        },
        LibraryFunction(
            .global,
            "sum",
            [.list("list"), .optionalFunction("value", parameters: 2)],
            .any,
            "The sum of a list, or of a value of each element: a function, or a text that names members. Null counts as nothing.",
            ("sum([{a: 2, b: 3}, {a: 1, b: 4}], 'a * b')", "10")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            var total = ExpressionValue.number(0)
            for value in try run.values(arguments, "sum") where !value.isNullish {
                total = try run.arithmetic(.add, total, value)
            }
            return total
        },
        LibraryFunction(
            .global,
            "avg",
            [.list("list"), .optionalFunction("value", parameters: 2)],
            .any,
            "The mean of a list, or of a value of each element; null for none.",
            ("avg([1, 2, 6])", "3")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            let values = try run.values(arguments, "avg").filter { !$0.isNullish }
            guard !values.isEmpty else { return .null }
            var total = ExpressionValue.number(0)
            for value in values { total = try run.arithmetic(.add, total, value) }
            return try run.arithmetic(.divide, total, .number(Double(values.count)))
        },
        LibraryFunction(
            .global,
            "min",
            [.list("list"), .optionalFunction("value", parameters: 2)],
            .any,
            "The least of a list, or of a value of each element; null for none.",
            ("min([3, 1, 2])", "1")
        ) { (_, arguments, run) throws(EvaluationFailure) in try run.extreme(arguments, "min", -1) },
        LibraryFunction(
            .global,
            "max",
            [.list("list"), .optionalFunction("value", parameters: 2)],
            .any,
            "The greatest of a list, or of a value of each element; null for none.",
            ("max([{n: 3}, {n: 7}], x => x.n)", "7")
        ) { (_, arguments, run) throws(EvaluationFailure) in try run.extreme(arguments, "max", 1) },
        LibraryFunction(
            .global,
            "count",
            [.list("list"), .optionalFunction("condition", parameters: 2)],
            .number,
            "How many elements a list has, or for how many the condition holds.",
            ("count([1, 2, 3], x => x > 1)", "2")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            let values = try run.values(arguments, "count")
            guard arguments.count > 1 else { return .number(Double(values.count)) }
            return .number(Double(values.count(where: \.isTruthy)))
        },
        LibraryFunction(
            .global,
            "today",
            [],
            .date,
            "The day of the request, in UTC.",
            ("typeof today()", "\"object\"")
        ) { (_, _, run) throws(EvaluationFailure) in .date(run.now.startOfDay) },
        LibraryFunction(
            .global,
            "days",
            [.number("n")],
            .number,
            "So many days in milliseconds.",
            ("days(2)", "172800000")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            .number(try run.double(arguments.value(0)) * 86_400_000)
        },
        LibraryFunction(
            .global,
            "hours",
            [.number("n")],
            .number,
            "So many hours in milliseconds.",
            ("hours(1.5)", "5400000")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            .number(try run.double(arguments.value(0)) * 3_600_000)
        },
        LibraryFunction(
            .global,
            "matches",
            [.value("text"), .value("pattern")],
            .boolean,
            "Whether a text has a part that the regular expression matches; false for null.",
            ("matches('AB-12', '^[A-Z]+-[0-9]+$')", "true")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            let subject = arguments.value(0)
            guard !subject.isNullish else { return .boolean(false) }
            let text = try run.text(subject)
            let pattern = try run.pattern(arguments.value(1))
            return .boolean(try run.isMatch(pattern, text))
        },
        LibraryFunction(
            .global,
            "round",
            [.number("x"), .optional("digits")],
            .any,
            "A number to so many fraction digits, halves away from zero.",
            ("round(2.345, 2)", "2.35")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            let digits = try run.whole(arguments.value(1))
            guard (-300...300).contains(digits) else { throw EvaluationFailure("round takes -300 to 300 digits") }
            let value = try run.numeric(arguments.value(0))
            switch value {
            case .decimal(let number):
                return .decimal(try run.rounded(number, digits))
            case .number(let number):
                guard let exact = DecimalNumber(number) else { return value }
                return .number(try run.rounded(exact, digits).doubleValue)
            default: return value
            }
        },
    ]
}

extension Evaluation {
    fileprivate func rounded(_ number: DecimalNumber, _ digits: Int) throws(EvaluationFailure) -> DecimalNumber {
        do throws(DecimalOverflow) {
            return try number.rounded(toFractionDigits: digits, half: .awayFromZero).canonical
        } catch {
            throw Self.tooManyDigits
        }
    }

    /// The elements of a list, or what the function gives for each.
    mutating func values(_ arguments: [Argument], _ name: String) throws(EvaluationFailure) -> [ExpressionValue] {
        let items = try list(arguments.value(0), name)
        try spend(items.count)
        guard let function = arguments.function(1) else { return items }
        var values: [ExpressionValue] = []
        values.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            values.append(try function.call(&self, [item, .number(Double(index))]))
        }
        return values
    }

    fileprivate mutating func extreme(
        _ arguments: [Argument],
        _ name: String,
        _ sign: Int
    ) throws(EvaluationFailure) -> ExpressionValue {
        var best: ExpressionValue = .null
        for value in try values(arguments, name) where !value.isNullish {
            if best.isNullish {
                best = value
            } else if let order = try order(value, best), order == sign {
                best = value
            }
        }
        return best
    }

    /// A regular expression, or the text of one.
    mutating func pattern(_ value: ExpressionValue) throws(EvaluationFailure) -> Pattern {
        if case .pattern(let pattern) = value { return pattern }
        let source = try text(value)
        if let known = patterns[source] { return known }
        guard source.utf8.count <= 1000 else {
            throw EvaluationFailure("a pattern that is computed has at most 1,000 bytes")
        }
        // Compiling takes far longer than a step.
        try spend(500 + source.utf8.count)
        do throws(PatternFailure) {
            let pattern = try Pattern(source: source, flags: "")
            try spendCompiling(pattern)
            patterns[source] = pattern
            return pattern
        } catch {
            throw EvaluationFailure(error.message)
        }
    }

    private mutating func spendCompiling(_ pattern: Pattern) throws(PatternFailure) {
        do throws(EvaluationFailure) {
            try spend(pattern.programSize / 4)
        } catch {
            throw PatternFailure(message: error.message, offset: nil)
        }
    }

    mutating func isMatch(_ pattern: Pattern, _ text: String) throws(EvaluationFailure) -> Bool {
        try spendSearch(pattern, text)
        return pattern.isMatch(text)
    }

    /// A search takes a step for each byte, or where RE2 runs out of memory for its states, one for each instruction
    /// of the pattern and byte: what could take half a second is refused.
    mutating func spendSearch(_ pattern: Pattern, _ text: String) throws(EvaluationFailure) {
        let count = text.utf8.count + 1
        let (product, isOver) = pattern.programSize.multipliedReportingOverflow(by: count)
        guard !isOver, product <= 10_000_000 else {
            throw EvaluationFailure("the text is too long for so large a pattern")
        }
        try spend(10 + count / 8 + product / 512)
    }
}
