import CRE2

/// Why a regular expression can't be used.
package struct PatternFailure: Error, Equatable, Sendable {
    /// What is wrong and what would work, for whoever wrote it.
    package let message: String
    /// Where, in UTF-8 bytes from the start of the source; nil where it is the flags or the pattern as a whole.
    package let offset: Int?

    package init(message: String, offset: Int?) {
        self.message = message
        self.offset = offset
    }
}

/// A JavaScript regular expression, compiled once, that matches in time linear in the text.
///
/// The source is translated by `PatternTranslator` and run by RE2. All offsets are in UTF-8 bytes.
///
/// Wanted differences from JavaScript:
/// - It matches by code point, also without flag u: `.` takes an emoji as a whole, and an empty match moves on past
///   one.
/// - With flag m, lines end at `\n` only, not at `\r`, U+2028 or U+2029.
/// - A group within a repeat keeps its last match, where JavaScript forgets it when the repeat goes around again.
/// - A round of a repeat may match nothing, and ends it then. JavaScript takes that round back and looks for another:
///   of "a", `(?:|a)*` matches nothing here and all there, and `(b*)?` leaves its group empty here and undefined there.
/// - `\b` and `\B` know the word characters of ASCII only, also with the flags i and u together.
/// - The names of groups are letters, digits and `_` of ASCII.
/// - Repeats above 1,000 (multiplied with those around them), look-around, backreferences, octal escapes and some
///   properties are refused. So is half a surrogate pair without flag u; with it, it matches nothing.
// Unchecked because of `compiled`, a pointer: RE2 promises that a compiled pattern may be matched with from many
// threads (its caches have their own locks); it is set once, here, never given away, and freed when nobody holds the
// pattern.
package final class Pattern: @unchecked Sendable {
    /// What one pattern's program and its caches may take.
    private static let memoryLimitInBytes: Int64 = 8 << 20
    /// A search by simulation, RE2's last resort, keeps the groups of each instruction: about 32 bytes times this.
    private static let instructionsTimesGroupsLimit = 500_000

    /// What is between the slashes.
    package let source: String
    package let flags: String
    /// Flag g.
    package let isGlobal: Bool
    /// How many capturing groups there are, the whole match not counted.
    package let groupCount: Int
    /// The groups with a name, in the order of their index (from 1).
    package let groupNames: [(name: String, index: Int)]
    /// The number of RE2's instructions. A search takes one short step for each byte of the text, but where it has more
    /// states than its memory can hold, up to this many (some 6 ns each): the product is what a budget has to bound.
    package let programSize: Int

    private let compiled: OpaquePointer
    private let hasNonBoundary: Bool

    /// The source is what stands between the slashes (or was given as text). Its length is the caller's to bound.
    package init(source: String, flags: String) throws(PatternFailure) {
        let translation = try PatternTranslator.translation(of: source, flags: flags)
        let compiled = try Pattern.compile(translation)
        let groupCount = Int(cre2_group_count(compiled))
        let programSize = Int(cre2_program_size(compiled))
        guard programSize * (groupCount + 1) <= Pattern.instructionsTimesGroupsLimit else {
            cre2_free(compiled)
            throw Pattern.tooLarge
        }

        self.source = source
        self.flags = flags
        self.isGlobal = translation.flags.isGlobal
        self.groupCount = groupCount
        self.groupNames = (0..<groupCount).compactMap { position in
            guard let name = cre2_group_name(compiled, Int32(position + 1)) else { return nil }
            return (String(cString: name), position + 1)
        }
        self.programSize = programSize
        self.hasNonBoundary = translation.hasNonBoundary
        self.compiled = compiled
    }

    deinit {
        cre2_free(compiled)
    }

    /// Where a match and its groups are.
    package struct Match: Equatable, Sendable {
        /// Ranges of UTF-8 bytes: the whole match, then each group, nil for one that took no part.
        package let groups: [Range<Int>?]
        /// The whole match.
        package let range: Range<Int>

        package init(range: Range<Int>, groups: [Range<Int>?]) {
            self.range = range
            self.groups = groups
        }
    }

    /// The first match that begins at the offset or later; what stands before it counts for `^` and `\b`.
    ///
    /// The offset is where a scalar begins, or the end of the text. Beyond that there is no match.
    package func firstMatch(in text: String, from utf8Offset: Int = 0) -> Match? {
        // A native string gives its own bytes; the copy is a reference.
        var text = text
        return text.withUTF8 { firstMatch(in: $0, from: utf8Offset) }
    }

    /// Whether there is a match anywhere, without finding out where: the fastest question.
    package func isMatch(_ text: String) -> Bool {
        if hasNonBoundary { return firstMatch(in: text) != nil }
        var text = text
        return text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                cre2_match(compiled, chars.baseAddress, chars.count, 0, nil, 0) == 1
            }
        }
    }

    /// The matches from the left that do not overlap, as flag g finds them; at most `limit`.
    ///
    /// Each is a search of its own, which may look at all the rest of the text before it knows: `a(?:.*b)?` does. So
    /// the work is at worst the number of matches times the length of the text, and the limit is what bounds it.
    package func allMatches(in text: String, limit: Int) -> [Match] {
        var text = text
        return text.withUTF8 { bytes in
            var matches: [Match] = []
            var offset = 0
            while matches.count < limit, let match = firstMatch(in: bytes, from: offset) {
                matches.append(match)
                offset = match.range.upperBound
                if match.range.isEmpty {
                    guard offset < bytes.count else { break }
                    offset += Pattern.scalarLength(bytes[offset])
                }
            }
            return matches
        }
    }

    private func firstMatch(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Match? {
        var match = search(in: bytes, from: start)
        // RE2 finds \B between the bytes of a character as well, where nothing but an empty match can follow.
        while hasNonBoundary, let start = match?.range.lowerBound, start < bytes.count, bytes[start] & 0xC0 == 0x80 {
            let next = bytes[start...].firstIndex { $0 & 0xC0 != 0x80 } ?? bytes.count
            match = search(in: bytes, from: next)
        }
        return match
    }

    private func search(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Match? {
        guard start >= 0, start <= bytes.count else { return nil }
        let ranges = groupCount + 1
        return withUnsafeTemporaryAllocation(of: Int.self, capacity: 2 * ranges) { offsets in
            let found = bytes.withMemoryRebound(to: CChar.self) { chars in
                cre2_match(compiled, chars.baseAddress, chars.count, start, offsets.baseAddress, ranges)
            }
            guard found == 1 else { return nil }
            let groups = (0..<ranges).map { index -> Range<Int>? in
                offsets[2 * index] < 0 ? nil : offsets[2 * index]..<offsets[2 * index + 1]
            }
            return Match(range: offsets[0]..<offsets[1], groups: groups)
        }
    }

    /// How many bytes the scalar takes that begins with this one.
    private static func scalarLength(_ lead: UInt8) -> Int {
        switch lead {
        case ..<0x80: 1
        case ..<0xE0: 2
        case ..<0xF0: 3
        default: 4
        }
    }

    private static func compile(_ translation: TranslatedPattern) throws(PatternFailure) -> OpaquePointer {
        let options = cre2_options(
            ignores_case: translation.foldsCase,
            is_multi_line: translation.flags.isMultiLine,
            dot_matches_all: translation.flags.dotMatchesAll,
            memory_limit: memoryLimitInBytes
        )
        var status = CRE2_OK
        var text = translation.text
        let (compiled, words) = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                withUnsafeTemporaryAllocation(of: CChar.self, capacity: 200) { words in
                    // Both have a capacity, and so an address; "" stands for an empty text's.
                    guard let message = words.baseAddress else { return (OpaquePointer?.none, "") }
                    let compiled = cre2_compile(
                        chars.baseAddress ?? UnsafePointer(message),
                        chars.count,
                        options,
                        &status,
                        message,
                        words.count
                    )
                    return (compiled, String(cString: message))
                }
            }
        }
        if let compiled { return compiled }
        switch status {
        case CRE2_TOO_LARGE: throw tooLarge
        case CRE2_OUT_OF_MEMORY: throw PatternFailure(message: "There is no memory for this pattern", offset: nil)
        default: throw PatternFailure(message: "The pattern can't be compiled: \(words)", offset: nil)
        }
    }

    private static let tooLarge = PatternFailure(
        message: "The pattern is too large; smaller repeats help (nested ones multiply, up to 1000 together), and fewer"
            + " groups",
        offset: nil
    )
}
