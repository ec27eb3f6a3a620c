package import RocketDatabase
package import RocketModel
package import RocketPlanning

/// Changes an app's metadata: the definitions, the tables and the snapshot in force, all or nothing.
package struct MetadataWriter: Sendable {
    /// Gives the changed definitions, or throws to leave everything as it is.
    package typealias Change = @Sendable (DefinitionSet) throws -> DefinitionSet

    private let database: any AppDatabase
    private let snapshots: SnapshotStore
    /// Called after a change is in force here.
    private let changed: @Sendable () async -> Void

    init(database: any AppDatabase, snapshots: SnapshotStore, changed: @escaping @Sendable () async -> Void) {
        self.database = database
        self.snapshots = snapshots
        self.changed = changed
    }

    /// - Parameters:
    ///   - rows: statements that fill the changed tables, made from the new snapshot, run in the same transaction; they are
    ///     judged by what they give.
    ///   - place: what the paths of violations begin with that are about a table.
    ///   - isTrial: whether all is judged as for a change, and nothing changed.
    /// - Throws: what the change throws; 422 where the definitions or the rows in the tables do not allow it.
    @discardableResult
    package func apply(
        now: Timestamp,
        rows: (any RowImport)? = nil,
        place: @escaping @Sendable (String) -> String = { _ in "" },
        isTrial: Bool = false,
        _ change: @escaping Change
    ) async throws -> MetadataChange {
        let script = MetadataScript(
            known: snapshots.current,
            change: change,
            rows: rows,
            place: place,
            isTrial: isTrial,
            now: now,
            dialect: database.dialect
        )
        // Who only asks keeps no writer waiting.
        guard !isTrial else { return try await database.read(script) }
        let change = try await database.write(script, mode: .alone)
        snapshots.swap(to: change.snapshot)
        await changed()
        return change
    }

    /// Reads the definitions that are stored and compiles them.
    package static func load(from database: any AppDatabase) async throws -> AppSnapshot {
        let store = DefinitionStore(database.dialect)
        let (version, definitions) = try store.definitions(try await database.read(store.load))
        return try SnapshotCompiler.compile(definitions, version: version, dialect: database.dialect)
    }
}

/// A change of the metadata that is in force, or would be.
package struct MetadataChange: Sendable {
    package let snapshot: AppSnapshot
    /// What was there before.
    package let before: DefinitionSet
    /// What was done to the tables.
    package let sql: [SchemaStep]
    /// What the change did without, and why: constraints that the rows in the tables do not allow; and states that
    /// nothing leads to.
    package let warnings: [String]
}

/// Rows that come with a change of the metadata.
package protocol RowImport: Sendable {
    /// The next statements, from what the last ones gave; none when all is done.
    mutating func next(_ results: [StatementResult], _ snapshot: AppSnapshot) throws -> [SQLStatement]
}

/// A metadata change as one transaction. The definitions are read inside it, so that two changes at once can't
/// lose one another, on one server or on several.
private struct MetadataScript: TransactionScript {
    private enum State {
        case start
        case locked
        case loaded
        case inspected
        case checked
        case changed
        case inspectedKeys
        case constrained
        case tried
    }

    private let known: AppSnapshot
    private let change: MetadataWriter.Change
    private var rows: (any RowImport)?
    private let place: @Sendable (String) -> String
    private let isTrial: Bool
    private let now: Timestamp
    private let dialect: SQLDialect
    private let store: DefinitionStore
    private var state = State.start
    private var old = DefinitionSet()
    private var snapshot: AppSnapshot
    private var tables: [String] = []
    /// The workflows that go.
    private var removed: [StoredDefinition] = []
    private var plan: SchemaPlan?
    private var facts: [String: TableFacts] = [:]
    private var warnings: [String] = []
    private var sql: [String] = []

    init(
        known: AppSnapshot,
        change: @escaping MetadataWriter.Change,
        rows: (any RowImport)?,
        place: @escaping @Sendable (String) -> String,
        isTrial: Bool,
        now: Timestamp,
        dialect: SQLDialect
    ) {
        self.known = known
        self.change = change
        self.rows = rows
        self.place = place
        self.isTrial = isTrial
        self.now = now
        self.dialect = dialect
        store = DefinitionStore(dialect)
        snapshot = known
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<MetadataChange> {
        switch state {
        case .start:
            state = .locked
            return .run([isTrial ? store.version : store.lockedVersion])
        case .locked:
            if results[0].rows.first?.first?.integerValue == known.version {
                return try inspect(known.definitions, known.version)
            }
            state = .loaded
            return .run(store.load)
        case .loaded:
            let (version, definitions) = try store.definitions(results)
            return try inspect(definitions, version)
        case .inspected:
            return try planSteps(results)
        case .checked:
            return try runSteps(results)
        case .changed:
            let inspections = plan?.foreignKeys.inspections ?? []
            state = .inspectedKeys
            return inspections.isEmpty ? try constrain([]) : .run(inspections)
        case .inspectedKeys:
            return try constrain(results)
        case .constrained:
            return try fill(results)
        case .tried:
            let keys = plan?.foreignKeys.preview(old, facts, results)
            sql += keys?.sql ?? []
            warnings = (keys?.warnings ?? []) + StateReachability.warnings(from: old, to: snapshot.definitions)
            return .done(outcome)
        }
    }

    private var outcome: MetadataChange {
        MetadataChange(snapshot: snapshot, before: old, sql: SchemaStep.steps(sql, dialect), warnings: warnings)
    }

    private mutating func constrain(_ results: [StatementResult]) throws -> TransactionStep<MetadataChange> {
        guard let keys = plan?.foreignKeys.decide(results) else {
            preconditionFailure("constraints are made after they are planned")
        }
        warnings = keys.warnings + StateReachability.warnings(from: old, to: snapshot.definitions)
        state = .constrained
        sql += keys.steps.map(\.shown)
        // Rows come in any order; whether each names rows that exist is asked at the end.
        let steps = keys.steps + (rows == nil ? [] : [dialect.deferForeignKeys])
        return steps.isEmpty ? try fill([]) : .run(steps)
    }

    private mutating func fill(_ results: [StatementResult]) throws -> TransactionStep<MetadataChange> {
        let statements = try rows?.next(results, snapshot) ?? []
        guard statements.isEmpty else { return .run(statements) }
        return .done(outcome)
    }

    private mutating func inspect(_ definitions: DefinitionSet, _ version: Int64) throws -> TransactionStep<
        MetadataChange
    > {
        old = definitions
        let changed = try change(definitions)
        if changed == definitions, rows == nil {
            // Nothing for other servers to notice.
            if version != known.version {
                snapshot = try SnapshotCompiler.compile(changed, version: version, dialect: dialect)
            }
            return .done(outcome)
        }
        snapshot = try SnapshotCompiler.compile(changed, version: version + 1, dialect: dialect)
        let inspections = SchemaPlan.tablesToInspect(from: old, to: changed, dialect)
        tables = inspections.map(\.table)
        let kept = Set(changed.others.filter { $0.kind == .workflows }.map(\.id))
        removed = old.others.filter { $0.kind == .workflows && !kept.contains($0.id) }
        let uses = removed.map { WorkflowStore(dialect).isInUse($0.id) }
        state = .inspected
        return inspections.isEmpty && uses.isEmpty
            ? try planSteps([]) : .run(inspections.map(\.statement) + uses)
    }

    /// - Throws: 409 for a workflow of which instances run.
    private func requireUnused(_ results: ArraySlice<StatementResult>) throws(RequestFailure) {
        for (workflow, result) in zip(removed, results) where !result.rows.isEmpty {
            throw RequestFailure(
                .conflict,
                "Instances of the workflow \"\(workflow.name ?? workflow.id)\" run; cancel them or let them end first"
            )
        }
    }

    private mutating func planSteps(_ results: [StatementResult]) throws -> TransactionStep<MetadataChange> {
        for (table, result) in zip(tables, results) { facts[table] = TableFacts(result) }
        try requireUnused(results.dropFirst(tables.count))
        let plan = try SchemaPlan.make(from: old, to: snapshot.definitions, facts: facts, place: place, dialect)
        self.plan = plan
        state = .checked
        return plan.checks.isEmpty ? try runSteps([]) : .run(plan.checks.map(\.statement))
    }

    /// The audit trail of an entity goes with it under another name.
    private var renamings: [SQLStatement] {
        old.entities.compactMap { entity in
            guard snapshot.model(entity.name) == nil,
                let renamed = snapshot.definitions.entities.first(where: { $0.table == entity.table })
            else { return nil }
            return HistoryStore(dialect).rename(entity.name, to: renamed.name)
        }
    }

    /// What was before an entity kept no history for a time is not of the records that have their keys now.
    private var beginnings: [SQLStatement] {
        old.entities.compactMap { entity in
            guard !entity.history, let model = snapshot.model(entity.name), model.definition.history else { return nil }
            return HistoryStore(dialect).begin(entity.name, now: now)
        }
    }

    private mutating func runSteps(_ results: [StatementResult]) throws -> TransactionStep<MetadataChange> {
        guard let plan else { preconditionFailure("steps are run after they are planned") }
        var violations: [FailureDetail] = []
        for (check, result) in zip(plan.checks, results) {
            let count = result.rows.first?.first?.integerValue ?? 0
            if count > 0 {
                violations.append(FailureDetail(field: check.field, rule: check.rule, message: check.message(count)))
            }
        }
        guard violations.isEmpty else { throw RequestFailure.validation(violations) }
        sql = plan.steps.map(\.shown)
        guard !isTrial else {
            state = .tried
            let inspections = plan.foreignKeys.previewInspections(old, facts)
            return inspections.isEmpty ? try next([]) : .run(inspections)
        }
        state = .changed
        return .run(plan.steps + store.change(from: old, to: snapshot.definitions, now: now) + renamings + beginnings)
    }
}
