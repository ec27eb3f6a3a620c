import RocketModel
import Testing

struct TimestampTests {
    @Test(arguments: [
        ("2026-02-05T14:30:00Z", "2026-02-05T14:30:00.000000Z"),
        ("2026-02-05t14:30:00z", "2026-02-05T14:30:00.000000Z"),
        ("2026-02-05 14:30:00Z", "2026-02-05T14:30:00.000000Z"),
        ("2026-02-05T14:30:00+00:00", "2026-02-05T14:30:00.000000Z"),
        ("2026-02-05T14:30:00-00:00", "2026-02-05T14:30:00.000000Z"),
        ("2026-02-05T14:30:00.5+01:00", "2026-02-05T13:30:00.500000Z"),
        ("2026-02-05T00:15:00+05:45", "2026-02-04T18:30:00.000000Z"),
        ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000Z"),
        ("2026-02-05T14:30:00+23:59", "2026-02-04T14:31:00.000000Z"),
        ("2026-02-05T14:30:00-23:59", "2026-02-06T14:29:00.000000Z"),
        ("2024-03-01T00:00:00+00:01", "2024-02-29T23:59:00.000000Z"),
        ("2023-03-01T00:00:00+00:01", "2023-02-28T23:59:00.000000Z"),
        ("2026-02-05T14:30:00.1Z", "2026-02-05T14:30:00.100000Z"),
        ("2026-02-05T14:30:00.000001Z", "2026-02-05T14:30:00.000001Z"),
        ("2026-02-05T00:00:00Z", "2026-02-05T00:00:00.000000Z"),
        ("2026-02-05T23:59:59.999999Z", "2026-02-05T23:59:59.999999Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000Z"),
        ("2000-02-29T12:00:00Z", "2000-02-29T12:00:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ])
    func readsAnInstantWithItsOffsetAndWritesItInUTC(text: String, written: String) {
        #expect(Timestamp(rfc3339: text)?.rfc3339 == written)
    }

    @Test(arguments: [
        ("2026-02-05T14:30:00.1234567Z", "2026-02-05T14:30:00.123456Z"),
        ("2026-02-05T14:30:00.9999999Z", "2026-02-05T14:30:00.999999Z"),
        ("2026-02-05T23:59:59.999999999999999999999999Z", "2026-02-05T23:59:59.999999Z"),
        ("1969-12-31T23:59:59.0000019Z", "1969-12-31T23:59:59.000001Z"),
    ])
    func cutsTheFractionToSixDigits(text: String, written: String) {
        #expect(Timestamp(rfc3339: text)?.rfc3339 == written)
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.000001Z", 1), ("1969-12-31T23:59:59.999999Z", -1),
            ("1969-12-31T00:00:00Z", -86_400_000_000), ("2001-09-09T01:46:40Z", 1_000_000_000_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000), ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] as [(String, Int64)]
    )
    func countsMicrosecondsSince1970(text: String, microseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.microseconds == microseconds)
        #expect(Timestamp(rfc3339: Timestamp(microseconds: microseconds).rfc3339)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "2026", "2026-02-05", "14:30:00Z", "2026-02-05T14:30:00", "2026-02-05T14:30Z", "2026-02-05T14Z",
        "2026-02-05T14:30:00.Z",
        "2026-02-05T14:30:00,5Z", "2026-02-05T14:30:00 Z", " 2026-02-05T14:30:00Z", "2026-02-05T14:30:00Z ",
        "2026-02-05T14:30:00ZZ",
        "2026-02-05T14:30:00+1:00", "2026-02-05T14:30:00+01", "2026-02-05T14:30:00+0100", "2026-02-05T14:30:00+24:00",
        "2026-02-05T14:30:00+01:60", "2026-02-05T14:30:00+01:00Z", "2026-02-05T14:30:00UTC", "2026-02-05T24:00:00Z",
        "2026-02-05T14:60:00Z", "2026-02-05T14:30:60Z", "2016-12-31T23:59:60Z", "2026-02-30T14:30:00Z",
        "2026-02-29T14:30:00Z",
        "1900-02-29T14:30:00Z", "2026-13-01T14:30:00Z", "2026-00-01T14:30:00Z", "2026-01-00T14:30:00Z",
        "2026-01-32T14:30:00Z",
        "2026-04-31T14:30:00Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-2026-02-05T14:30:00Z",
        "+2026-02-05T14:30:00Z",
        "26-02-05T14:30:00Z", "2026-2-5T14:30:00Z", "2026/02/05T14:30:00Z", "20260205T143000Z", "2026-02-05_14:30:00Z",
        "2026-02-05T-1:30:00Z", "2026-02-05T14:30:+5Z", "1770301800", "now", "2026-02-05T14:30:00.\u{0661}Z",
    ])
    func refusesWhatIsNoInstant(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test(arguments: ["0001-01-01T00:00:00+00:01", "0001-01-01T12:00:00+13:00", "9999-12-31T23:59:59-00:01"])
    func refusesAnInstantThatItsOffsetMovesOutOfRange(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test(arguments: [
        ("0001-01-01T00:00:00-00:01", "0001-01-01T00:01:00.000000Z"),
        ("9999-12-31T23:59:59+00:01", "9999-12-31T23:58:59.000000Z"),
    ])
    func takesAnInstantThatItsOffsetKeepsInRange(text: String, written: String) {
        #expect(Timestamp(rfc3339: text)?.rfc3339 == written)
    }

    @Test func readsBackWhatItWritesAndSortsAsItsText() throws {
        var generator = SeededGenerator(seed: 23)
        let range = Int64(-62_135_596_800_000_000)...253_402_300_799_999_999
        var previous = Timestamp(microseconds: 0)
        for _ in 0..<3000 {
            let instant = Timestamp(microseconds: Int64.random(in: range, using: &generator))
            #expect(Timestamp(rfc3339: instant.rfc3339) == instant)
            #expect((previous < instant) == (previous.rfc3339 < instant.rfc3339))
            previous = instant
        }
    }

    @Test func addsSeconds() {
        let instant = Timestamp(rfc3339: "2026-12-31T23:59:59.5Z")
        #expect(instant?.adding(seconds: 1).rfc3339 == "2027-01-01T00:00:00.500000Z")
        #expect(instant?.adding(seconds: -86400).rfc3339 == "2026-12-30T23:59:59.500000Z")
    }
}

struct CalendarDateTests {
    @Test(
        arguments: [
            ("1970-01-01", 0), ("1970-01-02", 1), ("1969-12-31", -1), ("2000-02-29", 11016), ("2000-03-01", 11017),
            ("2026-02-05", 20489),
            ("0001-01-01", -719_162), ("9999-12-31", 2_932_896),
        ] as [(String, Int)]
    )
    func countsDaysSince1970(text: String, days: Int) {
        #expect(CalendarDate(text)?.days == days)
        #expect(CalendarDate(days: days).text == text)
    }

    @Test(arguments: [
        "", "2026", "2026-02", "2026-2-5", "2026-02-5", "26-02-05", "20260205", "2026/02/05", "2026-02-05 ",
        " 2026-02-05", "2026-02-05T00:00:00Z",
        "2026-02-30", "2026-02-29", "1900-02-29", "2100-02-29", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32",
        "2026-04-31",
        "2026-06-31", "2026-09-31", "2026-11-31", "0000-01-01", "10000-01-01", "-001-01-01", "+2026-01-01",
        "2026--1-01", "2026-02-0x",
        "\u{FF12}026-02-05", "today",
    ])
    func refusesWhatIsNoDay(text: String) {
        #expect(CalendarDate(text) == nil)
    }

    @Test(
        arguments: [
            (2024, 29), (2023, 28), (2000, 29), (1900, 28), (2100, 28), (1600, 29), (4, 29), (1, 28), (9999, 28),
        ] as [(Int, Int)]
    )
    func knowsTheLengthOfFebruary(year: Int, length: Int) {
        #expect(CalendarDate(year: year, month: 2, day: length) != nil)
        #expect(CalendarDate(year: year, month: 2, day: length + 1) == nil)
    }

    /// The calendar counted month by month, from the first to the last.
    @Test func agreesWithACalendarThatIsCountedOut() {
        var days = -719_162
        var wrong: [String] = []
        for year in 1...9999 {
            let isLeap = (year.isMultiple(of: 4) && !year.isMultiple(of: 100)) || year.isMultiple(of: 400)
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            for (index, length) in lengths.enumerated() {
                let first = CalendarDate(year: year, month: index + 1, day: 1)
                let last = CalendarDate(days: days + length - 1).components
                if first?.days != days || last.year != year || last.month != index + 1 || last.day != length {
                    wrong.append("\(year)-\(index + 1)")
                }
                days += length
            }
        }
        #expect(wrong == [])
        #expect(days == 2_932_897)
    }

    @Test func readsBackWhatItWritesOverTheWholeCalendar() {
        var wrong: [Int] = []
        var previous = ""
        for days in stride(from: CalendarDate.earliestDays, through: CalendarDate.latestDays, by: 53) {
            let text = CalendarDate(days: days).text
            if CalendarDate(text)?.days != days || text <= previous { wrong.append(days) }
            previous = text
        }
        #expect(wrong == [])
    }
}
