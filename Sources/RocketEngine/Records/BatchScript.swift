package import RocketDatabase
import RocketModel
package import RocketPlanning

/// Runs batches: all operations in one transaction, each planned when those before it are done.
package enum BatchWriter {
    /// - Returns: what each operation left, in their order.
    /// - Throws: the failure of the first operation that fails, with its number; nothing has changed then.
    package static func run(
        _ batch: BatchRequest,
        access: Access,
        _ dependencies: EngineDependencies,
        in database: any AppDatabase
    ) async throws -> [OperationOutcome] {
        let slugs = MadeSlugs()
        let setting = OperationSetting(access: access, dependencies: dependencies, slugs: slugs)
        return try await RecordWriter.retryingSlugs(slugs) {
            try await database.write(BatchScript(batch: batch, setting: setting))
        }
    }
}

private struct BatchScript: TransactionScript {
    private let batch: BatchRequest
    private let setting: OperationSetting
    private var outcomes: [OperationOutcome] = []
    /// Of the operations whose results others have asked for.
    private var results: [Int: JSONValue] = [:]
    private var current: (any TransactionScript<OperationOutcome>)?

    init(batch: BatchRequest, setting: OperationSetting) {
        self.batch = batch
        self.setting = setting
    }

    mutating func next(_ results: [StatementResult]) throws -> TransactionStep<[OperationOutcome]> {
        var results = results
        while outcomes.count < batch.operations.count {
            let index = outcomes.count
            do {
                var script = try current ?? plan(index)
                let step = try script.next(results)
                current = script
                switch step {
                // The commit is the last operation's business, and that of none before it.
                case .run(let statements), .finish(let statements):
                    if !statements.isEmpty { return .run(statements) }
                    results = []
                case .done(let outcome):
                    outcomes.append(outcome)
                    current = nil
                    results = []
                }
            } catch let failure as RequestFailure {
                throw failure.ofOperation(index)
            }
        }
        return .done(outcomes)
    }

    private mutating func plan(_ index: Int) throws -> any TransactionScript<OperationOutcome> {
        let operation = batch.operations[index]
        var segments: [String] = []
        for segment in operation.segments {
            let value = try resolve(.string(segment), at: "path")
            switch value {
            case .string(let text): segments.append(text)
            case .number(let number): segments.append(number.text)
            default:
                throw RequestFailure.validation([
                    FailureDetail(field: "path", rule: .type, message: "\"\(segment)\" is \(value.kind), and no key")
                ])
            }
        }
        let body = try resolve(.object(operation.body), at: "body").objectValue ?? JSONObject()
        let id = segments.count > 1 ? segments[1] : ""
        let kind: RecordOperation.Kind =
            switch operation.method {
            case .post where segments.count == 1: .create(body)
            case .post: .restore(id: id)
            case .put, .patch: .update(id: id, body)
            case .delete: .delete(id: id, purges: operation.purges)
            }
        let planned = RecordOperation(
            entity: segments[0],
            kind: kind,
            precondition: operation.ifMatch.map(Precondition.init(ifMatch:))
        )
        return try planned.script(setting)
    }

    private mutating func resolve(_ value: JSONValue, at path: String) throws -> JSONValue {
        for reference in BatchReference.all(in: value) where results[reference.operation] == nil {
            results[reference.operation] = try outcomes[reference.operation].json
        }
        let results = results
        return try BatchReference.resolve(value, at: path) { results[$0] ?? .null }
    }
}

extension OperationOutcome {
    /// What the client is shown of it.
    fileprivate var json: JSONValue {
        get throws {
            switch self {
            case .deleted(let key): ["id": key.json]
            case .stored(let record): try JSONParser.parse(record.json)
            }
        }
    }
}

extension RequestFailure {
    /// The failure of one operation of a batch.
    fileprivate func ofOperation(_ index: Int) -> RequestFailure {
        let path = "operations[\(index)]"
        let details = details.map { detail in
            let field = detail.field.map { name in
                name == "path" || name.hasPrefix("body.") ? "\(path).\(name)" : "\(path).body.\(name)"
            }
            return FailureDetail(field: field ?? path, rule: detail.rule, message: detail.message)
        }
        return RequestFailure(
            code,
            "Operation \(index): \(message)",
            details: details.isEmpty ? [FailureDetail(field: path, message: message)] : details,
            retryAfterSeconds: retryAfterSeconds
        )
    }
}
