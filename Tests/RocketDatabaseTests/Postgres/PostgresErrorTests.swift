import Testing

@testable import RocketDatabase

/// What is made of what the server says.
struct PostgresErrorTests {
    @Test(arguments: remedies)
    func eachStateHasARemedy(row: RemedyRow) {
        #expect(refusal(row.sqlState).remedy(wasPreparedEarlier: false) == row.remedy)
    }

    @Test(arguments: ["0A000", "22P02", "22003", "42703", "42P01", "42804", "26000"])
    func aStatementThatWasPreparedEarlierMayHaveAnOldPlan(sqlState: String) {
        #expect(refusal(sqlState).remedy(wasPreparedEarlier: true) == .prepareAgain)
    }

    @Test(arguments: [
        "40001", "40P01", "57P01", "08006", "23505", "23503", "23502", "P0001", "54000", "57014", "XX000",
    ])
    func whatNoPlanCausesIsTheSameHoweverTheStatementWasPrepared(sqlState: String) {
        let error = refusal(sqlState)
        #expect(error.remedy(wasPreparedEarlier: true) == error.remedy(wasPreparedEarlier: false))
    }

    @Test func whatQuotesValuesIsNoPartOfTheCause() {
        let error = refusal("23503", detail: "Key (desk)=(7) is not present in table \"desks\".")
        #expect(error.remedy(wasPreparedEarlier: false) == .fail(.foreignKeyViolation(cause: "23503 no")))
    }

    @Test(arguments: keyDetails)
    func theColumnsOfAUniqueViolationAreReadFromItsDetail(detail: String, columns: [String]) {
        let remedy = refusal("23505", detail: detail).remedy(wasPreparedEarlier: false)
        #expect(remedy == .fail(.uniqueViolation(table: "tickets", columns: columns)))
    }

    @Test func aQuoteInTheNameOfAColumnIsKept() {
        let error = refusal("23505", detail: #"Key ("the ""best""", plain)=(a, b) already exists."#)
        let columns = [#"the "best""#, "plain"]
        let remedy = error.remedy(wasPreparedEarlier: false)
        #expect(remedy == .fail(.uniqueViolation(table: "tickets", columns: columns)))
    }
}

private func refusal(_ sqlState: String, detail: String = "") -> PostgresError {
    PostgresError(
        sqlState: sqlState,
        message: "no",
        detail: detail,
        table: "tickets",
        column: "title",
        constraint: "tickets_title"
    )
}

/// What the server says of a unique violation, and the columns in it.
private let keyDetails: [(String, [String])] = [
    ("Key (email)=(a@b.c) already exists.", ["email"]),
    ("Key (email, region)=(a@b.c, 7) already exists.", ["email", "region"]),
    ("Key (formula)=(f(x)=(y)) already exists.", ["formula"]),
    ("Key (lower(email))=(a@b.c) already exists.", ["lower(email)"]),
    (#"Key ("order")=(7) already exists."#, ["order"]),
    (#"Key ("first, last", plain, "two words")=(a, b, c) already exists."#, ["first, last", "plain", "two words"]),
    (#"Schlüssel »(email, "größe")=(a@b.c, 7)« existiert bereits."#, ["email", "größe"]),
    ("キー (email)=(a@b.c) はすでに存在します。", ["email"]),
    ("", []),
    ("The values are not shown.", []),
    ("Not (a key at all).", []),
]

/// A state of the manual's appendix A, and what to do about it.
struct RemedyRow: Sendable, CustomTestStringConvertible {
    let sqlState: String
    let remedy: PostgresError.Remedy

    init(_ sqlState: String, _ remedy: PostgresError.Remedy) {
        self.sqlState = sqlState
        self.remedy = remedy
    }

    /// - Parameter failure: given the cause.
    init(_ sqlState: String, as failure: (String) -> DatabaseFailure) {
        self.init(sqlState, .fail(failure("\(sqlState) no")))
    }

    var testDescription: String { sqlState }
}

private func valueRefused(_ cause: String) -> DatabaseFailure {
    .valueRefused(table: "tickets", column: "title", cause: cause)
}

private func tooLongForIndex(_ cause: String) -> DatabaseFailure {
    .tooLongForIndex(table: "tickets", index: "tickets_title", cause: cause)
}

private func schemaMismatch(_ cause: String) -> DatabaseFailure {
    .schemaMismatch(cause: cause)
}

private func unavailable(_ cause: String) -> DatabaseFailure {
    .unavailable(cause: cause)
}

private func fault(_ cause: String) -> DatabaseFailure {
    .fault(cause: cause)
}

private let remedies: [RemedyRow] = [
    // The transaction lost a race.
    RemedyRow("40001", .tryAgain),
    RemedyRow("40P01", .tryAgain),
    // The connection is of no use.
    RemedyRow("57P01", .connectionLost),
    RemedyRow("57P02", .connectionLost),
    RemedyRow("57P03", .connectionLost),
    RemedyRow("57P04", .connectionLost),
    RemedyRow("57P05", .connectionLost),
    RemedyRow("25P03", .connectionLost),
    RemedyRow("25006", .connectionLost),
    RemedyRow("08000", .connectionLost),
    RemedyRow("08001", .connectionLost),
    RemedyRow("08006", .connectionLost),
    RemedyRow("08P01", .connectionLost),
    // The statement is not there any more.
    RemedyRow("26000", .prepareAgain),
    // Constraints and values.
    RemedyRow("23505", .fail(.uniqueViolation(table: "tickets", columns: []))),
    RemedyRow("42P04", .fail(.uniqueViolation(table: "pg_database", columns: ["datname"]))),
    RemedyRow("23503") { .foreignKeyViolation(cause: $0) },
    RemedyRow("22001", .fail(valueRefused("22001"))),
    RemedyRow("22003", .fail(valueRefused("22003"))),
    RemedyRow("22P02", .fail(valueRefused("22P02"))),
    RemedyRow("23502", as: valueRefused),
    RemedyRow("23514", as: valueRefused),
    RemedyRow("23P01", as: valueRefused),
    RemedyRow("P0001", as: valueRefused),
    RemedyRow("54000", as: tooLongForIndex),
    // Tables that are not what they were.
    RemedyRow("42P01", as: schemaMismatch),
    RemedyRow("42703", as: schemaMismatch),
    RemedyRow("42804", as: schemaMismatch),
    RemedyRow("42883", as: schemaMismatch),
    RemedyRow("42P18", as: schemaMismatch),
    // Too slow, too many.
    RemedyRow("57014") { .timedOut(cause: $0) },
    RemedyRow("55P03", .fail(.overloaded)),
    // The server can't.
    RemedyRow("53100", as: unavailable),
    RemedyRow("53200", as: unavailable),
    RemedyRow("53300", as: unavailable),
    RemedyRow("55006", as: unavailable),
    RemedyRow("58030", as: unavailable),
    RemedyRow("28000", as: unavailable),
    RemedyRow("28P01", as: unavailable),
    RemedyRow("3D000", as: unavailable),
    RemedyRow("42501", as: unavailable),
    // Faults of ours.
    RemedyRow("42601", as: fault),
    RemedyRow("0A000", as: valueRefused),
    RemedyRow("428C9", as: valueRefused),
    RemedyRow("54011", as: valueRefused),
    RemedyRow("25001", as: fault),
    RemedyRow("25P02", as: fault),
    RemedyRow("54001", as: valueRefused),
    RemedyRow("57000", as: fault),
    RemedyRow("XX000", as: fault),
]
