package import RocketModel

/// Looks for slugs that no row has, for all rows of a tree that get one made.
package struct TreeSlugs: Sendable {
    /// Rows of one entity whose slugs are made of the same text.
    private struct Wish: Sendable {
        let entity: EntityModel
        let base: String
        var rows: [Int] = []
        /// How many rows have theirs.
        var found = 0
        /// The first number that was not looked at.
        var next = 1
    }

    /// A slug that the payload gives.
    private struct Given: Sendable {
        let entity: EntityModel
        let slug: String
        let row: Int
    }

    private let rows: [PlannedRow]
    private var wishes: [Wish] = []
    private var given: [Given] = []
    /// Slugs that rows of the tree have, by entity.
    private var used: [String: Set<String>] = [:]
    private var slugs: [Int: String] = [:]
    /// The entities whose statements were sent last.
    private var asked: [EntityModel] = []

    /// - Parameter isEarly: whether it is for rules to look at: what is made of a computed field must wait.
    package init(_ tree: WriteTree, isEarly: Bool = false) {
        rows = tree.rows
        let early = isEarly ? tree.earlySlugEntities : []
        for (index, row) in tree.rows.enumerated() where row.action != .delete {
            if isEarly, !early.contains(row.entity.name) || !Self.isWantedEarly(row, tree) { continue }
            guard let slug = row.entity.definition.slug, let field = row.entity.index(of: slug.field) else { continue }
            if case .text(let text)? = row.values[field], !text.isEmpty {
                used[row.entity.name, default: []].insert(text)
                given.append(Given(entity: row.entity, slug: text, row: index))
            } else if let base = Self.base(row, field, slug) {
                add(index, base, row.entity)
            }
        }
        // A given slug that is taken is told by the table, unless others of its entity are made: those may be tried
        // again, and it would be tried with them.
        let made = Set(wishes.map(\.entity.name))
        given = given.filter { made.contains($0.entity.name) }
    }

    private static func isWantedEarly(_ row: PlannedRow, _ tree: WriteTree) -> Bool {
        guard let slug = row.entity.definition.slug, let field = row.entity.index(of: slug.field),
            let index = slug.source.flatMap(row.entity.index)
        else { return false }
        let computed = tree.snapshot.logic(of: row.entity)?.computedFields ?? []
        return !computed.contains(index) && !computed.contains(field)
    }

    private mutating func add(_ row: Int, _ base: String, _ entity: EntityModel) {
        if let index = wishes.firstIndex(where: { $0.base == base && $0.entity.name == entity.name }) {
            wishes[index].rows.append(row)
        } else {
            wishes.append(Wish(entity: entity, base: base, rows: [row]))
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
    package var entities: [EntityModel] { wishes.map(\.entity) }

    /// How many statements were sent last.
    package var statementCount: Int { asked.count }

    /// One for each entity; none when every row has its slug.
    package mutating func statements() -> [SQLStatement] {
        asked = []
        var statements: [SQLStatement] = []
        for wish in wishes where wish.found < wish.rows.count {
            guard !asked.contains(where: { $0.name == wish.entity.name }), let slug = wish.entity.slugField else {
                continue
            }
            asked.append(wish.entity)
            var candidates = Set(given.filter { $0.entity.name == wish.entity.name }.map(\.slug))
            for open in wishes where open.found < open.rows.count && open.entity.name == wish.entity.name {
                candidates.formUnion(candidateNumbers(open).map { name(open.base, $0) })
            }
            var sql = SQLBuilder(wish.entity.dialect)
            sql.append("SELECT \(slug.column), \(wish.entity.key.column) FROM \(wish.entity.table) WHERE ")
            sql.isMember(slug.column, of: candidates.sorted().map(FieldValue.text), slug.shape)
            if wish.entity.softDelete { sql.append(" AND \(wish.entity.deletedAtColumn) IS NULL") }
            statements.append(sql.statement(.values))
        }
        return statements
    }

    /// Twice as many as rows still want one, and more the longer it takes.
    private func candidateNumbers(_ wish: Wish) -> Range<Int> {
        wish.next..<wish.next + max(8, (wish.rows.count - wish.found) * 2, wish.next)
    }

    private func name(_ base: String, _ number: Int) -> String {
        number == 1 ? base : "\(base)-\(number)"
    }

    /// - Throws: 409 where a slug that the payload gives is taken.
    package mutating func take(_ results: [StatementResult]) throws(RequestFailure) {
        for (entity, result) in zip(asked, results) {
            var owners: [String: FieldValue] = [:]
            for row in result.rows where row.count == 2 {
                guard let slug = row[0].textValue else { continue }
                owners[slug] = entity.dialect.fieldValue(row[1], entity.key.shape)
            }
            try requireFree(entity, owners)
            for index in wishes.indices where wishes[index].entity.name == entity.name {
                handOut(index, owners)
            }
        }
    }

    private func requireFree(_ entity: EntityModel, _ owners: [String: FieldValue]) throws(RequestFailure) {
        for slug in given where slug.entity.name == entity.name {
            guard let owner = owners[slug.slug], rows[slug.row].action == .create || owner != rows[slug.row].key else {
                continue
            }
            let name = entity.slugField?.name ?? ""
            let path = rows[slug.row].path
            let detail = FailureDetail(field: path.isEmpty ? name : "\(path).\(name)", message: "is taken")
            throw RequestFailure(.conflict, "A \(entity.name) with this \(name) exists already", details: [detail])
        }
    }

    private mutating func handOut(_ index: Int, _ owners: [String: FieldValue]) {
        var wish = wishes[index]
        let numbers = candidateNumbers(wish)
        for number in numbers where wish.found < wish.rows.count {
            let slug = name(wish.base, number)
            let row = wish.rows[wish.found]
            let isOwn = rows[row].action == .update && owners[slug] == rows[row].key
            guard owners[slug] == nil || isOwn, used[wish.entity.name]?.contains(slug) != true else { continue }
            used[wish.entity.name, default: []].insert(slug)
            slugs[row] = slug
            wish.found += 1
        }
        wish.next = numbers.upperBound
        wishes[index] = wish
    }

    /// Puts the slugs that were found into the tree.
    package func apply(to tree: inout WriteTree) {
        for (row, slug) in slugs {
            let entity = rows[row].entity
            guard let field = entity.slugField, let index = entity.index(of: field.name) else { continue }
            tree.rows[row].values[index] = .text(slug)
        }
    }
}
