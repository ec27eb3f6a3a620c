import Crypto
import Foundation
package import RocketModel

/// The signature of a call as the Standard Webhooks specification has it
/// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
package enum WebhookSignature {
    /// - Parameters:
    ///   - key: the bytes behind `whsec_`.
    ///   - id: the same whenever the call is tried again.
    /// - Returns: `v1,` and HMAC-SHA256 of id, seconds and body, with dots between them, as base64.
    package static func sign(_ body: [UInt8], id: String, at instant: Timestamp, key: [UInt8]) -> String {
        var content = Data("\(id).\(seconds(instant)).".utf8)
        content.append(contentsOf: body)
        let code = HMAC<SHA256>.authenticationCode(for: content, using: SymmetricKey(data: Data(key)))
        return "v1," + Data(code).base64EncodedString()
    }

    package static func seconds(_ instant: Timestamp) -> Int64 { instant.microseconds / 1_000_000 }
}
