/// One change of a record, as the audit trail keeps it.
package struct StoredHistoryEntry: Sendable {
    /// Grows with time in the history of a record.
    package let number: Int64
    package let action: String
    /// What the fields were, and what they became, by name; empty where nothing is kept.
    package let old: JSONObject
    package let new: JSONObject
    /// `{"id", "roles"}`; nil where nobody had signed in.
    package let user: JSONObject?
    /// The `X-Request-Id` of the request; nil where it was the engine's own doing.
    package let requestID: String?
    package let at: Timestamp
    /// Whether all that is kept of it was read; what is too large for a page is left out.
    package let isWhole: Bool

    package init(
        number: Int64,
        action: String,
        old: JSONObject,
        new: JSONObject,
        user: JSONObject?,
        requestID: String?,
        at: Timestamp,
        isWhole: Bool
    ) {
        self.number = number
        self.action = action
        self.old = old
        self.new = new
        self.user = user
        self.requestID = requestID
        self.at = at
        self.isWhole = isWhole
    }
}
