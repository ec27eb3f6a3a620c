import RocketExpression
import RocketModel

// Nanoseconds that an expression takes to compile and to run, on typical rules over a record of twelve fields.
//
//     expression-benchmark [count of evaluations] [which rule, from 0]
//
// valgrind says how many allocations a run has: `Benchmarks/expressions.sh` takes the difference of two runs.

let ticket = ObjectType(
    name: "ticket",
    members: [
        ("id", .text), ("title", .text), ("status", .choice(["open", "paid", "closed"])), ("total", .decimal),
        ("count", .number), ("active", .boolean), ("created_at", .date), ("due", .date), ("note", .text),
        ("ratio", .number), ("owner", .text), ("customer_id", .text),
    ]
)
let environment = ExpressionEnvironment([
    ("record", .object(ticket)), ("old", .object(ticket)), ("items", .array(.any)), ("now", .date),
])
let now = DateValue(milliseconds: 1_772_366_400_000)

func decimal(_ text: String) -> ExpressionValue { DecimalNumber(text).map(ExpressionValue.decimal) ?? .null }

let record = ExpressionValue.object(
    ExpressionObject(
        ticket.keys,
        [
            .string("30000000-0000-4000-8000-000000000001"), .string("Broken lamp"), .string("paid"), decimal("19.90"),
            .number(3), .boolean(true), .date(now), .date(now), .null, .number(0.1), .string("ada"), .string("c"),
        ]
    )
)
let items = ExpressionValue.array(
    (0..<5).map { index in
        .object(ExpressionObject([("qty", .number(Double(index + 1))), ("price", decimal("9.95"))]))
    }
)
let values = [record, record, items, ExpressionValue.date(now)]

let rules = [
    ("a comparison of two fields", "record.total > 0 && record.status === 'paid'"),
    (
        "a change and a text",
        "old.status != record.status and not record.title.startsWith('Test') and len(record.note) < 200"
    ),
    ("a sum over five children", "record.total != sum(items, 'qty * price')"),
]
let count = CommandLine.arguments.dropFirst().first.flatMap(Int.init) ?? 1_000_000

func nanoseconds(_ repetitions: Int, _ work: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    for _ in 0..<repetitions { try work() }
    let taken = (ContinuousClock.now - start).components
    return (Double(taken.seconds) * 1e9 + Double(taken.attoseconds) / 1e9) / Double(max(1, repetitions))
}

let chosen = CommandLine.arguments.dropFirst(2).first.flatMap(Int.init)
for (index, (name, source)) in rules.enumerated() where chosen == nil || chosen == index {
    let program = try Program.compile(source, in: environment)
    var truths = 0
    let run = try nanoseconds(count) { if try program.value(values, now: now).isTruthy { truths += 1 } }
    let compile = try nanoseconds(min(count, 5_000)) { _ = try Program.compile(source, in: environment) }
    print("\(name)\t\(Int(run)) ns\t\(Int(compile)) ns to compile\t\(truths == 0 ? "false" : "true")")
}
