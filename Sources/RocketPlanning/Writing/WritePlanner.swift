package import RocketModel

// Decides what a write does: no I/O, no clock, no randomness. Instants and ids are passed in.

package enum WritePlanner {
    // MARK: create

    /// - Throws: 422 with every violation of the payload.
    package static func create(
        _ payload: JSONObject,
        in entity: EntityModel,
        grant: Grant,
        now: Timestamp,
        steps: Int = RuleRun.maximumSteps,
        newID: () -> UniqueID
    ) throws(RequestFailure) -> CreatePlan {
        precondition(grant.entity == entity.name && grant.action == .create, "a create is planned with its own grant")
        let logic = grant.access.snapshot.logic(of: entity)
        let checked = FieldChecks.check(payload, of: entity, logic, isCreate: true, files: grant.access.files)
        guard checked.violations.isEmpty || logic != nil else { throw .validation(checked.violations) }
        var values = checked.values
        for (index, field) in entity.fields.enumerated() {
            if field.definition.auto != nil { values[index] = field.value(at: now) }
            if field.isPrimaryKey, entity.definition.primaryKey.generated, field.shape.type == .uuid {
                values[index] = .uuid(newID())
            }
        }
        if let logic { values = try judged(values, checked, entity, logic, grant.access, now: now, steps: steps) }
        return CreatePlan(
            entity: entity,
            values: values,
            needs: WriteNeeds(references: references(of: values, entity), slugBase: newSlugBase(values, entity)),
            trail: grant.access.trail(of: entity)
        )
    }

    /// The values of a new record that its rules and state machines let pass.
    ///
    /// - Throws: 422 with every violation.
    private static func judged(
        _ values: [Int: FieldValue],
        _ checked: CheckedPayload,
        _ entity: EntityModel,
        _ logic: EntityLogic,
        _ access: Access,
        now: Timestamp,
        steps: Int
    ) throws(RequestFailure) -> [Int: FieldValue] {
        precondition(logic.createsAlone, "a record whose rules look at others is made by a tree")
        var rows = [
            PlannedRow(
                entity: entity,
                action: .create,
                path: "",
                depth: 0,
                key: values[entity.keyIndex],
                values: values,
                stored: nil,
                parent: nil,
                relations: [],
                failed: checked.failed(entity)
            )
        ]
        var run = RuleRun(access, now: now, steps: steps)
        let violations = checked.violations + run.violations(of: 0, in: rows, logic)
        guard violations.isEmpty else { throw .validation(violations) }
        let misfits = run.compute(0, in: &rows, logic)
        guard misfits.isEmpty else { throw .validation(misfits) }
        var refusals: [FailureDetail] = []
        for machine in logic.machines {
            if case .refused(let detail) = run.judge(machine, 0, in: rows, logic) { refusals.append(detail) }
        }
        guard refusals.isEmpty else { throw .validation(refusals) }
        return rows[0].values
    }

    /// The INSERT of a plan whose needs are met. The result of the first statement is the stored row.
    package static func insert(_ plan: CreatePlan) -> [SQLStatement] {
        let entity = plan.entity
        var sql = SQLBuilder(entity.dialect)
        let output = StatementOutput.valuesAndJSON(entity.rowShape)
        guard let trail = plan.trail else {
            appendInsert(plan, to: &sql)
            sql.append(" RETURNING \(entity.columnList)")
            return [sql.statement(output)]
        }
        switch entity.dialect {
        case .postgres:
            trail.wrap(&sql, insertOf: entity, plan.values, returning: entity.columnList) {
                appendInsert(plan, to: &$0)
            }
            return [sql.statement(output)]
        case .sqlite:
            appendInsert(plan, to: &sql)
            sql.append(" RETURNING \(entity.columnList)")
            return [sql.statement(output), trail.keepCreation(of: entity, plan.values)]
        }
    }

    private static func appendInsert(_ plan: CreatePlan, to sql: inout SQLBuilder) {
        let entity = plan.entity
        let columns = plan.values.keys.sorted()
        sql.append("INSERT INTO \(entity.table) ")
        if columns.isEmpty {
            sql.append("DEFAULT VALUES")
        } else {
            sql.append("(\(columns.map { entity.fields[$0].column }.joined(separator: ", "))) VALUES (")
            for (position, index) in columns.enumerated() {
                if position > 0 { sql.append(", ") }
                sql.bind(plan.values[index] ?? .null)
            }
            sql.append(")")
        }
    }

    // MARK: update

    /// - Throws: 404 where the id can't be a key. Violations of the payload wait in the plan.
    package static func update(
        _ payload: JSONObject,
        id: String,
        in entity: EntityModel,
        grant: Grant,
        precondition: Precondition?
    ) throws(RequestFailure) -> UpdatePlan {
        Swift.precondition(
            grant.entity == entity.name && grant.action == .update,
            "an update is planned with its own grant"
        )
        Swift.precondition(
            grant.access.snapshot.logic(of: entity)?.judgesWrites != true,
            "a record that rules judge is changed by a tree"
        )
        guard let key = ReadPlanner.keyValue(id, entity) else { throw .recordNotFound(entity, id) }
        let checked = FieldChecks.check(payload, of: entity, nil, isCreate: false, files: grant.access.files)
        let violations = checked.violations.isEmpty ? nil : RequestFailure.validation(checked.violations)
        let values = checked.violations.isEmpty ? checked.values : [:]
        return UpdatePlan(
            entity: entity,
            key: key,
            values: values,
            needs: WriteNeeds(
                references: references(of: values, entity),
                slugBase: regeneratedSlugBase(values, entity)
            ),
            precondition: precondition,
            violations: violations,
            storedRow: lockedRow(key, entity),
            trail: grant.access.trail(of: entity)
        )
    }

    /// What a slug is made from again, where its source changes and the payload gives no slug.
    private static func regeneratedSlugBase(_ values: [Int: FieldValue], _ entity: EntityModel) -> String? {
        guard let slug = entity.definition.slug, slug.regenerateOnUpdate, let index = entity.index(of: slug.field),
            values[index] == nil
        else { return nil }
        return slugBase(values, entity)
    }

    /// The UPDATE of a plan whose needs are met; nothing where the payload changes nothing at all. The result of the last
    /// statement is the stored row.
    package static func update(_ plan: UpdatePlan, now: Timestamp) -> [SQLStatement] {
        guard !plan.values.isEmpty else { return [] }
        let entity = plan.entity
        var values = plan.values
        let entry = plan.trail.map { trail in
            trail.keep(
                .update,
                of: entity,
                old: values.keys.sorted(),
                new: Trail.json(values, of: entity, withNulls: true)
            ) { appendLiving(plan.key, entity, to: &$0) }
        }
        for (index, field) in entity.fields.enumerated() where field.definition.auto == .update {
            values[index] = field.value(at: now)
        }
        var sql = SQLBuilder(entity.dialect)
        sql.append("UPDATE \(entity.table) SET ")
        for (position, index) in values.keys.sorted().enumerated() {
            if position > 0 { sql.append(", ") }
            sql.append("\(entity.fields[index].column) = ")
            sql.bind(values[index] ?? .null)
        }
        sql.append(" WHERE ")
        appendLiving(plan.key, entity, to: &sql)
        sql.append(" RETURNING \(entity.columnList)")
        return (entry.map { [$0] } ?? []) + [sql.statement(.valuesAndJSON(entity.rowShape))]
    }

    private static func appendLiving(_ key: FieldValue, _ entity: EntityModel, to sql: inout SQLBuilder) {
        sql.append("\(entity.key.column) = ")
        sql.bind(key)
        sql.append(alive(entity))
    }

    /// Whether other rows may be touched by a delete: those of which the entity is the source, and links to it.
    private static func leadsOn(_ entity: EntityModel, isGone: Bool) -> Bool {
        entity.relations.contains { side in
            if case .joinTable = side.link { side.isSource || isGone } else { side.isSource }
        }
    }

    private static func alive(_ entity: EntityModel) -> String {
        entity.softDelete ? " AND \(entity.deletedAtColumn) IS NULL" : ""
    }

    // MARK: delete and restore

    /// - Parameter purges: whether a soft-deleted entity's row goes for good.
    /// - Throws: 404 where the id can't be a key, 403 for a purge without the right.
    package static func delete(
        id: String,
        in entity: EntityModel,
        grant: Grant,
        precondition: Precondition?,
        purges: Bool,
        now: Timestamp,
        steps: Int = RuleRun.maximumSteps
    ) throws(RequestFailure) -> DeletePlan {
        Swift.precondition(
            grant.entity == entity.name && grant.action == .delete,
            "a delete is planned with its own grant"
        )
        if purges, !grant.isAdministrator {
            throw RequestFailure(.forbidden, "Only administrators remove records for good")
        }
        guard let key = ReadPlanner.keyValue(id, entity) else { throw .recordNotFound(entity, id) }
        var sql = SQLBuilder(entity.dialect)
        if entity.softDelete, !purges {
            sql.append("UPDATE \(entity.table) SET \(entity.deletedAtColumn) = ")
            sql.bind(.timestamp(now))
        } else {
            sql.append("DELETE FROM \(entity.table)")
        }
        let appendRow = { (sql: inout SQLBuilder) in
            sql.append("\(entity.key.column) = ")
            sql.bind(key)
            if !purges { sql.append(alive(entity)) }
        }
        sql.append(" WHERE ")
        appendRow(&sql)
        let entry = grant.access.trail(of: entity).map { [$0.keepDeletion(of: entity, where: appendRow)] }
        return DeletePlan(
            entity: entity,
            key: key,
            precondition: precondition,
            storedRow: purges ? lockedRow(key, entity, includingDeleted: true) : lockedRow(key, entity),
            statements: (entry ?? []) + [sql.statement()],
            cascade: leadsOn(entity, isGone: purges || !entity.softDelete)
                ? CascadeRun(grant.access, now: now) : nil,
            isGone: purges,
            rowAccess: RowAccess(key, of: entity, grant),
            version: precondition == nil
                ? nil : ReadableRow(key, of: entity, grant.access).flatMap { $0.isPartial ? $0 : nil },
            isJudged: grant.access.snapshot.logic(of: entity).map { $0.judgesDeletes || $0.announcesDeletes } ?? false,
            access: grant.access,
            now: now,
            steps: steps
        )
    }

    /// Brings a soft-deleted row back. The result of the first statement is the stored row; no row where none was deleted.
    ///
    /// - Throws: 404 where the id can't be a key or the entity has no soft deletes, 403 without the right.
    package static func restore(id: String, in entity: EntityModel, grant: Grant) throws(RequestFailure)
        -> [SQLStatement]
    {
        Swift.precondition(
            grant.entity == entity.name && grant.action == .delete,
            "a restore is planned with its own grant"
        )
        guard grant.isAdministrator else { throw RequestFailure(.forbidden, "Only administrators restore records") }
        guard entity.softDelete, let key = ReadPlanner.keyValue(id, entity) else { throw .recordNotFound(entity, id) }
        var sql = SQLBuilder(entity.dialect)
        sql.append("UPDATE \(entity.table) SET \(entity.deletedAtColumn) = NULL WHERE \(entity.key.column) = ")
        sql.bind(key)
        sql.append(" AND \(entity.deletedAtColumn) IS NOT NULL RETURNING \(entity.columnList)")
        let entry = Trail.Entry(entity: entity, key: key, action: .restore, old: nil, new: nil)
        let trail = grant.access.trail(of: entity)?.keep([entry]) ?? []
        return [sql.statement(.valuesAndJSON(entity.rowShape))] + trail
    }

    /// The rows that the foreign keys of a stored row name.
    package static func needs(ofStored row: [SQLValue], _ entity: EntityModel) -> WriteNeeds {
        var values: [Int: FieldValue] = [:]
        for reference in entity.references {
            let shape = entity.fields[reference.field].shape
            values[reference.field] = entity.dialect.fieldValue(row[reference.field], shape)
        }
        return WriteNeeds(references: references(of: values, entity), slugBase: nil)
    }

    // MARK: facts

    /// Judges what the lookups of ``WriteNeeds/references`` gave, in their order.
    ///
    /// - Throws: 409 `CONFLICT` naming each field whose key is dangling.
    package static func judgeReferences(
        _ needs: WriteNeeds,
        _ results: some Sequence<StatementResult>,
        entity: EntityModel
    )
        throws(RequestFailure)
    {
        var details: [FailureDetail] = []
        for ((reference, _), result) in zip(needs.references, results) where result.rows.isEmpty {
            let field = entity.fields[reference.field].name
            details.append(
                FailureDetail(field: field, rule: .relation, message: "names no existing \(reference.targetEntity)")
            )
        }
        guard details.isEmpty else {
            throw RequestFailure(.conflict, "A key names a record that does not exist", details: details)
        }
    }

    /// Which of `candidates` are taken by rows of the entity.
    package static func takenSlugs(among candidates: [String], _ entity: EntityModel, except key: FieldValue?)
        -> SQLStatement?
    {
        guard let slug = entity.slugField else { return nil }
        var sql = SQLBuilder(entity.dialect)
        sql.append("SELECT \(slug.column) FROM \(entity.table) WHERE ")
        sql.isMember(slug.column, of: candidates.map(FieldValue.text), slug.shape)
        if entity.softDelete { sql.append(" AND \(entity.deletedAtColumn) IS NULL") }
        if let key {
            sql.append(" AND \(entity.key.column) <> ")
            sql.bind(key)
        }
        return sql.statement(.values)
    }

    /// `base`, `base-2`, `base-3`… in batches that grow.
    package static func slugCandidates(_ base: String, batch: Int) -> [String] {
        let size = 8 << min(batch, 8)
        let first = batch == 0 ? 1 : (0..<batch).reduce(1) { $0 + 8 << min($1, 8) }
        return (first..<first + size).map { $0 == 1 ? base : "\(base)-\($0)" }
    }

    // MARK: parts

    /// Locks rows of one entity in the order of their keys, so that writers of the same rows wait for one another
    /// instead of each for the other; nil where the database has one writer.
    package static func orderedLock(_ keys: Set<FieldValue>, _ entity: EntityModel) -> SQLStatement? {
        guard entity.dialect == .postgres, !keys.isEmpty else { return nil }
        var sql = SQLBuilder(entity.dialect)
        sql.append("SELECT 1 FROM \(entity.table) WHERE ")
        sql.isMember(entity.key.column, of: Array(keys), entity.key.shape)
        sql.append(" ORDER BY \(entity.key.column) FOR UPDATE")
        return sql.statement(.none)
    }

    static func lockedRow(_ key: FieldValue, _ entity: EntityModel, includingDeleted: Bool = false) -> SQLStatement {
        let lock =
            switch entity.dialect {
            case .sqlite: ""
            case .postgres: " FOR UPDATE"
            }
        let select =
            includingDeleted
            ? "SELECT \(entity.columnList) FROM \(entity.table) WHERE \(entity.key.column) = \(entity.dialect.placeholder(1))"
            : entity.selectByKey
        return SQLStatement(
            select + lock,
            binds: [entity.dialect.bindable(key)],
            output: .valuesAndJSON(entity.rowShape)
        )
    }

    static func references(
        of values: [Int: FieldValue],
        _ entity: EntityModel
    ) -> [(reference: ReferenceModel, statement: SQLStatement)] {
        entity.references.compactMap { reference in
            guard let value = values[reference.field], !value.isNull else { return nil }
            return (reference, reference.lookup(value, entity.dialect))
        }
    }

    private static func newSlugBase(_ values: [Int: FieldValue], _ entity: EntityModel) -> String? {
        guard let slug = entity.definition.slug, let index = entity.index(of: slug.field) else { return nil }
        if let given = values[index], !given.isNull, given != .text("") { return nil }
        return slugBase(values, entity)
    }

    static func slugBase(_ values: [Int: FieldValue], _ entity: EntityModel) -> String? {
        guard let source = entity.definition.slug?.source, let index = entity.index(of: source),
            case .text(let text)? = values[index]
        else { return nil }
        let base = SlugText.make(from: text)
        return base.isEmpty ? entity.name.replacing("_", with: "-") : base
    }
}

extension FieldModel {
    /// What the engine writes into an auto field.
    package func value(at now: Timestamp) -> FieldValue {
        shape.type == .date ? .date(now.date) : .timestamp(now)
    }
}
