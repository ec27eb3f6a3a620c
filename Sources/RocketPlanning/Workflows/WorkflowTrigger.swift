import RocketExpression
package import RocketModel

/// A workflow that rows start, compiled.
package struct WorkflowTrigger: Sendable {
    enum Event: Sendable {
        /// A field, by its index, becomes a value.
        case becomes(Int, FieldValue)
        case row(PlannedRow.Action)
    }

    package let workflow: StoredWorkflow
    let event: Event
    let condition: RuleProgram?
    /// Why its condition can't be evaluated, where it can't be: an instance fails with it then.
    let problem: String?

    var loads: [RelatedLoad] { condition?.loads ?? [] }
    var isOfDeletes: Bool { if case .row(.delete) = event { true } else { false } }

    /// Whether a row is its business, its condition aside.
    func concerns(_ row: PlannedRow) -> Bool {
        switch event {
        case .row(let action): return row.action == action
        case .becomes(let field, let value):
            guard row.action != .delete, row.value(field) == value else { return false }
            return row.action == .create || row.changes.contains(field)
        }
    }
}

/// A workflow of the metadata in force.
package struct StoredWorkflow: Sendable {
    package let id: String
    /// Which text of the definition it is.
    package let version: String
    package let definition: WorkflowDefinition
    /// Of one that an event starts; what rows start has its own.
    let condition: Program?
    /// Why it can't be started; nil where it can.
    package let problem: String?

    static let eventEnvironment = ExpressionEnvironment([
        ("event", .text), ("payload", .any), ("record", .any), ("user", .any), ("now", .date),
    ])

    /// Whether an event starts it.
    ///
    /// - Throws: why its condition can't be evaluated.
    package func isStarted(by event: JSONObject, now: Timestamp) throws(RequestFailure) -> Bool {
        guard let condition else { return true }
        let names = ["event", "payload", "record", "user"].map { ExpressionValue(event[$0] ?? .null) }
        do throws(EvaluationFailure) {
            return try condition.value(names + [.date(DateValue(now))], now: DateValue(now)).isTruthy
        } catch {
            throw RequestFailure(.validationFailed, "its condition can't be evaluated: \(error.message)")
        }
    }

    /// What an instance begins to remember.
    package func context(of trigger: JSONObject) -> JSONObject {
        var context = JSONObject()
        for (name, path) in definition.context { context[name] = path.value(in: trigger) }
        return context
    }
}

extension StoredDefinition {
    /// Tells texts of a definition apart: FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), 64 bits.
    package var version: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in JSONValue.object(content).jsonBytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let text = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
