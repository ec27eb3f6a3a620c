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
    }

    /// A foreign key that becomes null.
    private struct Nullified: Hashable {
        let entity: String
        let field: Int
        /// Of rows that are deleted already, which nobody changes.
        let isDeleted: Bool
    }

    private struct Step: Sendable {
        let entity: EntityModel
        let side: RelationSide
        let other: EntityModel
        let isGone: Bool
        let statement: SQLStatement
    }

    /// Rows that a `restrict` relation keeps from being deleted.
    private struct Restriction: Sendable {
        let side: RelationSide
        let own: EntityModel
        let other: EntityModel
        var links: [FieldValue]
    }

    private enum State: Sendable {
        case following
        case counting
        case done
    }

    /// How many rows one delete may take with it.
    package static let maximumRows = 100_000

    private let snapshot: AppSnapshot
    private let now: Timestamp
    private var state = State.following
    private var doomed: [String: [FieldValue: Doomed]] = [:]
    private var entityOrder: [String] = []
    private var frontier: [(entity: EntityModel, keys: [FieldValue], isGone: Bool)] = []
    private var steps: [Step] = []
    private var nullified: [Nullified: Set<FieldValue>] = [:]
    private var restrictions: [Restriction] = []
    private var joinDeletions: [SQLStatement] = []
    private var count = 0

    package init(_ snapshot: AppSnapshot, now: Timestamp) {
        self.snapshot = snapshot
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
                if side.definition.onDelete == .restrict { restrict(side, entity, other, links) }
                // A restriction is counted at the end; what is deleted already restricts nothing.
                let wants = isGone && other.softDelete || side.definition.onDelete != .restrict
                guard wants else { continue }
                let statement = related(other, theirs, links, isGone: isGone)
                steps.append(Step(entity: entity, side: side, other: other, isGone: isGone, statement: statement))
            case .joinTable(let join):
                if side.isSource, side.definition.onDelete == .restrict { restrict(side, entity, other, keys) }
                // Links to a row that is only marked as deleted stay, for it may be restored.
                if side.isSource || isGone { unlink(join, entity, keys) }
            }
        }
        return steps
    }

    private mutating func restrict(
        _ side: RelationSide,
        _ own: EntityModel,
        _ other: EntityModel,
        _ links: [FieldValue]
    ) {
        if let index = restrictions.firstIndex(where: { $0.side.name == side.name && $0.own.name == own.name }) {
            restrictions[index].links += links
        } else {
            restrictions.append(Restriction(side: side, own: own, other: other, links: links))
        }
    }

    private mutating func unlink(_ join: RelationSide.Join, _ entity: EntityModel, _ keys: [FieldValue]) {
        var sql = SQLBuilder(entity.dialect)
        sql.append("DELETE FROM \(join.table) WHERE ")
        sql.isMember(join.own, of: keys, entity.key.shape)
        joinDeletions.append(sql.statement())
    }

    /// Key, link fields, whether it is deleted: of the rows behind a foreign key, locked. Where the row above goes for
    /// good, those that are marked as deleted count too.
    private func related(_ other: EntityModel, _ theirs: Int, _ links: [FieldValue], isGone: Bool) -> SQLStatement {
        var sql = SQLBuilder(other.dialect)
        let columns = Self.linkFields(other).map { other.fields[$0].column }
        let deleted = other.softDelete ? "CASE WHEN \(other.deletedAtColumn) IS NULL THEN 0 ELSE 1 END" : "0"
        sql.append("SELECT \(columns.joined(separator: ", ")), \(deleted) FROM \(other.table) WHERE ")
        sql.isMember(other.fields[theirs].column, of: links, other.fields[theirs].shape)
        if other.softDelete, !isGone { sql.append(" AND \(other.deletedAtColumn) IS NULL") }
        sql.append(" ORDER BY \(other.key.column) LIMIT ")
        sql.bind(stored: .integer(Int64(Self.maximumRows + 1)))
        if other.dialect == .postgres { sql.append(" FOR UPDATE") }
        return sql.statement(.values)
    }

    private func restrictionCount(_ restriction: Restriction) -> SQLStatement {
        let other = restriction.other
        var sql = SQLBuilder(other.dialect)
        let goes = doomed[other.name].map { Array($0.keys) } ?? []
        switch restriction.side.link {
        case .field(_, let theirs):
            sql.append("SELECT count(*) FROM \(other.table) AS t WHERE ")
            sql.isMember("t.\(other.fields[theirs].column)", of: restriction.links, other.fields[theirs].shape)
        case .joinTable(let join):
            sql.append("SELECT count(*) FROM \(join.table) AS j JOIN \(other.table) AS t")
            sql.append(" ON t.\(other.key.column) = j.\(join.theirs) WHERE ")
            sql.isMember("j.\(join.own)", of: restriction.links, restriction.own.key.shape)
        }
        if other.softDelete { sql.append(" AND t.\(other.deletedAtColumn) IS NULL") }
        if !goes.isEmpty {
            sql.append(" AND NOT ")
            sql.isMember("t.\(other.key.column)", of: goes, other.key.shape)
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
                let message = "\(count) of \(restriction.other.name) are related to the \(restriction.own.name)"
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
        guard case .field(_, let theirs) = step.side.link else { return }
        guard count + result.rowCount <= Self.maximumRows else {
            throw RequestFailure(
                .conflict,
                "More than \(Self.maximumRows) records would go with it; delete those of \(step.other.name) first"
            )
        }
        let other = step.other
        let fields = Self.linkFields(other)
        let canBeNull = !other.fields[theirs].definition.isMandatory && theirs != other.keyIndex
        for row in result.rows where row.count == fields.count + 1 {
            let key = other.dialect.fieldValue(row[0], other.key.shape)
            var links: [Int: FieldValue] = [:]
            for (position, index) in fields.enumerated() {
                links[index] = other.dialect.fieldValue(row[position], other.fields[index].shape)
            }
            let isDeleted = row[fields.count] == .integer(1)
            let cascades = !isDeleted && step.side.definition.onDelete == .cascade
            // A key that nothing has any more can't stay; a row that can't be without it goes too.
            let loses = step.isGone && (isDeleted || other.softDelete)
            if cascades || (loses && !canBeNull && step.side.definition.onDelete != .restrict)
                || (isDeleted && !canBeNull)
            {
                doom(key, Doomed(isGone: !other.softDelete || (loses && !canBeNull), links: links), other)
            }
            // A living row behind `restrict` goes by another way, or nothing goes at all.
            if canBeNull, !cascades || step.isGone {
                let isUntouched =
                    isDeleted || step.side.definition.onDelete != .setNull && step.side.definition.onDelete != .detach
                let what = Nullified(entity: other.name, field: theirs, isDeleted: isUntouched)
                nullified[what, default: []].insert(key)
            }
        }
    }

    // MARK: writing

    /// What makes it so, in an order in which no key names a row that is gone.
    package var changes: [SQLStatement] {
        joinDeletions + nullifications + cutCycles + markings + removals
    }

    private var nullifications: [SQLStatement] {
        let order = nullified.keys.sorted {
            ($0.entity, $0.field, $0.isDeleted ? 1 : 0) < ($1.entity, $1.field, $1.isDeleted ? 1 : 0)
        }
        return order.compactMap { what in
            guard let entity = snapshot.model(what.entity) else { return nil }
            let keys = (nullified[what] ?? []).filter { doomed[what.entity]?[$0]?.isGone != true }
            guard !keys.isEmpty else { return nil }
            var sql = SQLBuilder(entity.dialect)
            sql.append("UPDATE \(entity.table) SET \(entity.fields[what.field].column) = NULL")
            if !what.isDeleted {
                for field in entity.fields where field.definition.auto == .update {
                    sql.append(", \(field.column) = ")
                    sql.bind(field.value(at: now))
                }
            }
            sql.append(" WHERE ")
            sql.isMember(entity.key.column, of: Array(keys), entity.key.shape)
            return sql.statement()
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
