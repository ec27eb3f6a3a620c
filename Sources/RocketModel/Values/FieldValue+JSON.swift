// Coercion, both ways: a client's JSON to a field's value and back. Nothing is rounded, trimmed or guessed;
// what does not fit is refused with what was expected and what came.

extension ValueShape {
    /// The field's value of a JSON value; `null` is null whatever the type.
    package func value(of json: JSONValue) throws(CoercionFailure) -> FieldValue {
        if case .null = json { return .null }
        switch type {
        case .string, .text:
            guard case .string(let text) = json else { throw mismatch(json) }
            return .text(try storable(text))
        case .int:
            guard case .number(let number) = json else { throw mismatch(json) }
            guard let value = number.int64, let narrow = Int32(exactly: value) else { throw mismatch(json) }
            return .whole(Int64(narrow))
        case .bigint:
            // "1e3" is a number, but not the digits of one.
            guard let text = digits(in: json), let value = JSONNumber(unchecked: text).int64,
                json.stringValue.map({ $0 == String(value) }) ?? true
            else { throw mismatch(json) }
            return .whole(value)
        case .float:
            guard case .number(let number) = json, let value = Double(number.text), value.isFinite else {
                throw mismatch(json)
            }
            return .double(value == 0 ? 0 : value)
        case .decimal:
            guard let text = digits(in: json) else { throw mismatch(json) }
            return .decimal(try decimal(text))
        case .boolean:
            guard case .boolean(let value) = json else { throw mismatch(json) }
            return .boolean(value)
        case .uuid:
            guard case .string(let text) = json, let value = UniqueID(text) else { throw mismatch(json) }
            return .uuid(value)
        case .timestamp:
            guard case .string(let text) = json, let value = Timestamp(rfc3339: text) else { throw mismatch(json) }
            return .timestamp(value)
        case .date:
            guard case .string(let text) = json, let value = CalendarDate(text) else { throw mismatch(json) }
            return .date(value)
        case .json:
            return .json(try storable(json))
        case .file:
            switch json {
            case .string(let text):
                guard let id = UniqueID(text) else { throw mismatch(json) }
                return .json(["id": .string(id.text)])
            case .object(var object):
                if let id = object["id"]?.stringValue.flatMap(UniqueID.init) { object["id"] = .string(id.text) }
                return .json(try storable(.object(object)))
            default: throw mismatch(json)
            }
        }
    }

    /// The field's value of a text, as it stands in a query parameter or a path.
    package func value(ofText text: String) throws(CoercionFailure) -> FieldValue {
        switch type {
        case .string, .text, .bigint, .decimal, .uuid, .timestamp, .date:
            return try value(of: .string(text))
        case .int, .float:
            guard DecimalNumber(text) != nil else {
                throw CoercionFailure(expected: type.expectation, got: quoted(text))
            }
            return try value(of: .number(JSONNumber(unchecked: text)))
        case .boolean:
            switch text {
            case "true": return .boolean(true)
            case "false": return .boolean(false)
            default: throw CoercionFailure(expected: type.expectation, got: quoted(text))
            }
        case .json, .file:
            throw CoercionFailure("a \(type.rawValue) field can't be compared with a text")
        }
    }

    private func digits(in json: JSONValue) -> String? {
        switch json {
        case .number(let number): number.text
        case .string(let text) where DecimalNumber(text) != nil: text
        default: nil
        }
    }

    private func decimal(_ text: String) throws(CoercionFailure) -> DecimalNumber {
        guard let number = DecimalNumber(text) else {
            throw CoercionFailure(
                "a decimal has at most \(DecimalNumber.maximumDigits) digits before and after the point"
            )
        }
        guard let precision else { return number }
        guard let scaled = number.rescaled(to: precision) else {
            throw CoercionFailure(
                expected: "at most \(precision) fraction \(precision == 1 ? "digit" : "digits")",
                got: abbreviated(text)
            )
        }
        guard scaled.integerDigits <= FieldDefinition.decimalIntegerDigits else {
            throw CoercionFailure(
                expected: "at most \(FieldDefinition.decimalIntegerDigits) digits before the point",
                got: abbreviated(text)
            )
        }
        return scaled
    }

    private func storable(_ text: String) throws(CoercionFailure) -> String {
        if text.utf8.contains(0) { throw CoercionFailure("text can't hold the character NUL") }
        return text
    }

    /// JSON as PostgreSQL's JSONB keeps it (manual, 8.14), whatever the store: members sorted by the length of their
    /// names and then by their bytes, numbers written out.
    private func storable(_ json: JSONValue) throws(CoercionFailure) -> JSONValue {
        switch json {
        case .null, .boolean: return json
        case .number(let number):
            guard let written = DecimalNumber(number.text) else {
                throw CoercionFailure(
                    "a number in JSON has at most \(DecimalNumber.maximumDigits) digits before and after the point"
                )
            }
            return .number(JSONNumber(unchecked: written.description))
        case .string(let text): return .string(try storable(text))
        case .array(let items):
            var stored: [JSONValue] = []
            for item in items { stored.append(try storable(item)) }
            return .array(stored)
        case .object(let object):
            var members: [JSONObject.Member] = []
            for member in object.members {
                members.append(JSONObject.Member(name: try storable(member.name), value: try storable(member.value)))
            }
            members.sort { left, right in
                let (leftCount, rightCount) = (left.name.utf8.count, right.name.utf8.count)
                if leftCount != rightCount { return leftCount < rightCount }
                return left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
            }
            return .object(JSONObject(uniqueMembers: members))
        }
    }

    private func mismatch(_ json: JSONValue) -> CoercionFailure {
        let got =
            switch json {
            case .string(let text): quoted(text)
            case .number(let number): abbreviated(number.text)
            case .boolean(let value): value ? "true" : "false"
            case .null, .array, .object: json.kind
            }
        return CoercionFailure(expected: type.expectation, got: got)
    }

    private func quoted(_ text: String) -> String {
        "\"\(abbreviated(text))\""
    }

    private func abbreviated(_ text: String) -> String {
        text.unicodeScalars.count <= 60
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(57))) + "..."
    }
}

extension FieldValue {
    /// The value as an answer shows it.
    package var json: JSONValue {
        switch self {
        case .null: .null
        case .text(let text): .string(text)
        case .whole(let value): .integer(value)
        case .double(let value): .number(JSONNumber(unchecked: doubleText(value)))
        case .decimal(let number): .number(JSONNumber(unchecked: number.description))
        case .boolean(let value): .boolean(value)
        case .uuid(let id): .string(id.text)
        case .timestamp(let instant): .string(instant.rfc3339)
        case .date(let date): .string(date.text)
        case .json(let value): value
        }
    }
}
