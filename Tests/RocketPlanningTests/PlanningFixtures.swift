import RocketModel
import RocketPlanning

/// A small shop, compiled for a dialect.
enum Shop {
    static let product = EntityDefinition(
        name: "product",
        table: "products",
        primaryKey: .init(field: "id", type: .uuid, generated: true),
        softDelete: true,
        history: false,
        slug: .init(field: "slug", source: "title", regenerateOnUpdate: false),
        fields: [
            FieldDefinition(name: "id", type: .uuid),
            FieldDefinition(name: "title", type: .string, required: true),
            FieldDefinition(name: "slug", type: .string, unique: true),
            FieldDefinition(name: "price", type: .decimal, precision: 2),
            FieldDefinition(name: "stock", type: .int, defaultValue: .integer(0)),
            FieldDefinition(name: "state", type: .string, allowedValues: [.string("on"), .string("off")]),
            FieldDefinition(name: "live", type: .boolean),
            FieldDefinition(name: "data", type: .json),
            FieldDefinition(name: "shop_id", type: .int),
            FieldDefinition(name: "created_at", type: .timestamp, auto: .create),
            FieldDefinition(name: "updated_at", type: .timestamp, auto: .update),
        ]
    )

    static let shop = EntityDefinition(
        name: "shop",
        table: "shops",
        primaryKey: .init(field: "id", type: .int, generated: true),
        softDelete: false,
        history: false,
        fields: [FieldDefinition(name: "id", type: .int), FieldDefinition(name: "name", type: .text)]
    )

    static let products = RelationDefinition(
        name: "products",
        kind: .oneToMany,
        source: "shop",
        target: "product",
        link: .foreignKey(sourceKey: "id", targetKey: "shop_id"),
        onDelete: .setNull
    )

    static let definitions = DefinitionSet(entities: [product, shop], relations: [products])

    static let admin = Principal(userID: "u", email: "u@x.example", roles: ["Admin"])
    static let now = Timestamp(microseconds: 1_772_366_400_000_000)

    static func snapshot(_ dialect: SQLDialect = .sqlite) throws -> AppSnapshot {
        try SnapshotCompiler.compile(definitions, version: 1, dialect: dialect)
    }

    static func entity(_ name: String, _ dialect: SQLDialect) throws -> EntityModel {
        try snapshot(dialect).entity(name)
    }

    static func list(_ query: String, _ dialect: SQLDialect) throws -> ListPlan {
        let entity = try entity("product", dialect)
        let grant = try Access(admin, to: try Shop.snapshot(), at: Shop.now).grant(.read, on: entity)
        return try ReadPlanner.list(try RecordQuery.parse(try QueryString(query)), of: entity, grant: grant, now: now)
    }

    static func create(_ payload: JSONObject, _ dialect: SQLDialect = .sqlite) throws -> CreatePlan {
        let entity = try entity("product", dialect)
        let grant = try Access(admin, to: try Shop.snapshot(), at: Shop.now).grant(.create, on: entity)
        return try WritePlanner.create(payload, in: entity, grant: grant, now: now) {
            UniqueID.version7(at: now, random: 0)
        }
    }

    static func update(_ payload: JSONObject, _ dialect: SQLDialect = .sqlite) throws -> UpdatePlan {
        let entity = try entity("product", dialect)
        let grant = try Access(admin, to: try Shop.snapshot(), at: Shop.now).grant(.update, on: entity)
        let id = "00000000-0000-4000-8000-000000000001"
        return try WritePlanner.update(payload, id: id, in: entity, grant: grant, precondition: nil)
    }
}

/// The failure that a plan throws.
func failure(of plan: () throws -> some Any) -> RequestFailure? {
    do {
        _ = try plan()
        return nil
    } catch {
        return error as? RequestFailure
    }
}

/// `field rule` of each detail.
func details(_ failure: RequestFailure?) -> [String] {
    (failure?.details ?? []).map { detail in
        [detail.field, detail.rule?.rawValue].compactMap(\.self).joined(separator: " ")
    }
}
