extension FunctionLibrary {
    private static func getter(
        _ name: String,
        _ summary: String,
        _ example: String,
        _ value: @escaping @Sendable (DateValue) -> Double
    ) -> [LibraryFunction] {
        ["get\(name)", "getUTC\(name)"].map { method in
            LibraryFunction(
                .date,
                method,
                [],
                .number,
                summary,
                ("new Date('2026-02-05T14:30:15.250Z').\(method)()", example)
            ) { (receiver, _, _) throws(EvaluationFailure) in
                guard case .date(let date) = receiver else { return .undefined }
                return .number(value(date))
            }
        }
    }

    /// Methods of dates. All of it is UTC.
    static let dateMethods: [LibraryFunction] =
        getter("FullYear", "The year.", "2026") { $0.fullYear }
        + getter("Month", "The month, from 0.", "1") { $0.month }
        + getter("Date", "The day of the month, from 1.", "5") { $0.date }
        + getter("Day", "The day of the week, from 0 for Sunday.", "4") { $0.day }
        + getter("Hours", "The hour.", "14") { $0.hours }
        + getter("Minutes", "The minute.", "30") { $0.minutes }
        + getter("Seconds", "The second.", "15") { $0.seconds }
        + getter("Milliseconds", "The millisecond.", "250") { $0.millisecondOfSecond }
        + [
            LibraryFunction(
                .date,
                "getTime",
                [],
                .number,
                "Milliseconds since 1970.",
                ("new Date('1970-01-01T00:00:01Z').getTime()", "1000")
            ) { (receiver, _, _) throws(EvaluationFailure) in
                guard case .date(let date) = receiver else { return .undefined }
                return .number(date.milliseconds)
            },
            LibraryFunction(
                .date,
                "toISOString",
                [],
                .text,
                "The instant as ISO 8601 writes it, to the millisecond.",
                ("new Date(0).toISOString()", "\"1970-01-01T00:00:00.000Z\"")
            ) { (receiver, _, run) throws(EvaluationFailure) in
                guard case .date(let date) = receiver else { return .undefined }
                guard let text = date.isoString else { throw EvaluationFailure("the date is invalid") }
                return .string(text)
            },
            LibraryFunction(
                .namespace("Date"),
                "now",
                [],
                .number,
                "The instant of the request, in milliseconds since 1970.",
                ("typeof Date.now()", "\"number\"")
            ) { (_, _, run) throws(EvaluationFailure) in .number(run.now.milliseconds) },
        ]
}
