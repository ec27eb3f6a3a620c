// What can go wrong, as facts that a client may see. Status codes belong to the server
// (`Responses/FailureResponse.swift`); causes, SQL and values belong to the log.

/// The stable codes of the error envelope. A code is never reused for another meaning.
package enum ErrorCode: String, Sendable, CaseIterable {
    case invalidPayload = "INVALID_PAYLOAD"
    case invalidParameter = "INVALID_PARAMETER"
    case unknownField = "UNKNOWN_FIELD"
    case unauthorized = "UNAUTHORIZED"
    case forbidden = "FORBIDDEN"
    case unknownEntity = "UNKNOWN_ENTITY"
    case notFound = "NOT_FOUND"
    case appNotFound = "APP_NOT_FOUND"
    case conflict = "CONFLICT"
    case preconditionFailed = "PRECONDITION_FAILED"
    case payloadTooLarge = "PAYLOAD_TOO_LARGE"
    case validationFailed = "VALIDATION_FAILED"
    case rateLimited = "RATE_LIMITED"
    case internalError = "INTERNAL_ERROR"
    case unsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE"
    case methodNotAllowed = "METHOD_NOT_ALLOWED"
    case unavailable = "UNAVAILABLE"
    case webhookFailed = "WEBHOOK_FAILED"
    case invalidState = "INVALID_STATE"
}

/// The layer of checks that a violation comes from: `rule` in the error's details.
package enum ViolatedRule: String, Sendable {
    case unknown
    case type
    case required
    case `enum`
    case min
    case max
    case minLength = "min_length"
    case maxLength = "max_length"
    case pattern
    case expression
    case computed
    case stateMachine = "state_machine"
    case relation
}

/// One thing that is wrong, and where: an entry of `details`.
package struct FailureDetail: Sendable, Hashable {
    /// A path such as `email`, `items[2].quantity`, `fields[3].type`; nil where no field is to blame.
    package let field: String?
    package let rule: ViolatedRule?
    /// What is wrong, what was expected and, where it helps, what came.
    package let message: String
    /// What a program would otherwise have to read out of the message.
    package let facts: JSONObject

    package init(
        field: String? = nil,
        rule: ViolatedRule? = nil,
        message: String,
        facts: JSONObject = JSONObject()
    ) {
        self.field = field.map { Self.bounded($0, 1_000) }
        self.rule = rule
        self.message = Self.bounded(message, Self.maximumMessage)
        self.facts = facts
    }

    /// Bytes. What a client sent may stand in a message, and a client may send megabytes.
    fileprivate static let maximumMessage = 4_000

    fileprivate static func bounded(_ text: String, _ maximum: Int) -> String {
        text.utf8.count <= maximum ? text : text[..<text.utf8.index(text.startIndex, offsetBy: maximum)] + "…"
    }
}

/// A failure that the client is told about, word for word.
package struct RequestFailure: Error, Sendable, Hashable {
    package let code: ErrorCode
    package let message: String
    package let details: [FailureDetail]
    /// For `Retry-After`, in whole seconds.
    package let retryAfterSeconds: Int?

    package init(_ code: ErrorCode, _ message: String, details: [FailureDetail] = [], retryAfterSeconds: Int? = nil) {
        self.code = code
        self.message = FailureDetail.bounded(message, FailureDetail.maximumMessage)
        self.details = details
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// A hostile payload could have a violation in every few bytes; past this many they help nobody.
    package static let maximumDetails = 200

    /// Every violation at once, under a headline.
    package static func validation(_ details: [FailureDetail]) -> RequestFailure {
        let headline = details.count == 1 ? "One thing is not valid" : "\(details.count) things are not valid"
        return RequestFailure(
            .validationFailed,
            details.count > maximumDetails ? "\(headline); the first \(maximumDetails) follow" : headline,
            details: Array(details.prefix(maximumDetails))
        )
    }

    /// The failure of something that stands below a place of the payload: `email` becomes `invites[2].email`.
    package func moved(below place: String) -> RequestFailure {
        let details = details.map { detail in
            FailureDetail(
                field: detail.field.map { "\(place).\($0)" } ?? place,
                rule: detail.rule,
                message: detail.message,
                facts: detail.facts
            )
        }
        return RequestFailure(code, message, details: details, retryAfterSeconds: retryAfterSeconds)
    }

    package static func unknownEntity(_ name: String, known: some Sequence<String>) -> RequestFailure {
        RequestFailure(.unknownEntity, "There is no entity \"\(name)\"" + suggestion(for: name, among: known))
    }

    package static func unavailable(_ message: String) -> RequestFailure {
        RequestFailure(.unavailable, message, retryAfterSeconds: 1)
    }
}
