package import RocketModel

/// What the `before_delete` rules say of rows, of one that is deleted or of those that go with it; and who is told of
/// them, and of those that lose a key by it.
package struct DeleteRules: Sendable {
    private let rows: [PlannedRow]
    private let access: Access
    private let snapshot: AppSnapshot
    private var run: RuleRun

    /// - Parameter rows: as they are stored.
    package init(_ rows: [PlannedRow], _ access: Access, now: Timestamp, steps: Int) {
        self.rows = rows.filter { row in
            guard let logic = access.snapshot.logic(of: row.entity) else { return false }
            return row.action == .delete ? logic.judgesDeletes || logic.announcesDeletes : logic.announcesWrites
        }
        self.access = access
        snapshot = access.snapshot
        run = RuleRun(access, now: now, steps: steps)
        run.related = RelatedRecords(access.snapshot, of: self.rows, isWritten: false, locks: true)
    }

    package var isEmpty: Bool { rows.isEmpty }

    /// What must be known of related records; none where no rule looks at any.
    package var statements: [SQLStatement] { run.related.statements }

    package mutating func take(_ results: [StatementResult]) { run.related.take(results) }

    /// - Throws: 422 with every violation.
    package mutating func judge() throws(RequestFailure) {
        var details: [FailureDetail] = []
        for index in rows.indices where rows[index].action == .delete {
            guard let logic = snapshot.logic(of: rows[index].entity) else { continue }
            let violations = run.violations(of: index, in: rows, logic)
            details += rows[index].origin == .cascade ? violations.map { told($0, rows[index].entity) } : violations
        }
        guard details.isEmpty else { throw .validation(details) }
    }

    /// The webhooks that the rows set off.
    ///
    /// - Throws: 422 where the condition of one that the delete waits for can't be evaluated.
    package mutating func announcements() throws(RequestFailure) -> [Announcement] {
        var announcements: [Announcement] = []
        for index in rows.indices {
            guard let logic = snapshot.logic(of: rows[index].entity) else { continue }
            announcements += try run.announcements(of: index, in: rows, logic)
        }
        return announcements
    }

    /// Of rows that the caller may not see, it is told no more than that there are some.
    private func told(_ detail: FailureDetail, _ entity: EntityModel) -> FailureDetail {
        guard !(access.grantIfAny(.read, on: entity)?.isUnlimited ?? false) else { return detail }
        return FailureDetail(rule: detail.rule, message: "a record that goes with it can't be deleted")
    }
}

extension PlannedRow {
    /// A stored row that goes.
    package static func deleted(
        _ row: [SQLValue],
        of entity: EntityModel,
        origin: Origin = .payload,
        path: String = ""
    ) -> PlannedRow {
        PlannedRow(
            entity: entity,
            action: .delete,
            path: path,
            depth: 0,
            key: entity.dialect.fieldValue(row[entity.keyIndex], entity.key.shape),
            values: [:],
            stored: row,
            parent: nil,
            relations: [],
            origin: origin
        )
    }

    /// A stored row that the engine changes because of another one that goes.
    package static func changed(_ row: [SQLValue], of entity: EntityModel) -> PlannedRow {
        PlannedRow(
            entity: entity,
            action: .update,
            path: "",
            depth: 0,
            key: entity.dialect.fieldValue(row[entity.keyIndex], entity.key.shape),
            values: [:],
            stored: row,
            parent: nil,
            relations: [],
            origin: .cascade
        )
    }
}
