package import HTTPTypes
package import RocketModel

/// An answer, as a test looks at it.
package struct TestAnswer: Sendable, CustomStringConvertible {
    package let status: Int
    package let headers: HTTPFields
    package let bytes: [UInt8]

    package init(status: Int, headers: HTTPFields, bytes: [UInt8]) {
        self.status = status
        self.headers = headers
        self.bytes = bytes
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }
    package var description: String { "\(status) \(text)" }

    /// The body; null where it is not JSON.
    package var json: TestJSON {
        TestJSON((try? JSONParser.parse(bytes)) ?? .null)
    }

    package subscript(name: String) -> TestJSON { json[name] }

    package var code: String? { json["error"]["code"].string }

    /// `field rule` of each detail of an error, in order.
    package var details: [String] {
        json["error"]["details"].array.map { detail in
            [detail["field"].string, detail["rule"].string].compactMap(\.self).joined(separator: " ")
        }
    }
}

/// JSON that a test digs into: what is not there is null.
package struct TestJSON: Sendable, Hashable {
    package let value: JSONValue

    package init(_ value: JSONValue) {
        self.value = value
    }

    package subscript(name: String) -> TestJSON {
        TestJSON(value.objectValue?[name] ?? .null)
    }

    package subscript(index: Int) -> TestJSON {
        let items = value.arrayValue ?? []
        return TestJSON(items.indices.contains(index) ? items[index] : .null)
    }

    package var string: String? { value.stringValue }
    package var array: [TestJSON] { (value.arrayValue ?? []).map(TestJSON.init) }
    package var names: [String] { value.objectValue?.names ?? [] }
    package var isNull: Bool { value == .null }

    /// A number's own digits.
    package var digits: String? {
        if case .number(let number) = value { number.text } else { nil }
    }

    package var int: Int? { digits.flatMap(Int.init) }
}

extension TestJSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    package init(stringLiteral value: String) { self.init(.string(value)) }
    package init(integerLiteral value: Int) { self.init(.integer(value)) }
    package init(booleanLiteral value: Bool) { self.init(.boolean(value)) }
}

extension JSONValue: ExpressibleByNilLiteral {
    package init(nilLiteral: ()) { self = .null }
}
