import RocketDatabase
package import RocketModel
package import RocketPlanning

// Invitations: an administrator says who may become a user, with which roles; whoever has the token becomes that user by
// choosing a password. Who mails the token is none of this part's business.

/// An invitation to be sent, each member judged.
package struct NewInvite: Sendable {
    /// Trimmed and in lower case.
    package let email: String
    let roles: [String]
    let attributes: JSONObject

    /// Reads `{"email", "roles"?: [], "attributes"?: {}}`.
    ///
    /// - Parameter place: where it stands among others.
    /// - Throws: 422 with every violation.
    package init(_ payload: JSONObject, at place: String = "") throws(RequestFailure) {
        let given: UserChange
        do {
            given = try UserChange(invite: payload)
        } catch {
            throw place.isEmpty ? error : error.moved(below: place)
        }
        email = given.email ?? ""
        roles = given.roles ?? []
        attributes = given.attributes ?? JSONObject()
    }
}

/// An invitation with its token, which is shown this once.
package struct SentInvite: Sendable {
    package let invite: StoredInvite
    package let token: String
}

extension Accounts {
    /// How long a token accepts its invitation.
    package static let inviteSeconds: Int64 = 72 * 3600
    package static let maximumInvites = 100

    /// Sends invitations, all or none; each takes the place of an open one of the same e-mail.
    ///
    /// - Throws: 409 naming each e-mail that a user has already.
    package func invite(_ new: [NewInvite], by principal: Principal) async throws -> [SentInvite] {
        let now = dependencies.now()
        let sent = new.map { invite in
            SentInvite(
                invite: StoredInvite(
                    id: dependencies.newID().text,
                    email: invite.email,
                    roles: invite.roles,
                    attributes: invite.attributes,
                    invitedBy: principal.userID,
                    expiresAt: now.adding(seconds: Self.inviteSeconds),
                    createdAt: now
                ),
                token: newToken()
            )
        }
        try await database.write(
            InviteScript(
                users: store,
                store: InviteStore(database.dialect),
                invites: sent.map { ($0.invite, Self.hash(ofToken: $0.token)) }
            )
        )
        return sent
    }

    /// Newest first.
    package func invites(on page: PageRequest) async throws -> (invites: [StoredInvite], total: Int64) {
        let store = InviteStore(database.dialect)
        let results = try await database.read(store.page(limit: page.perPage, offset: page.offset))
        return (results[0].rows.compactMap(store.read), results[1].rows.first?.first?.integerValue ?? 0)
    }

    /// Takes an invitation back; its token accepts nothing any more.
    ///
    /// - Throws: 404.
    package func removeInvite(id: String) async throws {
        let known = UniqueID(id)?.text ?? ""
        guard try await database.write([InviteStore(database.dialect).remove(id: known)])[0].changes == 1 else {
            throw RequestFailure(.notFound, "There is no invite \"\(id.prefix(100))\"")
        }
    }

    /// Spends a token: makes its user, who is signed in.
    ///
    /// - Throws: 422 for a password that can't be one, before the token is looked at; 401 for a token that is wrong,
    ///   expired or used; 409 where a user has the e-mail by now; 429, counting failures for the address.
    package func acceptInvite(token: String, password: String, address: String) async throws -> SignedIn {
        try Self.requirePolicy(of: password)
        return try await judged(account: nil, address: "invite \(address)") {
            let refresh = newToken()
            let hash = Self.hash(ofToken: token)
            let store = InviteStore(database.dialect)
            // Only a token that is there is worth hashing a password for.
            let row = try await database.read([store.locked(hash: hash)])[0].rows.first
            guard row.flatMap(store.read) != nil else { throw AcceptScript.wrong }
            let script = AcceptScript(
                users: self.store,
                store: store,
                hash: hash,
                passwordHash: try await hasher.hash(password),
                userID: dependencies.newID().text,
                refreshHash: Self.hash(ofToken: refresh),
                family: dependencies.newID().text,
                now: dependencies.now()
            )
            do {
                return SignedIn(user: try await database.write(script), refreshToken: refresh)
            } catch DatabaseFailure.uniqueViolation {
                throw RequestFailure.emailTaken
            }
        }
    }
}

private struct InviteScript: TransactionScript {
    private enum State {
        case start
        case looked
        case written
    }

    let users: UserStore
    let store: InviteStore
    let invites: [(StoredInvite, hash: String)]
    private var state = State.start

    init(users: UserStore, store: InviteStore, invites: [(StoredInvite, hash: String)]) {
        self.users = users
        self.store = store
        self.invites = invites
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<Void> {
        switch state {
        case .start:
            state = .looked
            return .run(invites.map { users.user(email: $0.0.email) })
        case .looked:
            let taken = zip(invites, results).enumerated().filter { !$0.element.1.rows.isEmpty }.map { index, pair in
                FailureDetail(
                    field: invites.count == 1 ? "email" : "invites[\(index)].email",
                    message: "\(pair.0.0.email) is a user already"
                )
            }
            guard taken.isEmpty else {
                throw RequestFailure(.conflict, "Whoever is a user already can't be invited", details: taken)
            }
            state = .written
            return .finish(invites.map { store.removeOpen(email: $0.0.email) } + store.inserts(invites))
        case .written: return .done(())
        }
    }
}

/// Of several that accept one invitation at once exactly one succeeds: its row is locked first.
private struct AcceptScript: TransactionScript {
    private enum State {
        case start
        case locked
        case written(StoredUser)
    }

    static let wrong = RequestFailure(.unauthorized, "The invite token is not valid")

    private let users: UserStore
    private let store: InviteStore
    private let hash: String
    private let passwordHash: String
    private let userID: String
    private let refreshHash: String
    private let family: String
    private let now: Timestamp
    private var state = State.start

    init(
        users: UserStore,
        store: InviteStore,
        hash: String,
        passwordHash: String,
        userID: String,
        refreshHash: String,
        family: String,
        now: Timestamp
    ) {
        self.users = users
        self.store = store
        self.hash = hash
        self.passwordHash = passwordHash
        self.userID = userID
        self.refreshHash = refreshHash
        self.family = family
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<StoredUser> {
        switch state {
        case .start:
            state = .locked
            return .run([store.locked(hash: hash)])
        case .locked:
            guard let invite = results[0].rows.first.flatMap(store.read), invite.acceptedAt == nil,
                invite.expiresAt > now
            else { throw Self.wrong }
            let user = StoredUser(
                id: userID,
                email: invite.email,
                passwordHash: passwordHash,
                roles: invite.roles,
                attributes: invite.attributes,
                createdAt: now,
                updatedAt: now
            )
            let token = StoredRefreshToken(
                family: family,
                userID: userID,
                expiresAt: now.adding(seconds: Accounts.refreshTokenSeconds)
            )
            state = .written(user)
            return .finish([
                users.insert(user), store.accept(id: invite.id, now: now),
                users.insertRefreshToken(hash: refreshHash, token, now: now),
            ])
        case .written(let user): return .done(user)
        }
    }
}
