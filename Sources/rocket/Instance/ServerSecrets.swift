import RocketEngine

/// The secrets that the configuration names.
struct ServerSecrets {
    private static let names = ["jwt_secret", "platform_jwt_secret", "encryption_key"]

    private let given: [String: String]

    /// - Throws: ``CommandFailure`` in production where one is missing or too short.
    init(_ configuration: LoadedConfiguration) throws {
        if configuration.isProduction { try Self.requireAll(configuration) }
        var given: [String: String] = [:]
        for name in Self.names where configuration.isGiven(name) { given[name] = configuration.text(name) }
        self.given = given
    }

    private static func requireAll(_ configuration: LoadedConfiguration) throws {
        for name in names {
            guard let value = configuration.text(name), value.utf8.count >= 32 else {
                let environmentName = "ROCKET_" + name.uppercased()
                throw CommandFailure(
                    "production needs \(name) (\(environmentName)) with at least 32 bytes, such as from: openssl rand -hex 32",
                    .configuration
                )
            }
        }
    }

    /// - Parameter stored: gives secrets of these names, making those that are not there yet.
    func complete(_ stored: ([String]) async throws -> [String: String]) async throws -> Secrets {
        let made = given.count == Self.names.count ? [:] : try await stored(Self.names)
        let value = { (name: String) in given[name] ?? made[name] ?? "" }
        return Secrets(
            jwt: value(Self.names[0]),
            platformJWT: value(Self.names[1]),
            encryption: value(Self.names[2])
        )
    }
}
