import RocketModel

/// What the members of a user must be, whoever makes the user and in whatever way.
enum UserRules {
    static let maximumEmailBytes = 254
    static let maximumRoles = 100
    static let maximumRoleBytes = 100
    /// Of all roles as JSON: every access token carries them, in a header.
    static let maximumRolesBytes = 2000
    /// Of the attributes as JSON.
    static let maximumAttributesBytes = 16 * 1024
    /// What policies call everyone: no user's own role.
    private static let reservedRoles = ["*", "anonymous"]

    /// - Parameter email: trimmed and in lower case.
    static func problem(withEmail email: String) -> String? {
        let parts = email.split(separator: "@", omittingEmptySubsequences: false)
        let isAddress =
            parts.count == 2 && !parts.contains("") && email.utf8.count <= maximumEmailBytes
            && !email.contains(where: \.isWhitespace) && !email.utf8.contains(0)
        return isAddress ? nil : "is no e-mail address (name@domain, at most \(maximumEmailBytes) bytes)"
    }

    static func problem(withRole role: String) -> (rule: ViolatedRule, message: String)? {
        let count = role.utf8.count
        if count == 0 { return (.minLength, "a role has a name") }
        if count > maximumRoleBytes {
            return (.maxLength, "a role has at most \(maximumRoleBytes) bytes, got \(count)")
        }
        if role.utf8.contains(0) { return (.type, "text can't hold the character NUL") }
        if reservedRoles.contains(role.lowercased()) {
            return (.type, "\"\(role)\" is what policies call everyone, and no role of a user")
        }
        return nil
    }
}
