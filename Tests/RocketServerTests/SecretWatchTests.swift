import Logging
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// What watches all other tests finds what it is for.
struct SecretWatchTests {
    @Test func aSecretIsFoundWhereNoneBelongs() {
        let watch = SecretWatch()
        watch.keep("correct horse", "a password")
        watch.look(in: Array("nothing of it: correct hors".utf8), "a page")
        #expect(watch.leaks.isEmpty)
        watch.look(in: Array("\u{0}\u{1}: correct horse battery".utf8), "a page", allowed: ["correct horse"])
        #expect(watch.leaks.isEmpty)
        watch.look(in: Array("\u{0}\u{1}: correct horse battery".utf8), "a page")
        #expect(watch.leaks == ["a password in a page"])
    }

    @Test func aSecretInTheLogFailsATest() async throws {
        let failure = await #expect(throws: TestFailure.self) {
            try await TestServer.run(.sqlite) { server in
                server.apps.dependencies.logger.debug("before")
                server.apps.dependencies.logger.debug("x", metadata: ["key": "\(server.secrets.jwt)"])
                server.apps.dependencies.logger.debug("after")
            }
        }
        let text = "secrets where none belongs: the key of the apps' tokens in the log: x [:] [\"key\": "
        #expect(failure?.description == text)
    }

    @Test func aSecretInAFileFailsATest() async throws {
        await #expect(throws: TestFailure.self) {
            try await TestServer.run(.sqlite) { server in
                let app = try await server.makeApp()
                try await app.makeEntity("note", fields: [["name": "text", "type": "text"]])
                #expect(try await app.post("note", ["text": .string(app.token)]).status == 201)
            }
        }
    }
}
