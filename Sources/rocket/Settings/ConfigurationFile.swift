import Foundation
import RocketModel
import Yams

/// Reads `app.yaml` into keys and texts, and refuses what is not known.
enum ConfigurationFile {
    static let defaultPath = "app.yaml"

    /// - Parameter path: nil reads ``defaultPath`` where it is there, and nothing where it is not.
    /// - Throws: ``CommandFailure`` with one line that says what to do.
    static func read(_ path: String?) throws -> [String: String] {
        let name = path ?? defaultPath
        guard FileManager.default.fileExists(atPath: name) else {
            guard path == nil else { throw CommandFailure("\(name): there is no such file", .configuration) }
            return [:]
        }
        guard let data = FileManager.default.contents(atPath: name) else {
            throw CommandFailure("\(name): the file can't be read", .configuration)
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw CommandFailure("\(name): not YAML: it is no text in UTF-8", .configuration)
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw CommandFailure("\(name): not YAML: \(firstLine("\(error)"))", .configuration)
        }
        var values: [String: String] = [:]
        if let node, node.mapping == nil, node.string != "" {
            throw CommandFailure(
                "\(name): the file is a mapping of keys to values, such as server: with port: 9000 under it",
                .configuration
            )
        }
        if let node { try flatten(node, "", name, into: &values) }
        return values
    }

    private static func flatten(_ node: Node, _ path: String, _ file: String, into values: inout [String: String])
        throws
    {
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                let name = key.string ?? ""
                try flatten(value, path.isEmpty ? name : "\(path).\(name)", file, into: &values)
            }
        case .scalar(let scalar):
            if path.isEmpty, scalar.string.isEmpty { return }
            _ = try key(path, node, file)
            values[path] = scalar.string
        case .sequence(let sequence):
            guard case .list = try key(path, node, file).kind else {
                throw CommandFailure("\(file): the key \"\(path)\" takes one value, not a list", .configuration)
            }
            let entries = sequence.compactMap { $0.scalar?.string }
            guard entries.count == sequence.count else {
                throw CommandFailure("\(file): the key \"\(path)\" takes a list of plain values", .configuration)
            }
            values[path] = entries.joined(separator: ",")
        case .alias:
            throw CommandFailure("\(file): the key \"\(path)\" takes a value, not an alias", .configuration)
        }
    }

    private static func key(_ path: String, _ node: Node, _ file: String) throws -> ConfigurationKey {
        if let key = ConfigurationKey.all.first(where: { $0.name == path }) { return key }
        let place = node.mark.map { ":\($0.line)" } ?? ""
        let words = suggestion(for: path, among: ConfigurationKey.all.map(\.name))
        throw CommandFailure("\(file)\(place): the key \"\(path)\" is not known\(words)", .configuration)
    }
}
