import RocketExpression
package import RocketModel

// The rules' part of a nested write: every row of it is judged, whoever wants it written. Rules come first, of all
// rows; then computed fields, from the rows below upwards; then state machines; then what their transitions do, which
// may make rows that are judged in turn.

extension WriteTree {
    package var isJudged: Bool { judgedCount == rows.count }

    /// The entities whose slugs rules look at, and which must be made before that.
    var earlySlugEntities: Set<String> {
        var entities: Set<String> = []
        for row in rows[judgedCount...] {
            guard let logic = snapshot.logic(of: row.entity) else { continue }
            if logic.readsSlug { entities.insert(row.entity.name) }
            entities.formUnion(logic.loadedSlugs)
        }
        return entities
    }

    /// How many rows are judged: slugs are made early once for each round.
    package var round: Int { judgedCount }

    package var needsSlugsFirst: Bool {
        let entities = earlySlugEntities
        return !entities.isEmpty && rows.contains { entities.contains($0.entity.name) }
    }

    /// What must be known of related records before the next rows are judged.
    package mutating func relatedStatements() -> [SQLStatement] {
        let round = judgedCount..<rows.count
        guard !run.related.isMissing else { return run.related.statements }
        guard rows[round].contains(where: { snapshot.logic(of: $0.entity) != nil }) else { return [] }
        run.related = RelatedRecords(snapshot, of: rows, links, unlinks, round: round, locks: true)
        return run.related.statements
    }

    package mutating func takeRelated(_ results: [StatementResult]) {
        run.related.take(results)
    }

    /// Judges the rows that have not been judged. Where a computed key leads to records that nobody had foreseen, they are
    /// to be read, and the rows judged again.
    ///
    /// - Throws: 422 with all violations of the first step that finds any, 403 for a transition that is not the
    ///   caller's.
    package mutating func judge() throws(RequestFailure) {
        let before = self
        do throws(RequestFailure) {
            try judgeRound()
            guard run.related.isMissing, retries < Self.maximumRetries else { return }
        } catch {
            guard run.related.isMissing, retries < Self.maximumRetries else { throw error }
        }
        let related = run.related
        self = before
        run.related = related
        retries += 1
    }

    /// Each key that a computation makes may lead to records that the next one computes a key from.
    private static let maximumRetries = 4

    private mutating func judgeRound() throws(RequestFailure) {
        let round = judgedCount..<rows.count
        judgedCount = rows.count
        let judged = round.compactMap { index in snapshot.logic(of: rows[index].entity).map { (index, $0) } }
        guard !judged.isEmpty else { return try requireValid() }
        for (index, logic) in judged {
            violations += run.violations(of: index, in: rows, logic, incomplete: incomplete)
        }
        try requireValid()
        // Rows are computed from below, but those first that others are named by.
        let naming = Set(rows[round].compactMap { row in row.parent.flatMap { isComputed($0) ? $0.row : nil } })
        for (index, logic) in judged where naming.contains(index) && rows[index].action != .delete {
            violations += run.compute(index, in: &rows, logic)
        }
        nameParents(round)
        for (index, logic) in judged.sorted(by: { rows[$0.0].depth > rows[$1.0].depth })
        where !naming.contains(index) && rows[index].action != .delete && !logic.computations.isEmpty {
            violations += run.compute(index, in: &rows, logic)
        }
        try requireValid()
        let moves = try moves(judged)
        let depth = (rows.map(\.depth).max() ?? 0) + 1
        for move in moves { try act(move, depth: depth) }
        try requireValid()
    }

    /// Rows below one whose computed field they are related by get their foreign keys when it is computed.
    private mutating func nameParents(_ round: Range<Int>) {
        for index in round where rows[index].action != .delete {
            guard let parent = rows[index].parent, isComputed(parent), let link = rows[parent.row].value(parent.own)
            else { continue }
            guard !link.isNull else {
                let name = rows[parent.row].entity.fields[parent.own].name
                violate(rows[index].path, .relation, "the record above has no \"\(name)\" to be named by")
                continue
            }
            guard rows[index].action == .create || link != rows[parent.row].storedValue(parent.own) else { continue }
            rows[index].values[parent.theirs] = link
            if parent.theirs == rows[index].entity.keyIndex { rows[index].key = link }
        }
    }

    private struct Move {
        let row: Int
        let logic: EntityLogic
        let machine: StateMachine
        let transition: StateMachine.Transition
    }

    private mutating func moves(_ judged: [(Int, EntityLogic)]) throws(RequestFailure) -> [Move] {
        var moves: [Move] = []
        for (index, logic) in judged where rows[index].action != .delete {
            for machine in logic.machines {
                switch run.judge(machine, index, in: rows, logic) {
                case .stays: break
                case .moves(let transition):
                    moves.append(Move(row: index, logic: logic, machine: machine, transition: transition))
                case .refused(let detail): violations.append(detail)
                case .forbidden(let failure): throw failure
                }
            }
        }
        try requireValid()
        return moves
    }

    // MARK: webhooks

    /// The webhooks and workflows that the rows of the tree set off, when all of them are judged and have their keys.
    ///
    /// - Parameter written: the rows with the keys that the database has numbered.
    /// - Throws: 422 where the condition of one that the write waits for can't be evaluated.
    package mutating func announcements(_ written: [PlannedRow]) throws(RequestFailure) -> [Announcement] {
        guard rows.contains(where: { snapshot.logic(of: $0.entity)?.hasListeners == true }) else { return [] }
        var announcements: [Announcement] = []
        let rows = numbered(written)
        for index in rows.indices where rows[index].action != .update || !rows[index].values.isEmpty {
            guard let logic = snapshot.logic(of: rows[index].entity), logic.hasListeners else { continue }
            announcements += try run.announcements(of: index, in: rows, logic)
        }
        return announcements
    }

    /// The rows as they were planned, with the keys of those that were written.
    package func numbered(_ written: [PlannedRow]) -> [PlannedRow] {
        zip(rows, written).map { planned, written in
            var row = planned
            row.key = written.key
            row.values = written.values
            return row
        }
    }

    /// Whether what is told of the rows is known before they are written.
    package var knowsItsRows: Bool { rows.allSatisfy { $0.action != .create || $0.key != nil } }

    // MARK: actions

    private mutating func act(_ move: Move, depth: Int) throws(RequestFailure) {
        let state = rows[move.row].entity.fields[move.machine.field].name
        for action in move.transition.actions {
            do throws(ActionFailure) {
                try act(action, move, depth: depth)
            } catch {
                violations.append(rows[move.row].detail(error.field ?? state, .stateMachine, error.message))
            }
        }
    }

    /// Why an action can't be done.
    private struct ActionFailure: Error {
        let field: String?
        let message: String
    }

    private mutating func act(
        _ action: StateMachine.Action,
        _ move: Move,
        depth: Int
    ) throws(ActionFailure) {
        switch action {
        case .setField(let index, let source):
            try set(index, source, move)
        case .createRecord(let name, let values):
            guard let entity = model(name) else { return }
            let payload = try payload(values, move, of: entity)
            let state = rows[move.row].entity.fields[move.machine.field].name
            addMade(payload, of: entity, at: rows[move.row].place(state) ?? state, depth: depth)
        case .webhook(let call):
            effects.append(.call(call, row: move.row))
        case .sendEvent(let event, let values):
            effects.append(.event(event, payload: try payload(values, move, of: nil), row: move.row))
        }
    }

    private mutating func set(_ index: Int, _ source: StateMachine.Source, _ move: Move) throws(ActionFailure) {
        let field = rows[move.row].entity.fields[index]
        do throws(CoercionFailure) {
            // A literal keeps its digits.
            if case .literal(let json) = source {
                return try set(index, to: try field.fitting(try field.shape.value(of: json)), move)
            }
        } catch {
            throw ActionFailure(field: field.name, message: "is set by the transition, and \(error.message)")
        }
        let value = try value(source, move, of: field.name)
        do throws(CoercionFailure) {
            try set(index, to: try field.fitting(try field.shape.value(of: value)), move)
        } catch {
            throw ActionFailure(field: field.name, message: "is set by the transition, and \(told(error.message))")
        }
    }

    /// What an expression gave may be of fields that the caller can't read, so only administrators are told of it.
    private func told(_ message: String) -> String {
        access.principal.isAdmin ? message : "does not fit"
    }

    private mutating func set(_ index: Int, to value: FieldValue, _ move: Move) throws(CoercionFailure) {
        let row = rows[move.row]
        if let parent = row.parent, parent.theirs == index, value != row.value(index) {
            throw CoercionFailure("names another record than the one above")
        }
        if row.entity.fileFields.contains(index) { try FieldChecks.requireFile(value, among: knownFiles) }
        rows[move.row].set(index, to: value, now: now)
    }

    private mutating func value(
        _ source: StateMachine.Source,
        _ move: Move,
        of name: String
    ) throws(ActionFailure) -> ExpressionValue {
        do throws(EvaluationFailure) {
            return try run.value(source, of: move.row, in: rows, move.logic)
        } catch {
            throw ActionFailure(field: nil, message: "the value of \"\(name)\" can't be computed: \(error.message)")
        }
    }

    /// - Parameter entity: whose fields the values are for; nil where they are free.
    private mutating func payload(
        _ values: [(name: String, source: StateMachine.Source)],
        _ move: Move,
        of entity: EntityModel?
    ) throws(ActionFailure) -> JSONObject {
        var members: [JSONObject.Member] = []
        for (name, source) in values {
            if case .literal(let json) = source {
                members.append(JSONObject.Member(name: name, value: json))
                continue
            }
            let value = try value(source, move, of: name)
            let shape = entity?.field(name)?.shape ?? ValueShape(type: .json)
            do throws(CoercionFailure) {
                members.append(JSONObject.Member(name: name, value: try shape.value(of: value).json))
            } catch {
                throw ActionFailure(
                    field: nil,
                    message: "the value of \"\(name)\" does not fit: \(told(error.message))"
                )
            }
        }
        return JSONObject(uniqueMembers: members)
    }
}
