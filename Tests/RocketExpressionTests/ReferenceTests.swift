import Foundation
import RocketExpression
import RocketTestSupport
import Testing

/// The reference of the language is written from the list of its functions.
struct ReferenceTests {
    private static func heading(_ owner: LibraryFunction.Owner) -> String {
        switch owner {
        case .global: "Called by name"
        case .namespace(let name): "`\(name)`"
        case .text: "Methods of texts"
        case .array: "Methods of arrays"
        case .date: "Methods of dates"
        case .pattern: "Methods of regular expressions"
        }
    }

    private static func cell(_ text: String) -> String {
        text.replacing("|", with: "\\|")
    }

    private static var reference: String {
        var owners: [LibraryFunction.Owner] = []
        for function in FunctionLibrary.all where !owners.contains(function.owner) { owners.append(function.owner) }
        return owners.map { owner in
            let rows = FunctionLibrary.all.filter { $0.owner == owner }.map { function in
                let example = "`\(function.example.expression)` is `\(function.example.result)`"
                return "| `\(cell(function.signature))` | \(cell(function.summary)) | \(cell(example)) |"
            }
            return "### \(heading(owner))\n\n| | | |\n| --- | --- | --- |\n\(rows.joined(separator: "\n"))\n"
        }.joined(separator: "\n")
    }

    /// `UPDATE_DOCS=1` writes it anew.
    @Test func theReferencePageHasEveryFunction() throws {
        let page = TestFiles.root.appendingPathComponent("docs/expressions.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let start = try #require(text.range(of: "<!-- reference -->\n"))
        let end = try #require(text.range(of: "<!-- /reference -->"))
        let current = text[start.upperBound..<end.lowerBound]
        if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
            let updated = text[..<start.upperBound] + Self.reference + text[end.lowerBound...]
            try String(updated).write(to: page, atomically: true, encoding: .utf8)
        } else {
            #expect(current == Self.reference, "run the tests with UPDATE_DOCS=1")
        }
    }
}
