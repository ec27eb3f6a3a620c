/// The flags behind a JavaScript regular expression.
package struct PatternFlags: Equatable, Sendable {
    /// g: all matches.
    package private(set) var isGlobal = false
    /// i: upper and lower case are one.
    package private(set) var ignoresCase = false
    /// m: `^` and `$` match at lines.
    package private(set) var isMultiLine = false
    /// s: `.` matches the ends of lines too.
    package private(set) var dotMatchesAll = false
    /// u: the strict syntax, with `\u{…}` and `\p{…}`.
    package private(set) var isUnicode = false

    package init(_ text: String) throws(PatternFailure) {
        for flag in text.unicodeScalars {
            switch flag {
            case "g": try PatternFlags.set(&isGlobal, flag)
            case "i": try PatternFlags.set(&ignoresCase, flag)
            case "m": try PatternFlags.set(&isMultiLine, flag)
            case "s": try PatternFlags.set(&dotMatchesAll, flag)
            case "u": try PatternFlags.set(&isUnicode, flag)
            case "y", "d", "v":
                throw PatternFailure(message: "Flag \(flag) is not supported; flags are g, i, m, s and u", offset: nil)
            default:
                let name = String(flag).debugDescription
                throw PatternFailure(message: "There is no flag \(name); flags are g, i, m, s and u", offset: nil)
            }
        }
    }

    private static func set(_ isSet: inout Bool, _ flag: Unicode.Scalar) throws(PatternFailure) {
        guard !isSet else { throw PatternFailure(message: "Flag \(flag) is given twice", offset: nil) }
        isSet = true
    }
}
