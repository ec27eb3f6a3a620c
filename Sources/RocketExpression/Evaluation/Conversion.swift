import RocketModel

// How JavaScript turns values into each other and compares them (ECMA-262, part 7), with the wanted differences.

extension ExpressionValue {
    /// `''`, `0`, `NaN`, null, undefined and false are false.
    package var isTruthy: Bool {
        switch self {
        case .undefined, .null: false
        case .boolean(let flag): flag
        case .number(let number): !(number == 0 || number.isNaN)
        case .decimal(let number): !number.digits.isEmpty
        case .string(let text): !text.isEmpty
        case .date, .array, .object, .pattern: true
        }
    }

    /// What `typeof` says.
    var typeName: String {
        switch self {
        case .undefined: "undefined"
        case .null, .date, .array, .object, .pattern: "object"
        case .boolean: "boolean"
        case .number, .decimal: "number"
        case .string: "string"
        }
    }

    /// The kind of value, as an error message names it.
    package var kind: String {
        switch self {
        case .undefined: "undefined"
        case .null: "null"
        case .boolean: "a boolean"
        case .number, .decimal: "a number"
        case .string: "a string"
        case .date: "a date"
        case .array: "an array"
        case .object: "an object"
        case .pattern: "a regular expression"
        }
    }

    var isNumeric: Bool {
        switch self {
        case .number, .decimal: true
        default: false
        }
    }
}

extension Evaluation {
    // MARK: text

    /// `String(value)`.
    mutating func text(_ value: ExpressionValue) throws(EvaluationFailure) -> String {
        switch value {
        case .undefined: return "undefined"
        case .null: return "null"
        case .boolean(let flag): return flag ? "true" : "false"
        case .number(let number): return NumberText.string(number)
        case .decimal(let number):
            try allocate(number.digits.count)
            return number.plainText
        case .string(let text): return text
        case .date(let date): return date.text
        case .array(let items): return try joined(items, ",")
        case .object: return "[object Object]"
        case .pattern(let pattern): return "/\(pattern.source)/\(pattern.flags)"
        }
    }

    /// `array.join(separator)`: null and undefined are nothing.
    mutating func joined(_ items: [ExpressionValue], _ separator: String) throws(EvaluationFailure) -> String {
        try descend()
        defer { ascend() }
        var result = ""
        for (index, item) in items.enumerated() {
            if index > 0 { result += separator }
            if !item.isNullish { result += try text(item) }
            try spend(1)
            try allocateNow(result.utf8.count)
        }
        try allocate(result.utf8.count)
        return result
    }

    // MARK: numbers

    /// `Number(value)` as JavaScript's own kind of number.
    mutating func double(_ value: ExpressionValue) throws(EvaluationFailure) -> Double {
        switch value {
        case .undefined: return .nan
        case .null: return 0
        case .boolean(let flag): return flag ? 1 : 0
        case .number(let number): return number
        case .decimal(let number): return number.doubleValue
        case .string(let text):
            try spend(text.utf8.count / 16)
            return NumberText.number(text)
        case .date(let date): return date.milliseconds
        case .array, .object, .pattern: return NumberText.number(try text(value))
        }
    }

    /// The value as a number, exact where it is exact.
    mutating func numeric(_ value: ExpressionValue) throws(EvaluationFailure) -> ExpressionValue {
        if case .decimal = value { return value }
        return .number(try double(value))
    }

    /// A text as a date; what is longer than any date is none.
    func date(_ text: String) -> DateValue {
        text.utf8.count <= 64 ? DateValue(text: text) : .invalid
    }

    /// A text as a decimal; nil for none, and for what has more digits than one may have.
    private func decimal(_ text: String) -> DecimalNumber? {
        text.utf8.count <= 2 * DecimalNumber.maximumDigits + 2 ? DecimalNumber(text) : nil
    }

    // MARK: equality

    /// `===`: without conversions. Arrays and objects are equal by value; a decimal equals a number that has the same
    /// value in its shortest digits; dates are compared with dates and with ISO texts by instant.
    mutating func isSame(_ left: ExpressionValue, _ right: ExpressionValue) throws(EvaluationFailure) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.null, .null): return true
        case (.boolean(let a), .boolean(let b)): return a == b
        case (.number(let a), .number(let b)): return a == b
        case (.decimal(let a), .decimal(let b)): return a == b
        case (.decimal(let a), .number(let b)), (.number(let b), .decimal(let a)):
            return DecimalNumber(b).map { $0 == a } ?? false
        case (.string(let a), .string(let b)):
            try spend(a.utf8.count / 64)
            return a.utf8.elementsEqual(b.utf8)
        case (.date(let a), .date(let b)): return a.isSameInstant(as: b)
        case (.date(let a), .string(let b)), (.string(let b), .date(let a)):
            return self.date(b).isSameInstant(as: a)
        case (.array(let a), .array(let b)):
            guard a.count == b.count else { return false }
            return try allSame(a, b)
        case (.object(let a), .object(let b)):
            if a === b { return true }
            guard a.values.count == b.values.count else { return false }
            try descend()
            defer { ascend() }
            for (index, name) in a.keys.names.enumerated() {
                try spend(1 + name.utf8.count / 16)
                guard let other = b.keys.index(of: name) else { return false }
                guard try isSame(a.values[index], b.values[other]) else { return false }
            }
            return true
        case (.pattern(let a), .pattern(let b)): return a === b
        default: return false
        }
    }

    private mutating func allSame(
        _ left: [ExpressionValue],
        _ right: [ExpressionValue]
    ) throws(EvaluationFailure) -> Bool {
        try descend()
        defer { ascend() }
        for index in left.indices {
            try spend(1)
            guard try isSame(left[index], right[index]) else { return false }
        }
        return true
    }

    /// `==`: null and undefined are equal to each other only; other kinds are compared as numbers, or as texts.
    mutating func isEqual(_ left: ExpressionValue, _ right: ExpressionValue) throws(EvaluationFailure) -> Bool {
        if left.isNullish || right.isNullish { return left.isNullish && right.isNullish }
        switch (left, right) {
        case (.boolean, .boolean), (.string, .string), (.array, .array), (.object, .object), (.date, .date),
            (.pattern, .pattern), (.date, .string), (.string, .date):
            return try isSame(left, right)
        case (.array, .string), (.object, .string), (.pattern, .string):
            return try isSame(.string(try text(left)), right)
        case (.string, .array), (.string, .object), (.string, .pattern):
            return try isSame(left, .string(try text(right)))
        case (.array, .object), (.object, .array), (.array, .pattern), (.pattern, .array), (.object, .pattern),
            (.pattern, .object), (.date, .array), (.array, .date), (.date, .object), (.object, .date),
            (.date, .pattern),
            (.pattern, .date):
            return false
        case (.decimal(let number), .string(let text)), (.string(let text), .decimal(let number)):
            // A text of digits is as exact as the decimal.
            if let exact = decimal(text) { return exact == number }
            try spend(text.utf8.count / 16)
            return number.doubleValue == NumberText.number(text)
        default:
            return try isSame(try numeric(left), try numeric(right))
        }
    }

    // MARK: order

    /// Which comes first: -1, 0, 1; nil where neither `<` nor `>` nor `==` can hold.
    mutating func order(_ left: ExpressionValue, _ right: ExpressionValue) throws(EvaluationFailure) -> Int? {
        switch (left, right) {
        case (.date(let a), .date(let b)): return a.order(b)
        case (.date(let a), .string(let b)): return a.order(self.date(b))
        case (.string(let a), .date(let b)): return self.date(a).order(b)
        default: break
        }
        let (a, b) = (try primitive(left), try primitive(right))
        if case .string(let x) = a, case .string(let y) = b {
            try spend(min(x.utf8.count, y.utf8.count) / 64)
            return textOrder(x, y)
        }
        if case .decimal(let x) = a, case .string(let y) = b, let exact = decimal(y) {
            return x < exact ? -1 : x == exact ? 0 : 1
        }
        if case .string(let x) = a, case .decimal(let y) = b, let exact = decimal(x) {
            return exact < y ? -1 : exact == y ? 0 : 1
        }
        let (x, y) = (try numeric(a), try numeric(b))
        if let (x, y) = Self.exact(x, y) { return x < y ? -1 : x == y ? 0 : 1 }
        let (p, q) = (try double(x), try double(y))
        guard !p.isNaN, !q.isNaN else { return nil }
        return p < q ? -1 : p == q ? 0 : 1
    }

    /// Arrays, objects and patterns as their texts.
    mutating func primitive(_ value: ExpressionValue) throws(EvaluationFailure) -> ExpressionValue {
        switch value {
        case .array, .object, .pattern: .string(try text(value))
        default: value
        }
    }

    /// Both as decimals, where one is a decimal and the other a number that has decimal digits.
    static func exact(_ left: ExpressionValue, _ right: ExpressionValue) -> (DecimalNumber, DecimalNumber)? {
        switch (left, right) {
        case (.decimal(let a), .decimal(let b)): (a, b)
        case (.decimal(let a), .number(let b)): DecimalNumber(b).map { (a, $0) }
        case (.number(let a), .decimal(let b)): DecimalNumber(a).map { ($0, b) }
        default: nil
        }
    }
}

/// The order of two texts by their UTF-16 units, as JavaScript's.
func textOrder(_ left: String, _ right: String) -> Int {
    var a = left.utf16.makeIterator()
    var b = right.utf16.makeIterator()
    while true {
        switch (a.next(), b.next()) {
        case (nil, nil): return 0
        case (nil, _): return -1
        case (_, nil): return 1
        case (let x?, let y?): if x != y { return x < y ? -1 : 1 }
        }
    }
}

extension DecimalNumber {
    /// The number without trailing zeros, as expressions write it.
    package var plainText: String {
        (rescaled(to: significantScale) ?? self).description
    }
}

extension DateValue {
    /// The day of the instant, in UTC.
    var startOfDay: DateValue {
        guard let microseconds else { return self }
        let dayLength: Int64 = 86_400_000_000
        let rest = microseconds % dayLength
        let (start, isOver) = microseconds.subtractingReportingOverflow(rest < 0 ? rest + dayLength : rest)
        return isOver ? .invalid : DateValue(microseconds: start, isDay: true)
    }

    func isSameInstant(as other: DateValue) -> Bool {
        microseconds != nil && microseconds == other.microseconds
    }

    func order(_ other: DateValue) -> Int? {
        guard let a = microseconds, let b = other.microseconds else { return nil }
        return a < b ? -1 : a == b ? 0 : 1
    }
}
