/// One word or sign of an expression.
struct Token: Sendable {
    enum Kind: Sendable, Hashable {
        case number(Double)
        case string(String)
        /// A template literal: its texts and, between them, the ranges of the source that hold expressions.
        case template([String], [Range<Int>])
        case pattern(source: String, flags: String)
        case name(String)
        case sign(String)
        case end
    }

    let kind: Kind
    /// Bytes from the start of the text.
    let start: Int
    let end: Int

    func isSign(_ text: String) -> Bool { kind == .sign(text) }

    func isWord(_ text: String) -> Bool { kind == .name(text) }

    /// The token as error messages name it.
    var shown: String {
        switch kind {
        case .number: "a number"
        case .string: "a string"
        case .template: "a template"
        case .pattern: "a regular expression"
        case .name(let name): "\"\(name)\""
        case .sign(let sign): "\"\(sign)\""
        case .end: "the end"
        }
    }
}
