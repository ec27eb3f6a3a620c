/// Who asks: the signed-in user of an app or of the platform.
package struct Principal: Sendable, Hashable {
    package let userID: String
    package let email: String
    package let roles: [String]
    /// Whether the token was the platform's rather than an app's.
    package let isOfPlatform: Bool

    package init(userID: String, email: String, roles: [String], isOfPlatform: Bool = false) {
        self.userID = userID
        self.email = email
        self.roles = roles
        self.isOfPlatform = isOfPlatform
    }

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
