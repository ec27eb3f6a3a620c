import Foundation
import RocketExpression
import RocketModel
import RocketTestSupport
import Testing

/// JavaScript itself is the oracle: random expressions have the same values there and here.
///
/// `DIFFERENTIAL_RUNS` says how many are tried (default 3,000), `DIFFERENTIAL_SEED` with which seed.
struct NodeTests {
    private struct Case {
        let environment: String
        let expression: String
    }

    private static let names = ["n", "m", "s", "t", "b", "z", "l", "k", "o", "p"]
    private static let environment = ExpressionEnvironment(names.map { ($0, .any) })

    @Test func randomExpressionsHaveTheValuesThatNodeGivesThem() throws {
        let settings = ProcessInfo.processInfo.environment
        let count = settings["DIFFERENTIAL_RUNS"].flatMap(Int.init) ?? 3_000
        let seed = settings["DIFFERENTIAL_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...1_000_000)
        var random = RandomExpressions(seed: seed)
        let cases = (0..<count).map { _ in
            Case(environment: random.environment(), expression: random.expression())
        }
        let wanted = try Self.node(cases)
        #expect(wanted.count == count)
        var compared = 0
        var differences: [String] = []
        for (one, want) in zip(cases, wanted) {
            guard let got = try Self.ours(one) else { continue }
            compared += 1
            if got != want {
                differences.append("\(one.expression)\n  with \(one.environment)\n  node \(want)\n  ours \(got)")
            }
        }
        print(
            "differential: seed \(seed), \(count) expressions, \(compared) compared, \(differences.count) differences"
        )
        #expect(differences.isEmpty, "seed \(seed): \(differences.prefix(12).joined(separator: "\n"))")
        // What is refused when it is saved can't be compared; it must not be most of it.
        #expect(compared > count * 3 / 5)
    }

    // MARK: ours

    /// The value in the form in which the oracle writes it; nil for a text that is refused.
    private static func ours(_ one: Case) throws -> String? {
        let values = try #require(try JSONParser.parse(one.environment).objectValue)
        let program: Program
        do {
            program = try Program.compile(one.expression, in: environment)
        } catch {
            return nil
        }
        do throws(EvaluationFailure) {
            let value = try program.value(names.map { ExpressionValue(values[$0] ?? .null) }, now: .invalid)
            return canonical(value)
        } catch {
            // What is over the budget says nothing about the value.
            return error.message.contains("too many steps") || error.message.contains("too much") ? nil : "!"
        }
    }

    private static func canonical(_ value: ExpressionValue) -> String {
        switch value {
        case .undefined: "u"
        case .null: "n"
        case .boolean(let flag): flag ? "t" : "f"
        case .number(let number): number == 0 && number.sign == .minus ? "-0" : NumberText.string(number)
        case .decimal(let number): "d\(number)"
        case .string(let text): "s" + JSONValue.string(text).jsonText
        case .date(let date): "D\(date.milliseconds)"
        case .array(let items): "[" + items.map(canonical).joined(separator: ",") + "]"
        case .object(let object):
            "{"
                + zip(object.keys.names, object.values).sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
                .map { "\(JSONValue.string($0.0).jsonText):\(canonical($0.1))" }.joined(separator: ",") + "}"
        case .pattern: "r"
        }
    }

    // MARK: the oracle

    private static let script = #"""
        const lines = require('fs').readFileSync(process.argv[2], 'utf8').split('\n').filter(l => l);
        const text = s => JSON.stringify(s.toWellFormed());
        const bytes = (a, b) => Buffer.compare(Buffer.from(a.toWellFormed()), Buffer.from(b.toWellFormed()));
        function canonical(v) {
          if (v === undefined) return 'u';
          if (v === null) return 'n';
          if (typeof v === 'boolean') return v ? 't' : 'f';
          if (typeof v === 'number') return Object.is(v, -0) ? '-0' : String(v);
          if (typeof v === 'string') return 's' + text(v);
          if (Array.isArray(v)) return '[' + Array.from(v, canonical).join(',') + ']';
          if (v instanceof RegExp) return 'r';
          if (typeof v === 'object') {
            return '{' + Object.keys(v).sort(bytes).map(k => text(k) + ':' + canonical(v[k])).join(',') + '}';
          }
          return '?';
        }
        const out = lines.map(line => {
          const one = JSON.parse(line);
          try {
            return canonical(new Function('env', 'with (env) { return (' + one.e + ') }')(one.v));
          } catch (error) { return '!'; }
        });
        require('fs').writeFileSync(process.argv[3], out.join('\n'));
        """#

    /// All values in one process of Node.js.
    private static func node(_ cases: [Case]) throws -> [String] {
        let directory = try TemporaryDirectory()
        defer { try? directory.remove() }
        let (program, input, output) = (
            directory.url.appendingPathComponent("oracle.js"), directory.url.appendingPathComponent("in"),
            directory.url.appendingPathComponent("out")
        )
        try script.write(to: program, atomically: true, encoding: .utf8)
        let lines = cases.map { one in
            "{\"v\":\(one.environment),\"e\":\(JSONValue.string(one.expression).jsonText)}"
        }
        try lines.joined(separator: "\n").write(to: input, atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["node", program.path, input.path, output.path]
        process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin", "TZ": "UTC"]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw TestFailure("node is not there, or failed: scripts/setup.sh --test installs it")
        }
        return try String(contentsOf: output, encoding: .utf8).components(separatedBy: "\n")
    }
}
