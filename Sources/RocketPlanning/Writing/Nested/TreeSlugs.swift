import RocketModel

/// Looks for slugs that no row has, for all rows of a tree that get one made.
package struct TreeSlugs: Sendable {
    private struct Wish: Sendable {
        let row: Int
        let base: String
        var batch = 0
        var slug: String?
    }

    private let rows: [PlannedRow]
    private var wishes: [Wish] = []
    /// Slugs that rows of the tree have, by entity.
    private var given: [String: Set<String>] = [:]

    package init(_ tree: WriteTree) {
        rows = tree.rows
        for (index, row) in tree.rows.enumerated() where row.action != .delete {
            guard let slug = row.entity.definition.slug, let field = row.entity.index(of: slug.field) else { continue }
            if case .text(let text)? = row.values[field], !text.isEmpty {
                given[row.entity.name, default: []].insert(text)
            } else if let base = Self.base(row, field, slug) {
                wishes.append(Wish(row: index, base: base))
            }
        }
    }

    private static func base(_ row: PlannedRow, _ field: Int, _ slug: EntityDefinition.Slug) -> String? {
        if row.action == .update {
            guard slug.regenerateOnUpdate, row.values[field] == nil, let source = slug.source,
                let index = row.entity.index(of: source), row.values[index] != nil
            else { return nil }
        }
        return WritePlanner.slugBase(row.values, row.entity)
    }

    /// The entities whose slugs are made: one that was free may be taken before it is stored.
    package var entities: [EntityModel] { wishes.map { rows[$0.row].entity } }

    private var open: [EntityModel] {
        var entities: [EntityModel] = []
        for wish in wishes
        where wish.slug == nil && !entities.contains(where: { $0.name == rows[wish.row].entity.name }) {
            entities.append(rows[wish.row].entity)
        }
        return entities
    }

    /// One for each entity; none when every row has its slug.
    package var statements: [SQLStatement] {
        open.compactMap { entity in
            guard let slug = entity.slugField else { return nil }
            var candidates: [String] = []
            for wish in wishes where wish.slug == nil && rows[wish.row].entity.name == entity.name {
                candidates += WritePlanner.slugCandidates(wish.base, batch: wish.batch)
            }
            var sql = SQLBuilder(entity.dialect)
            sql.append("SELECT \(slug.column), \(entity.key.column) FROM \(entity.table) WHERE ")
            sql.isMember(slug.column, of: Set(candidates).sorted().map(FieldValue.text), slug.shape)
            if entity.softDelete { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
            return sql.statement(.values)
        }
    }

    package mutating func take(_ results: [StatementResult]) {
        for (entity, result) in zip(open, results) {
            var owners: [String: FieldValue] = [:]
            for row in result.rows where row.count == 2 {
                guard let slug = row[0].textValue else { continue }
                owners[slug] = entity.dialect.fieldValue(row[1], entity.key.shape)
            }
            for index in wishes.indices where wishes[index].slug == nil {
                let row = rows[wishes[index].row]
                guard row.entity.name == entity.name else { continue }
                let isOwn = { (slug: String) in row.action == .update && owners[slug] == row.key }
                let free = WritePlanner.slugCandidates(wishes[index].base, batch: wishes[index].batch).first { slug in
                    (owners[slug] == nil || isOwn(slug)) && given[entity.name]?.contains(slug) != true
                }
                if let free {
                    wishes[index].slug = free
                    given[entity.name, default: []].insert(free)
                } else {
                    wishes[index].batch += 1
                }
            }
        }
    }

    /// Puts the slugs that were found into the tree.
    package func apply(to tree: inout WriteTree) {
        for wish in wishes {
            let row = rows[wish.row]
            guard let slug = wish.slug, let field = row.entity.slugField, let index = row.entity.index(of: field.name)
            else { continue }
            tree.rows[wish.row].values[index] = .text(slug)
        }
    }
}
