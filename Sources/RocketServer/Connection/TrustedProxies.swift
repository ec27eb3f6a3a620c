import RocketModel

/// Whose `X-Forwarded-For` counts. Anybody can write that header; what a trusted proxy has put at its end is true.
package struct TrustedProxies: Sendable {
    /// Nobody: the address of a client is the other end of its connection.
    package static let none = TrustedProxies(networks: [])

    private let networks: [IPNetwork]

    private init(networks: [IPNetwork]) {
        self.networks = networks
    }

    /// - Parameter entries: addresses and networks, such as `10.0.0.0/8` and `::1`.
    /// - Throws: with every entry that is neither.
    package init(_ entries: [String]) throws(SettingFailure) {
        var networks: [IPNetwork] = []
        var problems: [String] = []
        for entry in entries {
            do throws(IPNetwork.Flaw) {
                networks.append(try IPNetwork(entry))
            } catch {
                problems.append(Self.words(for: error, entry))
            }
        }
        guard problems.isEmpty else { throw SettingFailure(problems) }
        self.networks = networks
    }

    private static func words(for flaw: IPNetwork.Flaw, _ entry: String) -> String {
        switch flaw {
        case .noAddress:
            "\"\(entry)\" is no address and no network; write such as 192.0.2.1, 10.0.0.0/8 or fd00::/8"
        case .badLength(let lengths):
            "\"\(entry)\": after the slash stands a number from \(lengths.lowerBound) to \(lengths.upperBound)"
        case .goesOn(let network):
            "\"\(entry)\" is an address inside a network; write \(network) for the network, or leave out the slash"
        }
    }

    /// The address that a request came from: of all that are told, the one nearest to us that is no trusted proxy.
    ///
    /// `peer` 10.0.0.1 and `X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.2` with 10.0.0.0/8 trusted give 192.0.2.7: what
    /// stands before it may be the client's invention.
    ///
    /// - Parameters:
    ///   - peer: the other end of the connection. What is no address, as of a socket file, stands for itself.
    ///   - forwardedFor: the values of the header fields, in order; they are one list (RFC 9110 part 5.3).
    /// - Returns: the address in its one text, so that it can be a key.
    func clientAddress(peer: String, forwardedFor: [String]) -> String {
        guard var client = IPAddress(peer) else { return peer }
        for entry in forwardedFor.flatMap(Self.entries(of:)).reversed() {
            // What stands before an entry that says nothing can't be told from an invention.
            guard isTrusted(client), let address = Self.address(entry) else { break }
            client = address
        }
        return client.description
    }

    private func isTrusted(_ address: IPAddress) -> Bool {
        networks.contains { $0.contains(address) }
    }

    // MARK: the header

    /// Empty ones are left out (RFC 9110 part 5.6.1.2).
    private static func entries(of value: String) -> [Substring] {
        value.split(separator: ",").map(withoutBlanks(_:)).filter { !$0.isEmpty }
    }

    private static func withoutBlanks(_ text: Substring) -> Substring {
        let start = text.drop { $0 == " " || $0 == "\t" }
        guard let end = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return "" }
        return start[...end]
    }

    /// An address, and what some proxies add: `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
    private static func address(_ entry: Substring) -> IPAddress? {
        if entry.hasPrefix("[") {
            let parts = entry.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].contains(":"), parts[1].isEmpty || isPort(parts[1]) else { return nil }
            return IPAddress(parts[0])
        }
        // A port stands after IPv4 only: `::1:80` is an address as a whole.
        guard let colon = entry.firstIndex(of: ":"), entry[..<colon].contains("."), isPort(entry[colon...]) else {
            return IPAddress(entry)
        }
        return IPAddress(entry[..<colon])
    }

    /// `:4711`
    private static func isPort(_ text: Substring) -> Bool {
        guard text.hasPrefix(":"), let port = UInt16(text.dropFirst()) else { return false }
        return String(port) == text.dropFirst()
    }
}
