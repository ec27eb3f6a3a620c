/// Who asks: the signed-in user of an app or of the platform, or nobody.
package struct Principal: Sendable, Hashable {
    package let userID: String
    package let email: String
    package let roles: [String]
    /// Whether the token was the platform's rather than an app's.
    package let isOfPlatform: Bool
    /// Whether nobody has signed in.
    package let isAnonymous: Bool
    /// What administrators have noted of the user, for conditions.
    package var attributes: JSONObject

    package init(
        userID: String,
        email: String,
        roles: [String],
        isOfPlatform: Bool = false,
        isAnonymous: Bool = false,
        attributes: JSONObject = JSONObject()
    ) {
        self.userID = userID
        self.email = email
        self.roles = roles
        self.isOfPlatform = isOfPlatform
        self.isAnonymous = isAnonymous
        self.attributes = attributes
    }

    /// Whoever comes without a token.
    package static let anonymous = Principal(userID: "", email: "", roles: [], isAnonymous: true)

    /// A platform administrator is an administrator of every app.
    package var isPlatformAdmin: Bool { isOfPlatform && hasRole("platform_admin") }

    /// Role names compare without case.
    package func hasRole(_ role: String) -> Bool {
        roles.contains { $0.lowercased() == role.lowercased() }
    }

    /// The roles that count in an app: a platform administrator has `admin` in every app.
    package var appRoles: [String] { isAdmin && !hasRole("admin") ? roles + ["admin"] : roles }

    /// Whether the app's administration is open to this user.
    package var isAdmin: Bool { isOfPlatform ? isPlatformAdmin : hasRole("admin") }
}
