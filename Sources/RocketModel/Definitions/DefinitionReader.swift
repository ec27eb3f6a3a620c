/// Reads one object of metadata member by member, and collects every violation with its path instead of stopping
/// at the first. What it returns after a violation is only good for finding further ones.
package struct DefinitionReader {
    package let object: JSONObject
    /// Where the object stands: `` at the top, `fields[3]` for an element.
    package let path: String
    package private(set) var violations: [FailureDetail] = []
    private var known: [String] = []

    package init(_ object: JSONObject, path: String = "") {
        self.object = object
        self.path = path
    }

    package func path(to name: String) -> String {
        path.isEmpty ? name : "\(path).\(name)"
    }

    package mutating func violate(_ name: String, _ rule: ViolatedRule, _ message: String) {
        violations.append(FailureDetail(field: path(to: name), rule: rule, message: message))
    }

    package mutating func include(_ others: [FailureDetail]) {
        violations.append(contentsOf: others)
    }

    /// A violation for each member that no call has asked for; call it last.
    package mutating func refuseUnknownMembers(except ignored: Set<String> = []) {
        let known = known
        let unknown = object.names.filter { !known.contains($0) && !ignored.contains($0) }
        for name in unknown.prefix(RequestFailure.maximumDetails) {
            violate(name, .unknown, "\"\(name)\" is not known here" + suggestion(for: name, among: known))
        }
    }

    /// The member, where it is there and not null.
    package mutating func value(_ name: String) -> JSONValue? {
        known.append(name)
        guard let value = object[name], value != .null else { return nil }
        return value
    }

    package mutating func string(_ name: String) -> String? {
        guard let value = value(name) else { return nil }
        guard case .string(let text) = value else {
            violate(name, .type, "expected a string, got \(value.kind)")
            return nil
        }
        if text.utf8.contains(0) { violate(name, .type, "text can't hold the character NUL") }
        return text
    }

    /// A string that must be there; an empty one counts as absent.
    package mutating func requiredString(_ name: String) -> String {
        let before = violations.count
        if let text = string(name), !text.isEmpty { return text }
        if violations.count == before { violate(name, .required, "is required") }
        return ""
    }

    package mutating func boolean(_ name: String, default fallback: Bool) -> Bool {
        guard let value = value(name) else { return fallback }
        guard case .boolean(let flag) = value else {
            violate(name, .type, "expected true or false, got \(value.kind)")
            return fallback
        }
        return flag
    }

    package mutating func whole(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = value(name) else { return nil }
        guard case .number(let number) = value, let whole = number.int64.flatMap(Int.init(exactly:)),
            range.contains(whole)
        else {
            violate(name, .type, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return whole
    }

    package mutating func array(_ name: String) -> [JSONValue]? {
        guard let value = value(name) else { return nil }
        guard case .array(let items) = value else {
            violate(name, .type, "expected an array, got \(value.kind)")
            return nil
        }
        return items
    }

    package mutating func object(_ name: String) -> JSONObject? {
        guard let value = value(name) else { return nil }
        guard case .object(let object) = value else {
            violate(name, .type, "expected an object, got \(value.kind)")
            return nil
        }
        return object
    }

    package mutating func strings(_ name: String) -> [String]? {
        guard let items = array(name) else { return nil }
        var strings: [String] = []
        for (index, item) in items.enumerated() {
            if case .string(let text) = item {
                strings.append(text)
            } else {
                violate("\(name)[\(index)]", .type, "expected a string, got \(item.kind)")
            }
        }
        return strings
    }

    /// One of the words of a closed set, nil where it is absent or wrong.
    package mutating func word<Word: RawRepresentable & CaseIterable>(_ name: String, as _: Word.Type) -> Word?
    where Word.RawValue == String {
        guard let text = string(name) else { return nil }
        if let word = Word(rawValue: text) { return word }
        let words = Word.allCases.map(\.rawValue)
        let list = words.joined(separator: ", ")
        violate(name, .enum, "\"\(text)\" is none of \(list)" + suggestion(for: text, among: words))
        return nil
    }

    package mutating func requiredWord<Word: RawRepresentable & CaseIterable>(_ name: String, as type: Word.Type)
        -> Word?
    where Word.RawValue == String {
        if object[name] == nil || object[name] == .null {
            known.append(name)
            violate(name, .required, "is required: one of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
            return nil
        }
        return word(name, as: type)
    }

    /// The objects of an array member, each with its path.
    package mutating func objects(_ name: String) -> [(object: JSONObject, path: String)]? {
        guard let items = array(name) else { return nil }
        var objects: [(JSONObject, String)] = []
        for (index, item) in items.enumerated() {
            if case .object(let object) = item {
                objects.append((object, path(to: "\(name)[\(index)]")))
            } else {
                violate("\(name)[\(index)]", .type, "expected an object, got \(item.kind)")
            }
        }
        return objects
    }
}

/// What names may look like: `[a-z][a-z0-9_]{0,62}`. A leading underscore belongs to the engine.
package func isValidName(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    guard let first = bytes.first, bytes.count <= 63, (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first) else {
        return false
    }
    return bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
        default: false
        }
    }
}

/// Whether a table of this name would stand in the way of the databases' own tables and functions.
package func isDatabasesOwnTable(_ name: String) -> Bool {
    ["sqlite_", "pg_", "pragma_", "json_"].contains { name.hasPrefix($0) }
}

extension DefinitionReader {
    /// A name that must be there and match ``isValidName(_:)``.
    package mutating func requiredName(_ name: String) -> String {
        let before = violations.count
        let text = requiredString(name)
        if violations.count == before, !isValidName(text) {
            violate(
                name,
                .type,
                "\"\(text)\" is no name: a lower-case letter, then at most 62 of a-z, 0-9 and _"
            )
        }
        return text
    }
}
