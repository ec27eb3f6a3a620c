import HTTPTypes
import NIOCore
import RocketEngine
import RocketModel
import RocketPlanning

/// What Prometheus asks for.
enum MetricsRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.get, "/metrics", .metrics, metrics)
    }

    @Sendable private static func metrics(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let services = call.services
        let report = MetricsReport(registry: services.metrics, sample: await services.apps.sample())
        return Reply(
            headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ByteBuffer(string: report.text)
        )
    }
}
