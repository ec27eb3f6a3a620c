import RocketExpression
import RocketModel

/// The names that rules, computed fields and guards of one entity use: `record`, `old`, `action`, `changes`, `user`,
/// `related`, `now`.
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

    /// - Parameter related: the related records that are loaded.
    func environment(related: ObjectType) -> ExpressionEnvironment {
        ExpressionEnvironment([
            ("record", .object(record)), ("old", .object(record)),
            ("action", .choice([RecordAction.create, .update, .delete].map(\.rawValue))), ("changes", .object(change)),
            ("user", .object(.user)), ("related", .object(related)), ("now", .date),
        ])
    }

    /// What of a row the programs of an entity use; the rest is not made.
    struct Wanted: Sendable {
        var old = false
        var changes = false

        mutating func add(_ reads: Reads) {
            old = old || reads.members(of: "old")?.isEmpty != true
            changes = changes || reads.members(of: "changes")?.isEmpty != true
        }
    }

    /// The values of all names but `related`, which each program has its own of.
    func values(of row: PlannedRow, wanted: Wanted, user: ExpressionValue, now: Timestamp) -> [ExpressionValue] {
        [
            self.record(of: row), wanted.old ? old(of: row) : .null, .string(row.action.recordAction.rawValue),
            wanted.changes ? changes(of: row) : .null, user, Self.nothingRelated, .date(DateValue(now)),
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
    func record(of row: PlannedRow) -> ExpressionValue {
        let fields = row.entity.fields
        return .object(
            ExpressionObject(
                record.keys,
                fields.indices.map { ExpressionValue(row.value($0) ?? .null, type: fields[$0].shape.type) }
            )
        )
    }

    private func old(of row: PlannedRow) -> ExpressionValue {
        guard row.stored != nil else { return .null }
        let fields = row.entity.fields
        return .object(
            ExpressionObject(
                record.keys,
                fields.indices.map { ExpressionValue(row.storedValue($0) ?? .null, type: fields[$0].shape.type) }
            )
        )
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
            // As `!=` has it: 1 and 1.0 are the same.
            return !WhereTerm.holds(.equal, ExpressionValue(new), ExpressionValue(old))
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
