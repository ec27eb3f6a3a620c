import ArgumentParser

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Print the configuration in force and where each value came from; secrets are masked."
    )

    @OptionGroup var common: CommonOptions

    func run() async throws {
        for entry in try common.load().entries {
            let shown = entry.value.map { entry.key.isSecret ? "***" : $0 } ?? "(not set)"
            print("\(entry.key.name) = \(shown)  # \(entry.source); \(entry.key.environmentName)")
        }
    }
}
