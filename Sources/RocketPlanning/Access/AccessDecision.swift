package import RocketModel

/// A permission that was decided. Only ``Access`` makes one, and nothing that reads or writes records can
/// be planned without one: no road can forget to ask.
package struct Grant: Sendable {
    /// One policy's rows: those for which all conditions hold; nil where none can.
    struct Alternative: Sendable {
        let conditions: [RowCondition]?
        /// What must hold after an update; nil in the inner place for what can't hold, in the outer for nothing.
        let check: [RowCondition]??
        /// Indexes; nil for all fields.
        let fields: Set<Int>?
    }

    package let action: RecordAction
    package let entity: String
    /// Whether the caller administers the app, and may see soft-deleted rows and remove rows for good.
    package let isAdministrator: Bool
    /// Decides for the entities that the request reaches through relations.
    package let access: Access
    /// Policies of which one must hold; none where every row is allowed.
    let alternatives: [Alternative]

    fileprivate init(
        action: RecordAction,
        entity: String,
        isAdministrator: Bool,
        access: Access,
        alternatives: [Alternative] = []
    ) {
        self.action = action
        self.entity = entity
        self.isAdministrator = isAdministrator
        self.access = access
        self.alternatives = alternatives
    }

    /// Which rows; nil for all of them.
    var condition: RowCondition? {
        guard !alternatives.isEmpty, !alternatives.contains(where: { $0.conditions?.isEmpty == true }) else {
            return nil
        }
        return .anyOf(alternatives.compactMap(\.conditions))
    }

    /// Which fields; nil for all of them.
    func fields(of entity: EntityModel) -> GrantedFields? { GrantedFields(self, entity) }

    /// Whether every row is allowed, whatever becomes of it.
    package var isUnlimited: Bool { alternatives.isEmpty }
}

/// A caller before the metadata that a request began with: what every permission is decided by. It is immutable, and
/// handed along as one reference.
package final class Access: Sendable {
    package let snapshot: AppSnapshot
    package let principal: Principal
    /// The instant of the request, for conditions that speak of it.
    package let now: Timestamp
    /// What the request is called in logs and in the audit trail; nil for what no request has asked for.
    package let requestID: String?
    /// The uploaded files that the request may put into records, as records keep them.
    package let files: Set<JSONValue>

    package init(
        _ principal: Principal,
        to snapshot: AppSnapshot,
        at now: Timestamp,
        requestID: String? = nil,
        files: Set<JSONValue> = []
    ) {
        self.files = files
        self.principal = principal
        self.snapshot = snapshot
        self.now = now
        self.requestID = requestID
    }

    /// The same with files that are known to be the caller's to use.
    package func attaching(_ files: some Sequence<JSONValue>) -> Access {
        Access(principal, to: snapshot, at: now, requestID: requestID, files: self.files.union(files))
    }

    /// A whitelist: administrators pass, and everyone else is refused unless a policy for one of their roles says
    /// otherwise, of some rows or of all.
    ///
    /// - Throws: 403 `FORBIDDEN`; 401 `UNAUTHORIZED` where nobody has signed in.
    package func grant(_ action: RecordAction, on entity: EntityModel) throws(RequestFailure) -> Grant {
        guard !principal.isAdmin else {
            return Grant(action: action, entity: entity.name, isAdministrator: true, access: self)
        }
        let policies = snapshot.policies(for: action, on: entity).filter { $0.applies(to: principal) }
        guard !policies.isEmpty else {
            guard !principal.isAnonymous else {
                throw RequestFailure(.unauthorized, "This needs Authorization: Bearer and an access token")
            }
            throw RequestFailure(.forbidden, "No permission allows you to \(action.rawValue) \"\(entity.name)\"")
        }
        let isOpen = policies.contains { $0.conditions.isEmpty && ($0.check ?? []).isEmpty && $0.fields == nil }
        return Grant(
            action: action,
            entity: entity.name,
            isAdministrator: false,
            access: self,
            alternatives: isOpen ? [] : policies.map(alternative)
        )
    }

    private func alternative(_ policy: Policy) -> Grant.Alternative {
        Grant.Alternative(
            conditions: all(policy.conditions),
            check: policy.check.map { .some(all($0)) } ?? .none,
            fields: policy.fields
        )
    }

    private func all(_ conditions: [PolicyCondition]) -> [RowCondition]? {
        PolicyCondition.conditions(conditions, for: principal, now: now)
    }

    /// Whether a relation may be included.
    func mayInclude(_ side: RelationSide, of entity: EntityModel) -> Bool {
        do throws(RequestFailure) {
            _ = try related(.read, through: side, of: entity)
            return true
        } catch {
            return false
        }
    }

    /// The permission where there is one; nil where the action is refused altogether.
    func grantIfAny(_ action: RecordAction, on entity: EntityModel) -> Grant? {
        do throws(RequestFailure) { return try grant(action, on: entity) } catch { return nil }
    }

    /// Which rows the caller may read, none where no policy says so.
    func readable(_ entity: EntityModel) -> RowCondition? {
        guard let grant = grantIfAny(.read, on: entity) else { return .anyOf([]) }
        return grant.condition
    }

    /// Whether a write needs no look at its row for permission's sake, nor does its answer.
    package func writesFreely(_ grant: Grant, _ entity: EntityModel) -> Bool {
        grant.isUnlimited && grantIfAny(.read, on: entity)?.isUnlimited ?? false
    }

    /// A field that the caller names to ask about rows.
    ///
    /// - Returns: nil where there is none as far as the caller may know.
    /// - Throws: 403 for one that is not readable in every row that the caller sees: to ask would tell its value.
    func field(_ name: String, of entity: EntityModel) throws(RequestFailure) -> FieldModel? {
        guard let index = entity.index(of: name) else { return nil }
        guard let fields = grantIfAny(.read, on: entity)?.fields(of: entity) else { return entity.fields[index] }
        guard fields.anywhere.contains(index) else { return nil }
        guard fields.everywhere.contains(index) else {
            throw RequestFailure(
                .forbidden,
                "\"\(name)\" is not readable in every record of \"\(entity.name)\" that you see, so it can't be asked about"
            )
        }
        return entity.fields[index]
    }

    /// The names of an entity's fields that the caller may know of.
    func fieldNames(_ entity: EntityModel) -> [String] {
        guard !principal.isAdmin else { return entity.fieldNames }
        guard let grant = grantIfAny(.read, on: entity) else { return [entity.key.name] }
        guard let fields = grant.fields(of: entity) else { return entity.fieldNames }
        return fields.anywhere.sorted().map { entity.fields[$0].name }
    }

    /// The entity at the other end of a relation, and the permission there.
    ///
    /// - Throws: 403 `FORBIDDEN`; where the relation goes by a field that the caller can't read, too, for it would tell it.
    package func related(
        _ action: RecordAction,
        through side: RelationSide,
        of own: EntityModel
    ) throws(RequestFailure) -> (entity: EntityModel, grant: Grant) {
        let entity = try snapshot.entity(side.other)
        let grant = try grant(action, on: entity)
        try requireLink(side, of: own, to: entity)
        return (entity, grant)
    }

    /// - Throws: 403 where the relation goes by a field that the caller can't read in every row, for it would tell it.
    func requireLink(_ side: RelationSide, of own: EntityModel, to other: EntityModel) throws(RequestFailure) {
        guard !principal.isAdmin, case .field(let ownField, let theirs) = side.link else { return }
        let mine = grantIfAny(.read, on: own)?.fields(of: own)?.everywhere.contains(ownField) ?? true
        let others = grantIfAny(.read, on: other)?.fields(of: other)?.everywhere.contains(theirs) ?? true
        guard mine, others else {
            throw RequestFailure(.forbidden, "\"\(side.name)\" goes by a field that you can't read")
        }
    }
}

/// Who may come in at doors that no policy opens.
package enum AccessDecision {
    /// - Throws: 403 `FORBIDDEN` unless the caller administers the app.
    package static func requireAdministrator(_ principal: Principal) throws(RequestFailure) {
        guard principal.isAdmin else { throw RequestFailure(.forbidden, "This needs the role \"admin\"") }
    }

    /// - Throws: 403 `FORBIDDEN` unless the caller administers the platform.
    package static func requirePlatformAdministrator(_ principal: Principal) throws(RequestFailure) {
        guard principal.isPlatformAdmin else {
            throw RequestFailure(.forbidden, "This needs the role \"platform_admin\"")
        }
    }
}
