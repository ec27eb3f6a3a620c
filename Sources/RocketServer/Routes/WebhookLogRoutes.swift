import HTTPTypes
import RocketEngine
import RocketModel
import RocketPlanning

/// The calls of an app's webhooks and transitions: what was sent, and what came back.
enum WebhookLogRoutes {
    static func add(to table: inout RouteTable) {
        let path = "/api/:app/_admin/webhook-logs"
        table.add(.get, path, .appAdmin, list)
        table.add(.get, "\(path)/:id", .appAdmin, read)
        table.add(.post, "\(path)/:id/retry", .appAdmin, retry)
    }

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let values = try call.query().values(of: PageRequest.parameterNames + DeliveryLog.filters)
        let place = try PageRequest(values)
        let filters = values.filter { DeliveryLog.filters.contains($0.key) }
        for (name, value) in filters where value.utf8.contains(0) {
            throw RequestFailure.parameter(name, "text can't hold the character NUL")
        }
        let statuses = ["pending", "delivered", "retrying", "failed"]
        if let status = filters["status"], !statuses.contains(status) {
            throw RequestFailure.parameter("status", "\"\(status)\" is none of \(statuses.joined(separator: ", "))")
        }
        let found = try await DeliveryLog(try call.requireApp()).page(filters, place)
        return Reply(
            data: .array(found.rows),
            meta: [
                "page": .integer(place.page), "per_page": .integer(place.perPage), "total": .integer(found.total),
            ]
        )
    }

    @Sendable private static func read(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        return Reply(data: try await DeliveryLog(try call.requireApp()).row(try call.parameter("id")))
    }

    @Sendable private static func retry(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let log = DeliveryLog(try call.requireApp())
        return Reply(data: try await log.retry(try call.parameter("id"), call.services.dependencies))
    }
}
