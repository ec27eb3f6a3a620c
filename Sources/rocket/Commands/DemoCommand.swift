import ArgumentParser
import Foundation
import HTTPTypes
import RocketModel

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Start a server with an example app, a help desk, ready to try. Its data is gone when it stops."
    )

    @Option(help: "The port to listen on.")
    var port: Int = 8080

    func run() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "rocket-demo-\(getpid())",
            isDirectory: true
        )
        defer { try? FileManager.default.removeItem(at: directory) }
        let flags = ["database.data_dir": directory.path, "server.port": String(port), "log.level": "warning"]
        let configuration = try LoadedConfiguration(file: nil, flags: flags)
        try await ControlClient.with(configuration, makesDirectory: true) { client in
            _ = try await client.send(.post, "/api/_platform/apps", ["name": "helpdesk", "display_name": "Help desk"])
            _ = try await client.send(.post, "/api/helpdesk/_admin/import", bytes: PackageResources.helpdesk_json)
        }
        try await RunningServer.run(configuration) { address in
            print(Self.welcome(address))
            // Standard output may be a pipe, which is written when it is full.
            fflush(nil)
        }
    }

    private static func welcome(_ address: String) -> String {
        """
        The help desk is at \(address)/api/helpdesk
        Sign in as admin@localhost with the password changeme. In another terminal:

          TOKEN=$(curl -s \(address)/api/helpdesk/auth/login -H 'Content-Type: application/json' \\
            -d '{"email":"admin@localhost","password":"changeme"}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
          curl -s "\(address)/api/helpdesk/ticket?filter[status]=open&sort=-priority" -g -H "Authorization: Bearer $TOKEN"
          curl -s \(address)/api/helpdesk/customer -H "Authorization: Bearer $TOKEN" \\
            -H 'Content-Type: application/json' -d '{"name":"Ada Lovelace","email":"ada@example.com"}'

        Ctrl-C stops it and removes its data.
        """
    }
}
