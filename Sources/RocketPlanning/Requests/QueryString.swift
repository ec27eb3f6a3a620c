package import RocketModel

/// The parameters of a URL's query, decoded and in order.
package struct QueryString: Sendable, Hashable {
    package struct Parameter: Sendable, Hashable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package let parameters: [Parameter]

    package static let empty = QueryString(unchecked: [])

    /// Parameters that are decoded already.
    init(unchecked parameters: [Parameter]) {
        self.parameters = parameters
    }

    /// Reads `a=b&c=d` (WHATWG URL, `application/x-www-form-urlencoded`): `+` and `%20` are a space.
    ///
    /// - Throws: 400 `INVALID_PARAMETER` for a bad escape, invalid UTF-8, and more than ``maximumParameters``.
    package init(_ text: String) throws(RequestFailure) {
        var parameters: [Parameter] = []
        for part in text.utf8.split(separator: UInt8(ascii: "&")) {
            guard parameters.count < Self.maximumParameters else {
                throw RequestFailure(.invalidParameter, "A query has at most \(Self.maximumParameters) parameters")
            }
            let pieces = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let value = pieces.count > 1 ? pieces[1] : part[part.endIndex...]
            guard let name = percentDecoded(pieces[0], plusIsSpace: true),
                let value = percentDecoded(value, plusIsSpace: true)
            else {
                let shown = String(decoding: part.prefix(80), as: UTF8.self)
                throw RequestFailure(.invalidParameter, "The query has an escape that is not UTF-8 text: \(shown)")
            }
            parameters.append(Parameter(name: name, value: value))
        }
        self.parameters = parameters
    }

    package static let maximumParameters = 200

    /// Refuses every parameter that the route does not know and every one that is given twice, so that a typing
    /// mistake never widens what is read.
    ///
    /// - Throws: 400 `INVALID_PARAMETER`.
    package func values(of known: [String]) throws(RequestFailure) -> [String: String] {
        var values: [String: String] = [:]
        for parameter in parameters {
            guard known.contains(parameter.name) else {
                throw RequestFailure(
                    .invalidParameter,
                    "There is no parameter \"\(parameter.name)\" here" + suggestion(for: parameter.name, among: known),
                    details: [FailureDetail(field: parameter.name, rule: .unknown, message: "is not known here")]
                )
            }
            guard values.updateValue(parameter.value, forKey: parameter.name) == nil else {
                throw RequestFailure(
                    .invalidParameter,
                    "The parameter \"\(parameter.name)\" is given twice",
                    details: [FailureDetail(field: parameter.name, message: "is given twice")]
                )
            }
        }
        return values
    }
}

/// Text without its percent-escapes (RFC 3986 part 2.1); nil where an escape is broken, or the bytes are not UTF-8.
package func percentDecoded(_ text: Substring.UTF8View, plusIsSpace: Bool = false) -> String? {
    guard text.contains(where: { $0 == UInt8(ascii: "%") || plusIsSpace && $0 == UInt8(ascii: "+") }) else {
        return String(Substring(text))
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var iterator = text.makeIterator()
    while let byte = iterator.next() {
        switch byte {
        case UInt8(ascii: "%"):
            guard let high = iterator.next().flatMap(hexDigitValue), let low = iterator.next().flatMap(hexDigitValue)
            else {
                return nil
            }
            bytes.append(high << 4 | low)
        case UInt8(ascii: "+") where plusIsSpace:
            bytes.append(UInt8(ascii: " "))
        default:
            bytes.append(byte)
        }
    }
    return String(validating: bytes, as: UTF8.self)
}
