package import RocketModel

/// What the `before_delete` rules say of rows: of one that is deleted, or of those that go with it.
package struct DeleteRules: Sendable {
    private let rows: [PlannedRow]
    private let access: Access
    private let snapshot: AppSnapshot
    private var run: RuleRun

    /// - Parameter rows: as they are stored.
    package init(_ rows: [PlannedRow], _ access: Access, now: Timestamp, steps: Int) {
        self.rows = rows.filter { access.snapshot.logic(of: $0.entity)?.judgesDeletes ?? false }
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
        for index in rows.indices {
            guard let logic = snapshot.logic(of: rows[index].entity) else { continue }
            let violations = run.violations(of: index, in: rows, logic)
            details += rows[index].origin == .cascade ? violations.map { told($0, rows[index].entity) } : violations
        }
        guard details.isEmpty else { throw .validation(details) }
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
}
