import ArgumentParser
import Foundation
import HTTPTypes
import RocketModel

struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Say what applying a file of definitions would change, in words and as SQL; changes nothing.",
        discussion: "The exit code is 0 where there is nothing to change, and 2 where there is."
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var target: ApplyTarget

    func run() async throws {
        if try await target.apply(common, isTrial: true) { throw ExitCode(2) }
    }
}

struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Make an app's definitions those of a file: add, change and remove, all or nothing.",
        discussion: "Tables and columns are kept when their definitions go. Rows of the file are not imported."
    )

    @OptionGroup var common: CommonOptions
    @OptionGroup var target: ApplyTarget
    @Flag(help: "Only say what would be changed.")
    var dryRun = false

    func run() async throws {
        _ = try await target.apply(common, isTrial: dryRun)
    }
}

/// An app and the file that it is held against.
struct ApplyTarget: ParsableArguments {
    @Argument(help: "The app's name.")
    var app: String
    @Argument(help: "The file; standard input without it, or for -.")
    var file: String?

    /// - Returns: whether there is anything to change.
    func apply(_ common: CommonOptions, isTrial: Bool) async throws -> Bool {
        let bytes = try definitionFile(file)
        let path = "/api/\(pathSegment(app))/_admin/import?mode=apply&dry_run=\(isTrial)"
        let answer = try await ControlClient.with(try common.load()) { client in
            try await client.answer(.post, path, bytes: bytes)
        }
        let data = answer["data"]?.objectValue ?? JSONObject()
        let changes = (data["changes"]?.arrayValue ?? []).compactMap(\.objectValue)
        print(data["message"]?.stringValue ?? "")
        for change in changes { tell(change) }
        let sql = (data["sql"]?.arrayValue ?? []).compactMap(\.objectValue)
        if !sql.isEmpty { print("\nSQL:") }
        for step in sql {
            print("  \(step["text"]?.stringValue ?? "");")
            if let risk = step["risk"]?.stringValue { print("  ! \(risk)") }
        }
        for warning in answer["meta"]?.objectValue?["warnings"]?.arrayValue ?? [] {
            print("note: \(warning.stringValue ?? "")")
        }
        return !changes.isEmpty
    }

    private func tell(_ change: JSONObject) {
        let text = { (name: String) in change[name]?.stringValue ?? "" }
        let sign = ["add": "+", "change": "~", "remove": "-"][text("action")] ?? " "
        print("\(sign) \(text("kind")) \(text("name"))")
        for detail in change["details"]?.arrayValue ?? [] { print("    \(detail.stringValue ?? "")") }
        if let risk = change["risk"]?.stringValue { print("  ! \(risk)") }
    }
}
