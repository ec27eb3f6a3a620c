import RocketDatabase
import RocketModel
import RocketPlanning

/// A record with the records below it: what is stored of them, level by level; what else must be known; the writes;
/// what the answer shows.
struct TreeScript: AnnouncingScript {
    private enum State {
        case start
        case stored(skipped: Int)
        case facts
        case access
        case earlySlugs
        case related
        case lookups
        case judgingDeletes
        case writing(skipped: Int)
        case recording
        case checking
        case showing
        case reading
    }

    private var tree: WriteTree
    private let id: String
    private let precondition: Precondition?
    private let made: MadeSlugs
    private var state = State.start
    private var stored: StatementResult?
    private var lookups: TreeLookups?
    /// The same when they are judged.
    private var lookedUp: TreeLookups?
    private var slugs: TreeSlugs?
    /// The round of judging for which slugs were made beforehand.
    private var earlySlugRound: Int?
    private var cascade: CascadeRun?
    private var deleteRules: DeleteRules?
    private var writer: TreeWriter?
    private var includes: IncludeRun?
    /// What policies say of the record, of the rows below it, and of all of them afterwards.
    private var rowAccess: RowAccess?
    private var heldOfRecord: [Bool] = []
    /// The record as its version is made for this caller.
    private var version: ReadableRow?
    private var access: TreeAccess?
    private var checks: TreeAccess.After?
    /// The record as the caller reads it, where that is not as it is stored.
    private var readable: ReadableRow?
    private var shown: StatementResult?
    /// What is recorded to be done after the commit.
    private var outbox: [SQLStatement] = []
    private var recorder: EventRecorder
    private let steps: Int
    /// How many of the statements that run are the writer's, and the outbox's.
    private var writeCount = 0
    private var outboxCount = 0

    init(tree: WriteTree, id: String, precondition: Precondition?, _ setting: OperationSetting) {
        self.tree = tree
        self.id = id
        self.precondition = precondition
        made = setting.slugs
        steps = setting.steps
        recorder = EventRecorder(
            principal: tree.access.principal,
            now: tree.now,
            snapshot: tree.snapshot,
            setting
        )
    }

    var awaitedCalls: [AwaitedCall] { recorder.awaited }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        do {
            return try step(results)
        } catch let failure as RequestFailure where failure.code == .conflict {
            // A conflict would tell of rows to one who could not have stored what this is about.
            try access?.requirePossible(tree.rows, isFailing: true)
            throw failure
        }
    }

    private mutating func step(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        switch state {
        case .start:
            return try start()
        case .stored(let skipped):
            let results = results[skipped...]
            let result = results[skipped]
            guard let row = result.rows.first else { throw RequestFailure.recordNotFound(tree.entity, id) }
            if let rowAccess { heldOfRecord = try rowAccess.judge(results[skipped + 1], id: id) }
            let seen = version.flatMap { $0.shown(results[skipped + (rowAccess == nil ? 1 : 2)]) } ?? result
            try precondition?.require(seen.json)
            stored = result
            tree.takeStored(row)
            let facts = results.dropFirst(1 + (rowAccess == nil ? 0 : 1) + (version == nil ? 0 : 1))
            if !facts.isEmpty { try tree.takeFacts(Array(facts)) }
            return try gatherFacts()
        case .facts:
            try tree.takeFacts(results)
            return try gatherFacts()
        case .access:
            try access?.takeBefore(results)
            return try judge()
        case .earlySlugs:
            try slugs?.take(results)
            return try judge()
        case .related:
            tree.takeRelated(results)
            try tree.judge()
            return try judge()
        case .lookups:
            return try takeLookups(results)
        case .judgingDeletes:
            deleteRules?.take(results)
            try deleteRules?.judge()
            return try write()
        case .writing(let skipped):
            return try takeWritten(results[skipped...])
        case .recording:
            return try checkWritten()
        case .checking:
            try checks?.judge(results)
            return try show()
        case .showing:
            return try takeShown(results)
        case .reading:
            try includes?.take(results)
            return try readMore()
        }
    }

    // MARK: facts

    private mutating func start() throws -> TransactionStep<OperationOutcome> {
        guard let storedRow = tree.storedRow else { return try gatherFacts() }
        let lock = tree.orderedLock.map { [$0] } ?? []
        state = .stored(skipped: lock.count)
        let facts = tree.knowsItsKeys ? try tree.factStatements() : []
        rowAccess = tree.rowAccess
        if precondition != nil { version = tree.readableRecord.flatMap { $0.isPartial ? $0 : nil } }
        let access = (rowAccess.map { [$0.statement] } ?? []) + (version.map { [$0.statement] } ?? [])
        return .run(lock + [storedRow] + access + facts)
    }

    private mutating func gatherFacts() throws -> TransactionStep<OperationOutcome> {
        let statements = try tree.factStatements()
        guard statements.isEmpty else {
            state = .facts
            return .run(statements)
        }
        guard !tree.isUnlimited else { return try judge() }
        let access = try TreeAccess(tree, root: heldOfRecord)
        self.access = access
        guard access.statementsBefore.isEmpty else {
            state = .access
            return .run(access.statementsBefore)
        }
        return try judge()
    }

    /// Rows that actions make are judged after those whose actions they are.
    private mutating func judge() throws -> TransactionStep<OperationOutcome> {
        repeat {
            if let statements = makeEarlySlugs() { return .run(statements) }
            let statements = tree.relatedStatements()
            guard statements.isEmpty else {
                state = .related
                return .run(statements)
            }
            try tree.judge()
        } while !tree.isJudged
        try access?.requirePossible(tree.rows)
        lookups = TreeLookups(tree)
        slugs = TreeSlugs(tree)
        cascade = tree.cascade
        return try lookUp(lookups?.statements ?? [])
    }

    private mutating func lookUp(_ first: [SQLStatement]) throws -> TransactionStep<OperationOutcome> {
        let statements = first + (slugs?.statements() ?? []) + (cascade?.statements() ?? [])
        guard !statements.isEmpty else { return try judgeDeletes() }
        state = .lookups
        return .run(statements)
    }

    private mutating func takeLookups(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        var results = results[...]
        if let lookups {
            let count = lookups.statements.count
            try lookups.judge(Array(results.prefix(count)))
            results = results.dropFirst(count)
            self.lookups = nil
            lookedUp = lookups
        }
        let slugCount = slugs?.statementCount ?? 0
        try slugs?.take(Array(results.prefix(slugCount)))
        try cascade?.take(Array(results.dropFirst(slugCount)))
        return try lookUp([])
    }

    /// Slugs that rules look at are made before these do.
    private mutating func makeEarlySlugs() -> [SQLStatement]? {
        guard earlySlugRound != tree.round, tree.needsSlugsFirst else { return nil }
        if slugs == nil { slugs = TreeSlugs(tree, isEarly: true) }
        let statements = slugs?.statements() ?? []
        if !statements.isEmpty {
            state = .earlySlugs
            return statements
        }
        earlySlugRound = tree.round
        slugs?.apply(to: &tree)
        for entity in slugs?.entities ?? [] { made.note(entity) }
        slugs = nil
        return nil
    }

    /// The rows that go with those that are deleted have rules of their own.
    private mutating func judgeDeletes() throws -> TransactionStep<OperationOutcome> {
        guard let rows = cascade?.followingRows, !rows.isEmpty else { return try write() }
        let rules = DeleteRules(rows, tree.access, now: tree.now, steps: steps)
        deleteRules = rules
        guard rules.statements.isEmpty else {
            state = .judgingDeletes
            return .run(rules.statements)
        }
        try deleteRules?.judge()
        return try write()
    }

    // MARK: writing

    private mutating func write() throws -> TransactionStep<OperationOutcome> {
        if let cascade { try tree.requireKept(by: cascade, lookedUp?.doomedPaths(cascade) ?? []) }
        if let slugs {
            for entity in slugs.entities { made.note(entity) }
            slugs.apply(to: &tree)
        }
        made.note(tree, access)
        if tree.knowsItsRows { outbox = try effects(tree.rows) }
        writer = TreeWriter(tree, stored: stored)
        return try writeMore(after: cascade?.changes ?? [])
    }

    /// What is recorded of the rows, when they have their keys.
    private mutating func effects(_ written: [PlannedRow]) throws -> [SQLStatement] {
        let announcements = try tree.announcements(written) + (deleteRules?.announcements() ?? [])
        return recorder.statements(tree.effects, of: tree.numbered(written), announcements)
    }

    private mutating func writeMore(after first: [SQLStatement] = []) throws -> TransactionStep<OperationOutcome> {
        let writes = writer?.next() ?? []
        writeCount = writes.count
        let isAtEnd = writer?.isAtEnd ?? true
        let reads = isAtEnd ? firstReads() : []
        if isAtEnd { outboxCount = outbox.count }
        let statements = first + writes + (isAtEnd ? outbox : []) + reads
        guard !statements.isEmpty else { return try afterWriting() }
        state = .writing(skipped: first.count)
        // What is read for the answer may be refused for its size, and then nothing must have changed; below a new
        // record there is only what this request brings.
        let isNew =
            stored == nil && tree.includes.areOfOwnRows && (includes?.isAtLastLevel ?? false) && tree.isSmall
        // A table's own trigger may swallow a row, and then nobody must be told of it.
        let isLast =
            isAtEnd && tree.knowsItsRows && tree.isUnlimited && (tree.includes.isEmpty || isNew) && outbox.isEmpty
        return isLast ? .finish(statements) : .run(statements)
    }

    /// What is related to the record can be asked for with the last writes, where its key is known.
    private mutating func firstReads() -> [SQLStatement] {
        guard tree.isUnlimited, !tree.includes.isEmpty,
            let links = writer?.linkValues(tree.includes.linkColumns)
        else { return [] }
        let root = StatementResult(rows: [links], rowCount: 1)
        includes = IncludeRun(tree.includes, of: tree.entity, root: root, positions: Array(links.indices))
        return includes?.statements() ?? []
    }

    private mutating func takeWritten(_ results: ArraySlice<StatementResult>) throws
        -> TransactionStep<OperationOutcome>
    {
        try writer?.take(Array(results.prefix(writeCount)), id: id)
        let isAtEnd = writer?.isAtEnd ?? true
        guard isAtEnd else { return try writeMore() }
        if includes != nil {
            try includes?.take(Array(results.dropFirst(writeCount + outboxCount)))
        }
        return try afterWriting()
    }

    private mutating func afterWriting() throws -> TransactionStep<OperationOutcome> {
        guard !tree.knowsItsRows, let writer else { return try checkWritten() }
        let outbox = try effects(writer.rows)
        guard !outbox.isEmpty else { return try checkWritten() }
        state = .recording
        return .run(outbox)
    }

    /// What is stored now must be the caller's to have stored, and the answer what the caller may read.
    private mutating func checkWritten() throws -> TransactionStep<OperationOutcome> {
        guard !tree.isUnlimited, let access, let writer else { return try readMore() }
        let checks = try access.groupsAfter(writer.rows)
        self.checks = checks
        guard checks.statements.isEmpty else {
            state = .checking
            return .run(checks.statements)
        }
        return try show()
    }

    private mutating func show() throws -> TransactionStep<OperationOutcome> {
        guard let key = writer?.rows[0].key, let row = tree.readableRow(key) else { return try takeShown([]) }
        readable = row
        state = .showing
        return .run([row.statement])
    }

    /// Of a record that its writer can't read, the answer tells the key.
    private mutating func takeShown(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        guard let row = results.first.flatMap({ readable?.shown($0) }) else {
            let key = writer?.rows[0].key ?? .null
            let json = JSONValue.object([tree.entity.key.name: key.json]).jsonBytes
            return .done(.stored(StoredRecord(json: json, tag: RecordVersion.tag(ofRow: json), key: key.keyText)))
        }
        shown = row
        return try readMore()
    }

    // MARK: the answer

    private mutating func readMore() throws -> TransactionStep<OperationOutcome> {
        guard var record = writer?.record else { throw DatabaseFailure.fault(cause: "a write gave no record") }
        if let shown { record.json = shown.json }
        if record.rowEnds.isEmpty || shown != nil { record.rowEnds = [record.json.count] }
        if includes == nil, !tree.includes.isEmpty {
            includes = IncludeRun(
                tree.includes,
                of: tree.entity,
                root: record,
                positions: tree.includes.linkColumns
            )
        }
        let statements = includes?.statements() ?? []
        guard statements.isEmpty else {
            state = .reading
            return .run(statements)
        }
        let row = StoredRecord(record, of: tree.entity)
        guard var includes else { return .done(.stored(row)) }
        includes.setRoot(record)
        return .done(.stored(StoredRecord(json: try includes.assembled(), tag: row.tag, key: row.key)))
    }
}
