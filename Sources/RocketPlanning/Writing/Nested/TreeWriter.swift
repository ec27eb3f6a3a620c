package import RocketModel

/// The statements of a planned tree, in an order in which each row comes after those that it names. They are sent at
/// once as far as their keys are known: a row below one that the database numbers must wait for the number.
package struct TreeWriter: Sendable {
    /// What a statement's result is waited for.
    private enum Expected: Sendable {
        /// The stored record itself.
        case record
        /// Keys of these rows, which the database numbers.
        case keys([Int])
        /// So many rows written.
        case count(Int)
        case nothing
    }

    private var tree: WriteTree
    private var depth = 0
    private var links: [PlannedLink]
    private var expected: [Expected] = []
    private let deepest: Int
    private var trailIsKept = false
    /// The rows that the database numbers.
    private let numbered: Set<Int>
    /// Entries of the rows that are changed, made while it is known what they were.
    private let changes: [Int: Trail.Entry]
    /// The record as it is stored, as values and as JSON.
    package private(set) var record: StatementResult?

    /// - Parameter stored: the record as it was, where there is one.
    package init(_ tree: WriteTree, stored: StatementResult?) {
        self.tree = tree
        links = tree.links
        deepest = tree.rows.map(\.depth).max() ?? 0
        changes = Dictionary(
            uniqueKeysWithValues: tree.rows.indices.compactMap { index in
                guard tree.rows[index].action == .update else { return nil }
                return tree.rows[index].trailEntry.map { (index, $0) }
            }
        )
        numbered = Set(tree.rows.indices.filter { tree.rows[$0].action == .create && tree.rows[$0].key == nil })
        record = stored
    }

    /// The rows with the keys that the database has numbered.
    package var rows: [PlannedRow] { tree.rows }

    /// Whether ``next()`` has said all there is to say.
    package var isAtEnd: Bool { isWritten && trailIsKept }

    private var isWritten: Bool { depth > deepest && links.isEmpty }

    /// The values of the record's fields, to read what is related to it; nil where only the database knows one yet.
    package func linkValues(_ columns: [Int]) -> [SQLValue]? {
        let values = columns.compactMap { tree.rows[0].value($0).map(tree.entity.dialect.bindable) }
        return values.count == columns.count ? values : nil
    }

    /// Statements that can be run now; none where there is nothing more to write.
    package mutating func next() -> [SQLStatement] {
        var statements: [SQLStatement] = []
        expected = []
        if depth == 0 {
            for statement in unlinks { add(statement, .nothing, &statements) }
        }
        while depth <= deepest {
            let level = tree.rows.indices.filter { tree.rows[$0].depth == depth && tree.rows[$0].action != .delete }
            guard level.allSatisfy(knowsItsParent) else { return statements }
            for row in level { fillForeignKey(of: row) }
            if depth == 0 {
                writeRecord(&statements)
            } else {
                writeUpdates(level, &statements)
                writeCreates(level, &statements)
            }
            depth += 1
        }
        writeLinks(&statements)
        keepTrail(&statements)
        return statements
    }

    /// - Throws: 404 where the record is gone, 422 where the tables' own rules swallowed a row.
    package mutating func take(_ results: [StatementResult], id: String) throws(RequestFailure) {
        for (expectation, result) in zip(expected, results) {
            switch expectation {
            case .nothing: break
            case .record:
                guard result.rowCount > 0, let row = result.rows.first else {
                    throw tree.rows[0].action == .create ? Self.swallowed("") : .recordNotFound(tree.entity, id)
                }
                record = result
                tree.rows[0].stored = row
                tree.rows[0].key = tree.entity.dialect.fieldValue(row[tree.entity.keyIndex], tree.entity.key.shape)
            case .keys(let rows):
                guard result.rowCount == rows.count else { throw Self.swallowed(tree.rows[rows[0]].path) }
                let keys = result.rows.compactMap { $0.first?.integerValue }.sorted()
                for (row, key) in zip(rows, keys) { tree.rows[row].key = .whole(key) }
            case .count(let count):
                guard result.changes == count else { throw Self.swallowed("") }
            }
        }
    }

    private static func swallowed(_ path: String) -> RequestFailure {
        .validation([
            FailureDetail(
                field: path.isEmpty ? nil : path,
                message: "the table stored no row: a trigger of its own has refused it"
            )
        ])
    }

    private mutating func add(_ statement: SQLStatement, _ expectation: Expected, _ statements: inout [SQLStatement]) {
        statements.append(statement)
        expected.append(expectation)
    }

    // MARK: rows

    private func knowsItsParent(_ row: Int) -> Bool {
        guard let parent = tree.rows[row].parent else { return true }
        return tree.rows[parent.row].value(parent.own) != nil
    }

    private mutating func fillForeignKey(of row: Int) {
        guard tree.rows[row].action == .create, let parent = tree.rows[row].parent,
            let link = tree.rows[parent.row].value(parent.own)
        else { return }
        tree.rows[row].values[parent.theirs] = link
    }

    /// The values that an INSERT gives, with the key where it is known.
    private func insertedValues(_ row: PlannedRow) -> [Int: FieldValue] {
        var values = row.values
        if let key = row.key, !key.isNull { values[row.entity.keyIndex] = key }
        return values
    }

    private mutating func writeRecord(_ statements: inout [SQLStatement]) {
        let row = tree.rows[0]
        if row.action == .create {
            let plan = CreatePlan(
                entity: row.entity,
                values: insertedValues(row),
                needs: .none,
                trail: keepsItsEntry(0) ? tree.access.trail(of: row.entity) : nil
            )
            for statement in WritePlanner.insert(plan) { add(statement, .record, &statements) }
        } else if !row.values.isEmpty, let key = row.key {
            var sql = SQLBuilder(row.entity.dialect)
            sql.append("UPDATE \(row.entity.table) SET ")
            for (position, index) in row.values.keys.sorted().enumerated() {
                sql.append("\(position > 0 ? ", " : "")\(row.entity.fields[index].column) = ")
                sql.bind(row.values[index] ?? .null)
            }
            sql.append(" WHERE \(row.entity.key.column) = ")
            sql.bind(key)
            sql.append(" RETURNING \(row.entity.columnList)")
            add(sql.statement(.valuesAndJSON(row.entity.rowShape)), .record, &statements)
        }
    }

    private mutating func writeUpdates(_ level: [Int], _ statements: inout [SQLStatement]) {
        let rows = level.filter { tree.rows[$0].action == .update && !tree.rows[$0].values.isEmpty }
        for group in groups(rows, { $0.values }) {
            let entity = tree.rows[group.rows[0]].entity
            let values = group.rows.map { index in
                [tree.rows[index].key ?? .null] + group.columns.map { tree.rows[index].values[$0] ?? .null }
            }
            for (statement, count) in RowStatements.updates(values, columns: group.columns, of: entity) {
                add(statement, .count(count), &statements)
            }
        }
    }

    private mutating func writeCreates(_ level: [Int], _ statements: inout [SQLStatement]) {
        let rows = level.filter { tree.rows[$0].action == .create }
        for group in groups(rows, insertedValues) {
            let entity = tree.rows[group.rows[0]].entity
            let values = group.rows.map { index -> [FieldValue] in
                let inserted = insertedValues(tree.rows[index])
                return group.columns.map { inserted[$0] ?? .null }
            }
            let isNumbered = tree.rows[group.rows[0]].key == nil
            var remaining = group.rows[...]
            for (statement, count) in RowStatements.inserts(
                values,
                columns: group.columns,
                of: entity,
                returnsKeys: isNumbered,
                trail: keepsItsEntry(group.rows[0]) ? tree.access.trail(of: entity) : nil
            ) {
                add(statement, isNumbered ? .keys(Array(remaining.prefix(count))) : .count(count), &statements)
                remaining = remaining.dropFirst(count)
            }
        }
    }

    /// Rows of one entity with values for the same columns, in the order in which they came.
    private func groups(
        _ rows: [Int],
        _ values: (PlannedRow) -> [Int: FieldValue]
    ) -> [(columns: [Int], rows: [Int])] {
        struct Shape: Hashable {
            let entity: String
            let columns: [Int]
        }
        var order: [Shape] = []
        var groups: [Shape: [Int]] = [:]
        for row in rows {
            let shape = Shape(entity: tree.rows[row].entity.name, columns: values(tree.rows[row]).keys.sorted())
            if groups[shape] == nil { order.append(shape) }
            groups[shape, default: []].append(row)
        }
        return order.map { ($0.columns, groups[$0] ?? []) }
    }

    // MARK: the trail

    /// Whether the statement that makes a row keeps its entry, too: where nobody knows its key before, and asking for it
    /// would cost a round trip.
    private func keepsItsEntry(_ index: Int) -> Bool {
        let row = tree.rows[index]
        return row.action == .create && row.entity.dialect == .postgres && (index == 0 || numbered.contains(index))
    }

    /// Entries of all rows that have none yet, as soon as the keys are known.
    private mutating func keepTrail(_ statements: inout [SQLStatement]) {
        guard isWritten, !trailIsKept, let entries = trailEntries else { return }
        trailIsKept = true
        guard let trail = entries.first.flatMap({ tree.access.trail(of: $0.entity) }) else { return }
        for statement in trail.keep(entries) { add(statement, .nothing, &statements) }
    }

    /// Nil while the database has not numbered a row.
    private var trailEntries: [Trail.Entry]? {
        let rows = tree.rows.indices.filter { index in
            let row = tree.rows[index]
            return row.action != .delete && row.entity.definition.history && !keepsItsEntry(index)
        }
        guard rows.allSatisfy({ tree.rows[$0].key != nil }),
            (tree.links + tree.unlinks).allSatisfy({ pair($0) != nil })
        else { return nil }
        return rows.compactMap { changes[$0] ?? (tree.rows[$0].action == .update ? nil : tree.rows[$0].trailEntry) }
            + linkEntries
    }

    /// What was linked and unlinked is a change of the record whose payload says so.
    private var linkEntries: [Trail.Entry] {
        bySide(tree.unlinks + tree.links).flatMap { links -> [Trail.Entry] in
            let entity = tree.rows[links[0].parent].entity
            guard entity.definition.history else { return [] }
            let keys = { (links: [PlannedLink], parent: Int) -> String? in
                let keys = links.filter { $0.parent == parent }.compactMap { self.pair($0)?.theirs.json }
                return keys.isEmpty ? nil : JSONValue.object([links[0].side.name: .array(keys)]).jsonText
            }
            let parents = links.map(\.parent)
            return Set(parents).sorted().compactMap { parent in
                guard let key = tree.rows[parent].key else { return nil }
                let name = links[0].side.name
                let isHere = { (link: PlannedLink) in
                    link.side.name == name && self.tree.rows[link.parent].entity.name == entity.name
                }
                return Trail.Entry(
                    entity: entity,
                    key: key,
                    action: .update,
                    old: keys(tree.unlinks.filter(isHere), parent),
                    new: keys(tree.links.filter(isHere), parent)
                )
            }
        }
    }

    // MARK: links

    private var unlinks: [SQLStatement] {
        bySide(tree.unlinks).flatMap { links -> [SQLStatement] in
            guard case .joinTable(let join) = links[0].side.link, let other = tree.model(links[0].side.other) else {
                return []
            }
            return RowStatements.unlinks(links.compactMap(pair), join, tree.rows[links[0].parent].entity, other)
        }
    }

    private mutating func writeLinks(_ statements: inout [SQLStatement]) {
        let ready = links.filter { pair($0) != nil }
        links = links.filter { pair($0) == nil }
        for group in bySide(ready) {
            guard case .joinTable(let join) = group[0].side.link,
                let other = tree.model(group[0].side.other)
            else { continue }
            let own = tree.rows[group[0].parent].entity
            for statement in RowStatements.links(group.compactMap(pair), join, own, other) {
                add(statement, .nothing, &statements)
            }
        }
    }

    private func pair(_ link: PlannedLink) -> (own: FieldValue, theirs: FieldValue)? {
        guard let own = tree.rows[link.parent].key else { return nil }
        switch link.target {
        case .key(let key): return (own, key)
        case .row(let row): return tree.rows[row].key.map { (own, $0) }
        }
    }

    private func bySide(_ links: [PlannedLink]) -> [[PlannedLink]] {
        var groups: [[PlannedLink]] = []
        for link in links {
            let same = { (other: PlannedLink) in
                other.side.name == link.side.name
                    && tree.rows[other.parent].entity.name == tree.rows[link.parent].entity.name
            }
            if let index = groups.firstIndex(where: { same($0[0]) }) {
                groups[index].append(link)
            } else {
                groups.append([link])
            }
        }
        return groups
    }
}
