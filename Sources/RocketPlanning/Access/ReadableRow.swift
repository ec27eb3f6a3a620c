import RocketModel

/// A row as its caller may read it.
package struct ReadableRow: Sendable {
    package let statement: SQLStatement
    private let mask: RowMask?

    /// Nil where no policy lets the caller read any row of the entity.
    init?(_ key: FieldValue, of entity: EntityModel, _ access: Access) {
        guard let grant = access.grantIfAny(.read, on: entity) else { return nil }
        statement = ReadPlanner.row(entity, entity.key, key, grant, .valuesAndJSON(entity.rowShape), isBrief: false)
        mask = grant.fields(of: entity)?.mask(firstFlag: entity.fields.count)
    }

    /// Whether what is read differs from what is stored.
    package var isPartial: Bool { mask != nil }

    /// What is shown of the row; nil where it may not be read.
    package func shown(_ result: StatementResult) -> StatementResult? {
        result.rowCount > 0 ? mask?.apply(result) ?? result : nil
    }
}
