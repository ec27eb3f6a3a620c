/// Minutes, hours, days of the month, months and days of the week, in UTC, as crontab writes them (POSIX.1-2017,
/// `crontab`): numbers, `*`, lists, ranges and steps. Where both kinds of days are given either one will do.
package struct CronPattern: Sendable, Hashable {
    private let minutes: Set<Int>
    private let hours: Set<Int>
    private let days: Set<Int>
    private let months: Set<Int>
    private let weekdays: Set<Int>
    private let anyDay: Bool
    private let anyWeekday: Bool

    package init?(_ text: String) {
        let fields = text.split(separator: " ").map(String.init)
        guard fields.count == 5, let minutes = Self.numbers(fields[0], 0...59),
            let hours = Self.numbers(fields[1], 0...23), let days = Self.numbers(fields[2], 1...31),
            let months = Self.numbers(fields[3], 1...12), let weekdays = Self.numbers(fields[4], 0...7)
        else { return nil }
        self.minutes = minutes
        self.hours = hours
        self.days = days
        self.months = months
        // Sunday is 0, and 7.
        self.weekdays = Set(weekdays.map { $0 % 7 })
        anyDay = fields[2] == "*"
        anyWeekday = fields[4] == "*"
    }

    private static func numbers(_ text: String, _ range: ClosedRange<Int>) -> Set<Int>? {
        var numbers: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard (1...2).contains(pieces.count) else { return nil }
            var span = range
            if pieces[0] != "*" {
                let ends = pieces[0].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
                guard (1...2).contains(ends.count), let first = ends[0], range.contains(first),
                    let last = ends.count == 2 ? ends[1] : pieces.count == 2 ? range.upperBound : first,
                    range.contains(last), first <= last
                else { return nil }
                span = first...last
            }
            guard let step = pieces.count == 2 ? Int(pieces[1]) : 1, step > 0 else { return nil }
            numbers.formUnion(stride(from: span.lowerBound, through: span.upperBound, by: step))
        }
        return numbers
    }

    /// Leap days come round within these years.
    private static let longestYears: Int64 = 9

    /// The first minute after an instant; nil for a pattern that no day has.
    package func next(after instant: Timestamp) -> Timestamp? {
        let minute: Int64 = 60
        var seconds = (instant.microseconds / 1_000_000 / minute + 1) * minute
        let end = seconds + Self.longestYears * 366 * 86_400
        while seconds < end {
            let day = Timestamp(microseconds: seconds * 1_000_000)
            guard matches(day) else {
                seconds = (seconds / 86_400 + 1) * 86_400
                continue
            }
            let inDay = Int(seconds % 86_400)
            guard hours.contains(inDay / 3600) else {
                seconds = (seconds / 3600 + 1) * 3600
                continue
            }
            if minutes.contains(inDay % 3600 / 60) { return day }
            seconds += minute
        }
        return nil
    }

    private func matches(_ instant: Timestamp) -> Bool {
        let text = instant.rfc3339
        guard let month = Int(text.dropFirst(5).prefix(2)), let day = Int(text.dropFirst(8).prefix(2)) else {
            return false
        }
        guard months.contains(month) else { return false }
        // The first of 1970 was a Thursday.
        let weekday = Int((instant.microseconds / 1_000_000 / 86_400 + 4) % 7)
        let (isDay, isWeekday) = (days.contains(day), weekdays.contains(weekday))
        return anyDay || anyWeekday ? isDay && isWeekday : isDay || isWeekday
    }
}
