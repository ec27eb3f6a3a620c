import Foundation
import HTTPTypes
import RocketModel
import RocketServer
import RocketTestSupport
import Testing

/// Who may come in at which door: `access-matrix.txt` says for every route and every kind of caller what status they
/// get for a request that is right in all else. Both stores are held to it, and it to the routes that there are.
struct AccessMatrixTests {
    private static let path = "Tests/RocketServerTests/access-matrix.txt"

    /// One line of the file.
    private struct Row: Sendable {
        let route: Route
        let statuses: [Int]
    }

    fileprivate struct Route: Hashable, CustomStringConvertible {
        let method: String
        let path: String

        var description: String { "\(method) \(path)" }
    }

    /// The kinds of callers are in the order of the columns.
    private static func rows() throws -> [Row] {
        let text = try String(contentsOf: TestFiles.root.appendingPathComponent(path), encoding: .utf8)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            .map { $0.split(separator: " ").map(String.init) }
        guard lines.first == ["method", "route"] + Caller.allCases.map(\.rawValue) else {
            throw TestFailure("\(path) begins with \(lines.first ?? [])")
        }
        return try lines.dropFirst().map { words in
            let statuses = words.dropFirst(2).compactMap(Int.init)
            guard words.count == 2 + Caller.allCases.count, statuses.count == Caller.allCases.count else {
                throw TestFailure("\(path) has a line that is none: \(words.joined(separator: " "))")
            }
            return Row(route: Route(method: words[0], path: words[1]), statuses: statuses)
        }
    }

    @Test func everyRouteStandsInTheMatrixOnce() async throws {
        let lines = try Self.rows().map(\.route)
        try await TestServer.run(.sqlite) { server in
            let routes = server.responder.routes.map { Route(method: $0.method, path: $0.path) }
            let missing = Set(routes).subtracting(lines).map(\.description).sorted()
            #expect(missing.isEmpty, "\(Self.path) lacks them: who may come in there?")
            let unknown = Set(lines).subtracting(routes).map(\.description).sorted()
            #expect(unknown.isEmpty, "\(Self.path) has them, and the server has not")
            #expect(Set(lines).count == lines.count)
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyoneGetsTheStatusOfTheMatrix(store: TestStore) async throws {
        let rows = try Self.rows()
        try await TestServer.run(store) { server async throws in
            var stage = try await Stage(server)
            for row in rows {
                var answers: [TestAnswer] = []
                for caller in Caller.allCases { answers.append(try await stage.send(row.route, as: caller)) }
                let wrong = zip(Caller.allCases, zip(row.statuses, answers)).filter { $1.0 != $1.1.status }
                    .map { "\($0): \($1.1), not \($1.0)" }
                #expect(wrong.isEmpty, "\(row.route)\n\(answers.map { "\($0.status)" }.joined(separator: " "))")
            }
        }
    }
}

/// The kinds of callers.
private enum Caller: String, CaseIterable {
    /// Without a token.
    case none
    /// With one that no key has signed.
    case bad
    /// A user of the app, without roles.
    case plain
    /// A user whose role has a policy for each action on records of `note`.
    case clerk
    /// A user of another app, who administers it.
    case other
    case admin
    case platform
    /// A user of the platform who has every role but `platform_admin`.
    case member
    /// Who was an administrator of the app, with a token of that time.
    case disabled

    var roles: [String] {
        switch self {
        case .none, .bad, .plain: []
        case .clerk: ["clerk"]
        case .platform: ["platform_admin"]
        case .admin, .other, .member, .disabled: ["admin", "clerk"]
        }
    }
}

/// What the last name of a path stands for.
private enum Thing: String, CaseIterable {
    case entities
    case relations
    case rules
    case machines = "state-machines"
    case permissions
    case webhooks
    case workflows
    case users
    case invites
    case platformUsers = "/api/_platform/users"
    case apps = "/api/_platform/apps"
    case records = "note"

    var collection: String {
        switch self {
        case .records: "/api/shop/note"
        case .apps, .platformUsers: rawValue
        default: "/api/shop/_admin/\(rawValue)"
        }
    }
}

/// An app with callers and things, made where a request needs them and again where one has used them up.
private struct Stage {
    private let server: TestServer
    private let platformToken: String
    private var count = 0
    private var tokens: [Caller: String] = [:]
    private var things: [Thing: String] = [:]

    init(_ server: TestServer) async throws {
        self.server = server
        platformToken = try await server.platformToken()
        let app = try await server.makeApp()
        _ = try await server.makeApp("elsewhere")
        try await app.makeEntity(
            "note",
            fields: [
                ["name": "title", "type": "string"], ["name": "rank", "type": "int"],
                ["name": "state", "type": "string"], ["name": "phase", "type": "string"],
            ],
            softDelete: true
        )
        try await app.makeEntity(
            "line",
            fields: [["name": "note_id", "type": "uuid"], ["name": "other_id", "type": "uuid"]]
        )
        for action in ["read", "create", "update", "delete"] {
            try await PermissionTests.allow(app, action, "note", ["clerk"])
        }
    }

    private mutating func number() -> Int {
        count += 1
        return count
    }

    // MARK: sending

    /// Sends a request that is right, and tidies up after it.
    mutating func send(_ route: AccessMatrixTests.Route, as caller: Caller) async throws -> TestAnswer {
        let thing = Self.thing(of: route)
        var path = route.path.replacing(":app", with: "shop").replacing(":entity", with: "note")
        path = path.replacing(":email", with: "admin@localhost")
        // There are none, and whoever may see them is told so.
        path = path.replacing(":event", with: "rain")
        if ["/webhook-logs/", "/_workflows/", "/_files/"].contains(where: path.contains) {
            path = path.replacing(":id", with: "11111111-1111-4111-8111-111111111111")
        }
        if let thing, path.contains("/:") {
            let isDeleted = path.hasSuffix("/restore")
            let id = try await self.id(of: thing, isDeleted: isDeleted)
            path = path.replacing(isDeleted ? ":id" : thing.parameter, with: id)
        }
        guard let method = HTTPRequest.Method(rawValue: route.method), !path.contains(":") else {
            throw TestFailure("\(route) has a name that nothing here stands for")
        }
        let body = try await body(of: route, thing)
        let token = try await token(of: caller)
        let answer = try await server.send(method, path, token: token, body: body?.jsonBytes)
        guard answer.status < 300 else { return answer }
        if method == .delete, let thing { things[thing] = nil }
        if path.hasSuffix("/password") { tokens[caller] = nil }
        if let made = answer.headers[.location] { _ = try await require(.delete, made, nil) }
        return answer
    }

    private static func thing(of route: AccessMatrixTests.Route) -> Thing? {
        let parts = route.path.split(separator: "/").map(String.init)
        if parts[0] == "_control" || parts.last == "test" || parts.last == "explain" { return nil }
        if parts.count > 2, parts[2] == ":entity" { return .records }
        let admin = parts.count > 3 && parts[2] == "_admin" ? parts[3] : nil
        return Thing.allCases.first { $0.rawValue == admin || route.path.hasPrefix($0.rawValue) }
    }

    private func require(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue?) async throws -> TestAnswer {
        let answer = try await server.send(method, path, token: platformToken, body: body?.jsonBytes)
        guard answer.status < 300 else { throw TestFailure("\(method) \(path): \(answer)") }
        return answer
    }

    // MARK: callers

    private mutating func token(of caller: Caller) async throws -> String? {
        if caller == .none { return nil }
        if caller == .bad { return "bad" }
        if let token = tokens[caller] { return token }
        let app = caller == .platform || caller == .member ? "_platform" : caller == .other ? "elsewhere" : "shop"
        let users = app == "_platform" ? Thing.platformUsers.rawValue : "/api/\(app)/_admin/users"
        let email = "\(caller)\(number())@x.example"
        let user: JSONValue = [
            "email": .string(email), "password": "password1", "roles": .array(caller.roles.map(JSONValue.string)),
        ]
        let made = try await require(.post, users, user)
        let token = try await server.login(app, email, "password1")
        if caller == .disabled {
            _ = try await require(.put, "\(users)/\(made["data"]["id"].string ?? "")", ["active": false])
        }
        tokens[caller] = token
        return token
    }

    // MARK: things

    /// The id or name of one that is there; of a record that is deleted, a new one each time.
    private mutating func id(of thing: Thing, isDeleted: Bool) async throws -> String {
        if !isDeleted, let id = things[thing] { return id }
        let data = try await require(.post, thing.collection, new(thing, isKept: true))["data"]
        guard let id = data[thing.parameter == ":name" ? "name" : "id"].string else { throw TestFailure("\(data)") }
        if isDeleted {
            _ = try await require(.delete, "\(thing.collection)/\(id)", nil)
        } else {
            things[thing] = id
        }
        return id
    }

    /// The least that makes one. Of some there is but one for a field: those that are kept have a field of their own.
    private mutating func new(_ thing: Thing, isKept: Bool = false) -> JSONValue {
        let name = "made\(number())"
        switch thing {
        case .entities: return Self.entity(name)
        case .relations: return Self.relation(name, isKept)
        case .rules: return Self.rule
        case .machines: return Self.machine(isKept)
        case .permissions: return Self.permission
        case .webhooks: return Self.webhook
        case .workflows: return Self.workflow(name)
        case .users, .platformUsers: return ["email": .string("\(name)@x.example"), "password": "password1"]
        case .invites: return ["email": .string("\(name)@x.example")]
        case .apps: return ["name": .string(name)]
        case .records: return ["title": "new"]
        }
    }

    private static func entity(_ name: String) -> JSONValue {
        [
            "name": .string(name), "table": .string(name), "soft_delete": false,
            "primary_key": ["field": "id", "type": "uuid", "generated": true],
            "fields": [["name": "id", "type": "uuid"]],
        ]
    }

    private static func relation(_ name: String, _ isKept: Bool) -> JSONValue {
        Bazaar.relation(name, "one_to_many", "note", "line", by: isKept ? "note_id" : "other_id", onDelete: "set_null")
    }

    private static let rule: JSONValue = [
        "entity": "note", "type": "field", "definition": ["field": "rank", "operator": "min", "value": 0],
    ]

    private static func machine(_ isKept: Bool) -> JSONValue {
        [
            "entity": "note", "field": isKept ? "state" : "phase",
            "definition": ["initial": "new", "transitions": [["from": "new", "to": "done"]]],
        ]
    }

    private static let permission: JSONValue = ["entity": "note", "action": "read", "roles": ["nobody"]]

    private static let webhook: JSONValue = ["entity": "line", "url": "http://127.0.0.1:9/never"]

    private static func workflow(_ name: String) -> JSONValue {
        [
            "name": .string(name), "trigger": ["type": "event", "event": "never"],
            "steps": [["id": "rest", "type": "wait", "duration": "1s"]],
        ]
    }

    // MARK: bodies

    private mutating func body(of route: AccessMatrixTests.Route, _ thing: Thing?) async throws -> JSONValue? {
        let path = route.path
        switch (route.method, path.split(separator: "/").last) {
        case ("GET", _), ("DELETE", _), (_, "restore"), (_, "retry"): return nil
        case (_, "login"): return Self.credentials(path)
        case (_, "refresh"):
            let login = path.replacing(":app", with: "shop").replacing("refresh", with: "login")
            let tokens = try await require(.post, login, Self.credentials(path))
            return ["refresh_token": tokens["data"]["refresh_token"].value]
        case (_, "logout"): return ["refresh_token": "of another time"]
        case (_, "forgot"): return ["email": "nobody@x.example"]
        // Refused before the token is looked at, whose failure would be a 401 as well.
        case (_, "reset"), (_, "accept-invite"): return ["token": "of another time", "password": "short"]
        case ("POST", "password"): return ["old": "password1", "new": "password2"]
        case ("PUT", "password"): return ["password": "password2"]
        case (_, "import"): return ["entities": []]
        case (_, "_batch"): return ["operations": [["method": "POST", "path": "note", "body": ["title": "new"]]]]
        case (_, "approve"), (_, "reject"): return ["comment": "fine"]
        case (_, "delegate"): return ["user": "11111111-1111-4111-8111-111111111111"]
        case (_, ":event"): return ["wet": true]
        case (_, "explain"): return ["entity": "note", "action": "read"]
        case (_, "test"):
            guard case .object(var rule) = Self.rule else { return nil }
            rule["record"] = ["rank": 1]
            return .object(rule)
        case (_, "bulk"): return ["invites": [new(.invites)]]
        case ("POST", _): return thing.map { new($0) } ?? new(.users)
        default: return thing.flatMap { replacement($0) }
        }
    }

    private static func credentials(_ path: String) -> JSONValue {
        let user = path.contains("_platform") ? "platform" : "admin"
        return ["email": .string("\(user)@localhost"), "password": "changeme"]
    }

    /// What a PUT says: all of a definition, and of others a little.
    private func replacement(_ thing: Thing) -> JSONValue? {
        switch thing {
        case .entities: Self.entity(things[thing] ?? "")
        case .relations: Self.relation(things[thing] ?? "", true)
        case .rules: Self.rule
        case .machines: Self.machine(true)
        case .permissions: Self.permission
        case .webhooks: Self.webhook
        case .workflows: Self.workflow("of another name")
        case .users, .platformUsers: ["attributes": [:]]
        case .records: ["title": "changed"]
        case .apps, .invites: nil
        }
    }
}

extension Thing {
    /// How paths call it.
    fileprivate var parameter: String {
        switch self {
        case .entities, .relations, .apps: ":name"
        default: ":id"
        }
    }
}
