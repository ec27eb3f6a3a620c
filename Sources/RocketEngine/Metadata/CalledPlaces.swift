package import RocketModel

/// The addresses that definitions call, looked at before they are saved. When a call is made they are looked at again:
/// where a name leads may change.
package enum CalledPlaces {
    private struct Place {
        let path: String
        let url: String
    }

    /// Past these many the rest is judged when it is called.
    private static let maximumPlaces = 200

    /// - Parameter payload: a definition of one kind.
    /// - Throws: 422 with each address that no call may go to.
    package static func requireAllowed(
        in payload: JSONObject,
        of kind: DefinitionKind,
        _ caller: any OutsideCaller
    ) async throws(RequestFailure) {
        try await judge(places(in: payload, of: kind, at: ""), caller)
    }

    /// - Parameter file: what is imported.
    /// - Throws: 422 with each address that no call may go to.
    package static func requireAllowed(
        inImport file: JSONObject,
        _ caller: any OutsideCaller
    ) async throws(RequestFailure) {
        var found: [Place] = []
        for kind in DefinitionKind.allCases {
            guard case .array(let definitions)? = file[kind.rawValue] else { continue }
            for (index, definition) in definitions.enumerated() {
                found += places(in: definition.objectValue ?? JSONObject(), of: kind, at: "\(kind.rawValue)[\(index)]")
            }
        }
        try await judge(found, caller)
    }

    private static func judge(_ places: [Place], _ caller: any OutsideCaller) async throws(RequestFailure) {
        let places = places.prefix(maximumPlaces)
        let refusals = await withTaskGroup(of: (url: String, refusal: String?).self) { group in
            for url in Set(places.map(\.url)) { group.addTask { (url, await caller.refusal(of: url)) } }
            return await group.reduce(into: [String: String]()) { $0[$1.url] = $1.refusal }
        }
        let refused = places.compactMap { place in
            refusals[place.url].map { FailureDetail(field: place.path, rule: .type, message: $0) }
        }
        guard refused.isEmpty else { throw .validation(refused) }
    }

    private static func places(in definition: JSONObject, of kind: DefinitionKind, at path: String) -> [Place] {
        switch kind {
        case .webhooks, .stateMachines, .workflows: places(in: .object(definition), at: path)
        case .entities, .relations, .rules, .permissions: []
        }
    }

    /// Every `url`, wherever it stands; what is sent along has members of its own.
    private static func places(in value: JSONValue, at path: String) -> [Place] {
        switch value {
        case .object(let object):
            object.members.filter { $0.name != "headers" && $0.name != "values" && $0.name != "payload" }
                .flatMap { member -> [Place] in
                    let place = path.isEmpty ? member.name : "\(path).\(member.name)"
                    guard member.name == "url", let url = member.value.stringValue else {
                        return places(in: member.value, at: place)
                    }
                    return [Place(path: place, url: url)]
                }
        case .array(let items):
            items.enumerated().flatMap { places(in: $0.element, at: "\(path)[\($0.offset)]") }
        case .null, .boolean, .number, .string: []
        }
    }
}
