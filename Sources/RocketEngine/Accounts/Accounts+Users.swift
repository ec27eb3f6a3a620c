import RocketDatabase
package import RocketModel
package import RocketPlanning

// Users as administrators keep them. What ends tokens is stored in the transaction that changes the user, and is in
// force here before the answer is sent.

/// A page of users, newest first.
package struct UserPage: Sendable {
    package let users: [StoredUser]
    /// How many there are on all pages.
    package let total: Int64
}

extension Accounts {
    // MARK: reading

    /// - Parameter email: only the user with it, in whatever case.
    package func users(on page: PageRequest, email: String?) async throws -> UserPage {
        let statements = store.users(email: email.map(Self.normalized), limit: page.perPage, offset: page.offset)
        let results = try await database.read([statements.page, statements.total])
        return UserPage(
            users: results[0].rows.compactMap(store.read),
            total: results[1].rows.first?.first?.integerValue ?? 0
        )
    }

    /// - Throws: 404.
    package func existingUser(id: String) async throws -> StoredUser {
        guard let user = try await user(id: try Self.canonical(id)) else { throw RequestFailure.noUser(id) }
        return user
    }

    /// Ids are made here: what is no UUID is nobody's, and the database need not be asked.
    ///
    /// - Throws: 404.
    private static func canonical(_ id: String) throws(RequestFailure) -> String {
        guard let known = UniqueID(id) else { throw .noUser(id) }
        return known.text
    }

    // MARK: making

    /// - Throws: 422 with every violation, 409 for an e-mail that is taken.
    @discardableResult
    package func createUser(email: String, password: String, roles: [String], isActive: Bool = true) async throws
        -> StoredUser
    {
        try await createUser(NewUser(email: email, password: password, roles: roles, isActive: isActive))
    }

    /// - Throws: 409 for an e-mail that is taken.
    @discardableResult
    package func createUser(_ new: NewUser) async throws -> StoredUser {
        let user = try await hashed(new)
        do {
            _ = try await database.write([store.insert(user)])
        } catch DatabaseFailure.uniqueViolation {
            throw RequestFailure.emailTaken
        }
        return user
    }

    /// A user that is not stored yet, with the statement that stores it.
    ///
    /// - Throws: 422 with every violation.
    package func newUser(
        email: String,
        password: String,
        roles: [String],
        isActive: Bool
    ) async throws -> (StoredUser, SQLStatement) {
        let user = try await hashed(NewUser(email: email, password: password, roles: roles, isActive: isActive))
        return (user, store.insert(user))
    }

    private func hashed(_ new: NewUser) async throws -> StoredUser {
        let hash = try await hasher.hash(new.password)
        let now = dependencies.now()
        return StoredUser(
            id: dependencies.newID().text,
            email: new.email,
            passwordHash: hash,
            roles: new.roles,
            isActive: new.isActive,
            attributes: new.attributes,
            createdAt: now,
            updatedAt: now
        )
    }

    // MARK: changing

    /// Changes what is given of a user. A new password, e-mail, other roles, disabling and enabling end the access
    /// tokens; a new password and disabling end the refresh tokens too; and these and a new e-mail the tokens that
    /// reset the password, which went to the old one.
    ///
    /// - Returns: the user as they are now.
    /// - Throws: 404; 409 for an e-mail that is taken, and where no active administrator would be left.
    package func changeUser(id: String, _ change: UserChange) async throws -> StoredUser {
        let id = try Self.canonical(id)
        var hash: String?
        if let password = change.password { hash = try await hasher.hash(password) }
        return try await run(.members(change, passwordHash: hash), id)
    }

    /// Removes a user and ends every token of theirs.
    ///
    /// - Throws: 404; 409 where no active administrator would be left.
    package func deleteUser(id: String) async throws -> StoredUser {
        try await run(.deletion, try Self.canonical(id))
    }

    private func run(_ task: UserTask, _ id: String) async throws -> StoredUser {
        let script = UserScript(
            store: store,
            userID: id,
            task: task,
            administratorRole: administratorRole,
            now: dependencies.now()
        )
        let outcome: UserOutcome
        do {
            outcome = try await database.write(script)
        } catch DatabaseFailure.uniqueViolation {
            throw RequestFailure.emailTaken
        }
        if let floor = outcome.floor {
            floors.raise(id, to: floor)
            await changed()
        }
        return outcome.user
    }
}

extension RequestFailure {
    static let emailTaken = RequestFailure(
        .conflict,
        "There is a user with this e-mail already",
        details: [FailureDetail(field: "email", message: "is taken")]
    )

    fileprivate static func noUser(_ id: String) -> RequestFailure {
        RequestFailure(.notFound, "There is no user \"\(id)\"")
    }
}

/// What is to become of a user.
private enum UserTask: Sendable {
    case members(UserChange, passwordHash: String?)
    case deletion
}

private struct UserOutcome: Sendable {
    /// As they are now, or were before they were removed.
    let user: StoredUser
    /// The version that access tokens need from here on; nil where they stay as good as they were.
    let floor: Int64?
}

/// Changes or removes a user. Where that can take an administrator away, all active administrators are locked before
/// it is decided, so that of two who remove each other at once one finds nobody else left, and is refused.
private struct UserScript: TransactionScript {
    private enum State {
        case start
        case found
        case changed(UserOutcome)
    }

    private let store: UserStore
    private let userID: String
    private let task: UserTask
    private let administratorRole: String
    private let now: Timestamp
    private var state = State.start

    init(store: UserStore, userID: String, task: UserTask, administratorRole: String, now: Timestamp) {
        self.store = store
        self.userID = userID
        self.task = task
        self.administratorRole = administratorRole
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<UserOutcome> {
        switch state {
        case .start:
            state = .found
            let administrators = canDemote ? [store.lockedActiveUsers(withRole: administratorRole)] : []
            return .run(administrators + [store.lockedUser(id: userID)])
        case .found:
            guard let user = results.last?.rows.first.flatMap(store.read) else { throw RequestFailure.noUser(userID) }
            let administrators = canDemote ? results[0].rows.compactMap(store.read) : []
            return try decide(user, administrators)
        case .changed(let outcome):
            return .done(outcome)
        }
    }

    private var canDemote: Bool {
        switch task {
        case .members(let change, _): change.canDemote(from: administratorRole)
        case .deletion: true
        }
    }

    private mutating func decide(
        _ user: StoredUser,
        _ administrators: [StoredUser]
    ) throws(RequestFailure) -> TransactionStep<UserOutcome> {
        switch task {
        case .deletion:
            try requireAnother(than: user, among: administrators, stays: false)
            let floor = user.tokenVersion + 1
            state = .changed(UserOutcome(user: user, floor: floor))
            return .finish(store.delete(user, floor: floor, now: now))
        case .members(let change, let passwordHash):
            guard let after = change.applied(to: user, passwordHash: passwordHash, at: now) else {
                return .done(UserOutcome(user: user, floor: nil))
            }
            try requireAnother(than: user, among: administrators, stays: isAdministrator(after))
            let endsAccess = after.tokenVersion != user.tokenVersion
            state = .changed(UserOutcome(user: after, floor: endsAccess ? after.tokenVersion : nil))
            var statements = [store.update(after)]
            if passwordHash != nil || !after.isActive { statements.append(store.revokeRefreshTokens(ofUser: user.id)) }
            if passwordHash != nil || !after.isActive || after.email != user.email {
                statements += store.removePasswordResets(ofUser: user.id)
            }
            if endsAccess {
                statements += store.endAccessTokens(ofUser: user.id, below: after.tokenVersion, now: now)
            }
            return .finish(statements)
        }
    }

    /// - Throws: 409 where the user is the last active administrator, and does not stay one.
    private func requireAnother(
        than user: StoredUser,
        among administrators: [StoredUser],
        stays: Bool
    ) throws(RequestFailure) {
        guard isAdministrator(user), !stays else { return }
        guard administrators.contains(where: { $0.id != user.id && isAdministrator($0) }) else {
            throw RequestFailure(
                .conflict,
                "This is the last active user with the role \"\(administratorRole)\": give it to another one first"
            )
        }
    }

    private func isAdministrator(_ user: StoredUser) -> Bool {
        user.isActive && user.hasRole(administratorRole)
    }
}
