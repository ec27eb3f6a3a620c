import Foundation
import HTTPTypes
import JWTKit
import RocketEngine
import RocketModel
import RocketServer
import RocketTestSupport
import Testing

/// Signing in, staying in, and being put out.
struct AuthTests {
    @Test(arguments: TestStore.allCases)
    func aRefreshTokenWorksOnceAndItsReuseEndsTheFamily(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp()
            let login = try await server.post(
                "/api/shop/auth/login",
                ["email": " ADMIN@localhost", "password": "changeme"]
            )
            let first = try #require(login["data"]["refresh_token"].string)
            let refreshed = try await server.post("/api/shop/auth/refresh", ["refresh_token": .string(first)])
            let second = try #require(refreshed["data"]["refresh_token"].string)
            #expect(refreshed.status == 200 && second != first)
            let token = try #require(refreshed["data"]["access_token"].string)
            #expect(try await server.get("/api/shop/auth/me", token: token)["data"]["email"] == "admin@localhost")
            #expect(try await server.post("/api/shop/auth/refresh", ["refresh_token": .string(first)]).status == 401)
            #expect(try await server.post("/api/shop/auth/refresh", ["refresh_token": .string(second)]).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func ofSeveralRefreshesAtOnceExactlyOneSucceeds(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp()
            let login = try await server.post(
                "/api/shop/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            let token = try #require(login["data"]["refresh_token"].string)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        try await server.post("/api/shop/auth/refresh", ["refresh_token": .string(token)]).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 1 && statuses.filter { $0 == 401 }.count == 19)
        }
    }

    @Test(arguments: TestStore.allCases)
    func logoutEndsTheRefreshTokenAndMayBeRepeated(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp()
            let login = try await server.post(
                "/api/shop/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            let body: JSONValue = ["refresh_token": login["data"]["refresh_token"].value]
            for _ in 0..<2 {
                let out = try await server.post("/api/shop/auth/logout", body)
                #expect(out.status == 200 && out["message"] == "Logged out")
            }
            #expect(try await server.post("/api/shop/auth/refresh", body).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func tokensExpire(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let login = try await server.post(
                "/api/shop/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            server.clock.advance(seconds: 14 * 60)
            #expect(try await app.get("auth/me").status == 200)
            server.clock.advance(seconds: 61)
            #expect(try await app.get("auth/me").status == 401)
            server.clock.advance(seconds: 7 * 24 * 3600)
            let refresh: JSONValue = ["refresh_token": login["data"]["refresh_token"].value]
            #expect(try await server.post("/api/shop/auth/refresh", refresh).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aChangedPasswordEndsEveryToken(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            let login = try await server.post(
                "/api/shop/auth/login",
                ["email": "admin@localhost", "password": "changeme"]
            )
            #expect(try await app.post("auth/password", ["old": "wrong", "new": "password2"]).status == 401)
            #expect(
                try await app.post("auth/password", ["old": "changeme", "new": "short"]).details == ["password type"]
            )
            #expect(try await app.post("auth/password", ["old": "changeme", "new": "password2"]).status == 200)
            #expect(try await app.get("auth/me").status == 401)
            let refresh: JSONValue = ["refresh_token": login["data"]["refresh_token"].value]
            #expect(try await server.post("/api/shop/auth/refresh", refresh).status == 401)
            #expect(
                try await server.post("/api/shop/auth/login", ["email": "admin@localhost", "password": "changeme"])
                    .status == 401
            )
            let token = try await server.login("shop", "admin@localhost", "password2")
            #expect(try await server.get("/api/shop/auth/me", token: token).status == 200)
        }
    }

    @Test(arguments: TestStore.allCases)
    func wrongUnknownAndDisabledGetTheSameAnswer(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp()
            try await server.apps.withApp("shop") { app in
                _ = try await app.accounts.createUser(
                    email: "off@x.example",
                    password: "password1",
                    roles: [],
                    isActive: false
                )
            }
            var bodies = Set<String>()
            for (email, password) in [
                ("admin@localhost", "wrong-password"), ("nobody@x.example", "changeme"), ("off@x.example", "password1"),
                ("admin@localhost", String(repeating: "changeme", count: 10)), ("a\u{0}b@x.example", "changeme"),
                ("admin@localhost", "changeme\u{0}"),
            ] {
                let answer = try await server.post(
                    "/api/shop/auth/login",
                    ["email": .string(email), "password": .string(password)]
                )
                if email.utf8.contains(0) || password.utf8.contains(0) {
                    #expect(answer.status == 422)
                } else {
                    #expect(answer.status == 401)
                    bodies.insert(answer.text)
                }
            }
            #expect(bodies.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenIsGoodForItsOwnAppOnly(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let shop = try await server.makeApp("shop")
            let other = try await server.makeApp("other")
            #expect(try await server.get("/api/other/_admin/entities", token: shop.token).status == 401)
            #expect(try await server.get("/api/other/_admin/entities", token: other.token).status == 200)
            let platform = try await server.platformToken()
            #expect(try await server.get("/api/other/_admin/entities", token: platform).status == 200)
            _ = try await server.delete("/api/_platform/apps/shop", token: platform)
            #expect(try await server.get("/api/shop/_admin/entities", token: shop.token).status == 401)
            _ = try await server.makeApp("shop")
            #expect(try await server.get("/api/shop/_admin/entities", token: shop.token).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aPlatformUserWithoutTheRoleIsNobodyInAnApp(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp()
            _ = try await server.apps.platform.createUser(email: "p@x.example", password: "password1", roles: ["admin"])
            let token = try await server.login("_platform", "p@x.example", "password1")
            #expect(try await server.get("/api/_platform/auth/me", token: token).status == 200)
            #expect(try await server.get("/api/_platform/apps", token: token).status == 403)
            #expect(try await server.get("/api/shop/_admin/entities", token: token).status == 401)
        }
    }

    private struct Claims: JWTPayload {
        var sub = "x"
        var roles = ["admin"]
        var email = "admin@localhost"
        var iat = 1_772_366_400
        var exp = 1_972_366_400
        var jti = "j"
        var iss = "shop"
        var ver = 1

        func verify(using algorithm: some JWTAlgorithm) {}
    }

    @Test func forgedTokensAreRefused() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeApp()
            let parts = app.token.split(separator: ".").map(String.init)
            let stored = try await server.apps.app("shop")
            let key = HMACKey(from: Data(server.secrets.signingKey(of: stored)))
            func sign(_ claims: Claims, _ keys: JWTKeyCollection) async throws -> String { try await keys.sign(claims) }
            let right = await JWTKeyCollection().add(hmac: key, digestAlgorithm: .sha256)
            // HMAC pads a short key with zeros, so this is the app's own key at the length that HS512 wants.
            let padded = HMACKey(from: Data(server.secrets.signingKey(of: stored) + [UInt8](repeating: 0, count: 32)))
            let stronger = await JWTKeyCollection().add(hmac: padded, digestAlgorithm: .sha512)
            let platform = await JWTKeyCollection().add(
                hmac: HMACKey(from: Data(server.secrets.platformJWT.utf8)),
                digestAlgorithm: .sha256
            )
            let base = await JWTKeyCollection().add(
                hmac: HMACKey(from: Data(server.secrets.jwt.utf8)),
                digestAlgorithm: .sha256
            )
            #expect(
                try await server.get("/api/shop/_admin/entities", token: try await sign(Claims(), right)).status == 200
            )
            let none = Data(#"{"alg":"none","typ":"JWT"}"#.utf8).base64EncodedString().replacing("=", with: "")
            let crit = Data(#"{"alg":"HS256","crit":["x"],"x":1}"#.utf8).base64EncodedString().replacing("=", with: "")
            let forged: [(String, String)] = [
                ("none", "\(none).\(parts[1])."), ("none with signature", "\(none).\(parts[1]).\(parts[2])"),
                ("crit", "\(crit).\(parts[1]).\(parts[2])"), ("no signature", "\(parts[0]).\(parts[1])."),
                ("two parts", "\(parts[0]).\(parts[1])"), ("four parts", app.token + ".x"),
                ("truncated", String(app.token.dropLast())), ("padded", app.token + "="),
                (
                    "other payload",
                    "\(parts[0]).\(Data(#"{"sub":"x"}"#.utf8).base64EncodedString().replacing("=", with: "")).\(parts[2])"
                ),
                ("HS512", try await sign(Claims(), stronger)), ("platform's key", try await sign(Claims(), platform)),
                ("the secret itself", try await sign(Claims(), base)),
                ("other issuer", try await sign(Claims(iss: "other"), right)),
                ("platform issuer by the app", try await sign(Claims(iss: "_platform"), right)),
                ("expired", try await sign(Claims(exp: 1_772_366_399), right)),
                ("huge", String(repeating: "a", count: 100_000)),
            ]
            for (name, token) in forged {
                let answer = try await server.get("/api/shop/_admin/entities", token: token)
                #expect(answer.status == 401, "\(name): \(answer)")
            }
        }
    }

    @Test func firstPasswordsMayBeConfiguredOrLeftOut() async throws {
        var settings = AppSettings()
        settings.adminPassword = "configured-1"
        settings.platformPassword = "configured-2"
        try await TestServer.run(.sqlite, settings: settings) { server in
            let token = try await server.login("_platform", "platform@localhost", "configured-2")
            _ = try await server.post("/api/_platform/apps", token: token, ["name": "shop"])
            _ = try await server.login("shop", "admin@localhost", "configured-1")
        }
        settings.adminPassword = nil
        settings.platformPassword = nil
        try await TestServer.run(.sqlite, settings: settings) { server async throws in
            let body: JSONValue = ["email": "platform@localhost", "password": "changeme"]
            #expect(try await server.post("/api/_platform/auth/login", body).status == 401)
        }
    }

    @Test(arguments: TestStore.allCases)
    func failedSignInsAreRememberedWhenTheAppIsClosed(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            _ = try await server.makeApp()
            let wrong: JSONValue = ["email": "admin@localhost", "password": "wrong-password"]
            for _ in 0..<10 { _ = try await server.post("/api/shop/auth/login", wrong) }
            server.clock.advance(seconds: 600)
            await server.apps.closeIdleApps()
            #expect(!server.apps.isOpen("shop"))
            #expect(try await server.post("/api/shop/auth/login", wrong).status == 429)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTokenThatNobodySignedOpensNoDatabase(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            server.clock.advance(seconds: 600)
            await server.apps.closeIdleApps()
            #expect(try await server.get("/api/shop/thing", token: "a.b.c").status == 401)
            #expect(!server.apps.isOpen("shop"))
            #expect(try await app.get("thing").status == 404)
            #expect(server.apps.isOpen("shop"))
        }
    }
}
