package import RocketModel

/// Many operations in one transaction, as a client sends them.
package struct BatchRequest: Sendable {
    package enum Method: String, Sendable, CaseIterable {
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    package struct Operation: Sendable {
        package let method: Method
        /// The path after the app's own: an entity, an id, `restore`; references among them are not resolved yet.
        package let segments: [String]
        package let purges: Bool
        package let body: JSONObject
        package let ifMatch: String?

        package var isCreate: Bool { method == .post && segments.count == 1 }
    }

    package let operations: [Operation]

    package static let maximumOperations = 100

    /// Reads `{"operations": [{"method", "path", "body"?, "if_match"?}…]}`.
    ///
    /// - Throws: 422 with every violation.
    package init(_ payload: JSONObject, app: String) throws(RequestFailure) {
        var reader = BatchReader(app: app)
        operations = reader.operations(payload)
        guard reader.violations.isEmpty else { throw .validation(reader.violations) }
    }
}

private struct BatchReader {
    let app: String
    private(set) var violations: [FailureDetail] = []

    init(app: String) {
        self.app = app
    }

    mutating func operations(_ payload: JSONObject) -> [BatchRequest.Operation] {
        for name in payload.names where name != "operations" {
            violate(name, .unknown, "is not known here" + suggestion(for: name, among: ["operations"]))
        }
        guard let value = payload["operations"] else {
            violate("operations", .required, "is required")
            return []
        }
        guard case .array(let items) = value else {
            violate("operations", .type, "expected an array, got \(value.kind)")
            return []
        }
        guard (1...BatchRequest.maximumOperations).contains(items.count) else {
            let most = BatchRequest.maximumOperations
            violate("operations", .type, "a batch has 1 to \(most) operations, not \(items.count)")
            return []
        }
        var operations: [BatchRequest.Operation] = []
        for (index, item) in items.enumerated() {
            let path = "operations[\(index)]"
            guard case .object(let object) = item else {
                violate(path, .type, "expected an object, got \(item.kind)")
                continue
            }
            if let operation = operation(object, index, path) { operations.append(operation) }
        }
        return operations
    }

    private mutating func operation(_ object: JSONObject, _ index: Int, _ path: String) -> BatchRequest.Operation? {
        let known = ["method", "path", "body", "if_match"]
        for name in object.names where !known.contains(name) {
            violate("\(path).\(name)", .unknown, "is not known here" + suggestion(for: name, among: known))
        }
        let method = text(object, "method", path).flatMap { word -> BatchRequest.Method? in
            if let method = BatchRequest.Method(rawValue: word.uppercased()) { return method }
            violate("\(path).method", .enum, "is one of POST, PUT, PATCH, DELETE")
            return nil
        }
        let place = text(object, "path", path).flatMap { address($0, path) }
        var body = JSONObject()
        switch object["body"] {
        case .object(let given)?: body = given
        case nil, .null?: break
        case let value?: violate("\(path).body", .type, "expected an object, got \(value.kind)")
        }
        let ifMatch = object["if_match"] == nil ? nil : text(object, "if_match", path)
        guard let method, let (segments, purges) = place else { return nil }
        check(segments, method, purges, path)
        for reference in segments.compactMap({ BatchReference($0) }) + BatchReference.all(in: .object(body))
        where reference.operation >= index {
            violate(path, .unknown, "\"\(reference.text)\" names no earlier operation")
        }
        return BatchRequest.Operation(
            method: method,
            segments: segments,
            purges: purges,
            body: body,
            ifMatch: ifMatch
        )
    }

    private mutating func text(_ object: JSONObject, _ name: String, _ path: String) -> String? {
        guard let value = object[name] else {
            violate("\(path).\(name)", .required, "is required")
            return nil
        }
        guard case .string(let text) = value else {
            violate("\(path).\(name)", .type, "expected a string, got \(value.kind)")
            return nil
        }
        return text
    }

    /// `/order/5?purge=true`, with or without `/api/app` in front.
    private mutating func address(_ text: String, _ path: String) -> (segments: [String], purges: Bool)? {
        let halves = text.utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        var segments: [String] = []
        for part in halves[0].split(separator: UInt8(ascii: "/")) {
            guard let segment = percentDecoded(part) else {
                violate("\(path).path", .type, "has an escape that is not UTF-8 text")
                return nil
            }
            segments.append(segment)
        }
        if segments.count > 2, segments[0] == "api", segments[1] == app { segments.removeFirst(2) }
        guard halves.count > 1 else { return (segments, false) }
        do throws(RequestFailure) {
            let purge = try QueryString(String(Substring(halves[1]))).values(of: ["purge"])["purge"]
            guard purge == nil || purge == "true" || purge == "false" else {
                throw .parameter("purge", "\"purge\" is true or false")
            }
            return (segments, purge == "true")
        } catch {
            violate("\(path).path", .type, error.message)
            return nil
        }
    }

    private mutating func check(_ segments: [String], _ method: BatchRequest.Method, _ purges: Bool, _ path: String) {
        let entity = segments.first ?? ""
        let isRecord = !entity.isEmpty && !entity.hasPrefix("_") && entity != "auth"
        let isShape =
            switch method {
            case .post: segments.count == 1 || (segments.count == 3 && segments[2] == "restore")
            case .put, .patch, .delete: segments.count == 2
            }
        if !isRecord || !isShape {
            violate(
                "\(path).path",
                .type,
                "\(method.rawValue) goes with \(method == .post ? "/:entity or /:entity/:id/restore" : "/:entity/:id")"
            )
        }
        if purges, method != .delete { violate("\(path).path", .type, "\"purge\" goes with DELETE only") }
    }

    private mutating func violate(_ path: String, _ rule: ViolatedRule, _ message: String) {
        violations.append(FailureDetail(field: path, rule: rule, message: message))
    }
}

/// `$0.id`, `$2.items.0.id`: a value of an earlier operation's result.
package struct BatchReference: Sendable, Hashable {
    package let operation: Int
    package let path: [String]
    package let text: String

    /// Nil for a text that is none; `$$0.id` stands for the text `$0.id`.
    package init?(_ text: String) {
        guard text.utf8.first == UInt8(ascii: "$") else { return nil }
        let parts = text.utf8.dropFirst().split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard parts.count > 1, let operation = Int(parts[0]), operation >= 0, !parts[0].hasPrefix("+"),
            !parts.contains("")
        else { return nil }
        self.operation = operation
        path = Array(parts.dropFirst())
        self.text = text
    }

    package static func all(in value: JSONValue) -> [BatchReference] {
        switch value {
        case .string(let text): BatchReference(text).map { [$0] } ?? []
        case .array(let items): items.flatMap(all)
        case .object(let object): object.members.flatMap { all(in: $0.value) }
        case .null, .boolean, .number: []
        }
    }

    /// Puts values in the place of references, and `$0.id` in that of `$$0.id`.
    ///
    /// - Throws: 422 where a result has no such value.
    package static func resolve(
        _ value: JSONValue,
        at path: String,
        _ results: (Int) throws(RequestFailure) -> JSONValue
    ) throws(RequestFailure) -> JSONValue {
        switch value {
        case .null, .boolean, .number: return value
        case .string(let text):
            if let reference = BatchReference(text) { return try reference.value(at: path, results) }
            guard text.hasPrefix("$$"), BatchReference(String(text.dropFirst())) != nil else { return value }
            return .string(String(text.dropFirst()))
        case .array(let items):
            var resolved: [JSONValue] = []
            for (index, item) in items.enumerated() {
                resolved.append(try resolve(item, at: "\(path)[\(index)]", results))
            }
            return .array(resolved)
        case .object(let object):
            var members: [JSONObject.Member] = []
            for member in object.members {
                let value = try resolve(member.value, at: "\(path).\(member.name)", results)
                members.append(JSONObject.Member(name: member.name, value: value))
            }
            return .object(JSONObject(uniqueMembers: members))
        }
    }

    private func value(
        at place: String,
        _ results: (Int) throws(RequestFailure) -> JSONValue
    ) throws(RequestFailure) -> JSONValue {
        var value = try results(operation)
        for name in path {
            switch value {
            case .object(let object) where object[name] != nil: value = object[name] ?? .null
            case .array(let items) where Int(name).map(items.indices.contains) == true: value = items[Int(name) ?? 0]
            default:
                throw .validation([
                    FailureDetail(
                        field: place,
                        rule: .unknown,
                        message: "\"\(text)\": the result of operation \(operation) has no \"\(name)\""
                    )
                ])
            }
        }
        return value
    }
}
