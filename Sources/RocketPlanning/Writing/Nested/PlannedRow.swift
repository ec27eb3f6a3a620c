package import RocketModel

/// A row that a write makes, changes or removes.
package struct PlannedRow: Sendable {
    package enum Action: Sendable {
        case create
        case update
        case delete
    }

    /// The row above, whose key this row's foreign key is.
    struct Parent: Sendable {
        let row: Int
        /// The parent's field that the relation goes by.
        let own: Int
        /// The foreign key.
        let theirs: Int
    }

    /// Who wants the row written.
    package enum Origin: Sendable {
        case payload
        /// The action of a state machine; the path is the state's.
        case action
        /// It goes with a row that is deleted.
        case cascade
    }

    package let entity: EntityModel
    package let action: Action
    /// Where the row stands in the payload; empty for the record itself.
    package internal(set) var path: String
    /// How many relations lead to the row.
    let depth: Int
    /// Nil while the database has not numbered the row.
    package var key: FieldValue?
    /// What is written, by index into the entity's fields.
    package var values: [Int: FieldValue]
    /// The row as it is stored, by the entity's fields; nil for one that is made.
    package var stored: [SQLValue]?
    let parent: Parent?
    let relations: [RelationInput]
    /// Fields whose values do not hold.
    var failed: Set<Int> = []
    /// Fields that the payload gives.
    var given: Set<Int> = []
    var origin = Origin.payload

    /// A field of the row as it will be stored; nil where only the database knows it yet.
    func value(_ index: Int) -> FieldValue? {
        if index == entity.keyIndex { return key }
        if let value = values[index] { return value }
        if action == .create { return parent?.theirs == index ? nil : .null }
        return storedValue(index)
    }

    /// A field of the row as it is stored.
    func storedValue(_ index: Int) -> FieldValue? {
        if index == entity.keyIndex, action != .create { return key }
        return stored.map { entity.dialect.fieldValue($0[index], entity.fields[index].shape) }
    }

    /// Whether a slug may yet be made for the row: where a new one has none, and where one that is left alone is made
    /// again whenever its source changes.
    var mayMakeSlug: Bool {
        guard let slug = entity.definition.slug, slug.source != nil, let index = entity.index(of: slug.field) else {
            return false
        }
        return switch action {
        case .create: values[index].map { $0.isNull || $0 == .text("") } ?? true
        case .update: slug.regenerateOnUpdate && values[index] == nil
        case .delete: false
        }
    }
}

/// A row of a join table that a write makes or removes.
struct PlannedLink: Sendable {
    enum Target: Sendable {
        case row(Int)
        case key(FieldValue)
    }

    let side: RelationSide
    let parent: Int
    let target: Target
}
