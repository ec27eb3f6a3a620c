import ArgumentParser
import Foundation
import HTTPTypes
import RocketModel

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Make users and set their passwords.",
        subcommands: [Create.self, Password.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a user of an app or, without --app, of the platform.",
            discussion: "The password is read from standard input."
        )

        @OptionGroup var common: CommonOptions
        @Argument(help: "The user's e-mail.")
        var email: String
        @Option(help: "The app; without it the user is the platform's.")
        var app: String?
        @Option(name: .customLong("role"), help: "A role; give it once for each.")
        var roles: [String] = []

        func run() async throws {
            let configuration = try common.load()
            var body: JSONObject = ["email": .string(email), "password": .string(try readPassword())]
            body["app"] = app.map(JSONValue.string)
            let roles = roles.isEmpty && app == nil ? ["platform_admin"] : roles
            body["roles"] = .array(roles.map(JSONValue.string))
            let request = JSONValue.object(body)
            _ = try await ControlClient.with(configuration, makesDirectory: true) { client in
                try await client.send(.post, "/_control/users", request)
            }
            print("Made the user \(email)\(roles.isEmpty ? "" : " with the roles \(roles.joined(separator: ", "))")")
        }
    }

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a user's password and end the user's tokens.",
            discussion: "The password is read from standard input."
        )

        @OptionGroup var common: CommonOptions
        @Argument(help: "The user's e-mail.")
        var email: String
        @Option(help: "The app; without it the user is the platform's.")
        var app: String?

        func run() async throws {
            let configuration = try common.load()
            var body: JSONObject = ["password": .string(try readPassword())]
            body["app"] = app.map(JSONValue.string)
            let request = JSONValue.object(body)
            let path = "/_control/users/\(pathSegment(email))/password"
            _ = try await ControlClient.with(configuration) { client in try await client.send(.put, path, request) }
            print("Changed the password of \(email)")
        }
    }
}

/// Reads a password from a terminal without showing it, or a line from a pipe.
private func readPassword() throws -> String {
    if isatty(STDIN_FILENO) != 0 {
        guard let typed = getpass("Password: ") else { throw CommandFailure("no password was given") }
        return String(cString: typed)
    }
    guard let line = readLine(strippingNewline: true), !line.isEmpty else {
        throw CommandFailure("no password was given: type it, or send it on standard input")
    }
    return line
}

/// Text as one segment of a path.
func pathSegment(_ text: String) -> String {
    let allowed = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: Unicode.Scalar(0)..."\u{7F}"))
        .union(CharacterSet(charactersIn: "-._~"))
    return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
}
