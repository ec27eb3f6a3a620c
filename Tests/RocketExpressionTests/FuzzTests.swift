import Foundation
import RocketExpression
import RocketModel
import Testing

/// Texts that nobody would write: whatever they are, they are refused or end within their budget.
///
/// `FUZZ_SECONDS` says for how long (default 2), `FUZZ_SEED` with which seed. A trap ends the process, and the last
/// texts stand in the file that `FUZZ_LOG` names.
struct FuzzTests {
    private static let names = ["n", "m", "s", "t", "b", "z", "l", "k", "o", "p", "d", "record"]

    private static let pieces: [String] =
        FunctionLibrary.all.map(\.example.expression)
        + FunctionLibrary.all.map(\.name) + [
            "(", ")", "[", "]", "{", "}", "`", "${", "'", "\"", "\\", "/", "//", "/*", "*/", "=>", "?.", "??", "...",
            "**",
            "not in", " in ", " and ", " or ", "not ", "typeof ", "new Date(", "1e309", "-1e400", "0x", "9e15", "-0",
            "NaN",
            "Infinity", "9223372036854775807", "-9223372036854775808", "1e18", "'\\u{D800}'", "\u{FEFF}", "\u{2028}",
            "😀", "e\u{301}",
            "/(a*)*/g", "/[^]/", "/\\b/g", "/(?<x>.)/", "'x'.repeat(99999)", "[1,2,3]", "({a:1})", ",", ";", "=", ".",
            "&&", "||",
            "record.total", "d * d", "d / 3", "d ** 99", "d % 7", "round(d, 300)", "sum(p, 'q')", "sum(p, '", "x=>x",
            "(a,b)=>a",
        ]

    @Test func textsOfChanceNeverTrap() throws {
        let settings = ProcessInfo.processInfo.environment
        let seconds = settings["FUZZ_SECONDS"].flatMap(Double.init) ?? 2
        let seed = settings["FUZZ_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...1_000_000)
        let log = settings["FUZZ_LOG"].map { URL(fileURLWithPath: $0) }
        var random = Seeded(seed)
        var writer = RandomExpressions(seed: seed)
        let record = ObjectType(name: "record", members: [("total", .decimal), ("status", .choice(["a", "b"]))])
        let environment = ExpressionEnvironment(
            Self.names.map { ($0, $0 == "record" ? .object(record) : $0 == "d" ? .decimal : .any) }
        )
        let end = ContinuousClock.now + .milliseconds(Int(seconds * 1000))
        var (tried, compiled, slowest) = (0, 0, Duration.zero)
        var values = try Self.values(writer.environment(), record)
        while ContinuousClock.now < end {
            let source = Self.mutated(writer.expression(), &random)
            if let log { try source.write(to: log, atomically: false, encoding: .utf8) }
            tried += 1
            if tried % 500 == 0 { values = try Self.values(writer.environment(), record) }
            let start = ContinuousClock.now
            if let program = try? Program.compile(source, in: environment) {
                compiled += 1
                _ = try? program.json(values, now: DateValue(milliseconds: 1e12))
            }
            let taken = ContinuousClock.now - start
            if taken > slowest { slowest = taken }
            #expect(taken < .seconds(5), "seed \(seed): \(source.prefix(500))")
            for problem in Self.problems(source, environment) {
                #expect((0...source.utf8.count).contains(problem.offset))
                #expect(!problem.shown(in: source).isEmpty)
            }
        }
        print("fuzz: seed \(seed), \(tried) texts, \(compiled) compiled, slowest \(slowest)")
        #expect(compiled > tried / 50)
    }

    private static func problems(_ source: String, _ environment: ExpressionEnvironment) -> [SyntaxProblem] {
        do throws(ExpressionProblems) {
            _ = try Program.compile(source, in: environment)
            return []
        } catch {
            return error.problems
        }
    }

    private static func values(_ json: String, _ record: ObjectType) throws -> [ExpressionValue] {
        let object = try JSONParser.parse(json).objectValue
        return names.map { name in
            switch name {
            case "record":
                .object(ExpressionObject(record.keys, [.decimal(DecimalNumber("1.5") ?? .zero), .string("a")]))
            case "d": DecimalNumber("123456789.123456789").map(ExpressionValue.decimal) ?? .null
            default: ExpressionValue(object?[name] ?? .null)
            }
        }
    }

    /// The text with some of it taken out, doubled, exchanged or replaced.
    private static func mutated(_ source: String, _ random: inout Seeded) -> String {
        var scalars = Array(source.unicodeScalars)
        for _ in 0..<(random.next() % 5) {
            let place = scalars.isEmpty ? 0 : Int(random.next() % UInt64(scalars.count + 1))
            let length = min(Int(random.next() % 8), scalars.count - place)
            switch random.next() % 6 {
            case 0: scalars.removeSubrange(place..<(place + length))
            case 1:
                scalars.insert(contentsOf: pieces[Int(random.next() % UInt64(pieces.count))].unicodeScalars, at: place)
            case 2: scalars.insert(contentsOf: scalars[place..<(place + length)], at: place)
            case 3:
                guard place < scalars.count, let scalar = Unicode.Scalar(UInt32(random.next() % 0x180)) else {
                    continue
                }
                scalars[place] = scalar
            case 4 where scalars.count < 2000:
                for _ in 0..<(random.next() % 40) {
                    scalars.insert(contentsOf: scalars[place..<(place + length)], at: place)
                }
            default:
                let other = pieces[Int(random.next() % UInt64(pieces.count))].unicodeScalars
                scalars.replaceSubrange(place..<(place + length), with: other)
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
