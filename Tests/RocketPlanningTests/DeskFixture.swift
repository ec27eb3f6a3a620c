import RocketModel
import RocketPlanning

/// A help desk: one entity with a field of every type, one whose key the database numbers, one whose key the client
/// gives.
enum Desk {
    static let ticket = EntityDefinition(
        name: "ticket",
        table: "tickets",
        primaryKey: .init(field: "id", type: .uuid, generated: true),
        softDelete: true,
        history: false,
        slug: .init(field: "slug", source: "title", regenerateOnUpdate: true),
        fields: [
            FieldDefinition(name: "id", type: .uuid),
            FieldDefinition(name: "title", type: .string, required: true),
            FieldDefinition(name: "slug", type: .string, unique: true),
            FieldDefinition(name: "body", type: .text),
            FieldDefinition(name: "priority", type: .int),
            FieldDefinition(name: "views", type: .bigint),
            FieldDefinition(name: "score", type: .float),
            FieldDefinition(name: "price", type: .decimal, precision: 2),
            FieldDefinition(name: "urgent", type: .boolean),
            FieldDefinition(name: "due", type: .date),
            FieldDefinition(name: "seen_at", type: .timestamp),
            FieldDefinition(name: "meta", type: .json),
            FieldDefinition(name: "attachment", type: .file),
            FieldDefinition(
                name: "state",
                type: .string,
                defaultValue: .string("open"),
                allowedValues: [.string("open"), .string("closed")]
            ),
            FieldDefinition(name: "account_code", type: .string),
            FieldDefinition(name: "agent_id", type: .int),
            FieldDefinition(name: "created_on", type: .date, required: true, auto: .create),
            FieldDefinition(name: "touched_at", type: .timestamp, auto: .update),
        ]
    )

    static let note = EntityDefinition(
        name: "note",
        table: "notes",
        primaryKey: .init(field: "id", type: .int, generated: true),
        softDelete: false,
        history: false,
        fields: [
            FieldDefinition(name: "id", type: .int, required: true),
            FieldDefinition(name: "title", type: .string),
            FieldDefinition(name: "rank", type: .int),
        ]
    )

    static let account = EntityDefinition(
        name: "account",
        table: "accounts",
        primaryKey: .init(field: "code", type: .string, generated: false),
        softDelete: true,
        history: false,
        fields: [
            FieldDefinition(name: "code", type: .string),
            FieldDefinition(name: "name", type: .string, required: true, nullable: true),
            FieldDefinition(name: "plan", type: .string, required: true, defaultValue: .string("free")),
            FieldDefinition(name: "deleted_at", type: .timestamp),
        ]
    )

    static let agent = EntityDefinition(
        name: "agent",
        table: "agents",
        primaryKey: .init(field: "id", type: .bigint, generated: true),
        softDelete: false,
        history: false,
        fields: [FieldDefinition(name: "id", type: .bigint), FieldDefinition(name: "name", type: .text)]
    )

    static let accountTickets = RelationDefinition(
        name: "account_tickets",
        kind: .oneToMany,
        source: "account",
        target: "ticket",
        link: .foreignKey(sourceKey: "code", targetKey: "account_code"),
        onDelete: .restrict
    )

    static let agentTickets = RelationDefinition(
        name: "agent_tickets",
        kind: .oneToMany,
        source: "agent",
        target: "ticket",
        link: .foreignKey(sourceKey: "id", targetKey: "agent_id"),
        onDelete: .setNull
    )

    static let definitions = DefinitionSet(
        entities: [ticket, note, account, agent],
        relations: [accountTickets, agentTickets]
    )

    static let admin = Principal(userID: "u", email: "u@x.example", roles: ["admin"])
    static let now = Timestamp(microseconds: 1_772_366_400_000_000)
    static let ticketID = "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d"

    static func snapshot(_ dialect: SQLDialect = .sqlite) throws -> AppSnapshot {
        try SnapshotCompiler.compile(definitions, version: 1, dialect: dialect)
    }

    static func entity(_ name: String, _ dialect: SQLDialect = .sqlite) throws -> EntityModel {
        try snapshot(dialect).entity(name)
    }

    static func model(of definition: EntityDefinition, _ dialect: SQLDialect = .sqlite) throws -> EntityModel {
        let definitions = DefinitionSet(entities: [definition])
        return try SnapshotCompiler.compile(definitions, version: 1, dialect: dialect).entity(definition.name)
    }

    static func list(_ query: String, of name: String, _ dialect: SQLDialect = .sqlite) throws -> ListPlan {
        let entity = try entity(name, dialect)
        let grant = try Access(admin, to: try Desk.snapshot(dialect), at: Desk.now).grant(.read, on: entity)
        let parsed = try RecordQuery.parse(try QueryString(query))
        return try ReadPlanner.list(parsed, of: entity, grant: grant, now: now)
    }

    static func one(
        _ id: String,
        of name: String,
        fields: [String]? = nil,
        _ dialect: SQLDialect = .sqlite
    ) throws -> ReadOnePlan {
        let entity = try entity(name, dialect)
        let grant = try Access(admin, to: try Desk.snapshot(), at: Desk.now).grant(.read, on: entity)
        var view = RecordView()
        view.fields = fields
        return try ReadPlanner.one(id: id, view: view, of: entity, grant: grant)
    }

    static func create(
        _ payload: JSONObject,
        in entity: EntityModel,
        at now: Timestamp = Desk.now,
        files: [JSONValue] = []
    ) throws -> CreatePlan {
        let grant = try Access(admin, to: try Desk.snapshot(), at: Desk.now).attaching(files)
            .grant(.create, on: entity)
        return try WritePlanner.create(payload, in: entity, grant: grant, now: now) {
            UniqueID.version7(at: now, random: 0)
        }
    }

    static func create(_ payload: JSONObject, in name: String, _ dialect: SQLDialect = .sqlite) throws -> CreatePlan {
        try create(payload, in: try entity(name, dialect))
    }

    static func update(
        _ payload: JSONObject,
        id: String,
        in name: String,
        _ dialect: SQLDialect = .sqlite
    ) throws -> UpdatePlan {
        let entity = try entity(name, dialect)
        let grant = try Access(admin, to: try Desk.snapshot(), at: Desk.now).grant(.update, on: entity)
        return try WritePlanner.update(payload, id: id, in: entity, grant: grant, precondition: nil)
    }

    static func delete(
        _ id: String,
        in name: String,
        purges: Bool = false,
        _ dialect: SQLDialect = .sqlite
    ) throws -> DeletePlan {
        let entity = try entity(name, dialect)
        let grant = try Access(admin, to: try Desk.snapshot(), at: Desk.now).grant(.delete, on: entity)
        return try WritePlanner.delete(
            id: id,
            in: entity,
            grant: grant,
            precondition: nil,
            purges: purges,
            now: now
        )
    }

    static func restore(_ id: String, in name: String, _ dialect: SQLDialect = .sqlite) throws -> [SQLStatement] {
        let entity = try entity(name, dialect)
        let grant = try Access(admin, to: try Desk.snapshot(), at: Desk.now).grant(.delete, on: entity)
        return try WritePlanner.restore(id: id, in: entity, grant: grant)
    }
}

extension CreatePlan {
    func value(of field: String) -> FieldValue? {
        entity.index(of: field).flatMap { values[$0] }
    }
}

extension UpdatePlan {
    func value(of field: String) -> FieldValue? {
        entity.index(of: field).flatMap { values[$0] }
    }
}
