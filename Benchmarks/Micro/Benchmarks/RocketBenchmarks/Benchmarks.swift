import Benchmark
import Foundation
import Logging
import RocketDatabase
import RocketEngine
import RocketExpression
import RocketModel
import RocketPlanning
import RocketServer

// What one request is made of, piece by piece: JSON, planning, SQL, expressions, rows of a database, tokens.

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .cpuTotal, .throughput],
        scalingFactor: .kilo,
        maxDuration: .seconds(2)
    )
    jsonBenchmarks()
    planningBenchmarks()
    expressionBenchmarks()
    databaseBenchmarks()
    tokenBenchmarks()
}

// MARK: JSON

private func jsonBenchmarks() {
    let body = Array(Desk.body.jsonBytes)
    Benchmark("JSON: read a ticket of \(body.count) bytes") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try JSONParser.parse(body)) }
    }
    Benchmark("JSON: write the same") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(Desk.body.jsonBytes) }
    }
}

// MARK: planning and SQL

private func planningBenchmarks() {
    for dialect in [SQLDialect.sqlite, .postgres] {
        Benchmark("Planning: get by id, \(dialect.rawValue)") { benchmark in
            let desk = try Desk(dialect)
            for _ in benchmark.scaledIterations { blackHole(try desk.get()) }
        }
        Benchmark("Planning: list, filtered and sorted, from its text to its SQL, \(dialect.rawValue)") { benchmark in
            let desk = try Desk(dialect)
            for _ in benchmark.scaledIterations { blackHole(try desk.list()) }
        }
        Benchmark("Planning: create with its checks, and its INSERT, \(dialect.rawValue)") { benchmark in
            let desk = try Desk(dialect)
            for _ in benchmark.scaledIterations { blackHole(try desk.insert()) }
        }
        Benchmark("Planning: update, and its SQL, \(dialect.rawValue)") { benchmark in
            let desk = try Desk(dialect)
            for _ in benchmark.scaledIterations { blackHole(try desk.update()) }
        }
    }
}

// MARK: expressions

private func expressionBenchmarks() {
    let record = ObjectType(name: "ticket", members: [("total", .decimal), ("status", .text)])
    let environment = ExpressionEnvironment([("record", .object(record))])
    let source = "record.total > 0 && record.status === 'paid'"
    let values: [ExpressionValue] = [
        .object(
            ExpressionObject(
                record.keys,
                [DecimalNumber("19.90").map(ExpressionValue.decimal) ?? .null, .string("paid")]
            )
        )
    ]
    Benchmark("Expression: compile a rule") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try Program.compile(source, in: environment)) }
    }
    Benchmark("Expression: evaluate it") { benchmark in
        let program = try Program.compile(source, in: environment)
        let now = DateValue(milliseconds: 1_772_366_400_000)
        for _ in benchmark.scaledIterations { blackHole(try program.value(values, now: now)) }
    }
}

// MARK: rows

private func databaseBenchmarks() {
    Benchmark("SQLite: get by id into JSON, through the reader's queue", configuration: .init(scalingFactor: .kilo)) {
        benchmark in
        let rows = try await Rows()
        let plan = try rows.desk.get(rows.id)
        benchmark.startMeasurement()
        for _ in benchmark.scaledIterations {
            blackHole(try await RecordReader.one(plan, id: rows.id, of: rows.desk.entity, from: rows.database))
        }
        benchmark.stopMeasurement()
        await rows.close()
    }
    Benchmark("SQLite: list of 25 of 1,000 rows with the total", configuration: .init(scalingFactor: .one)) {
        benchmark in
        let rows = try await Rows()
        let plan = try rows.desk.list()
        benchmark.startMeasurement()
        for _ in 0..<100 {
            blackHole(try await RecordReader.list(plan, of: rows.desk.entity, from: rows.database))
        }
        benchmark.stopMeasurement()
        await rows.close()
    }
}

// MARK: tokens

private func tokenBenchmarks() {
    let secrets = Secrets(
        jwt: String(repeating: "a", count: 40),
        platformJWT: String(repeating: "b", count: 40),
        encryption: String(repeating: "c", count: 40)
    )
    let dependencies = EngineDependencies.system(logger: Logger(label: "benchmarks"))
    let user = StoredUser(
        id: "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d",
        email: "ada@example.com",
        passwordHash: "",
        roles: ["admin"],
        isActive: true,
        attributes: JSONObject(),
        createdAt: dependencies.now(),
        updatedAt: dependencies.now()
    )
    Benchmark("Tokens: check one that is known") { benchmark in
        let tokens = AccessTokens(secrets: secrets, dependencies: dependencies)
        let token = try await tokens.issue(to: user, by: .platform)
        for _ in benchmark.scaledIterations {
            blackHole(await tokens.principal(of: token, from: [(.platform, TokenFloors([:]))]))
        }
    }
    Benchmark("Tokens: check one that is new", configuration: .init(scalingFactor: .one)) { benchmark in
        let maker = AccessTokens(secrets: secrets, dependencies: dependencies)
        let token = try await maker.issue(to: user, by: .platform)
        for _ in 0..<100 {
            let tokens = AccessTokens(secrets: secrets, dependencies: dependencies)
            blackHole(await tokens.principal(of: token, from: [(.platform, TokenFloors([:]))]))
        }
    }
}
