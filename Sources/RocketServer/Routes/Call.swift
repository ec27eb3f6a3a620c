import HTTPTypes
import Hummingbird
import NIOCore
import RocketEngine
import RocketModel
import RocketPlanning

/// What came: it stays as it is while the request is on its way, and is handed along as one reference.
final class Arrival: Sendable {
    let request: Request
    let context: RocketContext
    let services: ServerServices
    /// The trace that the client has begun, with this request as a part of it; nil for none.
    let trace: TraceContext?
    let requestID: String

    init(
        request: Request,
        context: RocketContext,
        services: ServerServices,
        trace: TraceContext?,
        requestID: String
    ) {
        self.request = request
        self.context = context
        self.services = services
        self.trace = trace
        self.requestID = requestID
    }
}

/// One request on its way through a route: what came, and who asks.
struct Call: Sendable {
    private let arrival: Arrival
    /// Set where the route needs a token.
    var principal: Principal?
    /// The app of the path, where the route has one.
    var app: AppContext?

    init(_ arrival: Arrival) {
        self.arrival = arrival
    }

    var request: Request { arrival.request }
    var context: RocketContext { arrival.context }
    var services: ServerServices { arrival.services }
    var trace: TraceContext? { arrival.trace }
    var requestID: String { arrival.requestID }
    var headers: HTTPFields { arrival.request.headers }

    /// The address of the one who asks, for the bound on failed sign-ins: the other end of the connection, or what a
    /// proxy that is trusted says of it.
    var clientAddress: String {
        services.settings.trustedProxies.clientAddress(
            peer: context.peer,
            forwardedFor: headers[values: .forwardedFor]
        )
    }

    /// A part of the path, decoded.
    ///
    /// - Throws: 404 for an escape that is not text.
    func parameter(_ name: String) throws(RequestFailure) -> String {
        guard let raw = context.coreContext.parameters[Substring(name)], let text = percentDecoded(raw.utf8) else {
            throw RequestFailure.nothingHere
        }
        if name == "app" || name == "entity", text.hasPrefix("_") || (name == "entity" && text == "auth") {
            throw RequestFailure.nothingHere
        }
        return text
    }

    func query() throws(RequestFailure) -> QueryString {
        try request.uri.query.map { query throws(RequestFailure) in try QueryString(query) } ?? .empty
    }

    /// Refuses parameters on a route that takes none.
    func refuseParameters() throws(RequestFailure) {
        _ = try query().values(of: [])
    }

    /// The only parameter of a route that takes a yes or a no; absent is no.
    ///
    /// - Throws: 400 `INVALID_PARAMETER`.
    func flag(_ name: String) throws(RequestFailure) -> Bool {
        switch try query().values(of: [name])[name] {
        case "true": return true
        case "false", nil: return false
        case let value?: throw .parameter(name, "\"\(name)\" is true or false, not \"\(value)\"")
        }
    }

    /// - Throws: 500 where a route that needs a principal was registered as open: a fault of ours.
    func requirePrincipal() throws(RequestFailure) -> Principal {
        guard let principal else { throw RequestFailure(.internalError, "The route has no principal") }
        return principal
    }

    /// - Throws: 500 where a route that needs an app was registered without one: a fault of ours.
    func requireApp() throws(RequestFailure) -> AppContext {
        guard let app else { throw RequestFailure(.internalError, "The route has no app") }
        return app
    }

    /// The caller before an app's metadata of this moment, which the request keeps to its end.
    func access(to app: AppContext) throws(RequestFailure) -> Access {
        Access(
            try requirePrincipal(),
            to: app.snapshots.current,
            at: services.dependencies.now(),
            requestID: requestID
        )
    }

    var precondition: Precondition? {
        headers[.ifMatch].map(Precondition.init(ifMatch:))
    }

    /// What this request comes of.
    var cause: Cause { Cause(depth: depth, trace: trace) }

    /// How many writes have set each other off before this request: what a call of ours has told whoever sends it.
    private var depth: Int {
        // What can't be read counts as the most.
        headers[.depth].map {
            UInt($0).flatMap(Int.init(exactly:)).map { min($0, EventDepth.maximum) } ?? EventDepth.maximum
        }
            ?? 0
    }

    // MARK: body

    /// The body, which must be a JSON object.
    ///
    /// - Throws: 400 `INVALID_PAYLOAD`, 413, 415.
    func object(limit: Int? = nil) async throws -> JSONObject {
        let value = try await json(limit: min(limit ?? .max, services.settings.maximumBodyBytes))
        guard case .object(let object) = value else {
            throw RequestFailure(.invalidPayload, "The body is \(value.kind), but this route takes an object")
        }
        return object
    }

    /// The same, or an empty one where the request has no body.
    func optionalObject() async throws -> JSONObject {
        let isEmpty = headers[.contentLength].map { $0 == "0" } ?? (headers[.transferEncoding] == nil)
        return isEmpty ? JSONObject() : try await object()
    }

    /// How long the client says that its body is; the parser lets lengths up to 2^64 - 1 through.
    var announcedBytes: Int? {
        headers[.contentLength].flatMap { UInt64($0) }.map { Int(clamping: $0) }
    }

    private func json(limit: Int) async throws -> JSONValue {
        let tooLarge = RequestFailure(.payloadTooLarge, "The body is larger than \(limit) bytes")
        if let announcedBytes, announcedBytes > limit { throw tooLarge }
        try requireJSON()
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        } catch let error as HTTPError where error.status == .contentTooLarge {
            throw tooLarge
        } catch {
            // The client broke off, or framed its body wrongly; nothing of ours is at fault.
            throw RequestFailure(.invalidPayload, "The body did not arrive whole")
        }
        guard buffer.readableBytes > 0 else {
            throw RequestFailure(.invalidPayload, "The body is empty; a JSON object is due")
        }
        return try buffer.withUnsafeReadableBytes { bytes throws(RequestFailure) in
            do throws(JSONSyntaxError) {
                return try JSONParser.parse(bytes.bindMemory(to: UInt8.self))
            } catch {
                throw RequestFailure(.invalidPayload, "The body is not JSON: \(error.reason) (at byte \(error.offset))")
            }
        }
    }

    private func requireJSON() throws(RequestFailure) {
        let type = headers[.contentType]?.lowercased() ?? ""
        let parts = type.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
        let isJSON =
            parts.first == "application/json"
            && parts.dropFirst().allSatisfy { $0 == "charset=utf-8" || $0 == "charset=\"utf-8\"" }
        guard isJSON else {
            let got = type.isEmpty ? "no Content-Type" : "\"\(type.prefix(80))\""
            throw RequestFailure(
                .unsupportedMediaType,
                "A body is sent with Content-Type: application/json, got \(got)"
            )
        }
    }
}

extension JSONObject {
    /// Reads a flat payload of strings, all of them required but those in `optional`.
    ///
    /// - Throws: 422 with every violation.
    func strings(_ required: [String], optional: [String] = []) throws(RequestFailure) -> [String: String] {
        var reader = DefinitionReader(self)
        var values: [String: String] = [:]
        for name in required { values[name] = reader.requiredString(name) }
        for name in optional { values[name] = reader.string(name) }
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw .validation(reader.violations) }
        return values
    }
}

extension RequestFailure {
    /// 404 for a path that is none of ours.
    static let nothingHere = RequestFailure(.notFound, "There is nothing at this path")
}
