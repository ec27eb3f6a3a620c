import RocketExpression
import RocketModel

/// Related records that a program looks at.
struct RelatedLoad: Sendable {
    let side: RelationSide
    let other: EntityModel
    let conditions: [FieldCondition]
}

/// The records that are related to rows under judgement. One statement reads a relation for all rows of a round,
/// however many rules look at it; what the write itself changes is laid over it, because rules see what will be stored.
struct RelatedRecords: Sendable {
    /// One relation of one entity.
    private struct Request: Sendable {
        let own: EntityModel
        let side: RelationSide
        let other: EntityModel
        /// The conditions of each load; nil where one wants all.
        var conditions: [[FieldCondition]]?
        var links: Set<FieldValue> = []
        /// Rows that the write links beside those that are linked already.
        var keys: Set<FieldValue> = []
        var stored: [FieldValue: [Stored]] = [:]
        var storedByKey: [FieldValue: Stored] = [:]
        var isTooLarge = false
        /// Rows of the write by the value that relates them, and by the row above them.
        var written: [FieldValue: [Int]] = [:]
        var writtenBelow: [Int: [Int]] = [:]
        var linked: [Int: [PlannedLink]] = [:]
        var unlinked: [Int: Set<FieldValue>] = [:]
    }

    private struct Stored: Sendable {
        let key: FieldValue
        let row: [SQLValue]
    }

    /// How many records of a relation the rules of one request may look at.
    static let maximumRecords = 20_000

    private let snapshot: AppSnapshot
    private var requests: [Request] = []
    /// Which rows of the write stand for which stored ones.
    private var writtenKeys: [String: [FieldValue: Int]] = [:]
    private var objects: [String: [FieldValue: ExpressionValue]] = [:]

    init(_ snapshot: AppSnapshot) {
        self.snapshot = snapshot
    }

    // MARK: what is read

    /// Looks at what the rows of a round want to know.
    ///
    /// - Parameters:
    ///   - rows: all rows of the write.
    ///   - round: those that are judged now; nil for all.
    ///   - loads: what a row wants; nil for what the logic of its entity does.
    init(
        _ snapshot: AppSnapshot,
        of rows: [PlannedRow],
        _ links: [PlannedLink] = [],
        _ unlinks: [PlannedLink] = [],
        round: Range<Int>? = nil,
        loads: ((PlannedRow) -> [RelatedLoad])? = nil
    ) {
        self.init(snapshot)
        for row in rows[round ?? rows.indices] {
            for load in loads?(row) ?? snapshot.logic(of: row.entity)?.loads(for: row) ?? [] { want(load, of: row) }
        }
        guard !requests.isEmpty else { return }
        overlay(rows, links, unlinks)
    }

    private mutating func want(_ load: RelatedLoad, of row: PlannedRow) {
        let request = self.index(of: load, row.entity)
        if load.conditions.isEmpty {
            requests[request].conditions = nil
        } else if requests[request].conditions != nil {
            requests[request].conditions?.append(load.conditions)
        }
        // A row that is made has nothing behind its own key yet.
        let own = load.side.ownField(of: row.entity)
        if row.action == .create, own == row.entity.keyIndex, load.side.isSource || !load.side.isField { return }
        if let link = row.value(own), !link.isNull { requests[request].links.insert(link) }
    }

    private mutating func index(of load: RelatedLoad, _ own: EntityModel) -> Int {
        if let index = requests.firstIndex(where: { $0.own.name == own.name && $0.side.name == load.side.name }) {
            return index
        }
        requests.append(Request(own: own, side: load.side, other: load.other, conditions: []))
        return requests.count - 1
    }

    /// Notes which rows of the write are behind which relation.
    private mutating func overlay(_ rows: [PlannedRow], _ links: [PlannedLink], _ unlinks: [PlannedLink]) {
        for (index, row) in rows.enumerated() {
            if let key = row.key { writtenKeys[row.entity.name, default: [:]][key] = index }
        }
        for request in requests.indices {
            let (side, other) = (requests[request].side, requests[request].other)
            switch side.link {
            case .field(let own, let theirs):
                for (index, row) in rows.enumerated() where row.action != .delete && row.entity.name == other.name {
                    if let parent = row.parent, parent.theirs == theirs, parent.own == own, side.isSource,
                        rows[parent.row].entity.name == requests[request].own.name
                    {
                        requests[request].writtenBelow[parent.row, default: []].append(index)
                    } else if let link = row.value(theirs), !link.isNull {
                        requests[request].written[link, default: []].append(index)
                    }
                }
            case .joinTable:
                note(links, unlinks, request, rows)
            }
        }
    }

    private mutating func note(_ links: [PlannedLink], _ unlinks: [PlannedLink], _ request: Int, _ rows: [PlannedRow]) {
        let (side, own) = (requests[request].side, requests[request].own)
        func isHere(_ link: PlannedLink) -> Bool {
            link.side.name == side.name && rows[link.parent].entity.name == own.name
        }
        for link in links where isHere(link) {
            requests[request].linked[link.parent, default: []].append(link)
            if case .key(let key) = link.target { requests[request].keys.insert(key) }
        }
        for link in unlinks where isHere(link) {
            guard case .key(let key) = link.target else { continue }
            requests[request].unlinked[link.parent, default: []].insert(key)
        }
    }

    /// One statement for each relation that has anything to read, and one for newly linked rows.
    var statements: [SQLStatement] {
        requests.flatMap { [Self.behind($0), Self.linked($0)].compactMap(\.self) }
    }

    /// The related rows, each behind the value that relates it.
    private static func behind(_ request: Request) -> SQLStatement? {
        guard !request.links.isEmpty else { return nil }
        let other = request.other
        var sql = SQLBuilder(other.dialect)
        let columns = other.fields.map { "_t.\($0.column)" }.joined(separator: ", ")
        switch request.side.link {
        case .field(_, let theirs):
            let link = "_t.\(other.fields[theirs].column)"
            sql.append("SELECT \(columns), \(link) FROM \(other.table) AS _t WHERE ")
            sql.isMember(link, of: Array(request.links), other.fields[theirs].shape)
        case .joinTable(let join):
            sql.append("SELECT \(columns), _j.\(join.own) FROM \(join.table) AS _j JOIN \(other.table) AS _t")
            sql.append(" ON _t.\(other.key.column) = _j.\(join.theirs) WHERE ")
            sql.isMember("_j.\(join.own)", of: Array(request.links), request.own.key.shape)
        }
        appendConditions(request, to: &sql)
        sql.append(" ORDER BY _t.\(other.key.column) LIMIT ")
        sql.bind(stored: .integer(Int64(maximumRecords + 1)))
        return sql.statement(.values)
    }

    private static func linked(_ request: Request) -> SQLStatement? {
        guard !request.keys.isEmpty else { return nil }
        let other = request.other
        var sql = SQLBuilder(other.dialect)
        sql.append("SELECT \(other.fields.map { "_t.\($0.column)" }.joined(separator: ", ")) FROM \(other.table) AS _t")
        sql.append(" WHERE ")
        sql.isMember("_t.\(other.key.column)", of: Array(request.keys), other.key.shape)
        appendConditions(request, to: &sql)
        return sql.statement(.values)
    }

    private static func appendConditions(_ request: Request, to sql: inout SQLBuilder) {
        if request.other.softDelete { sql.append(" AND _t.\(request.other.deletedAtColumn) IS NULL") }
        guard let loads = request.conditions, !loads.isEmpty else { return }
        sql.append(" AND (")
        for (index, conditions) in loads.enumerated() {
            sql.append(index > 0 ? " OR (" : "(")
            for (position, condition) in conditions.enumerated() {
                if position > 0 { sql.append(" AND ") }
                condition.append(to: &sql, of: .named("_t"))
            }
            sql.append(")")
        }
        sql.append(")")
    }

    mutating func take(_ results: [StatementResult]) {
        var results = results[...]
        for index in requests.indices {
            let (own, other) = (requests[index].own, requests[index].other)
            if Self.behind(requests[index]) != nil, let result = results.popFirst() {
                requests[index].isTooLarge = result.rowCount > Self.maximumRecords
                let linkShape =
                    switch requests[index].side.link {
                    case .field(_, let theirs): other.fields[theirs].shape
                    case .joinTable: own.key.shape
                    }
                for row in result.rows where row.count == other.fields.count + 1 {
                    let link = own.dialect.fieldValue(row[other.fields.count], linkShape)
                    let key = own.dialect.fieldValue(row[other.keyIndex], other.key.shape)
                    requests[index].stored[link, default: []].append(Stored(key: key, row: row))
                }
            }
            if Self.linked(requests[index]) != nil, let result = results.popFirst() {
                for row in result.rows where row.count == other.fields.count {
                    let key = own.dialect.fieldValue(row[other.keyIndex], other.key.shape)
                    requests[index].storedByKey[key] = Stored(key: key, row: row)
                }
            }
        }
    }

    // MARK: what is known

    /// A related record: stored, or a row of the write.
    private enum Found {
        case stored(Stored)
        case written(Int)
    }

    /// What a load gives for a row: a list, or one record or null.
    ///
    /// - Throws: where there are more records than rules may look at.
    mutating func value(
        of load: RelatedLoad,
        for index: Int,
        _ rows: [PlannedRow]
    ) throws(EvaluationFailure) -> ExpressionValue {
        let row = rows[index]
        guard
            let request = requests.first(where: { $0.own.name == row.entity.name && $0.side.name == load.side.name })
        else { return load.side.isMany ? .array([]) : .null }
        guard !request.isTooLarge else {
            throw EvaluationFailure(
                "\"\(load.side.name)\" has more than \(Self.maximumRecords) records, too many to look at"
            )
        }
        var values: [ExpressionValue] = []
        for found in self.found(request, index, row, rows) where isWanted(found, load, rows) {
            values.append(record(found, load.other, rows))
        }
        return load.side.isMany ? .array(values) : values.first ?? .null
    }

    private func found(_ request: Request, _ index: Int, _ row: PlannedRow, _ rows: [PlannedRow]) -> [Found] {
        let other = request.other.name
        switch request.side.link {
        case .field(let own, let theirs):
            if !request.side.isSource, let parent = row.parent, parent.theirs == own, parent.own == theirs,
                rows[parent.row].entity.name == other
            {
                return [.written(parent.row)]
            }
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
            for link in request.linked[index] ?? [] {
                switch link.target {
                case .row(let place): all.append(.written(place))
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
