import RocketModel
import RocketTestSupport
import Testing

/// Random nested payloads, right and wrong ones, applied by the server and by a model of the contract's table of modes;
/// after each of them both must have the same rows. A failure tells the seed and the payload.
struct NestedPropertyTests {
    private static let steps = 100

    private static func check(_ root: Level, seed: UInt64, _ store: TestStore) async throws {
        try await Bazaar.run(store) { app async throws in
            var run = TreeRun(app: app, root: root, seed: seed)
            for _ in 0..<3 { try await run.write(to: nil, isHostile: false) }
            for _ in 0..<steps { try await run.step() }
            try await run.checkCounts()
            // Payloads of one kind alone would prove little.
            let (accepted, refused) = (run.accepted, run.refused)
            #expect(accepted > 15 && refused > 3, "\(accepted) accepted, \(refused) refused")
        }
    }

    @Test(arguments: TestStore.allCases)
    func itemsOfOrdersAndTheirNotesAreWrittenAsTheModelSays(store: TestStore) async throws {
        try await Self.check(.orderWithItems, seed: 11, store)
    }

    @Test(arguments: TestStore.allCases)
    func ordersOfCustomersAndTheirItemsAreWrittenAsTheModelSays(store: TestStore) async throws {
        try await Self.check(.customerWithOrders, seed: 12, store)
    }

    @Test(arguments: TestStore.allCases)
    func theOneProfileOfACustomerIsWrittenAsTheModelSays(store: TestStore) async throws {
        try await Self.check(.customerWithProfile, seed: 13, store)
    }

    @Test(arguments: TestStore.allCases)
    func variantsWhoseKeysTheClientGivesAreWrittenAsTheModelSays(store: TestStore) async throws {
        try await Self.check(.productWithVariants, seed: 14, store)
    }

    @Test(arguments: TestStore.allCases)
    func partsAndScrewsThatTheDatabaseNumbersAreWrittenAsTheModelSays(store: TestStore) async throws {
        try await Self.check(.binWithParts, seed: 15, store)
    }

    @Test(arguments: TestStore.allCases)
    func tagsOfOrdersAreLinkedAndWrittenAsTheModelSays(store: TestStore) async throws {
        try await Bazaar.run(store) { app async throws in
            var run = LinkRun(app: app, seed: 16)
            for _ in 0..<4 { try await run.makeTag() }
            for _ in 0..<3 { try await run.write(to: nil, isHostile: false) }
            for _ in 0..<Self.steps { try await run.step() }
            let (accepted, refused) = (run.accepted, run.refused)
            #expect(accepted > 15 && refused > 3, "\(accepted) accepted, \(refused) refused")
        }
    }
}

// MARK: what is written

/// SplitMix64: the same numbers in every run.
private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func percent(_ share: Int) -> Bool {
        Int.random(in: 0..<100, using: &self) < share
    }
}

/// A row as the server has it, or will have it. No two rows get the same label, so a row that is made is found by it.
private struct Node: CustomStringConvertible {
    /// Nil for a row that is made, whose key is not known beforehand.
    var key: String?
    var label: Int?
    var below: [Node] = []

    var description: String {
        "\(label.map(String.init) ?? "-")(\(key ?? "new"))" + (below.isEmpty ? "" : "\(below)")
    }
}

/// A row of a payload.
private struct RowWrite {
    var key: String?
    var label: Int?
    /// The foreign key, which a payload may repeat.
    var foreignKey: String?
    /// `_delete`, where it is said.
    var says: Bool?
    /// A UUID in upper case, a number as a string.
    var isSpelledOtherwise = false
    var below: Write?

    var isDeletion: Bool { says == true }
}

/// What a payload says of one relation.
private struct Write {
    enum Mode: String, CaseIterable {
        case diff
        case replace
        case append
    }

    /// Nil for the relation's own, which is diff.
    var mode: Mode?
    /// Whether the rows stand in an object's `data` though no mode is said.
    var isWrapped: Bool
    /// None is the `null` of a relation to one.
    var rows: [RowWrite] = []

    /// How many levels of relations are written.
    var depth: Int { 1 + (rows.compactMap { $0.below?.depth }.max() ?? 0) }

    static func random(_ chance: inout SplitMix) -> Write {
        let mode = chance.percent(65) ? Mode.allCases.randomElement(using: &chance) : nil
        return Write(mode: mode, isWrapped: chance.percent(20))
    }
}

/// An entity of a tree, and how the level above leads to it.
private struct Level: Sendable {
    enum KeyKind: Sendable {
        case uuid
        case int
        case bigint
        case given
    }

    let entity: String
    var key = "id"
    var keyKind = KeyKind.uuid
    /// A field without a default that tells rows apart.
    let label: String
    var isNumber = false
    var relation = ""
    var foreignKey = ""
    var isOne = false
    /// None or one: a structure can't hold another of its own.
    var below: [Level] = []

    var next: Level? { below.first }

    // MARK: the trees

    static let orderWithItems = order([items([notes])])
    static let orderWithTags = order([tags])
    static let customerWithOrders = Level(
        entity: "customer",
        label: "name",
        below: [
            Level(
                entity: "order",
                label: "number",
                isNumber: true,
                relation: "orders",
                foreignKey: "customer_id",
                below: [items([])]
            )
        ]
    )
    static let customerWithProfile = Level(
        entity: "customer",
        label: "name",
        below: [
            Level(entity: "profile", label: "bio", relation: "profile", foreignKey: "customer_id", isOne: true)
        ]
    )
    static let productWithVariants = Level(
        entity: "product",
        key: "sku",
        keyKind: .given,
        label: "name",
        below: [
            Level(
                entity: "variant",
                key: "code",
                keyKind: .given,
                label: "color",
                relation: "variants",
                foreignKey: "product_sku"
            )
        ]
    )
    static let binWithParts = Level(
        entity: "bin",
        keyKind: .int,
        label: "label",
        below: [
            Level(
                entity: "part",
                keyKind: .bigint,
                label: "label",
                relation: "parts",
                foreignKey: "bin_id",
                below: [
                    Level(
                        entity: "screw",
                        keyKind: .int,
                        label: "size",
                        isNumber: true,
                        relation: "screws",
                        foreignKey: "part_id"
                    )
                ]
            )
        ]
    )
    static let tags = Level(entity: "tag", label: "label", relation: "tags")

    private static func order(_ below: [Level]) -> Level {
        Level(entity: "order", label: "number", isNumber: true, below: below)
    }

    private static func items(_ below: [Level]) -> Level {
        Level(entity: "item", label: "name", relation: "items", foreignKey: "order_id", below: below)
    }

    private static let notes = Level(entity: "note", label: "text", relation: "notes", foreignKey: "item_id")

    // MARK: JSON

    func keyJSON(_ key: String, otherwise: Bool = false) -> JSONValue {
        switch keyKind {
        case .uuid: return .string(otherwise ? key.uppercased() : key)
        case .given: return .string(key)
        case .bigint where otherwise: return .string(key)
        case .int, .bigint: return .integer(Int(key) ?? 0)
        }
    }

    func labelJSON(_ label: Int) -> JSONValue {
        isNumber ? .integer(label) : .string(String(label))
    }

    func json(_ row: RowWrite, under parent: Level) -> JSONValue {
        var object = JSONObject()
        if let key = row.key { object[self.key] = keyJSON(key, otherwise: row.isSpelledOtherwise) }
        if let label = row.label { object[self.label] = labelJSON(label) }
        if let other = row.foreignKey { object[foreignKey] = parent.keyJSON(other) }
        if let says = row.says { object["_delete"] = .boolean(says) }
        if let write = row.below, let next { object[next.relation] = next.json(write, under: self) }
        return .object(object)
    }

    func json(_ write: Write, under parent: Level) -> JSONValue {
        let rows = write.rows.map { json($0, under: parent) }
        var data = JSONValue.array(rows)
        if isOne { data = rows.isEmpty ? .null : rows[0] }
        guard write.mode != nil || write.isWrapped else { return data }
        var wrapper = JSONObject()
        if let mode = write.mode { wrapper["_write_mode"] = JSONValue.string(mode.rawValue) }
        wrapper["data"] = data
        return .object(wrapper)
    }

    func node(_ json: TestJSON) -> Node {
        let (keyJSON, labelJSON) = (json[key], json[label])
        return Node(
            key: keyJSON.string ?? keyJSON.digits,
            label: Int(labelJSON.string ?? labelJSON.digits ?? ""),
            below: next.map { next in next.nodes(json[next.relation]) } ?? []
        )
    }

    func nodes(_ json: TestJSON) -> [Node] {
        if isOne { return json.isNull ? [] : [node(json)] }
        return json.array.map { node($0) }
    }

    // MARK: rows

    /// Whether rows are those that are expected, `depth` levels down. Rows that were made have keys that no row had.
    func matches(_ expected: [Node], _ actual: [Node], depth: Int, known: [String: [String]]) -> Bool {
        guard expected.count == actual.count else { return false }
        return expected.allSatisfy { wanted in
            actual.contains { found in
                guard let key = found.key, found.label == wanted.label else { return false }
                if let wantedKey = wanted.key {
                    guard key == wantedKey else { return false }
                } else if known[entity, default: []].contains(key) {
                    return false
                }
                guard depth > 0, let next else { return true }
                return next.matches(wanted.below, found.below, depth: depth - 1, known: known)
            }
        }
    }

    func keys(of entity: String, in nodes: [Node]) -> [String] {
        if entity == self.entity { return nodes.compactMap(\.key) }
        return next?.keys(of: entity, in: nodes.flatMap(\.below)) ?? []
    }

    func removing(_ key: String, of entity: String, from nodes: [Node]) -> [Node] {
        if entity == self.entity { return nodes.filter { $0.key != key } }
        return nodes.map { node in
            var node = node
            node.below = next?.removing(key, of: entity, from: node.below) ?? []
            return node
        }
    }
}

// MARK: the model

/// The contract's table of modes, on rows in memory.
private struct TreeModel {
    /// Client-given keys of rows below other records.
    let taken: [String]
    /// `field rule` of each violation.
    var violations: [String] = []
    /// Whether a row would be made with a key that another record's row has.
    var wantsTakenKey = false

    init(taken: [String]) {
        self.taken = taken
    }

    /// - Parameter parent: the key of the row above, where it is known.
    /// - Returns: the rows as they will be, if nothing in the payload is wrong.
    mutating func apply(
        _ write: Write,
        to current: [Node],
        of level: Level,
        under parent: String?,
        at path: String
    ) -> [Node] {
        if level.isOne { return applyOne(write, to: current, of: level, under: parent, at: path) }
        var rows = current
        var named: [String] = []
        for (index, row) in write.rows.enumerated() {
            let path = "\(path)[\(index)]"
            guard let key = row.key else {
                if row.isDeletion {
                    violations.append("\(path) relation")
                } else if level.keyKind == .given {
                    violations.append("\(path).\(level.key) required")
                } else {
                    rows.append(make(row, of: level, under: parent, at: path))
                }
                continue
            }
            guard !named.contains(key) else {
                violations.append("\(path).\(level.key) relation")
                continue
            }
            named.append(key)
            guard let place = rows.firstIndex(where: { $0.key == key }) else {
                if level.keyKind == .given, !row.isDeletion {
                    if taken.contains(key) { wantsTakenKey = true }
                    rows.append(make(row, of: level, under: parent, at: path))
                } else {
                    violations.append("\(path).\(level.key) relation")
                }
                continue
            }
            if write.mode == .append {
                judgeForeignKey(row, of: level, under: parent, at: path)
            } else if row.isDeletion {
                rows.remove(at: place)
            } else {
                rows[place] = change(rows[place], row, of: level, under: parent, at: path)
            }
        }
        guard write.mode == .replace else { return rows }
        let leftOut = current.compactMap(\.key).filter { !named.contains($0) }
        return rows.filter { row in !leftOut.contains { $0 == row.key } }
    }

    private mutating func applyOne(
        _ write: Write,
        to current: [Node],
        of level: Level,
        under parent: String?,
        at path: String
    ) -> [Node] {
        guard let row = write.rows.first else { return write.mode == .append ? current : [] }
        if let key = row.key, key != current.first?.key {
            violations.append("\(path).\(level.key) relation")
            return current
        }
        guard let child = current.first else {
            if row.isDeletion {
                violations.append("\(path) relation")
                return current
            }
            return [make(row, of: level, under: parent, at: path)]
        }
        if write.mode == .append {
            judgeForeignKey(row, of: level, under: parent, at: path)
            return current
        }
        if row.isDeletion { return [] }
        if write.mode == .replace, row.key == nil { return [make(row, of: level, under: parent, at: path)] }
        return [change(child, row, of: level, under: parent, at: path)]
    }

    private mutating func make(_ row: RowWrite, of level: Level, under parent: String?, at path: String) -> Node {
        judgeForeignKey(row, of: level, under: parent, at: path)
        let key = level.keyKind == .given ? row.key : nil
        var node = Node(key: key, label: row.label)
        if let write = row.below, let next = level.next {
            node.below = apply(write, to: [], of: next, under: key, at: "\(path).\(next.relation)")
        }
        return node
    }

    private mutating func change(
        _ node: Node,
        _ row: RowWrite,
        of level: Level,
        under parent: String?,
        at path: String
    ) -> Node {
        judgeForeignKey(row, of: level, under: parent, at: path)
        var node = node
        if let label = row.label { node.label = label }
        if let write = row.below, let next = level.next {
            node.below = apply(write, to: node.below, of: next, under: node.key, at: "\(path).\(next.relation)")
        }
        return node
    }

    private mutating func judgeForeignKey(_ row: RowWrite, of level: Level, under parent: String?, at path: String) {
        guard let key = row.foreignKey, key != parent else { return }
        violations.append("\(path).\(level.foreignKey) relation")
    }
}

private func hold(_ condition: Bool, _ story: @autoclosure () -> String) throws {
    guard condition else { throw TestFailure(story()) }
}

// MARK: trees

/// Where a relation of a payload stands.
private struct Place {
    let level: Level
    let parentLevel: Level
    /// Nil for a row that is made.
    let parentKey: String?
    let current: [Node]
}

/// One app, some records of one kind with rows below them, and what the model thinks of them.
private struct TreeRun {
    private let app: TestApp
    private let root: Level
    private let seed: UInt64
    private var chance: SplitMix
    private var state: [Node] = []
    /// Every key that a row ever had, by entity.
    private var known: [String: [String]] = [:]
    private var serial = 0
    private var stepCount = 0
    private(set) var accepted = 0
    private(set) var refused = 0

    init(app: TestApp, root: Level, seed: UInt64) {
        self.app = app
        self.root = root
        self.seed = seed
        chance = SplitMix(seed: seed)
    }

    mutating func step() async throws {
        let share = Int.random(in: 0..<100, using: &chance)
        let isHostile = chance.percent(40)
        if share < 10 {
            try await deleteOne()
        } else {
            let target = share < 30 ? nil : state.randomElement(using: &chance)
            try await write(to: target, isHostile: isHostile)
        }
    }

    /// - Parameter target: nil for a record that is made.
    mutating func write(to target: Node?, isHostile: Bool) async throws {
        stepCount += 1
        guard let next = root.next else { throw TestFailure("a tree has at least two levels") }
        var record = target ?? Node()
        var payload = JSONObject()
        if target == nil || chance.percent(20) {
            let label = newLabel()
            record.label = label
            payload[root.label] = root.labelJSON(label)
        }
        if target == nil, root.keyKind == .given {
            let key = "\(root.entity)-\(serial)"
            record.key = key
            payload[root.key] = JSONValue.string(key)
        }
        let place = Place(level: next, parentLevel: root, parentKey: record.key, current: record.below)
        let write = makeWrite(place, isHostile: isHostile)
        payload[next.relation] = next.json(write, under: root)

        let others = state.filter { $0.key != target?.key }
        var model = TreeModel(taken: root.keys(of: next.entity, in: others))
        record.below = model.apply(write, to: record.below, of: next, under: record.key, at: next.relation)

        let answer: TestAnswer
        let path: String
        if let key = target?.key {
            path = "PUT \(root.entity)/\(key)"
            answer = try await app.put("\(root.entity)/\(key)", .object(payload))
        } else {
            path = "POST \(root.entity)"
            answer = try await app.post(root.entity, .object(payload))
        }
        let before = target.map { " on \($0)" } ?? ""
        let sent = JSONValue.object(payload).jsonText
        let story = "seed \(seed), step \(stepCount): \(path) \(sent)\(before) → \(answer)"
        if model.wantsTakenKey {
            // Whether the key is said to be another's or to be there already: it is refused.
            refused += 1
            try hold(answer.status == 409 || answer.status == 422, "\(story)\nexpected 409 or 422")
            try await compare(state, story)
        } else if !model.violations.isEmpty {
            refused += 1
            let isTold = answer.code == "VALIDATION_FAILED" && answer.details.sorted() == model.violations.sorted()
            try hold(answer.status == 422 && isTold, "\(story)\nexpected 422 with \(model.violations)")
            try await compare(state, story)
        } else {
            accepted += 1
            try hold(answer.status == (target == nil ? 201 : 200), "\(story)\nexpected success")
            let shown = root.node(answer["data"])
            let isShown = root.matches([record], [shown], depth: write.depth, known: known)
            try hold(isShown, "\(story)\nexpected the answer to show \(record)")
            try await compare(others + [record], story)
        }
    }

    /// Reads all records with all that is below them: so a row of another record that was touched shows as well.
    private mutating func compare(_ expected: [Node], _ story: String) async throws {
        let answer = try await app.get("\(root.entity)?include=\(includePath)&per_page=100")
        try hold(answer.status == 200, "\(story)\nread: \(answer)")
        let actual = root.nodes(answer["data"])
        let isSame = root.matches(expected, actual, depth: levels.count - 1, known: known)
        try hold(isSame, "\(story)\nexpected \(expected)\nthere is \(actual)")
        state = actual
        for level in levels {
            for key in root.keys(of: level.entity, in: actual) where !known[level.entity, default: []].contains(key) {
                known[level.entity, default: []].append(key)
            }
        }
    }

    /// A row that is deleted by itself, be it for good or not, is no child any more.
    private mutating func deleteOne() async throws {
        stepCount += 1
        guard let level = levels.dropFirst().randomElement(using: &chance),
            let key = root.keys(of: level.entity, in: state).randomElement(using: &chance)
        else { return }
        let answer = try await app.delete("\(level.entity)/\(key)")
        let story = "seed \(seed), step \(stepCount): DELETE \(level.entity)/\(key) → \(answer)"
        try hold(answer.status == 200, story)
        try await compare(root.removing(key, of: level.entity, from: state), story)
    }

    /// Rows that were deleted, or went with one that was, are not found without their record either.
    func checkCounts() async throws {
        for level in levels {
            let expected = root.keys(of: level.entity, in: state).count
            let answer = try await app.get("\(level.entity)?per_page=1")
            try hold(answer["meta"]["total"].int == expected, "seed \(seed): \(expected) of \(level.entity): \(answer)")
        }
    }

    private var levels: [Level] {
        var levels = [root]
        while let next = levels.last?.next { levels.append(next) }
        return levels
    }

    private var includePath: String {
        levels.dropFirst().map(\.relation).joined(separator: ".")
    }

    // MARK: payloads

    private mutating func newLabel() -> Int {
        serial += 1
        return serial
    }

    private mutating func unknownKey(_ level: Level) -> String {
        serial += 1
        return switch level.keyKind {
        case .uuid: Bazaar.id(9, serial)
        case .int, .bigint: String(900_000 + serial)
        case .given: "\(level.entity)-\(serial)"
        }
    }

    private mutating func makeWrite(_ place: Place, isHostile: Bool) -> Write {
        var write = Write.random(&chance)
        let count = Int.random(in: 0...4, using: &chance)
        if place.level.isOne {
            if count > 0 { write.rows = [makeOne(place, write, isHostile: isHostile)] }
            return write
        }
        for _ in 0..<count {
            let row = makeRow(place, write, isHostile: isHostile)
            write.rows.append(row)
        }
        return write
    }

    private mutating func makeOne(_ place: Place, _ write: Write, isHostile: Bool) -> RowWrite {
        if isHostile, chance.percent(60) { return makeMistake(place, write) }
        var row = RowWrite()
        row.isSpelledOtherwise = chance.percent(20)
        if chance.percent(80) { row.label = newLabel() }
        if let child = place.current.first {
            if chance.percent(50) { row.key = child.key }
            if chance.percent(20) { row.says = true }
        }
        if !row.isDeletion, chance.percent(10) { row.foreignKey = place.parentKey }
        return row
    }

    private mutating func makeRow(_ place: Place, _ write: Write, isHostile: Bool) -> RowWrite {
        if isHostile, chance.percent(30) { return makeMistake(place, write) }
        let level = place.level
        let named = write.rows.compactMap(\.key)
        let free = place.current.filter { node in !named.contains { $0 == node.key } }
        var row = RowWrite()
        row.isSpelledOtherwise = chance.percent(20)
        if chance.percent(10) { row.says = false }
        var child: Node?
        if chance.percent(60) { child = free.randomElement(using: &chance) }
        if let child {
            row.key = child.key
            if chance.percent(25) { row.says = true }
            if chance.percent(70) { row.label = newLabel() }
        } else {
            row.label = newLabel()
            if level.keyKind == .given { row.key = "\(level.entity)-\(serial)" }
        }
        guard !row.isDeletion else { return row }
        if chance.percent(10) { row.foreignKey = place.parentKey }
        if let next = level.next, chance.percent(50) {
            // What is wrong below a row that is left alone is nobody's business here.
            let isLeftAlone = write.mode == .append && child != nil
            let below = Place(level: next, parentLevel: level, parentKey: child?.key, current: child?.below ?? [])
            row.below = makeWrite(below, isHostile: isHostile && !isLeftAlone)
        }
        return row
    }

    /// A row with something wrong; for client-given keys a key that no row has is nothing wrong.
    private mutating func makeMistake(_ place: Place, _ write: Write) -> RowWrite {
        let level = place.level
        var row = RowWrite()
        row.isSpelledOtherwise = chance.percent(20)
        if chance.percent(30) { row.says = true } else { row.label = newLabel() }
        let living = root.keys(of: level.entity, in: state)
        let own = place.current.compactMap(\.key)
        switch Int.random(in: 0..<6, using: &chance) {
        case 0:
            row.key = living.filter { !own.contains($0) }.randomElement(using: &chance)
        case 1:
            row.key = known[level.entity, default: []].filter { !living.contains($0) }.randomElement(using: &chance)
        case 2:
            row.key = write.rows.compactMap(\.key).randomElement(using: &chance)
        case 3:
            // Without a key: nothing says what to delete; and a key that the client gives can't be left out.
            if level.keyKind != .given {
                row.says = true
                row.label = nil
            }
            return row
        case 4:
            let parents = root.keys(of: place.parentLevel.entity, in: state).filter { $0 != place.parentKey }
            if row.label == nil { row.label = newLabel() }
            row.says = nil
            row.foreignKey = parents.randomElement(using: &chance)
            if level.keyKind == .given { row.key = unknownKey(level) }
            return row
        default:
            break
        }
        if row.key == nil { row.key = unknownKey(level) }
        return row
    }
}

// MARK: links

/// One app with orders and tags, of which any may be linked with any.
private struct LinkRun {
    private let app: TestApp
    private let seed: UInt64
    private var chance: SplitMix
    /// Orders and tags, without rows below them.
    private var orders: [Node] = []
    private var tags: [Node] = []
    /// Keys of living tags, by the key of an order.
    private var links: [String: [String]] = [:]
    private var deletedTags: [String] = []
    private var serial = 0
    private var stepCount = 0
    private(set) var accepted = 0
    private(set) var refused = 0

    init(app: TestApp, seed: UInt64) {
        self.app = app
        self.seed = seed
        chance = SplitMix(seed: seed)
    }

    private mutating func newLabel() -> Int {
        serial += 1
        return serial
    }

    mutating func makeTag() async throws {
        let label = newLabel()
        let answer = try await app.post("tag", ["label": Level.tags.labelJSON(label)])
        try hold(answer.status == 201, "tag: \(answer)")
        tags.append(Level.tags.node(answer["data"]))
    }

    mutating func step() async throws {
        let share = Int.random(in: 0..<100, using: &chance)
        let isHostile = chance.percent(40)
        if share < 8 {
            try await deleteTag()
        } else if share < 16 {
            try await makeTag()
        } else {
            let target = share < 35 ? nil : orders.randomElement(using: &chance)
            try await write(to: target, isHostile: isHostile)
        }
    }

    private mutating func deleteTag() async throws {
        stepCount += 1
        guard let key = tags.randomElement(using: &chance)?.key else { return }
        let answer = try await app.delete("tag/\(key)")
        let story = "seed \(seed), step \(stepCount): DELETE tag/\(key) → \(answer)"
        try hold(answer.status == 200, story)
        tags.removeAll { $0.key == key }
        deletedTags.append(key)
        links = links.mapValues { keys in keys.filter { $0 != key } }
        try await compare(story)
    }

    /// - Parameter target: nil for an order that is made.
    mutating func write(to target: Node?, isHostile: Bool) async throws {
        stepCount += 1
        let linked = target?.key.flatMap { links[$0] } ?? []
        let root = Level.orderWithTags
        var order = target ?? Node()
        var payload = JSONObject()
        if target == nil || chance.percent(20) {
            let label = newLabel()
            order.label = label
            payload[root.label] = root.labelJSON(label)
        }
        let write = makeWrite(linked, isHostile: isHostile)
        payload["tags"] = Level.tags.json(write, under: root)
        var model = LinkModel(tags: tags, linked: linked)
        model.apply(write)

        let answer: TestAnswer
        let path: String
        if let key = target?.key {
            path = "PUT order/\(key)"
            answer = try await app.put("order/\(key)", .object(payload))
        } else {
            path = "POST order"
            answer = try await app.post("order", .object(payload))
        }
        let story = """
            seed \(seed), step \(stepCount): \(path) \(JSONValue.object(payload).jsonText)
            tags \(tags), linked \(linked) → \(answer)
            """
        if model.violations.isEmpty {
            accepted += 1
            try hold(answer.status == (target == nil ? 201 : 200), "\(story)\nexpected success")
            let shown = root.node(answer["data"])
            // Tags that were made are known by their labels from here on.
            for label in model.made {
                let tag = shown.below.first { $0.label == label }
                guard let key = tag?.key, !isKnown(key) else {
                    throw TestFailure("\(story)\nexpected a new tag \(label)")
                }
                model.tags.append(Node(key: key, label: label))
                model.linked.append(key)
            }
            guard let key = shown.key else { throw TestFailure("\(story)\nexpected a key") }
            let shownKeys = shown.below.compactMap(\.key).sorted()
            try hold(shownKeys == model.linked.sorted(), "\(story)\nexpected the answer to show \(model.linked)")
            order.key = key
            orders.removeAll { $0.key == key }
            orders.append(order)
            tags = model.tags
            links[key] = model.linked
        } else {
            refused += 1
            let isTold = answer.code == "VALIDATION_FAILED" && answer.details.sorted() == model.violations.sorted()
            try hold(answer.status == 422 && isTold, "\(story)\nexpected 422 with \(model.violations)")
        }
        try await compare(story)
    }

    private func isKnown(_ tag: String) -> Bool {
        deletedTags.contains(tag) || tags.contains { $0.key == tag }
    }

    /// Reads every tag and every order with its tags: so a tag that another order has too is seen to be renamed there.
    private func compare(_ story: String) async throws {
        let list = try await app.get("tag?per_page=100")
        try hold(list.status == 200, "\(story)\nread: \(list)")
        let actualTags = Level.tags.nodes(list["data"])
        let areTagsSame = Level.tags.matches(tags, actualTags, depth: 0, known: [:])
        try hold(areTagsSame, "\(story)\nexpected tags \(tags)\nthere are \(actualTags)")
        let expected = orders.map { order in
            var order = order
            let keys = order.key.flatMap { links[$0] } ?? []
            order.below = tags.filter { tag in keys.contains { $0 == tag.key } }
            return order
        }
        let answer = try await app.get("order?include=tags&per_page=100")
        try hold(answer.status == 200, "\(story)\nread: \(answer)")
        let actual = Level.orderWithTags.nodes(answer["data"])
        let isSame = Level.orderWithTags.matches(expected, actual, depth: 1, known: [:])
        try hold(isSame, "\(story)\nexpected \(expected)\nthere is \(actual)")
    }

    // MARK: payloads

    private mutating func makeWrite(_ linked: [String], isHostile: Bool) -> Write {
        var write = Write.random(&chance)
        for _ in 0..<Int.random(in: 0...4, using: &chance) {
            let isMistake = isHostile && chance.percent(30)
            let row = isMistake ? makeMistake(write, linked) : makeRow(write, linked)
            write.rows.append(row)
        }
        return write
    }

    private mutating func makeRow(_ write: Write, _ linked: [String]) -> RowWrite {
        var row = RowWrite()
        row.isSpelledOtherwise = chance.percent(20)
        if chance.percent(10) { row.says = false }
        let named = write.rows.compactMap(\.key)
        // Half of the time one that is linked, so that there is something to unlink.
        let all = chance.percent(50) ? linked : tags.compactMap(\.key)
        let free = all.filter { !named.contains($0) }
        guard chance.percent(75), let key = free.randomElement(using: &chance) else {
            row.label = newLabel()
            return row
        }
        row.key = key
        if linked.contains(key), chance.percent(40) { row.says = true }
        if chance.percent(30) { row.label = newLabel() }
        return row
    }

    private mutating func makeMistake(_ write: Write, _ linked: [String]) -> RowWrite {
        var row = RowWrite()
        row.isSpelledOtherwise = chance.percent(20)
        if chance.percent(30) { row.says = true } else if chance.percent(50) { row.label = newLabel() }
        switch Int.random(in: 0..<5, using: &chance) {
        case 0:
            row.key = deletedTags.randomElement(using: &chance)
        case 1:
            row.key = write.rows.compactMap(\.key).randomElement(using: &chance)
        case 2:
            row.says = true
            row.key = tags.compactMap(\.key).filter { !linked.contains($0) }.randomElement(using: &chance)
        case 3:
            row.says = true
            return row
        default:
            break
        }
        if row.key == nil {
            serial += 1
            row.key = Bazaar.id(9, serial)
        }
        return row
    }
}

/// The contract's rules for links, on keys in memory.
private struct LinkModel {
    var tags: [Node]
    var linked: [String]
    /// Labels of tags that are made and linked.
    var made: [Int] = []
    var violations: [String] = []

    init(tags: [Node], linked: [String]) {
        self.tags = tags
        self.linked = linked
    }

    mutating func apply(_ write: Write) {
        var named: [String] = []
        for (index, row) in write.rows.enumerated() {
            let path = "tags[\(index)]"
            guard let key = row.key else {
                if let label = row.label, !row.isDeletion {
                    made.append(label)
                } else {
                    violations.append("\(path) relation")
                }
                continue
            }
            guard !named.contains(key) else {
                violations.append("\(path).id relation")
                continue
            }
            named.append(key)
            let isLinked = linked.contains(key)
            if isLinked, write.mode == .append { continue }
            if row.isDeletion {
                if isLinked {
                    linked.removeAll { $0 == key }
                } else {
                    violations.append("\(path).id relation")
                }
            } else if let place = tags.firstIndex(where: { $0.key == key }) {
                if let label = row.label { tags[place].label = label }
                if !isLinked { linked.append(key) }
            } else {
                violations.append("\(path).id relation")
            }
        }
        if write.mode == .replace { linked.removeAll { !named.contains($0) } }
    }
}
