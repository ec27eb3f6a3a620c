import RocketExpression
import RocketModel
import RocketTestSupport

// The contract's pages on reading and permissions, on rows in memory: what `LeakTests` holds the server against. It
// knows nothing of SQL, of plans or of grants; it is slow, and short enough to be checked by reading.

// MARK: what there is

/// The entities of the app: people in a tree, their tasks with tags, and at most one card for each of them.
enum LeakEntity: String, CaseIterable {
    case person
    case task
    case tag
    case card

    /// Dead rows of these are marked and can be brought back.
    var isSoftDeleted: Bool { self == .task }

    var fields: [LeakField] { [LeakField(name: "id", kind: .key)] + Self.common + foreignKeys }

    private static let common = [
        LeakField(name: "word", kind: .text), LeakField(name: "other", kind: .text),
        LeakField(name: "count", kind: .whole), LeakField(name: "price", kind: .decimal),
        LeakField(name: "active", kind: .flag), LeakField(name: "day", kind: .day),
        LeakField(name: "at", kind: .instant),
    ]

    private var foreignKeys: [LeakField] {
        switch self {
        case .person: [LeakField(name: "boss_id", kind: .key)]
        case .task, .card: [LeakField(name: "person_id", kind: .key)]
        case .tag: []
        }
    }

    /// What a caller may change at will: a card has its person to itself.
    var freeFields: [LeakField] { fields.filter { $0.name != "id" && !(self == .card && $0.name == "person_id") } }

    var relations: [LeakRelation] {
        switch self {
        case .person:
            [
                LeakRelation(name: "tasks", other: .task, isMany: true, link: .theirs("person_id")),
                LeakRelation(name: "card", other: .card, isMany: false, link: .theirs("person_id")),
                LeakRelation(name: "reports", other: .person, isMany: true, link: .theirs("boss_id")),
                LeakRelation(name: "boss", other: .person, isMany: false, link: .ours("boss_id")),
            ]
        case .task:
            [
                LeakRelation(name: "person", other: .person, isMany: false, link: .ours("person_id")),
                LeakRelation(name: "tags", other: .tag, isMany: true, link: .tagsOfTask),
            ]
        case .tag: [LeakRelation(name: "tasks", other: .task, isMany: true, link: .tasksOfTag)]
        case .card: [LeakRelation(name: "holder", other: .person, isMany: false, link: .ours("person_id"))]
        }
    }

    /// The same as metadata.
    static let definitions: JSONValue = [
        "version": 1,
        "entities": .array(
            allCases.map { entity in
                [
                    "name": .string(entity.rawValue), "table": .string("\(entity.rawValue)s"),
                    "primary_key": ["field": "id", "type": "uuid", "generated": true],
                    "soft_delete": .boolean(entity.isSoftDeleted), "fields": .array(entity.fields.map(\.definition)),
                ]
            }
        ),
        "relations": [
            Bazaar.relation(
                "tasks",
                "one_to_many",
                "person",
                "task",
                by: "person_id",
                onDelete: "set_null",
                more: ["inverse": "person"]
            ),
            Bazaar.relation(
                "card",
                "one_to_one",
                "person",
                "card",
                by: "person_id",
                onDelete: "cascade",
                more: ["inverse": "holder"]
            ),
            Bazaar.relation(
                "reports",
                "one_to_many",
                "person",
                "person",
                by: "boss_id",
                onDelete: "set_null",
                more: ["inverse": "boss"]
            ),
            [
                "name": "tags", "type": "many_to_many", "source": "task", "target": "tag", "join_table": "task_tags",
                "source_join_key": "task_id", "target_join_key": "tag_id", "on_delete": "detach", "inverse": "tasks",
            ],
        ],
    ]
}

struct LeakField: Hashable {
    enum Kind {
        case key
        case text
        case whole
        case decimal
        case flag
        case day
        case instant

        var type: FieldType {
            switch self {
            case .key: .uuid
            case .text: .string
            case .whole: .int
            case .decimal: .decimal
            case .flag: .boolean
            case .day: .date
            case .instant: .timestamp
            }
        }
    }

    let name: String
    let kind: Kind

    var definition: JSONValue {
        var object: JSONObject = ["name": .string(name), "type": .string(kind.type.rawValue)]
        if kind == .decimal { object["precision"] = 2 }
        return .object(object)
    }
}

struct LeakRelation: Hashable {
    enum Link: Hashable {
        /// The other's field has our key.
        case theirs(String)
        /// Our field has the other's key.
        case ours(String)
        case tagsOfTask
        case tasksOfTag
    }

    let name: String
    let other: LeakEntity
    let isMany: Bool
    let link: Link
}

/// A value of a row. Keys, days and instants are their texts, which sort as they do; decimals are counted in hundredths.
enum LeakValue: Equatable {
    case null
    case text(String)
    case number(Int)
    case flag(Bool)

    /// Null is before everything; texts go by code point.
    static func precedes(_ left: LeakValue, _ right: LeakValue) -> Bool {
        switch (left, right) {
        case (.null, .null), (_, .null): false
        case (.null, _): true
        case (.text(let a), .text(let b)): a.unicodeScalars.lexicographicallyPrecedes(b.unicodeScalars)
        case (.number(let a), .number(let b)): a < b
        case (.flag(let a), .flag(let b)): !a && b
        default: false
        }
    }

    static func == (left: LeakValue, right: LeakValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.text(let a), .text(let b)): Array(a.utf8) == Array(b.utf8)
        case (.number(let a), .number(let b)): a == b
        case (.flag(let a), .flag(let b)): a == b
        default: false
        }
    }

    init(_ json: TestJSON, _ kind: LeakField.Kind) throws {
        switch (kind, json.value) {
        case (_, .null): self = .null
        case (.flag, .boolean(let flag)): self = .flag(flag)
        case (.whole, .number(let number)): self = .number(Int(number.text) ?? .min)
        case (.decimal, .number(let number)): self = .number(Int(number.text.replacing(".", with: "")) ?? .min)
        case (.text, .string(let text)), (.key, .string(let text)), (.day, .string(let text)),
            (.instant, .string(let text)):
            self = .text(text)
        default: throw TestFailure("\(json) is no \(kind)")
        }
    }

    func json(_ kind: LeakField.Kind) -> JSONValue {
        switch self {
        case .null: .null
        case .text(let text): .string(text)
        case .flag(let flag): .boolean(flag)
        case .number(let number): .number(JSONNumber(unchecked: digits(number, kind)))
        }
    }

    /// As a filter has it.
    func text(_ kind: LeakField.Kind) -> String {
        switch self {
        case .null: ""
        case .text(let text): text
        case .flag(let flag): "\(flag)"
        case .number(let number): digits(number, kind)
        }
    }

    private func digits(_ number: Int, _ kind: LeakField.Kind) -> String {
        guard kind == .decimal else { return "\(number)" }
        let cents = "\(abs(number) % 100 + 100)".dropFirst()
        return "\(number < 0 ? "-" : "")\(abs(number) / 100).\(cents)"
    }
}

struct LeakRow: Equatable {
    let entity: LeakEntity
    let id: String
    var values: [String: LeakValue]

    subscript(field: String) -> LeakValue { values[field] ?? .null }
}

/// All living rows.
struct LeakWorld: Equatable {
    struct TagLink: Hashable {
        let task: String
        let tag: String
    }

    var rows: [LeakRow] = []
    var links: Set<TagLink> = []

    /// What an administrator reads, in the order of the keys.
    static func read(from app: TestApp) async throws -> LeakWorld {
        var world = LeakWorld()
        for entity in LeakEntity.allCases {
            let answer = try await app.get("\(entity.rawValue)?per_page=100" + (entity == .task ? "&include=tags" : ""))
            guard answer.status == 200 else { throw TestFailure("world: \(answer)") }
            for row in answer["data"].array {
                let id = row["id"].string ?? ""
                var values: [String: LeakValue] = [:]
                for field in entity.fields { values[field.name] = try LeakValue(row[field.name], field.kind) }
                world.rows.append(LeakRow(entity: entity, id: id, values: values))
                for tag in row["tags"].array { world.links.insert(TagLink(task: id, tag: tag["id"].string ?? "")) }
            }
        }
        return world
    }

    func rows(of entity: LeakEntity) -> [LeakRow] { rows.filter { $0.entity == entity } }

    func related(_ row: LeakRow, _ relation: LeakRelation) -> [LeakRow] {
        rows(of: relation.other).filter { other in
            switch relation.link {
            case .theirs(let field): other[field] == .text(row.id)
            case .ours(let field): row[field] == .text(other.id)
            case .tagsOfTask: links.contains(TagLink(task: row.id, tag: other.id))
            case .tasksOfTag: links.contains(TagLink(task: other.id, tag: row.id))
            }
        }
    }

    /// What a change of some fields makes of the rows.
    func updating(_ id: String, _ values: [String: LeakValue]) -> LeakWorld {
        var world = self
        for index in rows.indices where rows[index].id == id {
            world.rows[index].values.merge(values) { _, new in new }
        }
        return world
    }

    /// What `on_delete` makes of the rows.
    func deleting(_ id: String) -> LeakWorld {
        var world = self
        world.rows.removeAll { $0.id == id || ($0.entity == .card && $0["person_id"] == .text(id)) }
        for index in world.rows.indices {
            for field in ["person_id", "boss_id"] where world.rows[index][field] == .text(id) {
                world.rows[index].values[field] = .null
            }
        }
        world.links = world.links.filter { $0.task != id && $0.tag != id }
        return world
    }
}

// MARK: who may what

struct LeakUser: Equatable {
    let id: String
    let email: String
    let roles: [String]
}

/// What a field is compared with.
enum LeakOperand {
    case constants([LeakValue])
    case userID
    case userEmail
    case userRoles
    case now

    /// The instant of the tests, give or take some seconds that no value is within.
    static let instant = "2026-03-01T12:00:30.000000Z"

    /// Nil where the field can't have such a value.
    func values(_ kind: LeakField.Kind, _ user: LeakUser) -> [LeakValue]? {
        switch self {
        case .constants(let values): return values
        case .userID: return [.text(user.id)]
        case .userEmail: return kind == .key ? nil : [.text(user.email)]
        case .userRoles: return kind == .key ? nil : user.roles.map(LeakValue.text)
        case .now: return [.text(kind == .day ? String(Self.instant.prefix(10)) : Self.instant)]
        }
    }

    func json(_ kind: LeakField.Kind, isList: Bool) -> JSONValue {
        switch self {
        case .constants(let values):
            isList ? .array(values.map { $0.json(kind) }) : values[0].json(kind)
        case .userID: "$user.id"
        case .userEmail: "$user.email"
        case .userRoles: "$user.roles"
        case .now: "$now"
        }
    }
}

enum LeakComparison: String, CaseIterable {
    case eq
    case neq
    case gt
    case gte
    case lt
    case lte
    case isIn = "in"
    case notIn = "not_in"
    case like
    case contains
    case startsWith = "starts_with"
    case isNull = "is_null"

    var isList: Bool { self == .isIn || self == .notIn }

    /// `neq` and `not_in` hold for null; every other comparison but `is_null` does not.
    func holds(_ value: LeakValue, _ operands: [LeakValue]) -> Bool {
        if self == .isNull { return (value == .null) == (operands[0] == .flag(true)) }
        if value == .null { return self == .neq || self == .notIn }
        switch self {
        case .eq, .isIn: return operands.contains(value)
        case .neq, .notIn: return !operands.contains(value)
        case .gt: return LeakValue.precedes(operands[0], value)
        case .gte: return !LeakValue.precedes(value, operands[0])
        case .lt: return LeakValue.precedes(value, operands[0])
        case .lte: return !LeakValue.precedes(operands[0], value)
        case .like, .contains, .startsWith: return matches(value, operands[0])
        case .isNull: return false
        }
    }

    private func matches(_ value: LeakValue, _ operand: LeakValue) -> Bool {
        guard case .text(let text) = value, case .text(let wanted) = operand else { return false }
        let (scalars, pattern) = (Array(text.unicodeScalars)[...], Array(wanted.unicodeScalars)[...])
        switch self {
        case .startsWith: return scalars.starts(with: pattern)
        case .contains: return scalars.indices.contains { scalars[$0...].starts(with: pattern) }
        default: return Self.isLike(scalars, pattern)
        }
    }

    private static func isLike(_ text: ArraySlice<Unicode.Scalar>, _ pattern: ArraySlice<Unicode.Scalar>) -> Bool {
        let (rest, after) = (text.dropFirst(), pattern.dropFirst())
        switch pattern.first {
        case nil: return text.isEmpty
        case "%": return isLike(text, after) || (!text.isEmpty && isLike(rest, pattern))
        case "_": return !text.isEmpty && isLike(rest, after)
        case "\\": return !text.isEmpty && text.first == after.first && isLike(rest, after.dropFirst())
        case let scalar: return text.first == scalar && isLike(rest, after)
        }
    }
}

/// A condition of a policy.
struct LeakCondition {
    let path: [LeakRelation]
    let field: LeakField
    let comparison: LeakComparison
    let operand: LeakOperand

    /// Conditions through one relation speak of one related record, whoever may read that.
    static func allHold(_ conditions: [LeakCondition], of row: LeakRow, in world: LeakWorld, for user: LeakUser) -> Bool
    {
        var branches: [LeakRelation: [LeakCondition]] = [:]
        for condition in conditions {
            guard let values = condition.operand.values(condition.field.kind, user) else { return false }
            if let relation = condition.path.first {
                branches[relation, default: []].append(condition.behindFirst)
            } else if !condition.comparison.holds(row[condition.field.name], values) {
                return false
            }
        }
        return branches.allSatisfy { relation, conditions in
            world.related(row, relation).contains { allHold(conditions, of: $0, in: world, for: user) }
        }
    }

    /// The same, as it is asked of the related record.
    private var behindFirst: LeakCondition {
        LeakCondition(path: Array(path.dropFirst()), field: field, comparison: comparison, operand: operand)
    }

    var json: JSONValue {
        [
            "field": .string((path.map(\.name) + [field.name]).joined(separator: ".")),
            "operator": .string(comparison.rawValue), "value": operand.json(field.kind, isList: comparison.isList),
        ]
    }
}

struct LeakPolicy {
    let entity: LeakEntity
    let action: String
    let roles: [String]
    let conditions: [LeakCondition]
    let check: [LeakCondition]?

    func isFor(_ user: LeakUser) -> Bool {
        roles.contains { role in
            role == "*" || role == "anonymous" || user.roles.contains { $0.lowercased() == role.lowercased() }
        }
    }

    var json: JSONValue {
        var object: JSONObject = [
            "entity": .string(entity.rawValue), "action": .string(action),
            "roles": .array(roles.map(JSONValue.string)), "conditions": .array(conditions.map(\.json)),
        ]
        object["check"] = check.map { .array($0.map(\.json)) }
        return .object(object)
    }
}

/// What all policies together give to one user; nil for an administrator's.
struct LeakRights {
    let user: LeakUser
    let policies: [LeakPolicy]?

    /// The policies that count for an action; nil where every row is allowed, none where none is.
    func policies(_ action: String, _ entity: LeakEntity) -> [LeakPolicy]? {
        policies?.filter { $0.entity == entity && $0.action == action && $0.isFor(user) }
    }

    /// Whether there is any policy for it at all.
    func allows(_ action: String, _ entity: LeakEntity) -> Bool {
        policies(action, entity)?.isEmpty != true
    }

    /// The policies whose conditions a row meets.
    func holding(_ action: String, _ row: LeakRow, in world: LeakWorld) -> [LeakPolicy] {
        (policies(action, row.entity) ?? []).filter { policy in
            LeakCondition.allHold(policy.conditions, of: row, in: world, for: user)
        }
    }

    func allows(_ action: String, _ row: LeakRow, in world: LeakWorld) -> Bool {
        policies == nil || !holding(action, row, in: world).isEmpty
    }
}

// MARK: what is asked

/// A filter of a query: of a field, or of there being no related record.
struct LeakFilter {
    enum Test {
        case field(LeakField, LeakComparison, [LeakValue])
        case isNull(LeakRelation, Bool)
    }

    let path: [LeakRelation]
    let test: Test

    /// What stands in the brackets, and the value.
    var parameter: (name: String, value: String) {
        let names = path.map(\.name)
        switch test {
        case .field(let field, let comparison, let values):
            let end = comparison == .eq ? [field.name] : [field.name, comparison.rawValue]
            return ((names + end).joined(separator: "."), values.map { $0.text(field.kind) }.joined(separator: ","))
        case .isNull(let relation, let flag):
            return ((names + [relation.name, "is_null"]).joined(separator: "."), "\(flag)")
        }
    }

    var entities: [LeakEntity] {
        guard case .isNull(let relation, _) = test else { return path.map(\.other) }
        return path.map(\.other) + [relation.other]
    }
}

/// A field to sort by, at the end of relations to one record.
struct LeakSort {
    let path: [LeakRelation]
    let field: LeakField
    let isDescending: Bool

    var text: String {
        (isDescending ? "-" : "") + (path.map(\.name) + [field.name]).joined(separator: ".")
    }
}

/// An expression, and the entities that it reads through relations.
struct LeakExpression {
    var source: String
    var entities: [LeakEntity] = []
}

struct LeakInclude {
    let relation: LeakRelation
    var filters: [LeakFilter] = []
    var sort: [LeakSort] = []
    var limit: Int?
    var fields: [LeakField]?
    var children: [LeakInclude] = []

    var entities: [LeakEntity] {
        [relation.other] + (filters.flatMap(\.entities)) + sort.flatMap { $0.path.map(\.other) }
            + children.flatMap(\.entities)
    }

    /// The paths of this include and those below, and the parameters of their own.
    func parameters(_ prefix: [String] = []) -> (paths: [String], options: [(String, String)]) {
        let names = prefix + [relation.name]
        let path = names.joined(separator: ".")
        var paths = [path]
        var options: [(String, String)] = []
        if let limit { options.append(("include[\(path)][limit]", "\(limit)")) }
        if !sort.isEmpty { options.append(("include[\(path)][sort]", sort.map(\.text).joined(separator: ","))) }
        if let fields { options.append(("include[\(path)][fields]", fields.map(\.name).joined(separator: ","))) }
        for (name, value) in filters.map(\.parameter) { options.append(("include[\(path)][filter][\(name)]", value)) }
        for child in children {
            let inner = child.parameters(names)
            paths += inner.paths
            options += inner.options
        }
        return (paths, options)
    }
}

/// A list, or one record where there is an id.
struct LeakQuery {
    let entity: LeakEntity
    var id: String?
    var filters: [LeakFilter] = []
    var sort: [LeakSort] = []
    var condition: LeakExpression?
    var page: Int?
    var perPage: Int?
    var counts = true
    var fields: [LeakField]?
    var includes: [LeakInclude] = []

    /// Every entity that must be readable.
    var entities: [LeakEntity] {
        [entity] + filters.flatMap(\.entities) + sort.flatMap { $0.path.map(\.other) }
            + (condition?.entities ?? []) + includes.flatMap(\.entities)
    }

    var path: String {
        var parameters = filters.map(\.parameter).map { ("filter[\($0.name)]", $0.value) }
        if !sort.isEmpty { parameters.append(("sort", sort.map(\.text).joined(separator: ","))) }
        if let condition { parameters.append(("where", condition.source)) }
        if let page { parameters.append(("page", "\(page)")) }
        if let perPage { parameters.append(("per_page", "\(perPage)")) }
        if !counts { parameters.append(("count", "none")) }
        if let fields { parameters.append(("fields", fields.map(\.name).joined(separator: ","))) }
        let inner = includes.map { $0.parameters() }
        if !inner.isEmpty { parameters.append(("include", inner.flatMap(\.paths).joined(separator: ","))) }
        parameters += inner.flatMap(\.options)
        let query = parameters.map { "\($0)=\($1.urlEncoded)" }.joined(separator: "&")
        return entity.rawValue + (id.map { "/\($0)" } ?? "") + (query.isEmpty ? "" : "?\(query)")
    }
}

extension String {
    var urlEncoded: String {
        utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            guard character.isASCII, character.isLetter || character.isNumber else {
                return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
            return String(character)
        }.joined()
    }
}

// MARK: what is seen

/// The rows that a caller sees, and what comes of asking for them.
struct LeakView: Equatable {
    /// Of each entity that may be read at all.
    private let readable: Set<LeakEntity>
    private let rows: [LeakRow]
    private let links: Set<LeakWorld.TagLink>
    private let user: LeakUser

    init(of world: LeakWorld, _ rights: LeakRights) {
        readable = Set(LeakEntity.allCases.filter { rights.allows("read", $0) })
        let rows = world.rows.filter { rights.allows("read", $0, in: world) }
        let ids = Set(rows.map(\.id))
        self.rows = rows
        links = world.links.filter { ids.contains($0.task) && ids.contains($0.tag) }
        user = rights.user
    }

    private var world: LeakWorld { LeakWorld(rows: rows, links: links) }

    func sees(_ id: String) -> Bool { rows.contains { $0.id == id } }

    /// What the answer is: a status, and the body where it is a success.
    func answer(_ query: LeakQuery) throws -> (status: Int, body: JSONValue?) {
        guard query.entities.allSatisfy(readable.contains) else { return (403, nil) }
        if let id = query.id {
            guard let row = rows.first(where: { $0.id == id }) else { return (404, nil) }
            return (200, ["data": json(row, query.fields, query.includes)])
        }
        var found = world.rows(of: query.entity).filter { matches($0, query.filters) }
        if let condition = query.condition { found = try found.filter { try holds(condition, $0, query.entity) } }
        let sorted = sorted(found, query.sort)
        let (page, perPage) = (query.page ?? 1, query.perPage ?? 25)
        let shown = sorted.dropFirst((page - 1) * perPage).prefix(perPage)
        var meta: JSONObject = ["page": .integer(page), "per_page": .integer(perPage)]
        if query.counts { meta["total"] = .integer(found.count) }
        return (
            200,
            ["data": .array(shown.map { json($0, query.fields, query.includes) }), "meta": .object(meta)]
        )
    }

    func json(_ row: LeakRow, _ fields: [LeakField]? = nil, _ includes: [LeakInclude] = []) -> JSONValue {
        var object = JSONObject()
        for field in row.entity.fields where fields?.contains(field) ?? true {
            object[field.name] = row[field.name].json(field.kind)
        }
        for include in includes {
            let found = world.related(row, include.relation).filter { matches($0, include.filters) }
            let shown = sorted(found, include.sort).prefix(include.limit ?? .max)
            let items = shown.map { json($0, include.fields, include.children) }
            object[include.relation.name] = include.relation.isMany ? .array(items) : items.first ?? .null
        }
        return .object(object)
    }

    /// Filters through one relation speak of one related record.
    private func matches(_ row: LeakRow, _ filters: [LeakFilter]) -> Bool {
        var branches: [LeakRelation: [LeakFilter]] = [:]
        for filter in filters {
            if let relation = filter.path.first {
                branches[relation, default: []].append(
                    LeakFilter(path: Array(filter.path.dropFirst()), test: filter.test)
                )
                continue
            }
            switch filter.test {
            case .field(let field, let comparison, let values):
                guard comparison.holds(row[field.name], values) else { return false }
            case .isNull(let relation, let flag):
                guard world.related(row, relation).isEmpty == flag else { return false }
            }
        }
        return branches.allSatisfy { relation, filters in
            world.related(row, relation).contains { matches($0, filters) }
        }
    }

    /// The key is always the last to sort by. Nulls come first, with `-` last.
    private func sorted(_ rows: [LeakRow], _ keys: [LeakSort]) -> [LeakRow] {
        rows.sorted { left, right in
            for key in keys {
                let (a, b) = (value(left, key), value(right, key))
                guard a != b else { continue }
                return LeakValue.precedes(a, b) != key.isDescending
            }
            return left.id < right.id
        }
    }

    private func value(_ row: LeakRow, _ key: LeakSort) -> LeakValue {
        var row = row
        for relation in key.path {
            guard let next = world.related(row, relation).first else { return .null }
            row = next
        }
        return row[key.field.name]
    }

    // MARK: expressions

    private static let now = DateValue(text: LeakOperand.instant)

    private func holds(_ condition: LeakExpression, _ row: LeakRow, _ entity: LeakEntity) throws -> Bool {
        let names = entity.fields.map(\.name) + entity.relations.filter { !$0.isMany }.map(\.name) + ["now", "user"]
        let program = try Program.compile(condition.source, in: ExpressionEnvironment(names.map { ($0, .any) }))
        let user = ExpressionObject([
            ("id", .string(user.id)), ("email", .string(user.email)), ("roles", .array(user.roles.map { .string($0) })),
        ])
        let values = try members(row, depth: 3).map(\.value) + [.date(Self.now), .object(user)]
        return try program.value(values, now: Self.now).isTruthy
    }

    /// The fields, and the related records as the caller sees them.
    private func members(_ row: LeakRow, depth: Int) throws -> [(name: String, value: ExpressionValue)] {
        var members = try row.entity.fields.map { field in
            let value = try ValueShape(type: field.kind.type).value(of: row[field.name].json(field.kind))
            return (name: field.name, value: ExpressionValue(value, type: field.kind.type))
        }
        guard depth > 0 else { return members }
        for relation in row.entity.relations where !relation.isMany {
            let other = try world.related(row, relation).first.map { try self.members($0, depth: depth - 1) }
            members.append((relation.name, other.map { .object(ExpressionObject($0)) } ?? .null))
        }
        return members
    }
}
