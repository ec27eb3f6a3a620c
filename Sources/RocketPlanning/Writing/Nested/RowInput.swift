import RocketModel

/// A row of a write as the client sent it, with the rows below it.
struct RowInput: Sendable {
    /// Where the row stands in the payload: `items[3].lines[0]`; empty for the record itself.
    let path: String
    /// The members that name no relation.
    var fields: JSONObject
    var relations: [RelationInput]
    /// Whether it says `"_delete": true`.
    let isDeletion: Bool
    /// The key that the row names, where it is one below the record itself.
    let key: FieldValue?
    /// Whether the row names a key that can be none.
    let hasBadKey: Bool

    /// Whether the row says more than its key.
    func saysMore(than key: FieldModel) -> Bool {
        !relations.isEmpty || fields.names.contains { !$0.utf8.elementsEqual(key.name.utf8) }
    }
}

/// What a payload says of one relation.
struct RelationInput: Sendable {
    let side: RelationSide
    let entity: EntityModel
    let mode: RelationDefinition.WriteMode
    let rows: [RowInput]
    let path: String
    /// Whether it is the `null` that deletes the one related record.
    let isNull: Bool
}

/// Takes a payload apart into rows. What is no row of the right shape is a violation.
struct RowInputReader {
    private let access: Access
    private var snapshot: AppSnapshot { access.snapshot }
    private(set) var violations: [FailureDetail] = []
    /// The entities of rows that can't be read.
    private(set) var incomplete: Set<String> = []
    private var count = 0

    /// How many rows one request may write.
    static let maximumRows = 10_000

    init(_ access: Access) {
        self.access = access
    }

    /// - Throws: 413 where there are too many rows.
    mutating func root(_ payload: JSONObject, of entity: EntityModel) throws(RequestFailure) -> RowInput {
        try row(payload, of: entity, at: "", isRoot: true)
    }

    private mutating func row(
        _ payload: JSONObject,
        of entity: EntityModel,
        at path: String,
        isRoot: Bool
    ) throws(RequestFailure) -> RowInput {
        count += 1
        guard count <= Self.maximumRows else {
            throw RequestFailure(.payloadTooLarge, "A request writes at most \(Self.maximumRows) records")
        }
        var fields: [JSONObject.Member] = []
        var relations: [RelationInput] = []
        var isDeletion = false
        for member in payload.members {
            let memberPath = path.isEmpty ? member.name : "\(path).\(member.name)"
            if entity.index(of: member.name) == nil, let side = entity.relation(member.name) {
                relations += try relation(member.value, side, of: entity, at: memberPath)
            } else if !isRoot, member.name == "_delete" {
                if case .boolean(let flag) = member.value {
                    isDeletion = flag
                } else {
                    violate(memberPath, .type, "expected true or false, got \(member.value.kind)")
                }
            } else {
                fields.append(member)
            }
        }
        let object = JSONObject(uniqueMembers: fields)
        let named = object[entity.key.name].map { $0 != .null } ?? false
        let key = isRoot ? nil : key(object, of: entity, at: path)
        return RowInput(
            path: path,
            fields: object,
            relations: relations,
            isDeletion: isDeletion,
            key: key,
            hasBadKey: !isRoot && named && key == nil
        )
    }

    private mutating func key(_ object: JSONObject, of entity: EntityModel, at path: String) -> FieldValue? {
        guard let json = object[entity.key.name], json != .null else { return nil }
        do throws(CoercionFailure) {
            return try entity.key.shape.value(of: json)
        } catch {
            incomplete.insert(entity.name)
            violate("\(path).\(entity.key.name)", .type, error.message)
            return nil
        }
    }

    private mutating func relation(
        _ value: JSONValue,
        _ side: RelationSide,
        of entity: EntityModel,
        at path: String
    ) throws(RequestFailure) -> [RelationInput] {
        guard side.isSource else {
            let way =
                switch side.link {
                case .field(let own, _) where access.fieldNames(entity).contains(entity.fields[own].name):
                    "; set \"\(entity.fields[own].name)\" instead"
                case .field, .joinTable: ""
                }
            violate(
                path,
                .relation,
                "is written from \"\(side.other)\", the relation's source, and only read here\(way)"
            )
            return []
        }
        let other = try snapshot.entity(side.other)
        var mode = side.definition.writeMode
        var data = value
        if case .object(let wrapper) = value, isWrapper(wrapper, side, other) {
            data = wrapper["data"] ?? .null
            read(wrapper, &mode, side, at: path)
            guard wrapper["data"] != nil else { return [] }
        }
        var rows: [RowInput] = []
        switch data {
        case .null where !side.isMany:
            return [RelationInput(side: side, entity: other, mode: mode, rows: [], path: path, isNull: true)]
        case .object(let object) where !side.isMany:
            rows = [try row(object, of: other, at: path, isRoot: false)]
        case .array(let items) where side.isMany:
            for (index, item) in items.enumerated() {
                guard case .object(let object) = item else {
                    incomplete.insert(other.name)
                    violate("\(path)[\(index)]", .type, "expected an object, got \(item.kind)")
                    continue
                }
                rows.append(try row(object, of: other, at: "\(path)[\(index)]", isRoot: false))
            }
        default:
            let wanted = side.isMany ? "an array of objects, or {\"_write_mode\", \"data\"}" : "an object or null"
            incomplete.insert(other.name)
            violate(path, .type, "expected \(wanted), got \(data.kind)")
            return []
        }
        return [RelationInput(side: side, entity: other, mode: mode, rows: rows, path: path, isNull: false)]
    }

    /// The one related record may have a field `data` of its own.
    private func isWrapper(_ object: JSONObject, _ side: RelationSide, _ other: EntityModel) -> Bool {
        if side.isMany || object["_write_mode"] != nil { return true }
        return object.names == ["data"] && other.field("data") == nil && other.relation("data") == nil
    }

    private mutating func read(
        _ wrapper: JSONObject,
        _ mode: inout RelationDefinition.WriteMode,
        _ side: RelationSide,
        at path: String
    ) {
        for member in wrapper.members where member.name != "data" {
            guard member.name == "_write_mode" else {
                let hint = suggestion(for: member.name, among: ["_write_mode", "data"])
                violate("\(path).\(member.name)", .unknown, "beside \"data\" there is \"_write_mode\" only\(hint)")
                continue
            }
            if let text = member.value.stringValue, let given = RelationDefinition.WriteMode(rawValue: text) {
                mode = given
            } else {
                let words = RelationDefinition.WriteMode.allCases.map(\.rawValue).joined(separator: ", ")
                violate("\(path)._write_mode", .type, "expected one of \(words)")
            }
        }
        if wrapper["data"] == nil { violate("\(path).data", .required, "is required") }
    }

    private mutating func violate(_ path: String, _ rule: ViolatedRule, _ message: String) {
        violations.append(FailureDetail(field: path, rule: rule, message: message))
    }
}

extension RowInput {
    /// The relations that the payload writes, as paths of names.
    var writtenPaths: [[String]] {
        var paths: [[String]] = []
        var seen: Set<[String]> = []
        collectPaths([], &paths, &seen)
        return paths
    }

    private func collectPaths(_ prefix: [String], _ paths: inout [[String]], _ seen: inout Set<[String]>) {
        for relation in relations {
            let path = prefix + [relation.side.name]
            if seen.insert(path).inserted { paths.append(path) }
            for row in relation.rows { row.collectPaths(path, &paths, &seen) }
        }
    }
}
