import RocketExpression
import Testing

struct PatternTests {
    // MARK: Translations

    private static let translations: [(source: String, flags: String, re2: String)] = [
        ("abc é", "", #"abc \x{E9}"#),
        ("^a|b$", "m", "^a|b$"),
        (".", "", #"[^\n\r\x{2028}\x{2029}]"#),
        (".", "s", "."),
        ("[^]", "", "(?s:.)"),
        ("[]", "", #"[^\x{0}-\x{10FFFF}]"#),
        (#"\d\D\w\W\b\B"#, "", #"\d\D\w\W\b\B"#),
        (
            #"\s"#, "",
            #"[\x{9}-\x{D} \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}-\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}]"#
        ),
        (
            #"\S"#, "",
            #"[\x{0}-\x{8}\x{E}-\x{1F}!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}"#
                + #"\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF}]"#
        ),
        (#"\t\n\v\f\r\0"#, "", #"\x{9}\x{A}\x{B}\x{C}\x{D}\x{0}"#),
        (#"\x41\u0042\cJ\/\-\a"#, "", #"AB\x{A}/-a"#),
        (#"\x4\u12\c"#, "", #"x4u12\\c"#),
        (#"\u{1F600}"#, "u", #"\x{1F600}"#),
        (#"\uD83D\uDE00"#, "", #"\x{1F600}"#),
        (#"[\uD83D\uDE00-\uD83D\uDE4F]"#, "", #"[\x{1F600}-\x{1F64F}]"#),
        (#"\uD83D"#, "u", #"[^\x{0}-\x{10FFFF}]"#),
        (#"[a\uD83D]"#, "u", "[a]"),
        (#"[\u0080-\uFFFF]"#, "", #"[\x{80}-\x{10FFFF}]"#),
        (#"[\u0080-\uFFFF]"#, "u", #"[\x{80}-\x{FFFF}]"#),
        ("[a-c^-]", "", #"[\-\^a-c]"#),
        (#"[\]\\[]"#, "", #"[\[-\]]"#),
        (#"[\w-a]"#, "", #"[\-a\w]"#),
        (#"[\d.\b]"#, "", #"[\x{8}.\d]"#),
        ("(?:a)(b)(?<c>d)", "", "(?:a)(b)(?P<c>d)"),
        ("a*?b+?c??d{2}?e{2,}f{2,3}", "", "a*?b+?c??d{2}?e{2,}f{2,3}"),
        ("a{01,002}", "", "a{1,2}"),
        ("a{,2}{x}{", "", #"a\{,2\}\{x\}\{"#),
        ("]}", "", #"\]\}"#),
        ("é1b", "i", #"[\x{C9}\x{E9}]1[Bb]"#),
        ("é1b", "iu", #"\x{E9}1b"#),
        ("[b-d]", "i", "[B-Db-d]"),
        // The third member keeps RE2 from folding U+017F into it.
        ("s", "i", #"[Ss\x{D800}]"#),
        (#"\p{Lu}\P{Letter}[\p{gc=Nd}_]"#, "u", #"\p{Lu}\P{L}[_\p{Nd}]"#),
        (#"\p{Script=Greek}\p{sc=Han}"#, "u", #"\p{Greek}\p{Han}"#),
        (#"\p{ASCII}\P{ASCII}\P{Any}"#, "u", #"[\x{0}-\x{7F}][\x{80}-\x{10FFFF}][^\x{0}-\x{10FFFF}]"#),
        (#"\p\P"#, "", "pP"),
    ]

    @Test(arguments: translations)
    func translatesWhatJavaScriptMeans(source: String, flags: String, re2: String) throws {
        #expect(try PatternTranslator.translation(of: source, flags: flags).text == re2)
        // RE2 takes it.
        #expect(try Pattern(source: source, flags: flags).source == source)
    }

    // MARK: Refusals

    private static let refusals: [(source: String, flags: String, offset: Int?, message: String)] = [
        ("a", "y", nil, "Flag y is not supported; flags are g, i, m, s and u"),
        ("a", "x", nil, "There is no flag \"x\"; flags are g, i, m, s and u"),
        ("a", "gg", nil, "Flag g is given twice"),
        ("é(?=b)", "", 2, "Look-ahead, (?= and (?!, is not supported"),
        ("a(?!b)", "", 1, "Look-ahead, (?= and (?!, is not supported"),
        ("(?<=a)b", "", 0, "Look-behind, (?<= and (?<!, is not supported"),
        ("(?<!a)b", "", 0, "Look-behind, (?<= and (?<!, is not supported"),
        (#"(a)\1"#, "", 3, #"Backreferences, \1 and \k<name>, are not supported"#),
        (#"(?<a>b)\k<a>"#, "", 7, #"Backreferences, \1 and \k<name>, are not supported"#),
        ("(?i:a)", "", 0, "After (? comes : or <name>"),
        ("(?<1>a)", "", 0, "A group's name is letters, digits and _ (ASCII) without a leading digit, then >"),
        ("(?<a>a)(?<a>b)", "", 7, "The group a is there already"),
        ("a(b(c)", "", 1, "This group is not closed: expected )"),
        ("a)", "", 1, #"There is no group to close; write \) for the character"#),
        ("a[bc", "", 1, "This class is not closed: expected ]"),
        ("a[bc-", "", 1, "This class is not closed: expected ]"),
        ("*a", "", 0, "There is nothing to repeat before *"),
        ("a|+", "", 2, "There is nothing to repeat before +"),
        ("(?)", "", 0, "After (? comes : or <name>"),
        ("a**", "", 2, "There is nothing to repeat before *"),
        ("^{2}", "", 1, "There is nothing to repeat before {2}"),
        (#"\b+"#, "", 2, "There is nothing to repeat before +"),
        ("a{3,2}", "", 1, "The numbers of {3,2} are out of order"),
        ("a{1001}", "", 1, "A repeat can't be above 1000"),
        ("a{0,99999999999999999999}", "", 1, "A repeat can't be above 1000"),
        ("[z-a]", "", 1, "The range is out of order"),
        (#"a\"#, "", 1, #"A pattern can't end in a single \, which escapes what follows"#),
        (#"\01"#, "", 0, #"Octal escapes are not supported; write \xHH"#),
        (#"[\1]"#, "", 1, #"Octal escapes are not supported; write \xHH"#),
        (#"é\u{61}"#, "", 2, #"\u{…} needs flag u"#),
        (#"\u{110000}"#, "u", 0, #"\u{…} has a hexadecimal number up to 10FFFF"#),
        (#"\u{}"#, "u", 0, #"\u{…} has a hexadecimal number up to 10FFFF"#),
        (#"\a"#, "u", 0, #"There is no escape \a where flag u is set"#),
        (#"\u12"#, "u", 0, #"There is no escape \u where flag u is set"#),
        (#"\c1"#, "u", 0, #"After \c comes a letter"#),
        ("a]", "u", 1, #"A single ] must be written \] where flag u is set"#),
        ("a{", "u", 1, #"A single { must be written \{ where flag u is set"#),
        (#"[\w-a]"#, "u", 1, "A range can't begin or end with a class"),
        (#"\p{L}"#, "", 0, #"\p{…} needs flag u"#),
        (#"\p"#, "u", 0, #"After \p comes a property, as in \p{L} or \p{Script=Greek}"#),
        (#"\P{L}"#, "iu", 0, #"\P{…} is not supported with flag i; write [^\p{…}]"#),
        (
            #"a\p{Emoji}"#, "u", 1,
            "The property Emoji is not known; there are general categories, as \\p{Lu}, and scripts by their full"
                + " name, as \\p{Script=Greek}"
        ),
        (
            #"a\uD83D"#, "", 1,
            #"Half a surrogate pair is no character; write \u{…} with flag u, or the character itself"#
        ),
        (
            #"a[\uD800-\uDBFF]"#, "", 1,
            #"Half a surrogate pair is no character; write \u{…} with flag u, or the character itself"#
        ),
        (
            "((a{10}){11}){10}", "", nil,
            "The pattern is too large; smaller repeats help (nested ones multiply, up to 1000 together), and fewer"
                + " groups"
        ),
    ]

    @Test(arguments: refusals)
    func refusesWithTheOffset(source: String, flags: String, offset: Int?, message: String) {
        #expect(throws: PatternFailure(message: message, offset: offset)) {
            try Pattern(source: source, flags: flags)
        }
    }

    @Test func boundsTheNestingOfGroups() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "(?:", count: depth) + "a" + String(repeating: ")*", count: depth)
        }
        #expect(try Pattern(source: nested(200), flags: "").isMatch("a"))
        #expect(throws: PatternFailure(message: "Groups are nested deeper than 200", offset: 600)) {
            try Pattern(source: nested(201), flags: "")
        }
    }

    @Test func boundsTheProgram() {
        let large = [
            String(repeating: "(a)", count: 1000),
            String(repeating: "[^a]{1000}", count: 80),
            #"\p{L}{1000}"#,
        ]
        for source in large {
            #expect(throws: PatternFailure.self) { try Pattern(source: source, flags: "u") }
        }
    }

    // MARK: Matches

    /// As Node.js 20 gives them, in UTF-8 bytes: the whole match and its groups; with flag g all matches.
    private static let matches: [(source: String, flags: String, text: String, found: String)] = [
        ("a+", "", "baab", "1-3"),
        ("(a)|(b)", "g", "abc", "0-1 0-1 nil | 1-2 nil 1-2"),
        ("^b", "g", "ab\nb", ""),
        ("^b", "gm", "ab\nb", "3-4"),
        ("a$", "", "a\n", ""),
        ("a$", "m", "a\nb", "0-1"),
        (".", "g", "a\nb\rc\u{2028}d\u{2029}é", "0-1 | 2-3 | 4-5 | 8-9 | 12-14"),
        (".", "gs", "a\n\r", "0-1 | 1-2 | 2-3"),
        ("[^]", "g", "a\n", "0-1 | 1-2"),
        ("[]", "g", "a", ""),
        ("[^a]", "g", "a\nb", "1-2 | 2-3"),
        (#"\s+"#, "g", "a \t\u{A0}b\u{FEFF}\u{1680}\u{2003}c\u{3000}\u{200B}d", "1-5 | 6-15 | 16-19"),
        (#"\S+"#, "g", "ab \u{A0}c\u{180E}d", "0-2 | 5-10"),
        (#"\d+"#, "g", "12 ٣4", "0-2 | 5-6"),
        (#"\w+"#, "g", "aé_1", "0-1 | 3-5"),
        (#"\W"#, "g", "aé", "1-3"),
        (#"\bé"#, "", "é", ""),
        (#"\b\w"#, "g", "éa b", "2-3 | 4-5"),
        (#"\B"#, "g", "_ß_ß", "6-6"),
        (#"\Bb"#, "", "ab b", "1-2"),
        ("x*", "g", "axbé", "0-0 | 1-2 | 2-2 | 3-3 | 5-5"),
        ("", "g", "é€", "0-0 | 2-2 | 5-5"),
        ("a*", "g", "aab", "0-2 | 2-2 | 3-3"),
        ("a*?", "g", "ab", "0-0 | 1-1 | 2-2"),
        (#"(?<year>\d{4})-(?<month>\d{2})"#, "", "on 2024-05-06", "3-10 3-7 8-10"),
        ("a{2}", "g", "aaaaa", "0-2 | 2-4"),
        ("a{2,}", "g", "aaaaa", "0-5"),
        ("a{1,2}?", "g", "aaa", "0-1 | 1-2 | 2-3"),
        ("a{,2}", "", "a{,2}", "0-5"),
        ("a{x}", "", "a{x}", "0-4"),
        ("{", "", "a{", "1-2"),
        ("]", "", "a]", "1-2"),
        ("}", "", "}", "0-1"),
        (#"\u0041\x42\cJ\0\t\/"#, "", "AB\n\0\t/", "0-6"),
        (#"\u{1F600}"#, "u", "x😀", "1-5"),
        (#"\uD83D\uDE00"#, "u", "x😀", "1-5"),
        (#"[\u{1F600}-\u{1F64F}]+"#, "u", "a😀😁", "1-9"),
        ("^.$", "u", "😀", "0-4"),
        (#"\a\-\u\x4\c"#, "", "a-ux4\\c", "0-7"),
        (#"[\b]"#, "", "a\u{8}", "1-2"),
        (#"[\w-a]+"#, "g", "-a!", "0-2"),
        ("[a-]+", "", "b-a", "1-3"),
        (#"[\cA-\cC]"#, "", "\u{2}", "0-1"),
        ("[[:]+", "", "a[:", "1-3"),
        ("[A-Z]+", "i", "éabC", "2-5"),
        ("É", "i", "é", "0-2"),
        ("s", "gi", "sS\u{17F}", "0-1 | 1-2"),
        ("k|s", "gi", "K\u{212A}\u{17F}", "0-1"),
        ("s", "giu", "sS\u{17F}", "0-1 | 1-2 | 2-4"),
        (#"[\u0100-\uFFFF]"#, "gi", "s\u{17F}", "1-3"),
        (#"[\W_]+"#, "gi", "s-k_K", "1-2 | 3-4"),
        (#"[^\W]+"#, "gi", "sk-", "0-2"),
        ("σ", "gi", "σςΣ", "0-2 | 2-4 | 4-6"),
        ("ß", "gi", "ßẞ", "0-2"),
        ("ß", "giu", "ßẞ", "0-2 | 2-5"),
        ("ǆ", "gi", "Ǆ\u{1C5}ǆDž", "0-2 | 2-4 | 4-6"),
        (#"[\u0080-\uFFFF]+"#, "", "aéb", "1-3"),
        (#"[^\x00-\x7F]+"#, "", "aé€b", "1-6"),
        (#"\p{Lu}+"#, "gu", "aÉB1", "1-4"),
        (#"\P{L}+"#, "gu", "a12é", "1-3"),
        (#"\p{Script=Greek}+"#, "u", "aαβ", "1-5"),
        (#"[\p{Nd}_]+"#, "u", "a٣_4", "1-5"),
        (#"\p{ASCII}+"#, "u", "éab", "2-4"),
        (#"\p{Any}"#, "u", "😀", "0-4"),
        (#"[^\p{L}]+"#, "gui", "aB1-c", "2-4"),
        ("(a|ab)(c|bcd)(d*)", "", "abcd", "0-4 0-1 1-4 4-4"),
        ("(?:a|ab)(?:c|bcd)(?:d*)", "", "abcd", "0-4"),
        ("(z)?a(b)?", "g", "zaa", "0-2 0-1 nil | 2-3 nil nil"),
        (#"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"#, "i", "Ann@Example.COM", "0-15"),
        ("(a+)+$", "", "aab", ""),
    ]

    @Test(arguments: matches)
    func matchesAsNodeDoes(source: String, flags: String, text: String, found: String) throws {
        let pattern = try Pattern(source: source, flags: flags)
        let matches = pattern.allMatches(in: text, limit: pattern.isGlobal ? .max : 1)
        #expect(spelling(matches) == found)
        #expect(pattern.firstMatch(in: text) == matches.first)
        #expect(pattern.isMatch(text) == !matches.isEmpty)
    }

    /// What `Pattern` documents as wanted.
    private static let differences: [(source: String, flags: String, text: String, found: String)] = [
        // By code point, also without flag u.
        ("^.$", "", "😀", "0-4"),
        ("", "g", "😀", "0-0 | 4-4"),
        // Lines end at \n only.
        ("^b", "m", "a\rb", ""),
        ("a$", "m", "a\r\nb", ""),
        // A group keeps its last match.
        ("(?:(a)|b)*", "", "ab", "0-2 0-1"),
        // A round may match nothing.
        ("(?:|a)*", "", "a", "0-0"),
        ("(b*)?", "", "a", "0-0 0-0"),
        // ASCII's word characters only.
        (#"\bK"#, "iu", "\u{212A}", ""),
    ]

    @Test(arguments: differences)
    func differsFromJavaScriptWhereDocumented(source: String, flags: String, text: String, found: String) throws {
        let pattern = try Pattern(source: source, flags: flags)
        #expect(spelling(pattern.allMatches(in: text, limit: pattern.isGlobal ? .max : 1)) == found)
    }

    @Test func looksFromAnOffsetAndKnowsWhatIsBefore() throws {
        let word = try Pattern(source: #"\ba"#, flags: "")
        #expect(word.firstMatch(in: "aa a", from: 1)?.range == 3..<4)
        #expect(word.firstMatch(in: "aa a", from: 4) == nil)
        #expect(word.firstMatch(in: "aa a", from: 5) == nil)
        #expect(word.firstMatch(in: "aa a", from: -1) == nil)

        let start = try Pattern(source: "^a", flags: "")
        #expect(start.firstMatch(in: "aa", from: 0)?.range == 0..<1)
        #expect(start.firstMatch(in: "aa", from: 1) == nil)
        #expect(try Pattern(source: "^a", flags: "m").firstMatch(in: "a\na", from: 1)?.range == 2..<3)

        #expect(try Pattern(source: "", flags: "").firstMatch(in: "")?.range == 0..<0)
    }

    @Test func stopsAtTheLimit() throws {
        let pattern = try Pattern(source: "a", flags: "g")
        #expect(pattern.allMatches(in: "aaaa", limit: 2).map(\.range) == [0..<1, 1..<2])
        #expect(pattern.allMatches(in: "aaaa", limit: 0).isEmpty)
    }

    @Test func knowsItsGroups() throws {
        let pattern = try Pattern(source: "(a)(?<first>b)(?:c)(?<_2>d)", flags: "gi")
        #expect(pattern.groupCount == 3)
        #expect(pattern.groupNames.map(\.name) == ["first", "_2"])
        #expect(pattern.groupNames.map(\.index) == [2, 3])
        #expect(pattern.isGlobal)
        #expect(pattern.flags == "gi")
    }

    @Test func matchesFromManyTasksAtOnce() async throws {
        let pattern = try Pattern(source: #"(\d+)-(\w+)"#, flags: "")
        let found = await withTaskGroup { group in
            for number in 0..<200 {
                group.addTask { pattern.firstMatch(in: "x \(number)-é \(number)-a")?.groups.count }
            }
            return await group.reduce(into: [Int?]()) { $0.append($1) }
        }
        #expect(found == Array(repeating: 3, count: 200))
    }

    /// Patterns that take a backtracking engine longer than anybody waits.
    @Test(arguments: ["(a+)+$", "^(a|a)*$", "^(a*)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|aa)+$", "(.*a){12}$"])
    func endsFastWhereBacktrackingWouldNot(source: String) throws {
        let text = String(repeating: "a", count: 50_000) + "b"
        let pattern = try Pattern(source: source, flags: "")
        var hasMatch = false
        let time = ContinuousClock().measure {
            hasMatch = pattern.isMatch(text) || pattern.firstMatch(in: text) != nil
        }
        #expect(!hasMatch)
        // Some ms; the rest is for a busy machine.
        #expect(time < .seconds(2))
    }

    /// `0-4 0-1 nil | 5-6 nil nil`: two matches with two groups each.
    private func spelling(_ matches: [Pattern.Match]) -> String {
        matches
            .map { match in
                match.groups
                    .map { $0.map { "\($0.lowerBound)-\($0.upperBound)" } ?? "nil" }
                    .joined(separator: " ")
            }
            .joined(separator: " | ")
    }
}
