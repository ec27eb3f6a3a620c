import RocketDatabase
import RocketModel
import RocketPlanning

// A new password in place of a forgotten one: an event takes a token to the user, and the token sets the password. Who
// mails the token is none of this part's business. Of an app only: the platform has neither events nor the table.

extension Accounts {
    /// How long a token that resets a password holds.
    package static let resetTokenSeconds: Int64 = 3600
    /// How many of them a user has at most; older ones end.
    package static let maximumResetTokens = 5

    /// Sends the event `password_reset` with a token, where there is an active user with the e-mail. Where there is
    /// none, nobody can tell it from here: neither from what comes back nor from how long it takes.
    ///
    /// - Throws: 429, counting every attempt for the e-mail and for the address, apart from sign-ins.
    package func sendPasswordReset(to email: String, address: String) async throws {
        let email = Self.normalized(email)
        // No user has it, and whoever sends it knows.
        guard email.utf8.count <= UserRules.maximumEmailBytes else { return }
        try await judged(account: "forgot \(place) \(email)", address: "forgot \(address)", counting: .failure) {
            let script = ForgotScript(
                store: store,
                outbox: OutboxStore(database.dialect),
                email: email,
                token: newToken(),
                eventID: dependencies.newID().text,
                nobody: dependencies.newID().text,
                now: dependencies.now()
            )
            try await database.write(script)
        }
    }

    /// Spends a token: sets the password of its user, and ends every token of theirs.
    ///
    /// - Throws: 422 for a password that can't be one, before the token is looked at; 401 for a token that is wrong,
    ///   expired or used; 429, counting failures for the address, apart from sign-ins.
    package func resetPassword(to password: String, token: String, address: String) async throws {
        try Self.requirePolicy(of: password)
        let outcome = try await judged(account: nil, address: "reset \(address)") {
            let outcome = try await spend(Self.hash(ofToken: token), on: password)
            guard let outcome else { throw RequestFailure(.unauthorized, "The reset token is not valid") }
            return outcome
        }
        floors.raise(outcome.userID, to: outcome.floor)
        await changed()
    }

    /// - Returns: nil where the token is not valid.
    private func spend(_ tokenHash: String, on password: String) async throws -> ResetOutcome? {
        let rows = try await database.read([store.passwordReset(hash: tokenHash)])[0].rows
        // Only a token that is there is worth hashing a password for.
        guard let reset = rows.first.flatMap(store.readPasswordReset), reset.expiresAt > dependencies.now() else {
            return nil
        }
        let script = ResetScript(
            store: store,
            userID: reset.userID,
            tokenHash: tokenHash,
            passwordHash: try await hasher.hash(password),
            now: dependencies.now()
        )
        return try await database.write(script)
    }
}

/// Stores a token and its event for the active user with an e-mail.
private struct ForgotScript: TransactionScript {
    private enum State {
        case start
        case found
        case stored
    }

    private let store: UserStore
    private let outbox: OutboxStore
    private let email: String
    private let token: String
    private let eventID: String
    /// An id that no user has.
    private let nobody: String
    private let now: Timestamp
    private var state = State.start

    init(
        store: UserStore,
        outbox: OutboxStore,
        email: String,
        token: String,
        eventID: String,
        nobody: String,
        now: Timestamp
    ) {
        self.store = store
        self.outbox = outbox
        self.email = email
        self.token = token
        self.eventID = eventID
        self.nobody = nobody
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Void> {
        switch state {
        case .start:
            state = .found
            return .run([store.lockedUser(email: email)])
        case .found:
            state = .stored
            let user = results[0].rows.first.flatMap(store.read)
            return .finish(statements(for: user?.isActive == true ? user : nil))
        case .stored:
            return .done(())
        }
    }

    /// The same statements whoever it is for. For nobody the rows are written as well, and removed again before the
    /// commit, which then has as much to put on disk: a transaction that changes nothing would be told by its speed.
    private func statements(for user: StoredUser?) -> [SQLStatement] {
        let hash = Accounts.hash(ofToken: token)
        let reset = StoredPasswordReset(
            userID: user?.id ?? nobody,
            expiresAt: now.adding(seconds: Accounts.resetTokenSeconds)
        )
        return [
            store.thinPasswordResets(ofUser: reset.userID, keeping: Accounts.maximumResetTokens - 1, now: now),
            store.insertPasswordReset(hash: hash, reset, now: now),
        ]
            + outbox.inserts([event(for: user, reset)], now: now)
            + [
                store.removePasswordReset(hash: user == nil ? hash : nobody),
                outbox.removeEvent(id: user == nil ? eventID : nobody),
            ]
    }

    /// The one place where the token stands in clear: whoever reads `_events` before it is delivered can use it for as
    /// long as it holds. A hash would be no use to who has to mail it.
    private func event(for user: StoredUser?, _ reset: StoredPasswordReset) -> OutboxStore.Event {
        OutboxStore.Event(
            id: eventID,
            name: "password_reset",
            payload: [
                "email": .string(email), "token": .string(token), "expires_at": .string(reset.expiresAt.rfc3339),
            ],
            entity: "_users",
            recordID: reset.userID,
            record: [
                "id": .string(reset.userID), "email": .string(email),
                "roles": .array((user?.roles ?? []).map(JSONValue.string)),
            ],
            // Nobody has signed in.
            user: [:]
        )
    }
}

private struct ResetOutcome: Sendable {
    let userID: String
    /// The version that the user's access tokens need from here on.
    let floor: Int64
}

/// Sets a password for a token, which ends with all others of the user. The user's row is locked before the token is
/// looked at, so of several resets at once exactly one succeeds. Gives nil where the token is not valid.
private struct ResetScript: TransactionScript {
    private enum State {
        case start
        case locked
        case changed(ResetOutcome)
    }

    private let store: UserStore
    private let userID: String
    private let tokenHash: String
    private let passwordHash: String
    private let now: Timestamp
    private var state = State.start

    init(store: UserStore, userID: String, tokenHash: String, passwordHash: String, now: Timestamp) {
        self.store = store
        self.userID = userID
        self.tokenHash = tokenHash
        self.passwordHash = passwordHash
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<ResetOutcome?> {
        switch state {
        case .start:
            state = .locked
            return .run([store.lockedUser(id: userID), store.passwordReset(hash: tokenHash)])
        case .locked:
            guard let user = results[0].rows.first.flatMap(store.read), user.isActive,
                let reset = results[1].rows.first.flatMap(store.readPasswordReset), reset.expiresAt > now
            else { return .done(nil) }
            state = .changed(ResetOutcome(userID: user.id, floor: user.tokenVersion + 1))
            return .finish(store.changePassword(of: user, to: passwordHash, now: now))
        case .changed(let outcome):
            return .done(outcome)
        }
    }
}
