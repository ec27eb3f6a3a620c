import Foundation
import RocketTestSupport
import Testing

/// Who may import whom: the table of ARCHITECTURE.md, held against the sources.
struct ImportWallTests {
    private static let system: Set<String> = [
        "Foundation", "FoundationEssentials", "Dispatch", "Synchronization", "Glibc", "Darwin",
    ]

    private static let allowed: [String: Set<String>] = [
        "RocketModel": [],
        "RocketExpression": ["RocketModel", "CRE2"],
        "RocketPlanning": ["RocketModel", "RocketExpression"],
        "RocketDatabase": ["RocketModel", "RocketPlanning", "Logging", "GRDB", "GRDBSQLite", "CLibpq", "CEpoll"],
        "RocketEngine": [
            "RocketModel", "RocketPlanning", "RocketDatabase", "Logging", "CoreMetrics", "Crypto", "CCrypt",
        ],
        "RocketAutomation": [
            "RocketModel", "RocketPlanning", "RocketDatabase", "RocketEngine", "AsyncHTTPClient", "NIOCore",
            "NIOHTTP1", "NIOPosix", "Crypto", "Logging",
        ],
        "RocketServer": [
            "RocketModel", "RocketPlanning", "RocketEngine", "Hummingbird", "HTTPTypes", "NIOCore", "NIOHTTP1",
            "NIOHTTPTypes", "NIOHTTPTypesHTTP1",
            "JWTKit", "Crypto", "Logging", "CoreMetrics",
        ],
        "rocket": [
            "RocketModel", "RocketPlanning", "RocketDatabase", "RocketEngine", "RocketAutomation", "RocketServer",
            "ArgumentParser",
            "AsyncHTTPClient",
            "Configuration", "Hummingbird", "HTTPTypes", "Logging", "NIOCore", "NIOHTTP1", "NIOPosix",
            "ServiceLifecycle",
            "UnixSignals", "Yams",
        ],
    ]

    /// Modules that stand in one folder only.
    private static let confined = [
        "NIOHTTPTypesHTTP1": "Connection", "GRDB": "SQLite", "GRDBSQLite": "SQLite", "JWTKit": "Authentication",
        "CCrypt": "Accounts",
        "CLibpq": "Postgres", "CEpoll": "Postgres", "CRE2": "Patterns",
    ]

    /// Model and planning do no I/O: of the system they take nothing that could.
    private static let pure: Set<String> = ["RocketModel", "RocketPlanning"]

    private static func imports() throws -> [(module: String, file: String, imported: String)] {
        let sources = TestFiles.root.appendingPathComponent("Sources")
        let files =
            FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL }
            ?? []
        var imports: [(module: String, file: String, imported: String)] = []
        for file in files where file.pathExtension == "swift" {
            let path = String(file.path.dropFirst(sources.path.count + 1))
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                guard let index = words.firstIndex(of: "import"), index <= 1, words.count > index + 1 else { continue }
                imports.append((String(path.prefix { $0 != "/" }), path, words[index + 1]))
            }
        }
        return imports
    }

    @Test func noImportCrossesAWall() throws {
        let imports = try Self.imports()
        #expect(imports.count > 100)
        for (module, file, imported) in imports {
            guard let allowed = Self.allowed[module] else {
                #expect(module == "RocketTestSupport", "\(file): the module \(module) is not in the table")
                continue
            }
            let system = Self.pure.contains(module) ? [] : Self.system
            #expect(allowed.contains(imported) || system.contains(imported), "\(file) imports \(imported)")
            if let folder = Self.confined[imported] {
                #expect(file.contains("/\(folder)/"), "\(file) imports \(imported), which stays in \(folder)/")
            }
        }
    }

    @Test func theTableHasTheModulesThatThereAre() throws {
        let folders = try FileManager.default.contentsOfDirectory(
            atPath: TestFiles.root.appendingPathComponent("Sources").path
        )
        #expect(
            Set(folders) == Set(Self.allowed.keys).union(["CCrypt", "CEpoll", "CLibpq", "CRE2", "RocketTestSupport"])
        )
    }
}
