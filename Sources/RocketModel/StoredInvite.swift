/// An invitation to become a user, as stored: the token that accepts it by its hash.
package struct StoredInvite: Sendable, Hashable {
    package let id: String
    /// Trimmed and in lower case.
    package let email: String
    package let roles: [String]
    package let attributes: JSONObject
    /// Who has sent it.
    package let invitedBy: String
    package let expiresAt: Timestamp
    package let createdAt: Timestamp
    /// When somebody became a user by it; nil for nobody yet.
    package let acceptedAt: Timestamp?

    package init(
        id: String,
        email: String,
        roles: [String],
        attributes: JSONObject,
        invitedBy: String,
        expiresAt: Timestamp,
        createdAt: Timestamp,
        acceptedAt: Timestamp? = nil
    ) {
        self.id = id
        self.email = email
        self.roles = roles
        self.attributes = attributes
        self.invitedBy = invitedBy
        self.expiresAt = expiresAt
        self.createdAt = createdAt
        self.acceptedAt = acceptedAt
    }
}
