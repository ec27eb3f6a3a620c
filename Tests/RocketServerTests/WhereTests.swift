import Foundation
import RocketExpression
import RocketModel
import RocketTestSupport
import Testing

/// `?where=<expression>`: the database finds the records for which the expression holds.
struct WhereTests {
    private static let fields: [(name: String, type: FieldType)] = [
        ("title", .string), ("status", .string), ("count", .int), ("big", .bigint), ("ratio", .float),
        ("price", .decimal), ("active", .boolean), ("at", .timestamp), ("day", .date), ("ref", .uuid),
        ("other", .string), ("limit", .int), ("boss_id", .uuid),
    ]

    private static func run(
        _ store: TestStore,
        _ test: (TestApp, [TestJSON]) async throws -> Void
    ) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "boss",
                fields: [["name": "name", "type": "string"], ["name": "level", "type": "int"]]
            )
            try await app.makeEntity(
                "task",
                fields: fields.map { ["name": .string($0.name), "type": .string($0.type.rawValue)] }
            )
            let relation = Bazaar.relation(
                "tasks",
                "one_to_many",
                "boss",
                "task",
                by: "boss_id",
                onDelete: "set_null",
                more: ["inverse": "boss"]
            )
            #expect(try await app.post("_admin/relations", relation).status == 201)
            var random = Seeded(7)
            let bosses: [JSONValue] = [
                ["id": .string(Bazaar.id(1, 1)), "name": "Ada", "level": 3],
                ["id": .string(Bazaar.id(1, 2)), "name": nil],
            ]
            let tasks = (0..<60).map { row($0, &random) }
            let data: JSONValue = ["sample_data": ["boss": .array(bosses), "task": .array(tasks)]]
            let imported = try await app.post("_admin/import", data)
            #expect(imported.status == 200, "\(imported)")
            try await test(app, try await app.get("task?per_page=100&include=boss")["data"].array)
        }
    }

    private static let texts = ["open", "paid", "", "Ärger", "a'b", "10", "😀", "OPEN", "re-open"]

    private static func row(_ index: Int, _ random: inout Seeded) -> JSONValue {
        var row: JSONObject = ["id": .string(Bazaar.id(2, index))]
        func pick(_ values: [JSONValue]) -> JSONValue { values[Int(random.next() % UInt64(values.count))] }
        let words = texts.map(JSONValue.string)
        row["title"] = pick(words + [nil])
        row["status"] = pick(words + [nil])
        row["other"] = pick(words + [nil])
        row["count"] = pick([0, 1, -1, 5, 10, 2_147_483_647, nil])
        row["limit"] = pick([0, 1, 5, 7, nil])
        row["big"] = pick([0, 9, .string("9007199254740993"), .string("-9223372036854775808"), nil])
        row["ratio"] = pick([0, .number(JSONNumber(unchecked: "0.1")), .number(JSONNumber(unchecked: "-2.5")), nil])
        row["price"] = pick([0, "0.10", "19.9", "19.90", "-3", "123456789012345678.05", nil])
        row["active"] = pick([true, false, nil])
        row["at"] = pick(["2026-02-28T11:30:00Z", "2026-03-02T12:00:00.000001Z", "1969-01-01T00:00:00Z", nil])
        row["day"] = pick(["2026-03-01", "2025-12-31", nil])
        row["ref"] = pick([.string(Bazaar.id(3, 1)), .string(Bazaar.id(3, 2)), nil])
        row["boss_id"] = pick([.string(Bazaar.id(1, 1)), .string(Bazaar.id(1, 2)), nil])
        return .object(row)
    }

    // MARK: the language itself

    private static let now = DateValue(milliseconds: 1_772_366_400_000)
    private static let environment = ExpressionEnvironment(
        (fields.map(\.name) + ["boss", "now", "user"]).map { ($0, .any) }
    )

    /// What the expression says of a record that was read.
    private static func holds(_ program: Program, _ record: TestJSON) throws -> Bool {
        var values = try fields.map { field -> ExpressionValue in
            let shape = ValueShape(type: field.type)
            return ExpressionValue(try shape.value(of: record[field.name].value), type: field.type)
        }
        values.append(ExpressionValue(record["boss"].value))
        values.append(.date(now))
        values.append(.object(ExpressionObject([("id", .string("u")), ("roles", .array([.string("admin")]))])))
        return try program.value(values, now: now).isTruthy
    }

    private struct Writer {
        var random: Seeded

        mutating func one(_ items: [String]) -> String { items[Int(random.next() % UInt64(items.count))] }

        mutating func condition(_ depth: Int) -> String {
            guard depth > 0, random.next() % 4 > 0 else { return atom() }
            switch random.next() % 4 {
            case 0: return "(\(condition(depth - 1)) && \(condition(depth - 1)))"
            case 1: return "(\(condition(depth - 1)) or \(condition(depth - 1)))"
            case 2: return "!(\(condition(depth - 1)))"
            default: return "(\(condition(depth - 1)) || \(condition(depth - 1)))"
            }
        }

        mutating func atom() -> String {
            let op = one(["==", "!=", "<", "<=", ">", ">=", "===", "!=="])
            let equal = one(["==", "!=", "===", "!=="])
            let text = one(["'open'", "'paid'", "''", "'Ärger'", "'a\\'b'", "'10'", "\"OPEN\"", "'z'"])
            let number = one([
                "0", "1", "-1", "5", "0.1", "19.9", "1e3", "-2.5", "9007199254740993", "1e20", "-9223372036854775808",
                "-1e30",
            ])
            switch random.next() % 25 {
            case 0: return "\(one(["title", "status", "other"])) \(op) \(text)"
            case 1: return "\(text) \(op) \(one(["title", "status"]))"
            case 2: return "\(one(["count", "big", "ratio", "price", "limit"])) \(op) \(number)"
            case 3: return "\(number) \(op) \(one(["count", "big", "ratio", "price"]))"
            case 4: return "active \(equal) \(one(["true", "false"]))"
            case 5: return one(["active", "!active", "title", "count", "ratio", "price", "at", "ref", "big"])
            case 6:
                return
                    "\(one(["title", "count", "at", "price", "active", "ref", "boss.name"])) \(one(["==", "!="])) null"
            case 7:
                return
                    "at \(op) \(one(["now", "now - days(1)", "'2026-02-28T11:30:00Z'", "'2026-03-01'", "new Date(0)"]))"
            case 8:
                return
                    "day \(op) \(one(["'2026-03-01'", "today()", "'2025-12-31'", "now", "now - days(1)", "'2026-03-01T12:00:00Z'"]))"
            case 9: return "ref \(equal) \(one(["'\(Bazaar.id(3, 1))'", "'x'", "'\(Bazaar.id(3, 9))'"]))"
            case 10: return "status in ['open', 'paid', \(one(["null", "5", "''"]))]"
            case 11: return "count not in [1, 5, \(one(["null", "'x'", "1.5"]))]"
            case 12: return "price in [19.9, 0, 0.1]"
            case 13:
                return
                    "\(one(["title", "status", "boss.name"])).\(one(["includes", "startsWith", "endsWith"]))(\(one(["'o'", "'open'", "''", "'é'", "'n'", "'r'", "'😀'"])))"
            case 14: return "\(one(["'pe'", "''", "'b'"])) in title"
            case 15: return "count \(one(["+", "-", "*"])) limit \(op) \(one(["5", "0", "10", "-1", "2.5"]))"
            case 16: return "title \(equal) \(one(["status", "other"]))"
            case 17: return "count \(op) limit"
            case 18: return "boss.name \(op) \(one(["'Ada'", "'B'", "''"]))"
            case 19: return "boss.level \(op) \(one(["3", "0", "-1", "2"]))"
            case 20: return "boss.level in [3, \(one(["null", "4"]))]"
            default:
                return one(["true", "'admin' in user.roles", "1 > 2", "user.roles.includes(status)"])
            }
        }
    }

    /// The database and the language agree on every record. `WHERE_RUNS` says how many expressions are tried.
    @Test(arguments: TestStore.allCases)
    func theDatabaseFindsWhatTheLanguageSays(store: TestStore) async throws {
        let runs = ProcessInfo.processInfo.environment["WHERE_RUNS"].flatMap(Int.init) ?? 250
        let seed = UInt64.random(in: 0...1_000_000)
        var writer = Writer(random: Seeded(seed))
        try await Self.run(store) { app, records async throws in
            #expect(records.count == 60)
            var answered = 0
            for _ in 0..<runs {
                let source = writer.condition(3)
                let query = source.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                let answer = try await app.get("task?per_page=100&where=\(query)")
                guard answer.status == 200 else {
                    #expect(answer.status == 400, "seed \(seed): \(source): \(answer)")
                    continue
                }
                let program: Program
                do {
                    program = try Program.compile(source, in: Self.environment)
                } catch {
                    continue
                }
                answered += 1
                let expected = try records.filter { try Self.holds(program, $0) }.map { $0["id"].string ?? "" }
                let found = answer["data"].array.map { $0["id"].string ?? "" }
                let wrong = Set(expected).symmetricDifference(found)
                #expect(
                    wrong.isEmpty && answer["meta"]["total"].int == found.count,
                    "seed \(seed): \(source): \(records.filter { wrong.contains($0["id"].string ?? "") }.prefix(2)) found \(!found.isEmpty)"
                )
            }
            #expect(answered > runs / 2)
        }
    }

    @Test(arguments: TestStore.allCases)
    func longConditionsAreAnsweredAndDeepOnesRefused(store: TestStore) async throws {
        try await Self.run(store) { app, _ async throws in
            func status(_ source: String) async throws -> Int {
                let query = source.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                return try await app.get("task?where=\(query)").status
            }
            let many = { (text: String, count: Int) in Array(repeating: text, count: count) }
            #expect(try await status(many("count == 1", 150).joined(separator: " || ")) == 200)
            #expect(try await status(many("boss.name == 'x'", 55).joined(separator: " && ")) == 200)
            #expect(try await status(many("!", 101).joined() + "active") == 200)
            #expect(try await status("count" + many(" + 1", 15).joined() + " > 5") == 200)
            #expect(
                try await status(
                    many("(count == 1 || (limit == 2 && ", 10).joined() + "active" + many("))", 10).joined()
                ) == 200
            )
            #expect(try await status("count" + many(" + 1", 90).joined() + " > 5") == 400)
            #expect(try await status(many("!(count == 1 || ", 30).joined() + "active" + many(")", 30).joined()) == 400)
            #expect(try await status(many("boss.name == 'x'", 70).joined(separator: " && ")) == 400)
            for (condition, total) in [
                ("big == -9223372036854775808", 0), ("big <= -9223372036854775808", 0),
                ("big == -9223372036854775807", 0),
                ("big in [-9223372036854775808]", 0), ("big < 1e30", 60), ("big > 9223372036854775808", 0),
            ] {
                let query = condition.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                #expect(
                    try await app.get("task?where=\(query)")["meta"]["total"] == TestJSON(.integer(total)),
                    "\(condition)"
                )
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatTheDatabaseCantBeAskedIsToldWithItsPlace(store: TestStore) async throws {
        try await Self.run(store) { app, _ async throws in
            let cases: [(String, String, String)] = [
                ("title.length > 3", "INVALID_PARAMETER", "\"length\""),
                ("matches(title, 'x')", "INVALID_PARAMETER", "this call"),
                ("titel == 'x'", "UNKNOWN_FIELD", "did you mean \\\"title\\\""),
                ("boss.nme == 'x'", "UNKNOWN_FIELD", "nme"),
                ("boss.tasks.count == 1", "INVALID_PARAMETER", "many records"),
                ("title == 5", "INVALID_PARAMETER", "is compared with"),
                ("count / 2 == 1", "INVALID_PARAMETER", "can't be asked"),
                ("title ==", "INVALID_PARAMETER", "expected a value"),
                ("price * 2 > 1", "INVALID_PARAMETER", "whole numbers"),
                ("title < other", "INVALID_PARAMETER", "orders two fields"),
                ("title > '😀'", "INVALID_PARAMETER", "another order"),
                ("at > 'soon'", "INVALID_PARAMETER", "is a date"),
                ("(title == 'a') == active", "INVALID_PARAMETER", "truth"),
                ("boss == null", "UNKNOWN_FIELD", "no field"),
                ("record.title == 'x'", "UNKNOWN_FIELD", "record"), ("", "INVALID_PARAMETER", "expected an expression"),
                ("status in other", "INVALID_PARAMETER", "use of in"), ("nope(1)", "INVALID_PARAMETER", ""),
                ("title == user.idd", "INVALID_PARAMETER", "did you mean \\\"id\\\""),
                ("boss.name === null", "INVALID_PARAMETER", "null from undefined"),
                ("title < 'a\\0'", "INVALID_PARAMETER", "NUL"), ("count * 1e-9 > 0", "INVALID_PARAMETER", "too small"),
                ("title == 'a'.repeat(7e4)", "INVALID_PARAMETER", "too large"),
            ]
            for (source, code, words) in cases {
                let query = source.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                let answer = try await app.get("task?where=\(query)")
                #expect(answer.status == 400 && answer.code == code, "\(source): \(answer)")
                #expect(
                    words.isEmpty || answer.text.contains(words.replacing("\\\"", with: "\"").jsonEscaped),
                    "\(source): \(answer)"
                )
            }
            let open = try await app.get(
                "task?where=status%20==%20'open'%20%26%26%20boss.name.startsWith('A')&filter%5Bcount.is_null%5D=false"
            )
            #expect(open.status == 200, "\(open)")
        }
    }
}

extension String {
    fileprivate var jsonEscaped: String { replacing("\"", with: "\\\"") }
}

/// SplitMix64: the same numbers for the same seed.
private struct Seeded: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
