/// Every key of the configuration: what it is called in the file, what it may be, and what it is when nobody says.
struct ConfigurationKey: Sendable {
    enum Kind: Sendable {
        case text
        case whole(ClosedRange<Int>)
        case oneOf([String])
        /// Texts, with commas between them or as a list of the file.
        case list
    }

    let name: String
    let kind: Kind
    let fallback: String?
    var isSecret = false

    /// The key's path in capitals: `server.port` is `ROCKET_SERVER_PORT`.
    var environmentName: String {
        "ROCKET_" + name.uppercased().replacing(".", with: "_")
    }

    static let all: [ConfigurationKey] = [
        ConfigurationKey(name: "environment", kind: .oneOf(["development", "production"]), fallback: "development"),
        ConfigurationKey(name: "server.host", kind: .text, fallback: "127.0.0.1"),
        ConfigurationKey(name: "server.port", kind: .whole(0...65535), fallback: "8080"),
        ConfigurationKey(name: "server.max_connections", kind: .whole(1...1_000_000), fallback: "4096"),
        ConfigurationKey(name: "server.max_body_bytes", kind: .whole(1024...1_073_741_824), fallback: "10485760"),
        ConfigurationKey(name: "server.request_timeout_s", kind: .whole(1...3600), fallback: "30"),
        ConfigurationKey(name: "server.grace_s", kind: .whole(0...3600), fallback: "10"),
        ConfigurationKey(name: "server.trusted_proxies", kind: .list, fallback: nil),
        ConfigurationKey(name: "server.cors_origins", kind: .list, fallback: nil),
        ConfigurationKey(name: "database.driver", kind: .oneOf(["sqlite", "postgres"]), fallback: "sqlite"),
        ConfigurationKey(name: "database.data_dir", kind: .text, fallback: "./data"),
        ConfigurationKey(name: "database.synchronous", kind: .oneOf(["full", "normal"]), fallback: "full"),
        ConfigurationKey(name: "database.url", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "database.host", kind: .text, fallback: "127.0.0.1"),
        ConfigurationKey(name: "database.port", kind: .whole(1...65535), fallback: "5432"),
        ConfigurationKey(name: "database.user", kind: .text, fallback: nil),
        ConfigurationKey(name: "database.password", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "database.name", kind: .text, fallback: "rocket"),
        ConfigurationKey(name: "database.pool_size", kind: .whole(2...10_000), fallback: "40"),
        ConfigurationKey(name: "app_pool_size", kind: .whole(1...1000), fallback: "16"),
        ConfigurationKey(name: "database.max_open_apps", kind: .whole(1...10_000), fallback: "100"),
        ConfigurationKey(name: "auth.bcrypt_cost", kind: .whole(4...20), fallback: "10"),
        ConfigurationKey(name: "auth.failures_per_account", kind: .whole(1...1_000_000), fallback: "10"),
        ConfigurationKey(name: "auth.failures_per_address", kind: .whole(1...1_000_000), fallback: "100"),
        ConfigurationKey(name: "webhooks.timeout_s", kind: .whole(1...300), fallback: "30"),
        ConfigurationKey(name: "webhooks.sync_timeout_s", kind: .whole(1...60), fallback: "5"),
        ConfigurationKey(name: "webhooks.env", kind: .list, fallback: nil),
        ConfigurationKey(name: "webhooks.allowed_networks", kind: .list, fallback: nil),
        ConfigurationKey(name: "webhooks.log_days", kind: .whole(1...3650), fallback: "30"),
        ConfigurationKey(name: "workflows.log_days", kind: .whole(1...3650), fallback: "365"),
        ConfigurationKey(name: "files.dir", kind: .text, fallback: nil),
        ConfigurationKey(name: "files.max_bytes", kind: .whole(1...100_000_000_000), fallback: "104857600"),
        ConfigurationKey(
            name: "files.max_bytes_per_day",
            kind: .whole(1...100_000_000_000_000),
            fallback: "10737418240"
        ),
        ConfigurationKey(name: "history.log_days", kind: .whole(1...36_500), fallback: "365"),
        ConfigurationKey(name: "metrics.token", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "jwt_secret", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "platform_jwt_secret", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "encryption_key", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "admin_password", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(name: "platform_password", kind: .text, fallback: nil, isSecret: true),
        ConfigurationKey(
            name: "log.level",
            kind: .oneOf(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
            fallback: "info"
        ),
        ConfigurationKey(name: "log.format", kind: .oneOf(["text", "json"]), fallback: "text"),
    ]
}
