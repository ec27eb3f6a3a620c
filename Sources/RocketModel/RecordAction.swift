/// What a caller wants to do with records.
package enum RecordAction: String, Sendable, CaseIterable {
    case read
    case create
    case update
    case delete
}
