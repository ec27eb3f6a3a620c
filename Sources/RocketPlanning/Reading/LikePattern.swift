/// SQL's LIKE: `%` stands for any run of characters, `_` for one, `\` takes the next one as it is.
package struct LikePattern: Sendable {
    private enum Element: Equatable {
        case scalar(Unicode.Scalar)
        case any
        case run
    }

    /// The work was ended before its answer was known.
    package struct Stopped: Error {}

    private let elements: [Element]
    private let ignoresCase: Bool

    package init(_ pattern: String, ignoresCase: Bool) {
        self.ignoresCase = ignoresCase
        var elements: [Element] = []
        var isEscaped = false
        for scalar in (ignoresCase ? pattern.lowercased() : pattern).unicodeScalars {
            switch scalar {
            case _ where isEscaped:
                elements.append(.scalar(scalar))
                isEscaped = false
            case "\\": isEscaped = true
            case "%": if elements.last != .run { elements.append(.run) }
            case "_": elements.append(.any)
            default: elements.append(.scalar(scalar))
            }
        }
        self.elements = elements
    }

    /// Matches the whole text. At a mismatch it goes back to the last `%` only, so the work is at most the product
    /// of both lengths.
    ///
    /// - Parameter mustStop: asked every some thousand steps; where it says so the work ends.
    /// - Throws: ``Stopped``.
    package func matches(_ text: String, mustStop: () -> Bool = { false }) throws(Stopped) -> Bool {
        var steps = 0
        let scalars = Array((ignoresCase ? text.lowercased() : text).unicodeScalars)
        var position = 0
        var element = 0
        var lastRun: (element: Int, position: Int)?
        while position < scalars.count {
            steps += 1
            if steps & 0x3FFF == 0, mustStop() { throw Stopped() }
            if element < elements.count, elements[element] == .run {
                lastRun = (element, position)
                element += 1
            } else if element < elements.count,
                elements[element] == .any || elements[element] == .scalar(scalars[position])
            {
                element += 1
                position += 1
            } else if let run = lastRun {
                lastRun = (run.element, run.position + 1)
                element = run.element + 1
                position = run.position + 1
            } else {
                return false
            }
        }
        return elements[element...].allSatisfy { $0 == .run }
    }
}
