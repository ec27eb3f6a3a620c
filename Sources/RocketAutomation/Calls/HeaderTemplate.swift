import Foundation

/// Values of headers with `{{env.NAME}}` in them, which is put in when a call is sent and never stored.
package struct HeaderTemplate: Sendable {
    private let environment: [String: String]

    /// - Parameter environment: the variables that may be sent.
    package init(environment: [String: String]) {
        self.environment = environment
    }

    /// The variables that are named, those of ours never.
    ///
    /// - Parameter names: nil for all.
    package static func choose(_ names: [String]?, from environment: [String: String]) -> [String: String] {
        environment.filter { !$0.key.hasPrefix("ROCKET_") && (names?.contains($0.key) ?? true) }
    }

    /// A variable that is not there, or not to be sent.
    package struct Missing: Error, Sendable {
        package let name: String
    }

    package func fill(_ template: String) throws(Missing) -> String {
        var filled = ""
        var rest = Substring(template)
        while let start = rest.range(of: "{{env.") {
            guard let end = rest[start.upperBound...].range(of: "}}") else { break }
            let name = String(rest[start.upperBound..<end.lowerBound])
            guard let value = environment[name] else { throw Missing(name: name) }
            filled += rest[..<start.lowerBound] + value.filter { $0 != "\r" && $0 != "\n" && $0 != "\r\n" }
            rest = rest[end.upperBound...]
        }
        return filled + rest
    }
}
