/// An address of IPv4 or IPv6, whichever way it was written. IPv4 is kept as IPv6 maps it (RFC 4291 part 2.5.5.2), so
/// that `::ffff:192.0.2.1`, which a socket for both gives, is the same address as `192.0.2.1`.
package struct IPAddress: Sendable, Hashable {
    /// The 128 bits, the first one highest.
    package let bits: UInt128

    /// `::ffff:0:0/96`
    private static let mapped: UInt128 = 0xffff_0000_0000

    package init(bits: UInt128) {
        self.bits = bits
    }

    /// Reads `192.0.2.1`, or one of the forms of RFC 4291 part 2.2. There is no port, no bracket, no zone and no
    /// leading zero in a decimal number, which some take for octal.
    package init?(_ text: some StringProtocol) {
        let text = Substring(text)
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let bits = Self.sixBits(text) else { return nil }
            self.bits = bits
        } else {
            guard let bits = Self.fourBits(text) else { return nil }
            self.bits = Self.mapped | UInt128(bits)
        }
    }

    package var isIPv4: Bool { bits >> 32 == Self.mapped >> 32 }

    // MARK: reading

    private static func fourBits(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            let isPlain = (1...3).contains(part.utf8.count) && part.utf8.allSatisfy(\.isDigit)
            guard isPlain, part == "0" || !part.hasPrefix("0"), let byte = UInt8(part) else { return nil }
            bits = bits << 8 | UInt32(byte)
        }
        return bits
    }

    private static func sixBits(_ text: Substring) -> UInt128? {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2, let first = halves.first, let last = halves.last else { return nil }
        guard let tail = groups(last, mayEndDotted: true) else { return nil }
        guard halves.count == 2 else { return tail.count == 8 ? joined(tail) : nil }
        // `::` stands for one group of zeros or more.
        guard let head = groups(first, mayEndDotted: false), head.count + tail.count <= 7 else { return nil }
        return joined(head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail)
    }

    /// - Parameter mayEndDotted: whether the last two groups may be an IPv4 address: only at the very end.
    private static func groups(_ text: Substring, mayEndDotted: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var dotted: [UInt16] = []
        if mayEndDotted, let end = parts.last, let bits = fourBits(end) {
            dotted = [UInt16(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits)]
            parts.removeLast()
        }
        var groups: [UInt16] = []
        for part in parts {
            let isPlain = (1...4).contains(part.utf8.count) && part.utf8.allSatisfy(\.isHexadecimalDigit)
            guard isPlain, let group = UInt16(part, radix: 16) else { return nil }
            groups.append(group)
        }
        return groups + dotted
    }

    private static func joined(_ groups: [UInt16]) -> UInt128 {
        groups.reduce(0) { $0 << 16 | UInt128($1) }
    }
}

extension IPAddress: CustomStringConvertible {
    /// The one text of the address: dotted for IPv4, RFC 5952 part 4 for IPv6.
    package var description: String {
        if isIPv4 { return [24, 16, 8, 0].map { "\(UInt8(truncatingIfNeeded: bits >> $0))" }.joined(separator: ".") }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> (112 - 16 * $0)) }
        let text = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        let zeros = Self.longestZeros(groups)
        guard zeros.count > 1 else { return text(groups[...]) }
        return "\(text(groups[..<zeros.lowerBound]))::\(text(groups[zeros.upperBound...]))"
    }

    /// The first of the longest runs of zeros.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<(index + 1)
            }
        }
        return longest
    }
}

extension UInt8 {
    /// Whether it is an ASCII digit.
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    fileprivate var isHexadecimalDigit: Bool {
        isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self | 0x20)
    }
}
