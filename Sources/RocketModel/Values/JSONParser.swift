// The one JSON reader of the server: requests, metadata, imports and stored documents all pass it, so nothing
// can be read in one way by a check and in another by what stores it.

/// Why a text is not the JSON that this server takes. `offset` counts bytes from the start of the text.
package struct JSONSyntaxError: Error, Sendable, Hashable {
    package let offset: Int
    package let reason: String
}

/// Reads RFC 8259 JSON strictly: duplicate names, nesting over ``maximumDepth``, invalid UTF-8, lone surrogates
/// and text after the value are errors; numbers keep their digits.
package struct JSONParser {
    /// The deepest nesting of arrays and objects that is read.
    package static let maximumDepth = 64
    /// Numbers longer than this are refused: no field type needs them, and work on them grows with their square.
    package static let maximumNumberLength = 4096

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depth = 0
    private let depthLimit: Int

    private init(_ bytes: UnsafeBufferPointer<UInt8>, _ depthLimit: Int) {
        self.bytes = bytes
        self.depthLimit = depthLimit
    }

    /// - Throws: ``JSONSyntaxError`` with the place of the first fault.
    /// - Parameter maximumDepth: of what we have written ourselves more may be read than of what a client sends.
    package static func parse(
        _ bytes: UnsafeBufferPointer<UInt8>,
        maximumDepth: Int = maximumDepth
    ) throws(JSONSyntaxError) -> JSONValue {
        var parser = JSONParser(bytes, maximumDepth)
        parser.skipWhitespace()
        let value = try parser.value()
        parser.skipWhitespace()
        guard parser.position == bytes.count else { throw parser.fault("there is text after the value") }
        return value
    }

    package static func parse(
        _ bytes: [UInt8],
        maximumDepth: Int = maximumDepth
    ) throws(JSONSyntaxError) -> JSONValue {
        let result = bytes.withUnsafeBufferPointer { buffer -> Result<JSONValue, JSONSyntaxError> in
            do throws(JSONSyntaxError) {
                return .success(try parse(buffer, maximumDepth: maximumDepth))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    package static func parse(_ text: String) throws(JSONSyntaxError) -> JSONValue {
        try parse(Array(text.utf8))
    }

    // MARK: values

    private mutating func value() throws(JSONSyntaxError) -> JSONValue {
        guard let byte = peek() else { throw fault("the text ends where a value is due") }
        switch byte {
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .boolean(true))
        case UInt8(ascii: "f"): return try literal("false", .boolean(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw fault("no value begins with this character")
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        let length = word.utf8CodeUnitCount
        guard position + length <= bytes.count else { throw fault("expected \(word)") }
        for offset in 0..<length where bytes[position + offset] != word.utf8Start[offset] {
            throw fault("expected \(word)")
        }
        position += length
        return value
    }

    private mutating func object() throws(JSONSyntaxError) -> JSONValue {
        try enter()
        var members: [JSONObject.Member] = []
        var seen = Set<ByteName>()
        skipWhitespace()
        if take(UInt8(ascii: "}")) { return leave(.object(JSONObject())) }
        while true {
            skipWhitespace()
            guard peek() == UInt8(ascii: "\"") else { throw fault("expected a member's name in quotes") }
            let nameStart = position
            let name = try string()
            // Few members: comparing with each is faster than hashing; many: a set keeps the work linear.
            let isDuplicate: Bool
            if members.count < 16 {
                isDuplicate = members.contains { $0.name.utf8.elementsEqual(name.utf8) }
            } else {
                if seen.isEmpty { seen = Set(members.map { ByteName($0.name) }) }
                isDuplicate = !seen.insert(ByteName(name)).inserted
            }
            if isDuplicate {
                position = nameStart
                throw fault("the name \"\(name)\" is given twice in one object")
            }
            skipWhitespace()
            guard take(UInt8(ascii: ":")) else { throw fault("expected ':'") }
            skipWhitespace()
            members.append(JSONObject.Member(name: name, value: try value()))
            skipWhitespace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "}")) { return leave(.object(JSONObject(uniqueMembers: members))) }
            throw fault("expected ',' or '}'")
        }
    }

    private mutating func array() throws(JSONSyntaxError) -> JSONValue {
        try enter()
        var items: [JSONValue] = []
        skipWhitespace()
        if take(UInt8(ascii: "]")) { return leave(.array([])) }
        while true {
            skipWhitespace()
            items.append(try value())
            skipWhitespace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "]")) { return leave(.array(items)) }
            throw fault("expected ',' or ']'")
        }
    }

    private mutating func enter() throws(JSONSyntaxError) {
        guard depth < depthLimit else { throw fault("nesting is deeper than \(depthLimit)") }
        depth += 1
        position += 1
    }

    private mutating func leave(_ value: JSONValue) -> JSONValue {
        depth -= 1
        return value
    }

    private mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if take(UInt8(ascii: "0")) {
            if let next = peek(), isDigit(next) { throw fault("a number has no leading zero") }
        } else {
            guard skipDigits() else { throw fault("expected a digit") }
        }
        if take(UInt8(ascii: ".")) {
            guard skipDigits() else { throw fault("expected a digit after '.'") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard skipDigits() else { throw fault("expected a digit in the exponent") }
        }
        guard position - start <= Self.maximumNumberLength else {
            throw fault("a number has at most \(Self.maximumNumberLength) characters")
        }
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
        return .number(JSONNumber(unchecked: text))
    }

    private mutating func skipDigits() -> Bool {
        let start = position
        while position < bytes.count, isDigit(bytes[position]) { position += 1 }
        return position > start
    }

    private func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    // MARK: strings

    private mutating func string() throws(JSONSyntaxError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = try text(from: start, to: position)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 0x20 { throw fault("a control character in a string must be escaped") }
            position += 1
        }
        throw fault("the text ends inside a string")
    }

    private func text(from start: Int, to end: Int) throws(JSONSyntaxError) -> String {
        guard let text = String(validating: UnsafeBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self) else {
            throw JSONSyntaxError(offset: start, reason: "the string is not valid UTF-8")
        }
        return text
    }

    /// Goes on with a string at its first escape; `position` stands on the backslash.
    private mutating func escapedString(from start: Int) throws(JSONSyntaxError) -> String {
        var unescaped = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: unescaped, as: UTF8.self) else {
                    throw JSONSyntaxError(offset: start, reason: "the string is not valid UTF-8")
                }
                return text
            case UInt8(ascii: "\\"):
                try escape(into: &unescaped)
            case ..<0x20:
                position -= 1
                throw fault("a control character in a string must be escaped")
            default:
                unescaped.append(byte)
            }
        }
        throw fault("the text ends inside a string")
    }

    private mutating func escape(into unescaped: inout [UInt8]) throws(JSONSyntaxError) {
        guard let byte = peek() else { throw fault("the text ends inside a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(byte)
        case UInt8(ascii: "b"): unescaped.append(0x08)
        case UInt8(ascii: "f"): unescaped.append(0x0C)
        case UInt8(ascii: "n"): unescaped.append(0x0A)
        case UInt8(ascii: "r"): unescaped.append(0x0D)
        case UInt8(ascii: "t"): unescaped.append(0x09)
        case UInt8(ascii: "u"): try unicodeEscape(into: &unescaped)
        default:
            position -= 1
            throw fault("no such escape in a string")
        }
    }

    private mutating func unicodeEscape(into unescaped: inout [UInt8]) throws(JSONSyntaxError) {
        let start = position
        var code = UInt32(try hexQuad())
        if (0xD800...0xDBFF).contains(code) {
            guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
                throw JSONSyntaxError(offset: start, reason: "a lone surrogate is no character")
            }
            let low = UInt32(try hexQuad())
            guard (0xDC00...0xDFFF).contains(low) else {
                throw JSONSyntaxError(offset: start, reason: "a lone surrogate is no character")
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else {
            throw JSONSyntaxError(offset: start, reason: "a lone surrogate is no character")
        }
        unescaped.append(contentsOf: String(Character(scalar)).utf8)
    }

    private mutating func hexQuad() throws(JSONSyntaxError) -> UInt16 {
        guard position + 4 <= bytes.count else { throw fault("expected four hex digits") }
        var code: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = hexDigitValue(bytes[position]) else { throw fault("expected four hex digits") }
            code = code << 4 | UInt16(digit)
            position += 1
        }
        return code
    }

    // MARK: bytes

    private func peek() -> UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private func fault(_ reason: String) -> JSONSyntaxError {
        JSONSyntaxError(offset: position, reason: reason)
    }
}

/// The value of a hexadecimal digit in either case, or nil.
package func hexDigitValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
