/// A UUID (RFC 9562), written in lower case.
package struct UniqueID: Sendable, Hashable {
    /// 36 characters: 32 lower-case hex digits and four hyphens.
    package let text: String

    /// Reads the 36-character text in any case; nil for any other text.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        var lower: [UInt8] = []
        lower.reserveCapacity(36)
        for (index, byte) in bytes.enumerated() {
            if Self.hyphens.contains(index) {
                guard byte == UInt8(ascii: "-") else { return nil }
                lower.append(byte)
            } else {
                guard hexDigitValue(byte) != nil else { return nil }
                lower.append(byte | 0x20)
            }
        }
        self.text = String(decoding: lower, as: UTF8.self)
    }

    /// A UUIDv7 (RFC 9562 part 5.7): milliseconds, twelve bits of the fraction of one (part 6.2, method 3), then
    /// `random`. Those of a later microsecond sort after earlier ones.
    ///
    /// - Parameter random: 62 bits of it are used.
    package static func version7(at instant: Timestamp, random: UInt64) -> UniqueID {
        let microseconds = UInt64(max(0, instant.microseconds))
        let milliseconds = microseconds / 1000 & 0xFFFF_FFFF_FFFF
        let high = milliseconds << 16 | 0x7000 | microseconds % 1000 * 4096 / 1000
        let low = 0x8000_0000_0000_0000 | random & 0x3FFF_FFFF_FFFF_FFFF
        return UniqueID(high: high, low: low)
    }

    private init(high: UInt64, low: UInt64) {
        text = String(unsafeUninitializedCapacity: 36) { buffer in
            var index = 0
            for nibble in 0..<32 {
                if Self.hyphens.contains(index) {
                    buffer[index] = UInt8(ascii: "-")
                    index += 1
                }
                let word = nibble < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - nibble % 16 * 4)) & 15
                buffer[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                index += 1
            }
            return 36
        }
    }

    private static let hyphens = [8, 13, 18, 23]
}
