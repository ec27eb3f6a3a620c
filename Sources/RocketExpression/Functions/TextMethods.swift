extension LibraryFunction {
    fileprivate typealias TextBody =
        @Sendable (String, [Argument], inout Evaluation) throws(EvaluationFailure) -> ExpressionValue

    fileprivate static func text(
        _ name: String,
        _ parameters: [Parameter],
        _ result: ExpressionType,
        _ summary: String,
        _ example: (String, String),
        _ body: @escaping TextBody
    ) -> LibraryFunction {
        LibraryFunction(.text, name, parameters, result, summary, example) {
            (receiver, arguments, run) throws(EvaluationFailure) in
            guard case .string(let text) = receiver else { return .undefined }
            return try body(text, arguments, &run)
        }
    }
}

extension FunctionLibrary {
    /// Methods of texts. Places and lengths are in UTF-16 units, as in JavaScript.
    static let textMethods: [LibraryFunction] = [
        .text(
            "includes",
            [.value("part"), .optional("from")],
            .boolean,
            "Whether the text has the part.",
            ("'abc'.includes('b')", "true")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            .boolean(try run.find(arguments, in: text, isLast: false) >= 0)
        },
        .text(
            "indexOf",
            [.value("part"), .optional("from")],
            .number,
            "Where the part begins first; -1 where it does not.",
            ("'abcb'.indexOf('b')", "1")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            .number(Double(try run.find(arguments, in: text, isLast: false)))
        },
        .text(
            "lastIndexOf",
            [.value("part"), .optional("from")],
            .number,
            "Where the part begins last; -1 where it does not.",
            ("'abcb'.lastIndexOf('b')", "3")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            .number(Double(try run.find(arguments, in: text, isLast: true)))
        },
        .text(
            "startsWith",
            [.value("part"), .optional("from")],
            .boolean,
            "Whether the text begins with the part.",
            ("'abc'.startsWith('ab')", "true")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let (units, part) = (try run.units(text), try run.units(try run.text(arguments.value(0))))
            let start = min(max(0, try run.whole(arguments.value(1))), units.count)
            return .boolean(units[start...].starts(with: part))
        },
        .text(
            "endsWith",
            [.value("part"), .optional("end")],
            .boolean,
            "Whether the text ends with the part.",
            ("'abc'.endsWith('bc')", "true")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let (units, part) = (try run.units(text), try run.units(try run.text(arguments.value(0))))
            let end = min(max(0, try run.whole(arguments.value(1), or: units.count)), units.count)
            return .boolean(part.count <= end && units[(end - part.count)..<end].elementsEqual(part))
        },
        .text(
            "slice",
            [.optional("start"), .optional("end")],
            .text,
            "The part between two places; negative ones count from the end.",
            ("'abcd'.slice(1, -1)", "\"bc\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let units = try run.units(text)
            let start = try run.place(arguments.value(0), units.count, or: 0)
            let end = try run.place(arguments.value(1), units.count, or: units.count)
            return try run.string(units[min(start, max(start, end))..<max(start, end)])
        },
        .text(
            "substring",
            [.optional("start"), .optional("end")],
            .text,
            "The part between two places, in either order.",
            ("'abcd'.substring(3, 1)", "\"bc\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let units = try run.units(text)
            let start = min(max(0, try run.whole(arguments.value(0))), units.count)
            let end = min(max(0, try run.whole(arguments.value(1), or: units.count)), units.count)
            return try run.string(units[min(start, end)..<max(start, end)])
        },
        .text(
            "charAt",
            [.optional("place")],
            .text,
            "The UTF-16 unit at a place; empty where there is none.",
            ("'abc'.charAt(1)", "\"b\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let units = try run.units(text)
            let place = try run.whole(arguments.value(0))
            return units.indices.contains(place) ? try run.string(units[place...place]) : .string("")
        },
        .text(
            "at",
            [.value("place")],
            .text,
            "The UTF-16 unit at a place, from the end where it is negative.",
            ("'abc'.at(-1)", "\"c\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let units = try run.units(text)
            let whole = try run.whole(arguments.value(0))
            let place = whole < 0 ? units.count + whole : whole
            return units.indices.contains(place) ? try run.string(units[place...place]) : .undefined
        },
        .text("trim", [], .text, "The text without the space around it.", ("' a '.trim()", "\"a\"")) {
            (text, _, run) throws(EvaluationFailure) in try run.trimmed(text, start: true, end: true)
        },
        .text("trimStart", [], .text, "The text without the space before it.", ("' a '.trimStart()", "\"a \"")) {
            (text, _, run) throws(EvaluationFailure) in try run.trimmed(text, start: true, end: false)
        },
        .text("trimEnd", [], .text, "The text without the space after it.", ("' a '.trimEnd()", "\" a\"")) {
            (text, _, run) throws(EvaluationFailure) in try run.trimmed(text, start: false, end: true)
        },
        .text("toLowerCase", [], .text, "The text in lower case.", ("'ÄB'.toLowerCase()", "\"äb\"")) {
            (text, _, run) throws(EvaluationFailure) in
            try run.spend(text.utf8.count / 4)
            let result = lowercased(text)
            try run.allocate(result.utf8.count)
            return .string(result)
        },
        .text("toUpperCase", [], .text, "The text in upper case.", ("'straße'.toUpperCase()", "\"STRASSE\"")) {
            (text, _, run) throws(EvaluationFailure) in
            try run.spend(text.utf8.count / 4)
            var result = ""
            for scalar in text.unicodeScalars { result += scalar.properties.uppercaseMapping }
            try run.allocate(result.utf8.count)
            return .string(result)
        },
        .text("concat", [.rest("texts")], .text, "The text and others behind it.", ("'a'.concat('b', 1)", "\"ab1\"")) {
            (text, arguments, run) throws(EvaluationFailure) in
            var result = text
            for argument in arguments {
                result += try run.text(argument.value)
                try run.allocateNow(result.utf8.count)
            }
            try run.allocate(result.utf8.count)
            return .string(result)
        },
        .text("repeat", [.value("count")], .text, "The text so many times.", ("'ab'.repeat(2)", "\"abab\"")) {
            (text, arguments, run) throws(EvaluationFailure) in
            let number = try run.double(arguments.value(0))
            guard number.isNaN || (number > -1 && number < .infinity) else {
                throw EvaluationFailure("repeat takes a count from 0")
            }
            let count = try run.whole(arguments.value(0))
            let (size, isOver) = text.utf8.count.multipliedReportingOverflow(by: count)
            try run.allocate(isOver ? .max / 2 : size)
            return .string(String(repeating: text, count: text.isEmpty ? 0 : count))
        },
        .text(
            "padStart",
            [.value("length"), .optional("with")],
            .text,
            "The text with as much before it as makes it so long.",
            ("'7'.padStart(3, '0')", "\"007\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in try run.padded(text, arguments, atStart: true)
        },
        .text(
            "padEnd",
            [.value("length"), .optional("with")],
            .text,
            "The text with as much behind it as makes it so long.",
            ("'7'.padEnd(3)", "\"7  \"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in try run.padded(text, arguments, atStart: false)
        },
        .text(
            "split",
            [.optional("separator"), .optional("limit")],
            .array(.text),
            "The parts between separators: a text or a regular expression.",
            ("'a,b'.split(',')", "[\"a\",\"b\"]")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in try run.split(text, arguments)
        },
        .text(
            "replace",
            [.value("part"), .valueOrFunction("by", parameters: 12)],
            .text,
            "The text with the first match replaced; all of them with the flag g.",
            ("'a-b-c'.replace(/-/g, '+')", "\"a+b+c\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in try run.replaced(text, arguments, all: false)
        },
        .text(
            "replaceAll",
            [.value("part"), .valueOrFunction("by", parameters: 12)],
            .text,
            "The text with all matches replaced.",
            ("'a-b-c'.replaceAll('-', '')", "\"abc\"")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in try run.replaced(text, arguments, all: true)
        },
        .text(
            "match",
            [.value("pattern")],
            .any,
            "The first match with its groups, or with the flag g all matches; null for none.",
            ("'a1b2'.match(/[0-9]/g)", "[\"1\",\"2\"]")
        ) {
            (text, arguments, run) throws(EvaluationFailure) in
            let pattern = try run.pattern(arguments.value(0))
            guard pattern.isGlobal else {
                guard let match = try run.firstMatch(pattern, text) else { return .null }
                return try run.made(match.groups.map { $0.map { .string(text.part($0)) } ?? .undefined })
            }
            let matches = try run.allMatches(pattern, text)
            return matches.isEmpty ? .null : try run.made(matches.map { .string($0.groups[0].map(text.part) ?? "") })
        },
    ]

    static let patternMethods: [LibraryFunction] = [
        LibraryFunction(
            .pattern,
            "test",
            [.value("text")],
            .boolean,
            "Whether a text has a part that matches.",
            ("/^a/.test('abc')", "true")
        ) {
            (receiver, arguments, run) throws(EvaluationFailure) in
            guard case .pattern(let pattern) = receiver else { return .undefined }
            return .boolean(try run.isMatch(pattern, try run.text(arguments.value(0))))
        }
    ]

    /// By scalar, with the one rule of context that JavaScript knows: sigma at the end of a word (Unicode, 3.13).
    private static func lowercased(_ text: String) -> String {
        guard text.unicodeScalars.contains("Σ") else {
            var result = ""
            for scalar in text.unicodeScalars { result += scalar.properties.lowercaseMapping }
            return result
        }
        let scalars = Array(text.unicodeScalars)
        var result = ""
        for (index, scalar) in scalars.enumerated() {
            guard scalar == "Σ" else {
                result += scalar.properties.lowercaseMapping
                continue
            }
            let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
            let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
            let isFinal = before?.properties.isCased == true && after?.properties.isCased != true
            result += isFinal ? "ς" : "σ"
        }
        return result
    }
}

extension String {
    /// The part at a range of UTF-8 bytes.
    fileprivate func part(_ range: Range<Int>) -> String {
        let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
        let end = utf8.index(start, offsetBy: range.count)
        return String(self[start..<end])
    }
}

extension Evaluation {
    fileprivate mutating func find(
        _ arguments: [Argument],
        in text: String,
        isLast: Bool
    ) throws(EvaluationFailure) -> Int {
        let units = try units(text)
        let part = try self.units(try self.text(arguments.value(0)))
        guard part.count <= units.count else { return -1 }
        try spend((units.count + part.count) / 8)
        let last = units.count - part.count
        if isLast {
            let given = try double(arguments.value(1))
            let from = given.isNaN ? last : min(max(0, try whole(arguments.value(1))), last)
            // The last one is the first of the text that is turned round.
            let turned = TextSearch(Array(part.reversed())).first(in: Array(units.reversed()), from: last - from)
            return turned.map { units.count - $0 - part.count } ?? -1
        }
        let from = min(max(0, try whole(arguments.value(1))), units.count)
        guard from <= last else { return -1 }
        return TextSearch(part).first(in: units, from: from) ?? -1
    }

    fileprivate mutating func trimmed(
        _ text: String,
        start: Bool,
        end: Bool
    ) throws(EvaluationFailure) -> ExpressionValue {
        try spend(text.utf8.count / 16)
        var scalars = text.unicodeScalars[...]
        if start { scalars = scalars.drop(while: NumberText.isSpace) }
        if end { while let last = scalars.last, NumberText.isSpace(last) { scalars.removeLast() } }
        return .string(String(Substring(scalars)))
    }

    fileprivate mutating func padded(
        _ text: String,
        _ arguments: [Argument],
        atStart: Bool
    ) throws(EvaluationFailure) -> ExpressionValue {
        let units = try units(text)
        let length = try whole(arguments.value(0))
        var filler: [UInt16] = [0x20]
        if arguments.count > 1, case let given = arguments.value(1) {
            if case .undefined = given {} else { filler = try self.units(try self.text(given)) }
        }
        guard length > units.count, !filler.isEmpty else { return .string(text) }
        let count = length - units.count
        try allocate(count * 2)
        var padding: [UInt16] = []
        padding.reserveCapacity(count)
        while padding.count < count { padding.append(filler[padding.count % filler.count]) }
        return try string(atStart ? padding + units : units + padding)
    }

    // MARK: patterns

    fileprivate mutating func firstMatch(_ pattern: Pattern, _ text: String) throws(EvaluationFailure) -> Pattern.Match?
    {
        try spendSearch(pattern, text)
        guard let match = pattern.firstMatch(in: text) else { return nil }
        // Each group may be all of the text.
        try spend(match.groups.count)
        try allocate(match.groups.reduce(0) { $0 + ($1?.count ?? 0) })
        return match
    }

    fileprivate mutating func allMatches(_ pattern: Pattern, _ text: String) throws(EvaluationFailure) -> [Pattern
        .Match]
    {
        try spendSearch(pattern, text)
        // Each match is a search of its own, which may look at all the rest of the text.
        let groups = pattern.groupCount + 1
        let limit = min(10_000 / groups, 100_000_000 / (text.utf8.count + 1))
        let matches = pattern.allMatches(in: text, limit: limit + 1)
        guard matches.count <= limit else { throw EvaluationFailure("the pattern matches more than \(limit) times") }
        try spend(matches.count * (3 + groups))
        try allocate(matches.count * groups * 48)
        return matches
    }

    fileprivate mutating func split(_ text: String, _ arguments: [Argument]) throws(EvaluationFailure)
        -> ExpressionValue
    {
        var limit = Int.max
        if arguments.count > 1, case let given = arguments.value(1) {
            if case .undefined = given {} else { limit = Int(UInt32(truncatingIfNeeded: try whole(given))) }
        }
        guard limit > 0 else { return .array([]) }
        let separator = arguments.value(0)
        if case .undefined = separator { return .array([.string(text)]) }
        if case .pattern(let pattern) = separator { return try split(text, pattern, limit) }
        let units = try units(text)
        let part = try self.units(try self.text(separator))
        if part.isEmpty {
            try spend(units.count)
            try allocate(units.count * 16)
            return .array(units.prefix(limit).map { .string(String(decoding: [$0], as: UTF16.self)) })
        }
        try spend((units.count + part.count) / 8)
        let search = TextSearch(part)
        var parts: [ExpressionValue] = []
        var start = 0
        while parts.count < limit, let found = search.first(in: units, from: start) {
            parts.append(try string(units[start..<found]))
            try spend(2)
            start = found + part.count
        }
        if parts.count < limit { parts.append(try string(units[start...])) }
        return try made(parts)
    }

    /// ECMA-262, 22.2.6.14: an empty match at the end of a part splits nothing; groups come between the parts.
    private mutating func split(_ text: String, _ pattern: Pattern, _ limit: Int) throws(EvaluationFailure)
        -> ExpressionValue
    {
        let count = text.utf8.count
        guard count > 0 else {
            return try firstMatch(pattern, text) == nil ? .array([.string(text)]) : .array([])
        }
        var parts: [ExpressionValue] = []
        var start = 0
        for match in try allMatches(pattern, text) {
            guard let whole = match.groups[0], whole.lowerBound < count, whole.upperBound > start else { continue }
            // An empty match where the part begins is none.
            if whole.isEmpty, whole.lowerBound == start { continue }
            parts.append(.string(text.part(start..<whole.lowerBound)))
            for group in match.groups.dropFirst() { parts.append(group.map { .string(text.part($0)) } ?? .undefined) }
            try spend(2)
            start = whole.upperBound
        }
        parts.append(.string(text.part(start..<count)))
        return try made(Array(parts.prefix(limit)))
    }

    fileprivate mutating func replaced(
        _ text: String,
        _ arguments: [Argument],
        all: Bool
    ) throws(EvaluationFailure) -> ExpressionValue {
        let matches: [[Range<Int>?]]
        var names: [(name: String, index: Int)] = []
        if case .pattern(let pattern) = arguments.value(0) {
            guard !all || pattern.isGlobal else {
                throw EvaluationFailure("replaceAll takes a pattern with the flag g")
            }
            names = pattern.groupNames
            matches =
                pattern.isGlobal
                ? try allMatches(pattern, text).map(\.groups) : try firstMatch(pattern, text).map { [$0.groups] } ?? []
        } else {
            matches = try occurrences(of: try self.text(arguments.value(0)), in: text, all: all).map { [$0] }
        }
        let template = arguments.function(1) == nil ? try self.text(arguments.value(1)) : ""
        var result = ""
        var start = 0
        var (counted, offset) = (0, 0)
        for groups in matches {
            guard let whole = groups[0], whole.lowerBound >= start else { continue }
            result += text.part(start..<whole.lowerBound)
            if let function = arguments.function(1) {
                var given = groups.map { $0.map { ExpressionValue.string(text.part($0)) } ?? .undefined }
                try spend(1 + (whole.lowerBound - counted) / 16)
                offset += text.part(counted..<whole.lowerBound).utf16.count
                counted = whole.lowerBound
                given.append(.number(Double(offset)))
                given.append(.string(text))
                result += try self.text(try function.call(&self, given))
            } else {
                result += try expanded(template, groups, names, text)
            }
            start = whole.upperBound
            try spend(4)
            try allocateNow(result.utf8.count)
        }
        result += text.part(start..<text.utf8.count)
        try allocate(result.utf8.count)
        return .string(result)
    }

    private mutating func occurrences(
        of part: String,
        in text: String,
        all: Bool
    ) throws(EvaluationFailure) -> [Range<Int>] {
        let (bytes, wanted) = (Array(text.utf8), Array(part.utf8))
        try spend((bytes.count + wanted.count) / 8)
        let search = TextSearch(wanted)
        var found: [Range<Int>] = []
        var index = 0
        while let start = search.first(in: bytes, from: index) {
            // Places within a character are none.
            let isBoundary = start == bytes.count || bytes[start] & 0xC0 != 0x80
            if isBoundary {
                found.append(start..<(start + wanted.count))
                try spend(1)
                guard all else { break }
            }
            index = start + (isBoundary ? max(1, wanted.count) : 1)
        }
        return found
    }

    /// A replacement's `$$`, `$&`, `` $` ``, `$'`, `$1` and `$<name>` (ECMA-262, 22.1.3.19.1).
    private mutating func expanded(
        _ template: String,
        _ groups: [Range<Int>?],
        _ names: [(name: String, index: Int)],
        _ text: String
    ) throws(EvaluationFailure) -> String {
        guard template.utf8.contains(UInt8(ascii: "$")), let whole = groups[0] else { return template }
        let bytes = Array(template.utf8)
        try spend(bytes.count / 8)
        // Where no `>` follows, `$<` is what it is.
        let lastAngle = bytes.lastIndex(of: UInt8(ascii: ">")) ?? -1
        var result: [UInt8] = []
        var index = 0
        func group(_ number: Int) -> String { groups[number].map(text.part) ?? "" }
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "$"), index + 1 < bytes.count else {
                result.append(bytes[index])
                index += 1
                continue
            }
            let next = bytes[index + 1]
            switch next {
            case UInt8(ascii: "$"):
                result.append(next)
                index += 2
            case UInt8(ascii: "&"):
                result += Array(text.part(whole).utf8)
                index += 2
            case UInt8(ascii: "`"):
                result += Array(text.part(0..<whole.lowerBound).utf8)
                index += 2
            case UInt8(ascii: "'"):
                result += Array(text.part(whole.upperBound..<text.utf8.count).utf8)
                index += 2
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let one = Int(next - UInt8(ascii: "0"))
                let second = index + 2 < bytes.count ? Int(bytes[index + 2]) - Int(UInt8(ascii: "0")) : -1
                if (0...9).contains(second), (1..<groups.count).contains(one * 10 + second) {
                    result += Array(group(one * 10 + second).utf8)
                    index += 3
                } else if (1..<groups.count).contains(one) {
                    result += Array(group(one).utf8)
                    index += 2
                } else {
                    result.append(bytes[index])
                    index += 1
                }
            case UInt8(ascii: "<") where !names.isEmpty && index < lastAngle:
                guard let end = bytes[index...].firstIndex(of: UInt8(ascii: ">")) else {
                    result.append(bytes[index])
                    index += 1
                    continue
                }
                let name = String(decoding: bytes[(index + 2)..<end], as: UTF8.self)
                if let number = names.first(where: { $0.name == name })?.index { result += Array(group(number).utf8) }
                index = end + 1
            default:
                result.append(bytes[index])
                index += 1
            }
            try allocateNow(result.count)
        }
        return String(decoding: result, as: UTF8.self)
    }
}
