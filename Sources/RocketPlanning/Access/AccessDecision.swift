package import RocketModel

/// What a caller wants to do with records.
package enum RecordAction: String, Sendable {
    case read
    case create
    case update
    case delete
}

/// A permission that was decided. Only ``AccessDecision`` makes one, and nothing that reads or writes records can
/// be planned without one: no road can forget to ask.
package struct Grant: Sendable {
    package let action: RecordAction
    package let entity: String
    /// Whether the caller administers the app, and may see soft-deleted rows and remove rows for good.
    package let isAdministrator: Bool
    /// Decides for the entities that the request reaches through relations.
    package let access: Access

    fileprivate init(action: RecordAction, entity: String, isAdministrator: Bool, access: Access) {
        self.action = action
        self.entity = entity
        self.isAdministrator = isAdministrator
        self.access = access
    }
}

/// A caller before the metadata that a request began with: what every permission is decided by.
package struct Access: Sendable {
    package let snapshot: AppSnapshot
    package let principal: Principal

    package init(_ principal: Principal, to snapshot: AppSnapshot) {
        self.principal = principal
        self.snapshot = snapshot
    }

    /// A whitelist: administrators pass, and everyone else is refused until a policy says otherwise.
    ///
    /// - Throws: 403 `FORBIDDEN`.
    package func grant(_ action: RecordAction, on entity: EntityModel) throws(RequestFailure) -> Grant {
        guard principal.isAdmin else {
            throw RequestFailure(.forbidden, "No permission allows you to \(action.rawValue) \"\(entity.name)\"")
        }
        return Grant(action: action, entity: entity.name, isAdministrator: true, access: self)
    }

    /// The entity at the other end of a relation, and the permission there.
    ///
    /// - Throws: 403 `FORBIDDEN`.
    package func related(_ action: RecordAction, through side: RelationSide) throws(RequestFailure) -> (
        entity: EntityModel, grant: Grant
    ) {
        let entity = try snapshot.entity(side.other)
        return (entity, try grant(action, on: entity))
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
