import HTTPTypes
import Hummingbird
import RocketEngine
import RocketModel
import RocketPlanning

/// Who may come in at a route. What they may do there is decided further in.
enum RouteAccess: Sendable {
    /// Anyone, without a token.
    case open
    /// Anyone; the path names an app.
    case openApp
    /// A token of the platform.
    case platform
    /// A token of the platform with the role `platform_admin`.
    case platformAdmin
    /// A token of the app, or a platform administrator's.
    case app
    /// The same, or without a token what is shown to everyone.
    case appOrAnonymous
    /// The same, or without a token where a policy lets anyone do this to the records of the entity in the path.
    case appRecords(RecordAction)
    /// A token of the app with the role `admin`, or a platform administrator's.
    case appAdmin
    /// Who has a token of the platform, or the one of the settings.
    case metrics
    /// The server's own socket.
    case control
}

final class Route: Sendable {
    typealias Handler = @Sendable (Call) async throws -> Reply

    let method: HTTPRequest.Method
    let path: String
    let access: RouteAccess
    let handler: Handler
    /// Whether its answers have tokens in them, which nobody may keep.
    let givesTokens: Bool
    /// The parts of the path; those that begin with a colon stand for any.
    fileprivate let parts: [Substring]
    fileprivate let literals: Int

    init(method: HTTPRequest.Method, path: String, access: RouteAccess, handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.access = access
        self.handler = handler
        givesTokens = path.hasSuffix("/login") || path.hasSuffix("/refresh")
        parts = path.split(separator: "/")
        literals = parts.count { !$0.hasPrefix(":") }
    }
}

/// All routes, in one list.
struct RouteTable: Sendable {
    private(set) var routes: [Route] = []

    mutating func add(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ access: RouteAccess,
        _ handler: @escaping Route.Handler
    ) {
        routes.append(Route(method: method, path: path, access: access, handler: handler))
    }

    /// Names of the engine's own stand for themselves only.
    private static func matches(_ pattern: Substring, _ part: Substring) -> Bool {
        pattern == part || (pattern.hasPrefix(":") && !part.hasPrefix("_") && !(pattern == ":entity" && part == "auth"))
    }

    /// The methods of the routes that a path leads to, for `Allow`. Of several patterns the most literal one counts,
    /// as it does for the router.
    func methods(at path: Substring) -> [HTTPRequest.Method] {
        let parts = path.split(separator: "/")
        var methods: [HTTPRequest.Method] = []
        var mostLiterals = 0
        for route in routes where route.literals >= mostLiterals {
            guard route.parts.count == parts.count, zip(route.parts, parts).allSatisfy(Self.matches) else {
                continue
            }
            if route.literals > mostLiterals { methods = [] }
            mostLiterals = route.literals
            if !methods.contains(route.method) { methods.append(route.method) }
        }
        return methods
    }
}
