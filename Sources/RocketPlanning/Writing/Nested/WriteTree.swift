package import RocketModel

/// A write of a record with the records below it. It is planned level by level: what is stored of a level decides what
/// is done to its rows, and which rows of the next level are to be looked at. Nothing is written before all of it is
/// planned.
///
/// Whoever has the database runs ``factStatements()`` and gives their results to ``takeFacts(_:)`` until there are no
/// more; then everything that is wrong is known.
package struct WriteTree: Sendable {
    package let entity: EntityModel
    package let access: Access
    private let grant: Grant
    /// What was decided already, by action and entity.
    private var allowed: Set<String> = []
    private var writers: [String: FieldWriter] = [:]
    package let now: Timestamp
    private let newID: @Sendable () -> UniqueID
    /// The record itself comes first.
    package internal(set) var rows: [PlannedRow] = []
    var links: [PlannedLink] = []
    var unlinks: [PlannedLink] = []
    /// What is wrong with the payload. Nothing is said of it before the record's own 404 and 412.
    var violations: [FailureDetail]
    /// What rules need, and how many of the rows they have judged.
    var run: RuleRun
    var judgedCount = 0
    /// How often rows were judged again, because related records had to be read that nobody had foreseen.
    var retries = 0
    /// Entities of which the payload has rows that can't be looked at: with a field that failed, or refused altogether.
    var incomplete: Set<String>
    /// What is recorded beside the rows.
    package internal(set) var effects: [Effect] = []
    /// Rows whose relations are looked at next.
    private var frontier: [Int] = []
    private var requests: [FactRequest] = []
    /// The rows whose keys are known, by entity.
    private var byKey: [String: [FieldValue: Int]] = [:]
    /// The relations that the payload writes, as they are read for the answer.
    package let includes: Includes

    // MARK: the record itself

    /// A record that is made.
    ///
    /// - Throws: 403 for a relation to an entity that the caller may not read.
    package static func create(
        _ payload: JSONObject,
        in entity: EntityModel,
        grant: Grant,
        now: Timestamp,
        steps: Int = RuleRun.maximumSteps,
        newID: @escaping @Sendable () -> UniqueID
    ) throws(RequestFailure) -> WriteTree {
        precondition(grant.entity == entity.name && grant.action == .create, "a create is planned with its own grant")
        var tree = try WriteTree(payload, entity, grant, now, steps, newID)
        tree.add(.create, tree.root, of: entity, key: nil, stored: nil, parent: nil, depth: 0)
        return tree
    }

    /// A record that is changed.
    ///
    /// - Throws: 404 where the id can't be a key.
    package static func update(
        _ payload: JSONObject,
        id: String,
        in entity: EntityModel,
        grant: Grant,
        now: Timestamp,
        steps: Int = RuleRun.maximumSteps,
        newID: @escaping @Sendable () -> UniqueID
    ) throws(RequestFailure) -> WriteTree {
        precondition(grant.entity == entity.name && grant.action == .update, "an update is planned with its own grant")
        guard let key = ReadPlanner.keyValue(id, entity) else { throw .recordNotFound(entity, id) }
        var tree = try WriteTree(payload, entity, grant, now, steps, newID)
        tree.add(.update, tree.root, of: entity, key: key, stored: nil, parent: nil, depth: 0)
        return tree
    }

    private let root: RowInput

    private init(
        _ payload: JSONObject,
        _ entity: EntityModel,
        _ grant: Grant,
        _ now: Timestamp,
        _ steps: Int,
        _ newID: @escaping @Sendable () -> UniqueID
    ) throws(RequestFailure) {
        self.entity = entity
        let access = grant.access
        self.access = access
        self.grant = grant
        self.now = now
        self.newID = newID
        run = RuleRun(access, now: now, steps: steps)
        var reader = RowInputReader(access)
        root = try reader.root(payload, of: entity)
        violations = reader.violations
        incomplete = reader.incomplete
        includes = try IncludePlanner.plan(root.writtenPaths, of: entity, access)
    }

    /// The stored record, locked; nil where it is made.
    package var storedRow: SQLStatement? {
        guard rows[0].action == .update, let key = rows[0].key else { return nil }
        return WritePlanner.lockedRow(key, entity)
    }

    /// Whether the stored record is the caller's to change; nil where every one is, or where it is made.
    package var rowAccess: RowAccess? {
        guard rows[0].action == .update, let key = rows[0].key else { return nil }
        return RowAccess(key, of: entity, grant)
    }

    /// Whether what is written, and the answer, are as they are for everyone who may write at all.
    package var isUnlimited: Bool { access.principal.isAdmin }

    /// The stored record as the caller may read it.
    package var readableRecord: ReadableRow? { rows[0].key.flatMap(readableRow) }

    /// The record with a key as the caller may read it.
    ///
    /// - Returns: nil where no policy lets the caller read any.
    package func readableRow(_ key: FieldValue) -> ReadableRow? { ReadableRow(key, of: entity, access) }

    /// Locks the record and the rows of its own entity that the payload names; nil where there are none.
    package var orderedLock: SQLStatement? {
        guard rows[0].action == .update, let key = rows[0].key, access.writesFreely(grant, entity) else { return nil }
        var keys: Set = [key]
        for input in rows[0].relations where input.entity.name == entity.name {
            keys.formUnion(input.rows.compactMap(\.key))
        }
        return keys.count > 1 ? WritePlanner.orderedLock(keys, entity) : nil
    }

    /// Whether the first level can be looked at without having read the record.
    package var knowsItsKeys: Bool {
        rows[0].relations.allSatisfy { $0.side.ownField(of: entity) == entity.keyIndex }
    }

    package mutating func takeStored(_ row: [SQLValue]) {
        rows[0].stored = row
    }

    /// - Throws: 422 with every violation of every row.
    func requireValid() throws(RequestFailure) {
        guard violations.isEmpty else { throw .validation(violations) }
    }

    package var snapshot: AppSnapshot { access.snapshot }

    /// Where a value stands that was taken when it was written: the only row that has one, or the last of those that
    /// have the same; nil where several may be meant.
    package func place(ofTaken columns: [String], in table: String) -> (entity: String, path: String)? {
        var candidates: [(values: [FieldValue], row: PlannedRow)] = []
        for row in rows where row.action != .delete && row.entity.definition.table == table {
            let values = columns.compactMap { name -> FieldValue? in
                guard let index = row.entity.index(of: name) else { return nil }
                return index == row.entity.keyIndex ? row.key : row.values[index]
            }
            if values.count == columns.count { candidates.append((values, row)) }
        }
        if candidates.count == 1 { return (candidates[0].row.entity.name, candidates[0].row.path) }
        var seen: Set<[FieldValue]> = []
        for candidate in candidates where !seen.insert(candidate.values).inserted {
            return (candidate.row.entity.name, candidate.row.path)
        }
        return nil
    }

    /// Whether what the rows hold can't make an answer that is refused for its size, however it is escaped.
    package var isSmall: Bool {
        var left = IncludeRun.maximumBytes
        for row in rows {
            left -= row.entity.rowShape.columns.reduce(0) { $0 + $1.member.count + 40 }
            left -= row.values.reduce(0) { $0 + $1.value.largestJSON(atMost: left) }
            if left < 0 { return false }
        }
        return true
    }

    func model(_ name: String) -> EntityModel? { access.snapshot.model(name) }

    /// What goes with the rows that are deleted; nil where none is.
    package var cascade: CascadeRun? {
        let deletions = rows.filter { $0.action == .delete }
        guard !deletions.isEmpty else { return nil }
        var run = CascadeRun(access, now: now)
        for row in deletions { if let stored = row.stored { run.add(stored, of: row.entity) } }
        return run
    }

    // MARK: facts

    /// What must be known of the next level; none when all rows are planned. A level of which nothing needs to be
    /// known is planned at once.
    ///
    /// - Throws: 403 for a row that the caller may not write.
    package mutating func factStatements() throws(RequestFailure) -> [SQLStatement] {
        while !frontier.isEmpty {
            for row in frontier {
                for input in rows[row].relations where asksForStored(input, rows[row]) {
                    try access.requireLink(input.side, of: rows[row].entity, to: input.entity)
                }
            }
            requests = makeRequests()
            let statements = requests.flatMap(\.statements)
            if !statements.isEmpty { return statements }
            try planLevel()
        }
        return []
    }

    /// - Throws: 403 for a row that the caller may not write.
    package mutating func takeFacts(_ results: [StatementResult]) throws(RequestFailure) {
        var results = results[...]
        for index in requests.indices {
            let count = requests[index].statements.count
            try requests[index].take(Array(results.prefix(count)))
            results = results.dropFirst(count)
        }
        try planLevel()
    }

    /// Whether what is written depends on which stored rows are below, which tells of the field that they are related by.
    private func asksForStored(_ input: RelationInput, _ row: PlannedRow) -> Bool {
        if row.action == .create, input.side.ownField(of: row.entity) == row.entity.keyIndex { return false }
        return !input.side.isMany || input.mode == .replace || input.rows.contains { $0.key != nil }
    }

    private func makeRequests() -> [FactRequest] {
        var requests: [FactRequest] = []
        for row in frontier {
            let parent = rows[row]
            for input in parent.relations {
                let index = requests.firstIndex { $0.isOf(input.side, parent.entity) }
                if index == nil {
                    requests.append(FactRequest(input.side, of: parent.entity, to: input.entity, access))
                }
                let column = input.side.ownField(of: parent.entity)
                let link = parent.action == .update ? parent.storedValue(column) : nil
                requests[index ?? requests.count - 1].add(input, link: link)
            }
        }
        return requests
    }

    private mutating func planLevel() throws(RequestFailure) {
        let level = frontier
        frontier = []
        for row in level {
            for input in rows[row].relations {
                guard let facts = requests.first(where: { $0.isOf(input.side, rows[row].entity) }) else { continue }
                switch input.side.link {
                case .field(let own, let theirs):
                    try planChildren(input, PlannedRow.Parent(row: row, own: own, theirs: theirs), facts)
                case .joinTable:
                    try planLinks(input, of: row, facts)
                }
            }
        }
    }

    // MARK: rows behind a foreign key

    private mutating func planChildren(
        _ input: RelationInput,
        _ parent: PlannedRow.Parent,
        _ facts: FactRequest
    ) throws(RequestFailure) {
        let isStored = rows[parent.row].action == .update
        let current = isStored ? rows[parent.row].storedValue(parent.own).map(facts.children) ?? [] : []
        guard input.side.isMany else { return try planOnlyChild(input, parent, current.first, facts) }
        let byKey = Dictionary(current.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        var named: Set<FieldValue> = []
        for row in input.rows where !row.hasBadKey {
            guard let key = row.key else {
                guard !row.isDeletion else {
                    violate(row.path, .relation, "names no \(input.entity.key.name) of what is to be deleted")
                    continue
                }
                try write(.create, row, input, parent, key: nil, stored: nil)
                continue
            }
            guard named.insert(key).inserted else {
                violateKey(row, input, "is given twice")
                continue
            }
            guard let child = byKey[key] else {
                if input.entity.definition.primaryKey.generated || row.isDeletion || facts.isTaken(key) {
                    check(row, of: input.entity, nil)
                    violateKey(row, input, "names no \(input.entity.name) of this \(rows[parent.row].entity.name)")
                } else {
                    try write(.create, row, input, parent, key: key, stored: nil)
                }
                continue
            }
            if input.mode == .append {
                check(row, of: input.entity, parent)
            } else if row.isDeletion {
                try delete(child, input, row.path, parent)
            } else {
                try write(.update, row, input, parent, key: key, stored: child.row)
            }
        }
        guard input.mode == .replace else { return }
        for child in current where !named.contains(child.key) {
            try delete(child, input, input.path, parent, isNamed: false)
        }
    }

    /// The one related record: without a key it is the current one.
    private mutating func planOnlyChild(
        _ input: RelationInput,
        _ parent: PlannedRow.Parent,
        _ current: FactRequest.Stored?,
        _ facts: FactRequest
    ) throws(RequestFailure) {
        guard let row = input.rows.first else {
            if input.isNull, input.mode != .append, let current { try delete(current, input, input.path, parent) }
            return
        }
        guard !row.hasBadKey else { return }
        if let key = row.key, key != current?.key {
            guard !input.entity.definition.primaryKey.generated, !row.isDeletion, !facts.isTaken(key) else {
                check(row, of: input.entity, nil)
                violateKey(row, input, "names no \(input.entity.name) of this \(rows[parent.row].entity.name)")
                return
            }
            if current != nil, input.mode != .replace {
                check(row, of: input.entity, nil)
                violateKey(row, input, "is another one than there is; \"replace\" puts it in its place")
                return
            }
        }
        guard let current else {
            guard !row.isDeletion else {
                violate(row.path, .relation, "there is none to delete")
                return
            }
            return try write(.create, row, input, parent, key: row.key, stored: nil)
        }
        switch input.mode {
        case .append:
            check(row, of: input.entity, parent)
        case _ where row.isDeletion:
            try delete(current, input, row.path, parent)
        case .replace where row.key != current.key:
            try delete(current, input, row.path, parent)
            try write(.create, row, input, parent, key: row.key, stored: nil)
        case .diff, .replace:
            try write(.update, row, input, parent, key: current.key, stored: current.row)
        }
    }

    // MARK: rows behind a join table

    private mutating func planLinks(_ input: RelationInput, of parent: Int, _ facts: FactRequest) throws(RequestFailure)
    {
        let linked: Set<FieldValue> =
            rows[parent].action == .update ? rows[parent].key.map(facts.linked) ?? [] : []
        var named: Set<FieldValue> = []
        for row in input.rows where !row.hasBadKey {
            guard let key = row.key else {
                guard !row.isDeletion else {
                    violate(row.path, .relation, "names no \(input.entity.key.name) of what is to be unlinked")
                    continue
                }
                try writeTarget(.create, row, input, parent, key: nil, stored: nil, isLinked: false)
                continue
            }
            guard named.insert(key).inserted else {
                violateKey(row, input, "is given twice")
                continue
            }
            let isLinked = linked.contains(key)
            if isLinked, input.mode == .append {
                check(row, of: input.entity, nil)
            } else if row.isDeletion {
                if isLinked {
                    unlinks.append(PlannedLink(side: input.side, parent: parent, target: .key(key)))
                } else {
                    violateKey(row, input, "is not linked to this \(rows[parent].entity.name)")
                }
            } else if let target = facts.target(key) {
                if row.saysMore(than: input.entity.key) {
                    try writeTarget(.update, row, input, parent, key: key, stored: target, isLinked: isLinked)
                } else if !isLinked {
                    links.append(PlannedLink(side: input.side, parent: parent, target: .key(key)))
                }
            } else if input.entity.definition.primaryKey.generated || facts.isTaken(key) {
                check(row, of: input.entity, nil)
                violateKey(row, input, "names no existing \(input.entity.name)")
            } else {
                try writeTarget(.create, row, input, parent, key: key, stored: nil, isLinked: false)
            }
        }
        guard input.mode == .replace else { return }
        for key in linked.subtracting(named) {
            unlinks.append(PlannedLink(side: input.side, parent: parent, target: .key(key)))
        }
    }

    private mutating func writeTarget(
        _ action: PlannedRow.Action,
        _ row: RowInput,
        _ input: RelationInput,
        _ parent: Int,
        key: FieldValue?,
        stored: [SQLValue]?,
        isLinked: Bool
    ) throws(RequestFailure) {
        try require(action == .create ? .create : .update, on: input.entity)
        let depth = rows[parent].depth + 1
        let index = add(action, row, of: input.entity, key: key, stored: stored, parent: nil, depth: depth)
        if !isLinked { links.append(PlannedLink(side: input.side, parent: parent, target: .row(index))) }
    }

    /// What the engine may put into file fields by itself: the files of the payload and of the records that it is about.
    var knownFiles: Set<JSONValue> {
        rows.reduce(into: access.files) { files, row in
            for index in row.entity.fileFields {
                if let stored = row.storedValue(index), !stored.isNull { files.insert(stored.json) }
            }
        }
    }

    // MARK: adding rows

    /// - Throws: 403 for what no policy allows.
    private mutating func require(_ action: RecordAction, on entity: EntityModel) throws(RequestFailure) {
        guard allowed.insert("\(action.rawValue) \(entity.name)").inserted else { return }
        _ = try access.grant(action, on: entity)
    }

    private mutating func writer(_ action: RecordAction, on entity: EntityModel) -> FieldWriter {
        let name = "\(action.rawValue) \(entity.name)"
        if let known = writers[name] { return known }
        let writer = FieldWriter(action, on: entity, access)
        writers[name] = writer
        return writer
    }

    private mutating func write(
        _ action: PlannedRow.Action,
        _ row: RowInput,
        _ input: RelationInput,
        _ parent: PlannedRow.Parent,
        key: FieldValue?,
        stored: [SQLValue]?
    ) throws(RequestFailure) {
        try require(action == .create ? .create : .update, on: input.entity)
        let depth = rows[parent.row].depth + 1
        add(action, row, of: input.entity, key: key, stored: stored, parent: parent, depth: depth)
    }

    private mutating func delete(
        _ child: FactRequest.Stored,
        _ input: RelationInput,
        _ path: String,
        _ parent: PlannedRow.Parent,
        isNamed: Bool = true
    ) throws(RequestFailure) {
        try require(.delete, on: input.entity)
        rows.append(
            PlannedRow(
                entity: input.entity,
                action: .delete,
                path: path,
                depth: rows[parent.row].depth + 1,
                key: child.key,
                values: [:],
                stored: child.row,
                parent: nil,
                relations: [],
                origin: isNamed ? .payload : .cascade
            )
        )
    }

    /// Looks at a row that is not written, and those below it: a mistake in them is told all the same.
    private mutating func check(_ row: RowInput, of entity: EntityModel, _ parent: PlannedRow.Parent?) {
        let fields = withoutForeignKey(row, of: entity, .update, parent)
        violations += FieldChecks.check(
            fields,
            of: entity,
            nil,
            isCreate: false,
            writer: writer(.update, on: entity).looking,
            files: access.files
        )
        .violations
        .map { $0.inside(row.path) }
        for relation in row.relations {
            for below in relation.rows { check(below, of: relation.entity, nil) }
        }
    }

    /// Whether the row is written already, by another place of the payload that says the same.
    ///
    /// - Returns: its index. What says something else is a violation.
    private mutating func alreadyWritten(
        _ key: FieldValue?,
        _ values: [Int: FieldValue],
        _ row: RowInput,
        _ entity: EntityModel
    ) -> Int? {
        guard let key, let earlier = byKey[entity.name]?[key] else { return nil }
        let written = rows[earlier].values.filter { entity.fields[$0.key].definition.auto == nil }
        let given = values.filter { entity.fields[$0.key].definition.auto == nil }
        if written != given || !row.relations.isEmpty {
            violate(
                "\(row.path).\(entity.key.name)",
                .relation,
                "is written at \"\(rows[earlier].path)\" too; say it in one place"
            )
        }
        return earlier
    }

    /// Looks for rows that this very request deletes, by itself or along relations, and writes or names elsewhere.
    ///
    /// - Parameter references: where foreign keys name such rows.
    /// - Throws: 422 with every place.
    package func requireKept(by cascade: CascadeRun, _ references: [String]) throws(RequestFailure) {
        var paths = references
        for row in rows where row.action == .update {
            if let key = row.key, cascade.dooms(key, of: row.entity) { paths.append(row.path) }
        }
        for link in links {
            if case .key(let key) = link.target, let other = model(link.side.other), cascade.dooms(key, of: other) {
                let path = rows[link.parent].path
                paths.append(path.isEmpty ? link.side.name : "\(path).\(link.side.name)")
            }
        }
        guard paths.isEmpty else {
            throw .validation(
                paths.map { path in
                    FailureDetail(
                        field: path.isEmpty ? nil : path,
                        rule: .relation,
                        message: path.isEmpty
                            ? "the record itself would be deleted with what is to be deleted below it"
                            : "names a record that this request deletes"
                    )
                }
            )
        }
    }

    /// A row that the action of a state machine makes.
    ///
    /// - Parameter depth: behind all rows that it may name.
    mutating func addMade(_ payload: JSONObject, of entity: EntityModel, at path: String, depth: Int) {
        let input = RowInput(path: "", fields: payload, relations: [], isDeletion: false, key: nil, hasBadKey: false)
        let count = violations.count
        let index = add(.create, input, of: entity, key: nil, stored: nil, parent: nil, depth: depth, isMade: true)
        rows[index].origin = .action
        rows[index].path = path
        for position in violations.indices.dropFirst(count) {
            let detail = violations[position]
            violations[position] = rows[index].detail(detail.field, detail.rule ?? .relation, detail.message)
        }
    }

    @discardableResult
    private mutating func add(
        _ action: PlannedRow.Action,
        _ row: RowInput,
        of entity: EntityModel,
        key: FieldValue?,
        stored: [SQLValue]?,
        parent: PlannedRow.Parent?,
        depth: Int,
        isMade: Bool = false
    ) -> Int {
        let isCreate = action == .create
        let fields = withoutForeignKey(row, of: entity, action, parent)
        let filled = Set(parent.map { [$0.theirs] } ?? [])
        let logic = access.snapshot.logic(of: entity)
        let writer: FieldWriter =
            isMade ? .unlimited : self.writer(isCreate ? .create : .update, on: entity)
        let checked = FieldChecks.check(
            fields,
            of: entity,
            logic,
            isCreate: isCreate,
            filled: filled,
            writer: writer,
            files: isMade ? knownFiles : access.files
        )
        violations += checked.violations.map { $0.inside(row.path) }
        let failed = checked.failed(entity)
        if !failed.isEmpty { incomplete.insert(entity.name) }
        var values = checked.values
        var key = key
        if isCreate {
            for (index, field) in entity.fields.enumerated() where field.definition.auto != nil {
                values[index] = field.value(at: now)
            }
            if entity.definition.primaryKey.generated {
                values[entity.keyIndex] = nil
                if entity.key.shape.type == .uuid { key = .uuid(newID()) }
            } else if let parent, parent.theirs == entity.keyIndex {
                key = rows[parent.row].value(parent.own)
            } else {
                key = values[entity.keyIndex]
            }
        } else if !values.isEmpty {
            for (index, field) in entity.fields.enumerated() where field.definition.auto == .update {
                values[index] = field.value(at: now)
            }
        }
        if let parent, let link = rows[parent.row].value(parent.own) {
            if link.isNull, !isComputed(parent) {
                let name = rows[parent.row].entity.fields[parent.own].name
                violate(row.path, .relation, "the record above has no \"\(name)\" to be named by")
            }
            let isKnown = !link.isNull || !isComputed(parent)
            if isKnown, isCreate || link != rows[parent.row].storedValue(parent.own) { values[parent.theirs] = link }
        }
        if !isMade, parent == nil || action == .update, let earlier = alreadyWritten(key, values, row, entity) {
            return earlier
        }
        if let key { byKey[entity.name, default: [:]][key] = rows.count }
        rows.append(
            PlannedRow(
                entity: entity,
                action: action,
                path: row.path,
                depth: depth,
                key: key,
                values: values,
                stored: stored,
                parent: parent,
                relations: row.relations,
                failed: failed,
                given: isMade ? [] : checked.given
            )
        )
        if !row.relations.isEmpty { frontier.append(rows.count - 1) }
        return rows.count - 1
    }

    /// The row's fields without the foreign key, which the engine fills in: a payload may repeat it, but point to no
    /// other parent.
    private mutating func withoutForeignKey(
        _ row: RowInput,
        of entity: EntityModel,
        _ action: PlannedRow.Action,
        _ parent: PlannedRow.Parent?
    ) -> JSONObject {
        guard let parent, let json = row.fields[entity.fields[parent.theirs].name] else { return row.fields }
        let field = entity.fields[parent.theirs]
        var fields = row.fields
        fields[field.name] = nil
        if json == .null, action == .create { return fields }
        do throws(CoercionFailure) {
            let value = try field.shape.value(of: json)
            if value != rows[parent.row].value(parent.own) {
                violate(
                    "\(row.path).\(field.name)",
                    .relation,
                    "names another \(rows[parent.row].entity.name) than the one above; leave it out"
                )
            }
        } catch {
            violate("\(row.path).\(field.name)", .type, error.message)
        }
        return fields
    }

    /// Whether the field of the row above by which others are related to it is still to be computed.
    func isComputed(_ parent: PlannedRow.Parent) -> Bool {
        snapshot.logic(of: rows[parent.row].entity)?.computedFields.contains(parent.own) ?? false
    }

    private mutating func violateKey(_ row: RowInput, _ input: RelationInput, _ message: String) {
        incomplete.insert(input.entity.name)
        violate("\(row.path).\(input.entity.key.name)", .relation, message)
    }

    mutating func violate(_ path: String, _ rule: ViolatedRule, _ message: String) {
        violations.append(FailureDetail(field: path, rule: rule, message: message))
    }
}

extension FailureDetail {
    /// The detail of a row that stands inside a payload.
    func inside(_ path: String) -> FailureDetail {
        guard !path.isEmpty else { return self }
        return FailureDetail(field: field.map { "\(path).\($0)" } ?? path, rule: rule, message: message)
    }
}

extension FieldValue {
    /// Bytes that the value has as JSON at most; counting ends at the bound.
    fileprivate func largestJSON(atMost bound: Int) -> Int {
        switch self {
        // A control character is six bytes in JSON.
        case .text(let text): text.utf8.count * 6
        case .json(let json): json.largestSize(atMost: bound)
        case .decimal(let number): number.description.utf8.count
        default: 40
        }
    }
}

extension JSONValue {
    fileprivate func largestSize(atMost bound: Int) -> Int {
        switch self {
        case .null, .boolean: return 6
        case .number(let number): return number.text.utf8.count + 1
        case .string(let text): return text.utf8.count * 6 + 3
        case .array(let items):
            var count = 3
            for item in items where count < bound { count += item.largestSize(atMost: bound - count) }
            return count
        case .object(let object):
            var count = 3
            for member in object.members where count < bound {
                count += member.name.utf8.count * 6 + 4 + member.value.largestSize(atMost: bound - count)
            }
            return count
        }
    }
}
