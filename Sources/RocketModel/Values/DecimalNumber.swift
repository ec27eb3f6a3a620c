/// An exact decimal number of any length: a sign, digits and the place of the point. `1.50` keeps its zero
/// (its scale is 2) and is equal to `1.5`.
///
/// This type reads, writes, compares and scales; its arithmetic is in `DecimalArithmetic`.
package struct DecimalNumber: Sendable {
    /// Whether the number is below zero; zero is never negative.
    package let isNegative: Bool
    /// The digits without leading zeros, most significant first; empty for zero. Values 0 to 9.
    package let digits: [UInt8]
    /// How many of the digits stand after the point, never negative.
    package let scale: Int

    /// The largest count of digits on either side of the point that is taken, as in PostgreSQL's `NUMERIC`
    /// less a margin. It bounds what `1e999999` may cost.
    package static let maximumDigits = 1000

    /// Reads JSON's number grammar. Nil for any other text, and where the number written out would have more than
    /// ``maximumDigits`` digits before or after the point.
    package init?(_ text: some StringProtocol) {
        var bytes = Array(text.utf8)[...]
        var isNegative = false
        if bytes.first == UInt8(ascii: "-") {
            isNegative = true
            bytes.removeFirst()
        }
        var digits: [UInt8] = []
        var scale = 0
        var exponent = 0
        var sawDigit = false
        var sawPoint = false
        var index = bytes.startIndex
        scan: while index < bytes.endIndex {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                digits.append(byte - UInt8(ascii: "0"))
                sawDigit = true
                if sawPoint { scale += 1 }
            case UInt8(ascii: ".") where !sawPoint && sawDigit:
                sawPoint = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard sawDigit, let power = Self.exponent(bytes[(index + 1)...]) else { return nil }
                exponent = power
                break scan
            default:
                return nil
            }
            index += 1
        }
        guard sawDigit, !sawPoint || scale > 0 else { return nil }
        if digits.count - scale > 1, digits[0] == 0 { return nil }
        scale -= exponent
        if scale < 0 {
            guard -scale <= Self.maximumDigits || digits.allSatisfy({ $0 == 0 }) else { return nil }
            if digits.contains(where: { $0 != 0 }) { digits.append(contentsOf: repeatElement(0, count: -scale)) }
            scale = 0
        }
        let leading = digits.firstIndex { $0 != 0 } ?? digits.count
        digits.removeFirst(leading)
        guard scale <= Self.maximumDigits, digits.count - scale <= Self.maximumDigits else { return nil }
        self.isNegative = isNegative && !digits.isEmpty
        self.digits = digits
        self.scale = scale
    }

    private init(isNegative: Bool, digits: [UInt8], scale: Int) {
        self.isNegative = isNegative
        self.digits = digits
        self.scale = scale
    }

    private static func exponent(_ bytes: ArraySlice<UInt8>) -> Int? {
        var bytes = bytes
        var sign = 1
        if let first = bytes.first, first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
            sign = first == UInt8(ascii: "-") ? -1 : 1
            bytes.removeFirst()
        }
        guard !bytes.isEmpty, bytes.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        // Past a million the number is out of bounds whatever its digits say.
        let power = bytes.reduce(0) { min($0 * 10 + Int($1 - UInt8(ascii: "0")), 1_000_000) }
        return sign * power
    }

    /// The fraction digits that count: `1.500` has one.
    package var significantScale: Int {
        var scale = scale
        for digit in digits.reversed() where scale > 0 {
            if digit != 0 { return scale }
            scale -= 1
        }
        return digits.isEmpty ? 0 : scale
    }

    /// Count of digits before the point; zero for a number below one.
    package var integerDigits: Int { max(0, digits.count - scale) }

    /// The same number written with exactly `scale` fraction digits; nil where that would lose a digit.
    package func rescaled(to scale: Int) -> DecimalNumber? {
        guard significantScale <= scale else { return nil }
        var digits = digits
        if scale > self.scale, !digits.isEmpty {
            digits.append(contentsOf: repeatElement(0, count: scale - self.scale))
        } else if scale < self.scale {
            digits.removeLast(min(self.scale - scale, digits.count))
        }
        return DecimalNumber(isNegative: isNegative, digits: digits, scale: scale)
    }

    /// The number where it is whole and fits 64 bits.
    package var int64: Int64? {
        guard let whole = rescaled(to: 0), whole.digits.count <= 19 else { return nil }
        return Int64(whole.description)
    }
}

extension DecimalNumber: CustomStringConvertible {
    /// The number written out, without an exponent: `-0.050`.
    package var description: String {
        var text: [UInt8] = []
        text.reserveCapacity(digits.count + 3)
        if isNegative { text.append(UInt8(ascii: "-")) }
        let whole = digits.count - scale
        if whole <= 0 { text.append(UInt8(ascii: "0")) }
        for index in 0..<max(0, whole) { text.append(UInt8(ascii: "0") + digits[index]) }
        if scale > 0 {
            text.append(UInt8(ascii: "."))
            if whole < 0 { text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: -whole)) }
            for index in max(0, whole)..<digits.count { text.append(UInt8(ascii: "0") + digits[index]) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension DecimalNumber: Comparable, Hashable {
    package static func == (left: DecimalNumber, right: DecimalNumber) -> Bool {
        left.compare(right) == 0
    }

    package static func < (left: DecimalNumber, right: DecimalNumber) -> Bool {
        left.compare(right) < 0
    }

    package func hash(into hasher: inout Hasher) {
        let canonical = rescaled(to: significantScale) ?? self
        hasher.combine(canonical.isNegative)
        hasher.combine(canonical.digits)
        hasher.combine(canonical.scale)
    }

    private func compare(_ other: DecimalNumber) -> Int {
        if isNegative != other.isNegative { return isNegative ? -1 : 1 }
        let magnitude = compareMagnitude(other)
        return isNegative ? -magnitude : magnitude
    }

    private func compareMagnitude(_ other: DecimalNumber) -> Int {
        if digits.isEmpty || other.digits.isEmpty { return digits.isEmpty ? (other.digits.isEmpty ? 0 : -1) : 1 }
        let place = digits.count - scale
        let otherPlace = other.digits.count - other.scale
        if place != otherPlace { return place < otherPlace ? -1 : 1 }
        for index in 0..<max(digits.count, other.digits.count) {
            let digit = index < digits.count ? digits[index] : 0
            let otherDigit = index < other.digits.count ? other.digits[index] : 0
            if digit != otherDigit { return digit < otherDigit ? -1 : 1 }
        }
        return 0
    }
}

/// Compares two decimals that are written out as ``DecimalNumber/description`` writes them, without reading them
/// into numbers: what an index of the embedded store does many times per statement.
///
/// - Returns: a negative number, zero or a positive one, as `memcmp`.
package func compareDecimalText(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
    let minus = UInt8(ascii: "-")
    let leftNegative = left.first == minus
    let rightNegative = right.first == minus
    if leftNegative != rightNegative { return leftNegative ? -1 : 1 }
    let magnitude = compareDecimalMagnitude(left, right, from: leftNegative ? 1 : 0)
    return leftNegative ? -magnitude : magnitude
}

private func compareDecimalMagnitude(
    _ left: UnsafeBufferPointer<UInt8>,
    _ right: UnsafeBufferPointer<UInt8>,
    from start: Int
) -> Int {
    let point = UInt8(ascii: ".")
    let leftPoint = left.firstIndex(of: point) ?? left.count
    let rightPoint = right.firstIndex(of: point) ?? right.count
    if leftPoint != rightPoint { return leftPoint < rightPoint ? -1 : 1 }
    for index in start..<max(left.count, right.count) where index != leftPoint {
        let leftDigit = index < left.count ? left[index] : UInt8(ascii: "0")
        let rightDigit = index < right.count ? right[index] : UInt8(ascii: "0")
        if leftDigit != rightDigit { return leftDigit < rightDigit ? -1 : 1 }
    }
    return 0
}
