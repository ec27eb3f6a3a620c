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
    /// Which rows at the other end the caller may read; nil for all. The others are not there for the caller.
    private let readable: RowCondition?
    /// The values by which rows that are there are related to others.
    private var links: Set<FieldValue> = []
    private var keys: Set<FieldValue> = []
    /// Whether rows that no payload names must be known too.
    private var wantsAll = false
    /// Whether rows at the other end are changed, beside being linked.
    private var changesTargets = false
    private var childrenByLink: [FieldValue: [Stored]] = [:]
    private var linkedByParent: [FieldValue: Set<FieldValue>] = [:]
    private var targets: [FieldValue: [SQLValue]] = [:]
    /// Keys that the client gives and some row has, whomever it belongs to.
    private var taken: Set<FieldValue> = []

    /// How many rows one relation may have that a write has to look at.
    private static let maximumRows = 20_000

    init(_ side: RelationSide, of own: EntityModel, to other: EntityModel, _ access: Access) {
        readable = access.readable(other)
        self.side = side
        self.own = own
        self.other = other
    }

    func isOf(_ side: RelationSide, _ own: EntityModel) -> Bool {
        self.side.name == side.name && self.own.name == own.name
    }

    /// - Parameter link: the value by which the row above is related; nil for one that is made.
    mutating func add(_ input: RelationInput, link: FieldValue?) {
        if let link, !link.isNull { links.insert(link) }
        keys.formUnion(input.rows.compactMap(\.key))
        if link != nil { wantsAll = wantsAll || input.mode == .replace || !side.isMany }
        changesTargets = changesTargets || input.rows.contains { $0.saysMore(than: other.key) }
    }

    // MARK: statements

    var statements: [SQLStatement] {
        switch side.link {
        case .field(_, let theirs): [children(theirs), takenKeys].compactMap(\.self)
        case .joinTable(let join): [linked(join), targetRows, takenKeys].compactMap(\.self)
        }
    }

    /// - Throws: 409 where there are more rows than a write may look at.
    mutating func take(_ results: [StatementResult]) throws(RequestFailure) {
        var results = results[...]
        switch side.link {
        case .field(_, let theirs):
            if children(theirs) != nil, let result = results.popFirst() {
                try requireFew(result)
                for row in result.rows {
                    let link = value(row, theirs, other)
                    childrenByLink[link, default: []].append(Stored(key: value(row, other.keyIndex, other), row: row))
                }
            }
            takeTaken(&results)
        case .joinTable(let join):
            if linked(join) != nil, let result = results.popFirst() {
                try requireFew(result)
                for row in result.rows where row.count == 2 {
                    let parent = own.dialect.fieldValue(row[0], own.key.shape)
                    linkedByParent[parent, default: []].insert(own.dialect.fieldValue(row[1], other.key.shape))
                }
            }
            if targetRows != nil, let result = results.popFirst() {
                for row in result.rows { targets[value(row, other.keyIndex, other)] = row }
            }
            takeTaken(&results)
        }
    }

    private mutating func takeTaken(_ results: inout ArraySlice<StatementResult>) {
        guard takenKeys != nil, let result = results.popFirst() else { return }
        taken = Set(result.rows.compactMap { $0.first.map { own.dialect.fieldValue($0, other.key.shape) } })
    }

    private func requireFew(_ result: StatementResult) throws(RequestFailure) {
        guard result.rowCount > Self.maximumRows else { return }
        throw RequestFailure(
            .conflict,
            "\"\(side.name)\" has more than \(Self.maximumRows) records, too many to be replaced at once;"
                + " write those of \"\(other.name)\" by themselves"
        )
    }

    private func value(_ row: [SQLValue], _ index: Int, _ entity: EntityModel) -> FieldValue {
        entity.dialect.fieldValue(row[index], entity.fields[index].shape)
    }

    /// The living rows behind the foreign key, locked until the transaction ends.
    private func children(_ theirs: Int) -> SQLStatement? {
        guard !links.isEmpty, wantsAll || !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT \(other.columnList) FROM \(other.table) WHERE ")
        sql.isMember(other.fields[theirs].column, of: Array(links), other.fields[theirs].shape)
        if !wantsAll {
            sql.append(" AND ")
            sql.isMember(other.key.column, of: Array(keys), other.key.shape)
        }
        appendLiving(&sql)
        sql.append(" ORDER BY \(other.key.column) LIMIT ")
        sql.bind(stored: .integer(Int64(Self.maximumRows + 1)))
        if own.dialect == .postgres { sql.append(" FOR UPDATE") }
        return sql.statement(.values)
    }

    /// Which of the keys that the client gives are taken: they are no new rows, whomever they belong to.
    private var takenKeys: SQLStatement? {
        guard !other.definition.primaryKey.generated, !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT \(other.key.column) FROM \(other.table) WHERE ")
        sql.isMember(other.key.column, of: Array(keys), other.key.shape)
        // A hidden one is found taken when it is made, by those who may make it at all.
        if let readable {
            sql.append(" AND ")
            readable.append(to: &sql, of: .only(other))
        }
        return sql.statement(.values)
    }

    /// The keys that are linked to rows which are there.
    private func linked(_ join: RelationSide.Join) -> SQLStatement? {
        guard !links.isEmpty, wantsAll || !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT _j.\(join.own), _j.\(join.theirs) FROM \(join.table) AS _j WHERE ")
        sql.isMember("_j.\(join.own)", of: Array(links), own.key.shape)
        if !wantsAll {
            sql.append(" AND ")
            sql.isMember("_j.\(join.theirs)", of: Array(keys), other.key.shape)
        }
        if other.softDelete || readable != nil {
            sql.append(
                " AND EXISTS (SELECT 1 FROM \(other.table) AS _t WHERE _t.\(other.key.column) = _j.\(join.theirs)"
            )
            if other.softDelete { sql.append(" AND _t.\(other.deletedAtColumn) IS NULL") }
            if let readable {
                sql.append(" AND ")
                readable.append(to: &sql, of: .named("_t"))
            }
            sql.append(")")
        }
        sql.append(" LIMIT ")
        sql.bind(stored: .integer(Int64(Self.maximumRows + 1)))
        return sql.statement(.values)
    }

    /// The living rows of the keys that the payload names.
    private var targetRows: SQLStatement? {
        guard !keys.isEmpty else { return nil }
        var sql = SQLBuilder(own.dialect)
        sql.append("SELECT \(other.columnList) FROM \(other.table) WHERE ")
        sql.isMember(other.key.column, of: Array(keys), other.key.shape)
        appendLiving(&sql)
        sql.append(" ORDER BY \(other.key.column)")
        if own.dialect == .postgres { sql.append(changesTargets ? " FOR UPDATE" : " FOR SHARE") }
        return sql.statement(.values)
    }

    private func appendLiving(_ sql: inout SQLBuilder) {
        if other.softDelete { sql.append(" AND \(other.deletedAtColumn) IS NULL") }
        guard let readable else { return }
        sql.append(" AND ")
        readable.append(to: &sql, of: .only(other))
    }

    // MARK: answers

    func children(of link: FieldValue) -> [Stored] { childrenByLink[link] ?? [] }
    func linked(to parent: FieldValue) -> Set<FieldValue> { linkedByParent[parent] ?? [] }
    func target(_ key: FieldValue) -> [SQLValue]? { targets[key] }
    func isTaken(_ key: FieldValue) -> Bool { taken.contains(key) }
}
