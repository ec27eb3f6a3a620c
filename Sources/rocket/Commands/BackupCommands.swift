import ArgumentParser
import Foundation
import HTTPTypes
import RocketModel

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy apps to a folder while they are in use, each as it is at one moment.",
        discussion: "The folder holds all data of the apps: keep it as safe as the server."
    )

    @OptionGroup var common: CommonOptions
    @Argument(help: "The folder, which is not there yet.")
    var folder: String
    @Argument(help: "The apps; without one, all of them and the users of the platform.")
    var apps: [String] = []

    func run() async throws {
        let request = JSONValue.object(backupRequest(folder, apps))
        let report = try await ControlClient.with(try common.load()) { client in
            try await client.send(.post, "/_control/backup", request)
        }
        try tell(report, "Copied", to: folder)
    }
}

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make apps of a backup. None of them may be there already; everybody signs in again.",
        discussion: "Under another name an app sends nothing that waited to be sent when the backup was made."
    )

    @OptionGroup var common: CommonOptions
    @Argument(help: "The folder of the backup.")
    var folder: String
    @Argument(help: "The apps; without one, all of them and the users of the platform, where the backup has them.")
    var apps: [String] = []
    @Option(name: .customLong("as"), help: "Another name for the app, where it is one.")
    var newName: String?

    func run() async throws {
        var request = backupRequest(folder, apps)
        request["as"] = newName.map(JSONValue.string)
        let body = JSONValue.object(request)
        let report = try await ControlClient.with(try common.load(), makesDirectory: true) { client in
            try await client.send(.post, "/_control/restore", body)
        }
        try tell(report, "Restored", to: nil)
    }
}

private func backupRequest(_ folder: String, _ apps: [String]) -> JSONObject {
    var request: JSONObject = ["folder": .string(URL(fileURLWithPath: folder).standardizedFileURL.path)]
    if !apps.isEmpty { request["apps"] = .array(apps.map(JSONValue.string)) }
    return request
}

private func tell(_ report: JSONValue, _ what: String, to folder: String?) throws {
    let apps = (report.objectValue?["apps"]?.arrayValue ?? []).compactMap(\.objectValue)
    for app in apps { print("\(what) \(app["name"]?.stringValue ?? "") (\(app["bytes"]?.jsonText ?? "0") bytes)") }
    if let folder { print("\(apps.count == 1 ? "1 app" : "\(apps.count) apps") in \(folder)") }
    for warning in report.objectValue?["warnings"]?.arrayValue ?? [] {
        FileHandle.standardError.write(Data("rocket: \(warning.stringValue ?? "")\n".utf8))
    }
    let failures = (report.objectValue?["failures"]?.arrayValue ?? []).compactMap(\.stringValue)
    guard failures.isEmpty else {
        throw CommandFailure("not all of it: \(failures.joined(separator: "; "))", .unavailable)
    }
}
