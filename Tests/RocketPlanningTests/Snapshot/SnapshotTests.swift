import RocketModel
import RocketPlanning
import Testing

private func entity(
    _ name: String,
    table: String? = nil,
    key: FieldDefinition = FieldDefinition(name: "id", type: .uuid),
    generated: Bool = true,
    _ fields: [FieldDefinition] = []
) -> EntityDefinition {
    EntityDefinition(
        name: name,
        table: table ?? name,
        primaryKey: .init(field: key.name, type: key.type, generated: generated),
        fields: [key] + fields
    )
}

private let customer = entity(
    "customer",
    [FieldDefinition(name: "code", type: .string, unique: true), FieldDefinition(name: "name", type: .string)]
)
private let ticket = entity(
    "ticket",
    [
        FieldDefinition(name: "customer_id", type: .uuid),
        FieldDefinition(name: "owner_id", type: .uuid, required: true),
        FieldDefinition(name: "customer_code", type: .text), FieldDefinition(name: "parent_id", type: .uuid),
    ]
)

private func relation(
    _ name: String,
    from source: String = "customer",
    to target: String = "ticket",
    _ sourceKey: String = "id",
    _ targetKey: String = "customer_id",
    inverse: String? = nil,
    onDelete: RelationDefinition.OnDelete = .restrict
) -> RelationDefinition {
    RelationDefinition(
        name: name,
        kind: .oneToMany,
        source: source,
        target: target,
        link: .foreignKey(sourceKey: sourceKey, targetKey: targetKey),
        inverse: inverse,
        onDelete: onDelete
    )
}

private func join(
    _ name: String,
    table: String,
    from source: String = "customer",
    to target: String = "ticket"
) -> RelationDefinition {
    RelationDefinition(
        name: name,
        kind: .manyToMany,
        source: source,
        target: target,
        link: .joinTable(.init(table: table, sourceKey: "a_id", targetKey: "b_id")),
        onDelete: .cascade
    )
}

/// Relations between customer and ticket, and the one violation that they bring.
struct RelationFault: Sendable, CustomTestStringConvertible {
    let relations: [RelationDefinition]
    let path: String
    let words: String

    init(_ relations: RelationDefinition..., path: String, words: String) {
        self.relations = relations
        self.path = path
        self.words = words
    }

    var testDescription: String { "\(path): \(words)" }
}

private let faults: [RelationFault] = [
    .init(
        relation("r", from: "custmer"),
        path: "relations[0].source",
        words: #"no entity "custmer"; did you mean "customer"?"#
    ),
    .init(relation("r", to: "x"), path: "relations[0].target", words: #"there is no entity "x""#),
    .init(
        relation("r", "cod"),
        path: "relations[0].source_key",
        words: #""customer" has no field "cod"; did you mean "code"?"#
    ),
    .init(relation("r", "id", "customer_idd"), path: "relations[0].target_key", words: #"did you mean "customer_id"?"#),
    .init(
        relation("r", "code", "customer_id"),
        path: "relations[0].target_key",
        words: #""customer_id" is uuid, but "code" is string"#
    ),
    .init(
        relation("r", "name", "customer_code"),
        path: "relations[0].source_key",
        words: #""name" is neither the key nor unique"#
    ),
    .init(relation("r", "id", "id"), path: "relations[0].target_key", words: "a generated key can't be a foreign key"),
    .init(
        relation("r", "id", "owner_id", onDelete: .setNull),
        path: "relations[0].on_delete",
        words: #""owner_id" is required and can't become null"#
    ),
    .init(
        relation("r", "id", "owner_id", onDelete: .detach),
        path: "relations[0].on_delete",
        words: "use cascade or restrict"
    ),
    .init(relation("name"), path: "relations[0].name", words: #""name" is a field of "customer" already"#),
    .init(relation("parent_id"), path: "relations[0].inverse", words: #""parent_id" is a field of "ticket" already"#),
    .init(relation("r", inverse: "owner_id"), path: "relations[0].inverse", words: "is a field of"),
    .init(
        relation("r", inverse: "one"),
        relation("s", inverse: "one"),
        path: "relations[1].inverse",
        words: #""one" is another relation of "ticket" already"#
    ),
    .init(
        relation("replies", from: "ticket", to: "ticket", "id", "parent_id", inverse: "replies"),
        path: "relations[0].inverse",
        words: "another relation"
    ),
    .init(join("r", table: "customer"), path: "relations[0].join_table", words: #"belongs to entity "customer""#),
    .init(
        join("r", table: "links"),
        join("s", table: "links"),
        path: "relations[1].join_table",
        words: #"the table "links" belongs to relation "r""#
    ),
    .init(join("r", table: "links", to: "tikcet"), path: "relations[0].target", words: #"did you mean "ticket"?"#),
]

struct SnapshotTests {
    @Test(arguments: faults)
    func namesTheOneFaultOfARelation(fault: RelationFault) {
        let set = DefinitionSet(entities: [customer, ticket], relations: fault.relations)
        let violations = SnapshotCompiler.violations(in: set)
        #expect(violations.map(\.field) == [fault.path])
        #expect(violations.map(\.rule) == [.unknown])
        #expect(violations.first?.message.contains(fault.words) == true, "\(violations)")
    }

    @Test func takesRelationsThatHold() {
        let set = DefinitionSet(
            entities: [customer, ticket],
            relations: [
                relation("tickets"), relation("owned", "id", "owner_id", onDelete: .cascade),
                relation("by_code", "code", "customer_code", onDelete: .setNull),
                relation("replies", from: "ticket", to: "ticket", "id", "parent_id", onDelete: .detach),
                join("watched", table: "watchers"),
            ]
        )
        #expect(SnapshotCompiler.violations(in: set) == [])
    }

    @Test func aKeyOfItsRowCannotBecomeNull() {
        let key = FieldDefinition(name: "code", type: .string)
        let profile = entity("profile", key: key, generated: false)
        let set = DefinitionSet(
            entities: [customer, profile],
            relations: [relation("profile_of", to: "profile", "code", "code", onDelete: .setNull)]
        )
        #expect(SnapshotCompiler.violations(in: set).map(\.field) == ["relations[0].on_delete"])
    }

    @Test func aNameIsGivenOnce() {
        let twice = DefinitionSet(entities: [customer, entity("customer", table: "others")])
        #expect(SnapshotCompiler.violations(in: twice).map(\.field) == ["entities[1].name"])
        #expect(SnapshotCompiler.violations(in: twice).map(\.message) == ["\"customer\" is given twice"])

        let relations = DefinitionSet(
            entities: [customer, ticket],
            relations: [relation("r"), relation("r", inverse: "other")]
        )
        let fields = SnapshotCompiler.violations(in: relations).map(\.field)
        #expect(fields.contains("relations[1].name"))
    }

    @Test func aTableBelongsToOneEntity() {
        let set = DefinitionSet(entities: [customer, entity("client", table: "customer")])
        let violations = SnapshotCompiler.violations(in: set)
        #expect(violations.map(\.field) == ["entities[1].table"])
        #expect(violations.map(\.message) == ["the table \"customer\" belongs to entity \"customer\""])
    }

    @Test func refusesToCompileWithEveryViolationAtOnce() {
        let set = DefinitionSet(
            entities: [customer, entity("client", table: "customer"), ticket],
            relations: [relation("r", from: "nobody"), relation("s", "id", "owner_id", onDelete: .setNull)]
        )
        let refused = failure { try SnapshotCompiler.compile(set, version: 1, dialect: .sqlite) }
        #expect(refused?.code == .validationFailed)
        #expect(
            refused?.details.map(\.field) == ["entities[1].table", "relations[0].source", "relations[1].on_delete"]
        )
    }

    @Test func knowsItsEntities() throws {
        let snapshot = try SnapshotCompiler.compile(Desk.definitions, version: 7, dialect: .postgres)
        #expect(snapshot.version == 7)
        #expect(snapshot.dialect == .postgres)
        #expect(snapshot.definitions == Desk.definitions)
        #expect(try snapshot.entity("ticket").name == "ticket")
        #expect(snapshot.model("ticket") != nil)
        #expect(snapshot.model("nothing") == nil)

        let refused = failure { try snapshot.entity("tickt") }
        #expect(refused?.code == .unknownEntity)
        #expect(refused?.message == "There is no entity \"tickt\"; did you mean \"ticket\"?")
        #expect(failure { try AppSnapshot.empty(.sqlite).entity("ticket") }?.code == .unknownEntity)
    }
}

struct EntityModelTests {
    @Test func marksTheFieldsThatTheEngineAloneWrites() throws {
        let ticket = try Desk.entity("ticket")
        #expect(ticket.fields.filter(\.isEngineOwned).map(\.name) == ["id", "created_on", "touched_at"])
        #expect(ticket.fields.filter(\.isPrimaryKey).map(\.name) == ["id"])
        #expect(try Desk.entity("account").fields.filter(\.isEngineOwned).map(\.name) == ["deleted_at"])
    }

    @Test func aFieldCalledDeletedAtIsTheClientsWithoutSoftDeletes() throws {
        let definition = EntityDefinition(
            name: "log",
            table: "logs",
            primaryKey: .init(field: "id", type: .int, generated: true),
            softDelete: false,
            fields: [FieldDefinition(name: "id", type: .int), FieldDefinition(name: "deleted_at", type: .timestamp)]
        )
        let model = try Desk.model(of: definition)
        #expect(model.field("deleted_at")?.isEngineOwned == false)
        #expect(model.selectByKey == #"SELECT "id", "deleted_at" FROM "logs" WHERE "id" = ?1"#)
    }

    @Test func quotesItsNames() throws {
        let definition = EntityDefinition(
            name: "order",
            table: "order",
            primaryKey: .init(field: "select", type: .int, generated: true),
            fields: [FieldDefinition(name: "select", type: .int), FieldDefinition(name: "group", type: .text)]
        )
        let model = try Desk.model(of: definition, .postgres)
        #expect(model.table == "\"order\"")
        #expect(model.columnList == #""select", "group""#)
        #expect(
            model.selectByKey
                == #"SELECT "select", "group" FROM "order" WHERE "select" = $1 AND "deleted_at" IS NULL"#
        )
    }

    @Test func findsFieldsByName() throws {
        let note = try Desk.entity("note")
        #expect(note.index(of: "rank") == 2)
        #expect(note.index(of: "Rank") == nil)
        #expect(note.field("title")?.column == "\"title\"")
        #expect(note.key.name == "id")
        #expect(note.slugField == nil)
        #expect(note.fieldNames == ["id", "title", "rank"])
        #expect(try Desk.entity("ticket").slugField?.name == "slug")
    }

    @Test func hasItsDefaultsAndEnumsInTheTypeOfTheField() throws {
        let state = try #require(try Desk.entity("ticket").field("state"))
        #expect(state.defaultValue == .text("open"))
        #expect(state.allowedValues == [.text("open"), .text("closed")])
        #expect(try Desk.entity("ticket").field("title")?.defaultValue == nil)
    }

    @Test func knowsTheRowsThatItsForeignKeysName() throws {
        let references = try Desk.entity("ticket").references
        #expect(references.map(\.relation) == ["account_tickets", "agent_tickets"])
        #expect(references.map(\.targetEntity) == ["account", "agent"])
        #expect(references.map(\.field) == [14, 15])
        #expect(try Desk.entity("account").references.isEmpty)
    }
}
