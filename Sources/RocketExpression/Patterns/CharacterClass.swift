/// What stands between `[` and `]`, and how RE2 writes it.
struct CharacterClass {
    var isNegated = false
    private(set) var ranges: [ClosedRange<UInt32>] = []
    /// What RE2 has a name for: `\d`, `\p{Lu}`.
    private var names = ""

    /// Half a pair in UTF-16, which is no character.
    static let surrogates: ClosedRange<UInt32> = 0xD800...0xDFFF
    static let everything: ClosedRange<UInt32> = 0...0x10FFFF

    mutating func add(_ range: ClosedRange<UInt32>) {
        ranges.append(range)
    }

    mutating func add(_ ranges: [ClosedRange<UInt32>]) {
        self.ranges += ranges
    }

    /// Adds a class that RE2 knows, in its syntax.
    mutating func add(named name: String) {
        names += name
    }

    /// JavaScript's white space and ends of lines.
    static let whiteSpace: [ClosedRange<UInt32>] = [
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ]

    /// What is in none of the ranges.
    static func complement(of ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var complement: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in merged(ranges) {
            if range.lowerBound > next { complement.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= everything.upperBound { complement.append(next...everything.upperBound) }
        return complement
    }

    /// RE2's spelling; nil where the class has some halves of surrogate pairs, but not all.
    ///
    /// JavaScript without flag u sees a character above U+FFFF as two halves. A class with all of them (`[^ -~]`,
    /// `[\u0080-\uFFFF]`) therefore matches such characters, and gets them here.
    func spelling(_ flags: PatternFlags) -> String? {
        var ranges = CharacterClass.merged(self.ranges)
        if !flags.isUnicode {
            if ranges.contains(where: { $0.contains(CharacterClass.surrogates) }) {
                ranges = CharacterClass.merged(ranges + [0x10000...0x10FFFF])
            } else if ranges.contains(where: { $0.overlaps(CharacterClass.surrogates) }) {
                return nil
            }
            if flags.ignoresCase { ranges = CharacterClass.merged(CaseFolding.closure(of: ranges)) }
        }
        var items = ranges.compactMap(CharacterClass.withoutSurrogates).map(CharacterClass.spelling).joined() + names
        // RE2 makes [Ss] a letter with case folding, and within an alternation that again a class, now with U+017F (for
        // [Kk], U+212A). A third member, half a pair, which no text has, keeps it from that.
        if items == "Ss" || items == "Kk" { items += #"\x{D800}"# }
        if items.isEmpty { return isNegated ? "(?s:.)" : CharacterClass.nothing }
        return (isNegated ? "[^" : "[") + items + "]"
    }

    /// What matches no character at all.
    static let nothing = #"[^\x{0}-\x{10FFFF}]"#

    /// Sorted, with those that touch made one.
    private static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    /// The part of a range that a text can have; a range around all surrogates may stay as it is.
    private static func withoutSurrogates(_ range: ClosedRange<UInt32>) -> ClosedRange<UInt32>? {
        if surrogates.contains(range) { return nil }
        if surrogates.contains(range.upperBound) { return range.lowerBound...0xD7FF }
        if surrogates.contains(range.lowerBound) { return 0xE000...range.upperBound }
        return range
    }

    private static func spelling(of range: ClosedRange<UInt32>) -> String {
        let first = spelling(of: range.lowerBound)
        return range.count == 1 ? first : first + "-" + spelling(of: range.upperBound)
    }

    /// A character within a class of RE2's: as it is where it is a letter, a digit, or means nothing else.
    private static func spelling(of value: UInt32) -> String {
        switch Unicode.Scalar(value) {
        case "\\"?, "["?, "]"?, "^"?, "-"?: "\\\(Character(Unicode.Scalar(UInt8(value))))"
        case let scalar? where (0x20...0x7E).contains(value): String(scalar)
        default: "\\x{\(String(value, radix: 16, uppercase: true))}"
        }
    }
}
