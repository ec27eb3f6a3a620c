import RocketModel
import RocketPlanning
import Synchronization

/// The workflows that instances of an app go by, compiled once for each text.
final class WorkflowPlans: Sendable {
    private struct Key: Hashable {
        let workflow: String
        let version: String
    }

    private let plans = Mutex<[Key: WorkflowPlan]>([:])
    /// Past these many they are made anew.
    private static let maximum = 500

    /// Nil where the text is none of the metadata in force, and was not read yet.
    func plan(of instance: WorkflowInstance, _ snapshot: AppSnapshot) -> WorkflowPlan? {
        let key = Key(workflow: instance.workflowID, version: instance.version)
        if let known = plans.withLock({ $0[key] }) { return known }
        let current = snapshot.workflows.first { $0.id == key.workflow && $0.version == key.version }
        return current.map { enter(WorkflowPlan($0.definition), key) }
    }

    /// - Parameter definition: nil where there is no such text, and the instance has no step to go on with.
    func keep(_ definition: WorkflowDefinition?, of instance: WorkflowInstance) -> WorkflowPlan {
        let key = Key(workflow: instance.workflowID, version: instance.version)
        guard let definition else { return WorkflowPlan(WorkflowDefinition(stored: JSONObject())) }
        return enter(WorkflowPlan(definition), key)
    }

    private func enter(_ plan: WorkflowPlan, _ key: Key) -> WorkflowPlan {
        plans.withLock { plans in
            if plans.count >= Self.maximum { plans = [:] }
            plans[key] = plan
        }
        return plan
    }
}

extension WorkflowMachine {
    /// A call has ended; its answer may be remembered.
    mutating func take(_ outcome: CallOutcome, of call: WorkflowCall) {
        var answer: JSONObject = ["status": outcome.status.map(JSONValue.integer) ?? .null]
        answer["body"] = outcome.body.map(Self.parsed) ?? .null
        var retryAfter: Int64?
        if case .answered(_, _, let seconds) = outcome { retryAfter = seconds }
        called(
            call.token,
            fence: call.fence,
            problem: outcome.problem,
            answer: .object(answer),
            retryAfter: retryAfter
        )
    }

    /// JSON where it is some, else the text.
    private static func parsed(_ body: String) -> JSONValue {
        do throws(JSONSyntaxError) { return try JSONParser.parse(body) } catch { return .string(body) }
    }
}
