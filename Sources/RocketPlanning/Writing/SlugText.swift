/// Slugs: lower-case ASCII letters, digits and single hyphens.
package enum SlugText {
    /// The longest slug that is made, before a number is put behind it.
    package static let maximumLength = 80

    /// `Crème brûlée & Co.` → `creme-brulee-co`. Empty where no letter or digit is left.
    package static func make(from text: String) -> String {
        var slug = ""
        for scalar in text.unicodeScalars {
            let letters = base(of: scalar)
            if letters.isEmpty {
                if !isMark(scalar), !slug.isEmpty, !slug.hasSuffix("-") { slug += "-" }
            } else {
                slug += letters
            }
            if slug.utf8.count >= maximumLength { break }
        }
        slug = String(slug.prefix(maximumLength))
        while slug.hasSuffix("-") { slug.removeLast() }
        return slug
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .nonspacingMark || scalar == "'" || scalar == "\u{2019}"
    }

    /// The plain letters of a Latin letter, whatever accents it has, or its digit; empty for everything else.
    ///
    /// The Unicode character database names each accented letter after its base: LATIN SMALL LETTER E WITH ACUTE.
    private static func base(of scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "a"..."z", "0"..."9": return String(Character(scalar))
        case "A"..."Z": return String(Character(scalar)).lowercased()
        case "ß", "ẞ": return "ss"
        case ..<"\u{80}": return ""
        default: break
        }
        guard let name = scalar.properties.name else { return "" }
        for prefix in [
            "LATIN SMALL LETTER ", "LATIN CAPITAL LETTER ", "LATIN SMALL LIGATURE ", "LATIN CAPITAL LIGATURE ",
        ]
        where name.hasPrefix(prefix) {
            let words = name.dropFirst(prefix.count).split(separator: " ")
            let letter = words.first == "DOTLESS" ? words.dropFirst().first : words.first
            if let letter, letter.utf8.count <= 2 { return letter.lowercased() }
        }
        return ""
    }
}
