import Crypto
import Foundation
import HTTPTypes
package import Hummingbird
import Logging
import NIOCore
import RocketEngine
import RocketModel
import RocketPlanning

/// Answers every request: finds the route, asks who calls, runs the route, and turns whatever comes of it into a
/// response with the headers that all responses have.
package struct RocketResponder: HTTPResponder {
    private let router: any HTTPResponder<RocketContext>
    private let table: RouteTable
    private let services: ServerServices
    private let requestIDs = RequestIDs()
    private let preflights: RouteMetrics
    private let elsewhere: RouteMetrics

    package init(services: ServerServices) {
        var table = RouteTable()
        SystemRoutes.add(to: &table)
        MetricsRoutes.add(to: &table)
        BackupRoutes.add(to: &table)
        AuthRoutes.add(to: &table)
        PlatformRoutes.add(to: &table)
        MetadataRoutes.add(to: &table)
        UserRoutes.add(to: &table)
        InviteRoutes.add(to: &table)
        WebhookLogRoutes.add(to: &table)
        WorkflowRoutes.add(to: &table)
        OpenAPIRoutes.add(to: &table)
        FileRoutes.add(to: &table)
        RecordRoutes.add(to: &table)
        self.table = table
        self.services = services
        let router = Router(context: RocketContext.self, options: .autoGenerateHeadEndpoints)
        let requestIDs = requestIDs
        for route in table.routes {
            let metrics = RouteMetrics(route.method.rawValue, route.path, services.metrics)
            router.on(RouterPath(route.path), method: route.method) { request, context in
                await RouteRun(
                    route: route,
                    request: request,
                    context: context,
                    services: services,
                    requestIDs,
                    metrics
                ).response()
            }
        }
        preflights = RouteMetrics("OPTIONS", "(preflight)", services.metrics)
        // Methods and paths that are none of ours are anything that clients make up.
        elsewhere = RouteMetrics("(any)", "(none)", services.metrics)
        self.router = router.buildResponder()
    }

    var faults: FaultPoints { services.dependencies.faults }

    /// Every route, by its method and the pattern of its path.
    package var routes: [(method: String, path: String)] {
        table.routes.map { ($0.method.rawValue, $0.path) }
    }

    package func respond(to request: Request, context: RocketContext) async throws -> Response {
        let crossOrigin = services.settings.crossOrigin
        let methods = { table.methods(at: Substring(request.uri.path)) }
        if let failure = Self.problem(of: request) { return await refuse(request, context, failure) }
        if let headers = crossOrigin.preflightHeaders(for: request.head, methods: methods) {
            return await preflight(request, context, headers)
        }
        var response = try await answer(to: request, context: context)
        response.headers.append(contentsOf: crossOrigin.answerHeaders(for: request.head))
        return response
    }

    /// Asks no token: a browser sends none with its question (Fetch, part 4.8).
    private func preflight(_ request: Request, _ context: RocketContext, _ headers: HTTPFields) async -> Response {
        let route = Route(method: request.method, path: request.uri.path, access: .open) { _ in
            Reply(.noContent, headers: headers, body: ByteBuffer())
        }
        var response = await RouteRun(
            route: route,
            request: request,
            context: context,
            services: services,
            requestIDs,
            preflights
        ).response()
        // RFC 9110 part 8.6: a 204 has no length, and it has nothing that could be of a type.
        response.headers[.contentLength] = nil
        response.headers[.contentType] = nil
        return response
    }

    /// What makes a request's end or its addressee unsure: others on its way may see another request in it.
    private static func problem(of request: Request) -> RequestFailure? {
        if request.head.authority == nil {
            return RequestFailure(
                .invalidParameter,
                "A request names its host, once: the header Host is not there, or twice"
            )
        }
        if request.headers[.transferEncoding] != nil, request.headers[.contentLength] != nil {
            return RequestFailure(.invalidParameter, "A body has either Content-Length or Transfer-Encoding, not both")
        }
        return nil
    }

    private func refuse(_ request: Request, _ context: RocketContext, _ failure: RequestFailure) async -> Response {
        let route = Route(method: request.method, path: request.uri.path, access: .open) { _ in throw failure }
        let run = RouteRun(
            route: route,
            request: request,
            context: context,
            services: services,
            requestIDs,
            elsewhere
        )
        return await run.response()
    }

    private func answer(to request: Request, context: RocketContext) async throws -> Response {
        let response = try await router.respond(to: request, context: context)
        // Every answer of a route carries an id; one without is the router's own, for a path that it does not know.
        guard response.headers[.requestID] == nil else { return response }
        let answer = await unrouted(request, context)
        return request.method == .head ? answer.createHeadResponse() : answer
    }

    /// 405 where the path is one of ours with another method, else 404.
    private func unrouted(_ request: Request, _ context: RocketContext) async -> Response {
        let methods = table.methods(at: Substring(request.uri.path))
        let route = Route(method: request.method, path: request.uri.path, access: .open) { _ in
            guard !methods.isEmpty else { throw RequestFailure.nothingHere }
            let allow = methods.map(\.rawValue).sorted().joined(separator: ", ")
            var reply = Reply(
                RequestFailure(.methodNotAllowed, "\(request.method.rawValue) does not go here; allowed: \(allow)")
            )
            reply.headers[.allow] = allow
            return reply
        }
        return await RouteRun(
            route: route,
            request: request,
            context: context,
            services: services,
            requestIDs,
            elsewhere
        ).response()
    }
}

/// Ids of requests that come without one: a random part for the process and a count.
final class RequestIDs: Sendable {
    private let prefix = String(UInt32.random(in: .min ... .max), radix: 36)
    private let count = AtomicCounter()

    func next() -> String {
        "\(prefix)-\(String(count.next(), radix: 36))"
    }
}

/// One request at one route.
private struct RouteRun {
    private let route: Route
    private let metrics: RouteMetrics
    private var call: Call
    private var services: ServerServices { call.services }
    private var requestID: String { call.requestID }

    init(
        route: Route,
        request: Request,
        context: RocketContext,
        services: ServerServices,
        _ ids: RequestIDs,
        _ metrics: RouteMetrics
    ) {
        self.route = route
        self.metrics = metrics
        let requestID = Self.sane(request.headers[.requestID]) ?? ids.next()
        let trace = request.headers[.traceparent].flatMap {
            TraceContext(traceparent: $0, tracestate: request.headers[.tracestate])
        }
        call = Call(
            Arrival(
                request: request,
                context: context,
                services: services,
                trace: trace?.child(UInt64.random(in: .min ... .max)),
                requestID: requestID
            )
        )
    }

    /// A client's own id: up to 128 letters, digits, dots, hyphens and underscores.
    private static func sane(_ id: String?) -> String? {
        guard let id, (1...128).contains(id.utf8.count) else { return nil }
        let isSane = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        return isSane ? id : nil
    }

    consuming func response() async -> Response {
        let start = ContinuousClock.now
        var reply: Reply
        do {
            reply = try await run()
        } catch {
            reply = Reply(failure(for: error))
        }
        if reply.headers[.contentType] == nil { reply.headers[.contentType] = "application/json; charset=utf-8" }
        reply.headers[.nosniff] = "nosniff"
        reply.headers[.requestID] = requestID
        if call.principal.map({ !$0.isAnonymous }) ?? false || route.access.isOpenApp || route.givesTokens {
            reply.headers[.cacheControl] = "no-store"
        }
        let duration = (ContinuousClock.now - start).components
        let nanoseconds = duration.seconds * 1_000_000_000 + duration.attoseconds / 1_000_000_000
        metrics.note(reply.status, nanoseconds: nanoseconds)
        log(reply.status, microseconds: nanoseconds / 1000)
        // RFC 9110 part 15.4.5: what it says of the body would be said of the one that the client has.
        if reply.status == .notModified { reply.headers[.contentType] = nil }
        let body = reply.stream ?? ResponseBody(byteBuffer: reply.body)
        var response = Response(status: reply.status, headers: reply.headers, body: body)
        if reply.status == .notModified { response.headers[.contentLength] = nil }
        services.dependencies.faults.pass(.beforeAnswer)
        return response
    }

    // MARK: access

    private mutating func run() async throws -> Reply {
        switch route.access {
        case .open:
            return try await route.handler(call)
        case .metrics:
            try await requireMetrics()
            return try await route.handler(call)
        case .control:
            guard call.context.isControl else { throw RequestFailure.nothingHere }
            call.principal = .control
            return try await route.handler(call)
        case .platform, .platformAdmin:
            let principal = try await platformPrincipal()
            call.principal = principal
            if case .platformAdmin = route.access { try AccessDecision.requirePlatformAdministrator(principal) }
            return try await route.handler(call)
        case .openApp, .app, .appOrAnonymous, .appRecords, .appAdmin:
            return try await runInApp()
        }
    }

    /// A token of the platform, or the one that is configured: Prometheus can't sign in.
    private func requireMetrics() async throws {
        if let token = services.settings.metricsToken, !call.context.isControl {
            let given = try bearer()
            // In a time that does not tell how much of it is right.
            if SHA256.hash(data: Data(given.utf8)) == SHA256.hash(data: Data(token.utf8)) { return }
        }
        _ = try await platformPrincipal()
    }

    private func platformPrincipal() async throws -> Principal {
        if call.context.isControl { return .control }
        let principal = await services.tokens.principal(
            of: try bearer(),
            from: [(.platform, services.apps.platform.floors)]
        )
        guard let principal else { throw Self.badToken }
        return principal
    }

    /// The app's secret first, then the platform's. Nobody without a token learns which apps there are.
    private mutating func runInApp() async throws -> Reply {
        let name = try call.parameter("app")
        guard !route.access.isOpenApp else {
            return try await services.apps.withApp(name) { app in
                call.app = app
                return try await route.handler(call)
            }
        }
        if case .appRecords(let action) = route.access, !call.context.isControl, call.headers[.authorization] == nil {
            return try await runAnonymously(action, name)
        }
        if case .appOrAnonymous = route.access, !call.context.isControl, call.headers[.authorization] == nil {
            return try await runOpenly(name)
        }
        let token = call.context.isControl ? "" : try bearer()
        do {
            if !call.context.isControl, !services.apps.isOpen(name) { try await checkBeforeOpening(name, token) }
            return try await services.apps.withApp(name) { app in
                call.app = app
                let principal = try await withAttributes(try await principal(of: token, in: app), app)
                call.principal = principal
                if case .appAdmin = route.access { try AccessDecision.requireAdministrator(principal) }
                return try await runHandler(in: app)
            }
        } catch let failure as RequestFailure where failure.code == .appNotFound && call.app == nil {
            _ = try await platformPrincipal()
            throw failure
        }
    }

    /// Attributes are in no token: they are read where something looks at them.
    private func withAttributes(_ principal: Principal, _ app: AppContext) async throws -> Principal {
        let isAsked = call.request.uri.query?.contains("attributes") ?? false
        guard !principal.isOfPlatform, isAsked || app.snapshots.current.readsAttributes,
            let user = try await app.accounts.user(id: principal.userID)
        else { return principal }
        var principal = principal
        principal.attributes = user.attributes
        return principal
    }

    private func runHandler(in app: AppContext) async throws -> Reply {
        let version = app.snapshots.current.version
        do {
            return try await route.handler(call)
        } catch  where FailureTranslation.isOfOldMetadata(error) {
            guard await app.hasChanged(since: version) else { throw error }
            throw RequestFailure.unavailable("The metadata has just changed; try again")
        }
    }

    /// Without a token one learns nothing but what a policy gives everyone: neither which apps there are nor which entities.
    private mutating func runAnonymously(_ action: RecordAction, _ name: String) async throws -> Reply {
        var isAdmitted = false
        do {
            let entityName = try call.parameter("entity")
            return try await services.apps.withApp(name) { app in
                call.app = app
                call.principal = .anonymous
                let access = try call.access(to: app)
                guard let entity = access.snapshot.model(entityName) else { throw Self.noToken }
                _ = try access.grant(action, on: entity)
                isAdmitted = true
                return try await runHandler(in: app)
            }
        } catch is RequestFailure where !isAdmitted {
            throw Self.noToken
        }
    }

    /// What nobody may see without a token is as good as not there.
    private mutating func runOpenly(_ name: String) async throws -> Reply {
        do {
            return try await services.apps.withApp(name) { app in
                call.app = app
                call.principal = .anonymous
                return try await runHandler(in: app)
            }
        } catch let failure as RequestFailure where failure.code != .unavailable {
            throw Self.noToken
        }
    }

    private static let noToken = RequestFailure(
        .unauthorized,
        "This needs Authorization: Bearer and an access token"
    )

    /// A token that no key has signed opens no database.
    private func checkBeforeOpening(_ name: String, _ token: String) async throws {
        let app = try await services.apps.app(name)
        let principal = await services.tokens.principal(
            of: token,
            from: [(.app(app), TokenFloors([:])), (.platform, services.apps.platform.floors)]
        )
        guard principal != nil else { throw Self.badToken }
    }

    private func principal(of token: String, in app: AppContext) async throws -> Principal {
        if call.context.isControl { return .control }
        let principal = await services.tokens.principal(
            of: token,
            from: [(.app(app.stored), app.accounts.floors), (.platform, services.apps.platform.floors)]
        )
        // A user of the platform who does not administer it is nobody in an app, whatever roles the platform gave.
        guard let principal, principal.isPlatformAdmin || !principal.isOfPlatform else { throw Self.badToken }
        return principal
    }

    /// RFC 6750 part 2.1.
    private func bearer() throws(RequestFailure) -> String {
        guard let header = call.headers[.authorization], !header.isEmpty else {
            throw Self.noToken
        }
        let bytes = header.utf8
        guard bytes.count > 7, zip(bytes, "bearer ".utf8).allSatisfy({ $0 | 0x20 == $1 }) else { throw Self.badToken }
        return String(decoding: bytes.dropFirst(7), as: UTF8.self)
    }

    private static let badToken = RequestFailure(.unauthorized, "The access token is not valid")

    // MARK: ends

    private func failure(for error: any Error) -> RequestFailure {
        let snapshot = call.app?.snapshots.current
        if let failure = FailureTranslation.requestFailure(for: error, snapshot: snapshot, logger: services.logger) {
            if failure.code == .internalError { logFault(failure.message) }
            return failure
        }
        if error is CancellationError || error is ChannelError {
            return .unavailable("The connection was closed, or the server is stopping")
        }
        logFault("\(error)")
        return RequestFailure(
            .internalError,
            "A fault of the server; its log has more under the request id \(requestID)"
        )
    }

    private func logFault(_ cause: String) {
        services.logger.error(
            "request failed",
            metadata: [
                "request_id": "\(requestID)", "route": "\(route.method.rawValue) \(route.path)", "cause": "\(cause)",
            ]
        )
    }

    private func log(_ status: HTTPResponse.Status, microseconds: Int64) {
        guard services.logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "request_id": "\(requestID)", "method": "\(route.method.rawValue)", "route": "\(route.path)",
            "status": "\(status.code)",
            "ms": "\(microseconds / 1000).\(String(microseconds % 1000 + 1000).dropFirst())",
        ]
        if let app = call.app { metadata["app"] = "\(app.name)" }
        if let trace = call.trace {
            metadata["trace_id"] = "\(trace.traceID)"
            metadata["span_id"] = "\(trace.spanID)"
        }
        if let principal = call.principal { metadata["user"] = "\(principal.userID)" }
        services.logger.info("request", metadata: metadata)
    }
}

extension RouteAccess {
    fileprivate var isOpenApp: Bool {
        if case .openApp = self { true } else { false }
    }
}

extension Principal {
    /// The user who runs the server, over its own socket.
    fileprivate static let control = Principal(
        userID: "_control",
        email: "",
        roles: ["platform_admin"],
        isOfPlatform: true
    )
}
