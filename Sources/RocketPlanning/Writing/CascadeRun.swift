package import RocketModel

/// What goes with rows that are deleted: level by level along the relations of which they are the source, to any depth
/// and through cycles, until it is known which rows go, which keys become null, and what stands in the way. Then all
/// of it is written.
package struct CascadeRun: Sendable {
    private struct Doomed: Sendable {
        /// For good, rather than marked as deleted.
        var isGone: Bool
        /// The fields by which relations lead on from the row.
        var links: [Int: FieldValue]
        /// The whole row, where rules are to judge it or somebody is told of it.
        var row: [SQLValue]?
    }

    /// Rows that go with those above, or lose a key by it.
    private struct Step: Sendable {
        enum Fate: Sendable {
            /// - Parameter isGone: for good, whatever their entity does.
            case goes(isGone: Bool)
            case loses(field: Int)
        }

        let other: EntityModel
        let fate: Fate
        let statement: SQLStatement
    }

    /// Rows that a `restrict` relation keeps from being deleted.
    private struct Restriction: Sendable {
        let side: RelationSide
        var behind: Behind
    }

    private enum State: Sendable {
        case following
        case counting
        case done
    }

    /// How many rows one delete may take with it.
    package static let maximumRows = 100_000

    private let access: Access
    private let now: Timestamp
    private var snapshot: AppSnapshot { access.snapshot }
    private var state = State.following
    private var doomed: [String: [FieldValue: Doomed]] = [:]
    private var entityOrder: [String] = []
    private var frontier: [(entity: EntityModel, keys: [FieldValue], isGone: Bool)] = []
    private var steps: [Step] = []
    private var nullifications: [SQLStatement] = []
    /// Rows that lose a key, where somebody is told of them.
    private var losers: [String: [FieldValue: PlannedRow]] = [:]
    private var restrictions: [Restriction] = []
    private var joinDeletions: [SQLStatement] = []
    private var count = 0

    package init(_ access: Access, now: Timestamp) {
        self.access = access
        self.now = now
    }

    /// - Parameter isGone: whether the row goes for good though its entity only marks rows as deleted.
    package mutating func add(_ row: [SQLValue], of entity: EntityModel, isGone: Bool = false) {
        let key = entity.dialect.fieldValue(row[entity.keyIndex], entity.key.shape)
        var links: [Int: FieldValue] = [:]
        for index in Self.linkFields(entity) {
            links[index] = entity.dialect.fieldValue(row[index], entity.fields[index].shape)
        }
        doom(key, Doomed(isGone: isGone || !entity.softDelete, links: links), entity)
    }

    package var isEmpty: Bool { doomed.isEmpty }

    private mutating func doom(_ key: FieldValue, _ row: Doomed, _ entity: EntityModel) {
        if let earlier = doomed[entity.name]?[key], earlier.isGone || !row.isGone { return }
        if doomed[entity.name] == nil { entityOrder.append(entity.name) }
        doomed[entity.name, default: [:]][key] = row
        count += 1
        if let index = frontier.firstIndex(where: { $0.entity.name == entity.name && $0.isGone == row.isGone }) {
            frontier[index].keys.append(key)
        } else {
            frontier.append((entity, [key], row.isGone))
        }
    }

    /// The rows that go along relations, for their own rules to judge, and those that lose a key: all but those of which
    /// ``add(_:of:isGone:)`` told.
    package var followingRows: [PlannedRow] {
        let going = entityOrder.flatMap { name -> [PlannedRow] in
            guard let entity = snapshot.model(name) else { return [] }
            return (doomed[name] ?? [:]).values.compactMap { $0.row }
                .sorted { left, right in Self.keyText(left, entity) < Self.keyText(right, entity) }
                .map { PlannedRow.deleted($0, of: entity, origin: .cascade) }
        }
        let losing = losers.keys.sorted().flatMap { name -> [PlannedRow] in
            (losers[name] ?? [:]).filter { doomed[name]?[$0.key] == nil }
                .sorted { $0.key.json.jsonText < $1.key.json.jsonText }
                .map(\.value)
        }
        return going + losing
    }

    private static func keyText(_ row: [SQLValue], _ entity: EntityModel) -> String {
        entity.dialect.fieldValue(row[entity.keyIndex], entity.key.shape).json.jsonText
    }

    /// The fields that are read of rows that go along relations.
    private func readFields(_ entity: EntityModel) -> [Int] {
        isReadWhole(entity) ? Array(entity.fields.indices) : Self.linkFields(entity)
    }

    private func isReadWhole(_ entity: EntityModel) -> Bool {
        guard let logic = snapshot.logic(of: entity) else { return false }
        return logic.judgesDeletes || logic.announcesDeletes
    }

    /// The fields by which relations lead on from rows of an entity.
    private static func linkFields(_ entity: EntityModel) -> [Int] {
        var fields = [entity.keyIndex]
        for side in entity.relations where side.isSource {
            if case .field(let own, _) = side.link, !fields.contains(own) { fields.append(own) }
        }
        return fields
    }

    // MARK: following

    /// The statements of the next level; none when all is known.
    package mutating func statements() -> [SQLStatement] {
        while state != .done {
            switch state {
            case .following:
                let level = frontier
                frontier = []
                steps = level.flatMap { makeSteps($0.entity, $0.keys, isGone: $0.isGone) }
                if !steps.isEmpty { return steps.map(\.statement) }
                if frontier.isEmpty {
                    state = .counting
                    let counts = restrictions.map(restrictionCount)
                    if !counts.isEmpty { return counts }
                }
            case .counting: state = .done
            case .done: break
            }
        }
        return []
    }

    private mutating func makeSteps(_ entity: EntityModel, _ keys: [FieldValue], isGone: Bool) -> [Step] {
        var steps: [Step] = []
        for side in entity.relations {
            guard let other = snapshot.model(side.other) else { continue }
            switch side.link {
            case .field(let own, let theirs):
                guard side.isSource else { continue }
                let links = keys.compactMap { doomed[entity.name]?[$0]?.links[own] }.filter { !$0.isNull }
                guard !links.isEmpty else { continue }
                let behind = Behind(entity: entity, own: own, other: other, theirs: theirs, links: links)
                steps += makeSteps(side, behind, isGone: isGone)
            case .joinTable(let join):
                if side.isSource, side.definition.onDelete == .restrict {
                    restrict(side, Behind(entity: entity, own: entity.keyIndex, other: other, theirs: 0, links: keys))
                }
                // Links to a row that is only marked as deleted stay, for it may be restored.
                if side.isSource || isGone { unlink(side, join, entity, other, keys) }
            }
        }
        return steps
    }

    /// The rows behind a foreign key, of some rows above.
    private struct Behind: Sendable {
        let entity: EntityModel
        let own: Int
        let other: EntityModel
        let theirs: Int
        var links: [FieldValue]

        /// Whether the key can be without a value.
        var canBeNull: Bool { !other.fields[theirs].definition.isMandatory && theirs != other.keyIndex }
    }

    /// Which of the rows behind a foreign key there are.
    private enum Which {
        case living
        case deleted
        case all
    }

    private mutating func makeSteps(_ side: RelationSide, _ behind: Behind, isGone: Bool) -> [Step] {
        // A key that nothing has any more can't stay, also where the row is only marked, or was before.
        let losesKey = isGone && behind.other.softDelete
        switch side.definition.onDelete {
        case .setNull, .detach:
            nullify(behind, .living, isChange: true)
            if losesKey { nullify(behind, .deleted, isChange: false) }
            guard snapshot.logic(of: behind.other)?.announcesWrites == true else { return [] }
            return [step(behind, .living, .loses(field: behind.theirs))]
        case .cascade:
            guard losesKey else { return [step(behind, .living, .goes(isGone: false))] }
            guard behind.canBeNull else { return [step(behind, .all, .goes(isGone: true))] }
            nullify(behind, .all, isChange: false)
            return [step(behind, .living, .goes(isGone: false))]
        case .restrict:
            restrict(side, behind)
            guard losesKey else { return [] }
            guard behind.canBeNull else { return [step(behind, .deleted, .goes(isGone: true))] }
            // Those that live go by another way, or nothing goes at all.
            nullify(behind, .all, isChange: false)
            return []
        }
    }

    /// `key = ANY(…)` of the rows behind, without those that another row above has too: a field beside the key is
    /// unique among living rows only.
    private func appendBehind(_ behind: Behind, _ which: Which, prefix: String, to sql: inout SQLBuilder) {
        let (entity, other) = (behind.entity, behind.other)
        let column = "\(prefix)\(other.fields[behind.theirs].column)"
        sql.isMember(column, of: behind.links, other.fields[behind.theirs].shape)
        if other.softDelete, which != .all {
            sql.append(" AND \(prefix)\(other.deletedAtColumn) IS \(which == .living ? "NULL" : "NOT NULL")")
        }
        guard behind.own != entity.keyIndex, entity.softDelete else { return }
        sql.append(
            " AND NOT EXISTS (SELECT 1 FROM \(entity.table) AS _o WHERE _o.\(entity.fields[behind.own].column) = "
        )
        sql.append("\(prefix.isEmpty ? "\(other.table)." : prefix)\(other.fields[behind.theirs].column)")
        sql.append(" AND _o.\(entity.deletedAtColumn) IS NULL AND NOT ")
        sql.isMember("_o.\(entity.key.column)", of: Array((doomed[entity.name] ?? [:]).keys), entity.key.shape)
        sql.append(")")
    }

    private mutating func nullify(_ behind: Behind, _ which: Which, isChange: Bool) {
        let other = behind.other
        if let trail = access.trail(of: other) {
            let new = Trail.json([behind.theirs: .null], of: other, withNulls: true)
            nullifications.append(
                trail.keep(.update, of: other, old: [behind.theirs], new: new) {
                    appendBehind(behind, which, prefix: "", to: &$0)
                }
            )
        }
        var sql = SQLBuilder(other.dialect)
        sql.append("UPDATE \(other.table) SET \(other.fields[behind.theirs].column) = NULL")
        if isChange {
            for field in other.fields where field.definition.auto == .update {
                sql.append(", \(field.column) = ")
                sql.bind(field.value(at: now))
            }
        }
        sql.append(" WHERE ")
        appendBehind(behind, which, prefix: "", to: &sql)
        nullifications.append(sql.statement())
    }

    private mutating func restrict(_ side: RelationSide, _ behind: Behind) {
        if let index = restrictions.firstIndex(where: {
            $0.side.name == side.name && $0.behind.entity.name == behind.entity.name
        }) {
            restrictions[index].behind.links += behind.links
        } else {
            restrictions.append(Restriction(side: side, behind: behind))
        }
    }

    private mutating func unlink(
        _ side: RelationSide,
        _ join: RelationSide.Join,
        _ entity: EntityModel,
        _ other: EntityModel,
        _ keys: [FieldValue]
    ) {
        let source = side.isSource ? entity : other
        if let trail = access.trail(of: source) {
            let columns = side.isSource ? (join.own, join.theirs) : (join.theirs, join.own)
            joinDeletions.append(
                trail.keepUnlinking(
                    side.definition.name,
                    of: source,
                    in: join.table,
                    source: columns.0,
                    target: columns.1
                ) { $0.isMember(join.own, of: keys, entity.key.shape) }
            )
        }
        var sql = SQLBuilder(entity.dialect)
        sql.append("DELETE FROM \(join.table) WHERE ")
        sql.isMember(join.own, of: keys, entity.key.shape)
        joinDeletions.append(sql.statement())
    }

    /// The keys and link fields of the rows behind a foreign key, locked.
    private func step(_ behind: Behind, _ which: Which, _ fate: Step.Fate) -> Step {
        let other = behind.other
        var sql = SQLBuilder(other.dialect)
        var columns = fields(other, fate).map { other.fields[$0].column }
        if other.softDelete { columns.append("CASE WHEN \(other.deletedAtColumn) IS NULL THEN 1 ELSE 0 END") }
        sql.append("SELECT \(columns.joined(separator: ", ")) FROM \(other.table) WHERE ")
        appendBehind(behind, which, prefix: "", to: &sql)
        sql.append(" ORDER BY \(other.key.column) LIMIT ")
        sql.bind(stored: .integer(Int64(Self.maximumRows + 1)))
        if other.dialect == .postgres { sql.append(" FOR UPDATE OF \(other.table)") }
        return Step(other: other, fate: fate, statement: sql.statement(.values))
    }

    /// What is read of the rows of a step.
    private func fields(_ other: EntityModel, _ fate: Step.Fate) -> [Int] {
        if case .loses = fate { return Array(other.fields.indices) }
        return readFields(other)
    }

    private func restrictionCount(_ restriction: Restriction) -> SQLStatement {
        let behind = restriction.behind
        let other = behind.other
        var sql = SQLBuilder(other.dialect)
        let goes = doomed[other.name].map { Array($0.keys) } ?? []
        switch restriction.side.link {
        case .field:
            sql.append("SELECT count(*) FROM \(other.table) AS _t WHERE ")
            appendBehind(behind, .living, prefix: "_t.", to: &sql)
        case .joinTable(let join):
            sql.append("SELECT count(*) FROM \(join.table) AS _j JOIN \(other.table) AS _t")
            sql.append(" ON _t.\(other.key.column) = _j.\(join.theirs) WHERE ")
            sql.isMember("_j.\(join.own)", of: behind.links, behind.entity.key.shape)
            if other.softDelete { sql.append(" AND _t.\(other.deletedAtColumn) IS NULL") }
        }
        if !goes.isEmpty {
            sql.append(" AND NOT ")
            sql.isMember("_t.\(other.key.column)", of: goes, other.key.shape)
        }
        return sql.statement(.values)
    }

    /// - Throws: 409 where a `restrict` relation stands in the way, with the count, or where too much would go.
    package mutating func take(_ results: [StatementResult]) throws(RequestFailure) {
        switch state {
        case .following:
            for (step, result) in zip(steps, results) { try take(result, step) }
        case .counting:
            var details: [FailureDetail] = []
            for (restriction, result) in zip(restrictions, results) {
                let count = result.rows.first?.first?.integerValue ?? 0
                guard count > 0 else { continue }
                let behind = restriction.behind
                let message = "\(count) of \(behind.other.name) are related to the \(behind.entity.name)"
                details.append(FailureDetail(field: restriction.side.name, rule: .relation, message: message))
            }
            guard details.isEmpty else {
                let all = details.map(\.message).joined(separator: "; ")
                throw RequestFailure(.conflict, "It can't be deleted: \(all)", details: details)
            }
        case .done: break
        }
    }

    private mutating func take(_ result: StatementResult, _ step: Step) throws(RequestFailure) {
        guard count + result.rowCount <= Self.maximumRows else {
            throw RequestFailure(
                .conflict,
                "More than \(Self.maximumRows) records would go with it; delete those of \(step.other.name) first"
            )
        }
        let other = step.other
        guard case .goes(let isGone) = step.fate else { return takeLosers(result, step) }
        let fields = readFields(other)
        let isReadWhole = isReadWhole(other)
        let keyPosition = fields.firstIndex(of: other.keyIndex) ?? 0
        let linkFields = Self.linkFields(other)
        for row in result.rows where row.count >= fields.count {
            let key = other.dialect.fieldValue(row[keyPosition], other.key.shape)
            var links: [Int: FieldValue] = [:]
            for (position, index) in fields.enumerated() where linkFields.contains(index) {
                links[index] = other.dialect.fieldValue(row[position], other.fields[index].shape)
            }
            // One that was deleted before is nobody's business any more.
            let isLiving = !other.softDelete || row.last == .integer(1)
            let row = isReadWhole && isLiving ? row : nil
            doom(key, Doomed(isGone: isGone || !other.softDelete, links: links, row: row), other)
        }
    }

    /// What becomes of them is what ``nullify(_:_:isChange:)`` writes.
    private mutating func takeLosers(_ result: StatementResult, _ step: Step) {
        guard case .loses(let field) = step.fate else { return }
        let other = step.other
        count += result.rowCount
        for row in result.rows {
            let key = other.dialect.fieldValue(row[other.keyIndex], other.key.shape)
            var values: [Int: FieldValue] = [field: .null]
            for (index, field) in other.fields.enumerated() where field.definition.auto == .update {
                values[index] = field.value(at: now)
            }
            losers[other.name, default: [:]][key, default: .changed(row, of: other)].values.merge(values) { $1 }
        }
    }

    /// Whether the row goes.
    package func dooms(_ key: FieldValue, of entity: EntityModel) -> Bool {
        doomed[entity.name]?[key] != nil
    }

    // MARK: writing

    /// What makes it so, in an order in which no key names a row that is gone.
    package var changes: [SQLStatement] {
        joinDeletions + nullifications + trail + cutCycles + markings + removals
    }

    /// Entries of all that goes, while it is there.
    private var trail: [SQLStatement] {
        entityOrder.flatMap { name -> [SQLStatement] in
            guard let entity = snapshot.model(name), let trail = access.trail(of: entity) else { return [] }
            return [false, true].compactMap { isGone in
                let keys = keys(name, isGone: isGone)
                guard !keys.isEmpty else { return nil }
                return trail.keepDeletion(of: entity) { sql in
                    sql.isMember(entity.key.column, of: keys, entity.key.shape)
                    if !isGone { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
                }
            }
        }
    }

    private func keys(_ entity: String, isGone: Bool) -> [FieldValue] {
        (doomed[entity] ?? [:]).filter { $0.value.isGone == isGone }.map(\.key)
    }

    private var markings: [SQLStatement] {
        entityOrder.compactMap { name in
            let keys = keys(name, isGone: false)
            guard let entity = snapshot.model(name), !keys.isEmpty else { return nil }
            var sql = SQLBuilder(entity.dialect)
            sql.append("UPDATE \(entity.table) SET \(entity.deletedAtColumn) = ")
            sql.bind(.timestamp(now))
            sql.append(" WHERE ")
            sql.isMember(entity.key.column, of: keys, entity.key.shape)
            sql.append(" AND \(entity.deletedAtColumn) IS NULL")
            return sql.statement()
        }
    }

    /// Entities whose rows go for good, each before those that its foreign keys name; and the relations of a cycle, of
    /// which one must be cut.
    private var removalOrder: (entities: [EntityModel], cut: [(EntityModel, Int)]) {
        let going = entityOrder.compactMap { snapshot.model($0) }.filter { !keys($0.name, isGone: true).isEmpty }
        var done: [EntityModel] = []
        var cut: [(EntityModel, Int)] = []
        var path: Set<String> = []
        func visit(_ entity: EntityModel) {
            path.insert(entity.name)
            for side in entity.relations where side.isSource && side.other != entity.name {
                guard case .field(_, let theirs) = side.link,
                    let child = going.first(where: { $0.name == side.other })
                else { continue }
                if path.contains(child.name) {
                    cut.append((child, theirs))
                } else if !done.contains(where: { $0.name == child.name }) {
                    visit(child)
                }
            }
            path.remove(entity.name)
            done.append(entity)
        }
        for entity in going where !done.contains(where: { $0.name == entity.name }) { visit(entity) }
        return (done, cut)
    }

    private var cutCycles: [SQLStatement] {
        removalOrder.cut.map { entity, field in
            var sql = SQLBuilder(entity.dialect)
            sql.append("UPDATE \(entity.table) SET \(entity.fields[field].column) = NULL WHERE ")
            sql.isMember(entity.key.column, of: keys(entity.name, isGone: true), entity.key.shape)
            return sql.statement()
        }
    }

    private var removals: [SQLStatement] {
        removalOrder.entities.map { entity in
            var sql = SQLBuilder(entity.dialect)
            sql.append("DELETE FROM \(entity.table) WHERE ")
            sql.isMember(entity.key.column, of: keys(entity.name, isGone: true), entity.key.shape)
            return sql.statement()
        }
    }
}
