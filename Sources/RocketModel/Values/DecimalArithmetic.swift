// Exact arithmetic on ``DecimalNumber``. It is in charge of values and their bounds; which
// operator means what, and what a number that is no decimal becomes, belongs to the expression language.
//
// Every result is canonical: no trailing zeros in the fraction and no negative zero, whatever the operands' scale.
// Operands of up to 18 digits, which is all money, are computed in machine words.

/// The result written out would have more than ``DecimalNumber/maximumDigits`` digits, those before and after the
/// point together. The zero of `0.5` is not counted.
package struct DecimalOverflow: Error, Hashable {
    package init() {}
}

/// Where a number goes that lies just between two candidates.
package enum HalfRounding: Sendable {
    /// `2.5` to `3`, `-2.5` to `-3`.
    case awayFromZero
    /// `2.5` to `2`, `3.5` to `4`.
    case toEven
}

// MARK: values

extension DecimalNumber {
    package static var zero: DecimalNumber { DecimalNumber(trimming: [], scale: 0, isNegative: false) }

    /// Count of significant digits that a quotient has where it doesn't end earlier: as IEEE 754 decimal128.
    package static let quotientDigits = 34

    package init(_ whole: Int64) {
        var digits: [UInt8] = []
        digits.append(digitsOf: whole.magnitude, width: Self.widthOfWord)
        self.init(trimming: digits, scale: 0, isNegative: whole < 0)
    }

    /// The number that the shortest decimal digits of `double` write, as JavaScript prints it: `0.1` for `0.1`.
    /// Nil for NaN and the infinities.
    package init?(_ double: Double) {
        guard double.isFinite else { return nil }
        // Up to 2^53 a whole double is its own shortest digits. (`Int64(exactly:)` would need libm's `trunc`, which
        // a program without Foundation doesn't link.)
        if double.magnitude <= 0x1p53, Double(Int64(double)) == double {
            self.init(Int64(double))
            return
        }
        // "5e-324", "1.7976931348623157e+308": JSON's grammar, and within its bounds.
        guard let number = DecimalNumber(double.description) else { return nil }
        self = number.canonical
    }

    /// The nearest double, an infinity where the number is out of its range.
    package var doubleValue: Double {
        // Both operands are exact doubles, so that their quotient is rounded once.
        if digits.count <= 15, let coefficient = smallCoefficient(appendingZeros: 0), scale < powersOfTen.count {
            let magnitude = Double(coefficient) / Double(powersOfTen[scale])
            return isNegative ? -magnitude : magnitude
        }
        return Double(description) ?? .nan
    }

    /// The same value without trailing zeros in its fraction: `1.5` for `1.50`.
    package var canonical: DecimalNumber {
        scale == 0 ? self : DecimalNumber(trimming: digits, scale: scale, isNegative: isNegative)
    }

    /// -1, 0 or 1.
    package var sign: Int { digits.isEmpty ? 0 : (isNegative ? -1 : 1) }

    /// Whether there is nothing after the point but zeros.
    package var isWhole: Bool { significantScale == 0 }

    package var negated: DecimalNumber {
        DecimalNumber(trimming: digits, scale: scale, isNegative: !isNegative)
    }

    /// The distance from zero.
    package var magnitude: DecimalNumber {
        DecimalNumber(trimming: digits, scale: scale, isNegative: false)
    }
}

// MARK: the four operations, remainder and power

extension DecimalNumber {
    package func adding(_ other: DecimalNumber) throws(DecimalOverflow) -> DecimalNumber {
        try sum(with: other, isOtherNegative: other.isNegative)
    }

    package func subtracting(_ other: DecimalNumber) throws(DecimalOverflow) -> DecimalNumber {
        try sum(with: other, isOtherNegative: !other.isNegative)
    }

    package func multiplied(by other: DecimalNumber) throws(DecimalOverflow) -> DecimalNumber {
        guard !digits.isEmpty, !other.digits.isEmpty else { return .zero }
        let product = smallProduct(with: other) ?? (BigDigits(digits) * BigDigits(other.digits)).digits
        return try DecimalNumber(
            bounding: product,
            scale: scale + other.scale,
            isNegative: isNegative != other.isNegative
        )
    }

    /// The quotient, rounded to ``quotientDigits`` significant digits, half to even; exact where it ends within them.
    ///
    /// - Returns: nil where `other` is zero.
    /// - Throws: also where the quotient is so small that its digits stand too far behind the point.
    package func divided(by other: DecimalNumber) throws(DecimalOverflow) -> DecimalNumber? {
        guard !other.digits.isEmpty else { return nil }
        guard !digits.isEmpty else { return .zero }
        let quotient = smallQuotient(dividingBy: other) ?? longQuotient(dividingBy: other)
        let kept = keep(Self.quotientDigits, of: quotient.digits, isMoreBehind: !quotient.isExact, rule: .half(.toEven))
        return try DecimalNumber(
            bounding: kept.digits,
            scale: scale - other.scale + quotient.appendedZeros - kept.droppedCount,
            isNegative: isNegative != other.isNegative
        )
    }

    /// What is left when `other` is taken away as often as a whole number says, exactly. The sign is that of this
    /// number, as with JavaScript's `%`: `-7 % 3` is `-1`.
    ///
    /// - Returns: nil where `other` is zero.
    package func remainder(dividingBy other: DecimalNumber) throws(DecimalOverflow) -> DecimalNumber? {
        guard !other.digits.isEmpty else { return nil }
        guard !digits.isEmpty else { return .zero }
        let common = max(scale, other.scale)
        if let dividend = smallCoefficient(appendingZeros: common - scale),
            let divisor = other.smallCoefficient(appendingZeros: common - other.scale)
        {
            return try DecimalNumber(bounding: dividend % divisor, scale: common, isNegative: isNegative)
        }
        let dividend = BigDigits(digits, appendingZeros: common - scale)
        let divisor = BigDigits(other.digits, appendingZeros: common - other.scale)
        let rest = dividend.quotientAndRemainder(dividingBy: divisor).remainder
        return try DecimalNumber(bounding: rest.digits, scale: common, isNegative: isNegative)
    }

    /// The exact power; `0` to the power of `0` is `1`. A negative exponent gives one divided by the power, as
    /// ``divided(by:)`` does.
    ///
    /// - Returns: nil where the exponent is negative and this number is zero.
    /// - Throws: also where only the power of a negative exponent's magnitude is too large.
    package func raised(toWhole exponent: Int) throws(DecimalOverflow) -> DecimalNumber? {
        let one = DecimalNumber(Int64(1))
        var power = one
        // From the highest bit down, no product on the way has more digits than the result. So a base other than
        // 0, 1 and -1 overflows after a dozen steps, however large the exponent is.
        for bit in (0..<Int.bitWidth).reversed() {
            power = try power.multiplied(by: power)
            if exponent.magnitude >> bit & 1 == 1 { power = try power.multiplied(by: self) }
        }
        return exponent < 0 ? try one.divided(by: power) : power
    }
}

// MARK: rounding

extension DecimalNumber {
    /// The nearest number with at most `fractionDigits` digits after the point; a negative count rounds to tens,
    /// hundreds and so on. A number that has no more digits is returned as it is, without trailing zeros.
    package func rounded(
        toFractionDigits fractionDigits: Int,
        half: HalfRounding = .awayFromZero
    ) throws(DecimalOverflow) -> DecimalNumber {
        try cut(toFractionDigits: fractionDigits, rule: .half(half))
    }

    /// The largest whole number that is not above this one.
    package var floor: DecimalNumber {
        get throws(DecimalOverflow) { try cut(toFractionDigits: 0, rule: isNegative ? .up : .down) }
    }

    /// The smallest whole number that is not below this one.
    package var ceiling: DecimalNumber {
        get throws(DecimalOverflow) { try cut(toFractionDigits: 0, rule: isNegative ? .down : .up) }
    }

    /// The number without its fraction.
    package var truncated: DecimalNumber {
        let whole = Array(digits.prefix(max(0, digits.count - scale)))
        return DecimalNumber(trimming: whole, scale: 0, isNegative: isNegative)
    }

    private func cut(toFractionDigits fractionDigits: Int, rule: CutRule) throws(DecimalOverflow) -> DecimalNumber {
        guard fractionDigits < scale else {
            return try DecimalNumber(bounding: digits, scale: scale, isNegative: isNegative)
        }
        // One place further left than any digit, all counts give the same.
        let place = max(fractionDigits, -integerDigits - 1)
        let kept = keep(digits.count - scale + place, of: digits, isMoreBehind: false, rule: rule)
        return try DecimalNumber(bounding: kept.digits, scale: place, isNegative: isNegative)
    }
}

/// What becomes of a number's magnitude when digits are cut off.
private enum CutRule {
    case down
    case up
    case half(HalfRounding)
}

/// Cuts `digits` after the first `count`, which may be negative: all of them are then dropped, and what is left is
/// less than a tenth of the place that is kept.
///
/// - Parameter isMoreBehind: whether the digits are followed by others that are not all zero.
/// - Returns: the digits, one more than `count` where a carry made one, and how many places were dropped.
private func keep(
    _ count: Int,
    of digits: [UInt8],
    isMoreBehind: Bool,
    rule: CutRule
) -> (digits: [UInt8], droppedCount: Int) {
    guard count < digits.count else { return (digits, 0) }
    var kept = digits
    kept.removeLast(digits.count - max(0, count))
    let dropped = digits[kept.count...]
    // For a negative count the first place behind the cut is a zero in front of the digits.
    let first = count < 0 ? 0 : dropped.first ?? 0
    let rest = isMoreBehind || (count < 0 ? dropped : dropped.dropFirst()).contains { $0 != 0 }
    let goesUp: Bool
    switch rule {
    case .down: goesUp = false
    case .up: goesUp = first > 0 || rest
    case .half(.awayFromZero): goesUp = first >= 5
    case .half(.toEven): goesUp = first > 5 || first == 5 && (rest || (kept.last ?? 0) % 2 == 1)
    }
    if goesUp { kept.increment() }
    return (kept, digits.count - count)
}

extension [UInt8] {
    /// Adds one to the number that the digits write.
    fileprivate mutating func increment() {
        for index in indices.reversed() {
            if self[index] < 9 {
                self[index] += 1
                return
            }
            self[index] = 0
        }
        insert(1, at: 0)
    }
}

// MARK: machine words

/// 1 to 10^18, all that 18 digits can be multiplied by.
private let powersOfTen: [UInt64] = (0...18).map { power in (0..<power).reduce(UInt64(1)) { ten, _ in ten * 10 } }

extension DecimalNumber {
    /// The most digits whose sum and double fit a signed word.
    private static let maximumSmallDigits = 18
    /// Digits of the largest unsigned word.
    private static let widthOfWord = 20
    /// What 18 digits can't reach.
    private static let chunk: UInt64 = 1_000_000_000_000_000_000

    /// The digits as one number, with zeros appended; nil where that has more than 18 digits.
    private func smallCoefficient(appendingZeros zeros: Int) -> UInt64? {
        guard digits.count <= Self.maximumSmallDigits, zeros <= Self.maximumSmallDigits - digits.count else {
            return nil
        }
        return digits.reduce(0) { $0 * 10 + UInt64($1) } * powersOfTen[zeros]
    }

    private func smallProduct(with other: DecimalNumber) -> [UInt8]? {
        guard let left = smallCoefficient(appendingZeros: 0),
            let right = other.smallCoefficient(appendingZeros: 0)
        else { return nil }
        // Both halves have at most 18 digits: 10^18 squared is above the product.
        let halves = Self.chunk.dividingFullWidth(left.multipliedFullWidth(by: right))
        var product: [UInt8] = []
        product.reserveCapacity(2 * Self.maximumSmallDigits)
        if halves.quotient > 0 { product.append(digitsOf: halves.quotient, width: Self.maximumSmallDigits) }
        product.append(digitsOf: halves.remainder, width: Self.maximumSmallDigits)
        return product
    }
}

// MARK: sums

extension DecimalNumber {
    private func sum(with other: DecimalNumber, isOtherNegative: Bool) throws(DecimalOverflow) -> DecimalNumber {
        // A zero's scale has no digits behind it and must not make the other's digits longer.
        if other.digits.isEmpty {
            return try DecimalNumber(bounding: digits, scale: scale, isNegative: isNegative)
        }
        if digits.isEmpty {
            return try DecimalNumber(bounding: other.digits, scale: other.scale, isNegative: isOtherNegative)
        }
        let common = max(scale, other.scale)
        if let left = smallCoefficient(appendingZeros: common - scale),
            let right = other.smallCoefficient(appendingZeros: common - other.scale)
        {
            let sum = (isNegative ? -Int64(left) : Int64(left)) + (isOtherNegative ? -Int64(right) : Int64(right))
            return try DecimalNumber(bounding: sum.magnitude, scale: common, isNegative: sum < 0)
        }
        let left = BigDigits(digits, appendingZeros: common - scale)
        let right = BigDigits(other.digits, appendingZeros: common - other.scale)
        if isNegative == isOtherNegative {
            return try DecimalNumber(bounding: (left + right).digits, scale: common, isNegative: isNegative)
        }
        return left < right
            ? try DecimalNumber(bounding: (right - left).digits, scale: common, isNegative: isOtherNegative)
            : try DecimalNumber(bounding: (left - right).digits, scale: common, isNegative: isNegative)
    }
}

// MARK: quotients

/// The first digits of the quotient of two coefficients: all of them, or more than ``DecimalNumber/quotientDigits``.
private struct Quotient {
    /// Without leading zeros.
    var digits: [UInt8]
    /// How many zeros the dividend was given to make them.
    var appendedZeros: Int
    /// Whether nothing follows the digits.
    var isExact: Bool
}

extension DecimalNumber {
    private func smallQuotient(dividingBy other: DecimalNumber) -> Quotient? {
        guard let dividend = smallCoefficient(appendingZeros: 0),
            let divisor = other.smallCoefficient(appendingZeros: 0)
        else { return nil }
        var (part, rest) = dividend.quotientAndRemainder(dividingBy: divisor)
        var quotient: [UInt8] = []
        quotient.reserveCapacity(4 * Self.maximumSmallDigits)
        quotient.append(digitsOf: part, width: Self.maximumSmallDigits)
        quotient.trimLeadingZeros()
        var appendedZeros = 0
        while rest > 0, quotient.count <= Self.quotientDigits {
            // The rest is below the divisor, so that each step gives just 18 digits.
            (part, rest) = divisor.dividingFullWidth(rest.multipliedFullWidth(by: Self.chunk))
            quotient.append(digitsOf: part, width: Self.maximumSmallDigits)
            quotient.trimLeadingZeros()
            appendedZeros += Self.maximumSmallDigits
        }
        return Quotient(digits: quotient, appendedZeros: appendedZeros, isExact: rest == 0)
    }

    private func longQuotient(dividingBy other: DecimalNumber) -> Quotient {
        // The quotient of m digits by n has m - n or m - n + 1 digits.
        let zeros = max(0, Self.quotientDigits + 1 - digits.count + other.digits.count)
        let (whole, rest) = BigDigits(digits, appendingZeros: zeros)
            .quotientAndRemainder(dividingBy: BigDigits(other.digits))
        var quotient = whole.digits
        quotient.trimLeadingZeros()
        return Quotient(digits: quotient, appendedZeros: zeros, isExact: rest.isZero)
    }
}

// MARK: results

extension [UInt8] {
    fileprivate mutating func trimLeadingZeros() {
        guard first == 0 else { return }
        removeFirst(firstIndex { $0 != 0 } ?? count)
    }
}

extension DecimalNumber {
    /// The canonical number of these digits, of which `scale` stand behind the point: not negative here. It is not
    /// bounded.
    private init(trimming digits: [UInt8], scale: Int, isNegative: Bool) {
        var digits = digits
        digits.trimLeadingZeros()
        var scale = digits.isEmpty ? 0 : scale
        while scale > 0, digits.last == 0 {
            digits.removeLast()
            scale -= 1
        }
        self.isNegative = isNegative && !digits.isEmpty
        self.digits = digits
        self.scale = scale
    }

    /// The canonical number of these digits with the point `scale` places from their right; a negative scale appends
    /// zeros.
    private init(bounding digits: [UInt8], scale: Int, isNegative: Bool) throws(DecimalOverflow) {
        guard scale < 0 else {
            self.init(trimming: digits, scale: scale, isNegative: isNegative)
            guard max(self.digits.count, self.scale) <= Self.maximumDigits else { throw DecimalOverflow() }
            return
        }
        var digits = digits
        digits.trimLeadingZeros()
        guard digits.isEmpty || digits.count - scale <= Self.maximumDigits else { throw DecimalOverflow() }
        if !digits.isEmpty { digits.append(contentsOf: repeatElement(0, count: -scale)) }
        self.init(trimming: digits, scale: 0, isNegative: isNegative)
    }

    private init(bounding coefficient: UInt64, scale: Int, isNegative: Bool) throws(DecimalOverflow) {
        var digits: [UInt8] = []
        digits.append(digitsOf: coefficient, width: Self.widthOfWord)
        try self.init(bounding: digits, scale: scale, isNegative: isNegative)
    }
}
