/// Addresses that begin alike: `10.0.0.0/8`, `fd00::/8` (RFC 4632 part 3.1, RFC 4291 part 2.3), or one address alone.
package struct IPNetwork: Sendable, Hashable {
    /// Why a text is no network.
    package enum Flaw: Error, Equatable {
        case noAddress
        /// The number after the slash is not one of these.
        case badLength(ClosedRange<Int>)
        /// The address goes on after the prefix, as in `10.0.0.1/8`, which may have meant another length; this is the
        /// network that it lies in.
        case goesOn(network: String)
    }

    private let first: IPAddress
    /// Ones where the addresses are alike.
    private let mask: UInt128

    package init(_ text: String) throws(Flaw) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let start = parts.first, let address = IPAddress(start) else { throw .noAddress }
        // What is written as IPv4 counts its own bits only: those that map it are always alike.
        let width = start.contains(":") ? 128 : 32
        guard let length = parts.count == 2 ? Self.length(parts[1], width) : width else { throw .badLength(0...width) }
        mask = UInt128.max << (width - length)
        first = IPAddress(bits: address.bits & mask)
        guard first == address else { throw .goesOn(network: "\(first)/\(length)") }
    }

    private static func length(_ text: Substring, _ width: Int) -> Int? {
        guard let length = Int(text), String(length) == text, (0...width).contains(length) else { return nil }
        return length
    }

    /// An IPv6 network holds no IPv4 address: `::/0` is all of IPv6 and nothing else.
    package func contains(_ address: IPAddress) -> Bool {
        address.isIPv4 == first.isIPv4 && address.bits & mask == first.bits
    }
}
