import RocketModel

/// Tables of which a caller sees some rows only, for statements that name columns of related records: there, the rows
/// that may be read stand in the table's place.
struct VisibleTables: Sendable {
    private var tables: [(entity: EntityModel, condition: RowCondition)] = []

    init() {}

    /// What a statement reads the rows of a granted entity from.
    mutating func source(_ entity: EntityModel, _ grant: Grant) -> String {
        guard let condition = grant.condition else { return entity.table }
        if !tables.contains(where: { $0.entity.name == entity.name }) { tables.append((entity, condition)) }
        return Self.name(entity)
    }

    private static func name(_ entity: EntityModel) -> String { entity.dialect.quote("_readable_\(entity.name)") }

    /// Puts the rows at the head of a statement.
    func define(in sql: inout SQLBuilder) {
        for (entity, condition) in tables {
            sql.define(Self.name(entity)) { sql in
                sql.append("SELECT * FROM \(entity.table) WHERE ")
                condition.append(to: &sql, of: .only(entity))
            }
        }
    }
}
