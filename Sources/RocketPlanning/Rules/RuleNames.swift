import RocketExpression
import RocketModel

/// The names that rules, computed fields and guards of one entity use: `record`, `old`, `action`, `changes`, `user`,
/// `related`, `now`; the conditions of webhooks also `entity` and `event`.
struct RuleNames: Sendable {
    private static let relatedSlot = 5

    let record: ObjectType
    private let change: ObjectType

    init(_ entity: EntityDefinition) {
        let record = ObjectType(entity)
        self.record = record
        change = ObjectType(
            name: "changes of \(entity.name)",
            members: entity.fields.map { field in
                let type = ExpressionType(field: field.type, allowedValues: field.allowedValues)
                return (
                    field.name,
                    .object(ObjectType(name: "change of \(field.name)", members: [("old", type), ("new", type)]))
                )
            }
        )
    }

    /// - Parameters:
    ///   - related: the related records that are loaded.
    ///   - isOfWebhook: whether the two names of webhooks come behind the others.
    func environment(related: ObjectType, isOfWebhook: Bool = false) -> ExpressionEnvironment {
        let names: [(String, ExpressionType)] = [
            ("record", .object(record)), ("old", .object(record)),
            ("action", .choice([RecordAction.create, .update, .delete].map(\.rawValue))), ("changes", .object(change)),
            ("user", .object(.user)), ("related", .object(related)), ("now", .date),
        ]
        let told: [(String, ExpressionType)] = [
            ("entity", .text),
            ("event", .choice(WebhookDefinition.Hook.allCases.map(\.rawValue) + ["state_change", "record"])),
        ]
        return ExpressionEnvironment(isOfWebhook ? names + told : names)
    }

    /// What of a row the programs of an entity use; the rest is not made.
    struct Wanted: Sendable {
        /// Nil for all fields.
        private var recordFields: Set<String>? = []
        private var oldFields: Set<String>? = []
        private(set) var changes = false
        private(set) var user = false
        private(set) var attributes = false

        init() {}

        mutating func add(_ reads: Reads) {
            recordFields = Self.union(recordFields, reads.members(of: "record"))
            oldFields = Self.union(oldFields, reads.members(of: "old"))
            // Whether there is an old record at all is asked without reading any of it.
            if reads.paths.contains("old") { oldFields = nil }
            changes = changes || reads.members(of: "changes")?.isEmpty != true
            let members = reads.members(of: "user")
            user = user || members?.isEmpty != true
            attributes = attributes || members?.contains("attributes") ?? true
        }

        private static func union(_ left: Set<String>?, _ right: Set<String>?) -> Set<String>? {
            guard let left, let right else { return nil }
            return left.union(right)
        }

        fileprivate func record(_ name: String) -> Bool { recordFields?.contains(name) ?? true }
        fileprivate func old(_ name: String) -> Bool { oldFields?.contains(name) ?? true }
        fileprivate var hasOld: Bool { oldFields?.isEmpty != true }
    }

    /// The same by the entity's fields.
    struct Mask: Sendable {
        fileprivate let record: [Bool]
        /// Nil where nothing of it is used.
        fileprivate let old: [Bool]?
        fileprivate let changes: Bool
        fileprivate let user: Bool

        init(_ wanted: Wanted, _ names: RuleNames) {
            let fields = names.record.keys.names
            record = fields.map(wanted.record)
            old = wanted.hasOld ? fields.map(wanted.old) : nil
            changes = wanted.changes
            user = wanted.user
        }
    }

    /// The values of all names but `related`, which each program has its own of.
    func values(of row: PlannedRow, _ mask: Mask, user: Principal, now: Timestamp) -> [ExpressionValue] {
        [
            record(of: row, mask.record), mask.old.map { old(of: row, $0) } ?? .null,
            .string(row.action.recordAction.rawValue), mask.changes ? changes(of: row) : .null,
            mask.user ? user.expressionValue : .null, Self.nothingRelated, .date(DateValue(now)),
        ]
    }

    private static let nothingRelated = ExpressionValue.object(ExpressionObject([]))

    /// The same with the related records of a program.
    static func values(_ values: [ExpressionValue], related: ExpressionValue) -> [ExpressionValue] {
        var values = values
        values[relatedSlot] = related
        return values
    }

    /// The record as it will be stored; one that is deleted as it is.
    private func record(of row: PlannedRow, _ mask: [Bool]) -> ExpressionValue {
        let fields = row.entity.fields
        let values = mask.indices.map { index -> ExpressionValue in
            guard mask[index], let value = row.value(index) else { return .null }
            return ExpressionValue(value, type: fields[index].shape.type)
        }
        return .object(ExpressionObject(record.keys, values))
    }

    private func old(of row: PlannedRow, _ mask: [Bool]) -> ExpressionValue {
        guard row.stored != nil else { return .null }
        let fields = row.entity.fields
        let values = mask.indices.map { index -> ExpressionValue in
            guard mask[index], let value = row.storedValue(index) else { return .null }
            return ExpressionValue(value, type: fields[index].shape.type)
        }
        return .object(ExpressionObject(record.keys, values))
    }

    private static let changeKeys = ExpressionObject.Keys(["old", "new"])

    private func changes(of row: PlannedRow) -> ExpressionValue {
        let members = row.changes.map { index -> (name: String, value: ExpressionValue) in
            let type = row.entity.fields[index].shape.type
            let values = [row.storedValue(index) ?? .null, row.value(index) ?? .null]
            return (
                row.entity.fields[index].name,
                .object(ExpressionObject(Self.changeKeys, values.map { ExpressionValue($0, type: type) }))
            )
        }
        return .object(ExpressionObject(members))
    }
}

extension PlannedRow {
    /// The fields whose values differ from those that are stored; none where the row is made or deleted.
    var changes: [Int] {
        guard action == .update, stored != nil else { return [] }
        return values.keys.sorted().filter { index in
            guard case .json(let new)? = values[index], case .json(let old)? = storedValue(index) else {
                return values[index] != storedValue(index)
            }
            return !new.isSame(as: old)
        }
    }
}

extension PlannedRow.Action {
    var recordAction: RecordAction {
        switch self {
        case .create: .create
        case .update: .update
        case .delete: .delete
        }
    }
}

extension JSONValue {
    /// Whether two documents say the same: numbers by value, members in any order.
    fileprivate func isSame(as other: JSONValue) -> Bool {
        switch (self, other) {
        case (.number(let left), .number(let right)):
            guard let a = DecimalNumber(left.text), let b = DecimalNumber(right.text) else {
                return left.text == right.text
            }
            return a == b
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { $0.isSame(as: $1) }
        case (.object(let left), .object(let right)):
            return left.members.count == right.members.count
                && left.members.allSatisfy { member in right[member.name].map(member.value.isSame) ?? false }
        case (.string(let left), .string(let right)): return left.utf8.elementsEqual(right.utf8)
        default: return self == other
        }
    }
}
