import RocketModel

extension FunctionLibrary {
    static let conversionFunctions: [LibraryFunction] = [
        LibraryFunction(
            .global,
            "Number",
            [.optional("x")],
            .any,
            "The value as a number; a decimal stays exact.",
            ("Number('12.5')", "12.5")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            arguments.isEmpty ? .number(0) : try run.numeric(arguments.value(0))
        },
        LibraryFunction(
            .global,
            "String",
            [.optional("x")],
            .text,
            "The value as text.",
            ("String(1.50)", "\"1.5\"")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            .string(arguments.isEmpty ? "" : try run.text(arguments.value(0)))
        },
        LibraryFunction(
            .global,
            "Boolean",
            [.optional("x")],
            .boolean,
            "Whether the value is truthy.",
            ("Boolean('')", "false")
        ) { (_, arguments, _) throws(EvaluationFailure) in .boolean(arguments.value(0).isTruthy) },
        LibraryFunction(
            .global,
            "parseInt",
            [.value("text"), .optional("radix")],
            .number,
            "The whole number that a text begins with.",
            ("parseInt('12px')", "12")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            let radix: Double? = arguments.count > 1 ? try run.double(arguments.value(1)) : nil
            let text = try run.text(arguments.value(0))
            try run.spend(text.utf8.count / 8)
            return .number(NumberText.parseInt(text, radix: radix))
        },
        LibraryFunction(
            .global,
            "parseFloat",
            [.value("text")],
            .number,
            "The number that a text begins with.",
            ("parseFloat('1.5 m')", "1.5")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            let text = try run.text(arguments.value(0))
            try run.spend(text.utf8.count / 8)
            return .number(NumberText.parseFloat(text))
        },
        LibraryFunction(
            .global,
            "isNaN",
            [.value("x")],
            .boolean,
            "Whether the value is no number.",
            ("isNaN('abc')", "true")
        ) { (_, arguments, run) throws(EvaluationFailure) in .boolean(try run.double(arguments.value(0)).isNaN) },
    ]

    static let objectFunctions: [LibraryFunction] = [
        LibraryFunction(
            .namespace("Array"),
            "isArray",
            [.value("x")],
            .boolean,
            "Whether the value is an array.",
            ("Array.isArray([])", "true")
        ) { (_, arguments, _) throws(EvaluationFailure) in
            if case .array = arguments.value(0) { .boolean(true) } else { .boolean(false) }
        },
        LibraryFunction(
            .namespace("Object"),
            "keys",
            [.value("x")],
            .array(.text),
            "The names of the members.",
            ("Object.keys({a: 1, b: 2})", "[\"a\",\"b\"]")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            try run.made(try run.members(arguments.value(0)).map { .string($0.name) })
        },
        LibraryFunction(
            .namespace("Object"),
            "values",
            [.value("x")],
            .array(.any),
            "The values of the members.",
            ("Object.values({a: 1, b: 2})", "[1,2]")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            try run.made(try run.members(arguments.value(0)).map(\.value))
        },
        LibraryFunction(
            .namespace("Object"),
            "entries",
            [.value("x")],
            .array(.array(.any)),
            "The members, each as an array of name and value.",
            ("Object.entries({a: 1})", "[[\"a\",1]]")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            try run.made(try run.members(arguments.value(0)).map { .array([.string($0.name), $0.value]) })
        },
        LibraryFunction(
            .namespace("JSON"),
            "stringify",
            [.value("x")],
            .any,
            "The value as JSON; undefined for undefined.",
            ("JSON.stringify({a: [1, null]})", "\"{\\\"a\\\":[1,null]}\"")
        ) { (_, arguments, run) throws(EvaluationFailure) in
            var writer = JSONWriter()
            guard try run.write(arguments.value(0), &writer) else { return .undefined }
            try run.allocate(writer.bytes.count)
            return .string(String(decoding: writer.bytes, as: UTF8.self))
        },
    ]
}

extension Evaluation {
    /// The members of a value, each with its name: of arrays and texts their places.
    mutating func members(
        _ value: ExpressionValue
    ) throws(EvaluationFailure) -> [(name: String, value: ExpressionValue)] {
        switch value {
        case .object(let object):
            try spend(object.values.count)
            return object.members
        case .array(let items):
            try spend(items.count)
            return items.enumerated().map { (String($0.offset), $0.element) }
        case .string(let text):
            let units = try units(text)
            try spend(units.count)
            try allocateNow(units.count * 96)
            return units.enumerated().map {
                (String($0.offset), .string(String(decoding: [$0.element], as: UTF16.self)))
            }
        case .undefined, .null: throw EvaluationFailure("\(value.kind) has no members")
        default: return []
        }
    }

    /// Writes a value as `JSON.stringify` does.
    ///
    /// - Returns: false for undefined, which has no JSON.
    mutating func write(_ value: ExpressionValue, _ writer: inout JSONWriter) throws(EvaluationFailure) -> Bool {
        try spend(1)
        try allocateNow(writer.bytes.count)
        switch value {
        case .undefined: return false
        case .null: writer.raw("null")
        case .boolean(let flag): writer.boolean(flag)
        case .number(let number): writer.raw(number.isFinite ? NumberText.string(number) : "null")
        case .decimal(let number): writer.raw(number.plainText)
        case .string(let text): writer.string(text)
        case .date(let date): date.microseconds == nil ? writer.raw("null") : writer.string(date.text)
        case .pattern: writer.raw("{}")
        case .array(let items):
            try descend()
            defer { ascend() }
            writer.raw("[")
            for (index, item) in items.enumerated() {
                if index > 0 { writer.raw(",") }
                if !(try write(item, &writer)) { writer.raw("null") }
            }
            writer.raw("]")
        case .object(let object):
            try descend()
            defer { ascend() }
            writer.raw("{")
            var isFirst = true
            for member in object.members {
                if case .undefined = member.value { continue }
                if !isFirst { writer.raw(",") }
                isFirst = false
                writer.string(member.name)
                writer.raw(":")
                _ = try write(member.value, &writer)
            }
            writer.raw("}")
        }
        return true
    }
}

extension ExpressionValue {
    /// The value as `JSON.stringify` writes it; undefined is null.
    ///
    /// - Throws: where it is too large to be written.
    package func jsonText() throws(EvaluationFailure) -> String {
        var run = Evaluation(names: [], parameterCount: 0, now: .invalid)
        var writer = JSONWriter()
        guard try run.write(self, &writer) else { return "null" }
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
