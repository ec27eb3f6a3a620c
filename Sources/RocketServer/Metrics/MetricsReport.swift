import Foundation
import RocketEngine
import RocketPlanning

/// What `GET /metrics` answers: what was counted, and what is looked at now. It names no app: there may be thousands, and
/// Prometheus keeps each series for weeks.
struct MetricsReport {
    let registry: PrometheusRegistry
    /// Nil where nothing was seen yet: its series are left out, for a 0 would be believed.
    let sample: RegistrySample?

    var text: String {
        var text = PrometheusText()
        if let sample { Self.write(sample, to: &text) }
        text.counter("rocket_expression_errors_total", Double(ExpressionFaults.count))
        ProcessReading.now.write(to: &text)
        return text.text + registry.text()
    }

    private static func write(_ sample: RegistrySample, to text: inout PrometheusText) {
        text.gauge("rocket_apps", sample.apps.map(Double.init))
        text.gauge("rocket_apps_open", Double(sample.openApps))
        text.gauge("rocket_apps_with_work", sample.appsWithWork.map(Double.init))
        text.gauge("rocket_database_connections", Double(sample.connections))
        text.gauge("rocket_database_connections_busy", Double(sample.busyConnections))
        text.gauge("rocket_database_waiting", Double(sample.waitingCallers))
        text.gauge("rocket_webhook_deliveries_pending", Double(sample.pendingDeliveries))
        text.gauge("rocket_webhook_oldest_pending_seconds", sample.oldestDelivery)
        text.gauge("rocket_workflow_instances_running", Double(sample.runningInstances))
        text.gauge("rocket_workflow_timers", Double(sample.timers))
        text.gauge("rocket_workflow_timer_late_seconds", sample.latestTimer)
        text.gauge("rocket_events_pending", Double(sample.pendingEvents))
    }
}

/// What the system says of this process, under the names that every Prometheus client uses.
private struct ProcessReading {
    private var residentBytes: Double?
    private var openFiles: Double?
    private var cpuSeconds: Double?

    /// Of procfs (proc(5)); nothing on systems without it.
    static var now: ProcessReading {
        var reading = ProcessReading()
        if let text = FileManager.default.contents(atPath: "/proc/self/statm"),
            let pages = String(decoding: text, as: UTF8.self).split(separator: " ").dropFirst().first.flatMap({
                Double($0)
            })
        {
            reading.residentBytes = pages * Double(sysconf(Int32(_SC_PAGESIZE)))
        }
        do {
            reading.openFiles = Double(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count)
        } catch {
            reading.openFiles = nil
        }
        var usage = timespec()
        if clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &usage) == 0 {
            reading.cpuSeconds = Double(usage.tv_sec) + Double(usage.tv_nsec) / 1e9
        }
        return reading
    }

    func write(to text: inout PrometheusText) {
        text.gauge("process_resident_memory_bytes", residentBytes)
        text.gauge("process_open_fds", openFiles)
        if let cpuSeconds { text.counter("process_cpu_seconds_total", cpuSeconds) }
    }
}
