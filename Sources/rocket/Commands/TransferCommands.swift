import ArgumentParser
import Foundation
import HTTPTypes
import RocketModel

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Import definitions and sample rows into an app; what is there already is skipped."
    )

    @OptionGroup var common: CommonOptions
    @Argument(help: "The app's name.")
    var app: String
    @Argument(help: "The file; standard input without it, or for -.")
    var file: String?

    func run() async throws {
        let bytes = try definitionFile(file)
        let path = "/api/\(pathSegment(app))/_admin/import"
        let data = try await ControlClient.with(try common.load()) { client in
            try await client.send(.post, path, bytes: bytes)
        }
        let summary = data.objectValue?["summary"]?.objectValue?.members ?? []
        print("Imported " + summary.map { "\($0.value.jsonText) \($0.name)" }.joined(separator: ", "))
    }
}

/// The bytes of a file, or of standard input.
func definitionFile(_ file: String?) throws -> [UInt8] {
    guard let file, file != "-" else { return [UInt8](FileHandle.standardInput.readDataToEndOfFile()) }
    guard let data = FileManager.default.contents(atPath: file) else {
        throw CommandFailure("\(file): the file is not there or can't be read", .badData)
    }
    return [UInt8](data)
}

struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Export an app's definitions, which an empty app imports."
    )

    @OptionGroup var common: CommonOptions
    @Argument(help: "The app's name.")
    var app: String
    @Argument(help: "The file; standard output without it, or for -.")
    var file: String?

    func run() async throws {
        let path = "/api/\(pathSegment(app))/_admin/export"
        let document = try await ControlClient.with(try common.load()) { client in try await client.send(.get, path) }
        let text = document.jsonText + "\n"
        guard let file, file != "-" else {
            print(text, terminator: "")
            return
        }
        do {
            try text.write(toFile: file, atomically: true, encoding: .utf8)
        } catch {
            throw CommandFailure("\(file): can't write the file: \(error.localizedDescription)", .badData)
        }
    }
}
