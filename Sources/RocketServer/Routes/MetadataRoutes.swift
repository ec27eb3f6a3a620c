import HTTPTypes
import Hummingbird
import Logging
import RocketEngine
import RocketModel
import RocketPlanning

/// The definitions of an app: entities and relations one by one, and everything at once as export and import.
enum MetadataRoutes {
    static func add(to table: inout RouteTable) {
        let admin = "/api/:app/_admin"
        table.add(.get, "\(admin)/entities", .appAdmin, listEntities)
        table.add(.post, "\(admin)/entities", .appAdmin, createEntity)
        table.add(.get, "\(admin)/entities/:name", .appAdmin, readEntity)
        table.add(.put, "\(admin)/entities/:name", .appAdmin, replaceEntity)
        table.add(.delete, "\(admin)/entities/:name", .appAdmin, deleteEntity)
        table.add(.get, "\(admin)/relations", .appAdmin, listRelations)
        table.add(.post, "\(admin)/relations", .appAdmin, createRelation)
        table.add(.get, "\(admin)/relations/:name", .appAdmin, readRelation)
        table.add(.put, "\(admin)/relations/:name", .appAdmin, replaceRelation)
        table.add(.delete, "\(admin)/relations/:name", .appAdmin, deleteRelation)
        let kinds: [(DefinitionKind, String)] = [
            (.rules, "rules"), (.stateMachines, "state-machines"), (.permissions, "permissions"),
            (.webhooks, "webhooks"), (.workflows, "workflows"),
        ]
        for (kind, path) in kinds {
            StoredDefinitionRoutes(kind: kind, path: path).add(to: &table, admin)
        }
        PermissionRoutes.add(to: &table, admin)
        table.add(.get, "\(admin)/export", .appAdmin, export)
        table.add(.post, "\(admin)/import", .appAdmin, importDefinitions)
    }

    // MARK: entities

    @Sendable private static func listEntities(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: .array(try call.requireApp().snapshots.current.definitions.entities.map(\.json)))
    }

    @Sendable private static func createEntity(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let (entity, change) = try DefinitionChanges.addEntity(try await call.object())
        let warnings = try await apply(change, call)
        return definition(entity.json, warnings, .created, location: "entities/\(entity.name)", call)
    }

    @Sendable private static func readEntity(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let name = try call.parameter("name")
        return definition(try call.requireApp().snapshots.current.entity(name).definition.json)
    }

    @Sendable private static func replaceEntity(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let name = try call.parameter("name")
        let payload = try await call.object()
        let (entity, change) = try DefinitionChanges.replaceEntity(name, with: payload, precondition: call.precondition)
        return definition(entity.json, warnings: try await apply(change, call))
    }

    @Sendable private static func deleteEntity(_ call: Call) async throws -> Reply {
        let cascades = try call.flag("cascade")
        let name = try call.parameter("name")
        _ = try await apply(
            DefinitionChanges.removeEntity(name, cascades: cascades, precondition: call.precondition),
            call
        )
        return Reply(data: ["name": .string(name), "message": "Entity deleted; its table is kept"])
    }

    // MARK: relations

    @Sendable private static func listRelations(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: .array(try call.requireApp().snapshots.current.definitions.relations.map(\.json)))
    }

    @Sendable private static func createRelation(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let (relation, change) = try DefinitionChanges.addRelation(try await call.object())
        let warnings = try await apply(change, call)
        return definition(relation.json, warnings, .created, location: "relations/\(relation.name)", call)
    }

    @Sendable private static func readRelation(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let name = try call.parameter("name")
        let definitions = try call.requireApp().snapshots.current.definitions
        guard let relation = definitions.relation(name) else {
            throw DefinitionChanges.relationNotFound(name, definitions)
        }
        return definition(relation.json)
    }

    @Sendable private static func replaceRelation(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let name = try call.parameter("name")
        let payload = try await call.object()
        let (relation, change) = try DefinitionChanges.replaceRelation(
            name,
            with: payload,
            precondition: call.precondition
        )
        return definition(relation.json, warnings: try await apply(change, call))
    }

    @Sendable private static func deleteRelation(_ call: Call) async throws -> Reply {
        let cascades = try call.flag("cascade")
        let name = try call.parameter("name")
        _ = try await apply(
            DefinitionChanges.removeRelation(name, cascades: cascades, precondition: call.precondition),
            call
        )
        return Reply(data: ["name": .string(name), "message": "Relation deleted"])
    }

    // MARK: everything at once

    @Sendable private static func export(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let definitions = try call.requireApp().snapshots.current.definitions
        return Reply(data: .object(DefinitionExport.document(definitions, at: call.services.dependencies.now())))
    }

    /// `?mode=apply` puts the file in the place of what is there, `&dry_run=true` only tells what that would do.
    @Sendable private static func importDefinitions(_ call: Call) async throws -> Reply {
        let values = try call.query().values(of: ["mode", "dry_run"])
        let isApplied = try oneOf("mode", ["add", "apply"], values) == "apply"
        let isTrial = try oneOf("dry_run", ["false", "true"], values) == "true"
        guard isApplied || !isTrial else {
            throw RequestFailure.parameter("dry_run", "\"dry_run\" goes with mode=apply")
        }
        let payload = DefinitionImport.document(of: try await call.object())
        let file = try DefinitionImport(payload, call.services.secretBox)
        try await CalledPlaces.requireAllowed(inImport: payload, call.services.calls.caller)
        guard !isApplied else { return try await apply(file, isTrial: isTrial, call) }
        let app = try call.requireApp()
        let (summary, warnings) = try await DefinitionTransfer.run(
            file,
            into: app,
            by: try call.requirePrincipal(),
            requestID: call.requestID,
            call.services.dependencies
        )
        let data: JSONValue = ["message": "Import finished", "summary": .object(summary)]
        guard !warnings.isEmpty else { return Reply(data: data) }
        tell(warnings, app, call)
        return Reply(data: data, meta: ["warnings": .array(warnings.map(JSONValue.string))])
    }

    private static func oneOf(_ name: String, _ words: [String], _ values: [String: String]) throws(RequestFailure)
        -> String
    {
        let value = values[name] ?? words[0]
        guard words.contains(value) else {
            throw .parameter(name, "\"\(name)\" is \(words.joined(separator: " or ")), not \"\(value)\"")
        }
        return value
    }

    private static func apply(_ file: DefinitionImport, isTrial: Bool, _ call: Call) async throws -> Reply {
        let app = try call.requireApp()
        let services = call.services
        let change = try await DefinitionTransfer.apply(
            file,
            to: app,
            isTrial: isTrial,
            services.secretBox,
            services.dependencies
        )
        let difference = DefinitionDifference(from: change.before, to: change.snapshot.definitions)
        let message =
            if difference.changes.isEmpty {
                "There is nothing to change"
            } else {
                isTrial ? "This would be changed" : "This was changed"
            }
        let data: JSONValue = [
            "message": .string(message), "applied": .boolean(!isTrial),
            "changes": .array(difference.changes.map(\.json)), "sql": .array(change.sql.map(\.json)),
        ]
        var warnings = change.warnings
        if file.hasSampleData { warnings.append("sample_data is left out: applying is about definitions; import it") }
        if !isTrial { tell(warnings, app, call) }
        guard !warnings.isEmpty else { return Reply(data: data) }
        return Reply(data: data, meta: ["warnings": .array(warnings.map(JSONValue.string))])
    }

    // MARK: parts

    /// - Returns: what the change did without, and why.
    static func apply(_ change: @escaping MetadataWriter.Change, _ call: Call) async throws -> [String] {
        let app = try call.requireApp()
        let warnings = try await app.metadata.apply(now: call.services.dependencies.now(), change).warnings
        tell(warnings, app, call)
        return warnings
    }

    static func tell(_ warnings: [String], _ app: AppContext, _ call: Call) {
        for warning in warnings {
            call.context.logger.notice("metadata", metadata: ["app": "\(app.name)", "warning": "\(warning)"])
        }
    }

    static func definition(_ json: JSONValue, warnings: [String] = []) -> Reply {
        let tag = RecordVersion.tag(ofRow: json.jsonBytes)
        guard !warnings.isEmpty else { return Reply(headers: [.eTag: tag], data: json) }
        return Reply(headers: [.eTag: tag], data: json, meta: ["warnings": .array(warnings.map(JSONValue.string))])
    }

    static func definition(
        _ json: JSONValue,
        _ warnings: [String],
        _ status: HTTPResponse.Status,
        location: String,
        _ call: Call
    ) -> Reply {
        var reply = definition(json, warnings: warnings)
        reply.status = status
        reply.headers[.location] = "/api/\(call.app?.name ?? "")/_admin/\(location)"
        return reply
    }
}
