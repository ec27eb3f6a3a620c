import Configuration
import Foundation
import RocketEngine
import RocketModel

/// The configuration in force: flags over environment variables over the file over the defaults.
struct LoadedConfiguration: Sendable {
    /// A value, and where it came from.
    struct Entry: Sendable {
        let key: ConfigurationKey
        let value: String?
        let source: String
    }

    let entries: [Entry]
    /// What goes wrong on purpose, for tests.
    let faults: FaultPoints

    /// - Parameters:
    ///   - file: the path of the file that was named, or nil for `app.yaml` where it is there.
    ///   - flags: values by key.
    /// - Throws: ``CommandFailure`` for an unknown key or a value that can't be.
    init(file: String?, flags: [String: String], environment: [String: String] = ProcessInfo.processInfo.environment)
        throws
    {
        try Self.refuseUnknown(environment)
        let sources: [(name: String, reader: ConfigReader)] = [
            ("flag", Self.reader(flags)),
            (
                "environment",
                ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: environment)).scoped(
                    to: "rocket"
                )
            ),
            (file ?? ConfigurationFile.defaultPath, Self.reader(try ConfigurationFile.read(file))),
        ]
        var entries: [Entry] = []
        for key in ConfigurationKey.all {
            let configKey = ConfigKey(key.name, context: [:])
            let given = sources.compactMap { source in
                source.reader.string(forKey: configKey, isSecret: key.isSecret).map { (value: $0, source: source.name) }
            }
            // A bad value is refused even where another one goes over it: it would be in force one day.
            for (value, source) in given { try Self.check(value, key, source) }
            let found = given.first { !$0.value.isEmpty || !key.isSecret }
            entries.append(Entry(key: key, value: found?.value ?? key.fallback, source: found?.source ?? "default"))
        }
        self.entries = Self.choosingDriver(entries)
        faults = try Self.faults(environment[Self.faultsName], self.entries)
    }

    /// It is no key of the configuration: nothing that a file or a flag could bring by mistake.
    private static let faultsName = "ROCKET_FAULTS"

    private static func faults(_ text: String?, _ entries: [Entry]) throws -> FaultPoints {
        guard let text, !text.isEmpty else { return .none }
        guard !entries.contains(where: { $0.key.name == "environment" && $0.value == "production" }) else {
            throw CommandFailure("\(faultsName) makes a server fail on purpose: production takes none", .configuration)
        }
        do {
            return try FaultPoints(text)
        } catch {
            throw CommandFailure("\(faultsName): \(error)", .configuration)
        }
    }

    /// A URL means PostgreSQL, unless the driver says otherwise.
    private static func choosingDriver(_ entries: [Entry]) -> [Entry] {
        guard entries.contains(where: { $0.key.name == "database.url" && $0.value != nil }) else { return entries }
        return entries.map { entry in
            guard entry.key.name == "database.driver", entry.source == "default" else { return entry }
            return Entry(key: entry.key, value: "postgres", source: "database.url")
        }
    }

    private static func reader(_ values: [String: String]) -> ConfigReader {
        let pairs = values.map {
            (
                AbsoluteConfigKey(ConfigKey("rocket." + $0.key, context: [:])),
                ConfigValue(.string($0.value), isSecret: false)
            )
        }
        return ConfigReader(provider: InMemoryProvider(values: Dictionary(uniqueKeysWithValues: pairs))).scoped(
            to: "rocket"
        )
    }

    private static func refuseUnknown(_ environment: [String: String]) throws {
        let known = ConfigurationKey.all.map(\.environmentName) + [faultsName]
        for name in environment.keys.sorted() where name.hasPrefix("ROCKET_") && !known.contains(name) {
            throw CommandFailure(
                "the environment variable \(name) is not known\(suggestion(for: name, among: known))",
                .configuration
            )
        }
    }

    private static func check(_ value: String, _ key: ConfigurationKey, _ source: String) throws {
        let expected: String
        switch key.kind {
        case .text where key.name == "database.data_dir" && value.isEmpty: expected = "a folder"
        case .text, .list: return
        case .whole(let range):
            if let whole = Int(value), range.contains(whole) { return }
            expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .oneOf(let words):
            if words.contains(value) { return }
            expected = words.joined(separator: " or ") + suggestion(for: value, among: words)
        }
        throw CommandFailure(
            "\(key.name) (\(source)): expected \(expected), got \"\(key.isSecret ? "***" : value)\"",
            .configuration
        )
    }

    // MARK: values

    func text(_ name: String) -> String? {
        entries.first { $0.key.name == name }?.value
    }

    /// The value of a key that has a default and was checked to be whole.
    func whole(_ name: String) -> Int {
        text(name).flatMap(Int.init) ?? 0
    }

    /// The entries of a key that is a list; none where nobody says.
    func list(_ name: String) -> [String] {
        (text(name) ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
            .filter { !$0.isEmpty }
    }

    func isGiven(_ name: String) -> Bool {
        entries.first { $0.key.name == name }?.source != "default"
    }

    var isProduction: Bool { text("environment") == "production" }
}
