/// What of a file is asked for: `Range` with one range (RFC 9110 part 14). Several at once are answered with all of it,
/// as a server may.
enum ByteRange: Equatable {
    case all
    /// From the first to the last byte, both included.
    case part(ClosedRange<Int64>)
    case unsatisfiable

    init(_ header: String?, size: Int64) {
        guard let header, let equals = header.firstIndex(of: "="),
            header[..<equals].lowercased() == "bytes"
        else {
            self = .all
            return
        }
        let text = header[header.index(after: equals)...].filter { $0 != " " && $0 != "\t" }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, !text.contains(",") else {
            self = .all
            return
        }
        switch (Self.number(ends[0]), Self.number(ends[1])) {
        case (let first?, let last?) where first <= last: self = Self.part(first, last, size)
        case (let first?, nil) where ends[1].isEmpty: self = Self.part(first, size - 1, size)
        case (nil, let count?) where ends[0].isEmpty:
            self = count == 0 ? .unsatisfiable : Self.part(max(0, size - count), size - 1, size)
        // What is no range is as if it were not there (part 14.2).
        default: self = .all
        }
    }

    private static func part(_ first: Int64, _ last: Int64, _ size: Int64) -> ByteRange {
        first < size ? .part(first...min(last, size - 1)) : .unsatisfiable
    }

    /// Digits alone; a number that is too large is behind every file.
    private static func number(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int64(text) ?? .max
    }
}
