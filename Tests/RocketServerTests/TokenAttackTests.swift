import Crypto
import Foundation
import HTTPTypes
import RocketEngine
import RocketModel
import RocketTestSupport
import Testing

/// What is known of how JSON Web Tokens are attacked (RFC 8725), tried one by one. Forged tokens differ from one that
/// is let in by what is told of them and nothing else.
struct TokenAttackTests {
    // MARK: forging

    /// A server with the app `shop`, and the key that signs the app's tokens.
    private struct Target {
        let server: TestServer
        let app: TestApp
        let key: SymmetricKey

        /// The status of a route that needs the role `admin`.
        func status(_ token: String) async throws -> Int {
            try await server.get("/api/shop/_admin/entities", token: token).status
        }

        func status(authorization: String) async throws -> Int {
            try await server.send(.get, "/api/shop/_admin/entities", headers: [.authorization: authorization]).status
        }
    }

    private static let header = #"{"alg":"HS256","typ":"JWT"}"#
    /// The clock of the tests stands here.
    private static let start: Int64 = 1_772_366_400
    private static let claims: [(name: String, json: String)] = [
        ("sub", #""x""#), ("roles", #"["admin"]"#), ("email", #""admin@localhost""#), ("iat", "\(start)"),
        ("exp", "\(start + 900)"), ("jti", #""j""#), ("iss", #""shop""#), ("ver", "1"),
    ]

    /// The claims of an administrator of `shop`, with some replaced, added, or left out where the text is nil.
    private static func payload(_ changes: (String, String?)...) -> String {
        var members: [(name: String, json: String?)] = claims.map { ($0.name, $0.json) }
        for (name, json) in changes {
            if let index = members.firstIndex(where: { $0.name == name }) {
                members[index].json = json
            } else {
                members.append((name, json))
            }
        }
        return "{" + members.compactMap { name, json in json.map { "\"\(name)\":\($0)" } }.joined(separator: ",") + "}"
    }

    private static func base64URL(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private static func signed<Hash: HashFunction>(
        _ header: String = header,
        _ payload: String = payload(),
        key: SymmetricKey,
        with hash: Hash.Type = SHA256.self
    ) -> String {
        let text = "\(base64URL(header.utf8)).\(base64URL(payload.utf8))"
        return "\(text).\(base64URL(HMAC<Hash>.authenticationCode(for: Data(text.utf8), using: key)))"
    }

    /// - Throws: where the token that attacks are made from is not let in: then they prove nothing.
    private static func run(_ test: (Target) async throws -> Void) async throws {
        try await TestServer.run(.sqlite) { server async throws in
            let app = try await server.makeApp()
            let key = SymmetricKey(data: server.secrets.signingKey(of: try await server.apps.app("shop")))
            let target = Target(server: server, app: app, key: key)
            let status = try await target.status(signed(key: key))
            guard status == 200 else { throw TestFailure("an unchanged token gets \(status)") }
            try await test(target)
        }
    }

    // MARK: algorithms (RFC 8725 parts 2.1 and 3.1)

    @Test(arguments: ["none", "None", "NONE", "nOnE", ""])
    func aTokenWithoutAnAlgorithmIsRefused(algorithm: String) async throws {
        try await Self.run { target async throws in
            let signed = Self.signed(#"{"alg":"\#(algorithm)","typ":"JWT"}"#, key: target.key)
            let parts = signed.split(separator: ".").map(String.init)
            #expect(try await target.status(signed) == 401)
            #expect(try await target.status("\(parts[0]).\(parts[1]).") == 401)
            #expect(try await target.status("\(parts[0]).\(parts[1])") == 401)
        }
    }

    @Test func anotherHashWithTheRightKeyIsRefused() async throws {
        try await Self.run { target async throws in
            let (key, payload) = (target.key, Self.payload())
            let strong = #"{"alg":"HS512","typ":"JWT"}"#
            #expect(try await target.status(Self.signed(strong, payload, key: key, with: SHA512.self)) == 401)
            let middle = #"{"alg":"HS384","typ":"JWT"}"#
            #expect(try await target.status(Self.signed(middle, payload, key: key, with: SHA384.self)) == 401)
            #expect(try await target.status(Self.signed(Self.header, payload, key: key, with: SHA512.self)) == 401)
        }
    }

    @Test(arguments: ["RS256", "ES256", "PS256", "EdDSA", "ES256K", "HS512", "hs256", "HS256 "])
    func theKeyIsNotTakenForAnotherAlgorithms(algorithm: String) async throws {
        try await Self.run { target async throws in
            let token = Self.signed(#"{"alg":"\#(algorithm)","typ":"JWT"}"#, key: target.key)
            #expect(try await target.status(token) == 401)
        }
    }

    @Test(arguments: ["{}", #"{"typ":"JWT"}"#, #"{"alg":null}"#, #"{"alg":["HS256"]}"#, #"["HS256"]"#, "null", "HS256"])
    func aHeaderThatNamesNoAlgorithmIsRefused(header: String) async throws {
        try await Self.run { target async throws in
            #expect(try await target.status(Self.signed(header, key: target.key)) == 401)
        }
    }

    // MARK: keys (RFC 8725 parts 2.2 and 3.5)

    @Test func keysThatCanBeGuessedSignNothing() async throws {
        try await Self.run { target async throws in
            let stored = try await target.server.apps.app("shop")
            for guess in [
                "", "secret", "changeme", "shop", stored.identity, target.server.secrets.jwt,
                target.server.secrets.platformJWT, target.server.secrets.encryption, "HS256",
                String(repeating: "\u{0}", count: 32),
            ] {
                let token = Self.signed(key: SymmetricKey(data: Data(guess.utf8)))
                #expect(try await target.status(token) == 401, "\(guess)")
            }
        }
    }

    @Test func anotherAppsKeyAndTokenAreRefused() async throws {
        try await Self.run { target async throws in
            let other = try await target.server.makeApp("other")
            #expect(try await target.status(other.token) == 401)
            let stored = try await target.server.apps.app("other")
            let key = SymmetricKey(data: target.server.secrets.signingKey(of: stored))
            #expect(try await target.status(Self.signed(key: key)) == 401)
            #expect(
                try await target.status(Self.signed(Self.header, Self.payload(("iss", #""other""#)), key: key)) == 401
            )
        }
    }

    @Test func thePlatformsTokenOfSomebodyWhoDoesNotAdministerItIsRefused() async throws {
        try await Self.run { target async throws in
            _ = try await target.server.apps.platform.createUser(
                email: "p@x.example",
                password: "password1",
                roles: ["admin", "platform_adminn", "platform admin"]
            )
            let token = try await target.server.login("_platform", "p@x.example", "password1")
            #expect(try await target.server.get("/api/_platform/auth/me", token: token).status == 200)
            #expect(try await target.status(token) == 401)
            #expect(try await target.server.get("/api/_platform/apps", token: token).status == 403)
        }
    }

    @Test func anAppsTokenIsNoneOfThePlatforms() async throws {
        try await Self.run { target async throws in
            let payload = Self.payload(("iss", #""_platform""#), ("roles", #"["platform_admin"]"#))
            for token in [target.app.token, Self.signed(Self.header, payload, key: target.key)] {
                #expect(try await target.server.get("/api/_platform/apps", token: token).status == 401)
            }
            #expect(try await target.status(Self.signed(Self.header, payload, key: target.key)) == 401)
        }
    }

    @Test func anAppsRoleOfThatNameAdministersNoPlatform() async throws {
        try await Self.run { target async throws in
            let payload = Self.payload(("roles", #"["platform_admin"]"#))
            let token = Self.signed(Self.header, payload, key: target.key)
            #expect(try await target.server.get("/api/_platform/apps", token: token).status == 401)
            #expect(try await target.status(token) == 403)
        }
    }

    @Test func aTokenOfADeletedAppIsNoneOfItsNamesakes() async throws {
        try await Self.run { target async throws in
            let platform = try await target.server.platformToken()
            #expect(try await target.server.delete("/api/_platform/apps/shop", token: platform).status == 200)
            #expect(try await target.status(target.app.token) == 401)
            let namesake = try await target.server.makeApp("shop")
            #expect(try await target.status(target.app.token) == 401)
            #expect(try await target.status(Self.signed(key: target.key)) == 401)
            #expect(try await target.status(namesake.token) == 200)
        }
    }

    // MARK: claims (RFC 8725 parts 3.8 to 3.12)

    @Test func aTokenEndsByTheClockToTheSecond() async throws {
        try await Self.run { target async throws in
            func token(_ exp: Int64) -> String {
                Self.signed(Self.header, Self.payload(("exp", "\(exp)")), key: target.key)
            }
            #expect(try await target.status(token(Self.start - 1)) == 401)
            #expect(try await target.status(token(Self.start)) == 401)
            let next = token(Self.start + 1)
            #expect(try await target.status(next) == 200)
            // It is remembered by now, and ends all the same.
            target.server.clock.advance(seconds: 1)
            #expect(try await target.status(next) == 401)
            #expect(try await target.status(target.app.token) == 200)
            target.server.clock.advance(seconds: Accounts.accessTokenSeconds)
            #expect(try await target.status(target.app.token) == 401)
        }
    }

    @Test(arguments: [
        "null", #""1972366400""#, "true", "{}", "[1972366400]", "-1", "1.5e300", "99999999999999999999", "1972366400.5",
    ])
    func anExpiryThatIsNoInstantIsRefused(exp: String) async throws {
        try await Self.run { target async throws in
            let token = Self.signed(Self.header, Self.payload(("exp", exp)), key: target.key)
            #expect(try await target.status(token) == 401)
        }
    }

    @Test(arguments: claims.map(\.name))
    func aTokenWithoutOneOfItsClaimsIsRefused(claim: String) async throws {
        try await Self.run { target async throws in
            let missing = Self.payload((claim, nil))
            #expect(!missing.contains("\"\(claim)\""))
            #expect(try await target.status(Self.signed(Self.header, missing, key: target.key)) == 401)
            let null = Self.payload((claim, "null"))
            #expect(try await target.status(Self.signed(Self.header, null, key: target.key)) == 401)
        }
    }

    @Test(arguments: [
        #""other""#, #""SHOP""#, #""shop ""#, #""shop\u0000""#, #""""#, #""_platform""#, #"["shop"]"#, "1",
    ])
    func anotherIssuerIsRefused(issuer: String) async throws {
        try await Self.run { target async throws in
            let token = Self.signed(Self.header, Self.payload(("iss", issuer)), key: target.key)
            #expect(try await target.status(token) == 401)
        }
    }

    @Test func aClaimThatIsThereTwiceIsRefused() async throws {
        try await Self.run { target async throws in
            let claims = Self.payload().dropFirst().dropLast()
            for double in [
                #""roles":["admin"]"#, #""exp":1972366400"#, #""iss":"shop""#, #""\u0073ub":"y""#, #""sub":"x""#,
            ] {
                for payload in ["{\(claims),\(double)}", "{\(double),\(claims)}"] {
                    let token = Self.signed(Self.header, payload, key: target.key)
                    #expect(try await target.status(token) == 401, "\(payload)")
                }
            }
            for header in [#"{"alg":"HS256","alg":"HS256"}"#, #"{"alg":"none","alg":"HS256"}"#] {
                #expect(try await target.status(Self.signed(header, key: target.key)) == 401, "\(header)")
            }
        }
    }

    @Test func aRefreshTokenOpensNothing() async throws {
        try await Self.run { target async throws in
            let body: JSONValue = ["email": "admin@localhost", "password": "changeme"]
            let login = try await target.server.post("/api/shop/auth/login", body)
            let token = try #require(login["data"]["refresh_token"].string)
            #expect(try await target.status(token) == 401)
            #expect(try await target.server.get("/api/shop/auth/me", token: token).status == 401)
            // Nor is an access token good for another one.
            let refresh: JSONValue = ["refresh_token": login["data"]["access_token"].value]
            #expect(try await target.server.post("/api/shop/auth/refresh", refresh).status == 401)
        }
    }

    // MARK: headers (RFC 8725 part 3.10, RFC 7515 part 4.1.11)

    @Test(arguments: [
        #""kid":"1""#, #""kid":"../../dev/null""#, #""kid":"x' UNION SELECT ''--""#, #""jku":"https://x.example/k""#,
        #""jwk":{"kty":"oct","k":""}"#, #""x5u":"https://x.example/c""#, #""x5c":["MII"]"#, #""x5t":"a""#,
        #""crit":["exp"],"exp":1"#, #""crit":[]"#, #""b64":false,"crit":["b64"]"#, #""zip":"DEF""#, #""cty":"JWT""#,
        #""enc":"A128GCM""#,
    ])
    func aHeaderThatWantsMoreThanASignatureIsRefused(member: String) async throws {
        try await Self.run { target async throws in
            #expect(try await target.status(Self.signed(#"{"alg":"HS256",\#(member)}"#, key: target.key)) == 401)
        }
    }

    // MARK: tampering

    /// Somebody without a role, who writes one into the token.
    @Test func claimsThatAreChangedAfterSigningAreRefused() async throws {
        try await Self.run { target async throws in
            let small = Self.signed(Self.header, Self.payload(("roles", "[]")), key: target.key)
            #expect(try await target.status(small) == 403)
            var parts = small.split(separator: ".").map(String.init)
            parts[1] = Self.base64URL(Self.payload().utf8)
            #expect(try await target.status(parts.joined(separator: ".")) == 401)
        }
    }

    /// Also in the last letter, of which only some bits count.
    @Test func everyLetterOfATokenCounts() async throws {
        try await Self.run { target async throws in
            let letters = Array(target.app.token)
            for index in letters.indices {
                var changed = letters
                changed[index] = letters[index] == "A" ? "B" : "A"
                #expect(try await target.status(String(changed)) == 401, "letter \(index)")
            }
        }
    }

    @Test func aTokenThatIsCutIsRefused() async throws {
        try await Self.run { target async throws in
            let token = target.app.token
            for count in 0..<token.count {
                #expect(try await target.status(String(token.prefix(count))) == 401, "\(count) letters")
            }
        }
    }

    @Test func partsTooManyOrTooFewAreRefused() async throws {
        try await Self.run { target async throws in
            let token = target.app.token
            let parts = token.split(separator: ".").map(String.init)
            for changed in [
                token + ".", token + ".x", token + "." + parts[2], "." + token, ".\(parts[1]).\(parts[2])",
                "\(parts[0])..\(parts[2])", "\(parts[0]).\(parts[1])", "...", "..", ".", "\(token),\(token)",
                "\(token) \(token)",
            ] {
                #expect(try await target.status(changed) == 401, "\(changed)")
            }
        }
    }

    @Test func base64ThatIsNotWrittenTheOneWayIsRefused() async throws {
        try await Self.run { target async throws in
            let token = target.app.token
            // The last of 43 letters carries four bits: the other two may be anything for a lenient reader.
            let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
            let last = try #require(token.last.flatMap(alphabet.firstIndex))
            for loose in 1...3 {
                let changed = String(token.dropLast()) + String(alphabet[last | loose])
                #expect(try await target.status(changed) == 401, "\(loose)")
            }
            let parts = token.split(separator: ".").map(String.init)
            for changed in [
                token + "=", token + "==", "\(parts[0])=.\(parts[1]).\(parts[2])",
                "\(parts[0]).\(parts[1])==.\(parts[2])",
                "\(parts[0]).\(parts[1]).\(parts[2].prefix(20)) \(parts[2].dropFirst(20))",
                "\(parts[0]).\(parts[1]).\(parts[2].prefix(20))%\(parts[2].dropFirst(20))",
                token.replacing(".", with: "%2E"),
            ] {
                #expect(try await target.status(changed) == 401, "\(changed)")
            }
        }
    }

    /// The alphabet of RFC 4648 part 4 in place of part 5's.
    @Test func theOtherAlphabetOfBase64IsRefused() async throws {
        try await Self.run { target async throws in
            // A claim in whose base64 a letter stands that the alphabets write in two ways.
            let token = Self.signed(Self.header, Self.payload(("sub", #""???>>>~~~""#)), key: target.key)
            #expect(try await target.status(token) == 200)
            let changed = token.replacing("-", with: "+").replacing("_", with: "/")
            #expect(changed != token)
            #expect(try await target.status(changed) == 401)
        }
    }

    // MARK: size

    @Test func aHugeTokenIsRefusedWhetherItIsSignedOrNot() async throws {
        try await Self.run { target async throws in
            let filler = String(repeating: "a", count: 1 << 20)
            #expect(try await target.status(filler) == 401)
            #expect(try await target.status("\(filler).\(filler).\(filler)") == 401)
            #expect(try await target.status(String(repeating: ".", count: 1 << 20)) == 401)
            let header = #"{"alg":"HS256","typ":"\#(filler)"}"#
            #expect(try await target.status(Self.signed(header, key: target.key)) == 401)
            let payload = Self.payload(("more", "\"\(filler)\""))
            #expect(try await target.status(Self.signed(Self.header, payload, key: target.key)) == 401)
            let nested = String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000)
            #expect(try await target.status(Self.signed(Self.header, nested, key: target.key)) == 401)
        }
    }

    // MARK: how it is sent (RFC 6750 part 2)

    @Test(arguments: ["Bearer", "bearer", "BEARER", "bEaReR"])
    func theSchemeIsReadInAnyCase(scheme: String) async throws {
        try await Self.run { target async throws in
            #expect(try await target.status(authorization: "\(scheme) \(target.app.token)") == 200)
        }
    }

    @Test func otherSchemesAndPlacesAreRefused() async throws {
        try await Self.run { target async throws in
            let token = target.app.token
            for value in [
                token, "Bearer", "Bearer\(token)", "Basic \(token)", "Token \(token)", "JWT \(token)",
                "Bearer:\(token)", "Bearer  \(token)", "Bearer \"\(token)\"", "Bearer Bearer \(token)",
                "Basic YWRtaW5AbG9jYWxob3N0OmNoYW5nZW1l",
            ] {
                #expect(try await target.status(authorization: value) == 401, "\(value)")
            }
            let path = "/api/shop/_admin/entities"
            #expect(try await target.server.get("\(path)?access_token=\(token)").status == 401)
            let cookie = try await target.server.send(.get, path, headers: [.cookie: "access_token=\(token)"])
            #expect(cookie.status == 401)
        }
    }
}
