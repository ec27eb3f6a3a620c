import RocketModel

/// Chance of the leak tests: rows, policies and queries, the same ones for the same seed. Values are few, so that they
/// meet; names, operators and values fit each other, so that nearly every query is one that the server answers.
struct LeakChoices {
    private var random: SplitMix
    private let user: LeakUser

    init(seed: UInt64, user: LeakUser) {
        random = SplitMix(state: seed &* 0x2545_F491_4F6C_DD1D)
        self.user = user
    }

    /// https://prng.di.unimi.it/splitmix64.c
    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }

    mutating func percent(_ share: Int) -> Bool { Int.random(in: 0..<100, using: &random) < share }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: values.indices, using: &random)]
    }

    /// As many as `weights` says: the first one's share is for none.
    private mutating func count(_ weights: [Int]) -> Int {
        var rest = number(0...weights.reduce(0, +) - 1)
        for (count, weight) in weights.enumerated() {
            if rest < weight { return count }
            rest -= weight
        }
        return 0
    }

    private mutating func many<Value>(_ weights: [Int], _ make: (inout LeakChoices) throws -> Value) rethrows -> [Value]
    {
        try (0..<count(weights)).map { _ in try make(&self) }
    }

    mutating func shuffled<Value>(_ values: [Value]) -> [Value] { values.shuffled(using: &random) }

    // MARK: rows

    static let size: [LeakEntity: Int] = [.person: 7, .task: 8, .tag: 4, .card: 5]

    static func id(_ entity: LeakEntity, _ number: Int) -> String {
        Bazaar.id((LeakEntity.allCases.firstIndex(of: entity) ?? 0) + 1, number)
    }

    static func ids(_ entity: LeakEntity) -> [String] { (1...(size[entity] ?? 1)).map { id(entity, $0) } }

    private var texts: [String] {
        ["", "a", "ab", "A", "b", "é", "e\u{301}", "😀", "a%", "a_b", "x\\y", "o'r", "red", user.id, user.email]
    }

    /// A value that is not null; keys are people's.
    mutating func value(_ kind: LeakField.Kind, of entity: LeakEntity = .person) -> LeakValue {
        switch kind {
        case .key: .text(Self.id(entity, number(1...(Self.size[entity] ?? 1))))
        case .text: .text(pick(texts))
        case .whole: .number(pick([-3, 0, 1, 2, 5, 10]))
        case .decimal: .number(pick([-50, 0, 1, 10, 100, 150, 1000]))
        case .flag: .flag(percent(50))
        case .day: .text(pick(["2026-02-28", "2026-03-01", "2026-03-02", "1969-12-31"]))
        case .instant:
            .text(
                pick([
                    "2026-03-01T11:00:00.000000Z", "2026-03-01T13:00:00.500000Z", "1969-12-31T23:59:59.999999Z",
                    "2026-03-02T00:00:00.000000Z",
                ])
            )
        }
    }

    mutating func value(_ field: LeakField) -> LeakValue {
        percent(field.kind == .key ? 30 : 20) ? .null : value(field.kind)
    }

    mutating func row(_ entity: LeakEntity) -> [String: LeakValue] {
        var values: [String: LeakValue] = [:]
        for field in entity.freeFields { values[field.name] = value(field) }
        return values
    }

    mutating func tags() -> [String] { Self.ids(.tag).filter { _ in percent(40) } }

    /// Whose card each one is: nobody's, or one person's.
    mutating func holders() -> [LeakValue] {
        let people = shuffled(Self.ids(.person))
        return Self.ids(.card).indices.map { percent(75) ? .text(people[$0]) : .null }
    }

    /// Some fields of a row, changed.
    mutating func change(_ entity: LeakEntity) -> [String: LeakValue] {
        var values: [String: LeakValue] = [:]
        for field in shuffled(entity.freeFields).prefix(number(1...3)) { values[field.name] = value(field) }
        return values
    }

    // MARK: policies

    private mutating func path(from entity: LeakEntity, hops: Int, ofOnes: Bool = false) -> [LeakRelation] {
        var path: [LeakRelation] = []
        var entity = entity
        for _ in 0..<hops {
            let relations = entity.relations.filter { !ofOnes || !$0.isMany }
            guard !relations.isEmpty else { break }
            path.append(pick(relations))
            entity = path[path.count - 1].other
        }
        return path
    }

    private func comparisons(_ kind: LeakField.Kind) -> [LeakComparison] {
        switch kind {
        case .flag: [.eq, .neq, .isIn, .notIn, .isNull]
        case .text: [.eq, .neq, .gt, .gte, .lt, .lte, .isIn, .notIn, .like, .isNull]
        case .key, .whole, .decimal, .day, .instant: [.eq, .neq, .gt, .gte, .lt, .lte, .isIn, .notIn, .isNull]
        }
    }

    private mutating func constants(_ comparison: LeakComparison, _ field: LeakField, _ entity: LeakEntity)
        -> [LeakValue]
    {
        switch comparison {
        case .isNull: return [.flag(percent(50))]
        case .like: return [.text(pick(["a%", "%b%", "_", "a\\%", "%", "é", "A%", "x\\\\_", "%@%"]))]
        case .contains, .startsWith: return [.text(pick(["a", "b", "é", "%", "😀", "\\"]))]
        case .isIn, .notIn: return (0..<number(1...3)).map { _ in constant(field, entity) }
        default: return [constant(field, entity)]
        }
    }

    private mutating func constant(_ field: LeakField, _ entity: LeakEntity) -> LeakValue {
        value(field.kind, of: field.name == "id" ? entity : .person)
    }

    /// Some of them speak of the record that the one before speaks of.
    private mutating func conditions(_ weights: [Int], _ entity: LeakEntity) -> [LeakCondition] {
        var conditions: [LeakCondition] = []
        for _ in 0..<count(weights) {
            let path = path(from: entity, hops: count([60, 30, 10]))
            let last = conditions.last?.path
            conditions.append(condition(entity, percent(35) ? last ?? path : path))
        }
        return conditions
    }

    private mutating func condition(_ entity: LeakEntity, _ path: [LeakRelation]) -> LeakCondition {
        let target = path.last?.other ?? entity
        let field = pick(target.fields)
        let comparison = pick(comparisons(field.kind))
        var operand = LeakOperand.constants(constants(comparison, field, target))
        if comparison != .isNull, comparison != .like, percent(35) {
            switch field.kind {
            case .text, .key:
                operand = pick(
                    comparison.isList ? [.userRoles, .userRoles, .userID, .userEmail] : [.userID, .userEmail]
                )
            case .day, .instant: if !comparison.isList { operand = .now }
            case .whole, .decimal, .flag: break
            }
        }
        return LeakCondition(path: path, field: field, comparison: comparison, operand: operand)
    }

    private mutating func policy(_ action: String, _ entity: LeakEntity) -> LeakPolicy {
        let conditions = self.conditions([20, 45, 23, 12], entity)
        let check = action == "update" && percent(40) ? self.conditions([15, 60, 25], entity) : nil
        let roles: [[String]] = [
            ["user"], ["user"], ["user"], ["USER", "x"], ["*"], ["red"], ["nobody"], ["anonymous"],
        ]
        return LeakPolicy(entity: entity, action: action, roles: pick(roles), conditions: conditions, check: check)
    }

    mutating func policies() -> [LeakPolicy] {
        LeakEntity.allCases.flatMap { entity in
            many([6, 38, 32, 24]) { $0.policy("read", entity) } + many([25, 45, 30]) { $0.policy("update", entity) }
                + many([25, 45, 30]) { $0.policy("delete", entity) }
        }
    }

    // MARK: queries

    private mutating func filter(_ entity: LeakEntity) -> LeakFilter {
        let path = path(from: entity, hops: count([50, 35, 15]))
        let target = path.last?.other ?? entity
        if percent(15) { return LeakFilter(path: path, test: .isNull(pick(target.relations), percent(50))) }
        let field = pick(target.fields)
        let known = comparisons(field.kind)
        let comparison = pick(field.kind == .text ? known + [.contains, .startsWith] : known)
        return LeakFilter(path: path, test: .field(field, comparison, constants(comparison, field, target)))
    }

    /// No two keys are the same.
    private mutating func sort(_ entity: LeakEntity) -> [LeakSort] {
        var keys: [LeakSort] = []
        for _ in 0..<count([35, 45, 20]) {
            let path = path(from: entity, hops: count([55, 30, 15]), ofOnes: true)
            let key = LeakSort(path: path, field: pick((path.last?.other ?? entity).fields), isDescending: percent(50))
            if !keys.contains(where: { $0.path == key.path && $0.field == key.field }) { keys.append(key) }
        }
        return keys
    }

    private mutating func include(_ entity: LeakEntity, depth: Int) -> [LeakInclude] {
        shuffled(entity.relations).prefix(count(depth > 1 ? [60, 40] : [40, 40, 20])).map { relation in
            var include = LeakInclude(relation: relation)
            if percent(35) { include.filters = many([0, 75, 25]) { $0.filter(relation.other) } }
            if relation.isMany {
                if percent(35) { include.sort = sort(relation.other) }
                if percent(35) { include.limit = number(1...3) }
            }
            if percent(20) { include.fields = fields(relation.other) }
            if depth < 3 { include.children = self.include(relation.other, depth: depth + 1) }
            return include
        }
    }

    private mutating func fields(_ entity: LeakEntity) -> [LeakField] {
        Array(shuffled(entity.fields).prefix(number(1...3)))
    }

    mutating func list(_ entity: LeakEntity) -> LeakQuery {
        var query = LeakQuery(entity: entity)
        query.filters = many([55, 30, 10, 5]) { $0.filter(entity) }
        query.sort = sort(entity)
        if percent(25) { query.condition = expression(entity, depth: 2) }
        if percent(40) { query.perPage = number(1...5) }
        if percent(25) { query.page = number(1...3) }
        query.counts = !percent(15)
        if percent(20) { query.fields = fields(entity) }
        query.includes = include(entity, depth: 1)
        return query
    }

    mutating func one(_ entity: LeakEntity) -> LeakQuery {
        var query = LeakQuery(entity: entity)
        query.id = Self.id(entity, number(1...(Self.size[entity] ?? 1) + 1))
        if percent(30) { query.fields = fields(entity) }
        if percent(50) { query.includes = include(entity, depth: 1) }
        return query
    }

    // MARK: expressions

    private mutating func expression(_ entity: LeakEntity, depth: Int) -> LeakExpression {
        guard depth > 0, percent(60) else { return comparison(entity) }
        var first = expression(entity, depth: depth - 1)
        guard percent(75) else {
            first.source = "!(\(first.source))"
            return first
        }
        let second = expression(entity, depth: depth - 1)
        first.source = "(\(first.source) \(pick(["&&", "||"])) \(second.source))"
        first.entities += second.entities
        return first
    }

    private mutating func comparison(_ entity: LeakEntity) -> LeakExpression {
        let path = path(from: entity, hops: count([50, 35, 15]), ofOnes: true)
        let field = pick((path.last?.other ?? entity).fields)
        let name = (path.map(\.name) + [field.name]).joined(separator: ".")
        let order = pick(["==", "!=", "<", "<=", ">", ">="])
        let equal = pick(["==", "!="])
        let source: String
        switch field.kind {
        case _ where percent(15): source = "\(name) \(equal) null"
        case .key: source = "\(name) \(equal) '\(pick(Self.ids(.person)))'"
        case .flag: source = percent(50) ? name : "\(name) \(equal) \(pick(["true", "false"]))"
        case .whole: source = "\(name) \(order) \(pick(["0", "1", "5", "-3"]))"
        case .decimal: source = "\(name) \(order) \(pick(["0", "1.5", "-0.5", "0.1"]))"
        case .day: source = "\(name) \(order) '\(pick(["2026-03-01", "2026-02-28"]))'"
        case .instant: source = "\(name) \(order) \(pick(["now", "'2026-03-01T11:00:00Z'"]))"
        case .text:
            source = pick([
                "\(name) \(equal) \(pick(["'a'", "'red'", "''", "user.id", "user.email", "'é'"]))",
                "\(name).\(pick(["includes", "startsWith", "endsWith"]))('\(pick(["a", "b", "e", "😀"]))')",
                "\(name) in ['a', 'red', 'ab']", "user.roles.includes(\(name))",
            ])
        }
        return LeakExpression(source: source, entities: path.map(\.other))
    }

    /// What no entity takes, or no user may ask; the server says no more of rows here than elsewhere.
    mutating func mistake(_ entity: LeakEntity) -> String {
        let name = entity.rawValue
        return pick([
            "\(name)?filter[wrod]=a", "\(name)?filter[count]=abc", "\(name)?filter[word.like]=a%5C",
            "\(name)?sort=boss.nope",
            "\(name)?where=word%20%3D%3D", "\(name)?where=tasks.word%20%3D%3D%20'a'", "\(name)?deleted=with",
            "\(name)?page=0",
            "\(name)?include=tags.nope", "\(name)?filter[tasks.secret]=1", "\(name)?nonsense=1", "\(name)/no-id",
            "nothing",
            "\(name)?filter[person.is_null]=perhaps", "\(name)?include[tasks][limit]=0", "_admin/permissions",
        ])
    }
}
