import RocketModel

/// Finds comparisons that can never hold, for what is known of their sides.
enum ComparisonCheck {
    typealias Side = (node: SyntaxNode, type: ExpressionType)

    /// What is wrong with a comparison; nil where it may hold.
    static func problem(_ op: BinaryOperator, _ left: Side, _ right: Side) -> String? {
        if op == .isIn || op == .isNotIn { return membership(left, right) }
        guard op.isEquality || op.isOrder else { return nil }
        if op.isEquality, let message = choice(left, right) ?? choice(right, left) { return message }
        if let message = text(op, left, right) ?? text(op, right, left) { return message }
        let (a, b) = (kind(left.type), kind(right.type))
        guard let a, let b, a != b else { return op.isOrder ? unordered(left) ?? unordered(right) : nil }
        let isDateText = Set([a, b]) == ["a date", "text"]
        if op == .same || op == .notSame, !isDateText {
            return "\(left.type.shown) is never the same as \(right.type.shown)"
        }
        if [a, b].contains("an object") || [a, b].contains("a regular expression") {
            return "\(left.type.shown) and \(right.type.shown) are never \(op.isOrder ? "in an order" : "equal")"
        }
        return op.isOrder ? unordered(left) ?? unordered(right) : nil
    }

    private static func unordered(_ side: Side) -> String? {
        switch side.type {
        case .object, .pattern: "\(side.type.shown) has no order"
        default: nil
        }
    }

    /// Kinds within which values may be equal; nil where nothing is known.
    private static func kind(_ type: ExpressionType) -> String? {
        switch type {
        case .any, .null: nil
        case .object: "an object"
        default: type.shown
        }
    }

    /// A field with an enum beside a text that is none of it.
    private static func choice(_ side: Side, _ other: Side) -> String? {
        guard case .choice(let values) = side.type else { return nil }
        if case .choice(let others) = other.type, Set(values).isDisjoint(with: others) {
            return
                "these have no value in common: \(values.joined(separator: ", ")) and \(others.joined(separator: ", "))"
        }
        guard case .string(let text) = other.node.kind else { return nil }
        guard !values.contains(where: { $0.utf8.elementsEqual(text.utf8) }) else { return nil }
        let list = values.map { "\"\($0)\"" }.joined(separator: ", ")
        return "this is one of \(list), and never \"\(text)\"" + suggestion(for: text, among: values)
    }

    /// A text that is no number beside a number, one that is no date beside a date.
    private static func text(_ op: BinaryOperator, _ side: Side, _ other: Side) -> String? {
        guard case .string(let text) = other.node.kind else { return nil }
        switch side.type {
        case .number, .decimal, .boolean:
            guard NumberText.number(text).isNaN else { return nil }
            return "\(side.type.shown) is never compared with \"\(text.prefix(40))\", which is no number"
        case .date:
            guard DateValue(text: text).microseconds == nil else { return nil }
            return "a date is never compared with \"\(text.prefix(40))\", which is no date"
        default: return nil
        }
    }

    private static func membership(_ left: Side, _ right: Side) -> String? {
        switch right.type {
        case .boolean, .number, .decimal, .date, .pattern: return "in takes an array, a text or an object"
        default: break
        }
        guard case .choice = left.type, case .array(let elements) = right.node.kind else { return nil }
        for element in elements where !element.isSpread {
            if let message = choice(left, (element.value, .text)) { return message }
        }
        return nil
    }
}
