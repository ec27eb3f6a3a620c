import RocketDatabase
package import RocketModel

/// Which addresses calls may go to, and where a name leads.
package struct CallAddresses: Sendable {
    /// Whether addresses that are not of the public internet are refused.
    private let refusesInner: Bool
    /// Those that are allowed all the same.
    private let allowed: [IPNetwork]

    package init(refusesInner: Bool, allowed: [IPNetwork] = []) {
        self.refusesInner = refusesInner
        self.allowed = allowed
    }

    /// A name that can't be called, and why.
    package struct Refusal: Error, Sendable {
        package let message: String
    }

    /// Not of the public internet: the registries of special addresses (RFC 6890, https://www.iana.org/assignments/),
    /// which hold loopback, private and link-local ones, those of providers' inner nets and of clouds' metadata.
    private static let inner: [IPNetwork] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
        "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    ].map(network)

    /// Of IPv6 only what is given out (RFC 4291 part 2.4: global unicast, 2000::/3) can be public, and of that not these.
    private static let innerOfSix: [IPNetwork] = [
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    ].map(network)

    private static let globalOfSix = network("2000::/3")
    /// IPv4 addresses as NAT64 writes them (RFC 6052), in their last 32 bits.
    private static let translated = network("64:ff9b::/96")

    /// A network that is written in this code: one that is misspelt must not be left out in silence.
    private static func network(_ text: String) -> IPNetwork {
        do {
            return try IPNetwork(text)
        } catch {
            preconditionFailure("\(text) is no network: \(error)")
        }
    }

    package func mayCall(_ address: IPAddress) -> Bool {
        guard refusesInner else { return true }
        if allowed.contains(where: { $0.contains(address) }) { return true }
        if address.isIPv4 { return !Self.inner.contains { $0.contains(address) } }
        if Self.translated.contains(address) {
            return mayCall(IPAddress(bits: 0xffff_0000_0000 | (address.bits & 0xffff_ffff)))
        }
        return Self.globalOfSix.contains(address) && !Self.innerOfSix.contains { $0.contains(address) }
    }

    /// Whether there is an address at all that calls may not go to.
    package var refusesSome: Bool { refusesInner }

    /// Why calls may not go to a host; nil where they may, or where it has no address now.
    package func refusal(of host: String) async -> String? {
        let found = await Self.resolve(host)
        guard !found.isEmpty else { return nil }
        do {
            _ = try judge(found, host)
            return nil
        } catch {
            return error.message
        }
    }

    /// The addresses of a host as texts, in the order in which they are to be tried; all of them are allowed.
    package func lookUp(_ host: String) async -> Result<[String], Refusal> {
        do { return .success(try judge(await Self.resolve(host), host)) } catch { return .failure(error) }
    }

    /// By itself: a value of 16 bytes' alignment, as an address is, held over an `await` ends the process in Swift 6.3.
    private func judge(_ found: [String], _ host: String) throws(Refusal) -> [String] {
        let addresses = found.compactMap { IPAddress($0) }
        guard !addresses.isEmpty else { throw Refusal(message: "the host \"\(host)\" has no address") }
        // One that is refused is reason enough: who answers so means no good.
        guard addresses.count == found.count, addresses.allSatisfy(mayCall) else {
            throw Refusal(message: "the host \"\(host)\" leads to an address that calls may not go to")
        }
        return (addresses.filter(\.isIPv4) + addresses.filter { !$0.isIPv4 }).map(\.description)
    }

    /// Whatever a spelling means to the system, decimal and octal numbers included.
    private static func resolve(_ host: String) async -> [String] {
        if isAddress(host) { return [host] }
        // A zone, which only link-local addresses have, is no part of the address.
        return await HostResolver.addresses(named: host).map { String($0.prefix { $0 != "%" }) }
    }

    private static func isAddress(_ host: String) -> Bool { IPAddress(host) != nil }
}
