import Foundation
import RocketTestSupport
import Testing

/// The program as its users meet it: commands, exit codes, one line that says what to do.
@Suite(.serialized) struct CommandTests {
    private static func inDirectory(_ test: (URL) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        do {
            try await test(directory.url)
        } catch {
            try directory.remove()
            throw error
        }
        try directory.remove()
    }

    private static func mode(_ url: URL) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: url.path)[.posixPermissions] as? Int
    }

    @Test func commandsWorkOnPostgreSQLWithoutADataDirectory() async throws {
        let directory = try TemporaryDirectory()
        let name = "cmd\(UInt32.random(in: .min ... .max))"
        let management =
            "test_\(directory.url.lastPathComponent.lowercased().replacing("rocket-test-", with: "").prefix(13))"
        let url = try TestCluster.url().replacing(#/[^/]*$/#, with: management)
        let run = { (arguments: [String]) in
            try await RocketProcess.run(arguments, environment: ["ROCKET_DATABASE_URL": url], in: directory.url)
        }
        let tooEarly = try await run(["app", "list"])
        #expect(tooEarly.status == 69 && tooEarly.errors.contains("does not exist"), "\(tooEarly)")
        let made = try await run(["app", "create", name])
        #expect(made.status == 0, "\(made)")
        let list = try await run(["app", "list"])
        #expect(list.output == "\(name)\tpostgres\trocket_\(name)\t\(name)\n", "\(list)")
        #expect(try await run(["app", "delete", name, "--yes"]).status == 0)
        #expect(try await run(["app", "list"]).output.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
        try await TestStore.postgres.remove(directory)
    }

    @Test(
        arguments: [
            (["--database-url", "postgres://u:sesame@pw@127.0.0.1:1/x"], 78, "database.url"),
            (["--database-url", "postgres://u:sesame@127.0.0.1:1/x"], 69, "can't start on PostgreSQL"),
            (["--database-url", "postgres://127.0.0.1/x", "--data-dir", "d"], 78, "leave out one"),
        ] as [([String], Int32, String)]
    )
    func aDatabaseThatCantBeReachedIsToldWithoutThePassword(
        arguments: [String],
        status: Int32,
        words: String
    ) async throws {
        try await Self.inDirectory { directory in
            let result = try await RocketProcess.run(["app", "create", "x"] + arguments, in: directory)
            #expect(result.status == status && result.errors.contains(words), "\(result)")
            #expect(!result.errors.contains("sesame") && !result.errors.contains("pw"))
            #expect(result.errors.split(separator: "\n").count == 1)
        }
    }

    @Test func secretsAreMadeAtFirstBootForTheOwnerOnlyAndDifferEverywhere() async throws {
        try await Self.inDirectory { directory in
            var secrets: [Data] = []
            for name in ["a", "b"] {
                let data = directory.appendingPathComponent(name)
                for _ in 0..<2 {
                    let made = try await RocketProcess.run(
                        ["app", "create", "x\(secrets.count)", "--data-dir", data.path],
                        in: directory
                    )
                    #expect(made.status == 0, "\(made)")
                    secrets.append(try Data(contentsOf: data.appendingPathComponent("secrets.json")))
                }
                for file in ["secrets.json", "management.db", "rocket.lock"] {
                    #expect(try Self.mode(data.appendingPathComponent(file)) == 0o600, "\(file)")
                }
            }
            #expect(secrets[0] == secrets[1] && secrets[2] == secrets[3] && secrets[0] != secrets[2])
        }
    }

    @Test func commandsDoTheSameWithAServerAndWithout() async throws {
        try await Self.inDirectory { directory in
            func run(_ arguments: String..., input: String = "") async throws -> RocketProcess.Result {
                try await RocketProcess.run(arguments + ["--data-dir", directory.path], input: input, in: directory)
            }
            let helpdesk = TestFiles.root.appendingPathComponent("Sources/rocket/Resources/helpdesk.json").path
            #expect(try await run("app", "create", "alone").status == 0)
            let server = try await RocketProcess.serve(directory)
            #expect(try await run("app", "create", "served").output == "Made the app served\n")
            let taken = try await run("app", "create", "served")
            #expect(
                taken.status == 65 && taken.errors.hasPrefix("rocket: There is an app")
                    && taken.errors.filter { $0 == "\n" }.count == 1
            )
            #expect(try await run("import", "served", helpdesk).output.contains("4 entities"))
            #expect(
                try await run(
                    "user",
                    "create",
                    "a@x.example",
                    "--app",
                    "served",
                    "--role",
                    "agent",
                    input: "password1\n"
                ).status == 0
            )
            #expect(try await run("user", "password", "a@x.example", "--app", "served", input: "short\n").status == 65)
            let exported = try await run("export", "served").output
            server.send(SIGTERM)
            #expect(try await server.waitForEnd() == 0)
            let list = try await run("app", "list").output.split(separator: "\n").map { $0.split(separator: "\t")[0] }
            #expect(list == ["alone", "served"])
            #expect(try await run("import", "alone", "-", input: exported).output.contains("4 entities"))
            let copy = try await run("export", "alone").output
            let withoutTime = { (text: String) in text.replacing(/"exported_at":"[^"]*"/, with: "") }
            #expect(withoutTime(copy) == withoutTime(exported) && copy.contains("\"ticket\""))
            #expect(try await run("app", "delete", "alone", input: "no\n").status == 1)
            #expect(try await run("app", "delete", "alone", "--yes").status == 0)
            #expect(try await run("app", "delete", "alone", "--yes").status == 65)
        }
    }

    /// Runs a test with what tells commands where the data is.
    private static func onEachStore(
        _ store: TestStore,
        _ test: (URL, _ environment: [String: String]) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        switch store {
        case .sqlite: try await test(directory.url, ["ROCKET_DATABASE_DATA_DIR": directory.url.path + "/data"])
        case .postgres:
            let name = TestCluster.managementDatabase(for: directory.url)
            let url = try TestCluster.url().replacing(#/[^/]*$/#, with: name)
            try await test(directory.url, ["ROCKET_DATABASE_URL": url])
        }
        try await store.remove(directory)
    }

    @Test(arguments: TestStore.allCases)
    func appsAreComparedAppliedClonedBackedUpAndRestored(store: TestStore) async throws {
        try await Self.onEachStore(store) { directory, environment in
            func run(_ arguments: String..., input: String = "") async throws -> RocketProcess.Result {
                try await RocketProcess.run(arguments, environment: environment, input: input, in: directory)
            }
            // On PostgreSQL the databases of apps have one prefix for the whole cluster.
            let name = "cmd\(UInt32.random(in: .min ... .max))"
            let helpdesk = TestFiles.root.appendingPathComponent("Sources/rocket/Resources/helpdesk.json").path
            #expect(try await run("app", "create", name).status == 0)
            let diff = try await run("diff", name, helpdesk)
            #expect(diff.status == 2 && diff.output.contains("+ entities ticket"), "\(diff)")
            #expect(diff.output.contains("CREATE TABLE \"tickets\"") && diff.output.contains("note: sample_data"))
            let trial = try await run("apply", name, helpdesk, "--dry-run")
            #expect(trial.status == 0 && trial.output == diff.output)
            let applied = try await run("apply", name, helpdesk)
            #expect(applied.status == 0 && applied.output.hasPrefix("This was changed\n"), "\(applied)")
            let again = try await run("diff", name, helpdesk)
            #expect(again.status == 0 && again.output.hasPrefix("There is nothing to change\n"), "\(again)")
            #expect(try await run("import", name, helpdesk).status == 0)
            #expect(
                try await run("app", "clone", name, "\(name)b", "--rows").output
                    == "Made the app \(name)b from \(name)\n"
            )
            let exported = try await run("export", name).output
            let bare = try await run("apply", name, "-", input: "{\"version\": 1}")
            #expect(
                bare.status == 0 && bare.output.contains("- entities ticket") && bare.output.contains("  ! "),
                "\(bare)"
            )
            #expect(try await run("apply", name, "-", input: exported).status == 0)
            let backup = try await run("backup", "kept", name, "\(name)b")
            #expect(backup.status == 0 && backup.output.contains("2 apps in kept"), "\(backup)")
            #expect(try await run("backup", "kept", name).status == 65)
            let taken = try await run("restore", "kept")
            #expect(taken.status == 65 && taken.errors.contains("already"), "\(taken)")
            #expect(try await run("app", "delete", name, "--yes").status == 0)
            #expect(try await run("restore", "kept", name).status == 0)
            #expect(try await run("restore", "kept", name, "--as", "\(name)c").status == 0)
            let copy = try await run("export", "\(name)c").output
            let withoutTime = { (text: String) in text.replacing(/"exported_at":"[^"]*"/, with: "") }
            #expect(withoutTime(copy) == withoutTime(exported))
            let nowhere = try await run("restore", "nowhere")
            #expect(nowhere.status == 65 && nowhere.errors.contains("is no backup"), "\(nowhere)")
            for suffix in ["", "b", "c"] { #expect(try await run("app", "delete", name + suffix, "--yes").status == 0) }
        }
    }

    @Test func whatWasAcknowledgedIsThereAfterAKill() async throws {
        try await Self.inDirectory { directory in
            let server = try await RocketProcess.serve(directory)
            for index in 0..<3 {
                let made = try await RocketProcess.run(
                    ["app", "create", "a\(index)", "--data-dir", directory.path],
                    in: directory
                )
                #expect(made.status == 0)
            }
            server.send(SIGKILL)
            _ = try await server.waitForEnd()
            let again = try await RocketProcess.serve(directory)
            let list = try await RocketProcess.run(["app", "list", "--data-dir", directory.path], in: directory)
            #expect(list.output.split(separator: "\n").count == 3)
            again.send(SIGINT)
            #expect(try await again.waitForEnd() == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aLongAnswerThatIsReadSlowlyIsWholeThoughTheServerStops(store: TestStore) async throws {
        try await Self.onEachStore(store) { directory, environment in
            let name = "long\(UInt32.random(in: .min ... .max))"
            func run(_ arguments: String..., input: String = "") async throws -> RocketProcess.Result {
                try await RocketProcess.run(arguments, environment: environment, input: input, in: directory)
            }
            #expect(try await run("app", "create", name).status == 0)
            let row =
                "{\"id\": \"10000000-0000-0000-0000-0000000000%02d\", \"text\": \"\(String(repeating: "x", count: 90_000))\"}"
            let rows = (0..<90).map { row.replacing("%02d", with: String($0 + 10)) }.joined(separator: ",")
            let file = """
                {"version": 1, "entities": [{"name": "page", "table": "pages",
                "primary_key": {"field": "id", "type": "uuid", "generated": true},
                "fields": [{"name": "id", "type": "uuid"}, {"name": "text", "type": "text"}]}],
                "permissions": [{"entity": "page", "action": "read", "roles": ["anonymous"]}],
                "sample_data": {"page": [\(rows)]}}
                """
            let imported = try await run("import", name, input: file)
            #expect(imported.status == 0, "\(imported)")
            let server = try await RocketProcess.serve(directory, environment: environment, namesDirectory: false)
            let request = "GET /api/\(name)/page?per_page=100 HTTP/1.1\r\nHost: x\r\n\r\n"
            let reader = try SlowReader(port: server.port, request)
            #expect(try await reader.read(atLeast: 100_000).starts(with: "HTTP/1.1 200".utf8))
            server.send(SIGTERM)
            try await Task.sleep(for: .milliseconds(500))
            let answer = try await reader.readToEnd()
            #expect(try await server.waitForEnd() == 0)
            #expect(try await run("app", "delete", name, "--yes").status == 0)
            let text = String(decoding: answer, as: UTF8.self)
            let head = try #require(text.range(of: "\r\n\r\n"))
            let length = text[..<head.lowerBound].lowercased().split(separator: "\r\n")
                .first { $0.hasPrefix("content-length:") }.flatMap { Int($0.dropFirst(16)) }
            #expect(length ?? 0 > 8_000_000 && text[head.upperBound...].utf8.count == length)
        }
    }

    @Test func oneProcessOwnsADataDirectory() async throws {
        try await Self.inDirectory { directory in
            let server = try await RocketProcess.serve(directory)
            let second = try await RocketProcess.run(
                ["serve", "--data-dir", directory.path, "--port", "0"],
                in: directory
            )
            #expect(
                second.status == 69 && second.errors.contains("another rocket holds this data directory"),
                "\(second)"
            )
            server.send(SIGTERM)
            _ = try await server.waitForEnd()
        }
    }

    @Test func aPortInUseIsSaidInOneLine() async throws {
        try await Self.inDirectory { directory in
            let first = directory.appendingPathComponent("first")
            try FileManager.default.createDirectory(at: first, withIntermediateDirectories: true)
            let server = try await RocketProcess.serve(first)
            let address = try #require(server.logText.firstMatch(of: /127\.0\.0\.1:(\d+)/))
            let port = String(address.1)
            let second = directory.appendingPathComponent("second").path
            let refused = try await RocketProcess.run(
                ["serve", "--data-dir", second, "--port", port],
                environment: ["ROCKET_LOG_LEVEL": "error"],
                in: directory
            )
            #expect(refused.status == 69)
            #expect(
                refused.errors == "rocket: port \(port) is in use: stop what uses it, or choose another with --port\n"
            )
            server.send(SIGTERM)
            _ = try await server.waitForEnd()
        }
    }

    @Test(
        arguments: [
            ("server:\n  prot: 1\n", [:], "\"server.prot\" is not known; did you mean \"server.port\"?"),
            ("server:\n  port: many\n", [:], "server.port (app.yaml): expected a whole number"),
            ("- a\n", [:], "the file is a mapping"),
            ("", ["ROCKET_DATABASE_DATA_DIR": ""], "database.data_dir (environment): expected a folder"),
            ("{", [:], "not YAML"),
            ("", ["ROCKET_SERVER_PROT": "1"], "ROCKET_SERVER_PROT is not known; did you mean \"ROCKET_SERVER_PORT\"?"),
            ("", ["ROCKET_FAULTS": "after-comit=1"], "ROCKET_FAULTS: expected a point (after-commit, before-answer,"),
            ("", ["ROCKET_FAULTS": "answer-lost=2"], "got \"answer-lost=2\""),
            ("", ["ROCKET_FAULTS": "="], "got \"=\""),
            ("", ["ROCKET_FAULTS": ","], "got \",\""),
            (
                "", ["ROCKET_FAULTS": "answer-lost=1", "ROCKET_ENVIRONMENT": "production"],
                "ROCKET_FAULTS makes a server fail on purpose: production takes none"
            ),
            ("", ["ROCKET_LOG_LEVEL": "loud"], "log.level (environment): expected trace or"),
            (
                "", ["ROCKET_ENVIRONMENT": "production"],
                "production needs jwt_secret (ROCKET_JWT_SECRET) with at least 32 bytes"
            ),
            ("", ["ROCKET_ENVIRONMENT": "production", "ROCKET_JWT_SECRET": "short"], "production needs jwt_secret"),
            ("", ["ROCKET_PLATFORM_PASSWORD": "short"], "platform_password: a password has 8 to 72 bytes"),
            (
                "server:\n  trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]\n", [:],
                "server.trusted_proxies: \"10.0.0.1/8\" is an address inside a network; write 10.0.0.0/8"
            ),
            ("", ["ROCKET_SERVER_TRUSTED_PROXIES": "::1, proxy"], "server.trusted_proxies: \"proxy\" is no address"),
            (
                "", ["ROCKET_SERVER_CORS_ORIGINS": "https://a.example/"],
                "server.cors_origins: \"https://a.example/\" is no"
            ),
            ("server:\n  cors_origins: [[a]]\n", [:], "\"server.cors_origins\" takes a list of plain values"),
            ("server:\n  port: [1]\n", [:], "\"server.port\" takes one value, not a list"),
        ] as [(String, [String: String], String)]
    )
    func aBadConfigurationIsRefusedWithWhatToDo(file: String, environment: [String: String], words: String) async throws
    {
        try await Self.inDirectory { directory in
            if !file.isEmpty {
                try file.write(to: directory.appendingPathComponent("app.yaml"), atomically: true, encoding: .utf8)
            }
            let result = try await RocketProcess.run(["serve", "--port", "0"], environment: environment, in: directory)
            #expect(result.status == 78 && result.errors.contains(words), "\(result)")
            #expect(result.errors.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func flagsGoOverTheEnvironmentAndThatOverTheFile() async throws {
        try await Self.inDirectory { directory in
            let file =
                "server:\n  host: 1.1.1.1\n  port: 1\ndatabase:\n  data_dir: from-file\njwt_secret: hidden-value\n"
            try file.write(to: directory.appendingPathComponent("app.yaml"), atomically: true, encoding: .utf8)
            let result = try await RocketProcess.run(
                ["config", "--data-dir", "from-flag"],
                environment: ["ROCKET_SERVER_PORT": "2", "ROCKET_DATABASE_DATA_DIR": "from-environment"],
                in: directory
            )
            #expect(result.output.contains("server.host = 1.1.1.1  # app.yaml;"))
            #expect(result.output.contains("server.port = 2  # environment;"))
            #expect(result.output.contains("database.data_dir = from-flag  # flag;"))
            #expect(result.output.contains("jwt_secret = ***") && !result.output.contains("hidden-value"))
            #expect(result.output.contains("log.level = info  # default;"))
        }
    }

    @Test func aMistypedDataDirectoryIsNotMade() async throws {
        try await Self.inDirectory { directory in
            let path = directory.appendingPathComponent("nowhere").path
            let result = try await RocketProcess.run(["app", "list", "--data-dir", path], in: directory)
            #expect(result.status == 69 && result.errors.contains("there is no data directory here"))
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func productionServesWithItsSecretsAndSeedsNoKnownPassword() async throws {
        try await Self.inDirectory { directory in
            let secret = { (letter: String) in String(repeating: letter, count: 32) }
            let server = try await RocketProcess.serve(
                directory,
                environment: [
                    "ROCKET_ENVIRONMENT": "production", "ROCKET_JWT_SECRET": secret("a"),
                    "ROCKET_PLATFORM_JWT_SECRET": secret("b"),
                    "ROCKET_ENCRYPTION_KEY": secret("c"),
                ]
            )
            #expect(server.logText.contains("has no user yet") && !server.logText.contains("changeme"))
            for letter in ["a", "b", "c"] { #expect(!server.logText.contains(secret(letter))) }
            server.send(SIGTERM)
            #expect(try await server.waitForEnd() == 0)
            #expect(!FileManager.default.fileExists(atPath: directory.appendingPathComponent("secrets.json").path))
        }
    }
}
