/// Numbers as JavaScript writes and reads them: `String(x)`, `Number(text)`, `parseFloat` and `parseInt`, value for
/// value as ECMAScript and Node.js have it. Every function is linear in the length of its text.
///
/// Not in charge of decimals (`DecimalNumber`) and of number literals in an expression (the lexer).
package enum NumberText {
    /// The number as ECMAScript's Number::toString in base 10 writes it: `0.1`, `1e+21`, `1e-7`, `NaN`, `-Infinity`;
    /// `0` for -0. The digits are the fewest that read back as the same number.
    package static func string(_ value: Double) -> String {
        if let whole = Int64(exactly: value), whole.magnitude <= 1 << 53 { return String(whole) }
        guard value.isFinite else { return value.isNaN ? "NaN" : (value < 0 ? "-Infinity" : "Infinity") }
        var text: [UInt8] = value < 0 ? [UInt8(ascii: "-")] : []
        ShortestDigits(value.magnitude).write(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// The number that ECMAScript's ToNumber gives for a text (`Number(text)`, `+text`): white space around it is
    /// skipped, nothing is 0, and text that is not a number as a whole is NaN. `0x`, `0o` and `0b` take no sign.
    package static func number(_ text: String) -> Double {
        let trimmed = trimmed(text)
        guard !trimmed.isEmpty else { return 0 }
        if let prefixed = prefixedNumber(trimmed) { return prefixed }
        guard let (value, rest) = decimal(trimmed), rest.isEmpty else { return .nan }
        return value
    }

    /// `parseFloat(text)`: the decimal number that the text starts with after white space; NaN if there is none.
    package static func parseFloat(_ text: String) -> Double {
        decimal(trimmedStart(text))?.value ?? .nan
    }

    /// `parseInt(text, radix)`: the whole number that the text starts with after white space; NaN if there is none.
    ///
    /// In the bases 2, 4, 8, 10, 16 and 32 it is correctly rounded. In the others ECMAScript allows an approximation
    /// for long numbers, and this is V8's.
    ///
    /// - Parameter radix: 2 to 36; nil or 0 is 10, or 16 for a text with `0x`. Others, taken modulo 2³², give NaN.
    package static func parseInt(_ text: String, radix: Double? = nil) -> Double {
        var (isNegative, rest) = sign(trimmedStart(text))
        var radix = int32(radix ?? 0)
        guard radix == 0 || (2...36).contains(radix) else { return .nan }
        if radix == 0 || radix == 16, let digits = dropping("x", from: rest) {
            rest = digits
            radix = 16
        }
        if radix == 0 { radix = 10 }
        let digits = rest.prefix { digit($0).map { $0 < radix } ?? false }
        guard !digits.isEmpty else { return .nan }
        let value = whole(digits, radix: UInt32(radix))
        return isNegative ? -value : value
    }

    /// True for JavaScript's white space and line terminators: what `trim()` removes and what `Number` skips.
    package static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x20, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF: true
        default: false
        }
    }

    private typealias Bytes = Substring.UTF8View

    private static func trimmedStart(_ text: String) -> Bytes {
        Substring(text.unicodeScalars.drop(while: isSpace)).utf8
    }

    private static func trimmed(_ text: String) -> Bytes {
        var scalars = text.unicodeScalars.drop(while: isSpace)
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        return Substring(scalars).utf8
    }

    /// ToInt32.
    private static func int32(_ value: Double) -> Int32 {
        guard value.isFinite else { return 0 }
        let wrapped = value.rounded(.towardZero).truncatingRemainder(dividingBy: 0x1p32)
        return Int32(truncatingIfNeeded: Int64(wrapped))
    }

    private static func sign(_ bytes: Bytes) -> (isNegative: Bool, rest: Bytes) {
        switch bytes.first {
        case UInt8(ascii: "-"): (true, bytes.dropFirst())
        case UInt8(ascii: "+"): (false, bytes.dropFirst())
        default: (false, bytes)
        }
    }

    /// What follows `0` and the letter in either case; nil for a text that does not start so.
    private static func dropping(_ letter: Unicode.Scalar, from bytes: Bytes) -> Bytes? {
        guard bytes.first == UInt8(ascii: "0") else { return nil }
        let rest = bytes.dropFirst()
        guard let second = rest.first, second | 0x20 == UInt8(ascii: letter) else { return nil }
        return rest.dropFirst()
    }

    /// A number with `0x`, `0o` or `0b`, NaN if the rest is not its digits; nil for a text without such a prefix.
    private static func prefixedNumber(_ bytes: Bytes) -> Double? {
        for (letter, radix) in [("x", 16), ("o", 8), ("b", 2)] as [(Unicode.Scalar, UInt32)] {
            guard let digits = dropping(letter, from: bytes) else { continue }
            let areDigits = digits.allSatisfy { digit($0).map { $0 < radix } ?? false }
            return areDigits && !digits.isEmpty ? whole(digits, radix: radix) : .nan
        }
        return nil
    }

    /// The longest StrDecimalLiteral at the start, and what follows it; nil if there is none.
    private static func decimal(_ bytes: Bytes) -> (value: Double, rest: Bytes)? {
        let (isNegative, unsigned) = sign(bytes)
        if unsigned.starts(with: "Infinity".utf8) {
            return (isNegative ? -.infinity : .infinity, unsigned.dropFirst(8))
        }
        var rest = unsigned
        var hasDigits = skipDigits(&rest)
        if rest.first == UInt8(ascii: ".") {
            var fraction = rest.dropFirst()
            let hasFraction = skipDigits(&fraction)
            if hasDigits || hasFraction { rest = fraction }
            hasDigits = hasDigits || hasFraction
        }
        guard hasDigits else { return nil }
        if let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
            var exponent = sign(rest.dropFirst()).rest
            if skipDigits(&exponent) { rest = exponent }
        }
        // The grammar is checked, so Swift reads all of it: digits, one point, one exponent.
        let value = Double(Substring(unsigned[..<rest.startIndex])) ?? .nan
        return (isNegative ? -value : value, rest)
    }

    /// Skips decimal digits; true if there was one.
    private static func skipDigits(_ bytes: inout Bytes) -> Bool {
        let rest = bytes.drop { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        defer { bytes = rest }
        return rest.startIndex > bytes.startIndex
    }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// - Parameter digits: one or more, all of them below `radix`.
    private static func whole(_ digits: Bytes, radix: UInt32) -> Double {
        if radix == 10 { return Double(Substring(digits)) ?? .nan }
        if radix.nonzeroBitCount == 1 { return exactWhole(digits, bits: radix.trailingZeroBitCount) }
        return approximateWhole(digits, radix: radix)
    }

    /// A number in base 2^bits, half to even.
    private static func exactWhole(_ digits: Bytes, bits: Int) -> Double {
        var significand: UInt64 = 0
        var exponent = 0
        var hasLost = false
        for byte in digits {
            let digit = UInt64(digit(byte) ?? 0)
            if significand >> UInt64(64 - bits) == 0 {
                significand = significand << UInt64(bits) | digit
            } else {
                exponent += bits
                hasLost = hasLost || digit != 0
            }
        }
        // With digits left over it has at least 60 bits, so the lowest is below the half that rounding asks about.
        if hasLost { significand |= 1 }
        guard exponent <= Double.greatestFiniteMagnitude.exponent else { return .infinity }
        return Double(sign: .plus, exponent: exponent, significand: Double(significand))
    }

    /// As V8's `StringToIntHelper`: leading zeros skipped, then parts that fit 32 bits, put together as doubles.
    private static func approximateWhole(_ digits: Bytes, radix: UInt32) -> Double {
        let largestMultiplier = UInt32.max / 36
        var value = 0.0
        var part: UInt32 = 0
        var multiplier: UInt32 = 1
        for byte in digits.drop(while: { $0 == UInt8(ascii: "0") }) {
            if multiplier * radix > largestMultiplier {
                value = value * Double(multiplier) + Double(part)
                part = 0
                multiplier = 1
            }
            part = part * radix + (digit(byte) ?? 0)
            multiplier *= radix
        }
        return value * Double(multiplier) + Double(part)
    }
}

/// The fewest digits that tell a number from its neighbours: `0.digits × 10^pointPosition`.
private struct ShortestDigits {
    /// ASCII digits, 1 to 17, without zeros at either end.
    private var digits: [UInt8] = []
    /// Where the point stands, counted from the front of the digits (ECMAScript's n).
    private var pointPosition = 0

    /// - Parameter value: finite and over zero.
    init(_ value: Double) {
        // Swift writes `12.5`, `0.001` or `1.25e-07`: the same digits as ECMAScript, laid out by other rules.
        var mantissa = value.description.utf8[...]
        if let letter = mantissa.firstIndex(of: UInt8(ascii: "e")) {
            pointPosition = Int(Substring(mantissa[mantissa.index(after: letter)...])) ?? 0
            mantissa = mantissa[..<letter]
        }
        var isFraction = false
        for byte in mantissa {
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte == UInt8(ascii: "0"), digits.isEmpty {
                if isFraction { pointPosition -= 1 }
            } else {
                digits.append(byte)
                if !isFraction { pointPosition += 1 }
            }
        }
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    }

    /// ECMAScript's Number::toString, steps 6 to 12 (https://tc39.es/ecma262/#sec-numeric-types-number-tostring).
    func write(to text: inout [UInt8]) {
        let zero = UInt8(ascii: "0")
        let point = UInt8(ascii: ".")
        switch pointPosition {
        case digits.count...21:
            text += digits
            text += repeatElement(zero, count: pointPosition - digits.count)
        case 1...21:
            text += digits[..<pointPosition]
            text.append(point)
            text += digits[pointPosition...]
        case -5...0:
            text += [zero, point]
            text += repeatElement(zero, count: -pointPosition)
            text += digits
        default:
            text += digits.prefix(1)
            if digits.count > 1 { text.append(point) }
            text += digits.dropFirst()
            text += pointPosition > 0 ? "e+".utf8 : "e-".utf8
            text += String((pointPosition - 1).magnitude).utf8
        }
    }
}
