/// Something that is wrong with an expression's text, and where.
package struct SyntaxProblem: Error, Sendable, Hashable {
    /// What is wrong, what was expected and, where it helps, the nearest known name.
    package let message: String
    /// Bytes from the start of the text.
    package let offset: Int

    package init(_ message: String, at offset: Int) {
        self.message = message
        self.offset = offset
    }

    /// Line and column, both from 1; a column is a Unicode scalar.
    package func position(in source: String) -> (line: Int, column: Int) {
        var line = 1
        var column = 1
        for scalar in String(decoding: source.utf8.prefix(offset), as: UTF8.self).unicodeScalars {
            if scalar == "\n" {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return (line, column)
    }

    /// The message with its place, the line, and a caret under the place.
    package func shown(in source: String) -> String {
        let (line, column) = position(in: source)
        // By scalar: a line feed behind a carriage return is one Character with it.
        let lines = source.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        // A line of a megabyte would help nobody.
        let scalars = line <= lines.count ? lines[line - 1].filter { $0 != "\r" } : []
        let start = max(0, column - 41)
        let cut = String(String.UnicodeScalarView(scalars[min(start, scalars.count)..<min(start + 80, scalars.count)]))
        let caret = String(repeating: " ", count: column - 1 - start) + "^"
        return "line \(line), column \(column): \(message)\n\(cut)\n\(caret)"
    }
}
