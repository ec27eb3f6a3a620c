package import RocketModel

/// What must be known of other rows before a planned tree is written: whether the rows exist that foreign keys name,
/// and whether a key that others go by may change.
package struct TreeLookups: Sendable {
    private struct Reference: Sendable {
        let model: ReferenceModel
        let entity: EntityModel
        /// The values, each with where it stands.
        var uses: [(value: FieldValue, path: String)]
    }

    /// A field that other rows are related by, and that changes.
    private struct ChangedKey: Sendable {
        let side: RelationSide
        let entity: EntityModel
        let other: EntityModel
        let theirs: Int
        /// The values as they are stored, each with where the change stands.
        var uses: [(value: FieldValue, path: String)]
    }

    private var references: [Reference] = []
    private var changedKeys: [ChangedKey] = []
    private let snapshot: AppSnapshot

    package init(_ tree: WriteTree) {
        snapshot = tree.snapshot
        for row in tree.rows where row.action != .delete {
            addReferences(of: row)
            if row.action == .update { addChangedKeys(of: row) }
        }
    }

    private mutating func addReferences(of row: PlannedRow) {
        for model in row.entity.references where row.parent?.theirs != model.field {
            guard let value = row.values[model.field], !value.isNull else { continue }
            let name = row.entity.fields[model.field].name
            let path = row.path.isEmpty ? name : "\(row.path).\(name)"
            if let index = references.firstIndex(where: {
                $0.model.relation == model.relation && $0.entity.name == row.entity.name
            }) {
                references[index].uses.append((value, path))
            } else {
                references.append(Reference(model: model, entity: row.entity, uses: [(value, path)]))
            }
        }
    }

    private mutating func addChangedKeys(of row: PlannedRow) {
        for side in row.entity.relations where side.isSource {
            guard case .field(let own, let theirs) = side.link, let value = row.values[own],
                let stored = row.storedValue(own), !stored.isNull, stored != value,
                let other = snapshot.model(side.other)
            else { continue }
            let name = row.entity.fields[own].name
            let path = row.path.isEmpty ? name : "\(row.path).\(name)"
            if let index = changedKeys.firstIndex(where: {
                $0.side.name == side.name && $0.entity.name == row.entity.name
            }) {
                changedKeys[index].uses.append((stored, path))
            } else {
                changedKeys.append(
                    ChangedKey(side: side, entity: row.entity, other: other, theirs: theirs, uses: [(stored, path)])
                )
            }
        }
    }

    private func count(_ change: ChangedKey) -> SQLStatement {
        let field = change.other.fields[change.theirs]
        var sql = SQLBuilder(change.other.dialect)
        sql.append("SELECT \(field.column), count(*) FROM \(change.other.table) WHERE ")
        sql.isMember(field.column, of: change.uses.map(\.value), field.shape)
        if change.other.softDelete { sql.append(" AND \(change.other.deletedAtColumn) IS NULL") }
        sql.append(" GROUP BY \(field.column)")
        return sql.statement(.values)
    }

    package var statements: [SQLStatement] {
        references.map(lookup) + changedKeys.map(count)
    }

    private func lookup(_ reference: Reference) -> SQLStatement {
        let dialect = reference.entity.dialect
        let values = Set(reference.uses.map(\.value))
        guard values.count > 1, let source = snapshot.model(reference.model.targetEntity),
            let key = source.field(reference.model.targetKey)
        else { return reference.model.lookup(reference.uses[0].value, dialect) }
        var sql = SQLBuilder(dialect)
        sql.append("SELECT \(key.column) FROM \(source.table) WHERE ")
        sql.isMember(key.column, of: Array(values), key.shape)
        if source.softDelete { sql.append(" AND \(source.deletedAtColumn) IS NULL") }
        if dialect == .postgres { sql.append(source.softDelete ? " FOR SHARE" : " FOR KEY SHARE") }
        return sql.statement(.values)
    }

    /// - Throws: 409 `CONFLICT` naming each field whose key is dangling, or that others go by.
    package func judge(_ results: [StatementResult]) throws(RequestFailure) {
        var details: [FailureDetail] = []
        for (reference, result) in zip(references, results) {
            let present = present(reference, result)
            for (value, path) in reference.uses where !present.contains(value) {
                details.append(
                    FailureDetail(
                        field: path,
                        rule: .relation,
                        message: "names no existing \(reference.model.targetEntity)"
                    )
                )
            }
        }
        guard details.isEmpty else {
            let shown = Array(details.prefix(RequestFailure.maximumDetails))
            throw RequestFailure(.conflict, "A key names a record that does not exist", details: shown)
        }
        for (change, result) in zip(changedKeys, results.dropFirst(references.count)) {
            var counts: [FieldValue: Int64] = [:]
            for row in result.rows where row.count == 2 {
                let value = change.other.dialect.fieldValue(row[0], change.other.fields[change.theirs].shape)
                counts[value] = row[1].integerValue
            }
            for (value, path) in change.uses {
                guard let count = counts[value] else { continue }
                let message = "can't change: \(count) of \(change.side.other) are related by it"
                details.append(FailureDetail(field: path, rule: .relation, message: message))
            }
        }
        guard details.isEmpty else {
            throw RequestFailure(
                .conflict,
                "A field by which other records are related can't change while there are any",
                details: details
            )
        }
    }

    /// The places whose keys name rows that this very request deletes.
    package func doomedPaths(_ cascade: CascadeRun) -> [String] {
        references.flatMap { reference -> [String] in
            guard let target = snapshot.model(reference.model.targetEntity),
                reference.model.targetKey == target.key.name
            else { return [] }
            return reference.uses.filter { cascade.dooms($0.value, of: target) }.map(\.path)
        }
    }

    private func present(_ reference: Reference, _ result: StatementResult) -> Set<FieldValue> {
        let values = Set(reference.uses.map(\.value))
        guard values.count > 1, let key = snapshot.model(reference.model.targetEntity)?.field(reference.model.targetKey)
        else { return result.rows.isEmpty ? [] : values }
        return Set(result.rows.compactMap { $0.first.map { reference.entity.dialect.fieldValue($0, key.shape) } })
    }
}
