import HTTPTypes
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
        try await apply(change, call)
        return definition(entity.json, .created, location: "entities/\(entity.name)", call)
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
        try await apply(change, call)
        return definition(entity.json)
    }

    @Sendable private static func deleteEntity(_ call: Call) async throws -> Reply {
        let cascades = try call.flag("cascade")
        let name = try call.parameter("name")
        try await apply(
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
        try await apply(change, call)
        return definition(relation.json, .created, location: "relations/\(relation.name)", call)
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
        try await apply(change, call)
        return definition(relation.json)
    }

    @Sendable private static func deleteRelation(_ call: Call) async throws -> Reply {
        // Nothing hangs on a relation yet; the parameter is read all the same, so that a mistake in it is told.
        _ = try call.flag("cascade")
        let name = try call.parameter("name")
        try await apply(DefinitionChanges.removeRelation(name, precondition: call.precondition), call)
        return Reply(data: ["name": .string(name), "message": "Relation deleted"])
    }

    // MARK: everything at once

    @Sendable private static func export(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let definitions = try call.requireApp().snapshots.current.definitions
        return Reply(data: .object(DefinitionExport.document(definitions, at: call.services.dependencies.now())))
    }

    @Sendable private static func importDefinitions(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let file = try DefinitionImport(try await call.object())
        let summary = try await DefinitionTransfer.run(file, into: try call.requireApp(), call.services.dependencies)
        return Reply(data: ["message": "Import finished", "summary": .object(summary)])
    }

    // MARK: parts

    private static func apply(_ change: @escaping MetadataWriter.Change, _ call: Call) async throws {
        try await call.requireApp().metadata.apply(now: call.services.dependencies.now(), change)
    }

    private static func definition(_ json: JSONValue) -> Reply {
        Reply(headers: [.eTag: RecordVersion.tag(ofRow: json.jsonBytes)], data: json)
    }

    private static func definition(
        _ json: JSONValue,
        _ status: HTTPResponse.Status,
        location: String,
        _ call: Call
    ) -> Reply {
        var reply = definition(json)
        reply.status = status
        reply.headers[.location] = "/api/\(call.app?.name ?? "")/_admin/\(location)"
        return reply
    }
}
