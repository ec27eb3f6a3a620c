import Crypto
import Foundation
package import RocketModel

/// Seals the secrets of definitions, so that what is stored, exported or copied tells none: AES-GCM with a key made from
/// `encryption_key` (HKDF-SHA256, RFC 5869) and a nonce of its own for each.
package struct SecretBox: Sendable {
    private let key: SymmetricKey

    package init(_ secrets: Secrets) {
        key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: Data(secrets.encryption.utf8)),
            info: Data("rocket stored secret".utf8),
            outputByteCount: 32
        )
    }

    /// - Throws: what the cipher throws, which it does for a key of a wrong length only.
    package func seal(_ secret: String) throws -> String {
        let box = try AES.GCM.seal(Data(secret.utf8), using: key)
        // There is no combined form of a nonce that is not 12 bytes long, and this one is.
        return SealedSecret.prefix + (box.combined ?? Data()).base64EncodedString()
    }

    /// - Returns: nil for what was sealed with another key, or changed since.
    package func open(_ sealed: String) -> String? {
        guard SealedSecret.isOne(sealed),
            let data = Data(base64Encoded: String(sealed.dropFirst(SealedSecret.prefix.count))),
            let box = try? AES.GCM.SealedBox(combined: data), let plain = try? AES.GCM.open(box, using: key)
        else { return nil }
        return String(decoding: plain, as: UTF8.self)
    }
}

/// The secret of a webhook on its way in (Standard Webhooks: `whsec_` and 24 to 64 bytes as base64).
package struct WebhookSecret: Sendable {
    /// The payload as it is read and stored.
    package let payload: JSONObject
    /// What is shown, this once; nil where none was given or made.
    package let shown: String?

    /// - Parameter mayGenerate: whether the answer can show a secret that is made.
    /// - Throws: 422 for what is no secret; what sealing throws.
    package init(
        in payload: JSONObject,
        at path: String = "",
        _ box: SecretBox,
        mayGenerate: Bool = true,
        randomBytes: (Int) -> [UInt8]
    ) throws {
        var payload = payload
        var shown: String?
        if case .string(let given)? = payload["secret"], given != SealedSecret.cover {
            let field = path.isEmpty ? "secret" : "\(path).secret"
            if given == "generate", mayGenerate {
                shown = Self.prefix + Data(randomBytes(32)).base64EncodedString()
            } else if Self.key(given) != nil {
                shown = given
            } else {
                let message = "expected \(mayGenerate ? "\"generate\", or " : "")whsec_ and 24 to 64 bytes as base64"
                throw RequestFailure.validation([FailureDetail(field: field, rule: .type, message: message)])
            }
            payload["secret"] = try shown.map { .string(try box.seal($0)) }
        }
        self.payload = payload
        self.shown = shown
    }

    private static let prefix = "whsec_"

    /// The bytes that are signed with; nil for what is no secret.
    package static func key(_ secret: String) -> [UInt8]? {
        guard secret.hasPrefix(prefix), let data = Data(base64Encoded: String(secret.dropFirst(prefix.count))),
            (24...64).contains(data.count)
        else { return nil }
        return [UInt8](data)
    }
}
