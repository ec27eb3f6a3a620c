import CoreMetrics
import HTTPTypes
import Synchronization

/// What is counted of the requests of one route.
final class RouteMetrics: Sendable {
    private let method: String
    private let path: String
    private let factory: any MetricsFactory
    private let duration: any TimerHandler
    private let counts = Mutex<[Int: any CounterHandler]>([:])

    /// - Parameter path: the pattern of the route: what clients write in its place would be names without end.
    init(_ method: String, _ path: String, _ factory: any MetricsFactory) {
        self.method = method
        self.path = path
        self.factory = factory
        duration = factory.makeTimer(
            label: "rocket_http_request_duration_seconds",
            dimensions: [("method", method), ("route", path)]
        )
    }

    func note(_ status: HTTPResponse.Status, nanoseconds: Int64) {
        duration.recordNanoseconds(nanoseconds)
        counter(status.code).increment(by: 1)
    }

    private func counter(_ status: Int) -> any CounterHandler {
        counts.withLock { counts in
            if let known = counts[status] { return known }
            let new = factory.makeCounter(
                label: "rocket_http_requests_total",
                dimensions: [("method", method), ("route", path), ("status", String(status))]
            )
            counts[status] = new
            return new
        }
    }
}
