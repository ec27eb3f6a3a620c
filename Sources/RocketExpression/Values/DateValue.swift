package import RocketModel

/// A date-time of the expression language: JavaScript's `Date`, but to the microsecond and always in UTC, so that
/// `getHours` and `getUTCHours` are one.
///
/// In charge of reading, writing and computing with instants; not of the clock, and not of what field a date is
/// stored in. An instant more than 100,000,000 days away from 1970 (ECMAScript's TimeClip) is the invalid date.
package struct DateValue: Sendable, Hashable {
    /// Microseconds since 1970-01-01T00:00:00Z, within ±8.64e18; nil for the invalid date.
    package let microseconds: Int64?
    /// True for a calendar day, as fields of type `date` hold it. It decides how the value is written, no more.
    package let isDay: Bool

    package static let invalid = DateValue(microseconds: nil)

    /// The invalid date for nil and outside ±8.64e18.
    package init(microseconds: Int64?, isDay: Bool = false) {
        self.microseconds = microseconds.flatMap { $0.magnitude <= Self.farthest ? $0 : nil }
        self.isDay = isDay
    }

    /// `new Date(milliseconds)`: cut to a whole millisecond toward zero; the invalid date for NaN and outside
    /// ±8.64e15.
    package init(milliseconds: Double) {
        let isInRange = milliseconds.magnitude <= 8.64e15
        self.init(microseconds: isInRange ? Int64(milliseconds) * 1000 : nil)
    }

    package init(_ timestamp: Timestamp) {
        self.init(microseconds: timestamp.microseconds)
    }

    /// The first instant of the day.
    package init(_ day: CalendarDate) {
        let (microseconds, isOverflow) = Int64(day.days).multipliedReportingOverflow(by: Self.microsecondsPerDay)
        self.init(microseconds: isOverflow ? nil : microseconds, isDay: true)
    }

    /// Reads ECMAScript's date-time format and RFC 3339; any other text is the invalid date.
    ///
    /// A date is `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, its year also `±YYYYYY`. `THH:mm`, `THH:mm:ss` or
    /// `THH:mm:ss.sss` may follow (`t` or a space for `T`, `24:00` for the end of a day, digits past the sixth of the
    /// fraction are cut), and after a time `Z`, `z` or `±HH:mm`. No offset is UTC. The text has to name a day that is
    /// in the calendar (Node.js takes February 30). It is never `isDay`: that is for fields.
    package init(text: String) {
        var reader = DateReader(text)
        self.init(microseconds: reader.microseconds())
    }

    fileprivate static let microsecondsPerDay: Int64 = 86_400_000_000
    private static let farthest: UInt64 = 8_640_000_000_000_000_000
}

// MARK: - Parts

extension DateValue {
    /// `getTime()`: milliseconds since 1970, the fraction floored; NaN for the invalid date.
    package var milliseconds: Double {
        microseconds.map { Double($0.floored(1000).quotient) } ?? .nan
    }

    /// `getFullYear()`; NaN for the invalid date, like all the parts.
    package var fullYear: Double { part { Double($0.year) } }
    /// `getMonth()`: 0 is January.
    package var month: Double { part { Double($0.month - 1) } }
    /// `getDate()`: the day of the month, from 1.
    package var date: Double { part { Double($0.day) } }
    /// `getDay()`: the day of the week, 0 is Sunday.
    package var day: Double { microseconds.map { Double(UTCParts.weekday($0)) } ?? .nan }
    /// `getHours()`
    package var hours: Double { part { Double($0.secondOfDay / 3600) } }
    /// `getMinutes()`
    package var minutes: Double { part { Double($0.secondOfDay / 60 % 60) } }
    /// `getSeconds()`
    package var seconds: Double { part { Double($0.secondOfDay % 60) } }
    /// `getMilliseconds()`: those of the second, 0 to 999.
    package var millisecondOfSecond: Double { part { Double($0.microsecond / 1000) } }

    private func part(_ value: (UTCParts) -> Double) -> Double {
        microseconds.map { value(UTCParts($0)) } ?? .nan
    }
}

// MARK: - Texts

extension DateValue {
    /// `toISOString()` and `toJSON()`: `2026-02-05T14:30:00.000Z`, with the year as `±YYYYYY` outside 0 to 9999.
    /// Microseconds are cut. Nil for the invalid date.
    package var isoString: String? {
        guard let microseconds else { return nil }
        let parts = UTCParts(microseconds)
        return parts.date + "T" + parts.time + "." + (parts.microsecond / 1000).padded(to: 3) + "Z"
    }

    /// `String(date)`, with nothing lost: `2026-02-05` for a day, `2026-02-05T14:30:00.000000Z` for an instant, the
    /// year as in `isoString`; `Invalid Date` for the invalid date.
    package var text: String {
        guard let microseconds else { return "Invalid Date" }
        let parts = UTCParts(microseconds)
        if isDay { return parts.date }
        return parts.date + "T" + parts.time + "." + parts.microsecond.padded(to: 6) + "Z"
    }
}

// MARK: - Arithmetic and order

extension DateValue {
    /// The instant that many milliseconds later, to the nearest microsecond; never `isDay`. The invalid date if
    /// either is invalid, or the sum is outside the range of dates.
    package func adding(milliseconds: Double) -> DateValue {
        // Twice the range of dates: no step between two of them is longer.
        guard let (start, rest) = microseconds?.floored(1000), milliseconds.magnitude <= 2 * 8.64e15 else {
            return .invalid
        }
        // Apart, because neither a double nor Int64 holds the microseconds of every step.
        let whole = milliseconds.rounded(.towardZero)
        let fraction = ((milliseconds - whole) * 1000).rounded(.toNearestOrEven)
        let sum = start + Int64(whole)
        // One more, which a fraction may bring back; the initializer has the last word.
        guard sum.magnitude <= Self.farthest / 1000 + 1 else { return .invalid }
        return DateValue(microseconds: sum * 1000 + rest + Int64(fraction))
    }

    /// Milliseconds from the other instant to this one, microseconds as a fraction; NaN if either is invalid.
    package func difference(_ other: DateValue) -> Double {
        guard let left = microseconds?.floored(1000), let right = other.microseconds?.floored(1000) else { return .nan }
        let milliseconds = left.quotient - right.quotient
        let microseconds = left.remainder - right.remainder
        // One rounding while the microseconds fit a double; farther apart a double holds no more than this.
        guard milliseconds.magnitude < 1 << 53 / 1000 else { return Double(milliseconds) + Double(microseconds) / 1000 }
        return Double(milliseconds * 1000 + microseconds) / 1000
    }
}

/// By instant: a day is its midnight. The invalid date equals itself (`Hashable` asks for that; JavaScript does not
/// have it so) and is neither before nor after nor level with any date, so that `<`, `<=`, `>` and `>=` are all
/// false.
extension DateValue: Comparable {
    package static func == (left: DateValue, right: DateValue) -> Bool {
        left.microseconds == right.microseconds
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(microseconds)
    }

    package static func < (left: DateValue, right: DateValue) -> Bool {
        guard let left = left.microseconds, let right = right.microseconds else { return false }
        return left < right
    }

    package static func <= (left: DateValue, right: DateValue) -> Bool {
        guard let left = left.microseconds, let right = right.microseconds else { return false }
        return left <= right
    }

    package static func > (left: DateValue, right: DateValue) -> Bool { right < left }

    package static func >= (left: DateValue, right: DateValue) -> Bool { right <= left }
}

/// The calendar and the clock of an instant.
private struct UTCParts {
    let year: Int64
    /// 1 to 12.
    let month: Int64
    let day: Int64
    let secondOfDay: Int64
    /// Of the second.
    let microsecond: Int64

    /// Civil date from days, after Howard Hinnant (https://howardhinnant.github.io/date_algorithms.html).
    init(_ microseconds: Int64) {
        let (days, ofDay) = microseconds.floored(DateValue.microsecondsPerDay)
        let (era, dayOfEra) = (days + 719_468).floored(146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        secondOfDay = ofDay / 1_000_000
        microsecond = ofDay % 1_000_000
    }

    /// 0 is Sunday; 1970-01-01 was a Thursday.
    static func weekday(_ microseconds: Int64) -> Int64 {
        (microseconds.floored(DateValue.microsecondsPerDay).quotient + 4).floored(7).remainder
    }

    var date: String {
        let isFourDigits = (0...9999).contains(year)
        let sign = isFourDigits ? "" : (year < 0 ? "-" : "+")
        let digits = Int64(year.magnitude).padded(to: isFourDigits ? 4 : 6)
        return sign + digits + "-" + month.padded(to: 2) + "-" + day.padded(to: 2)
    }

    var time: String {
        let hour = (secondOfDay / 3600).padded(to: 2)
        return hour + ":" + (secondOfDay / 60 % 60).padded(to: 2) + ":" + (secondOfDay % 60).padded(to: 2)
    }
}

/// Reads the text of a date from front to back.
private struct DateReader {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = text[...].utf8
    }

    /// Microseconds since 1970; nil for a text that is no date, or one beyond Int64.
    mutating func microseconds() -> Int64? {
        guard let days = days(), let (secondOfDay, microsecond) = time(), rest.isEmpty else { return nil }
        let (whole, isTooFar) = (days * 86400 + secondOfDay).multipliedReportingOverflow(by: 1_000_000)
        let (sum, isOverflow) = whole.addingReportingOverflow(microsecond)
        return isTooFar || isOverflow ? nil : sum
    }

    /// Days since 1970 of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    private mutating func days() -> Int64? {
        guard let year = year() else { return nil }
        var month: Int64? = 1
        var day: Int64? = 1
        if take("-") {
            month = number(2)
            if month != nil, take("-") { day = number(2) }
        }
        guard let month, let day, (1...12).contains(month), day >= 1 else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return day <= lengths[Int(month) - 1] ? Self.days(year: year, month: month, day: day) : nil
    }

    /// `YYYY` or `±YYYYYY`; ECMAScript has no `-000000`.
    private mutating func year() -> Int64? {
        if take("+") { return number(6) }
        guard take("-") else { return number(4) }
        return number(6).flatMap { $0 == 0 ? nil : -$0 }
    }

    /// Days from a civil date, after Howard Hinnant.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).floored(400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The time with its offset taken off, so that the second may be outside the day. Midnight for no time at all.
    private mutating func time() -> (secondOfDay: Int64, microsecond: Int64)? {
        guard !rest.isEmpty else { return (0, 0) }
        guard take("T") || take("t") || take(" "),
            let hour = number(2), hour <= 24, take(":"), let minute = number(2), minute < 60
        else { return nil }
        var second: Int64 = 0
        var fraction: (microseconds: Int64, isZero: Bool) = (0, true)
        if take(":") {
            guard let number = number(2), number < 60, let digits = self.fraction() else { return nil }
            second = number
            fraction = digits
        }
        guard hour < 24 || (minute == 0 && second == 0 && fraction.isZero) else { return nil }
        guard let offset = offsetMinutes() else { return nil }
        return (hour * 3600 + (minute - offset) * 60 + second, fraction.microseconds)
    }

    /// An optional fraction of a second; nil for a point without digits.
    private mutating func fraction() -> (microseconds: Int64, isZero: Bool)? {
        guard take(".") else { return (0, true) }
        guard var value = number(1) else { return nil }
        var count = 1
        var isZero = value == 0
        while let digit = number(1) {
            isZero = isZero && digit == 0
            if count < 6 {
                value = value * 10 + digit
                count += 1
            }
        }
        while count < 6 {
            value *= 10
            count += 1
        }
        return (value, isZero)
    }

    /// Minutes east of UTC; 0 for a text that ends without an offset.
    private mutating func offsetMinutes() -> Int64? {
        if rest.isEmpty || take("Z") || take("z") { return 0 }
        let isEast = take("+")
        guard isEast || take("-"),
            let hours = number(2), hours < 24, take(":"), let minutes = number(2), minutes < 60
        else { return nil }
        return (isEast ? 1 : -1) * (hours * 60 + minutes)
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    /// Exactly that many digits.
    private mutating func number(_ width: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<width {
            guard let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            rest.removeFirst()
        }
        return value
    }
}

extension Int64 {
    /// Division toward negative infinity, with the remainder that goes with it: 0 or more.
    ///
    /// - Parameter divisor: over 1, so that nothing overflows.
    fileprivate func floored(_ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// Of a number that is not negative.
    fileprivate func padded(to width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
