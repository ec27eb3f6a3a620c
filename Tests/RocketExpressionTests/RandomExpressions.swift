/// A generator of random numbers that gives the same ones for the same seed (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Writes random expressions in the part of the language that is JavaScript's own. The wanted differences are left out
/// by construction: `in`, equality of arrays and objects, members of null without `?.`, halves of surrogate pairs.
struct RandomExpressions {
    private var random: Seeded
    /// Parameters of open arrow functions.
    private var locals: [String] = []
    private var localCount = 0

    init(seed: UInt64) { random = Seeded(seed) }

    private mutating func one<Element>(of items: [Element]) -> Element {
        items[Int(random.next() % UInt64(items.count))]
    }
    private mutating func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }

    // MARK: environments

    static let numbers = [
        "0", "1", "-1", "2", "3", "7", "10", "0.1", "0.5", "-0.5", "1.5", "2.5", "-2.5", "100", "255", "1e3", "1e21",
        "1e-7", "123456789", "9007199254740991", "9007199254740993", "0.30000000000000004", "-1e300", "5e-324",
        "1.7976931348623157e308",
    ]

    static let texts = [
        "", "a", "abc", "Abc", "ABC", " x ", "10", "9", "1e3", "0x1F", "-5", "foo bar", "a,b,,c", "true", "null",
        "NaN", "ÄÖÜ", "straße", "ΟΔΥΣΣΕΥΣ", "é", "e\u{301}", "\u{FEFF}7\u{A0}", "line\\nbreak", "tab\\tx", "z9_-.",
        "日本",
    ]

    mutating func environment() -> String {
        let arrays = [
            "[]", "[1,2,3]", "[3,1,2,10]", "[\"b\",\"a\",\"c\"]", "[null,1,\"x\",true]", "[[1],[2,[3]]]",
            "[\"10\",9,\"1\"]",
        ]
        let objects = [
            "{}", "{\"a\":1,\"b\":\"x\"}", "{\"b\":null,\"a\":[1,2]}", "{\"x\":{\"y\":{\"z\":5}},\"2\":1,\"1\":2}",
        ]
        return "{\"n\":\(one(of: Self.numbers)),\"m\":\(one(of: Self.numbers)),\"s\":\"\(one(of: Self.texts))\","
            + "\"t\":\"\(one(of: Self.texts))\",\"b\":\(one(of: ["true", "false"])),\"z\":null,"
            + "\"l\":\(one(of: arrays)),\"k\":\(one(of: arrays)),\"o\":\(one(of: objects)),"
            + "\"p\":[{\"q\":\(one(of: Self.numbers)),\"r\":\"\(one(of: Self.texts))\"},{\"q\":2,\"r\":\"r\"}]}"
    }

    // MARK: expressions

    mutating func expression() -> String {
        locals = []
        return any(Int(1 + random.next() % 4))
    }

    private mutating func any(_ depth: Int) -> String {
        switch random.next() % 6 {
        case 0: number(depth)
        case 1: text(depth)
        case 2: boolean(depth)
        case 3: array(depth)
        case 4: object(depth)
        default: wild(depth)
        }
    }

    /// What may be of any kind, so that conversions are asked for.
    private mutating func wild(_ depth: Int) -> String {
        guard depth > 0 else {
            return one(of: ["null", "undefined", "z", "true", "b", "n", "s", "l", "o", "NaN", "-0", "''"] + locals)
        }
        switch random.next() % 8 {
        case 0: return "(\(boolean(depth - 1)) ? \(any(depth - 1)) : \(any(depth - 1)))"
        case 1: return "(\(any(depth - 1)) && \(any(depth - 1)))"
        case 2: return "(\(any(depth - 1)) || \(any(depth - 1)))"
        case 3: return "(\(any(depth - 1)) ?? \(any(depth - 1)))"
        case 4: return "(\(any(depth - 1)) + \(any(depth - 1)))"
        case 5: return "o?.\(one(of: ["a", "b", "x", "x?.y", "x?.y?.z", "nope"]))"
        case 6: return "\(array(depth - 1))?.[\(number(0))]"
        default: return "\(array(depth - 1)).find(\(arrow(1, depth - 1, boolean: true)))"
        }
    }

    private mutating func primitive(_ depth: Int) -> String {
        switch random.next() % 4 {
        case 0: number(depth)
        case 1: text(depth)
        case 2: boolean(depth)
        default: one(of: ["null", "undefined", "z", "NaN"])
        }
    }

    private mutating func numberLiteral() -> String {
        let text = one(of: Self.numbers)
        return text.hasPrefix("-") ? "(\(text))" : text
    }

    mutating func number(_ depth: Int) -> String {
        guard depth > 0 else {
            return one(of: [
                "n", "m", numberLiteral(), numberLiteral(), "0xFF", "0b101", "1_0".replacing("_", with: ""),
            ])
        }
        switch random.next() % 18 {
        case 0, 1: return "(\(number(depth - 1)) \(one(of: ["+", "-", "*", "/", "%"])) \(number(depth - 1)))"
        case 2: return "(\(any(depth - 1)) \(one(of: ["-", "*", "/", "%"])) \(primitive(depth - 1)))"
        case 3: return "(-\(number(depth - 1)))"
        case 4: return "(+\(primitive(depth - 1)))"
        case 5:
            return
                "Math.\(one(of: ["abs", "ceil", "floor", "round", "trunc", "sign", "sqrt"]))(\(primitive(depth - 1)))"
        case 6: return "Math.\(one(of: ["min", "max"]))(\(number(depth - 1)), \(primitive(depth - 1)))"
        case 7: return "\(text(depth - 1)).length"
        case 8: return "\(text(depth - 1)).\(one(of: ["indexOf", "lastIndexOf"]))(\(text(depth - 1)))"
        case 9: return "\(array(depth - 1)).length"
        case 10: return "parseInt(\(primitive(depth - 1)))"
        case 11: return "parseInt(\(text(depth - 1)), \(one(of: ["2", "8", "10", "16", "36", "1", "0", "37"])))"
        case 12: return "parseFloat(\(primitive(depth - 1)))"
        case 13: return "Number(\(primitive(depth - 1)))"
        case 14: return "\(array(depth - 1)).indexOf(\(primitive(depth - 1)))"
        case 15: return "\(array(depth - 1)).findIndex(\(arrow(1, depth - 1, boolean: true)))"
        case 16: return "\(array(depth - 1)).reduce(\(arrow(2, depth - 1, boolean: false)), \(number(0)))"
        // V8's own powers are not always the nearest number; of small whole ones they are.
        default: return "(\(one(of: ["2", "3", "10", "(-2)", "0.5"])) ** \(one(of: ["0", "1", "2", "3", "-1"])))"
        }
    }

    private mutating func textLiteral() -> String {
        let text = one(of: Self.texts)
        return one(of: ["'\(text.replacing("'", with: "\\'"))'", "\"\(text)\"", "`\(text)`"])
    }

    mutating func text(_ depth: Int) -> String {
        guard depth > 0 else { return one(of: ["s", "t", textLiteral(), textLiteral()]) }
        switch random.next() % 18 {
        case 0: return "(\(text(depth - 1)) + \(any(depth - 1)))"
        case 1: return "`<${\(any(depth - 1))}|${\(primitive(depth - 1))}>`"
        case 2: return "\(text(depth - 1)).\(one(of: ["trim", "trimStart", "trimEnd", "toLowerCase", "toUpperCase"]))()"
        case 3: return "\(text(depth - 1)).slice(\(small()), \(small()))"
        case 4: return "\(text(depth - 1)).substring(\(small()), \(small()))"
        case 5: return "\(text(depth - 1)).charAt(\(small()))"
        case 6:
            return
                "\(text(depth - 1)).\(one(of: ["padStart", "padEnd"]))(\(one(of: ["0", "3", "7", "12"])), \(text(0)))"
        case 7: return "\(text(depth - 1)).repeat(\(one(of: ["0", "1", "2", "3"])))"
        case 8: return "\(text(depth - 1)).replace(\(pattern()), \(replacement(depth)))"
        case 9: return "\(text(depth - 1)).replace(\(text(0)), \(replacement(depth)))"
        case 10: return "\(text(depth - 1)).replaceAll(\(text(0)), \(text(depth - 1)))"
        case 11: return "\(text(depth - 1)).concat(\(any(depth - 1)), \(primitive(0)))"
        case 12: return "String(\(any(depth - 1)))"
        case 13: return "\(array(depth - 1)).join(\(one(of: ["", "'-'", "''", "', '"])))"
        case 14: return "(typeof \(any(depth - 1)))"
        case 15: return "(\(boolean(depth - 1)) ? \(text(depth - 1)) : \(text(depth - 1)))"
        case 16: return "JSON.stringify(\(array(depth - 1)))"
        default: return "JSON.stringify(\(object(depth - 1)))"
        }
    }

    private mutating func small() -> String {
        one(of: ["0", "1", "2", "3", "-1", "-2", "5", "99", "-99", "1.9", "NaN"])
    }

    private mutating func pattern() -> String {
        one(of: [
            "/[a-c]/g", "/a/", "/[^a-z]/gi", "/(b)(c)?/", "/\\s+/g", "/^./", "/.$/", "/\\d+/g", "/x*/g",
            "/(?<w>[a-z]+)/",
            "/\\bfoo\\b/", "/[ÄÖ]/i", "/a|b|,/g", "/\\W/g", "/(?:a|b){1,2}/", "/b??/", "/\\u0061/g", "/[\\w.]+/",
        ])
    }

    private mutating func replacement(_ depth: Int) -> String {
        if chance(40) { return arrow(1, depth - 1, boolean: false) }
        return one(of: ["'x'", "''", "'<$&>'", "'$1$2'", "'$$'", "'[$`]'", "\"($')\"", "'$<w>'", "'$0$9'"])
    }

    mutating func boolean(_ depth: Int) -> String {
        guard depth > 0 else { return one(of: ["true", "false", "b"]) }
        switch random.next() % 14 {
        case 0, 1: return "(\(primitive(depth - 1)) \(one(of: ["==", "!=", "===", "!=="])) \(primitive(depth - 1)))"
        case 2, 3: return "(\(primitive(depth - 1)) \(one(of: ["<", "<=", ">", ">="])) \(primitive(depth - 1)))"
        case 4: return "(\(array(depth - 1)) \(one(of: ["<", ">="])) \(primitive(depth - 1)))"
        case 5: return "!\(any(depth - 1))"
        case 6: return "(\(boolean(depth - 1)) && \(boolean(depth - 1)))"
        case 7: return "(\(boolean(depth - 1)) || \(boolean(depth - 1)))"
        case 8: return "\(text(depth - 1)).\(one(of: ["includes", "startsWith", "endsWith"]))(\(text(depth - 1)))"
        case 9: return "\(array(depth - 1)).includes(\(primitive(depth - 1)))"
        case 10: return "\(array(depth - 1)).\(one(of: ["some", "every"]))(\(arrow(1, depth - 1, boolean: true)))"
        case 11: return "\(pattern().replacing("/g", with: "/").replacing("gi", with: "i")).test(\(text(depth - 1)))"
        case 12: return "Boolean(\(any(depth - 1)))"
        default: return one(of: ["isNaN(\(primitive(depth - 1)))", "Array.isArray(\(any(depth - 1)))"])
        }
    }

    mutating func array(_ depth: Int) -> String {
        guard depth > 0 else { return one(of: ["l", "k", "[1, 'a', null]", "[]"]) }
        switch random.next() % 16 {
        case 0: return "[\(any(depth - 1)), \(any(depth - 1))]"
        case 1: return "[...\(array(depth - 1)), \(primitive(depth - 1))]"
        case 2: return "\(array(depth - 1)).map(\(arrow(1, depth - 1, boolean: false)))"
        case 3: return "\(array(depth - 1)).map(\(arrow(2, depth - 1, boolean: false)))"
        case 4: return "\(array(depth - 1)).filter(\(arrow(1, depth - 1, boolean: true)))"
        case 5: return "\(array(depth - 1)).slice(\(small()), \(small()))"
        case 6: return "\(array(depth - 1)).concat(\(any(depth - 1)))"
        case 7: return "[...\(array(depth - 1))].reverse()"
        case 8: return "[...\(array(depth - 1))].sort()"
        case 9: return "\(array(depth - 1)).flat(\(one(of: ["", "1", "2", "0"])))"
        case 10: return "\(array(depth - 1)).flatMap(\(arrow(1, depth - 1, boolean: false)))"
        case 11:
            return "\(text(depth - 1)).split(\(one(of: ["','", "''", "/,/", "/(b)/", "' '", "/x*/", "undefined"])))"
        case 12: return "Object.\(one(of: ["keys", "values", "entries"]))(\(object(depth - 1)))"
        case 13:
            return
                "p.map(\(one(of: ["x => x.q", "x => x.r", "x => x.q * 2", "({q}) => q".replacing("({q}) => q", with: "x => x")])))"
        case 14: return "(\(text(depth - 1)).match(\(pattern()))?.slice(0) ?? [])"
        default: return "[3, 1, 2].sort((a, b) => \(one(of: ["a - b", "b - a", "0"])))"
        }
    }

    mutating func object(_ depth: Int) -> String {
        guard depth > 0 else { return one(of: ["o", "({a: 1})", "({})"]) }
        switch random.next() % 4 {
        case 0: return "({a: \(any(depth - 1)), 'b c': \(primitive(depth - 1))})"
        case 1: return "({...\(object(depth - 1)), n, a: \(any(depth - 1))})"
        case 2: return "({[\(text(depth - 1))]: \(primitive(depth - 1)), 1: 2})"
        default: return "({x: \(object(depth - 1))})"
        }
    }

    private mutating func arrow(_ count: Int, _ depth: Int, boolean isCondition: Bool) -> String {
        let names = (0..<count).map { _ in
            localCount += 1
            return "v\(localCount % 7)"
        }
        guard Set(names).count == names.count else { return arrow(count, depth, boolean: isCondition) }
        let outer = locals
        locals += names
        defer { locals = outer }
        let deeper = max(0, depth)
        let body: String
        if isCondition {
            body = chance(50) ? "\(names[0]) \(one(of: [">", "<", "==", "==="])) \(primitive(0))" : boolean(deeper)
        } else {
            body = chance(50) ? "(\(names[0]) + \(names.last == names[0] ? primitive(0) : names[1]))" : any(deeper)
        }
        // Arrays and objects compare by identity in JavaScript: a parameter may be one.
        let safe =
            isCondition && body.contains("==") ? body.replacing("===", with: ">").replacing("==", with: "<") : body
        return count == 1 ? "\(names[0]) => \(safe)" : "(\(names.joined(separator: ", "))) => \(safe)"
    }
}
