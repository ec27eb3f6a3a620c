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

    fileprivate init(action: RecordAction, entity: String, isAdministrator: Bool) {
        self.action = action
        self.entity = entity
        self.isAdministrator = isAdministrator
    }
}

/// The one place that decides who may do what.
package enum AccessDecision {
    /// A whitelist: administrators pass, and everyone else is refused until a policy says otherwise.
    ///
    /// - Throws: 403 `FORBIDDEN`.
    package static func decide(
        _ action: RecordAction,
        on entity: EntityModel,
        for principal: Principal
    ) throws(RequestFailure) -> Grant {
        guard principal.isAdmin else {
            throw RequestFailure(.forbidden, "No permission allows you to \(action.rawValue) \"\(entity.name)\"")
        }
        return Grant(action: action, entity: entity.name, isAdministrator: true)
    }

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
