package import RocketDatabase
package import RocketModel
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
    /// The states that it can go to, where they are asked for.
    package var transitions: JSONObject?
}

/// Runs read plans.
package enum RecordReader {
    package static func list(
        _ plan: ListPlan,
        of entity: EntityModel,
        from database: any AppDatabase
    ) async throws -> RecordPage {
        let (rows, total) = try await database.read(ListScript(plan: plan, entity: entity, atOnce: database.isRemote))
        return RecordPage(rows: rows, page: plan.page, perPage: plan.perPage, total: total)
    }

    /// - Throws: 404 `NOT_FOUND`.
    package static func one(
        _ plan: ReadOnePlan,
        id: String,
        of entity: EntityModel,
        from database: any AppDatabase
    ) async throws -> StoredRecord {
        guard let found = try await database.read(OneScript(plan: plan, entity: entity, atOnce: database.isRemote))
        else {
            throw RequestFailure.recordNotFound(entity, id)
        }
        return found
    }

    fileprivate static func shown(_ row: [UInt8], _ plan: ReadOnePlan, _ entity: EntityModel) throws -> [UInt8] {
        try plan.projection.map { try project(row, to: $0, entity) } ?? row
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

/// The rows of a page, the total and the related records, at one moment. A page that is not full tells the total by
/// itself, but where asking is what costs, both are asked for at once.
private struct ListScript: TransactionScript {
    let plan: ListPlan
    let entity: EntityModel
    let atOnce: Bool
    private var page: StatementResult?
    private var total: Int64?
    private var includes: IncludeRun?
    private var isCounting = false

    init(plan: ListPlan, entity: EntityModel, atOnce: Bool) {
        self.plan = plan
        self.entity = entity
        self.atOnce = atOnce
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<([UInt8], Int64?)> {
        if page == nil {
            guard let first = results.first else { return start() }
            take(first, results.dropFirst())
        } else {
            if isCounting { total = results[0].rows.first?.first?.integerValue ?? 0 }
            try includes?.take(Array(results.dropFirst(isCounting ? 1 : 0)))
        }
        return try proceed()
    }

    private func start() -> TransactionStep<([UInt8], Int64?)> {
        var statements = [plan.rows]
        if atOnce, !plan.carriesTotal, let count = plan.count { statements.append(count) }
        let isAll = plan.includes.isEmpty && (plan.count == nil || plan.carriesTotal || atOnce)
        return isAll ? .finish(statements) : .run(statements)
    }

    private mutating func take(_ page: StatementResult, _ more: ArraySlice<StatementResult>) {
        let page = plan.mask?.apply(page) ?? page
        self.page = page
        let isLastPage = page.rowCount < plan.perPage && (page.rowCount > 0 || plan.page == 1)
        if plan.carriesTotal {
            total = page.total ?? page.rows.first?.last?.integerValue ?? 0
        } else if let count = more.first {
            total = count.rows.first?.first?.integerValue ?? 0
        } else if plan.count != nil, isLastPage {
            total = Int64((plan.page - 1) * plan.perPage + page.rowCount)
        }
        guard !plan.includes.isEmpty else { return }
        let positions = Array(plan.includes.linkColumns.indices)
        includes = IncludeRun(plan.includes, of: entity, root: page, positions: positions)
    }

    private mutating func proceed() throws -> TransactionStep<([UInt8], Int64?)> {
        var statements = includes?.statements() ?? []
        isCounting = false
        if plan.count != nil, total == nil, let count = plan.count {
            statements.insert(count, at: 0)
            isCounting = true
        }
        guard !statements.isEmpty else { return .done((try includes?.assembled() ?? page?.json ?? [], total)) }
        return includes?.isAtLastLevel ?? true ? .finish(statements) : .run(statements)
    }
}

/// The row of the first statement that gives one, with the records that are related to it.
private struct OneScript: TransactionScript {
    let plan: ReadOnePlan
    let entity: EntityModel
    let atOnce: Bool
    var isBrief: Bool { plan.includes.isEmpty && plan.transitions == nil && plan.mask == nil }
    private var index = 0
    private var row: [UInt8]?
    private var includes: IncludeRun?
    private var transitions: ReachableStates?
    /// How many of the statements that run are for the transitions.
    private var transitionCount = 0

    init(plan: ReadOnePlan, entity: EntityModel, atOnce: Bool) {
        self.plan = plan
        self.entity = entity
        self.atOnce = atOnce
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<StoredRecord?> {
        if row != nil {
            if transitionCount > 0 { transitions?.take(Array(results.prefix(transitionCount))) }
            try includes?.take(Array(results.dropFirst(transitionCount)))
            transitionCount = 0
            return try proceed()
        }
        if var found = results.first(where: { $0.rowCount > 0 }) {
            if let mask = plan.mask { found = mask.apply(found) }
            row = found.json
            var related: [SQLStatement] = []
            if let values = found.rows.first {
                transitions = plan.transitions
                transitions?.begin(values)
                related = transitions?.statements ?? []
                transitionCount = related.count
            }
            if !plan.includes.isEmpty {
                found.json = try RecordReader.shown(found.json, plan, entity)
                found.rowEnds = [found.json.count]
                includes = IncludeRun(plan.includes, of: entity, root: found, positions: plan.includes.linkColumns)
            }
            return try proceed(related)
        }
        guard index < plan.attempts.count else { return .done(nil) }
        let next = atOnce ? plan.attempts[index...] : plan.attempts[index...index]
        index += next.count
        let isAll = index == plan.attempts.count && plan.includes.isEmpty && plan.transitions == nil
        return isAll ? .finish(Array(next)) : .run(Array(next))
    }

    /// - Parameter related: statements of the transitions, that run first.
    private mutating func proceed(_ related: [SQLStatement] = []) throws -> TransactionStep<StoredRecord?> {
        let statements = related + (includes?.statements() ?? [])
        guard statements.isEmpty else {
            return includes?.isAtLastLevel ?? true ? .finish(statements) : .run(statements)
        }
        guard let row else { return .done(nil) }
        let shown = try includes?.assembled() ?? RecordReader.shown(row, plan, entity)
        var record = StoredRecord(json: shown, tag: RecordVersion.tag(ofRow: row), key: nil)
        record.transitions = transitions?.json
        return .done(record)
    }
}
