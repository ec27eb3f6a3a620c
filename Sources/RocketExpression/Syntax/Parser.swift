/// Reads an expression into a tree, by JavaScript's precedence and associativity, or tells everything that is wrong
/// with it. After a mistake it goes on behind it, so that one text shows all its mistakes.
struct Parser {
    /// Bytes that a text may have.
    static let maximumLength = 16_384
    /// How many nodes may stand within each other.
    static let maximumDepth = 200
    private static let maximumProblems = 20

    private let bytes: [UInt8]
    private var tokens: [Token]
    private var index = 0
    private(set) var problems: [SyntaxProblem]
    private var nesting: Int

    /// - Returns: the tree; nil where the text has problems.
    static func parse(_ source: String) -> (node: SyntaxNode?, problems: [SyntaxProblem]) {
        let bytes = Array(source.utf8)
        guard bytes.count <= maximumLength else {
            return (nil, [SyntaxProblem("the expression is longer than \(maximumLength) bytes", at: maximumLength)])
        }
        var parser = Parser(bytes, range: 0..<bytes.count, nesting: 0)
        let node = parser.whole()
        return (parser.problems.isEmpty ? node : nil, parser.problems)
    }

    private init(_ bytes: [UInt8], range: Range<Int>, nesting: Int) {
        self.bytes = bytes
        var lexer = Lexer(bytes, range: range)
        lexer.run()
        tokens = lexer.tokens
        problems = lexer.problems
        self.nesting = nesting
    }

    private mutating func whole() -> SyntaxNode {
        guard !token.isEnd else {
            problem("expected an expression")
            return broken
        }
        let node = expression()
        if !token.isEnd {
            problem("expected the end, or an operator, and got \(token.shown)\(hint)")
        }
        return node
    }

    /// Operators that only change things, which nothing here does.
    private var hint: String {
        switch token.kind {
        case .sign(let sign) where ["=", "+=", "-=", "*=", "/=", "++", "--", "??=", "&&=", "||="].contains(sign):
            "; nothing can be assigned here, and == compares"
        case .sign("&"), .sign("|"): "; && and || are and and or"
        case .sign(";"): "; an expression is one value, without statements"
        default: ""
        }
    }

    // MARK: tokens

    private var token: Token { tokens[index] }

    private mutating func advance() {
        if index < tokens.count - 1 { index += 1 }
    }

    private mutating func take(_ sign: String) -> Bool {
        guard token.isSign(sign) else { return false }
        advance()
        return true
    }

    private mutating func takeWord(_ word: String) -> Bool {
        guard token.isWord(word) else { return false }
        advance()
        return true
    }

    private mutating func expect(_ sign: String, after what: String) {
        guard !take(sign) else { return }
        problem("expected \"\(sign)\" after \(what), and got \(token.shown)")
    }

    private mutating func problem(_ message: String, at offset: Int? = nil) {
        // One mistake is told once: what follows at the same place comes of it.
        let offset = offset ?? token.start
        guard problems.count < Self.maximumProblems, !problems.contains(where: { $0.offset == offset }) else { return }
        problems.append(SyntaxProblem(message, at: offset))
    }

    private var broken: SyntaxNode { SyntaxNode(kind: .broken, start: token.start, depth: 1) }

    private mutating func node(_ kind: SyntaxNode.Kind, _ start: Int, _ parts: [SyntaxNode] = []) -> SyntaxNode {
        let depth = 1 + (parts.map(\.depth).max() ?? 0)
        guard depth <= Self.maximumDepth else {
            problem("the expression has more than \(Self.maximumDepth) levels", at: start)
            return SyntaxNode(kind: .broken, start: start, depth: 1)
        }
        return SyntaxNode(kind: kind, start: start, depth: depth)
    }

    // MARK: precedence

    mutating func expression() -> SyntaxNode {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumDepth else {
            problem("the expression has more than \(Self.maximumDepth) levels")
            index = tokens.count - 1
            return broken
        }
        if let arrow = arrow() { return arrow }
        let start = token.start
        let condition = binary(minimum: 1)
        guard take("?") else { return condition }
        let then = expression()
        expect(":", after: "the first value of ?:")
        let otherwise = expression()
        return node(.condition(condition, then: then, otherwise: otherwise), start, [condition, then, otherwise])
    }

    private enum Infix {
        case logical(LogicalOperator)
        case binary(BinaryOperator)
    }

    /// The operator at the index with its precedence.
    private var infix: (Infix, precedence: Int, length: Int)? {
        switch token.kind {
        case .sign(let sign):
            switch sign {
            case "??": return (.logical(.coalesce), 1, 1)
            case "||": return (.logical(.or), 1, 1)
            case "&&": return (.logical(.and), 2, 1)
            case "==", "!=", "===", "!==": return BinaryOperator(rawValue: sign).map { (.binary($0), 6, 1) }
            case "<", "<=", ">", ">=": return BinaryOperator(rawValue: sign).map { (.binary($0), 7, 1) }
            case "+", "-": return BinaryOperator(rawValue: sign).map { (.binary($0), 9, 1) }
            case "*", "/", "%": return BinaryOperator(rawValue: sign).map { (.binary($0), 10, 1) }
            default: return nil
            }
        case .name("or"): return (.logical(.or), 1, 1)
        case .name("and"): return (.logical(.and), 2, 1)
        case .name("in"): return (.binary(.isIn), 7, 1)
        case .name("not") where tokens[min(index + 1, tokens.count - 1)].isWord("in"):
            return (.binary(.isNotIn), 7, 2)
        default: return nil
        }
    }

    private mutating func binary(minimum: Int) -> SyntaxNode {
        let start = token.start
        var left = unary()
        var mixed: LogicalOperator?
        while let (infix, precedence, length) = infix, precedence >= minimum {
            let offset = token.start
            for _ in 0..<length { advance() }
            let right = binary(minimum: precedence + 1)
            switch infix {
            case .logical(let op):
                // As in JavaScript, ?? beside && or || needs parentheses.
                let isMixed = op == .coalesce ? mixed != nil && mixed != .coalesce : mixed == .coalesce
                let isInside = op == .coalesce ? isBareLogical(left) || isBareLogical(right) : isBareCoalesce(right)
                if isMixed || isInside { problem("?? beside && or || needs parentheses", at: offset) }
                mixed = op
                left = node(.logical(op, left, right), start, [left, right])
            case .binary(let op):
                left = node(.binary(op, left, right), start, [left, right])
            }
        }
        return left
    }

    /// Nodes that stood in parentheses, by their start.
    private var parenthesized: Set<Int> = []

    private func isBareLogical(_ node: SyntaxNode) -> Bool {
        if case .logical(let op, _, _) = node.kind {
            op != .coalesce && !parenthesized.contains(node.start)
        } else {
            false
        }
    }

    private func isBareCoalesce(_ node: SyntaxNode) -> Bool {
        if case .logical(.coalesce, _, _) = node.kind { !parenthesized.contains(node.start) } else { false }
    }

    private mutating func unary() -> SyntaxNode {
        let start = token.start
        let op: UnaryOperator? =
            switch token.kind {
            case .sign("!"), .name("not"): .not
            case .sign("-"): .minus
            case .sign("+"): .plus
            case .name("typeof"): .typeOf
            default: nil
            }
        guard let op else { return power() }
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumDepth else {
            problem("the expression has more than \(Self.maximumDepth) levels")
            index = tokens.count - 1
            return broken
        }
        let isWord = token.isWord("not")
        advance()
        // `not` binds as loosely as its meaning asks: `not a == b` is `not (a == b)`.
        let operand = isWord ? binary(minimum: 3) : unary()
        if !isWord, case .binary(.power, _, _) = operand.kind, !parenthesized.contains(operand.start) {
            problem("a sign before ** needs parentheses", at: start)
        }
        return node(.unary(op, operand), start, [operand])
    }

    private mutating func power() -> SyntaxNode {
        let start = token.start
        let base = postfix()
        guard take("**") else { return base }
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumDepth else {
            problem("the expression has more than \(Self.maximumDepth) levels")
            index = tokens.count - 1
            return broken
        }
        let exponent = unary()
        return node(.binary(.power, base, exponent), start, [base, exponent])
    }

    // MARK: members and calls

    private mutating func postfix() -> SyntaxNode {
        let start = token.start
        var left = primary()
        while true {
            let isOptional = token.isSign("?.")
            if take(".") || take("?.") {
                // `a?.[b]` and `a?.(b)`; a member of nothing is undefined with or without the question mark.
                if isOptional, token.isSign("[") || token.isSign("(") { continue }
                guard case .name(let name) = token.kind else {
                    problem("expected a name after the point, and got \(token.shown)")
                    return left
                }
                let offset = token.start
                refuseReserved(name, at: offset)
                advance()
                left = node(.member(left, name: name, nameOffset: offset), start, [left])
            } else if take("[") {
                let key = expression()
                expect("]", after: "the key")
                left = node(.element(left, key), start, [left, key])
            } else if take("(") {
                let arguments = elements(until: ")", what: "the arguments")
                left = node(.call(left, arguments), start, [left] + arguments.map(\.value))
            } else if case .template = token.kind {
                problem("expected an operator before the template")
                advance()
            } else {
                return left
            }
        }
    }

    private mutating func refuseReserved(_ name: String, at offset: Int) {
        if ["__proto__", "constructor", "prototype"].contains(name) {
            problem("\"\(name)\" can't be reached: there are no prototypes here", at: offset)
        }
    }

    private mutating func elements(until closing: String, what: String) -> [SyntaxNode.Element] {
        var elements: [SyntaxNode.Element] = []
        while !token.isSign(closing), !token.isEnd {
            let isSpread = take("...")
            let before = index
            elements.append(SyntaxNode.Element(value: expression(), isSpread: isSpread))
            guard take(",") else { break }
            if index == before { advance() }
        }
        expect(closing, after: what)
        return elements
    }

    // MARK: primaries

    private mutating func primary() -> SyntaxNode {
        let token = token
        switch token.kind {
        case .number(let value):
            advance()
            return node(.number(value), token.start)
        case .string(let text):
            advance()
            return node(.string(text), token.start)
        case .template(let texts, let ranges):
            advance()
            return template(texts, ranges, token.start)
        case .pattern(let source, let flags):
            advance()
            return node(.pattern(source: source, flags: flags), token.start)
        case .name(let name):
            return word(name)
        case .sign("("):
            advance()
            let inner = expression()
            expect(")", after: "the expression")
            parenthesized.insert(inner.start)
            return inner
        case .sign("["):
            advance()
            let elements = elements(until: "]", what: "the elements")
            return node(.array(elements), token.start, elements.map(\.value))
        case .sign("{"):
            return object()
        case .sign, .end:
            problem("expected a value, and got \(token.shown)\(hint)")
            // What closes something belongs to whoever opened it.
            if !token.isEnd, !token.isSign(")"), !token.isSign("]"), !token.isSign("}"), !token.isSign(",") {
                advance()
            }
            return broken
        }
    }

    private static let statements: Set<String> = [
        "function", "this", "var", "let", "const", "if", "else", "for", "while", "do", "return", "class", "import",
        "export", "delete", "void", "await", "yield", "async", "throw", "try", "catch", "switch", "case", "instanceof",
        "super", "with", "debugger", "eval",
    ]

    private mutating func word(_ name: String) -> SyntaxNode {
        let start = token.start
        advance()
        switch name {
        case "true": return node(.boolean(true), start)
        case "false": return node(.boolean(false), start)
        case "null", "nil": return node(.null, start)
        case "undefined": return node(.undefined, start)
        case "NaN": return node(.number(.nan), start)
        case "Infinity": return node(.number(.infinity), start)
        case "new": return newDate(start)
        case "and", "or", "in":
            problem("expected a value before \"\(name)\"", at: start)
            return broken
        default:
            refuseReserved(name, at: start)
            if Self.statements.contains(name) {
                problem("\"\(name)\" is not part of the language: an expression is one value", at: start)
            }
            return node(.name(name), start)
        }
    }

    private mutating func newDate(_ start: Int) -> SyntaxNode {
        guard takeWord("Date") else {
            problem("only new Date(…) can be made, and not \(token.shown)")
            return broken
        }
        guard take("(") else { return node(.newDate([]), start) }
        let arguments = elements(until: ")", what: "the arguments")
        return node(.newDate(arguments), start, arguments.map(\.value))
    }

    private mutating func template(_ texts: [String], _ ranges: [Range<Int>], _ start: Int) -> SyntaxNode {
        var parts: [SyntaxNode] = []
        for range in ranges {
            guard nesting < Self.maximumDepth else {
                problem("the expression has more than \(Self.maximumDepth) levels", at: start)
                return broken
            }
            var parser = Parser(bytes, range: range, nesting: nesting + 1)
            parts.append(parser.whole())
            problems += parser.problems.prefix(max(0, Self.maximumProblems - problems.count))
        }
        return node(.template(texts, parts), start, parts)
    }

    private mutating func object() -> SyntaxNode {
        let start = token.start
        advance()
        var properties: [SyntaxNode.Property] = []
        var parts: [SyntaxNode] = []
        while !token.isSign("}"), !token.isEnd {
            let before = index
            if take("...") {
                let value = expression()
                properties.append(.spread(value))
                parts.append(value)
            } else if take("[") {
                let key = expression()
                expect("]", after: "the key")
                expect(":", after: "the key")
                let value = expression()
                properties.append(.computed(key, value))
                parts += [key, value]
            } else if let property = namedProperty() {
                properties.append(property.0)
                parts.append(property.1)
            }
            guard take(",") else { break }
            if index == before { advance() }
        }
        expect("}", after: "the members")
        return node(.object(properties), start, parts)
    }

    private mutating func namedProperty() -> (SyntaxNode.Property, SyntaxNode)? {
        let key = token
        let name: String
        switch key.kind {
        case .name(let text), .string(let text): name = text
        case .number(let value): name = NumberText.string(value)
        default:
            problem("expected a member's name, and got \(key.shown)")
            return nil
        }
        refuseReserved(name, at: key.start)
        advance()
        if take(":") {
            let value = expression()
            return (.named(name, value), value)
        }
        guard case .name = key.kind else {
            problem("expected \":\" after the member's name, and got \(token.shown)")
            return nil
        }
        let value = node(.name(name), key.start)
        return (.named(name, value), value)
    }

    // MARK: arrow functions

    /// `x => …`, `(a, b) => …`; nil where none begins here.
    private mutating func arrow() -> SyntaxNode? {
        let start = token.start
        var names: [String] = []
        var cursor = index
        if case .name(let name) = tokens[cursor].kind {
            names = [name]
            cursor += 1
        } else if tokens[cursor].isSign("(") {
            cursor += 1
            while case .name(let name) = tokens[cursor].kind {
                names.append(name)
                cursor += 1
                guard tokens[cursor].isSign(",") else { break }
                cursor += 1
            }
            guard tokens[cursor].isSign(")") else { return nil }
            cursor += 1
        }
        guard cursor > index, cursor < tokens.count, tokens[cursor].isSign("=>") else { return nil }
        index = cursor
        advance()
        if Set(names).count < names.count { problem("a parameter is named twice", at: start) }
        if token.isSign("{") {
            problem("a function's body is one expression; an object needs parentheses: x => ({…})")
        }
        let body = expression()
        return node(.arrow(names, body), start, [body])
    }
}

extension Token {
    fileprivate var isEnd: Bool { kind == .end }
}
