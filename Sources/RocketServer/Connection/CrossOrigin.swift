import HTTPTypes
import RocketModel

/// Which pages of other origins a browser lets read our answers: the CORS protocol of the Fetch standard, part 3.3. The
/// tokens are bearer tokens, which no browser sends by itself, so that credentials are never allowed.
package struct CrossOrigin: Sendable {
    private enum Origins {
        case none
        case every
        case these(Set<String>)
    }

    /// No page of another origin.
    package static let none = CrossOrigin(origins: .none)

    private let origins: Origins

    private init(origins: Origins) {
        self.origins = origins
    }

    /// - Parameter entries: origins as browsers write them, such as `https://app.example`, or `*` alone for all of them.
    /// - Throws: with every entry that no browser would send.
    package init(_ entries: [String]) throws(SettingFailure) {
        guard entries != ["*"] else {
            origins = .every
            return
        }
        let problems = entries.compactMap(Self.problem(with:))
        guard problems.isEmpty else { throw SettingFailure(problems) }
        origins = entries.isEmpty ? .none : .these(Set(entries))
    }

    /// An entry that is never equal to an `Origin` would be a silent mistake.
    private static func problem(with entry: String) -> String? {
        if entry == "*" { return "\"*\" allows every origin, so it stands alone" }
        // RFC 6454 part 6.1: the scheme, the host and the port, in lower case, and nothing after them.
        let form = #/([a-z][a-z0-9+.\-]*):\/\/([a-z0-9._\-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?/#
        let match = entry.wholeMatch(of: form)
        guard let (_, scheme, host, port) = match?.output, isHost(host), port.map({ UInt16($0) != nil }) ?? true else {
            return "\"\(entry)\" is no origin; write it as a browser sends it, such as https://app.example or "
                + "http://localhost:3000: in lower case, without a path or a slash at the end"
        }
        guard let port, defaultPorts[scheme] == port else { return nil }
        return "\"\(entry)\": a browser leaves out the port \(port) of \(scheme); write \(scheme)://\(host)"
    }

    private static func isHost(_ host: Substring) -> Bool {
        guard host.hasPrefix("[") else { return true }
        return host.contains(":") && IPAddress(host.dropFirst().dropLast()) != nil
    }

    private static let defaultPorts: [Substring: Substring] = ["http": "80", "https": "443"]

    // MARK: requests

    /// The headers of the answer to a browser's question whether a page may send a request.
    ///
    /// - Parameter methods: those that the path takes.
    /// - Returns: nil where the request is no such question, or its origin is not allowed.
    func preflightHeaders(for request: HTTPRequest, methods: () -> [HTTPRequest.Method]) -> HTTPFields? {
        guard request.method == .options, request.headerFields.contains(.accessControlRequestMethod),
            let origin = allowedOrigin(request.headerFields)
        else { return nil }
        var headers: HTTPFields = [
            .accessControlAllowOrigin: origin,
            .accessControlAllowHeaders: "Authorization, Content-Type, If-Match, Idempotency-Key, X-Request-Id",
            .accessControlMaxAge: "600",
            .vary: "Origin",
        ]
        let names = methods().map(\.rawValue).sorted()
        // At a path that is not ours the page's own request tells it so.
        if !names.isEmpty { headers[.accessControlAllowMethods] = names.joined(separator: ", ") }
        return headers
    }

    /// What every answer but that to a preflight gets besides: nothing for an origin that is not allowed.
    func answerHeaders(for request: HTTPRequest) -> HTTPFields {
        guard let origin = allowedOrigin(request.headerFields) else { return [:] }
        return [
            .accessControlAllowOrigin: origin,
            .accessControlExposeHeaders: "ETag, Location, Retry-After, X-Request-Id",
            .vary: "Origin",
        ]
    }

    /// The value of `Access-Control-Allow-Origin`.
    private func allowedOrigin(_ headers: HTTPFields) -> String? {
        switch origins {
        case .none: nil
        case .every: headers.contains(.origin) ? "*" : nil
        case .these(let allowed): headers[.origin].flatMap { allowed.contains($0) ? $0 : nil }
        }
    }
}
