/// Cuts an expression's text into tokens, by JavaScript's rules (ECMA-262, part 12). A slash begins a regular
/// expression where an operand is due.
struct Lexer {
    private let bytes: [UInt8]
    private var index: Int
    private let end: Int
    private(set) var tokens: [Token] = []
    private(set) var problems: [SyntaxProblem] = []

    /// - Parameter range: the part of the text that is read; offsets count from the start of all of it.
    init(_ bytes: [UInt8], range: Range<Int>) {
        self.bytes = bytes
        index = range.lowerBound
        end = range.upperBound
    }

    mutating func run() {
        while true {
            skipSpace()
            guard index < end else { break }
            let start = index
            if let kind = next() {
                tokens.append(Token(kind: kind, start: start, end: index))
            }
            guard problems.count < 20 else { break }
        }
        tokens.append(Token(kind: .end, start: end, end: end))
    }

    private func byte(_ offset: Int = 0) -> UInt8? {
        index + offset < end ? bytes[index + offset] : nil
    }

    private mutating func skipSpace() {
        while let byte = byte() {
            switch byte {
            case 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20: index += 1
            case UInt8(ascii: "/") where self.byte(1) == UInt8(ascii: "/"):
                while let byte = self.byte(), byte != 0x0A { index += 1 }
            case UInt8(ascii: "/") where self.byte(1) == UInt8(ascii: "*"):
                let start = index
                index += 2
                while index + 1 < end, !(bytes[index] == UInt8(ascii: "*") && bytes[index + 1] == UInt8(ascii: "/")) {
                    index += 1
                }
                if index + 1 >= end {
                    problems.append(SyntaxProblem("the comment has no end", at: start))
                    index = end
                } else {
                    index += 2
                }
            case 0x80...:
                let (scalar, length) = scalar()
                guard NumberText.isSpace(scalar) else { return }
                index += length
            default: return
            }
        }
    }

    /// The scalar at the index; the text is valid UTF-8.
    private func scalar() -> (Unicode.Scalar, Int) {
        var iterator = bytes[index..<end].makeIterator()
        var decoder = UTF8()
        switch decoder.decode(&iterator) {
        case .scalarValue(let scalar): return (scalar, UTF8.width(scalar))
        case .emptyInput, .error: return ("\u{FFFD}", 1)
        }
    }

    private mutating func next() -> Token.Kind? {
        guard let first = byte() else { return nil }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return number()
        case UInt8(ascii: ".") where byte(1).map(isDigit) == true: return number()
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return string(first)
        case UInt8(ascii: "`"): return template()
        case UInt8(ascii: "/") where operandIsDue: return pattern()
        case _ where isNameStart(first): return name()
        case 0x80...:
            let (scalar, length) = scalar()
            if scalar.properties.isXIDStart { return name() }
            problems.append(SyntaxProblem("\"\(scalar)\" means nothing here", at: index))
            index += length
            return nil
        default: return sign()
        }
    }

    /// Whether what stands before lets a slash divide.
    private var operandIsDue: Bool {
        guard let last = tokens.last else { return true }
        switch last.kind {
        case .number, .string, .template, .pattern: return false
        case .name(let name): return Self.operatorWords.contains(name)
        case .sign(let sign): return sign != ")" && sign != "]" && sign != "}"
        case .end: return true
        }
    }

    private static let operatorWords: Set<String> = ["and", "or", "not", "in", "typeof"]

    // MARK: names and signs

    private func isNameStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "$"):
            true
        default: false
        }
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private mutating func name() -> Token.Kind {
        let start = index
        while let byte = byte() {
            if isNameStart(byte) || isDigit(byte) {
                index += 1
            } else if byte >= 0x80 {
                let (scalar, length) = scalar()
                guard scalar.properties.isXIDContinue || scalar == "\u{200C}" || scalar == "\u{200D}" else { break }
                index += length
            } else {
                break
            }
        }
        return .name(String(decoding: bytes[start..<index], as: UTF8.self))
    }

    /// Longest first.
    private static let signs: [[UInt8]] = [
        "===", "!==", "**=", "...", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "==", "!=", "<=", ">=", "&&", "||", "??",
        "?.", "=>", "**", "++", "--", "+=", "-=", "*=", "/=", "%=", "<<", ">>", "&=", "|=", "^=", "+", "-", "*", "/",
        "%", "<", ">", "!", "?", ":", ",", ".", "(", ")", "[", "]", "{", "}", "=", "&", "|", "^", "~", ";",
    ].map { Array($0.utf8) }

    private mutating func sign() -> Token.Kind? {
        for sign in Self.signs where bytes[index..<end].starts(with: sign) {
            // `a?.5:b` is a condition and a number.
            if sign == Array("?.".utf8), byte(2).map(isDigit) == true { continue }
            index += sign.count
            return .sign(String(decoding: sign, as: UTF8.self))
        }
        let shown = String(decoding: bytes[index...index], as: UTF8.self)
        problems.append(SyntaxProblem("\"\(shown)\" means nothing here", at: index))
        index += 1
        return nil
    }

    // MARK: numbers

    private mutating func number() -> Token.Kind? {
        let start = index
        if byte() == UInt8(ascii: "0"), let second = byte(1), [0x78, 0x58, 0x6F, 0x4F, 0x62, 0x42].contains(second) {
            index += 2
            while let byte = byte(), isNameStart(byte) || isDigit(byte) { index += 1 }
        } else {
            while let byte = byte(), isDigit(byte) { index += 1 }
            if byte() == UInt8(ascii: ".") {
                index += 1
                while let byte = byte(), isDigit(byte) { index += 1 }
            }
            if let exponent = byte(), exponent | 0x20 == UInt8(ascii: "e") {
                index += 1
                if let sign = byte(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { index += 1 }
                while let byte = byte(), isDigit(byte) { index += 1 }
            }
            while let byte = byte(), isNameStart(byte) || isDigit(byte) { index += 1 }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        let value = NumberText.number(text)
        let isOctal =
            text.utf8.count > 1 && text.utf8.first == UInt8(ascii: "0")
            && text.utf8.dropFirst().first.map(isDigit) == true
        guard !value.isNaN, !isOctal else {
            problems.append(SyntaxProblem("\"\(text.prefix(40))\" is no number", at: start))
            return .number(0)
        }
        return .number(value)
    }

    // MARK: strings

    private mutating func string(_ quote: UInt8) -> Token.Kind {
        let start = index
        index += 1
        var units: [UInt16] = []
        while let byte = byte() {
            if byte == quote {
                index += 1
                return .string(String(decoding: units, as: UTF16.self))
            }
            if byte == 0x0A || byte == 0x0D { break }
            appendCharacter(to: &units)
        }
        problems.append(SyntaxProblem("the string has no end", at: start))
        return .string("")
    }

    private mutating func appendCharacter(to units: inout [UInt16]) {
        if byte() == UInt8(ascii: "\\") {
            appendEscape(to: &units)
        } else {
            let (scalar, length) = scalar()
            units.append(contentsOf: String(scalar).utf16)
            index += length
        }
    }

    private mutating func appendEscape(to units: inout [UInt16]) {
        let start = index
        index += 1
        guard let byte = byte() else { return }
        if byte >= 0x80 {
            let (scalar, length) = scalar()
            index += length
            // An escaped line separator is a line that goes on.
            if scalar != "\u{2028}", scalar != "\u{2029}" { units.append(contentsOf: String(scalar).utf16) }
            return
        }
        index += 1
        switch byte {
        case UInt8(ascii: "n"): units.append(0x0A)
        case UInt8(ascii: "t"): units.append(0x09)
        case UInt8(ascii: "r"): units.append(0x0D)
        case UInt8(ascii: "b"): units.append(0x08)
        case UInt8(ascii: "f"): units.append(0x0C)
        case UInt8(ascii: "v"): units.append(0x0B)
        case 0x0D: if self.byte() == 0x0A { index += 1 }
        case 0x0A: break
        case UInt8(ascii: "0") where self.byte().map(isDigit) != true: units.append(0)
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            problems.append(SyntaxProblem("an escape by an octal number is not taken; write \\x or \\u", at: start))
        case UInt8(ascii: "x"): units.append(UInt16(truncatingIfNeeded: hex(2, at: start)))
        case UInt8(ascii: "u") where self.byte() == UInt8(ascii: "{"):
            index += 1
            let digits = index
            while let byte = self.byte(), hexValue(byte) != nil { index += 1 }
            let value = UInt32(String(decoding: bytes[digits..<index], as: UTF8.self), radix: 16)
            guard self.byte() == UInt8(ascii: "}"), let value, value <= 0x10FFFF else {
                problems.append(SyntaxProblem("\\u{…} takes up to six hexadecimal digits, to 10FFFF", at: start))
                return
            }
            index += 1
            if let scalar = Unicode.Scalar(value) {
                units.append(contentsOf: String(scalar).utf16)
            } else {
                units.append(UInt16(truncatingIfNeeded: value))
            }
        case UInt8(ascii: "u"): units.append(UInt16(truncatingIfNeeded: hex(4, at: start)))
        default: units.append(UInt16(byte))
        }
    }

    private mutating func hex(_ count: Int, at start: Int) -> Int {
        var value = 0
        for _ in 0..<count {
            guard let byte = byte(), let digit = hexValue(byte) else {
                problems.append(SyntaxProblem("the escape takes \(count) hexadecimal digits", at: start))
                return 0
            }
            value = value * 16 + digit
            index += 1
        }
        return value
    }

    private func hexValue(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    // MARK: templates

    private mutating func template() -> Token.Kind {
        let start = index
        index += 1
        var texts: [String] = []
        var ranges: [Range<Int>] = []
        var units: [UInt16] = []
        while let byte = byte() {
            if byte == UInt8(ascii: "`") {
                index += 1
                return .template(texts + [String(decoding: units, as: UTF16.self)], ranges)
            }
            if byte == UInt8(ascii: "$"), self.byte(1) == UInt8(ascii: "{") {
                texts.append(String(decoding: units, as: UTF16.self))
                units = []
                index += 2
                let from = index
                skipExpression()
                ranges.append(from..<index)
                guard self.byte() == UInt8(ascii: "}") else { break }
                index += 1
            } else {
                appendCharacter(to: &units)
            }
        }
        problems.append(SyntaxProblem("the template has no end", at: start))
        return .template([""], [])
    }

    /// Goes to the brace that ends `${…}`. Strings and templates inside may hold braces of their own.
    private mutating func skipExpression() {
        // One stack for all that is open, so that no depth of templates within templates is a depth of calls.
        var open: [UInt8] = []
        while let byte = byte() {
            if open.last == UInt8(ascii: "`") {
                if byte == UInt8(ascii: "\\") {
                    index += 1
                } else if byte == UInt8(ascii: "`") {
                    open.removeLast()
                } else if byte == UInt8(ascii: "$"), self.byte(1) == UInt8(ascii: "{") {
                    open.append(UInt8(ascii: "{"))
                    index += 1
                }
            } else {
                switch byte {
                case UInt8(ascii: "{"), UInt8(ascii: "`"): open.append(byte)
                case UInt8(ascii: "}"):
                    guard !open.isEmpty else { return }
                    open.removeLast()
                case UInt8(ascii: "\""), UInt8(ascii: "'"):
                    index += 1
                    while let inner = self.byte(), inner != byte {
                        index += inner == UInt8(ascii: "\\") ? 2 : 1
                    }
                default: break
                }
            }
            index = min(index + 1, end)
        }
    }

    // MARK: patterns

    private mutating func pattern() -> Token.Kind {
        let start = index
        index += 1
        var isInClass = false
        while let byte = byte(), byte != 0x0A {
            switch byte {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "["): isInClass = true
            case UInt8(ascii: "]"): isInClass = false
            case UInt8(ascii: "/") where !isInClass:
                let source = String(decoding: bytes[(start + 1)..<index], as: UTF8.self)
                index += 1
                let flags = index
                while let byte = self.byte(), isNameStart(byte) || isDigit(byte) { index += 1 }
                return .pattern(source: source, flags: String(decoding: bytes[flags..<index], as: UTF8.self))
            default: break
            }
            index = min(index + 1, end)
        }
        problems.append(SyntaxProblem("the regular expression has no end", at: start))
        return .pattern(source: "", flags: "")
    }
}
