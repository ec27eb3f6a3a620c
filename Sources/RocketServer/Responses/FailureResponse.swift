import HTTPTypes
import RocketModel

// The status of each code, and the error envelope. Words come with the failure; nothing is added here.

extension ErrorCode {
    var status: HTTPResponse.Status {
        switch self {
        case .invalidPayload, .invalidParameter, .unknownField: .badRequest
        case .unauthorized: .unauthorized
        case .forbidden: .forbidden
        case .unknownEntity, .notFound, .appNotFound: .notFound
        case .conflict: .conflict
        case .preconditionFailed: .preconditionFailed
        case .payloadTooLarge: .contentTooLarge
        case .validationFailed, .invalidState: .unprocessableContent
        case .rateLimited: .tooManyRequests
        case .internalError: .internalServerError
        case .unsupportedMediaType: .unsupportedMediaType
        case .methodNotAllowed: .methodNotAllowed
        case .unavailable: .serviceUnavailable
        case .webhookFailed: .badGateway
        }
    }
}

extension Reply {
    /// `{"error": {"code", "message", "details"?: [{"field"?, "rule"?, "message"}]}}`
    init(_ failure: RequestFailure) {
        var error: JSONObject = ["code": .string(failure.code.rawValue), "message": .string(failure.message)]
        if !failure.details.isEmpty {
            error["details"] = .array(
                failure.details.map { detail in
                    var object = JSONObject()
                    object["field"] = detail.field.map(JSONValue.string)
                    object["rule"] = detail.rule.map { .string($0.rawValue) }
                    object["message"] = .string(detail.message)
                    for fact in detail.facts.members { object[fact.name] = fact.value }
                    return .object(object)
                }
            )
        }
        var headers = HTTPFields()
        if failure.code == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        if let seconds = failure.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        self.init(failure.code.status, headers: headers, json: ["error": .object(error)])
    }
}
