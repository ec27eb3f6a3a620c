import RocketModel

/// Every function of the language, in one list.
package enum FunctionLibrary {
    package static let all: [LibraryFunction] =
        ruleFunctions + conversionFunctions + mathFunctions + objectFunctions + textMethods + patternMethods
        + arrayMethods + dateMethods

    /// By owner and name.
    private static let index: [LibraryFunction.Owner: [String: LibraryFunction]] = {
        var index: [LibraryFunction.Owner: [String: LibraryFunction]] = [:]
        for function in all { index[function.owner, default: [:]][function.name] = function }
        return index
    }()

    static func function(_ owner: LibraryFunction.Owner, _ name: String) -> LibraryFunction? { index[owner]?[name] }

    static func names(_ owner: LibraryFunction.Owner) -> [String] { Array((index[owner] ?? [:]).keys) }

    static let namespaces: [String] = all.compactMap { function in
        if case .namespace(let name) = function.owner { name } else { nil }
    }

    /// Who owns the methods of a type; nil where that is not known.
    static func owner(of type: ExpressionType) -> LibraryFunction.Owner? {
        switch type {
        case .text, .choice: .text
        case .array: .array
        case .date: .date
        case .pattern: .pattern
        default: nil
        }
    }

    static func owner(of value: ExpressionValue) -> LibraryFunction.Owner? {
        switch value {
        case .string: .text
        case .array: .array
        case .date: .date
        case .pattern: .pattern
        default: nil
        }
    }

    /// Whether some kind of value has a method of this name.
    static func isMethod(_ name: String) -> Bool {
        methodOwners.contains { function($0, name) != nil }
    }

    static let methodOwners: [LibraryFunction.Owner] = [.text, .array, .date, .pattern]
}

// MARK: helpers

extension Evaluation {
    /// A whole number as JavaScript takes one for a place or a count: NaN is 0, fractions are cut, bounds are kept.
    mutating func whole(_ value: ExpressionValue, or fallback: Int = 0) throws(EvaluationFailure) -> Int {
        if case .undefined = value { return fallback }
        let number = try double(value)
        if number.isNaN { return 0 }
        return Int(exactly: max(-1e15, min(1e15, number)).rounded(.towardZero)) ?? 0
    }

    /// A place that counts from the end where it is negative, within `0...count`.
    mutating func place(_ value: ExpressionValue, _ count: Int, or fallback: Int) throws(EvaluationFailure) -> Int {
        let whole = try whole(value, or: fallback)
        return whole < 0 ? max(0, count + whole) : min(whole, count)
    }

    /// The elements of a list of the business functions; nothing for null.
    mutating func list(_ value: ExpressionValue, _ name: String) throws(EvaluationFailure) -> [ExpressionValue] {
        switch value {
        case .array(let items): return items
        case .undefined, .null: return []
        default: throw EvaluationFailure("\(name) takes an array, and got \(value.kind)")
        }
    }

    /// A text's UTF-16 units.
    mutating func units(_ text: String) throws(EvaluationFailure) -> [UInt16] {
        let count = text.utf8.count
        try spend(count / 16)
        try allocateNow(count * 2)
        return Array(text.utf16)
    }

    /// A text of UTF-16 units; half a pair becomes U+FFFD.
    mutating func string(_ units: some Collection<UInt16>) throws(EvaluationFailure) -> ExpressionValue {
        try allocate(units.count)
        return .string(String(decoding: units, as: UTF16.self))
    }

    mutating func made(_ items: [ExpressionValue]) throws(EvaluationFailure) -> ExpressionValue {
        try spend(items.count / 4)
        try allocate(items.count * 16)
        try requireShallow(items)
        return .array(items)
    }
}
