import Foundation
import JWTKit
package import RocketEngine
package import RocketModel
import RocketPlanning
import Synchronization

// Access tokens: JWT (RFC 7519), HS256, checked as RFC 8725 asks. Verified ones are remembered until they expire,
// so that a client's next request costs a look-up.

/// Whose key signs a token.
package enum TokenIssuer: Sendable, Hashable {
    case platform
    case app(StoredApp)

    var name: String {
        switch self {
        case .platform: "_platform"
        case .app(let app): app.name
        }
    }

    /// Tells an app from an earlier namesake.
    var identity: String {
        switch self {
        case .platform: "_platform"
        case .app(let app): app.identity
        }
    }
}

private struct AccessClaims: JWTPayload {
    let sub: String
    let roles: [String]
    let email: String
    let iat: Int64
    let exp: Int64
    let jti: String
    let iss: String
    /// The user's token version when the token was made.
    let ver: Int64

    /// The time is judged by ``AccessTokens``, with the server's clock.
    func verify(using algorithm: some JWTAlgorithm) {}
}

package final class AccessTokens: Sendable {
    private struct Verified {
        let claims: AccessClaims
        private let principal: Principal

        init(claims: AccessClaims, isPlatform: Bool) {
            self.claims = claims
            principal = Principal(
                userID: claims.sub,
                email: claims.email,
                roles: claims.roles,
                isOfPlatform: isPlatform
            )
        }

        func principal(at seconds: Int64, _ floors: TokenFloors) -> Principal? {
            claims.exp > seconds && floors.allows(claims.sub, version: claims.ver) ? principal : nil
        }
    }

    private struct CacheKey: Hashable {
        let issuer: String
        let token: String
    }

    private struct State {
        var keys: [TokenIssuer: JWTKeyCollection] = [:]
        var verified: [CacheKey: Verified] = [:]
    }

    private let secrets: Secrets
    private let now: @Sendable () -> Timestamp
    private let newID: @Sendable () -> UniqueID
    private let state = Mutex(State())

    private static let maximumCached = 10_000
    /// Room for the roles that ``UserRules`` allows, however they are escaped; many a proxy takes no longer header.
    private static let maximumLength = 8192

    package init(secrets: Secrets, dependencies: EngineDependencies) {
        self.secrets = secrets
        now = dependencies.now
        newID = dependencies.newID
    }

    /// Makes a token for a user who has signed in.
    package func issue(to user: StoredUser, by issuer: TokenIssuer) async throws -> String {
        let seconds = now().microseconds / 1_000_000
        let claims = AccessClaims(
            sub: user.id,
            roles: user.roles,
            email: user.email,
            iat: seconds,
            exp: seconds + Accounts.accessTokenSeconds,
            jti: newID().text,
            iss: issuer.name,
            ver: user.tokenVersion
        )
        return try await keys(of: issuer).sign(claims)
    }

    /// Who a token speaks for, or nil where it is not a token of one of the issuers, has expired, or was ended. The
    /// issuers are asked in their order; what is remembered is asked of all of them before anything is computed.
    package func principal(of token: String, from issuers: [(issuer: TokenIssuer, floors: TokenFloors)]) async
        -> Principal?
    {
        let seconds = now().microseconds / 1_000_000
        for (issuer, floors) in issuers {
            let key = CacheKey(issuer: issuer.identity, token: token)
            if let verified = state.withLock({ $0.verified[key] }) { return verified.principal(at: seconds, floors) }
        }
        guard token.utf8.count <= Self.maximumLength, Self.isWellFormed(token) else { return nil }
        for (issuer, floors) in issuers {
            guard let claims = await verify(token, issuer) else { continue }
            let verified = Verified(claims: claims, isPlatform: issuer == .platform)
            remember(verified, CacheKey(issuer: issuer.identity, token: token), seconds)
            return verified.principal(at: seconds, floors)
        }
        return nil
    }

    private func remember(_ verified: Verified, _ key: CacheKey, _ seconds: Int64) {
        state.withLock { state in
            if state.verified.count >= Self.maximumCached {
                state.verified = state.verified.filter { $0.value.claims.exp > seconds }
                if state.verified.count >= Self.maximumCached { state.verified.removeAll() }
            }
            state.verified[key] = verified
        }
    }

    /// Forgets the keys and tokens of an app that is removed.
    package func forget(_ app: StoredApp) {
        state.withLock { state in
            state.keys[.app(app)] = nil
            state.verified = state.verified.filter { $0.key.issuer != app.identity }
        }
    }

    private func verify(_ token: String, _ issuer: TokenIssuer) async -> AccessClaims? {
        do {
            let claims = try await keys(of: issuer).verify(token, as: AccessClaims.self)
            return claims.iss == issuer.name ? claims : nil
        } catch {
            // Whatever is wrong with a token, its bearer is told only that it is not valid.
            return nil
        }
    }

    /// Judges what a library may be lenient about: three canonical base64url parts, a header of `HS256` and nothing
    /// else that would have to be understood, JSON without duplicate names.
    private static func isWellFormed(_ token: String) -> Bool {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { return false }
        let decoded = parts.compactMap { canonicalBase64URL($0) }
        guard decoded.count == 3, let header = object(decoded[0]), object(decoded[1]) != nil else { return false }
        return header["alg"] == "HS256" && header.names.allSatisfy { ["alg", "typ"].contains($0) }
    }

    private static func object(_ bytes: [UInt8]) -> JSONObject? {
        do throws(JSONSyntaxError) { return try JSONParser.parse(bytes).objectValue } catch { return nil }
    }

    private static func canonicalBase64URL(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var base64: [UInt8] = []
        for byte in text {
            switch byte {
            case UInt8(ascii: "-"): base64.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): base64.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: base64.append(byte)
            }
        }
        while base64.count % 4 != 0 { base64.append(UInt8(ascii: "=")) }
        guard !base64.isEmpty, let data = Data(base64Encoded: Data(base64)), data.base64EncodedData() == Data(base64)
        else {
            return nil
        }
        return Array(data)
    }

    private func keys(of issuer: TokenIssuer) async -> JWTKeyCollection {
        if let keys = state.withLock({ $0.keys[issuer] }) { return keys }
        let secret =
            switch issuer {
            case .platform: Array(secrets.platformJWT.utf8)
            case .app(let app): secrets.signingKey(of: app)
            }
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: Data(secret)), digestAlgorithm: .sha256)
        state.withLock { $0.keys[issuer] = keys }
        return keys
    }
}
