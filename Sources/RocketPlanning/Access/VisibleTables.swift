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

    /// Short, because PostgreSQL cuts names; the same for one entity wherever it is named.
    private static func name(_ entity: EntityModel) -> String {
        let hash = entity.name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return entity.dialect.quote("_r\(String(hash, radix: 36))")
    }

    /// Puts the rows at the head of a statement.
    func define(in sql: inout SQLBuilder) {
        for (entity, condition) in tables {
            sql.define(Self.name(entity), isMadeOnce: condition.isRelated) { sql in
                sql.append("SELECT * FROM \(entity.table) WHERE ")
                condition.append(to: &sql, of: .only(entity))
            }
        }
    }
}
