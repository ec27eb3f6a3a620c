import Foundation

/// Takes a `multipart/form-data` body apart as it arrives (RFC 7578, RFC 2046 part 5.1.1): it keeps no more of it than a
/// part's headers, or what may be the beginning of a delimiter.
struct MultipartParser {
    enum Event: Equatable {
        /// A part begins.
        case part(MultipartHeaders)
        /// More of its content.
        case content([UInt8])
        case partEnd
        /// All parts have been given; what comes after is nobody's.
        case end
    }

    /// Why the body is none.
    struct Malformed: Error, Equatable {
        let reason: String
    }

    private enum State {
        case preamble
        case afterDelimiter
        case headers
        case content
        case epilogue
    }

    private let delimiter: [UInt8]
    private var state = State.preamble
    /// The first delimiter has no line's end of its own where nothing stands before it.
    private var buffer: [UInt8] = [0x0D, 0x0A]

    private static let maximumHeaderBytes = 8192
    /// Spaces that a sender may put behind a delimiter.
    private static let maximumPadding = 256

    init(boundary: String) {
        delimiter = Array("\r\n--\(boundary)".utf8)
    }

    mutating func append(_ bytes: [UInt8]) { buffer += bytes }

    /// What comes next of that which has arrived; nil where more must arrive.
    mutating func next() throws(Malformed) -> Event? {
        while true {
            switch state {
            case .preamble:
                guard let index = find(delimiter) else {
                    drop(buffer.count - delimiter.count + 1)
                    return nil
                }
                drop(index + delimiter.count)
                state = .afterDelimiter
            case .afterDelimiter:
                guard let isEnd = try afterDelimiter() else { return nil }
                state = isEnd ? .epilogue : .headers
                if isEnd { return .end }
            case .headers:
                guard let headers = try headers() else { return nil }
                state = .content
                return .part(headers)
            case .content:
                if let index = find(delimiter) {
                    guard index == 0 else { return .content(take(index)) }
                    drop(delimiter.count)
                    state = .afterDelimiter
                    return .partEnd
                }
                let certain = buffer.count - delimiter.count + 1
                return certain > 0 ? .content(take(certain)) : nil
            case .epilogue:
                buffer = []
                return nil
            }
        }
    }

    /// Whether no more parts come; nil where that is not known yet.
    private mutating func afterDelimiter() throws(Malformed) -> Bool? {
        guard buffer.count >= 2 else { return nil }
        if buffer.starts(with: "--".utf8) { return true }
        let padding = buffer.prefix(Self.maximumPadding).prefix { $0 == 0x20 || $0 == 0x09 }.count
        guard padding < Self.maximumPadding else { throw Malformed(reason: "a boundary has no end") }
        guard buffer.count >= padding + 2 else { return nil }
        guard buffer[padding] == 0x0D, buffer[padding + 1] == 0x0A else {
            throw Malformed(reason: "something stands behind a boundary")
        }
        drop(padding)
        return false
    }

    /// The headers begin with the end of the delimiter's line, which is still there.
    private mutating func headers() throws(Malformed) -> MultipartHeaders? {
        guard let end = find(Array("\r\n\r\n".utf8)), end <= Self.maximumHeaderBytes else {
            guard buffer.count < Self.maximumHeaderBytes else {
                throw Malformed(reason: "the headers of a part are larger than \(Self.maximumHeaderBytes) bytes")
            }
            return nil
        }
        let bytes = take(end)
        drop(4)
        guard let text = String(validating: bytes.dropFirst(2), as: UTF8.self) else {
            throw Malformed(reason: "the headers of a part are not UTF-8")
        }
        guard let headers = MultipartHeaders(text) else {
            throw Malformed(reason: "a part has no Content-Disposition: form-data with a name")
        }
        return headers
    }

    private func find(_ needle: [UInt8]) -> Int? {
        buffer.withUnsafeBytes { hay in
            needle.withUnsafeBytes { needle in
                guard let start = hay.baseAddress, let sought = needle.baseAddress else { return nil }
                var offset = 0
                while hay.count - offset >= needle.count {
                    let rest = hay.count - offset - needle.count + 1
                    guard let found = memchr(start + offset, Int32(needle[0]), rest) else { return nil }
                    offset = UnsafeRawPointer(found) - start
                    if memcmp(start + offset, sought, needle.count) == 0 { return offset }
                    offset += 1
                }
                return nil
            }
        }
    }

    private mutating func take(_ count: Int) -> [UInt8] {
        guard count < buffer.count else {
            defer { buffer = [] }
            return buffer
        }
        defer { buffer.removeSubrange(..<count) }
        return Array(buffer[..<count])
    }

    private mutating func drop(_ count: Int) {
        if count > 0 { buffer.removeSubrange(..<count) }
    }
}
