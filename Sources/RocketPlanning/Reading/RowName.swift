import RocketModel

/// How the columns of a row are spelled in a statement that may hold several rows of one table.
struct RowName: Sendable {
    /// In front of a column: empty for the only row of a statement.
    let prefix: String
    /// In front of a column inside a subquery, where a row must be named.
    let reference: String
    /// How many rows are named already, so that no two names are the same.
    let depth: Int

    /// The row of a statement that reads one table under its own name.
    static func only(_ entity: EntityModel) -> RowName {
        RowName(prefix: "", reference: "\(entity.table).", depth: 0)
    }

    /// - Parameter name: begins with `_`, as no table's name does.
    static func named(_ name: String, depth: Int = 0) -> RowName {
        RowName(prefix: "\(name).", reference: "\(name).", depth: depth)
    }
}

/// The rows that are related to a row: tables for a FROM, what must hold of them, and the name of the related row.
struct RelatedRows {
    var tables: [String]
    var conditions: [String]
    let row: RowName
}

extension RelationSide {
    /// The living rows that are related to a row of `own`, for a subquery.
    ///
    /// - Parameter table: what the related rows are read from; nil for their table.
    func relatedRows(of row: RowName, _ own: EntityModel, _ other: EntityModel, from table: String? = nil)
        -> RelatedRows
    {
        let source = table ?? other.table
        let name = "_t\(row.depth + 1)"
        let inner = RowName.named(name, depth: row.depth + 1)
        let living = other.softDelete ? ["\(inner.prefix)\(other.deletedAtColumn) IS NULL"] : []
        switch link {
        case .field(let ownField, let theirs):
            let key = own.collated(row.reference + own.fields[ownField].column, ownField)
            return RelatedRows(
                tables: ["\(source) AS \(name)"],
                conditions: ["\(inner.prefix)\(other.fields[theirs].column) = \(key)"] + living,
                row: inner
            )
        case .joinTable(let join):
            let link = "_j\(row.depth + 1)"
            let key = own.collated(row.reference + own.key.column, own.keyIndex)
            let theirs = other.collated("\(link).\(join.theirs)", other.keyIndex)
            return RelatedRows(
                tables: ["\(join.table) AS \(link)", "\(source) AS \(name)"],
                conditions: ["\(link).\(join.own) = \(key)", "\(inner.prefix)\(other.key.column) = \(theirs)"]
                    + living,
                row: inner
            )
        }
    }
}

extension EntityModel {
    /// An adopted column may have a collation of its own, and PostgreSQL compares no two that differ.
    fileprivate func collated(_ column: String, _ index: Int) -> String {
        dialect == .postgres && fields[index].shape.type.isText ? "\(column) COLLATE \"C\"" : column
    }
}
