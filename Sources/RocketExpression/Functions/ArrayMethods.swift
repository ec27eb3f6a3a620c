extension LibraryFunction {
    fileprivate typealias ArrayBody =
        @Sendable ([ExpressionValue], [Argument], inout Evaluation) throws(EvaluationFailure) -> ExpressionValue

    fileprivate static func array(
        _ name: String,
        _ parameters: [Parameter],
        _ result: ExpressionType,
        _ summary: String,
        _ example: (String, String),
        _ body: @escaping ArrayBody
    ) -> LibraryFunction {
        LibraryFunction(.array, name, parameters, result, summary, example) {
            (receiver, arguments, run) throws(EvaluationFailure) in
            guard case .array(let items) = receiver else { return .undefined }
            return try body(items, arguments, &run)
        }
    }
}

extension FunctionLibrary {
    /// Methods of arrays: they give copies, and change nothing.
    static let arrayMethods: [LibraryFunction] = [
        .array(
            "includes",
            [.value("element"), .optional("from")],
            .boolean,
            "Whether an element is equal by value.",
            ("[1, 2].includes(2)", "true")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            let from = try run.place(arguments.value(1), items.count, or: 0)
            let wanted = arguments.value(0)
            for item in items[from...] {
                try run.spend(1)
                if case .number(let a) = item, case .number(let b) = wanted, a.isNaN, b.isNaN { return .boolean(true) }
                if try run.isSame(item, wanted) { return .boolean(true) }
            }
            return .boolean(false)
        },
        .array(
            "indexOf",
            [.value("element"), .optional("from")],
            .number,
            "Where an element is first; -1 where it is not.",
            ("['a', 'b'].indexOf('b')", "1")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            let from = try run.place(arguments.value(1), items.count, or: 0)
            for index in from..<items.count {
                try run.spend(1)
                if try run.isSame(items[index], arguments.value(0)) { return .number(Double(index)) }
            }
            return .number(-1)
        },
        .array(
            "some",
            [.function("condition", parameters: 3)],
            .boolean,
            "Whether the condition holds for an element.",
            ("[1, 2].some(x => x > 1)", "true")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in .boolean(try run.first(items, arguments, true) != nil)
        },
        .array(
            "every",
            [.function("condition", parameters: 3)],
            .boolean,
            "Whether the condition holds for all elements.",
            ("[1, 2].every(x => x > 1)", "false")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in .boolean(try run.first(items, arguments, false) == nil)
        },
        .array(
            "find",
            [.function("condition", parameters: 3)],
            .any,
            "The first element for which the condition holds.",
            ("[1, 2, 3].find(x => x > 1)", "2")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            try run.first(items, arguments, true).map { items[$0] } ?? .undefined
        },
        .array(
            "findIndex",
            [.function("condition", parameters: 3)],
            .number,
            "Where the first element is for which the condition holds; -1 for none.",
            ("[1, 2, 3].findIndex(x => x > 1)", "1")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            .number(Double(try run.first(items, arguments, true) ?? -1))
        },
        .array(
            "filter",
            [.function("condition", parameters: 3)],
            .array(.any),
            "The elements for which the condition holds.",
            ("[1, 2, 3].filter(x => x > 1)", "[2,3]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            let kept = try run.each(items, arguments)
            return try run.made(zip(items, kept).filter { $0.1.isTruthy }.map(\.0))
        },
        .array(
            "map",
            [.function("value", parameters: 3)],
            .array(.any),
            "A value for each element.",
            ("[1, 2].map(x => x * 2)", "[2,4]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in try run.made(try run.each(items, arguments))
        },
        .array(
            "flatMap",
            [.function("value", parameters: 3)],
            .array(.any),
            "A value for each element; arrays are put in as their elements.",
            ("[1, 2].flatMap(x => [x, x])", "[1,1,2,2]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            try run.made(try run.flattened(try run.each(items, arguments), depth: 1))
        },
        .array(
            "flat",
            [.optional("depth")],
            .array(.any),
            "The elements, arrays among them as theirs, to a depth.",
            ("[1, [2, [3]]].flat()", "[1,2,[3]]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            try run.made(try run.flattened(items, depth: try run.whole(arguments.value(0), or: 1)))
        },
        .array(
            "reduce",
            [.function("step", parameters: 4), .optional("start")],
            .any,
            "One value of all elements, each added to what came of those before.",
            ("[1, 2, 3].reduce((a, x) => a + x, 0)", "6")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            guard let function = arguments.function(0) else { throw EvaluationFailure("reduce takes a function") }
            var rest = items.indices
            var value: ExpressionValue
            if arguments.count > 1 {
                value = arguments.value(1)
            } else {
                guard let first = items.first else { throw EvaluationFailure("reduce of no elements needs a start") }
                value = first
                rest = rest.dropFirst()
            }
            for index in rest {
                value = try function.call(&run, [value, items[index], .number(Double(index)), .array(items)])
            }
            return value
        },
        .array(
            "slice",
            [.optional("start"), .optional("end")],
            .array(.any),
            "The elements between two places; negative ones count from the end.",
            ("[1, 2, 3].slice(1)", "[2,3]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            let start = try run.place(arguments.value(0), items.count, or: 0)
            let end = try run.place(arguments.value(1), items.count, or: items.count)
            return try run.made(Array(items[start..<max(start, end)]))
        },
        .array(
            "concat",
            [.rest("values")],
            .array(.any),
            "The elements and others behind them.",
            ("[1].concat([2], 3)", "[1,2,3]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            var all = items
            for argument in arguments {
                if case .array(let more) = argument.value { all += more } else { all.append(argument.value) }
                try run.allocateNow(all.count * 16)
            }
            return try run.made(all)
        },
        .array(
            "join",
            [.optional("separator")],
            .text,
            "The elements' texts with a separator between them.",
            ("[1, null, 2].join('-')", "\"1--2\"")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            if case .undefined = arguments.value(0) { return .string(try run.joined(items, ",")) }
            return .string(try run.joined(items, try run.text(arguments.value(0))))
        },
        .array(
            "at",
            [.value("place")],
            .any,
            "The element at a place, from the end where it is negative.",
            ("[1, 2].at(-1)", "2")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in
            let whole = try run.whole(arguments.value(0))
            let place = whole < 0 ? items.count + whole : whole
            return items.indices.contains(place) ? items[place] : .undefined
        },
        .array("reverse", [], .array(.any), "The elements in the other order.", ("[1, 2].reverse()", "[2,1]")) {
            (items, _, run) throws(EvaluationFailure) in try run.made(items.reversed())
        },
        .array(
            "sort",
            [.optionalFunction("order", parameters: 2)],
            .array(.any),
            "The elements in order: of their texts, or as the function says (below 0: the first comes first).",
            ("[3, 1, 2].sort((a, b) => a - b)", "[1,2,3]")
        ) {
            (items, arguments, run) throws(EvaluationFailure) in try run.sorted(items, arguments.function(0))
        },
    ]
}

extension Evaluation {
    /// What the function gives for each element.
    fileprivate mutating func each(
        _ items: [ExpressionValue],
        _ arguments: [Argument]
    ) throws(EvaluationFailure) -> [ExpressionValue] {
        guard let function = arguments.function(0) else { throw EvaluationFailure("a function is due") }
        try allocate(items.count * 16)
        var results: [ExpressionValue] = []
        results.reserveCapacity(items.count)
        for (index, item) in items.enumerated() { results.append(try call(function, item, index, items)) }
        return results
    }

    private mutating func call(
        _ function: CompiledFunction,
        _ item: ExpressionValue,
        _ index: Int,
        _ items: [ExpressionValue]
    ) throws(EvaluationFailure) -> ExpressionValue {
        function.slots.count <= 1
            ? try function.call(&self, item) : try function.call(&self, [item, .number(Double(index)), .array(items)])
    }

    /// The first element for which the condition is as wanted.
    fileprivate mutating func first(
        _ items: [ExpressionValue],
        _ arguments: [Argument],
        _ wanted: Bool
    ) throws(EvaluationFailure) -> Int? {
        guard let function = arguments.function(0) else { throw EvaluationFailure("a function is due") }
        for (index, item) in items.enumerated()
        where try call(function, item, index, items).isTruthy == wanted { return index }
        return nil
    }

    fileprivate mutating func flattened(
        _ items: [ExpressionValue],
        depth: Int
    ) throws(EvaluationFailure) -> [ExpressionValue] {
        var result: [ExpressionValue] = []
        for item in items {
            try spend(1)
            if depth > 0, case .array(let inner) = item {
                try descend()
                result += try flattened(inner, depth: depth - 1)
                ascend()
            } else {
                result.append(item)
            }
            try allocateNow(result.count * 16)
        }
        return result
    }

    /// Merge sort: stable whatever the function says, and of bounded work. Undefined comes last.
    fileprivate mutating func sorted(
        _ items: [ExpressionValue],
        _ function: CompiledFunction?
    ) throws(EvaluationFailure) -> ExpressionValue {
        var defined: [ExpressionValue] = []
        for item in items {
            if case .undefined = item { continue }
            defined.append(item)
        }
        var keys: [String] = []
        if function == nil { for item in defined { keys.append(try text(item)) } }
        var order = Array(defined.indices)
        var width = 1
        while width < order.count {
            var merged: [Int] = []
            merged.reserveCapacity(order.count)
            for start in stride(from: 0, to: order.count, by: width * 2) {
                var (left, right) = (start, min(start + width, order.count))
                let (middle, end) = (right, min(start + width * 2, order.count))
                while left < middle || right < end {
                    try spend(1)
                    var takesRight = left >= middle
                    if left < middle, right < end {
                        takesRight = try isAfter(order[left], order[right], defined, keys, function)
                    }
                    merged.append(takesRight ? order[right] : order[left])
                    if takesRight { right += 1 } else { left += 1 }
                }
            }
            order = merged
            width *= 2
        }
        let missing = Array(repeating: ExpressionValue.undefined, count: items.count - defined.count)
        return try made(order.map { defined[$0] } + missing)
    }

    private mutating func isAfter(
        _ left: Int,
        _ right: Int,
        _ items: [ExpressionValue],
        _ keys: [String],
        _ function: CompiledFunction?
    ) throws(EvaluationFailure) -> Bool {
        guard let function else {
            try spend(min(keys[left].utf8.count, keys[right].utf8.count) / 16)
            return textOrder(keys[left], keys[right]) > 0
        }
        return try double(try function.call(&self, [items[left], items[right]])) > 0
    }
}
