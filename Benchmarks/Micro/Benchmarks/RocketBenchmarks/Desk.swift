import Foundation
import Logging
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning

/// A help desk's ticket, and what is planned of it.
struct Desk {
    let entity: EntityModel
    private let access: Access

    static let body: JSONValue = [
        "title": "The dashboard shows an error",
        "description": .string(String(repeating: "It is still there. ", count: 10)),
        "status": "open", "priority": "high", "category": "bug", "price": .number(JSONNumber(unchecked: "19.90")),
        "urgent": true, "count": 3, "due": "2026-12-24", "customer": "10000000-0000-4000-8000-000000000001",
    ]
    private static let now = Timestamp(microseconds: 1_772_366_400_000_000)

    static let definition = EntityDefinition(
        name: "ticket",
        table: "tickets",
        primaryKey: .init(field: "id", type: .uuid, generated: true),
        softDelete: true,
        fields: [
            FieldDefinition(name: "id", type: .uuid), FieldDefinition(name: "title", type: .string, required: true),
            FieldDefinition(name: "description", type: .text), FieldDefinition(name: "status", type: .string),
            FieldDefinition(name: "priority", type: .string), FieldDefinition(name: "category", type: .string),
            FieldDefinition(name: "price", type: .decimal, precision: 2),
            FieldDefinition(name: "urgent", type: .boolean), FieldDefinition(name: "count", type: .int),
            FieldDefinition(name: "due", type: .date), FieldDefinition(name: "customer", type: .uuid),
            FieldDefinition(name: "created_at", type: .timestamp, auto: .create),
            FieldDefinition(name: "updated_at", type: .timestamp, auto: .update),
            FieldDefinition(name: "deleted_at", type: .timestamp),
        ]
    )

    init(_ dialect: SQLDialect) throws {
        let definitions = DefinitionSet(entities: [Self.definition])
        let snapshot = try SnapshotCompiler.compile(definitions, version: 1, dialect: dialect)
        entity = try snapshot.entity("ticket")
        let admin = Principal(userID: "u", email: "u@x.example", roles: ["admin"])
        access = Access(admin, to: snapshot, at: Self.now, requestID: "r")
    }

    func get(_ id: String = "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d") throws -> ReadOnePlan {
        try ReadPlanner.one(id: id, view: RecordView(), of: entity, grant: try access.grant(.read, on: entity))
    }

    func list() throws -> ListPlan {
        let query = try RecordQuery.parse(try QueryString("filter[status]=open&sort=-created_at&per_page=25"))
        return try ReadPlanner.list(query, of: entity, grant: try access.grant(.read, on: entity), now: Self.now)
    }

    func insert(random: UInt64 = 7) throws -> [SQLStatement] {
        let plan = try WritePlanner.create(
            Self.body.objectValue ?? JSONObject(),
            in: entity,
            grant: try access.grant(.create, on: entity),
            now: Self.now
        ) { UniqueID.version7(at: Self.now, random: random) }
        return WritePlanner.insert(plan)
    }

    func update() throws -> [SQLStatement] {
        let plan = try WritePlanner.update(
            ["title": "Another title", "priority": "low"],
            id: "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d",
            in: entity,
            grant: try access.grant(.update, on: entity),
            precondition: nil
        )
        return WritePlanner.update(plan, now: Self.now)
    }
}

/// A thousand tickets in an SQLite file of their own.
struct Rows {
    let desk: Desk
    let database: any AppDatabase
    let id: String
    private let directory: URL
    private let provider: SQLiteProvider

    init() async throws {
        desk = try Desk(.sqlite)
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("rocket-micro-\(UUID().uuidString)")
        provider = try SQLiteProvider(directory: directory, logger: Logger(label: "benchmarks"))
        _ = try await provider.create("desk.db")
        database = try await provider.open("desk.db")
        try await SystemSchema.app.migrate(database)
        let plan = try SchemaPlan.make(
            from: DefinitionSet(),
            to: DefinitionSet(entities: [Desk.definition]),
            facts: [:],
            place: { _ in "" },
            .sqlite
        )
        _ = try await database.write(plan.steps, mode: .alone)
        var last: StatementResult?
        for number in 0..<1000 {
            last = try await database.write(try desk.insert(random: UInt64(number)))[0]
        }
        id = last?.rows.first?.first?.textValue ?? ""
    }

    func close() async {
        await database.close()
        await provider.close()
        do { try FileManager.default.removeItem(at: directory) } catch { return }
    }
}
