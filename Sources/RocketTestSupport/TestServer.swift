package import Foundation
package import HTTPTypes
import Logging
package import RocketAutomation
package import RocketDatabase
package import RocketEngine
package import RocketModel
package import RocketServer

/// A whole server without sockets, on databases of its own.
package final class TestServer: Sendable {
    package let clock = TestClock()
    package let responder: RocketResponder
    package let apps: AppRegistry
    /// Sends nothing by itself: a test says when.
    package let worker: Worker
    package let sender: CallSender
    package let secrets = Secrets(
        jwt: "test-jwt-secret-of-at-least-32-bytes",
        platformJWT: "test-platform-secret-of-32-bytes!",
        encryption: "test-encryption-key-of-32-bytes!!"
    )
    package let provider: any DatabaseProvider
    /// Looks for secrets in all that leaves the server.
    package let watch = SecretWatch()
    private let directory: TemporaryDirectory
    /// Where uploaded files are.
    package var filesDirectory: String { directory.url.appendingPathComponent("files").path }

    /// How long a test waits for a receiver that never answers.
    package static let callTimeout = Duration.milliseconds(1500)

    /// Runs a test on a fresh server, and removes all of it afterwards.
    package static func run(
        _ store: TestStore,
        settings: AppSettings? = nil,
        server: ServerSettings = ServerSettings(),
        addresses: CallAddresses = CallAddresses(refusesInner: false),
        callTimeout: Duration = callTimeout,
        _ test: (TestServer) async throws -> Void
    ) async throws {
        await TestSlots.servers.take()
        do {
            try await runAlone(store, settings: settings, server: server, addresses, callTimeout, test)
        } catch {
            await TestSlots.servers.give()
            throw error
        }
        await TestSlots.servers.give()
    }

    private static func runAlone(
        _ store: TestStore,
        settings: AppSettings?,
        server: ServerSettings,
        _ addresses: CallAddresses,
        _ callTimeout: Duration,
        _ test: (TestServer) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        var appSettings = settings ?? AppSettings()
        appSettings.filesDirectory = directory.url.appendingPathComponent("files").path
        appSettings.bcryptCost = 4
        let testServer = try await TestServer(store, directory, appSettings, server, addresses, callTimeout)
        do {
            try await test(testServer)
        } catch {
            await testServer.close()
            try await store.remove(directory)
            throw error
        }
        await testServer.close()
        try testServer.watch.lookThrough(directory.url)
        try await store.remove(directory)
        try testServer.requireSecrecy()
    }

    /// Runs a test on two servers that share a PostgreSQL, both keeping up with each other as a server that serves.
    package static func runTwo(_ test: (TestServer, TestServer) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        var settings = AppSettings()
        settings.bcryptCost = 4
        settings.deletionGrace = .seconds(1)
        settings.filesDirectory = directory.url.appendingPathComponent("files").path
        let first = try await TestServer(.postgres, directory, settings, ServerSettings())
        let second = try await TestServer(.postgres, directory, settings, ServerSettings())
        let housekeeping = [first, second].map { server in Task { await server.apps.keepHouse() } }
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await test(first, second))
        } catch {
            outcome = .failure(error)
        }
        for task in housekeeping {
            task.cancel()
            await task.value
        }
        await first.close()
        await second.close()
        try await TestStore.postgres.remove(directory)
        try outcome.get()
        try first.requireSecrecy()
        try second.requireSecrecy()
    }

    private init(
        _ store: TestStore,
        _ directory: TemporaryDirectory,
        _ settings: AppSettings,
        _ server: ServerSettings,
        _ addresses: CallAddresses = CallAddresses(refusesInner: false),
        _ callTimeout: Duration = callTimeout
    ) async throws {
        self.directory = directory
        let clock = clock
        watch.keep(secrets.jwt, "the key of the apps' tokens")
        watch.keep(secrets.platformJWT, "the key of the platform's tokens")
        watch.keep(secrets.encryption, "the encryption key")
        var dependencies = EngineDependencies.system(logger: .watched(by: watch))
        dependencies.now = { clock.now() }
        dependencies.uptime = { clock.now() }
        dependencies.databaseTellsTime = false
        let metrics = PrometheusRegistry()
        dependencies.metrics = EngineMetrics(metrics)
        provider = try store.makeProvider(in: directory.url)
        apps = try await AppRegistry(
            provider: provider,
            settings: settings,
            dependencies: dependencies
        )
        sender = CallSender(
            addresses: addresses,
            templates: HeaderTemplate(environment: ["SHOWN": "from the environment"]),
            secretBox: SecretBox(secrets),
            now: { clock.now() }
        )
        var calls = DeliverySettings()
        calls.timeout = callTimeout
        calls.patienceAtStop = .milliseconds(1000)
        let deliveries = Deliveries(sender: sender, dependencies: dependencies, settings: calls)
        let services = ServerServices(
            apps: apps,
            secrets: secrets,
            settings: server,
            caller: sender,
            metrics: metrics
        )
        var steps = WorkflowSettings()
        steps.timeout = calls.timeout
        let workflows = WorkflowRunner(
            caller: sender,
            calls: services.calls,
            dependencies: dependencies,
            settings: steps
        )
        worker = Worker(apps: apps, kinds: [deliveries, workflows])
        responder = RocketResponder(services: services)
    }

    private func close() async {
        await sender.close()
        await apps.close()
    }

    private func requireSecrecy() throws {
        guard !watch.leaks.isEmpty else { return }
        throw TestFailure("secrets where none belongs: " + Set(watch.leaks).sorted().joined(separator: "; "))
    }

    // MARK: requests

    /// - Parameters:
    ///   - token: an access token, or nil for none.
    ///   - peer: the address that the request is said to come from.
    package func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        token: String? = nil,
        headers: HTTPFields = [:],
        body: [UInt8]? = nil,
        peer: String = "local",
        isControl: Bool = false
    ) async throws -> TestAnswer {
        var headers = headers
        if let token { headers[.authorization] = "Bearer \(token)" }
        if let body {
            headers[.contentLength] = String(body.count)
            if headers[.contentType] == nil { headers[.contentType] = "application/json" }
        }
        let answer = try await LocalRequest.send(
            method,
            path,
            headers: headers,
            body: body ?? [],
            to: responder,
            logger: .silent,
            isControl: isControl,
            peer: peer
        )
        let seen = TestAnswer(status: answer.status.code, headers: answer.headers, bytes: answer.body)
        watch.observe("\(method) \(path)", path: path, body: body, headers: headers, seen)
        return seen
    }

    /// As the command line sends it.
    package func control(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue) async throws -> TestAnswer {
        try await send(method, path, body: body.jsonBytes, isControl: true)
    }

    package func get(_ path: String, token: String? = nil) async throws -> TestAnswer {
        try await send(.get, path, token: token)
    }

    package func post(_ path: String, token: String? = nil, _ body: JSONValue) async throws -> TestAnswer {
        try await send(.post, path, token: token, body: body.jsonBytes)
    }

    package func put(_ path: String, token: String? = nil, _ body: JSONValue) async throws -> TestAnswer {
        try await send(.put, path, token: token, body: body.jsonBytes)
    }

    package func delete(_ path: String, token: String? = nil) async throws -> TestAnswer {
        try await send(.delete, path, token: token)
    }

    // MARK: signing in

    package func platformToken() async throws -> String {
        try await login("_platform", "platform@localhost", "changeme")
    }

    package func login(_ app: String, _ email: String, _ password: String) async throws -> String {
        let answer = try await post(
            "/api/\(app)/auth/login",
            ["email": .string(email), "password": .string(password)]
        )
        guard let token = answer["data"]["access_token"].string else { throw TestFailure("login: \(answer)") }
        return token
    }

    /// Makes an app and signs in as its administrator.
    package func makeApp(_ name: String = "shop") async throws -> TestApp {
        let answer = try await post("/api/_platform/apps", token: try await platformToken(), ["name": .string(name)])
        guard answer.status == 201 else { throw TestFailure("make app: \(answer)") }
        return TestApp(server: self, name: name, token: try await login(name, "admin@localhost", "changeme"))
    }

    /// An app with the help desk of the examples in it.
    package func makeHelpdesk() async throws -> TestApp {
        let app = try await makeApp("helpdesk")
        let answer = try await app.send(.post, "_admin/import", body: try TestFiles.helpdesk())
        guard answer.status == 200 else { throw TestFailure("import: \(answer)") }
        return app
    }
}

/// An app and the token of its administrator.
package struct TestApp: Sendable {
    package let server: TestServer
    package let name: String
    package let token: String

    package init(server: TestServer, name: String, token: String) {
        self.server = server
        self.name = name
        self.token = token
    }

    package func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        headers: HTTPFields = [:],
        body: [UInt8]? = nil
    ) async throws -> TestAnswer {
        try await server.send(method, "/api/\(name)/\(path)", token: token, headers: headers, body: body)
    }

    /// Turns the clock, and signs its administrator in again: tokens do not hold for long.
    package func after(seconds: Int64) async throws -> TestApp {
        server.clock.advance(seconds: seconds)
        let token = try await server.login(name, "admin@localhost", "changeme")
        return TestApp(server: server, name: name, token: token)
    }

    package func get(_ path: String) async throws -> TestAnswer {
        try await send(.get, path)
    }

    package func post(_ path: String, _ body: JSONValue, headers: HTTPFields = [:]) async throws -> TestAnswer {
        try await send(.post, path, headers: headers, body: body.jsonBytes)
    }

    package func put(_ path: String, _ body: JSONValue, headers: HTTPFields = [:]) async throws -> TestAnswer {
        try await send(.put, path, headers: headers, body: body.jsonBytes)
    }

    package func delete(_ path: String, headers: HTTPFields = [:]) async throws -> TestAnswer {
        try await send(.delete, path, headers: headers)
    }

    /// Makes the calls that are due now.
    package func deliver() async throws {
        try await server.apps.withApp(name) { try await server.worker.workOff($0) }
    }

    /// Makes an entity with a generated UUID key and these fields beside it.
    @discardableResult
    package func makeEntity(
        _ name: String,
        fields: [JSONValue],
        softDelete: Bool = false,
        extra: JSONObject = JSONObject()
    ) async throws -> TestAnswer {
        var object: JSONObject = [
            "name": .string(name), "table": .string(name + "_rows"),
            "primary_key": ["field": "id", "type": "uuid", "generated": true],
            "soft_delete": .boolean(softDelete),
            "fields": .array([["name": "id", "type": "uuid"]] + fields),
        ]
        for member in extra.members { object[member.name] = member.value }
        let answer = try await post("_admin/entities", .object(object))
        guard answer.status == 201 else { throw TestFailure("make entity: \(answer)") }
        return answer
    }
}

package struct TestFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

package enum TestFiles {
    /// The project's folder, from where this file was compiled.
    package static var root: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    package static func helpdesk() throws -> [UInt8] {
        [UInt8](try Data(contentsOf: root.appendingPathComponent("Sources/rocket/Resources/helpdesk.json")))
    }
}
