import RocketDatabase
import RocketModel
import RocketPlanning

/// A write whose payload names uploaded files: it is looked up which of them are there and the caller's to use, and what
/// is known of each takes the place of its mention. Then the write is planned. The files can't be removed before it ends.
struct FileScript: AnnouncingScript {
    private enum State {
        case start
        case lookedUp
        case running(any AnnouncingScript<OperationOutcome>)
    }

    private let mentions: FileMentions
    private let operation: RecordOperation
    private let setting: OperationSetting
    private let store: FileStore
    /// What the record has, where it is changed.
    private let storedRow: SQLStatement?
    private var state = State.start

    /// - Parameter operation: a create or an update with a payload of these mentions.
    init(_ mentions: FileMentions, of operation: RecordOperation, _ setting: OperationSetting) {
        self.mentions = mentions
        self.operation = operation
        self.setting = setting
        store = FileStore(setting.access.snapshot.dialect)
        storedRow = operation.storedFiles(setting.access.snapshot)
    }

    var awaitedCalls: [AwaitedCall] {
        if case .running(let script) = state { script.awaitedCalls } else { [] }
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        switch state {
        case .start:
            state = .lookedUp
            let ids = mentions.ids
            let asksRecords = setting.attachesFiles && !setting.access.principal.isAdmin
            let readable = asksRecords ? FileUses.readable(ids, setting.access) : []
            return .run([store.files(ids, lock: .forUse)] + (storedRow.map { [$0] } ?? []) + readable)
        case .lookedUp:
            return try begin(results)
        case .running(var script):
            defer { state = .running(script) }
            return try script.next(results)
        }
    }

    /// A file is the caller's to use who has uploaded it or may read it in a record.
    private mutating func begin(_ results: [StatementResult]) throws -> TransactionStep<OperationOutcome> {
        let principal = setting.access.principal
        let entity = try setting.access.snapshot.entity(operation.entity)
        let own = storedRow == nil ? nil : results.dropFirst().first
        let readable = Set(
            results.dropFirst(storedRow == nil ? 1 : 2).flatMap(\.rows).compactMap { $0.first?.textValue }
        )
        var files: [UniqueID: JSONValue] = [:]
        for file in results[0].rows.compactMap(store.read) where setting.attachesFiles {
            let isOwn = !principal.isAnonymous && file.owner == principal.userID
            if principal.isAdmin || isOwn || readable.contains(file.id.text) { files[file.id] = file.reference }
        }
        let kept = own?.rows.first.map { FileUses.values($0, of: entity) } ?? []
        for value in kept {
            if let id = value.objectValue?["id"]?.stringValue.flatMap(UniqueID.init), files[id] == nil {
                files[id] = value
            }
        }
        let planned = RecordOperation(
            entity: operation.entity,
            kind: operation.kind.replacingPayload(with: mentions.resolved(files)),
            precondition: operation.precondition
        )
        var script = try planned.scriptOfResolved(setting.attaching(Array(files.values) + kept))
        defer { state = .running(script) }
        return try script.next([])
    }
}

extension RecordOperation {
    fileprivate func storedFiles(_ snapshot: AppSnapshot) -> SQLStatement? {
        guard case .update(let id, _) = kind, let model = snapshot.model(entity) else { return nil }
        return FileUses.stored(id, of: model)
    }
}

extension RecordOperation.Kind {
    /// What is written; nil where nothing is.
    var payload: JSONObject? {
        switch self {
        case .create(let payload), .update(_, let payload): payload
        case .delete, .restore: nil
        }
    }

    fileprivate func replacingPayload(with payload: JSONObject) -> RecordOperation.Kind {
        switch self {
        case .create: .create(payload)
        case .update(let id, _): .update(id: id, payload)
        case .delete, .restore: self
        }
    }
}
