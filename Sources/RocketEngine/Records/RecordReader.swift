package import RocketDatabase
import RocketModel
package import RocketPlanning

/// A page of records.
package struct RecordPage: Sendable {
    /// The records as JSON objects with commas between them.
    package let rows: [UInt8]
    package let page: Int
    package let perPage: Int
    /// Nil where the client did not ask for it.
    package let total: Int64?
}

/// One record as it is stored.
package struct StoredRecord: Sendable {
    package let json: [UInt8]
    /// The version of the whole row, whatever part of it is shown.
    package let tag: String
    /// The key as text, where the record was written.
    package let key: String?
}

/// Runs read plans.
package enum RecordReader {
    package static func list(_ plan: ListPlan, from database: any AppDatabase) async throws -> RecordPage {
        let (rows, total) = try await database.read(ListScript(plan: plan, atOnce: database.isRemote))
        return RecordPage(rows: rows, page: plan.page, perPage: plan.perPage, total: total)
    }

    /// - Throws: 404 `NOT_FOUND`.
    package static func one(
        _ plan: ReadOnePlan,
        id: String,
        of entity: EntityModel,
        from database: any AppDatabase
    ) async throws -> StoredRecord {
        guard let row = try await database.read(FirstRowScript(attempts: plan.attempts, atOnce: database.isRemote))
        else {
            throw RequestFailure.recordNotFound(entity, id)
        }
        let shown = try plan.projection.map { try project(row, to: $0, entity) } ?? row
        return StoredRecord(json: shown, tag: RecordVersion.tag(ofRow: row), key: nil)
    }

    private static func project(_ row: [UInt8], to indexes: [Int], _ entity: EntityModel) throws -> [UInt8] {
        guard case .object(let object) = try JSONParser.parse(row) else { return row }
        let members = indexes.compactMap { index in
            let name = entity.fields[index].name
            return object[name].map { JSONObject.Member(name: name, value: $0) }
        }
        return JSONValue.object(JSONObject(uniqueMembers: members)).jsonBytes
    }
}

/// The rows of a page and the total, at one moment. A page that is not full tells the total by itself, but where
/// asking is what costs, both are asked for at once.
private struct ListScript: TransactionScript {
    let plan: ListPlan
    let atOnce: Bool
    private var rows: StatementResult?

    init(plan: ListPlan, atOnce: Bool) {
        self.plan = plan
        self.atOnce = atOnce
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<([UInt8], Int64?)> {
        if let rows { return .done((rows.json, total(results[0]))) }
        guard let page = results.first else {
            guard let count = plan.count, !plan.carriesTotal else { return .finish([plan.rows]) }
            return atOnce ? .finish([plan.rows, count]) : .run([plan.rows])
        }
        guard let count = plan.count else { return .done((page.json, nil)) }
        if plan.carriesTotal { return .done((page.json, page.total ?? 0)) }
        if results.count == 2 { return .done((page.json, total(results[1]))) }
        let isLastPage = page.rowCount < plan.perPage && (page.rowCount > 0 || plan.page == 1)
        if isLastPage { return .done((page.json, Int64((plan.page - 1) * plan.perPage + page.rowCount))) }
        rows = page
        return .finish([count])
    }

    private func total(_ result: StatementResult) -> Int64 {
        result.rows.first?.first?.integerValue ?? 0
    }
}

/// The row of the first statement that gives one.
private struct FirstRowScript: TransactionScript {
    let attempts: [SQLStatement]
    let atOnce: Bool
    private var index = 0

    init(attempts: [SQLStatement], atOnce: Bool) {
        self.attempts = attempts
        self.atOnce = atOnce
    }

    mutating func next(_ results: [StatementResult]) -> TransactionStep<[UInt8]?> {
        if let found = results.first(where: { $0.rowCount > 0 }) { return .done(found.json) }
        guard index < attempts.count else { return .done(nil) }
        let next = atOnce ? attempts[index...] : attempts[index...index]
        index += next.count
        return index == attempts.count ? .finish(Array(next)) : .run(Array(next))
    }
}
