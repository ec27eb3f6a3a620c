import ArgumentParser
import HTTPTypes
import RocketModel
import RocketPlanning

struct TypesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "types",
        abstract: "Print types for the records of an app."
    )

    @OptionGroup var common: CommonOptions
    @Argument(help: "The app's name.")
    var app: String
    @Flag(help: "As TypeScript, the only language so far.")
    var typescript = false

    func run() async throws {
        guard typescript else { throw CommandFailure("name the language: --typescript", .failure) }
        let path = "/api/\(pathSegment(app))/_admin/export"
        let document = try await ControlClient.with(try common.load()) { client in try await client.send(.get, path) }
        let read = { (kind: String) in (document.objectValue?[kind]?.arrayValue ?? []).compactMap(\.objectValue) }
        let definitions = DefinitionSet(
            entities: read("entities").map { EntityDefinition.read($0).entity },
            relations: read("relations").map { RelationDefinition.read($0).relation }
        )
        print(TypeScriptTypes(definitions).text, terminator: "")
    }
}
