import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// Why a permission is given or refused.
enum PermissionRoutes {
    static func add(to table: inout RouteTable, _ admin: String) {
        table.add(.post, "\(admin)/permissions/explain", .appAdmin, explain)
    }

    /// `{"user": {"id"?, "roles"?}, "entity", "action", "id"?}`
    @Sendable private static func explain(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        var reader = DefinitionReader(try await call.object())
        let app = try call.requireApp()
        let principal = try await principal(&reader, app)
        let entity = reader.requiredString("entity")
        let action = reader.requiredWord("action", as: PermissionDefinition.Action.self)
        let id = id(&reader)
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty, let action = action.flatMap({ RecordAction(rawValue: $0.rawValue) }) else {
            throw RequestFailure.validation(reader.violations)
        }
        let caller = Access(principal, to: app.snapshots.current, at: call.services.dependencies.now())
        let explanation = try PermissionExplanation(action, on: entity, id: id, of: caller)
        return Reply(data: .object(try await PermissionExplainer.run(explanation, in: app.database)))
    }

    private static func id(_ reader: inout DefinitionReader) -> String? {
        switch reader.value("id") {
        case .string(let text)?: return text
        case .number(let number)?: return number.text
        case nil: return nil
        case let other?:
            reader.violate("id", .type, "expected a key, got \(other.kind)")
            return nil
        }
    }

    /// A user by id, with what is stored of them; roles that are given stand for theirs. None at all is nobody.
    private static func principal(_ reader: inout DefinitionReader, _ app: AppContext) async throws -> Principal {
        guard let object = reader.object("user") else { return .anonymous }
        var inner = DefinitionReader(object, path: "user")
        let id = inner.string("id")
        let roles = inner.strings("roles")
        inner.refuseUnknownMembers()
        reader.include(inner.violations)
        var user: StoredUser?
        if let id { user = try await app.accounts.user(id: id.lowercased()) }
        if id != nil, user == nil, roles == nil {
            reader.violate("user.id", .unknown, "there is no such user; say \"roles\" to ask for anyone with them")
        }
        return Principal(
            userID: id ?? "",
            email: user?.email ?? "",
            roles: roles ?? user?.roles ?? [],
            attributes: user?.attributes ?? JSONObject()
        )
    }
}
