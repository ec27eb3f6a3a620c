import Crypto

/// The strong ETag (RFC 9110 part 8.8.3) of a stored row: a hash of the row as answers show it.
package enum RecordVersion {
    /// - Parameter json: the whole row as JSON; the same row always has the same bytes.
    package static func tag(ofRow json: [UInt8]) -> String {
        let digest = SHA256.hash(data: json)
        return String(unsafeUninitializedCapacity: 34) { buffer in
            buffer[0] = UInt8(ascii: "\"")
            var index = 1
            for byte in digest.prefix(16) {
                for nibble in [byte >> 4, byte & 15] {
                    buffer[index] = nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
                    index += 1
                }
            }
            buffer[33] = UInt8(ascii: "\"")
            return 34
        }
    }
}
