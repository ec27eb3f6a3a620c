/// A piece of an expression as it was written.
struct SyntaxNode: Sendable {
    indirect enum Kind: Sendable {
        case undefined
        case null
        case boolean(Bool)
        case number(Double)
        case string(String)
        /// Texts with expressions between them: one text more than expressions.
        case template([String], [SyntaxNode])
        case pattern(source: String, flags: String)
        case name(String)
        case array([Element])
        case object([Property])
        case unary(UnaryOperator, SyntaxNode)
        case binary(BinaryOperator, SyntaxNode, SyntaxNode)
        case logical(LogicalOperator, SyntaxNode, SyntaxNode)
        case condition(SyntaxNode, then: SyntaxNode, otherwise: SyntaxNode)
        case member(SyntaxNode, name: String, nameOffset: Int)
        case element(SyntaxNode, SyntaxNode)
        case call(SyntaxNode, [Element])
        case newDate([Element])
        case arrow([String], SyntaxNode)
        /// What could not be read; it has been told.
        case broken
    }

    /// A member of an array or an argument.
    struct Element: Sendable {
        let value: SyntaxNode
        let isSpread: Bool
    }

    enum Property: Sendable {
        case named(String, SyntaxNode)
        case computed(SyntaxNode, SyntaxNode)
        case spread(SyntaxNode)
    }

    let kind: Kind
    /// Bytes from the start of the text.
    let start: Int
    /// How many nodes stand within each other, this one included.
    let depth: Int

    static func element(_ node: SyntaxNode) -> Element { Element(value: node, isSpread: false) }
}

enum UnaryOperator: String, Sendable {
    case not = "!"
    case minus = "-"
    case plus = "+"
    case typeOf = "typeof"
}

enum LogicalOperator: String, Sendable {
    case and = "&&"
    case or = "||"
    case coalesce = "??"
}

enum BinaryOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case remainder = "%"
    case power = "**"
    case equal = "=="
    case notEqual = "!="
    case same = "==="
    case notSame = "!=="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"

    var isEquality: Bool { self == .equal || self == .notEqual || self == .same || self == .notSame }
    var isOrder: Bool { self == .less || self == .lessOrEqual || self == .greater || self == .greaterOrEqual }
}
