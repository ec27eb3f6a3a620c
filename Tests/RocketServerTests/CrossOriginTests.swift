import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

@testable import RocketServer

/// What pages of other origins may do in a browser.
struct CrossOriginTests {
    private static let page = "https://app.example"

    @Test(
        arguments: [
            "https://app.example", "http://localhost:3000", "http://127.0.0.1:8080", "https://app.example:8443",
            "http://app.example:443", "https://a-b.xn--bcher-kva.example", "http://[::1]:3000", "http://[2001:db8::1]",
            "capacitor://localhost", "chrome-extension://abcdefgh", "https://app.example:65535",
        ]
    )
    func anOriginIsTakenAsBrowsersWriteIt(entry: String) throws {
        let crossOrigin = try CrossOrigin([entry])
        #expect(Self.allowed(crossOrigin, entry) == entry)
        for other in [entry + "/", entry + "0", entry.uppercased(), "x" + entry, "null", ""] {
            #expect(Self.allowed(crossOrigin, other) == nil, "\(other)")
        }
    }

    @Test(
        arguments: [
            "https://app.example/", "https://app.example/path", "https://app.example?x", "https://app.example#x",
            "app.example", "https://", "https:app.example", "://app.example", "//app.example", "https//app.example",
            "HTTPS://app.example", "https://App.example", "https://user@app.example", "https://*.app.example",
            "https://*",
            "https://app.example:", "https://app.example:0", "https://app.example:080", "https://app.example:65536",
            "https://app.example:port", "https://app.example:443", "http://app.example:80", "https://bücher.example",
            "https://app example", "https://[::1", "https://[::g]", "https://[1.2.3.4]", "https://::1", "null", "",
            "file:///", "1http://app.example",
        ]
    )
    func anEntryThatNoBrowserSendsIsRefused(entry: String) {
        let failure = #expect(throws: SettingFailure.self) { try CrossOrigin([Self.page, entry]) }
        #expect(failure?.problems.count == 1)
        #expect(failure?.description.contains("\"\(entry)\"") == true)
    }

    @Test func theStarStandsAlone() throws {
        #expect(throws: SettingFailure.self) { try CrossOrigin(["*", Self.page]) }
        #expect(throws: SettingFailure.self) { try CrossOrigin([Self.page, "*"]) }
        #expect(throws: SettingFailure.self) { try CrossOrigin(["*", "*"]) }
        let crossOrigin = try CrossOrigin(["*"])
        for origin in [Self.page, "null"] { #expect(Self.allowed(crossOrigin, origin) == "*") }
        #expect(Self.allowed(crossOrigin, nil) == nil)
    }

    @Test func everyBadEntryIsNamed() throws {
        let failure = try #require(throws: SettingFailure.self) {
            try CrossOrigin(["a", Self.page, "*", "https://b/"])
        }
        #expect(failure.problems.count == 3)
    }

    @Test func onlyAQuestionOfAnAllowedOriginIsAPreflight() throws {
        let crossOrigin = try CrossOrigin([Self.page])
        let question: HTTPFields = [.origin: Self.page, .accessControlRequestMethod: "PUT"]
        let headers = crossOrigin.preflightHeaders(for: Self.request(.options, question)) { [.put, .get] }
        #expect(
            headers == [
                .accessControlAllowOrigin: Self.page,
                .accessControlAllowMethods: "GET, PUT",
                .accessControlAllowHeaders: "Authorization, Content-Type, If-Match, Idempotency-Key, X-Request-Id",
                .accessControlMaxAge: "600",
                .vary: "Origin",
            ]
        )
        let others = [
            Self.request(.get, question), Self.request(.options, [.origin: Self.page]),
            Self.request(.options, [.accessControlRequestMethod: "PUT"]),
            Self.request(.options, [.origin: "https://evil.example", .accessControlRequestMethod: "PUT"]),
        ]
        for other in others {
            #expect(crossOrigin.preflightHeaders(for: other) { [.put] } == nil)
        }
        #expect(CrossOrigin.none.preflightHeaders(for: Self.request(.options, question)) { [.put] } == nil)
    }

    @Test func severalOriginsInOneRequestAreNone() throws {
        var headers = HTTPFields()
        headers[values: .origin] = [Self.page, Self.page]
        #expect(try CrossOrigin([Self.page]).answerHeaders(for: Self.request(.get, headers)).isEmpty)
    }

    private static func request(_ method: HTTPRequest.Method, _ headers: HTTPFields) -> HTTPRequest {
        HTTPRequest(method: method, scheme: "http", authority: "localhost", path: "/", headerFields: headers)
    }

    private static func allowed(_ crossOrigin: CrossOrigin, _ origin: String?) -> String? {
        var headers = HTTPFields()
        headers[.origin] = origin
        return crossOrigin.answerHeaders(for: request(.get, headers))[.accessControlAllowOrigin]
    }

    // MARK: over HTTP

    private static let requestID = HTTPField.Name("X-Request-Id").unsafelyUnwrapped
    private static let nosniff = HTTPField.Name("X-Content-Type-Options").unsafelyUnwrapped

    private static func run(_ origins: [String], _ test: (TestServer) async throws -> Void) async throws {
        var settings = ServerSettings()
        settings.crossOrigin = try CrossOrigin(origins)
        try await TestServer.run(.sqlite, server: settings, test)
    }

    private static func preflight(_ server: TestServer, _ path: String, from origin: String) async throws -> TestAnswer
    {
        try await server.send(
            .options,
            path,
            headers: [
                .origin: origin, .accessControlRequestMethod: "POST",
                .accessControlRequestHeaders: "authorization,content-type",
            ]
        )
    }

    private static func accessHeaders(_ answer: TestAnswer) -> [String] {
        answer.headers.map(\.name.canonicalName).filter { $0.hasPrefix("access-control-") || $0 == "vary" }
    }

    @Test func preflightsAreAnsweredBeforeSignInWithTheMethodsOfThePath() async throws {
        try await Self.run([Self.page, "http://localhost:3000"]) { server async throws in
            for (path, methods) in [
                ("/health", "GET"), ("/api/_platform/auth/login", "POST"), ("/api/shop/ticket", "GET, POST"),
                ("/api/shop/ticket/1", "DELETE, GET, PATCH, PUT"),
                ("/api/shop/ticket/1?x=y", "DELETE, GET, PATCH, PUT"),
            ] {
                let answer = try await Self.preflight(server, path, from: Self.page)
                #expect(answer.status == 204 && answer.bytes.isEmpty)
                #expect(answer.headers[.accessControlAllowOrigin] == Self.page)
                #expect(answer.headers[.accessControlAllowMethods] == methods)
                #expect(answer.headers[.accessControlAllowHeaders]?.contains("Authorization") == true)
                #expect(answer.headers[.accessControlMaxAge] == "600")
                #expect(answer.headers[.vary] == "Origin")
                #expect(answer.headers[.accessControlAllowCredentials] == nil)
                #expect(answer.headers[.contentType] == nil && answer.headers[.contentLength] == nil)
                #expect(answer.headers[Self.requestID] != nil && answer.headers[Self.nosniff] == "nosniff")
            }
            let nowhere = try await Self.preflight(server, "/nowhere", from: Self.page)
            #expect(nowhere.status == 204 && nowhere.headers[.accessControlAllowMethods] == nil)
        }
    }

    @Test func anAllowedOriginReadsEveryAnswerErrorsIncluded() async throws {
        try await Self.run([Self.page]) { server async throws in
            let token = try await server.platformToken()
            let requests: [(HTTPRequest.Method, String, String?, Int)] = [
                (.get, "/health", nil, 200), (.get, "/api/_platform/apps", token, 200),
                (.get, "/health?x=1", nil, 400), (.get, "/api/_platform/apps", nil, 401),
                (.get, "/api/_platform/apps", "bad", 401), (.get, "/nowhere", nil, 404), (.delete, "/health", nil, 405),
                (.head, "/health", nil, 200), (.head, "/nowhere", nil, 404), (.options, "/health", nil, 405),
                (.post, "/api/_platform/auth/login", nil, 415),
            ]
            for (method, path, token, status) in requests {
                let answer = try await server.send(method, path, token: token, headers: [.origin: Self.page])
                #expect(answer.status == status, "\(method) \(path): \(answer)")
                #expect(answer.headers[.accessControlAllowOrigin] == Self.page)
                #expect(answer.headers[.accessControlExposeHeaders] == "ETag, Location, Retry-After, X-Request-Id")
                #expect(answer.headers[.vary] == "Origin")
                #expect(answer.headers[.accessControlAllowCredentials] == nil)
            }
        }
    }

    @Test func anOriginThatIsNotAllowedGetsTheUsualAnswer() async throws {
        try await Self.run([Self.page]) { server async throws in
            for origin in ["https://evil.example", "http://app.example", "https://app.example:8443", "null"] {
                let preflight = try await Self.preflight(server, "/health", from: origin)
                #expect(preflight.status == 405 && Self.accessHeaders(preflight).isEmpty)
                let answer = try await server.send(.get, "/health", headers: [.origin: origin])
                #expect(answer.status == 200 && Self.accessHeaders(answer).isEmpty)
            }
            #expect(Self.accessHeaders(try await server.get("/health")).isEmpty)
        }
    }

    @Test func noOriginIsAllowedUnlessConfigured() async throws {
        try await TestServer.run(.sqlite) { server async throws in
            #expect(try await Self.preflight(server, "/health", from: Self.page).status == 405)
            let answer = try await server.send(.get, "/health", headers: [.origin: Self.page])
            #expect(answer.status == 200 && Self.accessHeaders(answer).isEmpty)
        }
    }

    @Test func theStarAnswersAStar() async throws {
        try await Self.run(["*"]) { server async throws in
            let preflight = try await Self.preflight(server, "/health", from: Self.page)
            #expect(preflight.status == 204 && preflight.headers[.accessControlAllowOrigin] == "*")
            let answer = try await server.send(.get, "/health", headers: [.origin: Self.page])
            #expect(answer.headers[.accessControlAllowOrigin] == "*" && answer.headers[.vary] == "Origin")
            #expect(Self.accessHeaders(try await server.get("/health")).isEmpty)
        }
    }
}
