/// Where an outgoing call goes, as webhooks and actions say it.
package struct WebhookCall: Sendable, Hashable {
    package let url: String
    package let method: String
    /// Values may hold `{{env.NAME}}`, which is put in when the call is sent.
    package let headers: JSONObject

    package init(url: String, method: String, headers: JSONObject) {
        self.url = url
        self.method = method
        self.headers = headers
    }

    /// A column of an index holds it.
    private static let longestURL = 2000

    /// Whether a call can go to an address: clients end the process at a port that there can't be. A user's name and
    /// password in it would be sent nowhere, and shown to everyone who sees the definition.
    package static func isAddress(_ url: String) -> Bool {
        for scheme in ["http://", "https://"] where url.hasPrefix(scheme) {
            let authority = url.dropFirst(scheme.count).prefix { !"/?#\\".contains($0) }
            guard !authority.contains("@"), url.utf8.count <= longestURL,
                !url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }), !url.contains("{"), !url.contains("}")
            else { return false }
            let afterHost = authority.lastIndex(of: "]").map { authority[authority.index(after: $0)...] } ?? authority
            guard let colon = afterHost.lastIndex(of: ":") else { return !authority.isEmpty }
            let port = afterHost[afterHost.index(after: colon)...]
            return colon != authority.startIndex && port.utf8.allSatisfy { (48...57).contains($0) }
                && (Int(port).map { (1...65_535).contains($0) } ?? port.isEmpty)
        }
        return false
    }

    package static let methods = ["POST", "PUT", "PATCH", "GET", "DELETE"]

    static func read(_ reader: inout DefinitionReader) -> WebhookCall {
        let url = reader.requiredString("url")
        if !url.isEmpty, !isAddress(url) {
            let message =
                "expected an http or https address with a host, a port up to 65535, no user and no {{…}}, of at most"
                + " \(longestURL) bytes"
            reader.violate("url", .type, message)
        }
        let method = reader.oneOf("method", methods, default: "POST")
        let headers = reader.object("headers") ?? JSONObject()
        for member in headers.members { check(member, &reader) }
        return WebhookCall(url: url, method: method, headers: headers)
    }

    /// Headers that are ours, or the connection's (RFC 9110 parts 7.2, 7.6.1 and 8.6).
    private static let ownHeaders: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
        "proxy-connection", "content-type", "idempotency-key", "rocket-depth", "webhook-id", "webhook-timestamp",
        "webhook-signature",
    ]

    /// A name is a token, a value has no control characters (RFC 9110 parts 5.1 and 5.5).
    private static func check(_ member: JSONObject.Member, _ reader: inout DefinitionReader) {
        let path = "headers.\(member.name)"
        guard let value = member.value.stringValue else {
            return reader.violate(path, .type, "expected a string, got \(member.value.kind)")
        }
        let symbols = Set("!#$%&'*+-.^_`|~".utf8)
        let isToken =
            !member.name.isEmpty
            && member.name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: symbols.contains(byte)
                }
            }
        if !isToken {
            reader.violate(path, .type, "is no name of a header")
        } else if ownHeaders.contains(member.name.lowercased()) {
            reader.violate(path, .type, "is written by the server itself")
        }
        if value.utf8.contains(where: { $0 == 0x7F || ($0 < 0x20 && $0 != 0x09) }) {
            reader.violate(path, .type, "a header's value has no control characters")
        }
    }

    package var json: JSONObject {
        ["url": .string(url), "method": .string(method), "headers": .object(headers)]
    }
}
