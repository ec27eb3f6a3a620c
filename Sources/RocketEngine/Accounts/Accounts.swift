import Crypto
import Foundation
package import RocketDatabase
package import RocketModel
import RocketPlanning

/// Someone who has signed in: who, and the token that signs them in again.
package struct SignedIn: Sendable {
    package let user: StoredUser
    package let refreshToken: String
}

/// The users and refresh tokens of an app, or of the platform.
package struct Accounts: Sendable {
    /// How long an access token holds.
    package static let accessTokenSeconds: Int64 = 15 * 60
    /// How long a refresh token holds.
    package static let refreshTokenSeconds: Int64 = 7 * 24 * 3600

    package let database: any AppDatabase
    package let floors: TokenFloors
    let store: UserStore
    let hasher: PasswordHasher
    private let limiter: LoginLimiter
    /// The role of those who administer this place.
    let administratorRole: String
    /// Tells the accounts of this place from others' in the limiter that all share.
    let place: String
    let dependencies: EngineDependencies
    /// Called after tokens have been ended.
    let changed: @Sendable () async -> Void

    /// Reads the token floors that still matter.
    ///
    /// - Parameter place: the app's identity, or the platform's name.
    package init(
        database: any AppDatabase,
        schema: SystemSchema,
        place: String,
        hasher: PasswordHasher,
        limiter: LoginLimiter,
        dependencies: EngineDependencies,
        changed: @escaping @Sendable () async -> Void
    ) async throws {
        self.database = database
        self.hasher = hasher
        self.dependencies = dependencies
        store = UserStore(database.dialect, schema: schema)
        administratorRole =
            switch schema {
            case .app: "admin"
            case .management: "platform_admin"
            }
        self.limiter = limiter
        self.place = place
        self.changed = changed
        floors = TokenFloors()
        try await readFloors(at: 0)
    }

    /// Reads the token floors again where another server has raised one.
    func keepFloors(at version: Int64) async throws {
        if version > floors.version { try await readFloors(at: version) }
    }

    private func readFloors(at version: Int64) async throws {
        let since = dependencies.now().adding(seconds: -Self.accessTokenSeconds)
        let rows = try await database.read([store.floors(raisedAfter: since)])[0].rows
        let pairs = rows.compactMap { row in row[0].textValue.flatMap { id in row[1].integerValue.map { (id, $0) } } }
        floors.merge(Dictionary(pairs, uniquingKeysWith: max), at: version)
    }

    /// E-mails are compared trimmed and without case.
    package static func normalized(_ email: String) -> String {
        email.trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
    }

    // MARK: signing in

    /// - Throws: 401 for a wrong password, an unknown e-mail and a disabled account alike, in the same time; 429.
    package func login(email: String, password: String, address: String) async throws -> SignedIn {
        let email = Self.normalized(email)
        let wrong = RequestFailure(.unauthorized, "The e-mail or the password is wrong")
        guard email.utf8.count <= UserRules.maximumEmailBytes else { throw wrong }
        let user = try await judged(account: account(email), address: address) {
            let user = try await fetch(store.user(email: email))
            let isRight = try await hasher.verify(password, against: user?.passwordHash)
            guard let user, isRight, user.isActive else { throw wrong }
            return user
        }
        let now = dependencies.now()
        let token = newToken()
        let stored = StoredRefreshToken(
            family: dependencies.newID().text,
            userID: user.id,
            expiresAt: now.adding(seconds: Self.refreshTokenSeconds)
        )
        let script = LoginScript(store: store, user: user, hash: Self.hash(ofToken: token), token: stored, now: now)
        guard try await database.write(script) else { throw wrong }
        return SignedIn(user: user, refreshToken: token)
    }

    /// What the limiter calls a user.
    private func account(_ email: String) -> String { "\(place) \(email)" }

    /// Runs the check of a password or a token under the bounds on failed ones.
    ///
    /// - Parameters:
    ///   - account: nil where none is named before the check.
    ///   - outcome: what it counts as when nothing is wrong.
    func judged<Value>(
        account: String?,
        address: String,
        counting outcome: LoginLimiter.Outcome = .success,
        _ check: () async throws -> Value
    ) async throws -> Value {
        try await limiter.admit(account: account, address: address, now: dependencies.uptime())
        do {
            let value = try await check()
            limiter.finish(account: account, address: address, outcome)
            return value
        } catch {
            let isWrong = (error as? RequestFailure)?.code == .unauthorized
            limiter.finish(account: account, address: address, isWrong ? .failure : .undecided)
            throw error
        }
    }

    /// Gives a new token for an unused one. One that is used already ends all that came of the same login.
    ///
    /// - Throws: 401.
    package func refresh(_ token: String) async throws -> SignedIn {
        let successor = newToken()
        let outcome = try await database.write(
            RefreshScript(
                store: store,
                hash: Self.hash(ofToken: token),
                successorHash: Self.hash(ofToken: successor),
                now: dependencies.now()
            )
        )
        guard let user = outcome else { throw RequestFailure(.unauthorized, "The refresh token is not valid") }
        return SignedIn(user: user, refreshToken: successor)
    }

    /// Ends a token and all that came of the same login; one that is not there is fine.
    package func logout(_ token: String) async throws {
        try await database.write(LogoutScript(store: store, hash: Self.hash(ofToken: token)))
    }

    // MARK: users

    package func user(id: String) async throws -> StoredUser? {
        try await fetch(store.user(id: id))
    }

    package func user(email: String) async throws -> StoredUser? {
        try await fetch(store.user(email: Self.normalized(email)))
    }

    package func hasUsers() async throws -> Bool {
        try await database.read([store.countUsers])[0].rows.first?.first?.integerValue ?? 0 > 0
    }

    /// Sets a password and ends every token of the user.
    ///
    /// - Throws: 404, 422.
    package func setPassword(_ password: String, ofUser email: String) async throws {
        guard let user = try await user(email: email) else {
            throw RequestFailure(.notFound, "There is no user \"\(email)\"")
        }
        try await setPassword(password, of: user, whereHashIs: nil)
    }

    /// Changes a user's own password, who must know the old one; it ends every token of the user.
    ///
    /// - Throws: 401 for a wrong old password, 422 for a new one that can't be one, 429.
    package func changePassword(ofUser id: String, from old: String, to new: String, address: String) async throws {
        guard let user = try await user(id: id), user.isActive else {
            throw RequestFailure(.unauthorized, "The user is not there any more")
        }
        try await judged(account: account(user.email), address: address) {
            guard try await hasher.verify(old, against: user.passwordHash) else {
                throw RequestFailure(.unauthorized, "The old password is wrong")
            }
        }
        try await setPassword(new, of: user, whereHashIs: user.passwordHash)
    }

    /// - Parameter expected: the hash that was checked; another one in the meantime means that somebody was faster.
    private func setPassword(_ password: String, of user: StoredUser, whereHashIs expected: String?) async throws {
        try Self.requirePolicy(of: password)
        let script = PasswordScript(
            store: store,
            userID: user.id,
            expected: expected,
            hash: try await hasher.hash(password),
            now: dependencies.now()
        )
        guard let version = try await database.write(script) else {
            throw RequestFailure(.unauthorized, "The old password is wrong")
        }
        floors.raise(user.id, to: version)
        await changed()
    }

    // MARK: parts

    /// - Throws: 422 for a password that can't be one.
    static func requirePolicy(of password: String) throws(RequestFailure) {
        guard let problem = PasswordPolicy.problem(with: password) else { return }
        throw .validation([FailureDetail(field: "password", rule: .type, message: problem)])
    }

    private func fetch(_ statement: SQLStatement) async throws -> StoredUser? {
        try await database.read([statement])[0].rows.first.flatMap(store.read)
    }

    /// 256 random bits in base64url.
    func newToken() -> String {
        Data(dependencies.randomBytes(32)).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// What is stored of a token: a thief of the database can't sign in with it.
    static func hash(ofToken token: String) -> String {
        SHA256.hash(data: Data(token.utf8)).hexadecimal
    }
}

/// Turns an unused token into its successor; ends the family of a used one. The user's row is locked before its
/// tokens are looked at, here and wherever they change, so of several refreshes at once exactly one succeeds. Gives
/// nil where the token is not valid.
private struct RefreshScript: TransactionScript {
    private enum State {
        case start
        case found
        case locked
        case replaced(StoredUser)
        case revoked
    }

    private let store: UserStore
    private let hash: String
    private let successorHash: String
    private let now: Timestamp
    private var state = State.start

    init(store: UserStore, hash: String, successorHash: String, now: Timestamp) {
        self.store = store
        self.hash = hash
        self.successorHash = successorHash
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<StoredUser?> {
        switch state {
        case .start:
            state = .found
            return .run([store.refreshToken(hash: hash)])
        case .found:
            guard let token = results[0].rows.first.flatMap(store.readRefreshToken) else { return .done(nil) }
            state = .locked
            return .run([store.lockedUser(id: token.userID), store.refreshToken(hash: hash)])
        case .locked:
            guard let user = results[0].rows.first.flatMap(store.read),
                let token = results[1].rows.first.flatMap(store.readRefreshToken)
            else { return .done(nil) }
            guard !token.isUsed else {
                state = .revoked
                return .finish([store.revoke(family: token.family)])
            }
            guard token.expiresAt > now, user.isActive else { return .done(nil) }
            let successor = StoredRefreshToken(
                family: token.family,
                userID: user.id,
                expiresAt: now.adding(seconds: Accounts.refreshTokenSeconds)
            )
            state = .replaced(user)
            return .finish([
                store.markUsed(hash: hash), store.insertRefreshToken(hash: successorHash, successor, now: now),
            ])
        case .replaced(let user):
            return .done(user)
        case .revoked:
            return .done(nil)
        }
    }
}

private struct LogoutScript: TransactionScript {
    private enum State {
        case start
        case found
        case revoked
    }

    private let store: UserStore
    private let hash: String
    private var state = State.start

    init(store: UserStore, hash: String) {
        self.store = store
        self.hash = hash
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Void> {
        switch state {
        case .start:
            state = .found
            return .run([store.refreshToken(hash: hash)])
        case .found:
            guard let token = results[0].rows.first.flatMap(store.readRefreshToken) else { return .done(()) }
            state = .revoked
            return .finish([store.lockedUser(id: token.userID), store.revoke(family: token.family)])
        case .revoked:
            return .done(())
        }
    }
}

/// Stores the refresh token of a login, unless something that ends tokens has happened to the user since the password
/// was checked. Gives whether.
private struct LoginScript: TransactionScript {
    private enum State {
        case start
        case found
        case stored
    }

    private let store: UserStore
    private let user: StoredUser
    private let hash: String
    private let token: StoredRefreshToken
    private let now: Timestamp
    private var state = State.start

    init(store: UserStore, user: StoredUser, hash: String, token: StoredRefreshToken, now: Timestamp) {
        self.store = store
        self.user = user
        self.hash = hash
        self.token = token
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Bool> {
        switch state {
        case .start:
            state = .found
            return .run([store.lockedUser(id: user.id)])
        case .found:
            guard let found = results[0].rows.first.flatMap(store.read), found.isActive,
                found.tokenVersion == user.tokenVersion, found.passwordHash == user.passwordHash
            else { return .done(false) }
            state = .stored
            return .finish([
                store.removeExpiredRefreshTokens(now: now), store.insertRefreshToken(hash: hash, token, now: now),
            ])
        case .stored:
            return .done(true)
        }
    }
}

/// Changes a password and ends the user's tokens. Gives the version that access tokens need from here on; nil where
/// the user is gone or has another password than the one that was checked.
private struct PasswordScript: TransactionScript {
    private enum State {
        case start
        case found
        case changed(version: Int64)
    }

    private let store: UserStore
    private let userID: String
    private let expected: String?
    private let hash: String
    private let now: Timestamp
    private var state = State.start

    init(store: UserStore, userID: String, expected: String?, hash: String, now: Timestamp) {
        self.store = store
        self.userID = userID
        self.expected = expected
        self.hash = hash
        self.now = now
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<Int64?> {
        switch state {
        case .start:
            state = .found
            return .run([store.lockedUser(id: userID)])
        case .found:
            guard let user = results[0].rows.first.flatMap(store.read),
                expected == nil || user.passwordHash == expected
            else { return .done(nil) }
            state = .changed(version: user.tokenVersion + 1)
            return .finish(store.changePassword(of: user, to: hash, now: now))
        case .changed(let version):
            return .done(version)
        }
    }
}
