import Foundation
import RocketEngine
import RocketModel

/// The secrets that were not configured: made at first boot, kept in the data directory, readable by its owner only.
enum SecretsFile {
    /// - Throws: ``CommandFailure`` in production where one is missing or too short, or where the file can't be used.
    static func secrets(
        for configuration: LoadedConfiguration,
        in directory: URL,
        randomBytes: (Int) -> [UInt8]
    ) throws -> Secrets {
        let names = ["jwt_secret", "platform_jwt_secret", "encryption_key"]
        if configuration.isProduction { try requireAll(names, configuration) }
        let missing = names.filter { !configuration.isGiven($0) }
        let made = missing.isEmpty ? [:] : try stored(names, in: directory, randomBytes)
        let value = { (name: String) in configuration.text(name) ?? made[name] ?? "" }
        return Secrets(jwt: value(names[0]), platformJWT: value(names[1]), encryption: value(names[2]))
    }

    private static func requireAll(_ names: [String], _ configuration: LoadedConfiguration) throws {
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

    private static func stored(_ names: [String], in directory: URL, _ randomBytes: (Int) -> [UInt8]) throws -> [String:
        String]
    {
        let path = directory.appendingPathComponent("secrets.json").path
        if let data = FileManager.default.contents(atPath: path) {
            let object = try? JSONParser.parse([UInt8](data)).objectValue
            let values = names.compactMap { name in object?[name]?.stringValue.map { (name, $0) } }
            guard values.count == names.count else {
                throw CommandFailure(
                    "\(path): not a file of secrets that Rocket made; restore it from a backup",
                    .badData
                )
            }
            return Dictionary(uniqueKeysWithValues: values)
        }
        var object = JSONObject()
        for name in names { object[name] = .string(Data(randomBytes(32)).base64EncodedString()) }
        let isWritten = FileManager.default.createFile(
            atPath: path,
            contents: Data(JSONValue.object(object).jsonBytes),
            attributes: [.posixPermissions: 0o600]
        )
        guard isWritten else { throw CommandFailure("\(path): can't write the file of secrets", .unavailable) }
        return object.members.reduce(into: [:]) { $0[$1.name] = $1.value.stringValue }
    }
}
