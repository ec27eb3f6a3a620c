package import RocketModel

// A write can't be planned from the request alone: it looks at rows. So it is decided twice: first which rows
// are needed (``WriteNeeds``), then, with what they say, what is written. Both are plain functions.

/// A create whose fields hold, with what must be looked up before the row can be written.
package struct CreatePlan: Sendable {
    package let entity: EntityModel
    /// Values by index into the entity's fields; a field that is not there stays null.
    package var values: [Int: FieldValue]
    package let needs: WriteNeeds
    /// What keeps an entry of it; nil where none is kept.
    let trail: Trail?
}

/// An update whose payload holds, with what must be looked up before the row can be written.
package struct UpdatePlan: Sendable {
    package let entity: EntityModel
    package let key: FieldValue
    package var values: [Int: FieldValue]
    package let needs: WriteNeeds
    package let precondition: Precondition?
    /// What is wrong with the payload. Nothing is said of it before the row's own 404 and 412.
    package let violations: RequestFailure?
    /// The stored row, as values and as JSON, locked until the transaction ends.
    package let storedRow: SQLStatement
    let trail: Trail?

    /// Whether nothing of the stored row decides what is written, so that the UPDATE alone tells whether it is there.
    package var isBlind: Bool {
        precondition == nil && violations == nil && needs.isEmpty && !values.isEmpty
    }
}

/// Rows that a write depends on.
package struct WriteNeeds: Sendable {
    /// Rows that foreign keys of the payload name. Each statement gives a row where there is one.
    package let references: [(reference: ReferenceModel, statement: SQLStatement)]
    /// What a slug has to be made from; nil where none is made.
    package let slugBase: String?

    package static let none = WriteNeeds(references: [], slugBase: nil)

    package var isEmpty: Bool { references.isEmpty && slugBase == nil }
}

/// A delete, ready to run.
package struct DeletePlan: Sendable {
    package let entity: EntityModel
    package let key: FieldValue
    package let precondition: Precondition?
    package let storedRow: SQLStatement
    /// What deletes the row where nothing goes with it; the last one gives how many rows were there.
    package let statements: [SQLStatement]
    /// What looks for the rows that go with it; nil where no relation leads on from the entity.
    package let cascade: CascadeRun?
    /// Whether the row goes for good though its entity only marks rows as deleted.
    package let isGone: Bool
    /// Whether the row is the caller's to delete; nil where every one is.
    package let rowAccess: RowAccess?
    /// The row as its version is made for the caller; nil where that is as it is stored.
    package let version: ReadableRow?
    /// Whether rules judge the row, or somebody is told of it.
    package let isJudged: Bool
    package let access: Access
    package let now: Timestamp
    /// What the expressions of its rules may take together.
    package let steps: Int
}

/// `If-Match` (RFC 9110 part 13.1.1): the versions of the row that the client will have changed.
package enum Precondition: Sendable, Hashable {
    case anyVersion
    case versions([String])

    /// Reads the header; weak tags never match strongly.
    package init(ifMatch header: String) {
        let tags = header.split(separator: ",").map { part in
            String(part.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
        }
        self = tags == ["*"] ? .anyVersion : .versions(tags)
    }

    package func isMet(by tag: String) -> Bool {
        switch self {
        case .anyVersion: true
        case .versions(let tags): tags.contains(tag)
        }
    }
}
