/// A JavaScript regular expression in RE2's words.
package struct TranslatedPattern: Equatable, Sendable {
    /// RE2's syntax; `^`, `$` and `.` in it depend on the flags m and s, which go to RE2 as they are.
    package let text: String
    package let flags: PatternFlags
    /// Whether RE2 shall fold case (Unicode's simple folding, which is what JavaScript does with flag u). Without flag
    /// u the text already names both cases, see `CaseFolding`.
    package var foldsCase: Bool { flags.ignoresCase && flags.isUnicode }
    /// Whether there is a `\B`, which RE2 also finds between the bytes of one character.
    package let hasNonBoundary: Bool
}

/// Translates the regular expressions of ECMAScript 2023 (with Annex B, without flag v) to RE2's syntax.
///
/// One pass from left to right without recursion: the order of things is the same on both sides, only the spelling of
/// characters, classes and names differs. See `Pattern` for the wanted differences.
package struct PatternTranslator {
    /// The translation; or what is wrong and where (in UTF-8 bytes from the source's start; nil for the flags). The
    /// time is n log n in the source's length.
    package static func translation(
        of source: String,
        flags: String
    ) throws(PatternFailure) -> TranslatedPattern {
        var translator = PatternTranslator(source: Array(source.unicodeScalars), flags: try PatternFlags(flags))
        try translator.run()
        return TranslatedPattern(
            text: translator.output,
            flags: translator.flags,
            hasNonBoundary: translator.hasNonBoundary
        )
    }

    /// RE2 allows no more, since it writes repeats out.
    private static let repeatLimit = 1000
    private static let nestingLimit = 200

    private let source: [Unicode.Scalar]
    private let flags: PatternFlags
    private var position = 0
    private var output = ""
    /// Where the groups begin that are not closed yet.
    private var openGroups: [Int] = []
    private var names: Set<String> = []
    private var hasNonBoundary = false
    /// Whether what was read last can have a quantifier.
    private var isRepeatable = false

    private init(source: [Unicode.Scalar], flags: PatternFlags) {
        self.source = source
        self.flags = flags
    }

    private mutating func run() throws(PatternFailure) {
        while let scalar = scalar(at: position) {
            switch scalar {
            case "\\": try escape()
            case "[": try characterClass()
            case "(": try openGroup()
            case ")": try closeGroup()
            case "|", "^", "$": emit(String(scalar), taking: 1, isRepeatable: false)
            case ".": emit(flags.dotMatchesAll ? "." : #"[^\n\r\x{2028}\x{2029}]"#, taking: 1)
            case "*", "+", "?": try quantifier(String(scalar), taking: 1)
            case "{": try openBrace()
            case "]", "}":
                if flags.isUnicode {
                    throw failure("A single \(scalar) must be written \\\(scalar) where flag u is set", at: position)
                }
                emit(literal(scalar.value), taking: 1)
            default: emit(literal(scalar.value), taking: 1)
            }
        }
        if let open = openGroups.last { throw failure("This group is not closed: expected )", at: open) }
    }

    // MARK: Quantifiers

    private mutating func quantifier(_ text: String, taking length: Int) throws(PatternFailure) {
        guard isRepeatable else { throw failure("There is nothing to repeat before \(text)", at: position) }
        let isLazy = scalar(at: position + length) == "?"
        emit(isLazy ? text + "?" : text, taking: isLazy ? length + 1 : length, isRepeatable: false)
    }

    private mutating func openBrace() throws(PatternFailure) {
        guard let bounds = repeatBounds() else {
            if flags.isUnicode { throw failure("A single { must be written \\{ where flag u is set", at: position) }
            return emit(literal(0x7B), taking: 1)
        }
        let text = "{\(bounds.lower)\(bounds.upper.map { ",\($0)" } ?? (bounds.isOpen ? "," : ""))}"
        guard isRepeatable else { throw failure("There is nothing to repeat before \(text)", at: position) }
        if let upper = bounds.upper, upper < bounds.lower {
            throw failure("The numbers of \(text) are out of order", at: position)
        }
        if max(bounds.lower, bounds.upper ?? 0) > PatternTranslator.repeatLimit {
            throw failure("A repeat can't be above \(PatternTranslator.repeatLimit)", at: position)
        }
        try quantifier(text, taking: bounds.length)
    }

    /// `{lower}`, `{lower,}` or `{lower,upper}`.
    private struct RepeatBounds {
        let lower: Int
        let upper: Int?
        let isOpen: Bool
        let length: Int
    }

    /// The quantifier that begins here, if that is what the brace is.
    private func repeatBounds() -> RepeatBounds? {
        var end = position + 1
        guard let lower = number(at: &end) else { return nil }
        let isOpen = scalar(at: end) == ","
        var upper: Int?
        if isOpen {
            end += 1
            upper = number(at: &end)
        }
        guard scalar(at: end) == "}" else { return nil }
        return RepeatBounds(lower: lower, upper: upper, isOpen: isOpen, length: end + 1 - position)
    }

    private func number(at index: inout Int) -> Int? {
        var number: Int?
        while let scalar = scalar(at: index), ("0"..."9").contains(scalar) {
            // Held below overflow; all that counts is that it is above the limit.
            number = min((number ?? 0) * 10 + Int(scalar.value - 0x30), 1_000_000)
            index += 1
        }
        return number
    }

    // MARK: Groups

    private mutating func openGroup() throws(PatternFailure) {
        guard openGroups.count < PatternTranslator.nestingLimit else {
            throw failure("Groups are nested deeper than \(PatternTranslator.nestingLimit)", at: position)
        }
        openGroups.append(position)
        guard scalar(at: position + 1) == "?" else { return emit("(", taking: 1, isRepeatable: false) }
        switch (scalar(at: position + 2), scalar(at: position + 3)) {
        case (":", _): emit("(?:", taking: 3, isRepeatable: false)
        case ("=", _), ("!", _): throw failure("Look-ahead, (?= and (?!, is not supported", at: position)
        case ("<", "="), ("<", "!"): throw failure("Look-behind, (?<= and (?<!, is not supported", at: position)
        case ("<", _): try openNamedGroup()
        default: throw failure("After (? comes : or <name>", at: position)
        }
    }

    private mutating func openNamedGroup() throws(PatternFailure) {
        let start = position + 3
        var end = start
        var name = ""
        while let scalar = scalar(at: end), PatternTranslator.isNamePart(scalar) {
            name.unicodeScalars.append(scalar)
            end += 1
        }
        guard scalar(at: end) == ">", let first = name.unicodeScalars.first, !("0"..."9").contains(first) else {
            throw failure(
                "A group's name is letters, digits and _ (ASCII) without a leading digit, then >",
                at: position
            )
        }
        guard names.insert(name).inserted else { throw failure("The group \(name) is there already", at: position) }
        emit("(?P<\(name)>", taking: end + 1 - position, isRepeatable: false)
    }

    private mutating func closeGroup() throws(PatternFailure) {
        guard openGroups.popLast() != nil else {
            throw failure("There is no group to close; write \\) for the character", at: position)
        }
        emit(")", taking: 1)
    }

    // MARK: Escapes

    /// An escape outside of a class.
    private mutating func escape() throws(PatternFailure) {
        let start = position
        switch scalar(at: position + 1) {
        case let letter? where letter == "b" || letter == "B":
            if letter == "B" { hasNonBoundary = true }
            emit("\\\(letter)", taking: 2, isRepeatable: false)
        case "k":
            // Annex B makes it a letter where no group has a name; nobody writes that and means it.
            throw backreference()
        case let digit? where ("1"..."9").contains(digit):
            throw backreference()
        default:
            switch try classOrCharacter(inClass: false) {
            case .ranges(let ranges): output += spelling(of: ranges)
            case .named(let name): output += name
            case .character(let value):
                guard !CharacterClass.surrogates.contains(value) else {
                    guard flags.isUnicode else { throw halfPair(at: start) }
                    output += CharacterClass.nothing
                    break
                }
                output += literal(value)
            }
            isRepeatable = true
        }
    }

    /// What one escape, or one character of a class, stands for.
    private enum Atom {
        case character(UInt32)
        case ranges([ClosedRange<UInt32>])
        /// A class that RE2 has a name for.
        case named(String)
    }

    /// Reads an escape that means a class or a character.
    private mutating func classOrCharacter(inClass: Bool) throws(PatternFailure) -> Atom {
        let start = position
        guard let letter = scalar(at: start + 1) else {
            throw failure("A pattern can't end in a single \\, which escapes what follows", at: start)
        }
        position += 2
        switch letter {
        case "d", "D", "w", "W":
            // By RE2's names, because it knows that \W with case folding is all but \w: the folded ranges of \W have s
            // and k, which fold with U+017F and U+212A.
            return .named("\\\(letter)")
        case "s": return .ranges(CharacterClass.whiteSpace)
        case "S": return .ranges(CharacterClass.complement(of: CharacterClass.whiteSpace))
        case "p", "P":
            guard flags.isUnicode || scalar(at: position) == "{" else { return .character(letter.value) }
            return try property(isNegated: letter == "P", from: start)
        default: return .character(try character(letter, from: start, inClass: inClass))
        }
    }

    /// The character that an escape stands for; the position is after its letter.
    private mutating func character(
        _ letter: Unicode.Scalar,
        from start: Int,
        inClass: Bool
    ) throws(PatternFailure) -> UInt32 {
        switch letter {
        case "t": return 0x09
        case "n": return 0x0A
        case "v": return 0x0B
        case "f": return 0x0C
        case "r": return 0x0D
        case "b" where inClass: return 0x08
        case "0"..."9": return try zero(letter, from: start)
        case "c": return try control(from: start, inClass: inClass)
        case "x":
            if let value = hexadecimal(digits: 2, at: position) {
                position += 2
                return value
            }
        case "u":
            if let value = try unicodeEscape(from: start) { return value }
        default: break
        }
        if flags.isUnicode, !PatternTranslator.isSyntax(letter), !(inClass && letter == "-") {
            throw failure("There is no escape \\\(letter) where flag u is set", at: start)
        }
        return letter.value
    }

    private mutating func zero(_ digit: Unicode.Scalar, from start: Int) throws(PatternFailure) -> UInt32 {
        var next = position
        guard digit == "0", number(at: &next) == nil else {
            throw failure("Octal escapes are not supported; write \\xHH", at: start)
        }
        return 0
    }

    /// `\cJ`; without a letter Annex B takes the backslash for itself.
    private mutating func control(from start: Int, inClass: Bool) throws(PatternFailure) -> UInt32 {
        if let letter = scalar(at: position) {
            let isControl =
                ("a"..."z").contains(letter) || ("A"..."Z").contains(letter)
                || (inClass && !flags.isUnicode && (("0"..."9").contains(letter) || letter == "_"))
            if isControl {
                position += 1
                return letter.value % 32
            }
        }
        if flags.isUnicode { throw failure("After \\c comes a letter", at: start) }
        position = start + 1
        return 0x5C
    }

    /// `\uXXXX`, two of them for a surrogate pair, or `\u{…}`; nil where it is none of them and u is only a letter.
    private mutating func unicodeEscape(from start: Int) throws(PatternFailure) -> UInt32? {
        if scalar(at: position) == "{" {
            guard flags.isUnicode else { throw failure("\\u{…} needs flag u", at: start) }
            return try codePoint(from: start)
        }
        guard let first = hexadecimal(digits: 4, at: position) else { return nil }
        position += 4
        if (0xD800...0xDBFF).contains(first), scalar(at: position) == "\\", scalar(at: position + 1) == "u",
            let second = hexadecimal(digits: 4, at: position + 2), (0xDC00...0xDFFF).contains(second)
        {
            position += 6
            return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
        }
        return first
    }

    private mutating func codePoint(from start: Int) throws(PatternFailure) -> UInt32 {
        var value: UInt32 = 0
        var next = position + 1
        while let digit = scalar(at: next).flatMap(PatternTranslator.hexadecimalDigit), value <= 0x10FFFF {
            value = value * 16 + digit
            next += 1
        }
        guard next > position + 1, scalar(at: next) == "}", value <= 0x10FFFF else {
            throw failure("\\u{…} has a hexadecimal number up to 10FFFF", at: start)
        }
        position = next + 1
        return value
    }

    private func hexadecimal(digits: Int, at index: Int) -> UInt32? {
        var value: UInt32 = 0
        for offset in 0..<digits {
            guard let digit = scalar(at: index + offset).flatMap(PatternTranslator.hexadecimalDigit) else { return nil }
            value = value * 16 + digit
        }
        return value
    }

    // MARK: Properties

    /// `\p{Lu}`, `\p{General_Category=Lu}`, `\p{Script=Greek}`.
    private mutating func property(isNegated: Bool, from start: Int) throws(PatternFailure) -> Atom {
        guard flags.isUnicode else { throw failure("\\p{…} needs flag u", at: start) }
        var end = position + 1
        var text = ""
        while let scalar = scalar(at: end), PatternTranslator.isNamePart(scalar) || scalar == "=" {
            text.unicodeScalars.append(scalar)
            end += 1
        }
        guard scalar(at: position) == "{", scalar(at: end) == "}" else {
            throw failure("After \\p comes a property, as in \\p{L} or \\p{Script=Greek}", at: start)
        }
        if isNegated, flags.ignoresCase {
            // JavaScript folds what is outside of the property, so that \P{Lu} matches every letter; RE2 does not.
            throw failure("\\P{…} is not supported with flag i; write [^\\p{…}]", at: start)
        }
        position = end + 1
        if text == "ASCII" { return .ranges(isNegated ? [0x80...0x10FFFF] : [0...0x7F]) }
        if text == "Any" { return .ranges(isNegated ? [] : [CharacterClass.everything]) }
        guard let name = PatternTranslator.propertyName(text) else {
            throw failure(
                "The property \(text) is not known; there are general categories, as \\p{Lu}, and scripts by their full"
                    + " name, as \\p{Script=Greek}",
                at: start
            )
        }
        return .named("\\\(isNegated ? "P" : "p"){\(name)}")
    }

    /// RE2's name for a property.
    private static func propertyName(_ text: String) -> String? {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        switch (parts.count, parts[0]) {
        case (1, _): return UnicodeProperties.categories[text]
        case (2, "General_Category"), (2, "gc"): return UnicodeProperties.categories[parts[1]]
        case (2, "Script"), (2, "sc"): return UnicodeProperties.scripts.contains(parts[1]) ? parts[1] : nil
        default: return nil
        }
    }

    // MARK: Classes

    private mutating func characterClass() throws(PatternFailure) {
        let start = position
        var characters = CharacterClass()
        position += 1
        if scalar(at: position) == "^" {
            characters.isNegated = true
            position += 1
        }
        while let scalar = scalar(at: position), scalar != "]" {
            try addItem(to: &characters)
        }
        guard scalar(at: position) == "]" else { throw failure("This class is not closed: expected ]", at: start) }
        guard let spelling = characters.spelling(flags) else { throw halfPair(at: start) }
        emit(spelling, taking: 1)
    }

    /// A character, a range or an escape.
    private mutating func addItem(to characters: inout CharacterClass) throws(PatternFailure) {
        let start = position
        let first = try classAtom()
        guard scalar(at: position) == "-", let next = scalar(at: position + 1), next != "]" else {
            return add(first, to: &characters)
        }
        position += 1
        let last = try classAtom()
        guard case .character(let lower) = first, case .character(let upper) = last else {
            // Annex B: where one end is a class there is no range, and the hyphen is a character.
            if flags.isUnicode { throw failure("A range can't begin or end with a class", at: start) }
            add(first, to: &characters)
            add(last, to: &characters)
            return characters.add(0x2D...0x2D)
        }
        guard lower <= upper else { throw failure("The range is out of order", at: start) }
        characters.add(lower...upper)
    }

    private mutating func classAtom() throws(PatternFailure) -> Atom {
        guard let scalar = scalar(at: position), scalar != "\\" else { return try classOrCharacter(inClass: true) }
        position += 1
        return .character(scalar.value)
    }

    private func add(_ atom: Atom, to characters: inout CharacterClass) {
        switch atom {
        case .character(let value): characters.add(value...value)
        case .ranges(let ranges): characters.add(ranges)
        case .named(let name): characters.add(named: name)
        }
    }

    /// A class of its own, outside of brackets.
    private func spelling(of ranges: [ClosedRange<UInt32>]) -> String {
        var characters = CharacterClass()
        characters.add(ranges)
        return characters.spelling(flags) ?? CharacterClass.nothing
    }

    // MARK: Characters

    /// A character that stands for itself (or, with flag i, for its other cases).
    private func literal(_ value: UInt32) -> String {
        if flags.ignoresCase, !flags.isUnicode {
            let both = CaseFolding.closure(of: [value...value])
            if both.count > 1 { return spelling(of: both) }
        }
        switch Unicode.Scalar(value) {
        case let scalar? where PatternTranslator.isSyntax(scalar) && scalar != "/": return "\\\(scalar)"
        case let scalar? where (0x20...0x7E).contains(value): return String(scalar)
        default: return "\\x{\(String(value, radix: 16, uppercase: true))}"
        }
    }

    private mutating func emit(_ text: String, taking length: Int, isRepeatable: Bool = true) {
        output += text
        position += length
        self.isRepeatable = isRepeatable
    }

    private func scalar(at index: Int) -> Unicode.Scalar? {
        index < source.count ? source[index] : nil
    }

    private static func isSyntax(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "^", "$", "\\", ".", "*", "+", "?", "(", ")", "[", "]", "{", "}", "|", "/": true
        default: false
        }
    }

    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }

    private static func hexadecimalDigit(_ scalar: Unicode.Scalar) -> UInt32? {
        switch scalar {
        case "0"..."9": scalar.value - 0x30
        case "a"..."f": scalar.value - 0x61 + 10
        case "A"..."F": scalar.value - 0x41 + 10
        default: nil
        }
    }

    // MARK: Failures

    private func failure(_ message: String, at index: Int) -> PatternFailure {
        PatternFailure(message: message, offset: source[..<index].reduce(0) { $0 + UTF8.width($1) })
    }

    private func backreference() -> PatternFailure {
        failure("Backreferences, \\1 and \\k<name>, are not supported", at: position)
    }

    private func halfPair(at index: Int) -> PatternFailure {
        failure("Half a surrogate pair is no character; write \\u{…} with flag u, or the character itself", at: index)
    }
}
