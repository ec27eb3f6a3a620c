package import CoreMetrics

/// What the engine counts of its own work.
package struct EngineMetrics: Sendable {
    /// By outcome: delivered, retrying, failed.
    private let deliveries: [String: any CounterHandler]
    private let turns: any CounterHandler

    package init(_ factory: any MetricsFactory = NOOPMetricsHandler.instance) {
        let outcomes = ["delivered", "retrying", "failed"]
        deliveries = Dictionary(
            uniqueKeysWithValues: outcomes.map { outcome in
                let counter = factory.makeCounter(
                    label: "rocket_webhook_deliveries_total",
                    dimensions: [("outcome", outcome)]
                )
                return (outcome, counter)
            }
        )
        turns = factory.makeCounter(label: "rocket_workflow_turns_total", dimensions: [])
    }

    /// A call was made, or tried.
    package func noteDelivery(_ outcome: String) { deliveries[outcome]?.increment(by: 1) }

    /// A workflow went a step on.
    package func noteTurn() { turns.increment(by: 1) }
}
