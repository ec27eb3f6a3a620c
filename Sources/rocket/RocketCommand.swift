import ArgumentParser
import Foundation

@main
struct RocketCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rocket",
        abstract: "A backend from metadata: entities, rules and permissions as JSON, a REST API at once.",
        subcommands: [
            ServeCommand.self, DemoCommand.self, AppCommand.self, UserCommand.self, ImportCommand.self,
            ExportCommand.self, TypesCommand.self, DiffCommand.self, ApplyCommand.self, BackupCommand.self,
            RestoreCommand.self,
            ConfigCommand.self,
        ]
    )

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            FileHandle.standardError.write(Data("rocket: \(failure)\n".utf8))
            Foundation.exit(failure.status.rawValue)
        } catch {
            exit(withError: error)
        }
    }
}

/// The options that every command takes.
struct CommonOptions: ParsableArguments {
    @Option(help: "The configuration file (default: app.yaml where it is there).")
    var config: String?

    @Option(name: .customLong("data-dir"), help: "The data directory (default: ./data).")
    var dataDirectory: String?

    @Option(name: .customLong("database-url"), help: "PostgreSQL instead of files: postgres://user:password@host/name.")
    var databaseURL: String?

    func load(_ flags: [String: String] = [:]) throws -> LoadedConfiguration {
        var flags = flags
        flags["database.data_dir"] = dataDirectory
        if dataDirectory != nil { flags["database.driver"] = "sqlite" }
        if let databaseURL {
            guard dataDirectory == nil else {
                throw CommandFailure(
                    "--data-dir is SQLite's and --database-url PostgreSQL's: leave out one",
                    .configuration
                )
            }
            flags["database.url"] = databaseURL
            flags["database.driver"] = "postgres"
        }
        return try LoadedConfiguration(file: config, flags: flags)
    }
}
