import Crypto
import Foundation
package import RocketModel

/// The secrets of the server, and the keys made from them.
package struct Secrets: Sendable {
    /// What the apps' signing keys are derived from.
    package let jwt: String
    /// The platform's signing key.
    package let platformJWT: String
    package let encryption: String

    package init(jwt: String, platformJWT: String, encryption: String) {
        self.jwt = jwt
        self.platformJWT = platformJWT
        self.encryption = encryption
    }

    /// An app's own signing key: HKDF-SHA256 (RFC 5869) of the secret and the app's random identity, 32 bytes. A
    /// namesake that is made later has another identity, and takes none of its tokens.
    package func signingKey(of app: StoredApp) -> [UInt8] {
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: Data(jwt.utf8)),
            salt: Data(app.identity.utf8),
            info: Data("rocket access token".utf8),
            outputByteCount: 32
        )
        return key.withUnsafeBytes { Array($0) }
    }
}
