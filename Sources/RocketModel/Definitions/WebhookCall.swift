/// Where an outgoing call goes, as webhooks and actions say it.
package struct WebhookCall: Sendable, Hashable {
    package let url: String
    package let method: String
    /// Values may hold `{{env.NAME}}`, which is put in when the call is sent.
    package let headers: JSONObject

    package static let methods = ["POST", "PUT", "PATCH", "GET", "DELETE"]

    static func read(_ reader: inout DefinitionReader) -> WebhookCall {
        let url = reader.requiredString("url")
        if !url.isEmpty, !url.hasPrefix("http://"), !url.hasPrefix("https://") {
            reader.violate("url", .type, "expected an http or https address")
        }
        let method = reader.oneOf("method", methods, default: "POST")
        let headers = reader.object("headers") ?? JSONObject()
        for member in headers.members where member.value.stringValue == nil {
            reader.violate("headers.\(member.name)", .type, "expected a string, got \(member.value.kind)")
        }
        return WebhookCall(url: url, method: method, headers: headers)
    }

    package var json: JSONObject {
        ["url": .string(url), "method": .string(method), "headers": .object(headers)]
    }
}
