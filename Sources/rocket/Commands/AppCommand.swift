import ArgumentParser
import HTTPTypes
import RocketModel

struct AppCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "app",
        abstract: "Make, clone, list and delete apps.",
        subcommands: [Create.self, Clone.self, List.self, Delete.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make an app with a database of its own.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "A lower-case letter, then at most 49 of a-z, 0-9, _ and -.")
        var name: String
        @Option(help: "A name for people.")
        var displayName: String?

        func run() async throws {
            var body: JSONObject = ["name": .string(name)]
            body["display_name"] = displayName.map(JSONValue.string)
            let request = JSONValue.object(body)
            _ = try await ControlClient.with(try common.load(), makesDirectory: true) { client in
                try await client.send(.post, "/api/_platform/apps", request)
            }
            print("Made the app \(name)")
        }
    }

    struct Clone: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an app like another one: its definitions and, with --rows, all that is in it.",
            discussion:
                "Webhooks of the new app are sent when it is written to. What waits in the other one stays there."
        )

        @OptionGroup var common: CommonOptions
        @Argument(help: "The app that is there.")
        var source: String
        @Argument(help: "The name of the new one.")
        var name: String
        @Option(help: "A name for people.")
        var displayName: String?
        @Flag(help: "Copy rows and users too, as they are at one moment.")
        var rows = false

        func run() async throws {
            var body: JSONObject = ["name": .string(name), "from": .string(source), "rows": .boolean(rows)]
            body["display_name"] = displayName.map(JSONValue.string)
            let request = JSONValue.object(body)
            _ = try await ControlClient.with(try common.load()) { client in
                try await client.send(.post, "/api/_platform/apps", request)
            }
            print("Made the app \(name) from \(source)")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the apps, oldest first.")

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let apps = try await ControlClient.with(try common.load()) { client in
                try await client.send(.get, "/api/_platform/apps")
            }
            for app in (apps.arrayValue ?? []).compactMap(\.objectValue) {
                let cells = ["name", "db_driver", "db_name", "display_name"].map { app[$0]?.stringValue ?? "" }
                print(cells.joined(separator: "\t"))
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete an app and all of its data.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "The app's name.")
        var name: String
        @Flag(help: "Do not ask.")
        var yes = false

        func run() async throws {
            if !yes {
                print("All data of \(name) will be gone. Type its name to go on: ", terminator: "")
                guard readLine() == name else { throw CommandFailure("nothing was deleted") }
            }
            _ = try await ControlClient.with(try common.load()) { client in
                try await client.send(.delete, "/api/_platform/apps/\(pathSegment(name))")
            }
            print("Deleted the app \(name)")
        }
    }
}
