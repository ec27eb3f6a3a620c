import RocketModel
import RocketPlanning
import Testing

/// What the audit trail adds to a write: no step of its own, so that no write waits for it.
struct TrailTests {
    private static let definition = EntityDefinition(
        name: "note",
        table: "notes",
        primaryKey: .init(field: "id", type: .int, generated: true),
        softDelete: true,
        fields: [
            FieldDefinition(name: "id", type: .int), FieldDefinition(name: "title", type: .string),
            FieldDefinition(name: "changed_at", type: .timestamp, auto: .update),
            FieldDefinition(name: "deleted_at", type: .timestamp),
        ]
    )

    private static func grant(_ action: RecordAction, _ dialect: SQLDialect) throws -> (EntityModel, Grant) {
        let definitions = DefinitionSet(entities: [definition])
        let snapshot = try SnapshotCompiler.compile(definitions, version: 1, dialect: dialect)
        let entity = try snapshot.entity("note")
        return (entity, try Access(Desk.admin, to: snapshot, at: Desk.now, requestID: "r").grant(action, on: entity))
    }

    @Test func aCreateOnPostgresIsStillOneStatement() throws {
        let (entity, grant) = try Self.grant(.create, .postgres)
        let plan = try WritePlanner.create(["title": "a"], in: entity, grant: grant, now: Desk.now) {
            UniqueID.version7(at: Desk.now, random: 0)
        }
        let statements = WritePlanner.insert(plan)
        #expect(statements.count == 1 && statements[0].text.contains(#"INSERT INTO "_history""#))
        #expect(statements[0].binds.contains(.text(#"{"title":"a","changed_at":"2026-03-01T12:00:00.000000Z"}"#)))
        #expect(
            statements[0].binds.suffix(3) == [
                .text(#"{"id":"u","roles":["admin"]}"#), .text("r"), .integer(Desk.now.microseconds),
            ]
        )
    }

    @Test func onSQLiteTheEntryFollowsTheRowThatWasMade() throws {
        let (entity, grant) = try Self.grant(.create, .sqlite)
        let plan = try WritePlanner.create(["title": "a"], in: entity, grant: grant, now: Desk.now) {
            UniqueID.version7(at: Desk.now, random: 0)
        }
        let statements = WritePlanner.insert(plan)
        #expect(statements.count == 2 && statements[1].text.hasSuffix("WHERE changes() > 0"))
    }

    @Test(arguments: [SQLDialect.sqlite, .postgres])
    func anUpdateKeepsTheOldValuesOfItsFieldsWithoutReadingThemFirst(dialect: SQLDialect) throws {
        let (entity, grant) = try Self.grant(.update, dialect)
        let plan = try WritePlanner.update(["title": "b"], id: "5", in: entity, grant: grant, precondition: nil)
        #expect(plan.isBlind)
        let statements = WritePlanner.update(plan, now: Desk.now)
        #expect(statements.count == 2)
        // The engine's own fields change with every update, and say nothing.
        #expect(statements[0].text.contains(#"'"title":' || "#) && !statements[0].text.contains("changed_at"))
        #expect(statements[0].binds.contains(.text(#"{"title":"b"}"#)))
        #expect(statements[0].text.hasSuffix("FOR UPDATE OF \"notes\"") == (dialect == .postgres))
    }

    @Test(arguments: [SQLDialect.sqlite, .postgres])
    func whatIsDeletedIsKeptBeforeItIsGone(dialect: SQLDialect) throws {
        let (entity, grant) = try Self.grant(.delete, dialect)
        let plan = try WritePlanner.delete(
            id: "5",
            in: entity,
            grant: grant,
            precondition: nil,
            purges: false,
            now: Desk.now
        )
        #expect(plan.statements.count == 2 && plan.statements[0].text.hasPrefix(#"INSERT INTO "_history""#))
    }
}
