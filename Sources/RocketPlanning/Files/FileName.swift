/// What a file is called: the client's name for it, less all that a name must not have. No file is ever stored under it.
package enum FileName {
    private static let maximumBytes = 200

    /// The last part of a path of any system, without control characters, marks of direction, and what no system takes; "file"
    /// where nothing is left.
    package static func sanitized(_ name: String) -> String {
        // By scalar: a slash that a combining mark follows is one Character with it.
        let parts = name.unicodeScalars.split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }
        var text = ""
        if let last = parts.last {
            for scalar in last where isAllowed(scalar) { text.unicodeScalars.append(scalar) }
        }
        while text.utf8.count > maximumBytes, let shorter = shortened(text) { text = shorter }
        text = String(String.UnicodeScalarView(text.unicodeScalars.drop { $0 == " " || $0 == "." }))
        while text.hasSuffix(" ") || text.hasSuffix(".") { text.removeLast() }
        return text.isEmpty ? "file" : text
    }

    /// One character less, before the ending where there is one.
    private static func shortened(_ text: String) -> String? {
        guard let dot = text.lastIndex(of: "."), text.utf8.distance(from: dot, to: text.endIndex) <= 20,
            dot > text.startIndex
        else { return text.isEmpty ? nil : String(text.dropLast()) }
        var text = text
        text.remove(at: text.index(before: dot))
        return text
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
        default: !"<>:\"|?*".unicodeScalars.contains(scalar)
        }
    }
}
