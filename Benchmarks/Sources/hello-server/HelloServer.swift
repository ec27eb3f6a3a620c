import Hummingbird

/// The floor that Rocket's cost per request is held against: GET /hello and nothing else.
///
///     hello-server 8081
@main
enum HelloServer {
    private static let answer = ByteBuffer(string: #"{"data":{"message":"hello"}}"#)

    static func main() async throws {
        guard CommandLine.arguments.count == 2, let port = Int(CommandLine.arguments[1]) else {
            return print("usage: hello-server PORT")
        }
        let router = Router()
        router.get("/hello") { _, _ in
            Response(
                status: .ok,
                headers: [.contentType: "application/json; charset=utf-8"],
                body: ResponseBody(byteBuffer: answer)
            )
        }
        let address = ApplicationConfiguration(address: .hostname("127.0.0.1", port: port), serverName: nil)
        try await Application(router: router, configuration: address).runService()
    }
}
