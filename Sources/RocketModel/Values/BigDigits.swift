/// A natural number of any size, for the exact arithmetic of ``DecimalNumber``. It knows neither sign nor point.
///
/// Schoolbook algorithms: the decimals have at most some thousand digits, where nothing cleverer pays.
struct BigDigits: Sendable {
    /// Nine decimal digits each, least significant first, without leading zero limbs; empty for zero.
    ///
    /// A base that is a power of ten makes reading and writing digits cheap, and a product of two limbs with two
    /// carries fits 64 bits.
    private var limbs: [UInt32]

    private static let base: UInt64 = 1_000_000_000
    private static let digitsPerLimb = 9

    /// The number that `digits` write (most significant first, values 0 to 9), with `zeros` zeros appended.
    init(_ digits: [UInt8], appendingZeros zeros: Int = 0) {
        limbs = []
        limbs.reserveCapacity((digits.count + zeros) / Self.digitsPerLimb + 1)
        limbs.append(contentsOf: repeatElement(0, count: zeros / Self.digitsPerLimb))
        var limb: UInt32 = 0
        var place: UInt32 = 1
        for _ in 0..<(zeros % Self.digitsPerLimb) { place *= 10 }
        for digit in digits.reversed() {
            limb += UInt32(digit) * place
            if place == UInt32(Self.base) / 10 {
                limbs.append(limb)
                limb = 0
                place = 1
            } else {
                place *= 10
            }
        }
        limbs.append(limb)
        trim()
    }

    private init(limbs: [UInt32]) {
        self.limbs = limbs
        trim()
    }

    private mutating func trim() {
        while limbs.last == 0 { limbs.removeLast() }
    }

    var isZero: Bool { limbs.isEmpty }

    /// The digits, most significant first, with up to eight leading zeros.
    var digits: [UInt8] {
        var digits: [UInt8] = []
        digits.reserveCapacity(limbs.count * Self.digitsPerLimb)
        for limb in limbs.reversed() { digits.append(digitsOf: UInt64(limb), width: Self.digitsPerLimb) }
        return digits
    }

    static func < (left: BigDigits, right: BigDigits) -> Bool {
        if left.limbs.count != right.limbs.count { return left.limbs.count < right.limbs.count }
        for index in left.limbs.indices.reversed() where left.limbs[index] != right.limbs[index] {
            return left.limbs[index] < right.limbs[index]
        }
        return false
    }

    static func + (left: BigDigits, right: BigDigits) -> BigDigits {
        let isLeftLonger = left.limbs.count >= right.limbs.count
        var sum = isLeftLonger ? left.limbs : right.limbs
        let other = isLeftLonger ? right.limbs : left.limbs
        var carry: UInt32 = 0
        for index in sum.indices {
            if index >= other.count, carry == 0 { break }
            let limb = sum[index] + (index < other.count ? other[index] : 0) + carry
            carry = limb < UInt32(base) ? 0 : 1
            sum[index] = limb - carry * UInt32(base)
        }
        if carry > 0 { sum.append(carry) }
        return BigDigits(limbs: sum)
    }

    /// - Precondition: `right` is not larger than `left`.
    static func - (left: BigDigits, right: BigDigits) -> BigDigits {
        var difference = left.limbs
        var borrow: UInt32 = 0
        for index in difference.indices {
            if index >= right.limbs.count, borrow == 0 { break }
            let taken = (index < right.limbs.count ? right.limbs[index] : 0) + borrow
            borrow = difference[index] < taken ? 1 : 0
            difference[index] = difference[index] + borrow * UInt32(base) - taken
        }
        precondition(borrow == 0, "a natural number is never below zero")
        return BigDigits(limbs: difference)
    }

    static func * (left: BigDigits, right: BigDigits) -> BigDigits {
        guard !left.isZero, !right.isZero else { return BigDigits(limbs: []) }
        var product = [UInt32](repeating: 0, count: left.limbs.count + right.limbs.count)
        for leftIndex in left.limbs.indices where left.limbs[leftIndex] != 0 {
            let factor = UInt64(left.limbs[leftIndex])
            var carry: UInt64 = 0
            for rightIndex in right.limbs.indices {
                let limb = factor * UInt64(right.limbs[rightIndex]) + UInt64(product[leftIndex + rightIndex]) + carry
                carry = limb / base
                product[leftIndex + rightIndex] = UInt32(limb % base)
            }
            product[leftIndex + right.limbs.count] = UInt32(carry)
        }
        return BigDigits(limbs: product)
    }

    /// The whole quotient and what is left of it.
    ///
    /// - Precondition: `divisor` is not zero.
    func quotientAndRemainder(dividingBy divisor: BigDigits) -> (quotient: BigDigits, remainder: BigDigits) {
        precondition(!divisor.isZero, "division by zero is the caller's to refuse")
        if self < divisor { return (BigDigits(limbs: []), self) }
        if divisor.limbs.count == 1 { return quotientAndRemainder(dividingByLimb: UInt64(divisor.limbs[0])) }
        return longDivision(by: divisor)
    }

    private func quotientAndRemainder(dividingByLimb divisor: UInt64) -> (BigDigits, BigDigits) {
        var quotient = limbs
        var rest: UInt64 = 0
        for index in limbs.indices.reversed() {
            let part = rest * Self.base + UInt64(limbs[index])
            quotient[index] = UInt32(part / divisor)
            rest = part % divisor
        }
        return (BigDigits(limbs: quotient), BigDigits(limbs: [UInt32(rest)]))
    }

    /// Knuth, The Art of Computer Programming, volume 2, 4.3.1, algorithm D; its variable names in the comments.
    private func longDivision(by divisor: BigDigits) -> (BigDigits, BigDigits) {
        let count = divisor.limbs.count
        // D1: a leading limb of at least half the base keeps the estimate of a quotient limb within two of the truth.
        let factor = Self.base / (UInt64(divisor.limbs[count - 1]) + 1)
        let low = divisor.scaled(by: factor)
        var rest = scaled(by: factor).limbs
        while rest.count <= limbs.count { rest.append(0) }
        var quotient = [UInt32](repeating: 0, count: rest.count - count)
        let first = UInt64(low.limbs[count - 1])
        let second = UInt64(low.limbs[count - 2])
        for place in quotient.indices.reversed() {
            // D3: q̂ and r̂.
            let leading = UInt64(rest[place + count]) * Self.base + UInt64(rest[place + count - 1])
            var estimate = leading / first
            var left = leading % first
            while estimate >= Self.base || estimate * second > left * Self.base + UInt64(rest[place + count - 2]) {
                estimate -= 1
                left += first
                if left >= Self.base { break }
            }
            // D4 to D6: where the estimate was one too many, the subtraction borrows and one divisor is given back.
            if Self.subtract(low.limbs, times: estimate, from: &rest, at: place) {
                estimate -= 1
                Self.add(low.limbs, to: &rest, at: place)
            }
            quotient[place] = UInt32(estimate)
        }
        // D8: the remainder is scaled as the divisor is.
        let remainder = BigDigits(limbs: rest).quotientAndRemainder(dividingByLimb: factor).0
        return (BigDigits(limbs: quotient), remainder)
    }

    private func scaled(by factor: UInt64) -> BigDigits {
        self * BigDigits(limbs: [UInt32(factor)])
    }

    /// Returns whether the result went below zero; it is then short of one `base` to the power of its limbs.
    private static func subtract(
        _ limbs: [UInt32],
        times factor: UInt64,
        from rest: inout [UInt32],
        at place: Int
    ) -> Bool {
        var carry: UInt64 = 0
        for index in limbs.indices {
            let taken = UInt64(limbs[index]) * factor + carry
            let low = UInt32(taken % base)
            let borrow: UInt32 = rest[place + index] < low ? 1 : 0
            rest[place + index] = rest[place + index] + borrow * UInt32(base) - low
            carry = taken / base + UInt64(borrow)
        }
        let top = UInt64(rest[place + limbs.count])
        let wentBelow = top < carry
        rest[place + limbs.count] = UInt32(wentBelow ? top + base - carry : top - carry)
        return wentBelow
    }

    private static func add(_ limbs: [UInt32], to rest: inout [UInt32], at place: Int) {
        var carry: UInt32 = 0
        for index in limbs.indices {
            let limb = rest[place + index] + limbs[index] + carry
            carry = limb < UInt32(base) ? 0 : 1
            rest[place + index] = limb - carry * UInt32(base)
        }
        // The carry out of the topmost limb pays the borrow of the subtraction before.
        let top = rest[place + limbs.count] + carry
        rest[place + limbs.count] = top < UInt32(base) ? top : top - UInt32(base)
    }
}

extension [UInt8] {
    /// Appends the last `width` decimal digits of `value`, most significant first, zeros in front.
    mutating func append(digitsOf value: UInt64, width: Int) {
        let start = count
        append(contentsOf: repeatElement(0, count: width))
        var value = value
        var index = start + width
        while index > start, value > 0 {
            index -= 1
            self[index] = UInt8(value % 10)
            value /= 10
        }
    }
}
