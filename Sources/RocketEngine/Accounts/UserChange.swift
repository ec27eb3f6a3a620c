package import RocketModel

/// What is given of a user, each member judged; nil where it is not given.
package struct UserChange: Sendable {
    /// Trimmed and in lower case.
    let email: String?
    let password: String?
    let roles: [String]?
    let isActive: Bool?
    let attributes: JSONObject?

    /// Reads `{"email"?, "password"?, "roles"?: [], "active"?, "attributes"?: {}}`.
    ///
    /// - Throws: 422 with every violation; null is one.
    package init(_ payload: JSONObject) throws(RequestFailure) {
        try self.init(payload, requiring: [])
    }

    /// Reads `{"email", "roles"?: [], "attributes"?: {}}`: a user who has yet to choose a password.
    ///
    /// - Throws: 422 with every violation.
    init(invite payload: JSONObject) throws(RequestFailure) {
        try self.init(payload, requiring: ["email"], members: ["email", "roles", "attributes"])
    }

    fileprivate init(
        _ payload: JSONObject,
        requiring required: [String],
        members: [String] = ["email", "password", "roles", "active", "attributes"]
    ) throws(RequestFailure) {
        var reader = DefinitionReader(payload)
        reader.require(required)
        reader.refuseNulls(members)
        email = reader.email("email")
        password = members.contains("password") ? reader.password("password") : nil
        roles = reader.roles("roles")
        let isActivityGiven = members.contains("active") && reader.value("active") != nil
        isActive = isActivityGiven ? reader.boolean("active", default: true) : nil
        attributes = reader.attributes("attributes")
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw .validation(reader.violations) }
    }

    /// Whether it can take an administrator's role or activity away.
    ///
    /// - Parameter role: the administrators' role, in lower case.
    func canDemote(from role: String) -> Bool {
        isActive == false || roles.map { given in !given.contains { $0.lowercased() == role } } == true
    }

    /// The user as the change leaves them, or nil where it changes nothing. Where something changes that access tokens
    /// carry or stand for, the version of tokens is raised.
    ///
    /// - Parameter passwordHash: of ``password``, where one is given.
    func applied(to user: StoredUser, passwordHash: String?, at now: Timestamp) -> StoredUser? {
        var changed = user
        if let email { changed.email = email }
        if let passwordHash { changed.passwordHash = passwordHash }
        if let roles { changed.roles = roles }
        if let isActive { changed.isActive = isActive }
        if let attributes { changed.attributes = attributes }
        let endsTokens =
            passwordHash != nil || changed.isActive != user.isActive
            || ByteName(changed.email) != ByteName(user.email)
            || changed.roles.map(ByteName.init) != user.roles.map(ByteName.init)
        guard endsTokens || changed.attributes != user.attributes else { return nil }
        if endsTokens { changed.tokenVersion += 1 }
        changed.updatedAt = now
        return changed
    }
}

/// A user to be made, each member judged.
package struct NewUser: Sendable {
    /// Trimmed and in lower case.
    let email: String
    let password: String
    let roles: [String]
    let isActive: Bool
    let attributes: JSONObject

    /// Reads `{"email", "password", "roles"?: [], "active"?, "attributes"?: {}}`.
    ///
    /// - Throws: 422 with every violation.
    package init(_ payload: JSONObject) throws(RequestFailure) {
        let given = try UserChange(payload, requiring: ["email", "password"])
        email = given.email ?? ""
        password = given.password ?? ""
        roles = given.roles ?? []
        isActive = given.isActive ?? true
        attributes = given.attributes ?? JSONObject()
    }

    /// - Throws: 422 with every violation.
    package init(email: String, password: String, roles: [String], isActive: Bool) throws(RequestFailure) {
        try self.init([
            "email": .string(email), "password": .string(password), "roles": .array(roles.map(JSONValue.string)),
            "active": .boolean(isActive),
        ])
    }
}

extension DefinitionReader {
    fileprivate mutating func require(_ names: [String]) {
        for name in names where object[name] == nil { violate(name, .required, "is required") }
    }

    fileprivate mutating func refuseNulls(_ names: [String]) {
        for name in names where object[name] == .null { violate(name, .required, "can't be null") }
    }

    fileprivate mutating func email(_ name: String) -> String? {
        guard let text = storableString(name) else { return nil }
        let email = Accounts.normalized(text)
        if let problem = UserRules.problem(withEmail: email) { violate(name, .type, problem) }
        return email
    }

    fileprivate mutating func password(_ name: String) -> String? {
        guard let password = storableString(name) else { return nil }
        if let problem = PasswordPolicy.problem(with: password) { violate(name, .type, problem) }
        return password
    }

    /// A string that nothing is wrong with so far.
    private mutating func storableString(_ name: String) -> String? {
        let before = violations.count
        let text = string(name)
        return violations.count == before ? text : nil
    }

    fileprivate mutating func roles(_ name: String) -> [String]? {
        guard let items = array(name) else { return nil }
        guard items.count <= UserRules.maximumRoles else {
            violate(name, .maxLength, "a user has at most \(UserRules.maximumRoles) roles, got \(items.count)")
            return nil
        }
        let before = violations.count
        var roles: [String] = []
        for (index, item) in items.enumerated() {
            let place = "\(name)[\(index)]"
            guard case .string(let role) = item else {
                violate(place, .type, "expected a string, got \(item.kind)")
                continue
            }
            if let problem = UserRules.problem(withRole: role) { violate(place, problem.rule, problem.message) }
            roles.append(role)
        }
        let count = JSONValue.array(items).jsonBytes.count
        if violations.count == before, count > UserRules.maximumRolesBytes {
            violate(
                name,
                .maxLength,
                "the roles have at most \(UserRules.maximumRolesBytes) bytes in all, as tokens carry them; got \(count)"
            )
        }
        return roles
    }

    /// Attributes as a field of the type `json` would keep them, so that conditions find the same on every store.
    fileprivate mutating func attributes(_ name: String) -> JSONObject? {
        guard let given = object(name) else { return nil }
        let count = JSONValue.object(given).jsonBytes.count
        guard count <= UserRules.maximumAttributesBytes else {
            violate(name, .maxLength, "at most \(UserRules.maximumAttributesBytes) bytes of JSON, got \(count)")
            return nil
        }
        do throws(CoercionFailure) {
            guard case .json(.object(let kept)) = try ValueShape(type: .json).value(of: .object(given)) else {
                return given
            }
            return kept
        } catch {
            violate(name, .type, error.message)
            return nil
        }
    }
}
