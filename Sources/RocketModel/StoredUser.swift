/// A user as stored. The hash never leaves the server.
package struct StoredUser: Sendable, Hashable {
    package let id: String
    package let email: String
    package let passwordHash: String
    package let roles: [String]
    package let isActive: Bool
    /// Raised by every change that ends access tokens.
    package let tokenVersion: Int64

    package init(
        id: String,
        email: String,
        passwordHash: String,
        roles: [String],
        isActive: Bool = true,
        tokenVersion: Int64 = 1
    ) {
        self.id = id
        self.email = email
        self.passwordHash = passwordHash
        self.roles = roles
        self.isActive = isActive
        self.tokenVersion = tokenVersion
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
