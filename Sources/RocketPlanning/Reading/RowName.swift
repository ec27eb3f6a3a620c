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

    static func named(_ name: String, depth: Int = 0) -> RowName {
        RowName(prefix: "\(name).", reference: "\(name).", depth: depth)
    }

    /// The name of a row one subquery further in, and that of its join table's row.
    var inner: (row: RowName, name: String, join: String) {
        let name = "t\(depth + 1)"
        return (.named(name, depth: depth + 1), name, "j\(depth + 1)")
    }
}

extension RelationSide {
    /// `FROM … WHERE …` of the living rows that are related to a row of `own`, for a subquery. Their own name is
    /// `row.inner`.
    func relatedRows(of row: RowName, _ own: EntityModel, _ other: EntityModel) -> String {
        let (inner, name, join) = row.inner
        let living = other.softDelete ? " AND \(inner.prefix)\(other.deletedAtColumn) IS NULL" : ""
        switch link {
        case .field(let ownField, let theirs):
            let key = own.linkable(row.reference, ownField)
            return
                "FROM \(other.table) AS \(name) WHERE \(inner.prefix)\(other.fields[theirs].column) = \(key)\(living)"
        case .joinTable(let table):
            return "FROM \(table.table) AS \(join) JOIN \(other.table) AS \(name)"
                + " ON \(inner.prefix)\(other.key.column) = \(other.collated("\(join).\(table.theirs)", other.keyIndex))"
                + " WHERE \(join).\(table.own) = \(own.linkable(row.reference, own.keyIndex))\(living)"
        }
    }
}

extension EntityModel {
    /// A field as the other side of a link is compared with it.
    fileprivate func linkable(_ reference: String, _ index: Int) -> String {
        collated(reference + fields[index].column, index)
    }

    /// An adopted column may have a collation of its own, and PostgreSQL compares no two that differ.
    fileprivate func collated(_ column: String, _ index: Int) -> String {
        dialect == .postgres && fields[index].shape.type.isText ? "\(column) COLLATE \"C\"" : column
    }
}
