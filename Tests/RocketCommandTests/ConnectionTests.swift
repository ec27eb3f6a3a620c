import Foundation
import RocketTestSupport
import Testing

/// Connections, byte by byte: where requests end, when connections do, and how many there may be.
struct ConnectionTests {
    private static func run(
        _ environment: [String: String] = [:],
        _ test: (RocketProcess) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let server = try await RocketProcess.serve(directory.url, environment: environment)
        do {
            try await test(server)
        } catch {
            server.send(SIGKILL)
            throw error
        }
        server.send(SIGKILL)
        _ = try await server.waitForEnd()
        try directory.remove()
    }

    /// All that a connection gives until the server ends it.
    private static func answers(_ server: RocketProcess, to text: String) async throws -> String {
        let reader = try SlowReader(port: server.port, text)
        return String(decoding: try await reader.readToEnd(), as: UTF8.self)
    }

    private static func statuses(_ text: String) -> [String] {
        text.matches(of: #/HTTP/1\.1 ([0-9]+)/#).map { String($0.1) }
    }

    @Test func aConnectionEndsWhereTheClientSaysSoInAnyForm() async throws {
        try await Self.run { server in
            for said in [
                "Connection: close", "Connection: Close", "Connection: keep-alive, close", "connection:CLOSE,x",
            ] {
                let text = try await Self.answers(server, to: "GET /health HTTP/1.1\r\nHost: a\r\n\(said)\r\n\r\n")
                #expect(
                    Self.statuses(text) == ["200"] && text.lowercased().contains("connection: close"),
                    "\(said): \(text)"
                )
            }
            let two = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: x\r\n\r\n"
            #expect(Self.statuses(try await Self.answers(server, to: two)) == ["200"])
            let old = "GET /health HTTP/1.0\r\n\r\n"
            #expect(Self.statuses(try await Self.answers(server, to: old)) == ["200"])
        }
    }

    /// It gets none, and no connection on which nothing is ever answered.
    @Test func whoeverAsksForAnotherProtocolIsAnsweredAndGone() async throws {
        try await Self.run { server in
            for protocolName in ["h2c", "websocket"] {
                let request =
                    "GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: \(protocolName)\r\n\r\n"
                let text = try await Self.answers(server, to: request)
                #expect(Self.statuses(text) == ["200"] && text.lowercased().contains("connection: close"), "\(text)")
            }
        }
    }

    /// Behind it the parser reads no requests, and nobody may go on sending.
    @Test func whoeverAsksForATunnelIsRefusedAndGone() async throws {
        try await Self.run { server in
            let start = ContinuousClock.now
            for target in ["/health", "localhost:80"] {
                let request = "CONNECT \(target) HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n"
                let text = try await Self.answers(server, to: request)
                #expect(
                    Self.statuses(text).count <= 1 && !text.contains("\"ok\"") && !text.contains(" 200 "),
                    "\(text)"
                )
            }
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }

    /// What comes behind a request that stops the parser is not kept, and the connection ends whatever the client does.
    @Test(
        arguments: [
            "CONNECT /health HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ]
    )
    func whoeverSendsOnAndOnIsCutOffAndFillsNoMemory(request: String) async throws {
        try await Self.run { server in
            let before = try server.peakMemory
            let flood = try SlowReader(port: server.port, request)
            #expect(try await flood.flood(upTo: 1 << 40))
            flood.end()
            let after = try server.peakMemory
            #expect(after < before + 100, "\(before) MB before, \(after) after")
        }
    }

    @Test(
        arguments: [
            "OPTIONS /api/x/y HTTP/1.1\r\nHost: a\r\nHost: b\r\nOrigin: http://a\r\nAccess-Control-Request-Method: GET\r\n\r\n",
            "GET /health HTTP/1.1\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET /health HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n",
            "GET /health HTTP/1.0\r\nHost:\r\nHost:\r\n\r\n",
            "POST /api/x/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \r\nContent-Length: 2\r\n\r\n{}GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
    )
    func aRequestWhoseEndOrHostIsUnsureIsRefusedAndNothingBehindItIsRead(request: String) async throws {
        try await Self.run { server in
            let text = try await Self.answers(server, to: request)
            #expect(Self.statuses(text) == ["400"] && !text.contains("\"ok\""), "\(text)")
        }
    }

    @Test(arguments: ["/api/_platform/auth/login", "/nothing"])
    func aBodyThatIsBrokenHasOneAnswerAndItsConnectionEnds(path: String) async throws {
        try await Self.run { server in
            let request =
                "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\nnothing\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n"
            let text = try await Self.answers(server, to: request)
            #expect(Self.statuses(text) == [path == "/nothing" ? "404" : "400"], "\(text)")
        }
    }

    @Test(arguments: ["9223372036854775807", "9223372036854775808", "18446744073709551615"])
    func aLengthThatNobodyTakesIsRefusedBeforeItsBodyComes(length: String) async throws {
        try await Self.run { server in
            let request =
                "POST /api/_platform/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Connection: close\r\nContent-Length: \(length)\r\n\r\n{}"
            let text = try await Self.answers(server, to: request)
            #expect(Self.statuses(text) == ["413"], "\(text)")
        }
    }

    @Test func theAnswerToABodyThatIsBrokenSaysThatTheConnectionEnds() async throws {
        try await Self.run { server in
            let request =
                "POST /api/_platform/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\nnothing\r\n\r\n"
            let text = try await Self.answers(server, to: request)
            #expect(text.lowercased().contains("connection: close"), "\(text)")
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await Self.run { server in
            let paths = ["/health", "/nothing", "/ready", "/health"]
            let requests = paths.map { "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
            let last = "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            let text = try await Self.answers(server, to: requests + last)
            #expect(Self.statuses(text) == ["200", "404", "200", "200", "404"], "\(text)")
            #expect(text.lowercased().components(separatedBy: "connection: close").count == 2)
        }
    }

    @Test func aFullServerSaysSoAtOnceAndHasRoomAgainAfterwards() async throws {
        try await Self.run(["ROCKET_SERVER_MAX_CONNECTIONS": "2"]) { server in
            let held = try (0..<2).map { _ in
                try SlowReader(port: server.port, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            }
            for reader in held { _ = try await reader.read(atLeast: 20) }
            let start = ContinuousClock.now
            let refused = try await Self.answers(server, to: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(Self.statuses(refused) == ["503"] && refused.contains("UNAVAILABLE"), "\(refused)")
            #expect(refused.lowercased().contains("retry-after: 1") && ContinuousClock.now - start < .seconds(5))
            for reader in held { reader.end() }
            try await Task.sleep(for: .milliseconds(300))
            let text = try await Self.answers(
                server,
                to: "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            #expect(Self.statuses(text) == ["200"], "\(text)")
        }
    }

    // MARK: faults on purpose

    @Test func anAnswerIsLostWhereAFaultPointSaysSo() async throws {
        try await Self.run(["ROCKET_FAULTS": "answer-lost=1"]) { server in
            // The server itself is none the worse for it.
            for path in ["/health", "/ready"] {
                let text = try await Self.answers(server, to: "GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(text.isEmpty)
            }
        }
    }

    @Test func aServerEndsBeforeItsAnswerWhereAFaultPointSaysSo() async throws {
        let directory = try TemporaryDirectory()
        let server = try await RocketProcess.serve(directory.url, environment: ["ROCKET_FAULTS": "before-answer=1"])
        #expect(try await Self.answers(server, to: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n").isEmpty)
        #expect(try await server.waitForEnd() == SIGKILL)
        try directory.remove()
    }
}
