import RocketExpression
import RocketModel

/// Related records that a program looks at.
struct RelatedLoad: Sendable {
    let side: RelationSide
    let other: EntityModel
    let conditions: [FieldCondition]
    /// The conditions as they are written: loads with the same text are the same.
    let filter: String
}

/// The records that are related to rows under judgement. One statement reads a relation for all rows of a round,
/// however many rules look at it; what the write itself changes is laid over it, because rules see what will be stored.
struct RelatedRecords: Sendable {
    /// One relation of one entity.
    private struct Request: Sendable {
        let own: EntityModel
        let side: RelationSide
        let other: EntityModel
        /// The loads with different conditions.
        var loads: [RelatedLoad]
        /// Whether the database may leave out what no load wants.
        var isFiltered = true
        /// The values by which rows are related: those to be read, and those that were.
        var wanted: Set<FieldValue> = []
        var known: Set<FieldValue> = []
        /// Rows that the write links beside those that are linked already.
        var wantedKeys: Set<FieldValue> = []
        var stored: [FieldValue: [Stored]] = [:]
        var storedByKey: [FieldValue: Stored] = [:]
        var isTooLarge = false
        /// Rows of the write by the value that relates them, and by the row above them.
        var written: [FieldValue: [Int]] = [:]
        var writtenBelow: [Int: [Int]] = [:]
        /// What is linked to a row of the write, and what no more.
        var linked: [Int: [PlannedLink.Target]] = [:]
        var unlinked: [Int: Set<FieldValue>] = [:]
    }

    private struct Stored: Sendable {
        let key: FieldValue
        let row: [SQLValue]
    }

    /// How many records of a relation rules may look at: of one record, and of all in a request.
    static let maximumRecords = 20_000
    static let maximumTotal = 50_000

    private let snapshot: AppSnapshot
    private var requests: [Request] = []
    /// Which rows of the write stand for which stored ones.
    private var writtenKeys: [String: [FieldValue: Int]] = [:]
    private var objects: [String: [FieldValue: ExpressionValue]] = [:]
    /// Whether records that a row names stay as they are until the transaction ends.
    private let locks: Bool
    /// Whether the rows are a write, which is laid over what is stored.
    private let isWritten: Bool
    /// Whether a program has looked for records that were not read, because the write has made it look there.
    private(set) var isMissing = false

    init(_ snapshot: AppSnapshot, isWritten: Bool = true, locks: Bool = false) {
        self.snapshot = snapshot
        self.isWritten = isWritten
        self.locks = locks
    }

    // MARK: what is read

    /// Looks at what the rows of a round want to know.
    ///
    /// - Parameters:
    ///   - rows: all rows of the write.
    ///   - round: those that are judged now; nil for all.
    ///   - isWritten: whether the rows are a write, which is laid over what is stored.
    ///   - locks: whether records that the rows name by a key of theirs are locked, as in a write: a rule that looks at the
    ///     record above must not be overtaken by a change of it.
    ///   - loads: what a row wants; nil for what the logic of its entity does.
    init(
        _ snapshot: AppSnapshot,
        of rows: [PlannedRow],
        _ links: [PlannedLink] = [],
        _ unlinks: [PlannedLink] = [],
        round: Range<Int>? = nil,
        isWritten: Bool = true,
        locks: Bool = false,
        loads: ((PlannedRow) -> [RelatedLoad])? = nil
    ) {
        self.init(snapshot, isWritten: isWritten, locks: locks)
        for row in rows[round ?? rows.indices] {
            for load in loads?(row) ?? snapshot.logic(of: row.entity)?.loads(for: row) ?? [] { want(load, of: row) }
        }
        guard isWritten, !requests.isEmpty else { return }
        overlay(rows, links, unlinks)
    }

    private mutating func want(_ load: RelatedLoad, of row: PlannedRow) {
        let request = addRequest(load, row.entity)
        if let link = link(load.side, row), !requests[request].known.contains(link) {
            requests[request].wanted.insert(link)
        }
    }

    /// The value by which stored records may be related to a row; nil for none.
    private func link(_ side: RelationSide, _ row: PlannedRow) -> FieldValue? {
        let own = side.ownField(of: row.entity)
        // Nothing that is stored can name the key of a row that is made.
        if isWritten, row.action == .create, own == row.entity.keyIndex, side.isSource || !side.isField { return nil }
        guard let link = row.value(own), !link.isNull else { return nil }
        return link
    }

    private mutating func addRequest(_ load: RelatedLoad, _ own: EntityModel) -> Int {
        guard let index = index(of: load.side, own) else {
            let request = Request(
                own: own,
                side: load.side,
                other: load.other,
                loads: [load],
                // What is locked is looked at as it is under the lock, and not as the statement finds it.
                isFiltered: !load.conditions.isEmpty && !isLocked(load.side)
            )
            requests.append(request)
            return requests.count - 1
        }
        if load.conditions.isEmpty {
            requests[index].isFiltered = false
        } else if !requests[index].loads.contains(where: { $0.filter == load.filter }) {
            requests[index].loads.append(load)
        }
        return index
    }

    private func index(of side: RelationSide, _ own: EntityModel) -> Int? {
        requests.firstIndex { $0.own.name == own.name && $0.side.name == side.name }
    }

    /// Notes which rows of the write are behind which relation.
    private mutating func overlay(_ rows: [PlannedRow], _ links: [PlannedLink], _ unlinks: [PlannedLink]) {
        for (index, row) in rows.enumerated() {
            if let key = row.key { writtenKeys[row.entity.name, default: [:]][key] = index }
        }
        for request in requests.indices {
            switch requests[request].side.link {
            case .field(let own, let theirs): overlay(rows, request, own: own, theirs: theirs)
            case .joinTable: overlay(rows, links, unlinks, request)
            }
        }
    }

    private mutating func overlay(_ rows: [PlannedRow], _ request: Int, own: Int, theirs: Int) {
        let (side, other, owner) = (requests[request].side, requests[request].other, requests[request].own)
        for (index, row) in rows.enumerated() where row.action != .delete && row.entity.name == other.name {
            if let parent = row.parent, parent.theirs == theirs, parent.own == own, side.isSource,
                rows[parent.row].entity.name == owner.name
            {
                requests[request].writtenBelow[parent.row, default: []].append(index)
            } else if let link = row.value(theirs), !link.isNull {
                requests[request].written[link, default: []].append(index)
            }
        }
    }

    /// Links are written from the source's side, and looked at from both.
    private mutating func overlay(
        _ rows: [PlannedRow],
        _ links: [PlannedLink],
        _ unlinks: [PlannedLink],
        _ request: Int
    ) {
        let (side, own, other) = (requests[request].side, requests[request].own, requests[request].other)
        // A linked row that the write changes may be wanted where the stored one is not.
        if writtenKeys[other.name]?.isEmpty == false { requests[request].isFiltered = false }
        let source = side.isSource ? own : other
        func isHere(_ link: PlannedLink) -> Bool {
            link.side.definition.name == side.definition.name && rows[link.parent].entity.name == source.name
        }
        for link in links where isHere(link) {
            if side.isSource {
                requests[request].linked[link.parent, default: []].append(link.target)
                if case .key(let key) = link.target { requests[request].wantedKeys.insert(key) }
            } else if let target = place(link.target, own.name) {
                requests[request].linked[target, default: []].append(.row(link.parent))
            }
        }
        for link in unlinks where isHere(link) {
            guard case .key(let key) = link.target else { continue }
            if side.isSource {
                requests[request].unlinked[link.parent, default: []].insert(key)
            } else if let target = writtenKeys[own.name]?[key], let parent = rows[link.parent].key {
                requests[request].unlinked[target, default: []].insert(parent)
            }
        }
    }

    private func place(_ target: PlannedLink.Target, _ entity: String) -> Int? {
        switch target {
        case .row(let row): row
        case .key(let key): writtenKeys[entity]?[key]
        }
    }

    /// One statement for each relation that has anything to read, and one for newly linked rows.
    var statements: [SQLStatement] {
        requests.flatMap { [behind($0), Self.linked($0)].compactMap(\.self) }
    }

    private func isLocked(_ side: RelationSide) -> Bool { locks && !side.isSource && side.isField }

    /// The related rows, each behind the value that relates it.
    private func behind(_ request: Request) -> SQLStatement? {
        guard !request.wanted.isEmpty else { return nil }
        let other = request.other
        var sql = SQLBuilder(other.dialect)
        let columns = other.fields.map { "_t.\($0.column)" }.joined(separator: ", ")
        switch request.side.link {
        case .field(_, let theirs):
            let link = "_t.\(other.fields[theirs].column)"
            sql.append("SELECT \(columns), \(link) FROM \(other.table) AS _t WHERE ")
            sql.isMember(link, of: Array(request.wanted), other.fields[theirs].shape)
        case .joinTable(let join):
            sql.append("SELECT \(columns), _j.\(join.own) FROM \(join.table) AS _j JOIN \(other.table) AS _t")
            sql.append(" ON _t.\(other.key.column) = _j.\(join.theirs) WHERE ")
            sql.isMember("_j.\(join.own)", of: Array(request.wanted), request.own.key.shape)
        }
        Self.appendConditions(request, to: &sql)
        sql.append(" ORDER BY _t.\(other.key.column) LIMIT ")
        sql.bind(stored: .integer(Int64(Self.maximumTotal + 1)))
        if other.dialect == .postgres, isLocked(request.side) { sql.append(" FOR SHARE OF _t") }
        return sql.statement(.values)
    }

    private static func linked(_ request: Request) -> SQLStatement? {
        guard !request.wantedKeys.isEmpty else { return nil }
        let other = request.other
        var sql = SQLBuilder(other.dialect)
        sql.append("SELECT \(other.fields.map { "_t.\($0.column)" }.joined(separator: ", ")) FROM \(other.table) AS _t")
        sql.append(" WHERE ")
        sql.isMember("_t.\(other.key.column)", of: Array(request.wantedKeys), other.key.shape)
        appendConditions(request, to: &sql)
        return sql.statement(.values)
    }

    private static func appendConditions(_ request: Request, to sql: inout SQLBuilder) {
        if request.other.softDelete { sql.append(" AND _t.\(request.other.deletedAtColumn) IS NULL") }
        guard request.isFiltered else { return }
        sql.append(" AND (")
        for (index, load) in request.loads.enumerated() {
            sql.append(index > 0 ? " OR (" : "(")
            for (position, condition) in load.conditions.enumerated() {
                if position > 0 { sql.append(" AND ") }
                condition.append(to: &sql, of: .named("_t"))
            }
            sql.append(")")
        }
        sql.append(")")
    }

    /// Takes what ``statements`` gave.
    mutating func take(_ results: [StatementResult]) {
        var results = results[...]
        for index in requests.indices {
            let request = requests[index]
            let (own, other) = (request.own, request.other)
            if behind(request) != nil, let result = results.popFirst() {
                if result.rowCount > Self.maximumTotal { requests[index].isTooLarge = true }
                let shape =
                    switch request.side.link {
                    case .field(_, let theirs): other.fields[theirs].shape
                    case .joinTable: own.key.shape
                    }
                for row in result.rows where row.count == other.fields.count + 1 {
                    let link = own.dialect.fieldValue(row[other.fields.count], shape)
                    requests[index].stored[link, default: []].append(Self.stored(row, other))
                }
                requests[index].known.formUnion(request.wanted)
                requests[index].wanted = []
            }
            if Self.linked(request) != nil, let result = results.popFirst() {
                for row in result.rows where row.count == other.fields.count {
                    let stored = Self.stored(row, other)
                    requests[index].storedByKey[stored.key] = stored
                }
                requests[index].wantedKeys = []
            }
        }
        isMissing = false
    }

    private static func stored(_ row: [SQLValue], _ entity: EntityModel) -> Stored {
        Stored(key: entity.dialect.fieldValue(row[entity.keyIndex], entity.key.shape), row: row)
    }

    // MARK: what is known

    /// A related record: stored, or a row of the write.
    private enum Found {
        case stored(Stored)
        case written(Int)
    }

    /// What a load gives for a row: a list, or one record or null.
    ///
    /// - Throws: where there are more records than rules may look at, or where they were not read: then
    ///   ``isMissing`` says so, and ``statements`` read them.
    mutating func value(
        of load: RelatedLoad,
        for index: Int,
        _ rows: [PlannedRow]
    ) throws(EvaluationFailure) -> ExpressionValue {
        let row = rows[index]
        let place = self.index(of: load.side, row.entity) ?? addRequest(load, row.entity)
        guard !requests[place].isTooLarge else {
            throw EvaluationFailure(
                "the rules of this request look at more than \(Self.maximumTotal) records of \"\(load.side.name)\""
            )
        }
        if let parent = parent(requests[place], row, rows) {
            let values = isWanted(parent, load, rows) ? [record(parent, load.other, rows)] : []
            return load.side.isMany ? .array(values) : values.first ?? .null
        }
        if let link = link(load.side, row), !requests[place].known.contains(link) {
            requests[place].wanted.insert(link)
            isMissing = true
            throw EvaluationFailure("\"\(load.side.name)\" is not read yet")
        }
        let all = found(requests[place], index, row, rows).filter { isWanted($0, load, rows) }
        guard all.count <= Self.maximumRecords else {
            throw EvaluationFailure(
                "\"\(load.side.name)\" has more than \(Self.maximumRecords) records, too many to look at"
            )
        }
        var values: [ExpressionValue] = []
        for found in all { values.append(record(found, load.other, rows)) }
        return load.side.isMany ? .array(values) : values.first ?? .null
    }

    /// The row above, where the relation leads to it.
    private func parent(_ request: Request, _ row: PlannedRow, _ rows: [PlannedRow]) -> Found? {
        guard case .field(let own, let theirs) = request.side.link, !request.side.isSource, let parent = row.parent,
            parent.theirs == own, parent.own == theirs, rows[parent.row].entity.name == request.other.name
        else { return nil }
        return .written(parent.row)
    }

    private func found(_ request: Request, _ index: Int, _ row: PlannedRow, _ rows: [PlannedRow]) -> [Found] {
        let other = request.other.name
        switch request.side.link {
        case .field(let own, _):
            let link = row.value(own)
            let written = (link.flatMap { request.written[$0] } ?? []) + (request.writtenBelow[index] ?? [])
            var waiting = Set(written)
            var all: [Found] = []
            for stored in link.flatMap({ request.stored[$0] }) ?? [] {
                guard let place = writtenKeys[other]?[stored.key] else {
                    all.append(.stored(stored))
                    continue
                }
                // A row that is deleted, or that leaves, is written and not waiting.
                if waiting.remove(place) != nil { all.append(.written(place)) }
            }
            return all + written.filter(waiting.contains).map(Found.written)
        case .joinTable:
            var all: [Found] = []
            var keys = request.unlinked[index] ?? []
            for stored in row.key.flatMap({ request.stored[$0] }) ?? [] where keys.insert(stored.key).inserted {
                all.append(found(stored, other))
            }
            for target in request.linked[index] ?? [] {
                switch target {
                case .row(let place):
                    if rows[place].key.map({ keys.insert($0).inserted }) ?? true { all.append(.written(place)) }
                case .key(let key):
                    if keys.insert(key).inserted, let stored = request.storedByKey[key] {
                        all.append(found(stored, other))
                    }
                }
            }
            return all.filter { if case .written(let place) = $0 { rows[place].action != .delete } else { true } }
        }
    }

    private func found(_ stored: Stored, _ entity: String) -> Found {
        writtenKeys[entity]?[stored.key].map(Found.written) ?? .stored(stored)
    }

    private func isWanted(_ found: Found, _ load: RelatedLoad, _ rows: [PlannedRow]) -> Bool {
        load.conditions.allSatisfy { condition in
            guard let index = load.other.index(of: condition.field.name) else { return false }
            switch found {
            case .stored(let stored):
                return condition.holds(
                    of: load.other.dialect.fieldValue(stored.row[index], load.other.fields[index].shape)
                )
            case .written(let place): return condition.holds(of: rows[place].value(index) ?? .null)
            }
        }
    }

    private mutating func record(_ found: Found, _ entity: EntityModel, _ rows: [PlannedRow]) -> ExpressionValue {
        let keys = snapshot.recordTypes[entity.name]?.keys ?? ObjectType(entity.definition).keys
        switch found {
        case .written(let place):
            let row = rows[place]
            return .object(
                ExpressionObject(
                    keys,
                    entity.fields.indices.map {
                        ExpressionValue(row.value($0) ?? .null, type: entity.fields[$0].shape.type)
                    }
                )
            )
        case .stored(let stored):
            if let known = objects[entity.name]?[stored.key] { return known }
            let values = entity.fields.indices.map { index in
                let shape = entity.fields[index].shape
                return ExpressionValue(entity.dialect.fieldValue(stored.row[index], shape), type: shape.type)
            }
            let object = ExpressionValue.object(ExpressionObject(keys, values))
            objects[entity.name, default: [:]][stored.key] = object
            return object
        }
    }
}

extension RelationSide {
    fileprivate var isField: Bool {
        if case .field = link { true } else { false }
    }
}
