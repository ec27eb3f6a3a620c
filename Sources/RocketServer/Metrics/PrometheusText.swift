/// Prometheus' text format, line by line.
struct PrometheusText {
    /// How many values were at most so large.
    struct Histogram {
        /// In seconds.
        static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

        /// By bucket; the last one is for what is over all bounds.
        private(set) var counts = [Int](repeating: 0, count: bounds.count + 1)
        private(set) var sum = 0.0

        mutating func add(_ value: Double) {
            counts[Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count] += 1
            sum += value
        }
    }

    private(set) var text = ""

    /// What the names leave open.
    private static let help = [
        "rocket_http_requests_total": "Requests, by the pattern of their route and the status of the answer.",
        "rocket_http_request_duration_seconds": "From the head of a request to its answer.",
        "rocket_apps": "Apps on this platform.",
        "rocket_apps_open": "Apps that this server has open.",
        "rocket_apps_with_work": "Apps in which something waits to be done, open or not.",
        "rocket_database_connections": "Connections of this server to databases.",
        "rocket_database_connections_busy": "Those of them that are at work.",
        "rocket_database_waiting": "Callers that wait for a connection.",
        "rocket_webhook_deliveries_pending": "Deliveries that wait, of the open apps, up to 100,000 for each.",
        "rocket_webhook_oldest_pending_seconds": "The age of the oldest delivery that waits.",
        "rocket_webhook_deliveries_total": "Deliveries that this server has tried, by outcome.",
        "rocket_workflow_instances_running": "Instances that run, of the open apps.",
        "rocket_workflow_timers": "Instances that go on by themselves at an instant.",
        "rocket_workflow_timer_late_seconds": "How late the one is that should have gone on first.",
        "rocket_workflow_turns_total": "Steps of instances that this server has taken.",
        "rocket_events_pending": "Events that no workflow has been started for yet.",
        "rocket_expression_errors_total": "Expressions that could not be evaluated.",
        "process_resident_memory_bytes": "Memory of the process.",
        "process_open_fds": "Open files of the process.",
        "process_cpu_seconds_total": "CPU time of the process.",
    ]

    mutating func family(_ name: String, type: String) {
        if let words = Self.help[name] { text += "# HELP \(name) \(words)\n" }
        text += "# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{\(labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ","))}"
        }
        // Whole numbers without a point.
        text += " \(Int64(exactly: value).map(String.init) ?? String(value))\n"
    }

    /// A value by itself.
    mutating func gauge(_ name: String, _ value: Double?) {
        guard let value else { return }
        family(name, type: "gauge")
        sample(name, [], value)
    }

    mutating func counter(_ name: String, _ value: Double) {
        family(name, type: "counter")
        sample(name, [], value)
    }

    mutating func histogram(_ name: String, _ labels: [(String, String)], _ histogram: Histogram) {
        var total = 0
        for (bound, count) in zip(Histogram.bounds.map { String($0) } + ["+Inf"], histogram.counts) {
            total += count
            sample("\(name)_bucket", labels + [("le", bound)], Double(total))
        }
        sample("\(name)_sum", labels, histogram.sum)
        sample("\(name)_count", labels, Double(total))
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
