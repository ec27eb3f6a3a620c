import RocketModel

/// What must be known of the rows at the other end of one relation, for all rows of a level that write it.
struct FactRequest: Sendable {
    /// A row that is there.
    struct Stored: Sendable {
        let key: FieldValue
        let row: [SQLValue]
    }

    private let side: RelationSide
    private let own: EntityModel
    private let other: EntityModel
    /// The values by which rows that are there are related to others.
    private var links: [FieldValue] = []
    private var keys: [FieldValue] = []
    /// Whether rows that no payload names must be known too.
    private var wantsAll = false
    /// Whether rows at the other end are changed, beside being linked.
    private var changesTargets = false
    private var childrenByLink: [FieldValue: [Stored]] = [:]
    private var linkedByParent: [FieldValue: Set<FieldValue>] = [:]
    private var targets: [FieldValue: [SQLValue]] = [:]

    init(_ side: RelationSide, of own: EntityModel, to other: EntityModel) {
        self.side = side
        self.own = own
        self.other = other
    }

    func isOf(_ side: RelationSide, _ own: EntityModel) -> Bool {
        self.side.name == side.name && self.own.name == own.name
    }

    /// - Parameter link: the value by which the row above is related; nil for one that is made.
    mutating func add(_ input: RelationInput, link: FieldValue?) {
        if let link, !link.isNull, !links.contains(link) { links.append(link) }
        keys += input.rows.compactMap(\.key)
        if link != nil { wantsAll = wantsAll || input.mode == .replace || !side.isMany }
        changesTargets = changesTargets || input.rows.contains { $0.saysMore(than: other.key) }
    }

    // MARK: statements

    var statements: [SQLStatement] {
        switch side.link {
        case .field(_, let theirs): children(theirs).map { [$0] } ?? []
        case .joinTable(let join): [linked(join), targetRows].compactMap(\.self)
        }
    }

    mutating func take(_ results: [StatementResult]) {
        var results = results[...]
        switch side.link {
        case .field(_, let theirs):
            guard children(theirs) != nil, let result = results.popFirst() else { return }
            for row in result.rows {
                let link = value(row, theirs, other)
                childrenByLink[link, default: []].append(Stored(key: value(row, other.keyIndex, other), row: row))
            }
        case .joinTable(let join):
            if linked(join) != nil, let result = results.popFirst() {
                for row in result.rows where row.count == 2 {
                    let parent = own.dialect.fieldValue(row[0], own.key.shape)
                    linkedByParent[parent, default: []].insert(own.dialect.fieldValue(row[1], other.key.shape))
                }
            }
            if let result = results.popFirst() {
                for row in result.rows { targets[value(row, other.keyIndex, other)] = row }
            }
        }
    }

    private func value(_ row: [SQLValue], _ index: Int, _ entity: EntityModel) -> FieldValue {
        entity.dialect.fieldValue(row[index], entity.fields[index].shape)
    }

    /// The living rows behind the foreign key, locked until the transaction ends.
    private func children(_ theirs: Int) -> SQLStatement? {
        guard !links.isEmpty, wantsAll || !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT \(other.columnList) FROM \(other.table) WHERE ")
        sql.isMember(other.fields[theirs].column, of: links, other.fields[theirs].shape)
        if !wantsAll {
            sql.append(" AND ")
            sql.isMember(other.key.column, of: keys, other.key.shape)
        }
        appendLiving(&sql)
        sql.append(" ORDER BY \(other.key.column)\(own.dialect == .postgres ? " FOR UPDATE" : "")")
        return sql.statement(.values)
    }

    /// The keys that are linked to rows which are there.
    private func linked(_ join: RelationSide.Join) -> SQLStatement? {
        guard !links.isEmpty, wantsAll || !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT j.\(join.own), j.\(join.theirs) FROM \(join.table) AS j WHERE ")
        sql.isMember("j.\(join.own)", of: links, own.key.shape)
        if !wantsAll {
            sql.append(" AND ")
            sql.isMember("j.\(join.theirs)", of: keys, other.key.shape)
        }
        if other.softDelete {
            sql.append(
                " AND EXISTS (SELECT 1 FROM \(other.table) AS t WHERE t.\(other.key.column) = j.\(join.theirs)"
                    + " AND t.\(other.deletedAtColumn) IS NULL)"
            )
        }
        return sql.statement(.values)
    }

    /// The living rows of the keys that the payload names.
    private var targetRows: SQLStatement? {
        guard !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT \(other.columnList) FROM \(other.table) WHERE ")
        sql.isMember(other.key.column, of: keys, other.key.shape)
        appendLiving(&sql)
        sql.append(" ORDER BY \(other.key.column)")
        if own.dialect == .postgres { sql.append(changesTargets ? " FOR UPDATE" : " FOR SHARE") }
        return sql.statement(.values)
    }

    private func appendLiving(_ sql: inout SQLBuilder) {
        if other.softDelete { sql.append(" AND \(other.deletedAtColumn) IS NULL") }
    }

    // MARK: answers

    func children(of link: FieldValue) -> [Stored] { childrenByLink[link] ?? [] }
    func linked(to parent: FieldValue) -> Set<FieldValue> { linkedByParent[parent] ?? [] }
    func target(_ key: FieldValue) -> [SQLValue]? { targets[key] }
}
