import Foundation

/// Parameters of a header's value: `form-data; name="a"` (RFC 9110 part 5.6.6).
enum HeaderParameters {
    /// - Returns: by lower-case name; nil where the value is of another kind, or malformed.
    static func read(_ text: String, kind: String) -> [String: String]? {
        var rest = text[...]
        skipSpace(&rest)
        let first = rest.prefix { $0 != ";" && $0 != " " && $0 != "\t" }
        guard first.lowercased() == kind else { return nil }
        rest = rest[first.endIndex...]
        var parameters: [String: String] = [:]
        while true {
            skipSpace(&rest)
            guard !rest.isEmpty else { return parameters }
            guard rest.removeFirst() == ";" else { return nil }
            skipSpace(&rest)
            if rest.isEmpty { return parameters }
            guard let equals = rest.firstIndex(of: "=") else { return nil }
            let name = rest[..<equals].lowercased()
            rest = rest[rest.index(after: equals)...]
            guard let value = value(&rest), parameters.updateValue(value, forKey: name) == nil else { return nil }
        }
    }

    private static func skipSpace(_ text: inout Substring) {
        text = text.drop { $0 == " " || $0 == "\t" }
    }

    private static func value(_ rest: inout Substring) -> String? {
        guard rest.first == "\"" else {
            let token = rest.prefix { $0 != ";" && $0 != " " && $0 != "\t" }
            rest = rest[token.endIndex...]
            return token.isEmpty ? nil : String(token)
        }
        rest.removeFirst()
        var value = ""
        while let character = rest.popFirst() {
            if character == "\"" { return value }
            // A backslash escapes these two; in the paths of old browsers it stands for itself.
            if character == "\\", let next = rest.first, next == "\"" || next == "\\" {
                value.append(next)
                rest.removeFirst()
            } else {
                value.append(character)
            }
        }
        return nil
    }

    /// `UTF-8''na%C3%AFve.txt` (RFC 8187); nil for another character set.
    static func extended(_ text: String) -> String? {
        let parts = text.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].lowercased() == "utf-8" else { return nil }
        return String(parts[2]).removingPercentEncoding
    }
}
