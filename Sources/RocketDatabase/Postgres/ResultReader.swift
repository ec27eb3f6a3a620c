import CLibpq
import RocketModel
import RocketPlanning

/// Reads a result of libpq in the form that was asked for, from its buffers straight into the answer's bytes.
///
/// Values come as text (manual, 55.2.3), so that numbers are copied as they stand. Where PostgreSQL's text is not
/// ours (truths, instants, JSON) it is put into the form that the other store gives.
enum ResultReader {
    static func read(_ result: OpaquePointer, _ output: StatementOutput) -> StatementResult {
        let rowCount = Int(PQntuples(result))
        var read = StatementResult()
        read.rowCount = rowCount
        read.changes = PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
        guard rowCount > 0 else { return read }
        switch output {
        case .none: break
        case .values: read.rows = values(result, rowCount)
        case .json(let shape): read.json = json(result, rowCount, shape)
        case .jsonAndTotal(let shape):
            read.json = json(result, rowCount, shape)
            read.total = integer(utf8(result, 0, Int32(shape.columns.count)))
        case .valuesAndJSON(let shape):
            read.rows = values(result, rowCount)
            read.json = json(result, rowCount, shape) { read.rowEnds.append($0) }
        case .jsonAndValues(let shape):
            read.rows = values(result, rowCount, from: Int32(shape.columns.count))
            read.json = json(result, rowCount, shape) { read.rowEnds.append($0) }
        }
        return read
    }

    /// The kinds of columns that need more than a copy, by their type's number (`pg_type.dat`, which never changes).
    private enum Kind {
        case text
        case integer
        case double
        case boolean
        case instant
        case json

        init(_ type: Oid) {
            self =
                switch type {
                case 20, 21, 23: .integer
                case 700, 701: .double
                case 16: .boolean
                case 1184: .instant
                case 3802: .json
                default: .text
                }
        }
    }

    private static func utf8(_ result: OpaquePointer, _ row: Int32, _ column: Int32) -> UnsafeBufferPointer<UInt8> {
        let count = Int(PQgetlength(result, row, column))
        let start = PQgetvalue(result, row, column)
        return UnsafeBufferPointer(
            start: UnsafeRawPointer(start)?.assumingMemoryBound(to: UInt8.self),
            count: start == nil ? 0 : count
        )
    }

    // MARK: values

    private static func values(_ result: OpaquePointer, _ rowCount: Int, from first: Int32 = 0) -> [[SQLValue]] {
        let kinds = (first..<PQnfields(result)).map { Kind(PQftype(result, $0)) }
        return (0..<Int32(rowCount)).map { row in
            kinds.indices.map { index in
                let column = first + Int32(index)
                return PQgetisnull(result, row, column) == 1 ? .null : value(utf8(result, row, column), kinds[index])
            }
        }
    }

    private static func value(_ utf8: UnsafeBufferPointer<UInt8>, _ kind: Kind) -> SQLValue {
        switch kind {
        case .text: return .text(String(decoding: utf8, as: UTF8.self))
        case .integer: return integer(utf8).map(SQLValue.integer) ?? .null
        case .double: return double(utf8).map(SQLValue.double) ?? .null
        case .boolean: return .integer(utf8.first == UInt8(ascii: "t") ? 1 : 0)
        case .instant, .json:
            var writer = JSONWriter()
            if kind == .json {
                compact(utf8, into: &writer)
            } else if !instant(utf8, into: &writer) {
                return .null
            }
            return .text(String(decoding: writer.bytes, as: UTF8.self))
        }
    }

    private static func integer(_ utf8: UnsafeBufferPointer<UInt8>) -> Int64? {
        var value: Int64 = 0
        let isNegative = utf8.first == UInt8(ascii: "-")
        for byte in utf8.dropFirst(isNegative ? 1 : 0) {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte) - Int64(UInt8(ascii: "0"))
            guard !overflow, (0...9).contains(digit) else { return nil }
            // Towards the sign, so that the least of all fits.
            let (sum, isPast) = product.addingReportingOverflow(isNegative ? -digit : digit)
            guard !isPast else { return nil }
            value = sum
        }
        return utf8.isEmpty ? nil : value
    }

    /// Nil for what JSON has no number for: an adopted table may hold NaN and infinities.
    private static func double(_ utf8: UnsafeBufferPointer<UInt8>) -> Double? {
        guard let value = Double(String(decoding: utf8, as: UTF8.self)), value.isFinite else { return nil }
        return value == 0 ? 0 : value
    }

    // MARK: JSON

    private static func json(
        _ result: OpaquePointer,
        _ rowCount: Int,
        _ shape: RowShape,
        rowEnded: (Int) -> Void = { _ in }
    ) -> [UInt8] {
        var writer = JSONWriter(capacity: rowCount * shape.columns.count * 32)
        let isInstant = shape.columns.indices.map { Kind(PQftype(result, Int32($0))) == .instant }
        for row in 0..<Int32(rowCount) {
            writer.raw(row == 0 ? "{" : ",{")
            for (index, column) in shape.columns.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.bytes.append(contentsOf: column.member)
                if PQgetisnull(result, row, Int32(index)) == 1 {
                    writer.raw("null")
                } else {
                    write(utf8(result, row, Int32(index)), column.coding, isInstant[index], &writer)
                }
            }
            writer.raw("}")
            rowEnded(writer.bytes.count)
        }
        return writer.bytes
    }

    private static func write(
        _ utf8: UnsafeBufferPointer<UInt8>,
        _ coding: ColumnCoding,
        _ isInstant: Bool,
        _ writer: inout JSONWriter
    ) {
        switch coding {
        case .string: writer.string(utf8)
        case .quoted where isInstant:
            let start = writer.bytes.count
            writer.raw("\"")
            if instant(utf8, into: &writer) {
                writer.raw("\"")
            } else {
                writer.bytes.removeSubrange(start...)
                writer.raw("null")
            }
        // A date outside the years 1 to 9999, as an adopted table may hold, is none that we know.
        case .quoted: utf8.count == 10 || utf8.count == 36 ? writer.quoted(utf8) : writer.raw("null")
        case .number: isNumber(utf8) ? writer.raw(utf8) : writer.raw("null")
        case .double:
            if let value = double(utf8) { writer.double(value) } else { writer.raw("null") }
        case .boolean: writer.boolean(utf8.first == UInt8(ascii: "t"))
        case .json: compact(utf8, into: &writer)
        }
    }

    /// NUMERIC knows NaN and infinities too.
    private static func isNumber(_ utf8: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let last = utf8.last else { return false }
        return (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last)
    }

    /// `2026-03-01 12:00:00.25+00` as `2026-03-01T12:00:00.250000Z`.
    ///
    /// - Returns: false for an instant that is not in the years 1 to 9999; nothing is written then.
    private static func instant(_ utf8: UnsafeBufferPointer<UInt8>, into writer: inout JSONWriter) -> Bool {
        let zone = 3
        guard utf8.count >= 19 + zone, utf8.count <= 26 + zone, utf8[10] == UInt8(ascii: " "),
            utf8[utf8.count - zone] == UInt8(ascii: "+")
        else { return false }
        writer.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[..<10]))
        writer.raw("T")
        writer.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[11..<19]))
        writer.raw(".")
        let fraction = utf8[19..<(utf8.count - zone)].dropFirst()
        writer.bytes.append(contentsOf: fraction)
        for _ in fraction.count..<6 { writer.raw("0") }
        writer.raw("Z")
        return true
    }

    /// JSONB's text without the spaces that it has after `:` and `,`.
    private static func compact(_ utf8: UnsafeBufferPointer<UInt8>, into writer: inout JSONWriter) {
        var start = 0
        var isInString = false
        var index = 0
        while index < utf8.count {
            switch utf8[index] {
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: "\\") where isInString: index += 1
            case UInt8(ascii: " ") where !isInString:
                writer.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[start..<index]))
                start = index + 1
            default: break
            }
            index += 1
        }
        if start < utf8.count {
            writer.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: utf8[start..<utf8.count]))
        }
    }
}
