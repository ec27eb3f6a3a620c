import Foundation
import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Random rows, policies, reads and writes: the server and a model of the contract (`LeakModel`) must agree on what a
/// user sees and may change, and a row that the user does not see must show in no byte of any answer.
///
/// `LEAK_RUNS` says how many cases are tried and `LEAK_SEED` which one is the first. Each case has a seed of its own, one
/// more than the one before; a failure tells it, and `LEAK_RUNS=1` repeats that case alone.
struct LeakTests {
    @Test(arguments: TestStore.allCases)
    func aUserSeesAndChangesWhatThePoliciesSayAndNothingElseShows(store: TestStore) async throws {
        let environment = ProcessInfo.processInfo.environment
        let runs = environment["LEAK_RUNS"].flatMap(Int.init) ?? 20
        let seed = environment["LEAK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0..<1_000_000_000)
        try await TestServer.run(store) { server async throws in
            var run = try await LeakRun(server)
            for index in 0..<UInt64(runs) { try await run.runCase(seed: seed + index) }
            // Cases in which everything or nothing is hidden would prove little.
            let counts = run.counts
            if environment["LEAK_RUNS"] != nil { print("leaks on \(store): \(runs) cases from \(seed): \(counts)") }
            guard runs >= 20 else { return }
            #expect(
                counts.seen > 0 && counts.hidden > 0 && counts.forbidden > 0,
                "seed \(seed): \(counts)"
            )
            #expect(counts.unnoticed > runs / 2, "seed \(seed): \(counts)")
            #expect(counts.written > runs / 8 && counts.refused > runs / 8, "seed \(seed): \(counts)")
        }
    }
}

private struct LeakRun {
    struct Counts {
        /// Queries of the user that had rows, that had none, and that were refused.
        var seen = 0
        var empty = 0
        var forbidden = 0
        /// Rows that were hidden when queries were asked.
        var hidden = 0
        /// Changes of hidden rows that no answer told of.
        var unnoticed = 0
        /// Writes of the user that were done, and that were refused though the row was there.
        var written = 0
        var refused = 0
    }

    private static let readsPerCase = 8
    private static let changesPerCase = 4
    private static let writesPerCase = 4

    private let admin: TestApp
    private let caller: TestApp
    private let user: LeakUser
    /// The administrator.
    private let owner: LeakUser
    private var seed: UInt64 = 0
    private var choices: LeakChoices
    private var rights: LeakRights
    private var world = LeakWorld()
    private(set) var counts = Counts()

    init(_ server: TestServer) async throws {
        admin = try await server.makeApp("leaks")
        let imported = try await admin.post("_admin/import", LeakEntity.definitions)
        guard imported.status == 200 else { throw TestFailure("import: \(imported)") }
        let made = try await PermissionTests.user(admin, "leak", roles: ["user", "red"])
        caller = made.app
        let me = try await admin.get("auth/me")["data"]
        owner = LeakUser(id: me["id"].string ?? "", email: "admin@localhost", roles: ["admin"])
        user = LeakUser(id: made.id, email: "leak@x.example", roles: ["user", "red"])
        choices = LeakChoices(seed: 0, user: user)
        rights = LeakRights(user: user, policies: [])
    }

    private var view: LeakView { LeakView(of: world, rights) }

    private func wrong(_ message: String) -> TestFailure {
        let policies = (rights.policies ?? []).map { $0.json.jsonText }.joined(separator: "\n")
        return TestFailure(
            "LEAK_SEED=\(seed) LEAK_RUNS=1: \(message)\nthe user \(user.id) has the policies\n\(policies)"
        )
    }

    mutating func runCase(seed: UInt64) async throws {
        self.seed = seed
        choices = LeakChoices(seed: seed, user: user)
        rights = LeakRights(user: user, policies: choices.policies())
        try await setUp()
        try await checkReads()
        try await checkHiddenAndAbsentIDs()
        try await checkThatChangesOfHiddenRowsShowNowhere()
        for _ in 0..<Self.writesPerCase { try await checkWrite() }
    }

    // MARK: setting up

    /// Other policies, and other values in all rows; those that the last case has deleted come back.
    private mutating func setUp() async throws {
        for policy in try await admin.get("_admin/permissions")["data"].array {
            let answer = try await admin.delete("_admin/permissions/\(policy["id"].string ?? "")")
            guard answer.status == 200 else { throw wrong("delete a policy: \(answer)") }
        }
        var sample = JSONObject()
        for entity in LeakEntity.allCases {
            sample[entity.rawValue] = .array(LeakChoices.ids(entity).map { ["id": .string($0)] })
        }
        let file: JSONValue = [
            "permissions": .array((rights.policies ?? []).map(\.json)), "sample_data": .object(sample),
        ]
        let imported = try await admin.post("_admin/import", file)
        guard imported.status == 200 else { throw wrong("import: \(imported)") }
        let batch = try await admin.post("_batch", ["operations": .array(freshRows())])
        guard batch.status == 200 else { throw wrong("rows: \(batch)") }
        world = try await LeakWorld.read(from: admin)
    }

    private mutating func freshRows() -> [JSONValue] {
        func put(_ entity: LeakEntity, _ id: String, _ body: JSONObject) -> JSONValue {
            ["method": "PUT", "path": .string("\(entity.rawValue)/\(id)"), "body": .object(body)]
        }
        let living = Set(world.rows.map(\.id))
        var operations: [JSONValue] = []
        // Of the first case, no row is dead.
        for id in LeakChoices.ids(.task) where !world.rows.isEmpty && !living.contains(id) {
            operations.append(["method": "POST", "path": .string("task/\(id)/restore")])
        }
        operations += LeakChoices.ids(.card).map { put(.card, $0, ["person_id": .null]) }
        let holders = choices.holders()
        for entity in LeakEntity.allCases {
            for (index, id) in LeakChoices.ids(entity).enumerated() {
                var body = json(choices.row(entity), entity)
                if entity == .task { body["tags"] = replacing(choices.tags()) }
                if entity == .card { body["person_id"] = holders[index].json(.key) }
                operations.append(put(entity, id, body))
            }
        }
        return operations
    }

    private func json(_ values: [String: LeakValue], _ entity: LeakEntity) -> JSONObject {
        var object = JSONObject()
        for field in entity.fields {
            if let value = values[field.name] { object[field.name] = value.json(field.kind) }
        }
        return object
    }

    private func replacing(_ tags: [String]) -> JSONValue {
        ["_write_mode": "replace", "data": .array(tags.map { ["id": .string($0)] })]
    }

    // MARK: reading

    private mutating func randomQuery() -> LeakQuery {
        let readable = LeakEntity.allCases.filter { rights.allows("read", $0) }
        let entity = choices.pick(readable + readable + LeakEntity.allCases)
        return choices.percent(75) ? choices.list(entity) : choices.one(entity)
    }

    private mutating func checkReads() async throws {
        let whole = LeakView(of: world, LeakRights(user: owner, policies: nil))
        let view = view
        counts.hidden += world.rows.count { !view.sees($0.id) }
        for entity in LeakEntity.allCases { _ = try await check(LeakQuery(entity: entity), view, caller) }
        for _ in 0..<Self.readsPerCase {
            let query = randomQuery()
            switch try await check(query, view, caller) {
            case 403: counts.forbidden += 1
            case 200 where query.id != nil: counts.seen += 1
            case 200 where try view.answer(query).body?.objectValue?["data"] != []: counts.seen += 1
            default: counts.empty += 1
            }
            _ = try await check(query, whole, admin)
        }
    }

    private func check(_ query: LeakQuery, _ view: LeakView, _ app: TestApp) async throws -> Int {
        let (status, body) = try view.answer(query)
        let answer = try await app.get(query.path)
        guard answer.status == status, body == nil || answer.json.value == body else {
            let name = app.token == admin.token ? "the administrator" : "the user"
            throw wrong("GET \(query.path) gave \(name)\n     \(answer)\nnot  \(status) \(body?.jsonText ?? "")")
        }
        return status
    }

    // MARK: what is hidden

    private var hiddenRows: [LeakRow] {
        let view = view
        return world.rows.filter { !view.sees($0.id) }
    }

    /// What is hidden is what is not there.
    private mutating func checkHiddenAndAbsentIDs() async throws {
        let hidden = hiddenRows
        guard !hidden.isEmpty else { return }
        let row = choices.pick(hidden)
        let absent = LeakChoices.id(row.entity, 999)
        let query = choices.one(row.entity)
        let change = JSONValue.object(json(choices.change(row.entity), row.entity)).jsonBytes
        for (method, body) in [(HTTPRequest.Method.get, nil), (.put, change), (.patch, change), (.delete, nil)] {
            var answers: [LeakAnswer] = []
            for id in [row.id, absent] {
                var query = query
                query.id = id
                let path = method == .get ? query.path : "\(row.entity.rawValue)/\(id)"
                answers.append(LeakAnswer(try await caller.send(method, path, body: body), without: id))
            }
            guard answers[0] == answers[1], answers[0].status == 404 || answers[0].status == 403 else {
                throw wrong("\(method) of the hidden \(row.id) gave \(answers[0]), and of an absent one \(answers[1])")
            }
        }
        guard try await LeakWorld.read(from: admin) == world else { throw wrong("\(row.id) was written") }
    }

    /// As long as a user's rows are the same, so is every byte that the user gets.
    private mutating func checkThatChangesOfHiddenRowsShowNowhere() async throws {
        let view = view
        var paths = (0..<Self.readsPerCase).map { _ in randomQuery().path }
        for _ in 0..<2 { paths.append(choices.mistake(choices.pick(LeakEntity.allCases))) }
        var before = (view, try await answers(paths))
        var added: [LeakRow] = []
        for _ in 0..<Self.changesPerCase {
            let change = try await changeHiddenRow(&added)
            world = try await LeakWorld.read(from: admin)
            let now = (self.view, try await answers(paths))
            if now.0 == before.0 {
                counts.unnoticed += 1
                for (path, (old, new)) in zip(paths, zip(before.1, now.1)) where old != new {
                    throw wrong("\(change) shows in GET \(path)\nwhich gave \(old)\nand then   \(new)")
                }
            }
            before = now
        }
        for row in added where world.rows.contains(where: { $0.id == row.id }) {
            let purge = row.entity.isSoftDeleted ? "?purge=true" : ""
            let answer = try await admin.delete("\(row.entity.rawValue)/\(row.id)\(purge)")
            guard answer.status == 200 else { throw wrong("delete \(row.id): \(answer)") }
        }
        world = try await LeakWorld.read(from: admin)
    }

    private func answers(_ paths: [String]) async throws -> [LeakAnswer] {
        var answers: [LeakAnswer] = []
        for path in paths { answers.append(LeakAnswer(try await caller.get(path))) }
        return answers
    }

    /// Changes, deletes or adds a row, as the administrator; one that the user does not see where there is one.
    private mutating func changeHiddenRow(_ added: inout [LeakRow]) async throws -> String {
        let hidden = hiddenRows
        guard !hidden.isEmpty, choices.percent(75) else {
            let entity = choices.pick(hidden.map(\.entity) + [.tag])
            let body = JSONValue.object(json(living(choices.row(entity)), entity))
            let answer = try await admin.post(entity.rawValue, body)
            guard answer.status == 201 else { throw wrong("add \(body.jsonText): \(answer)") }
            added.append(LeakRow(entity: entity, id: answer["data"]["id"].string ?? "", values: [:]))
            return "adding \(answer)"
        }
        let row = choices.pick(hidden)
        let path = "\(row.entity.rawValue)/\(row.id)"
        guard choices.percent(70) else {
            let answer = try await admin.delete(path)
            guard answer.status == 200 else { throw wrong("delete \(path): \(answer)") }
            return "deleting \(path)"
        }
        var body = json(living(choices.change(row.entity)), row.entity)
        if row.entity == .task, choices.percent(40) {
            let tags = choices.tags().filter { tag in world.rows.contains { $0.id == tag } }
            body["tags"] = replacing(tags)
        }
        if row.entity == .card, choices.percent(40) {
            let taken = world.rows(of: .card).map { $0["person_id"] }
            let free = world.rows(of: .person).map { LeakValue.text($0.id) }.filter { !taken.contains($0) }
            body["person_id"] = choices.pick(free + [.null]).json(.key)
        }
        let answer = try await admin.put(path, .object(body))
        guard answer.status == 200 else { throw wrong("change \(path): \(answer)") }
        return "\(JSONValue.object(body).jsonText) in \(path)"
    }

    /// The same values without keys of people who are gone.
    private func living(_ values: [String: LeakValue]) -> [String: LeakValue] {
        var values = values
        for name in ["person_id", "boss_id"] {
            guard case .text(let id)? = values[name] else { continue }
            if !world.rows.contains(where: { $0.id == id }) { values[name] = .null }
        }
        return values
    }

    // MARK: writing

    /// One write of the user, of a row that is there or not.
    private mutating func checkWrite() async throws {
        var entity = choices.pick(LeakEntity.allCases)
        var id = LeakChoices.id(entity, choices.number(1...(LeakChoices.size[entity] ?? 1) + 1))
        let view = view
        let seen = world.rows.filter { view.sees($0.id) && rights.allows("update", $0.entity) }
        if !seen.isEmpty, choices.percent(65) {
            let row = choices.pick(seen)
            (entity, id) = (row.entity, row.id)
        }
        let path = "\(entity.rawValue)/\(id)"
        let expected: (status: Int, world: LeakWorld)
        let answer: TestAnswer
        var wanted: JSONValue = ["data": ["id": .string(id)]]
        if choices.percent(65) {
            let values = living(choices.change(entity))
            expected = update(entity, id, values)
            answer = try await caller.put(path, .object(json(values, entity)))
            let after = LeakView(of: expected.world, rights)
            if let row = expected.world.rows.first(where: { $0.id == id }), after.sees(id) {
                wanted = ["data": after.json(row)]
            }
        } else {
            expected = delete(entity, id)
            answer = try await caller.delete(path)
        }
        let stored = try await LeakWorld.read(from: admin)
        guard answer.status == expected.status, answer.status != 200 || answer.json.value == wanted else {
            throw wrong("the write of \(path) gave \(answer)\nnot \(expected.status) \(wanted.jsonText)")
        }
        guard stored == expected.world else {
            let rows = stored.rows.filter { !expected.world.rows.contains($0) }
            throw wrong("the write of \(path) with \(answer) left \(rows) and \(stored.links)")
        }
        if answer.status == 200 { counts.written += 1 } else if view.sees(id) { counts.refused += 1 }
        world = stored
    }

    private func update(_ entity: LeakEntity, _ id: String, _ values: [String: LeakValue]) -> (Int, LeakWorld) {
        guard rights.allows("update", entity) else { return (403, world) }
        guard view.sees(id), let row = world.rows.first(where: { $0.id == id }) else { return (404, world) }
        let held = rights.holding("update", row, in: world)
        let after = world.updating(id, values)
        guard let changed = after.rows.first(where: { $0.id == id }) else { return (404, world) }
        // A policy that held before must let the row be as it is now.
        let isAllowed = held.contains { policy in
            LeakCondition.allHold(policy.check ?? [], of: changed, in: after, for: user)
        }
        return isAllowed ? (200, after) : (403, world)
    }

    private func delete(_ entity: LeakEntity, _ id: String) -> (Int, LeakWorld) {
        guard rights.allows("delete", entity) else { return (403, world) }
        guard view.sees(id), let row = world.rows.first(where: { $0.id == id }) else { return (404, world) }
        guard !rights.holding("delete", row, in: world).isEmpty else { return (403, world) }
        return (200, world.deleting(id))
    }
}

/// All of an answer but what is new in every one.
private struct LeakAnswer: Equatable, CustomStringConvertible {
    let status: Int
    let headers: HTTPFields
    let text: String

    init(_ answer: TestAnswer, without id: String? = nil) {
        status = answer.status
        // An error that names the id is as long as the id.
        let passing = id == nil ? ["x-request-id"] : ["x-request-id", "content-length"]
        headers = HTTPFields(answer.headers.filter { !passing.contains($0.name.canonicalName) })
        text = id.map { answer.text.replacing($0, with: "the id") } ?? answer.text
    }

    var description: String { "\(status) \(headers) \(text)" }
}
