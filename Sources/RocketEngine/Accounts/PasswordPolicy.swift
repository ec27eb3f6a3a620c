/// What a password must be: 8 to 72 bytes without NUL. bcrypt reads no more than 72 bytes, so more are refused
/// rather than cut.
package enum PasswordPolicy {
    package static func problem(with password: String) -> String? {
        let count = password.utf8.count
        if count < 8 || count > 72 { return "a password has 8 to 72 bytes, got \(count)" }
        if password.utf8.contains(0) { return "a password can't hold the character NUL" }
        return nil
    }
}
