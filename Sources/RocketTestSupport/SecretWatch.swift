package import Foundation
import HTTPTypes
import Logging
import RocketModel
import Synchronization

/// Knows the secrets that a test's server has, was given and gave away, and looks for them wherever none belongs: in other
/// answers, in every line of the log, in the files of databases. So each test is one of this, too.
package final class SecretWatch: Sendable {
    private struct State {
        /// What each of them is.
        var secrets: [Data: String] = [:]
        var leaks: [String] = []
        /// Lines of the log that nobody has looked through.
        var lines: [UInt8] = []
    }

    private let state = Mutex(State())

    /// Shorter ones are words that stand anywhere.
    private static let minimumLength = 8
    /// Bytes of lines.
    private static let maximumHeard = 4_194_304
    /// What everybody knows: the password that a server warns of in its log, and the word that asks for a secret.
    private static let known: Set<String> = ["changeme", "generate"]
    /// Members of bodies that hold a secret, at routes whose bodies are not records.
    private static let members: Set<String> = [
        "password", "new_password", "current_password", "secret", "access_token", "refresh_token", "token",
    ]

    package init() {}

    package func keep(_ secret: String, _ kind: String) {
        guard secret.utf8.count >= Self.minimumLength, !Self.known.contains(secret) else { return }
        state.withLock { $0.secrets[Data(secret.utf8)] = kind }
    }

    /// What was found so far: a kind of secret and a place each.
    package var leaks: [String] {
        lookThroughLines()
        return state.withLock { $0.leaks }
    }

    // MARK: looking

    /// - Parameter allowed: secrets that belong there.
    package func look(in bytes: [UInt8], _ place: @autoclosure () -> String, allowed: Set<String> = []) {
        look(in: Data(bytes)) { _ in
            place()
        } where: {
            allowed.isEmpty || !allowed.contains($1)
        }
    }

    private func look(in data: Data, _ place: (Data.Index) -> String, where isForbidden: (String, String) -> Bool) {
        let secrets = state.withLock { $0.secrets }
        for (secret, kind) in secrets {
            guard let found = data.range(of: secret), isForbidden(kind, String(decoding: secret, as: UTF8.self))
            else { continue }
            let leak = "\(kind) in \(place(found.lowerBound))"
            state.withLock { $0.leaks.append(leak) }
        }
    }

    /// Keeps a line of the log, which is looked through later, for what is told after it too.
    func hear(_ line: String) {
        let isMuch = state.withLock {
            $0.lines += line.utf8
            $0.lines.append(UInt8(ascii: "\n"))
            return $0.lines.count > Self.maximumHeard
        }
        if isMuch { lookThroughLines() }
    }

    private func lookThroughLines() {
        let lines = state.withLock { state in
            defer { state.lines = [] }
            return Data(state.lines)
        }
        look(in: lines) { found in
            let line =
                lines[..<found].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).last ?? Data()
            return "the log: \(String(decoding: line, as: UTF8.self))"
        } where: { _, _ in
            true
        }
    }

    /// Everything that lies in a folder. Tokens of resets and invitations travel in an event to whoever sends the mail, so
    /// they are in the outbox by design.
    package func lookThrough(_ folder: URL) throws {
        guard let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.isRegularFileKey])
        else { return }
        for case let file as URL in files {
            guard try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
            look(in: try Data(contentsOf: file)) { _ in
                "the file \(file.lastPathComponent)"
            } where: { kind, _ in
                !kind.hasPrefix("token ")
            }
        }
    }

    // MARK: requests

    /// Keeps what is secret of a request and its answer, and looks through the answer.
    func observe(_ request: String, path: String, body: [UInt8]?, headers: HTTPFields, _ answer: TestAnswer) {
        if let header = headers[.authorization], header.hasPrefix("Bearer ") {
            keep(String(header.dropFirst(7)), "an access token")
        }
        var allowed: Set<String> = []
        if Self.isOfAccounts(path) {
            for (name, secret) in Self.secrets(in: body ?? []) { keep(secret, "\(name) of a request") }
            // What is made is told once, by the answer that makes it.
            for (name, secret) in Self.secrets(in: answer.bytes) {
                keep(secret, "\(name) of an answer")
                allowed.insert(secret)
            }
        }
        var head = ""
        for field in answer.headers { head += "\(field.name): \(field.value)\n" }
        look(in: answer.bytes + head.utf8, "the answer to \(request)", allowed: allowed)
    }

    private static func isOfAccounts(_ path: String) -> Bool {
        ["/auth/", "/_platform/", "_admin/users", "_admin/webhooks", "_admin/invites"].contains { path.contains($0) }
    }

    private static func secrets(in bytes: [UInt8]) -> [(name: String, secret: String)] {
        guard let body = try? JSONParser.parse(bytes) else { return [] }
        return secrets(in: body)
    }

    private static func secrets(in value: JSONValue) -> [(name: String, secret: String)] {
        switch value {
        case .array(let items): items.flatMap { secrets(in: $0) }
        case .object(let object):
            object.members.flatMap { member in
                if members.contains(member.name), let secret = member.value.stringValue {
                    return [(member.name, secret)]
                }
                return secrets(in: member.value)
            }
        default: []
        }
    }
}

/// Looks through every line, of every level.
struct WatchingLogHandler: LogHandler {
    let watch: SecretWatch
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    init(_ watch: SecretWatch) {
        self.watch = watch
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        watch.hear("\(event.message) \(metadata) \(event.metadata ?? [:]) \(event.error.map { "\($0)" } ?? "")")
    }
}

extension Logger {
    static func watched(by watch: SecretWatch) -> Logger {
        ProcessInfo.processInfo.environment["TEST_LOG"] == "1"
            ? .silent : Logger(label: "test") { _ in WatchingLogHandler(watch) }
    }
}
