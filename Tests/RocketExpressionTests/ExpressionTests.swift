import RocketExpression
import RocketModel
import Testing

/// A record of a ticket, and what stands beside it in rules.
enum Rule {
    static let ticket = ObjectType(
        name: "ticket",
        members: [
            ("title", .text), ("status", .choice(["open", "paid", "closed"])), ("total", .decimal), ("count", .number),
            ("active", .boolean), ("created_at", .date), ("due", .date), ("tags", .any), ("big", .decimal),
            ("note", .text), ("ratio", .number), ("owner", .text),
        ]
    )
    static let user = ObjectType(name: "user", members: [("id", .text), ("email", .text), ("roles", .array(.text))])

    static let environment = ExpressionEnvironment([
        ("record", .object(ticket)), ("old", .object(ticket)), ("user", .object(user)), ("items", .array(.any)),
        ("x", .any), ("now", .date),
    ])

    static let now = DateValue(milliseconds: 1_772_366_400_000)

    static func record(_ values: [String: ExpressionValue] = [:]) -> ExpressionValue {
        let defaults: [String: ExpressionValue] = [
            "title": .string("Broken lamp"), "status": .string("paid"), "total": decimal("19.90"), "count": .number(3),
            "active": .boolean(true), "created_at": .date(DateValue(text: "2026-02-05T14:30:00.250500Z")),
            "due": CalendarDate("2026-03-01").map { .date(DateValue($0)) } ?? .null, "big": decimal("9007199254740993"),
            "ratio": .number(0.1),
        ]
        let all = defaults.merging(values) { _, given in given }
        return .object(ExpressionObject(ticket.keys, ticket.keys.names.map { all[$0] ?? .null }))
    }

    static func decimal(_ text: String) -> ExpressionValue { DecimalNumber(text).map(ExpressionValue.decimal) ?? .null }

    static func value(_ source: String, x: ExpressionValue = .undefined) throws -> String {
        let program = try Program.compile(source, in: environment)
        let items: ExpressionValue = .array([
            .object(ExpressionObject([("qty", .number(2)), ("price", decimal("0.1"))])),
            .object(ExpressionObject([("qty", .number(1)), ("price", decimal("0.2"))])),
        ])
        let user = ExpressionValue.object(
            ExpressionObject(Rule.user.keys, [.string("u1"), .string("a@x.example"), .array([.string("agent")])])
        )
        return try program.json([record(), .null, user, items, x, .date(now)], now: now)
    }

    static func problems(_ source: String) -> [String] {
        do throws(ExpressionProblems) {
            _ = try Program.compile(source, in: environment)
            return []
        } catch {
            return error.problems.map { "\($0.offset): \($0.message)" }
        }
    }
}

struct ExpressionTests {
    @Test(arguments: FunctionLibrary.all.map { ($0.signature, $0.example.expression, $0.example.result) })
    func theExampleOfEveryFunctionIsTrue(signature: String, expression: String, result: String) throws {
        #expect(try Rule.value(expression) == result, "\(signature)")
    }

    @Test(arguments: [
        ("record.total > 0 && record.status === 'paid'", "true"), ("1 + 2 * 3 ** 2", "19"), ("2 ** 3 ** 2", "512"),
        ("(-2) ** 2", "4"), ("!false && !0", "true"), ("not record.active or record.count > 2", "true"),
        ("not record.count == 3", "false"), ("record.count in [1, 2, 3]", "true"), ("'amp' in record.title", "true"),
        ("'x' not in record.title and 2 not in [1]", "true"), ("null ?? 'a'", "\"a\""), ("a?.b ?? 1", ""),
        ("record.note?.length ?? 0", "0"), ("record.note.length", "null"), ("record.note.trim()", "null"),
        ("record.tags.a.b.c", "null"), ("`${record.count} of ${1 + 1}`", "\"3 of 2\""), ("0xFF + 1e2 + .5", "355.5"),
        ("[1, ...[2, 3]].length", "3"), ("({a: 1, ...{b: 2}}).b", "2"), ("true ? 1 : false ? 2 : 3", "1"),
        ("typeof nil", "\"object\""), ("typeof undefined", "\"undefined\""), ("undefined == null", "true"),
        ("null == 0 || null == false || undefined == ''", "false"), ("'10' == 10", "true"), ("'b' > 'a'", "true"),
        ("[10, 9, 1].sort()", "[1,10,9]"), ("items.map(i => i.qty * 2)", "[4,2]"), ("sum(items, 'qty * price')", "0.4"),
        ("sum(items, i => i.price)", "0.3"), ("items.reduce((a, i) => a + i.qty, 0)", "3"), ("nil == null", "true"),
        ("/* a */ 1 // b", "1"), ("record['title'].length", "11"), ("record.title[0]", "\"B\""),
        ("user.roles.includes('agent')", "true"), ("({a: 1})['a']", "1"), ("({})['constructor']", "null"),
        ("[1,2,3].filter((x, i) => i > 0).map(x => x + 1)", "[3,4]"), ("count(items, i => i.qty > 1)", "1"),
        ("record.note + 1 === 1", "true"), ("'abcabc'.lastIndexOf('bc')", "4"), ("'abc'.substring()", "\"abc\""),
    ])
    func anExpressionHasItsValue(source: String, value: String) throws {
        guard !value.isEmpty else { return #expect(!Rule.problems(source).isEmpty) }
        #expect(try Rule.value(source) == value, "\(source)")
    }

    /// The wanted differences from JavaScript.
    @Test(arguments: [
        // Decimals are exact.
        ("record.total * 3", "59.7"), ("record.total + 0.1", "20"), ("record.total == 19.9", "true"),
        ("record.big + 1", "9007199254740994"), ("record.big == 9007199254740993", "false"),
        ("record.total / 3", "6.633333333333333333333333333333333"), ("round(record.total / 3, 2)", "6.63"),
        ("items[0].price + items[1].price == 0.3", "true"), ("0.1 + 0.2 == 0.3", "false"),
        ("round(2.5)", "3"), ("round(-2.5)", "-3"), ("Math.round(-2.5)", "-2"), ("record.total === 19.90", "true"),
        ("record.total % 5", "4.9"), ("record.big > record.total", "true"), ("-record.total", "-19.9"),
        ("record.total ** 2", "396.01"), ("record.total == '19.9'", "true"),
        ("1 / (record.total - record.total)", "null"),
        // Dates are compared by instant.
        ("record.created_at > '2026-02-05T14:30:00Z'", "true"),
        ("record.created_at == '2026-02-05T15:30:00.250500+01:00'", "true"),
        ("record.due == '2026-03-01'", "true"), ("record.due - days(1) < record.due", "true"),
        ("record.created_at + hours(1)", "\"2026-02-05T15:30:00.250500Z\""),
        ("now - record.created_at > days(20)", "true"),
        ("record.created_at.getFullYear()", "2026"), ("String(record.due)", "\"2026-03-01\""),
        // Arrays and objects are equal by value.
        ("[1, [2]] == [1, [2]]", "true"), ("({a: [1]}) === ({a: [1]})", "true"), ("[1] != [2]", "true"),
        ("[[1]].includes([1])", "true"), ("[1, 2] in [[1, 2]]", "true"),
        // Half a pair is U+FFFD.
        ("'😀'.length", "2"), ("'😀'.charAt(0) == '\\uFFFD'", "true"),
    ])
    func aWantedDifferenceHolds(source: String, value: String) throws {
        #expect(try Rule.value(source) == value, "\(source)")
    }

    @Test(arguments: [
        ("record.totl > 0", "7: \"ticket\" has no field \"totl\"; did you mean \"total\"?"),
        ("recrd.total", "0: there is no \"recrd\" here; did you mean \"record\"?"),
        (
            "record.status == 'payd'",
            "17: this is one of \"open\", \"paid\", \"closed\", and never \"payd\"; did you mean \"paid\"?"
        ),
        ("record.status in ['open', 'shut']", "17: this is one of"),
        ("record.active > 'x'", "16: a boolean is never compared"),
        ("record.count == 'many'", "16: a number is never compared"),
        ("record.created_at < 'soon'", "20: a date is never"),
        ("record.count === 'x'.length + ''", "17: a number is never the same as text"),
        ("record.title === 5", "17: text is never the same as a number"),
        ("record.title.foo()", "13: text has no method \"foo\""),
        ("record.title.trimm()", "did you mean \"trim\"?"), ("record.title.size", "text has no member \"size\""),
        ("record.count.length", "a number has no member"), ("items.map((a, b, c, d) => a)", "at most 3 parameters"),
        ("items.map(1)", "is a function: x => …"), ("len()", "len(x) takes 1 argument, not 0"),
        ("len(1, 2)", "takes 1 argument"),
        ("record.constructor", "can't be reached"), ("({__proto__: 1})", "can't be reached"),
        ("x.prototype", "can't be reached"),
        ("x = 1", "2: expected the end, or an operator, and got \"=\"; nothing can be assigned here"),
        ("x; 1", "without statements"),
        ("this", "not part of the language"), ("function () {}", "not part of the language"),
        ("new Map()", "only new Date"),
        ("(1 + 2", "6: expected \")\" after the expression, and got the end"),
        ("1 +", "3: expected a value, and got the end"),
        ("'abc", "0: the string has no end"), ("`a${1", "the template has no end"),
        ("/ab", "the regular expression has no end"),
        ("/(?=a)/.test('a')", "Look-ahead"), ("/(a)\\1/.test('a')", "reference"), ("1 ?? 2 || 3", "needs parentheses"),
        ("-2 ** 2", "needs parentheses"), ("x => 1", "can only be an argument"),
        ("[x => 1]", "can only be an argument"),
        ("", "expected an expression"), ("1 2", "expected the end"), ("a b", "expected the end"),
        ("07", "is no number"),
        ("sum(record.count)", "\"list\" is an array, and this is a number"),
        ("days('x')", "is a number, and this is none"),
        ("Math.abs([1])", "is a number, and this is none"), ("round('x')", "is a number"),
        ("record.status == typeof x", "no value in common"),
        ("1 & 2", "&& and ||"), ("matches(record.title, '(')", "group is not closed"), ("x.[0]", "expected a name"),
        ("sum(items, 'qty *')", "in 'qty *'"), ("sum(items, 5)", "in quotes"),
        ("len", "is called with"),
        ("record.total()", "\"ticket\" has no method \"total\""), ("x.nope()", "there is no method \"nope\""),
        ("user(1)", "is no function"),
        ("Math.foo(1)", "Math has no function \"foo\""), ("@", "means nothing here"),
    ])
    func aMistakeIsFoundWhenItIsSaved(source: String, message: String) {
        let problems = Rule.problems(source)
        #expect(problems.contains { $0.contains(message) }, "\(source): \(problems)")
    }

    @Test func allMistakesOfATextAreToldWithTheirLines() throws {
        let source = "record.totl > 0 &&\n  record.stats == 'x' || len()"
        do {
            _ = try Program.compile(source, in: Rule.environment)
            Issue.record("it compiled")
        } catch {
            #expect(error.problems.count == 3)
            #expect(error.shown[1].hasPrefix("line 2, column 10: \"ticket\" has no field \"stats\""))
            #expect(error.shown[1].hasSuffix("\n  record.stats == 'x' || len()\n         ^"))
        }
    }

    @Test func aLineThatEndsInACarriageReturnIsShown() throws {
        do {
            _ = try Program.compile("x &&\r\n  nope", in: Rule.environment)
            Issue.record("it compiled")
        } catch {
            #expect(error.shown[0].hasSuffix("\n  nope\n  ^"), "\(error.shown)")
        }
    }

    @Test func anEntityTellsTheTypesOfItsFields() throws {
        let entity = EntityDefinition(
            name: "bill",
            table: "bills",
            primaryKey: .init(field: "id", type: .uuid, generated: true),
            softDelete: false,
            fields: [
                FieldDefinition(name: "id", type: .uuid), FieldDefinition(name: "sum", type: .decimal),
                FieldDefinition(name: "state", type: .string, allowedValues: [.string("new"), .string("paid")]),
                FieldDefinition(name: "due", type: .date), FieldDefinition(name: "meta", type: .json),
            ]
        )
        let environment = ExpressionEnvironment([("record", .object(ObjectType(entity)))])
        for good in [
            "record.sum > 1", "record.state == 'paid'", "record.due < '2026-01-01'", "record.meta.a[0].b == 1",
        ] {
            _ = try Program.compile(good, in: environment)
        }
        for bad in ["record.summ > 1", "record.state == 'old'", "record.due < 'soon'", "record.sum == 'x'"] {
            #expect(throws: ExpressionProblems.self) { try Program.compile(bad, in: environment) }
        }
    }

    @Test func aProgramTellsWhatItReads() throws {
        let program = try Program.compile(
            "record.total > sum(items, 'qty') && old?.status != record.status && matches(record.title, 'x')",
            in: Rule.environment
        )
        #expect(program.reads.paths == ["record.total", "items", "old.status", "record.status", "record.title"])
        #expect(program.reads.functions == ["sum", "matches"])
        #expect(program.reads.members(of: "record") == ["total", "status", "title"])
        #expect(try Program.compile("JSON.stringify(record)", in: Rule.environment).reads.members(of: "record") == nil)
    }

    /// None of these may take long, overflow the stack or fill the memory.
    @Test func hostileTextsAreRefusedOrEndWithinTheirBudget() throws {
        let many = { (text: String, count: Int) in String(repeating: text, count: count) }
        let hostile: [String] = [
            many("(", 10_000) + "1" + many(")", 10_000), many("[", 10_000), many("!", 10_000) + "1", many("-", 9_999),
            many("1+", 8_000) + "1", many("a", 1 << 20), many("`${", 5_000) + "1" + many("}`", 5_000),
            "1" + many("?1:1", 3_000), many("x.", 5_000) + "x", many("{a:", 5_000), many("x=>", 4_000) + "1",
            many("\"", 9_999),
            "[" + many("1,", 8_000) + "]", "x" + many("[0]", 5_000), "x" + many("**2", 5_000),
            many("not ", 4_000) + "1",
            many("/", 10_000), many("${", 5_000), "'" + many("\\u{10FFFF}", 1_500) + "'",
        ]
        let nested = many("sum(", 60) + "[]" + many(")", 60)
        let patterns = "[" + many("/.{1000}/,", 1_400) + "].length"
        let mistakes = "[" + many("''.a,", 3_000) + "]"
        #expect(Rule.problems(mistakes).count <= 20)
        #expect(!Rule.problems(patterns).isEmpty)
        let start = ContinuousClock.now
        for source in hostile + [nested, patterns, mistakes] {
            if let program = try? Program.compile(source, in: Rule.environment) {
                _ = try? program.json([Rule.record(), .null, .null, .array([]), .null, .null], now: Rule.now)
            }
        }
        // Each was once far cheaper than what it did.
        let undercharged = [
            "'a'.repeat(8e5).split('a'.repeat(4e5)+'b')", "'a'.repeat(6e5).replace('a'.repeat(1.5e5)+'b','')",
            "('a'.repeat(4e4)+'b') in 'a'.repeat(8e4)",
            "['a'.repeat(3e6)].map(s => 'x'.repeat(1000).split('').map(c => s).sort().length)",
            "['a'.repeat(3e6)].map(s => 'x'.repeat(8000).split('').map(c => ({a:1})[s]).length)",
            "['0'.repeat(3e6)].map(s => 'x'.repeat(8000).split('').map(c => [1][s]).length)",
            "['1'.repeat(3e6)].map(s => 'x'.repeat(8000).split('').map(c => record.total == s).length)",
            "['2026-01-01T00:00:00.' + '0'.repeat(3e6) + 'Z'].map(s => 'x'.repeat(8000).split('').map(c => record.due == s))",
            "'x'.replace(/(?<n>x)/, '$<'.repeat(2e5))", "'x'.repeat(30000).split('').reduce((a, x) => [a], 0)",
            "'x'.repeat(30000).split('').reduce((a, x) => ({a}), 0)",
            "'x'.repeat(9000).split('').reduce((a, x) => [1].map(y => a), 0)",
            "'a'.repeat(1e4).split(/" + many("(a)|", 400) + "b/)", "({...'a'.repeat(1.5e6)})",
            "Object.keys('a'.repeat(1.5e6))",
            "'a'.repeat(2e4).replace(/a(?:.*b)?/g, 'x')", "'a'.repeat(5e4).match(/[ab].{1000}c/)",
        ]
        for source in undercharged {
            let begin = ContinuousClock.now
            do throws(EvaluationFailure) {
                let program = try? Program.compile(source, in: Rule.environment)
                _ = try program?.value([Rule.record(), .null, .null, .array([]), .null, .null], now: Rule.now)
            } catch {}
            // In a debug build, with every other test beside it.
            #expect(ContinuousClock.now - begin < .seconds(20), "\(source.prefix(60))")
        }
        let running = [
            "'ab'.repeat(1e9)", "[1,2,3].map(a => [1,2,3].map(b => 'x'.repeat(1e6)))", "'x'.padStart(1e12)",
            many("[1,2,3,4,5,6,7,8,9].flatMap(a => ", 12) + "[a]" + many(")", 12),
            "'a'.repeat(1e5).split('').map(c => c + c).join('')",
            "[1,2,3].reduce((a, x) => a + a, 'xxxxxxxxxxxxxxxxxxxx'.repeat(1e5))", "(1e308 * 10) ** 0.5 % 0",
            "1 / 0 - 1 / 0",
            "matches('a'.repeat(3e5) + 'b', '(a+)+$')", "'a'.repeat(1e6).replace(/(a*)*b/, 'x')",
            "'x'.repeat(5e5).indexOf('x'.repeat(2e5) + 'y')",
            "[...'a'.repeat(1e6)].sort()", "record.big ** 1000", "record.big ** 99999999999", "record.total / 3 ** 99",
            "[1].at(1e300)",
            "'abc'.slice(-1e300, 1e300)", "'abc'.at(NaN)", "parseInt('z'.repeat(1e6), 36)", "new Date(8.64e15 + 1) + 1",
            "new Date(NaN).toISOString()",
            "record.created_at + 1e300", "Math.max(...[1,2,3].map(x => x ** 999))",
            "JSON.stringify([[[[[[[[[[1]]]]]]]]]])",
            "Object.entries('a'.repeat(1e5)).length", "'💥'.repeat(1e5).split('').length", "[].reduce((a, b) => a)",
            "'a'.concat(...'b'.repeat(1e5))",
        ]
        for source in running {
            do {
                _ = try Rule.value(source)
            } catch is EvaluationFailure {
            } catch let error as ExpressionProblems {
                Issue.record("\(source): \(error.problems)")
            }
        }
        #expect(ContinuousClock.now - start < .seconds(60))
    }
}
