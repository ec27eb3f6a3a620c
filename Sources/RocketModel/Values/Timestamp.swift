/// An instant in UTC, to the microsecond, in the years 1 to 9999.
package struct Timestamp: Sendable, Hashable, Comparable {
    /// Microseconds since 1970-01-01T00:00:00Z.
    package let microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Reads RFC 3339 with an offset (`2026-02-05T14:30:00.5+01:00`). Fraction digits past the sixth are cut.
    /// Nil for any other text, a date that is not in the calendar, and an instant outside the years 1 to 9999.
    package init?(rfc3339 text: String) {
        var reader = DigitReader(text)
        guard let date = reader.date(),
            reader.take("T") || reader.take("t") || reader.take(" "),
            let hour = reader.number(2), hour < 24, reader.take(":"),
            let minute = reader.number(2), minute < 60, reader.take(":"),
            let second = reader.number(2), second < 60,
            let fraction = reader.fraction(),
            let offsetMinutes = reader.offset(), reader.isAtEnd
        else { return nil }
        let seconds = Int64(date.days) * 86400 + Int64(hour * 3600 + minute * 60 + second - offsetMinutes * 60)
        let microseconds = seconds * 1_000_000 + Int64(fraction)
        guard (Self.earliest...Self.latest).contains(microseconds) else { return nil }
        self.microseconds = microseconds
    }

    private static let earliest = Int64(CalendarDate.earliestDays) * 86_400_000_000
    private static let latest = Int64(CalendarDate.latestDays + 1) * 86_400_000_000 - 1

    /// RFC 3339 in UTC with six fraction digits, the form of every answer: `2026-02-05T14:30:00.000000Z`.
    package var rfc3339: String {
        let microsecondsOfDay = Int(microseconds.modulo(86_400_000_000))
        let days = Int((microseconds - Int64(microsecondsOfDay)) / 86_400_000_000)
        let secondOfDay = microsecondsOfDay / 1_000_000
        return String(unsafeUninitializedCapacity: 27) { buffer in
            CalendarDate(days: days).write(into: buffer)
            buffer[10] = UInt8(ascii: "T")
            buffer.writeDigits(secondOfDay / 3600, at: 11, count: 2)
            buffer[13] = UInt8(ascii: ":")
            buffer.writeDigits(secondOfDay / 60 % 60, at: 14, count: 2)
            buffer[16] = UInt8(ascii: ":")
            buffer.writeDigits(secondOfDay % 60, at: 17, count: 2)
            buffer[19] = UInt8(ascii: ".")
            buffer.writeDigits(microsecondsOfDay % 1_000_000, at: 20, count: 6)
            buffer[26] = UInt8(ascii: "Z")
            return 27
        }
    }

    /// The day of the instant, in UTC.
    package var date: CalendarDate {
        let ofDay = microseconds.modulo(86_400_000_000)
        return CalendarDate(days: Int((microseconds - ofDay) / 86_400_000_000))
    }

    package func adding(seconds: Int64) -> Timestamp {
        Timestamp(microseconds: microseconds + seconds * 1_000_000)
    }
}

/// A day of the Gregorian calendar, years 1 to 9999.
package struct CalendarDate: Sendable, Hashable, Comparable {
    /// Days since 1970-01-01.
    package let days: Int

    package static let earliestDays = -719_162
    package static let latestDays = 2_932_896

    package init(days: Int) {
        self.days = days
    }

    package static func < (left: CalendarDate, right: CalendarDate) -> Bool {
        left.days < right.days
    }

    /// Reads `YYYY-MM-DD`; nil for any other text and for a day that is not in the calendar.
    package init?(_ text: String) {
        var reader = DigitReader(text)
        guard let date = reader.date(), reader.isAtEnd else { return nil }
        self = date
    }

    /// Days from a civil date, after Howard Hinnant's `days_from_civil`
    /// (https://howardhinnant.github.io/date_algorithms.html). Nil where there is no such day.
    package init?(year: Int, month: Int, day: Int) {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1 else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[month - 1] else { return nil }
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        days = era * 146_097 + dayOfEra - 719_468
    }

    package var components: (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    /// `YYYY-MM-DD`.
    package var text: String {
        String(unsafeUninitializedCapacity: 10) { buffer in
            write(into: buffer)
            return 10
        }
    }

    fileprivate func write(into buffer: UnsafeMutableBufferPointer<UInt8>) {
        let (year, month, day) = components
        buffer.writeDigits(year, at: 0, count: 4)
        buffer[4] = UInt8(ascii: "-")
        buffer.writeDigits(month, at: 5, count: 2)
        buffer[7] = UInt8(ascii: "-")
        buffer.writeDigits(day, at: 8, count: 2)
    }
}

/// Reads fixed-width ASCII numbers from the front of a text.
private struct DigitReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        guard position + width <= bytes.count else { return nil }
        var value = 0
        for _ in 0..<width {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    mutating func date() -> CalendarDate? {
        guard let year = number(4), take("-"), let month = number(2), take("-"), let day = number(2) else { return nil }
        return CalendarDate(year: year, month: month, day: day)
    }

    /// Microseconds of an optional fraction; nil for a point without digits.
    mutating func fraction() -> Int? {
        guard take(".") else { return 0 }
        var value = 0
        var count = 0
        while let digit = digit() {
            if count < 6 { value = value * 10 + digit }
            count += 1
        }
        guard count > 0 else { return nil }
        for _ in 0..<max(0, 6 - count) { value *= 10 }
        return value
    }

    /// Minutes east of UTC.
    mutating func offset() -> Int? {
        if take("Z") || take("z") { return 0 }
        let sign = take("+") ? 1 : (take("-") ? -1 : 0)
        guard sign != 0, let hours = number(2), hours < 24, take(":"), let minutes = number(2), minutes < 60 else {
            return nil
        }
        return sign * (hours * 60 + minutes)
    }

    private mutating func digit() -> Int? {
        guard position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) else {
            return nil
        }
        position += 1
        return Int(bytes[position - 1] - UInt8(ascii: "0"))
    }
}

extension Int64 {
    fileprivate func modulo(_ divisor: Int64) -> Int64 {
        let remainder = self % divisor
        return remainder < 0 ? remainder + divisor : remainder
    }
}

extension UnsafeMutableBufferPointer<UInt8> {
    fileprivate func writeDigits(_ value: Int, at index: Int, count: Int) {
        var value = value
        for offset in stride(from: count - 1, through: 0, by: -1) {
            self[index + offset] = UInt8(ascii: "0") + UInt8(value % 10)
            value /= 10
        }
    }
}
