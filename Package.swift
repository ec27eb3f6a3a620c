// swift-tools-version:6.2
import PackageDescription

let package = Package(
    name: "rocket",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "rocket", targets: ["rocket"])],
    dependencies: [
        // HTTP server: routing, back-pressure, graceful shutdown.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        // HTTP client: a command talks to the server that holds the data directory.
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        // The embedded store.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        // Access tokens (JWT) and hashes.
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        // The command line, its configuration file and environment.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        // Start, stop, logs.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CCrypt", path: "Sources/CCrypt"),
        .systemLibrary(name: "CEpoll", path: "Sources/CEpoll"),
        .systemLibrary(name: "CLibpq", path: "Sources/CLibpq"),
        // A few lines of C++ that give RE2 a C face.
        .target(name: "CRE2", linkerSettings: [.linkedLibrary("re2")]),
        .target(name: "RocketModel"),
        .target(name: "RocketExpression", dependencies: ["RocketModel", "CRE2"]),
        .target(name: "RocketPlanning", dependencies: ["RocketModel", "RocketExpression"]),
        .target(
            name: "RocketDatabase",
            dependencies: [
                "RocketModel", "RocketPlanning", "CEpoll", "CLibpq",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .target(
            name: "RocketEngine",
            dependencies: [
                "RocketModel", "RocketPlanning", "RocketDatabase", "CCrypt",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ]
        ),
        // What is done after a commit, and every call to the outside.
        .target(
            name: "RocketAutomation",
            dependencies: [
                "RocketModel", "RocketPlanning", "RocketDatabase", "RocketEngine",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .target(
            name: "RocketServer",
            dependencies: [
                "RocketModel", "RocketPlanning", "RocketEngine",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
            ]
        ),
        .executableTarget(
            name: "rocket",
            dependencies: [
                "RocketModel", "RocketPlanning", "RocketDatabase", "RocketEngine", "RocketAutomation", "RocketServer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("Resources/helpdesk.json")]
        ),
        // Beside the library, because what it measures is not public.
        .executableTarget(
            name: "expression-benchmark",
            dependencies: ["RocketModel", "RocketExpression"],
            path: "Benchmarks/Expressions"
        ),
        .target(
            name: "RocketTestSupport",
            dependencies: [
                "RocketModel", "RocketPlanning", "RocketDatabase", "RocketEngine", "RocketAutomation", "RocketServer",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ]
        ),
        .testTarget(name: "RocketModelTests", dependencies: ["RocketModel"]),
        .testTarget(
            name: "RocketExpressionTests",
            dependencies: ["RocketModel", "RocketExpression", "RocketTestSupport"]
        ),
        .testTarget(name: "RocketPlanningTests", dependencies: ["RocketModel", "RocketPlanning"]),
        .testTarget(
            name: "RocketDatabaseTests",
            dependencies: ["RocketModel", "RocketPlanning", "RocketDatabase", "RocketTestSupport"]
        ),
        .testTarget(
            name: "RocketEngineTests",
            dependencies: ["RocketModel", "RocketDatabase", "RocketEngine", "RocketTestSupport"]
        ),
        .testTarget(name: "RocketCommandTests", dependencies: ["rocket", "RocketTestSupport"]),
        .testTarget(
            name: "RocketServerTests",
            dependencies: [
                "RocketModel", "RocketExpression", "RocketPlanning", "RocketDatabase", "RocketEngine",
                "RocketAutomation", "RocketServer", "RocketTestSupport",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "JWTKit", package: "jwt-kit"),
            ],
            exclude: ["access-matrix.txt"]
        ),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// One set of flags for every target that is written in Swift.
for target in package.targets where target.type != .system && target.name != "CRE2" {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ]
}
