import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import RocketModel
import RocketServer

/// Carries a command out: by the server that holds the data directory, over its socket, or in this process where
/// no server runs. Either way it is the same request to the same route.
struct ControlClient: Sendable {
    private enum Target {
        case server(socket: String)
        case local(RocketInstance)
    }

    private let target: Target
    /// Copying a large app takes its time, and the server on the other end is our own.
    private static let patience = TimeAmount.hours(24)

    /// Runs `body` with a client, and closes what it opened.
    ///
    /// - Parameter makesDirectory: whether a data directory that is not there is made; else it is a mistyped path.
    static func with<Value: Sendable>(
        _ configuration: LoadedConfiguration,
        makesDirectory: Bool = false,
        _ body: (ControlClient) async throws -> Value
    ) async throws -> Value {
        let path = configuration.text("database.data_dir") ?? "data"
        if case .sqlite = try StoreChoice(configuration), !makesDirectory,
            !FileManager.default.fileExists(atPath: path)
        {
            throw CommandFailure("\(path): there is no data directory here; name it with --data-dir", .unavailable)
        }
        var quiet = Logger(label: "rocket")
        quiet.logLevel = .error
        guard let instance = try await RocketInstance.open(configuration, makesDatabase: makesDirectory, logger: quiet)
        else {
            let directory = URL(fileURLWithPath: configuration.text("database.data_dir") ?? "data", isDirectory: true)
            return try await body(ControlClient(target: .server(socket: RocketInstance.socketPath(in: directory))))
        }
        do {
            let value = try await body(ControlClient(target: .local(instance)))
            await instance.close()
            return value
        } catch {
            await instance.close()
            throw error
        }
    }

    /// - Returns: what stands under `data` in the answer.
    /// - Throws: ``CommandFailure`` with the server's own words.
    func send(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
        try await send(method, path, bytes: body?.jsonBytes)
    }

    func send(_ method: HTTPRequest.Method, _ path: String, bytes: [UInt8]?) async throws -> JSONValue {
        try await answer(method, path, bytes: bytes)["data"] ?? .null
    }

    /// - Returns: the whole answer.
    func answer(_ method: HTTPRequest.Method, _ path: String, bytes: [UInt8]?) async throws -> JSONObject {
        let (status, answer) =
            switch target {
            case .server(let socket): try await sendToServer(method, path, bytes, socket)
            case .local(let instance): try await sendLocally(method, path, bytes, instance)
            }
        let object = (try? JSONParser.parse(answer))?.objectValue
        guard (200..<300).contains(status) else { throw CommandFailure(Self.words(object, status), .badData) }
        return object ?? JSONObject()
    }

    private func sendToServer(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ bytes: [UInt8]?,
        _ socket: String
    ) async throws -> (Int, [UInt8]) {
        guard let url = URL(httpURLWithSocketPath: socket, uri: path) else {
            throw CommandFailure("\(socket): the path can't be a socket's", .unavailable)
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        // A socket's path is no host, so the client names none by itself.
        request.headers.add(name: "host", value: "localhost")
        request.method = .init(rawValue: method.rawValue)
        if let bytes {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(bytes)
        }
        do {
            return try await withClient { client in
                let response = try await client.execute(request, timeout: Self.patience)
                let body = try await response.body.collect(upTo: 1 << 30)
                return (Int(response.status.code), Array(body.readableBytesView))
            }
        } catch {
            throw CommandFailure(
                "a server holds the data directory, but its socket \(socket) does not answer: \(firstLine("\(error)"))",
                .unavailable
            )
        }
    }

    /// One that waits for an answer as long as it takes: nothing is sent before all is done.
    private func withClient<Value>(_ body: (HTTPClient) async throws -> Value) async throws -> Value {
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: HTTPClient.Configuration())
        do {
            let value = try await body(client)
            try await client.shutdown()
            return value
        } catch {
            try await client.shutdown()
            throw error
        }
    }

    private func sendLocally(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ bytes: [UInt8]?,
        _ instance: RocketInstance
    ) async throws -> (Int, [UInt8]) {
        var headers = HTTPFields()
        if bytes != nil { headers[.contentType] = "application/json" }
        let answer = try await LocalRequest.send(
            method,
            path,
            headers: headers,
            body: bytes ?? [],
            to: instance.responder,
            logger: instance.logger
        )
        return (answer.status.code, answer.body)
    }

    /// The error envelope as one line for a person.
    private static func words(_ object: JSONObject?, _ status: Int) -> String {
        guard let error = object?["error"]?.objectValue, let message = error["message"]?.stringValue else {
            return "the server answered \(status)"
        }
        let details = (error["details"]?.arrayValue ?? []).compactMap(\.objectValue).map { detail in
            let field = detail["field"]?.stringValue.map { "\($0) " } ?? ""
            return "\(field)\(detail["message"]?.stringValue ?? "")"
        }
        return details.isEmpty ? message : "\(message): \(details.joined(separator: "; "))"
    }
}
