/// A user as stored. The hash never leaves the server.
package struct StoredUser: Sendable, Hashable {
    package let id: String
    /// Trimmed and in lower case.
    package var email: String
    package var passwordHash: String
    package var roles: [String]
    package var isActive: Bool
    /// Raised by every change that ends access tokens.
    package var tokenVersion: Int64
    /// What administrators have noted of the user, for conditions.
    package var attributes: JSONObject
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(
        id: String,
        email: String,
        passwordHash: String,
        roles: [String],
        isActive: Bool = true,
        tokenVersion: Int64 = 1,
        attributes: JSONObject = JSONObject(),
        createdAt: Timestamp,
        updatedAt: Timestamp
    ) {
        self.id = id
        self.email = email
        self.passwordHash = passwordHash
        self.roles = roles
        self.isActive = isActive
        self.tokenVersion = tokenVersion
        self.attributes = attributes
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// Role names compare without case.
    package func hasRole(_ role: String) -> Bool {
        roles.contains { $0.lowercased() == role.lowercased() }
    }
}

/// A refresh token as stored: by its hash, in the family of tokens that one login began.
package struct StoredRefreshToken: Sendable, Hashable {
    package let family: String
    package let userID: String
    package let isUsed: Bool
    package let expiresAt: Timestamp

    package init(family: String, userID: String, isUsed: Bool = false, expiresAt: Timestamp) {
        self.family = family
        self.userID = userID
        self.isUsed = isUsed
        self.expiresAt = expiresAt
    }
}

/// A token that sets a new password in place of a forgotten one, as stored: by its hash.
package struct StoredPasswordReset: Sendable, Hashable {
    package let userID: String
    package let expiresAt: Timestamp

    package init(userID: String, expiresAt: Timestamp) {
        self.userID = userID
        self.expiresAt = expiresAt
    }
}
