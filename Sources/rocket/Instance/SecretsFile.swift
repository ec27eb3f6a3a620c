import Foundation
import RocketEngine
import RocketModel

/// The secrets that were not configured: made at first boot, kept in the data directory, readable by its owner only.
enum SecretsFile {
    /// - Throws: ``CommandFailure`` where the file can't be used.
    static func stored(_ names: [String], in directory: URL, _ randomBytes: (Int) -> [UInt8]) throws -> [String: String]
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
