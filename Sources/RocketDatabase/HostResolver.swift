import Dispatch
import Foundation

/// Finds the addresses of a host's name on a thread of its own: the system's look-up blocks.
package enum HostResolver {
    private static let queue = DispatchQueue(label: "rocket.postgres.names", attributes: .concurrent)
    /// Names that clients give must not keep those of databases waiting.
    private static let strangers = {
        let queue = OperationQueue()
        queue.name = "rocket.calls.names"
        queue.maxConcurrentOperationCount = 16
        return queue
    }()

    /// Whether a host's name is to be looked up here. A folder with a socket has none; several hosts, and those that
    /// come from libpq's own environment, are left to libpq, which blocks for them.
    static func isNeeded(_ parameters: [String: String]) -> Bool {
        guard let host = parameters["host"], parameters["hostaddr"] == nil else { return false }
        return !host.isEmpty && !host.hasPrefix("/") && !host.hasPrefix("@") && !host.contains(",")
    }

    /// Calls `body` on some thread with the addresses, in the order in which they are to be tried; with none where
    /// there are none.
    static func resolve(_ host: String, _ body: @escaping @Sendable ([String]) -> Void) {
        queue.async { body(addresses(of: host)) }
    }

    /// The addresses of a name that a client gives; few are looked up at once.
    package static func addresses(named host: String) async -> [String] {
        await withCheckedContinuation { continuation in
            strangers.addOperation { continuation.resume(returning: addresses(of: host)) }
        }
    }

    private static func addresses(of host: String) -> [String] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var entry = list
        while let current = entry {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let code = getnameinfo(
                current.pointee.ai_addr,
                current.pointee.ai_addrlen,
                &text,
                socklen_t(text.count),
                nil,
                0,
                NI_NUMERICHOST
            )
            if code == 0 {
                addresses.append(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
            entry = current.pointee.ai_next
        }
        return addresses
    }
}
