/// What the server said of a statement that it refused.
struct PostgresError: Error, Hashable, Sendable {
    /// Five characters (manual, appendix A).
    var sqlState: String
    var message: String
    var detail = ""
    var table = ""
    var column = ""
    var constraint = ""

    /// What to do about it.
    enum Remedy: Hashable, Sendable {
        /// The transaction lost a race: the same again may succeed.
        case tryAgain
        /// The connection is of no use any more.
        case connectionLost
        /// The statement was prepared for tables that have changed since: prepared anew it may run.
        case prepareAgain
        /// Nothing helps.
        case fail(DatabaseFailure)
    }

    /// - Parameter wasPreparedEarlier: whether the statement was prepared for an earlier use, so that what it was
    ///   prepared for may have changed.
    func remedy(wasPreparedEarlier: Bool) -> Remedy {
        switch sqlState {
        case "40001", "40P01": return .tryAgain
        // admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout; a standby takes no writes.
        case "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25006": return .connectionLost
        case _ where sqlState.hasPrefix("08"): return .connectionLost
        case Self.noSuchStatement: return .prepareAgain
        case _ where wasPreparedEarlier && Self.mayComeOfAnOldPlan.contains(String(sqlState.prefix(2))):
            return .prepareAgain
        default: return .fail(failure)
        }
    }

    static let noSuchStatement = "26000"
    /// The lock on a table or a row was not to be had in time.
    static let lockNotAvailable = "55P03"

    /// Feature not supported ("cached plan must not change result type"), data exceptions (a value for what was an
    /// integer), syntax errors and access violations (a column that was renamed).
    private static let mayComeOfAnOldPlan: Set<String> = ["0A", "22", "42"]

    private var failure: DatabaseFailure {
        // Details, and the messages of data exceptions, quote values, which are nothing for a log.
        let cause = sqlState.hasPrefix("22") ? sqlState : "\(sqlState) \(message)"
        switch sqlState {
        case "23505": return .uniqueViolation(table: table, columns: keyColumns)
        // A database of this name is there.
        case "42P04": return .uniqueViolation(table: "pg_database", columns: ["datname"])
        case "23503": return .foreignKeyViolation(cause: cause)
        case "54000": return .tooLongForIndex(table: table, index: constraint, cause: cause)
        case "42P01", "42703", "42804", "42883", "42P18": return .schemaMismatch(cause: cause)
        case "57014": return .timedOut(cause: cause)
        // lock_not_available: somebody changes the tables.
        case Self.lockNotAvailable: return .overloaded
        // What a table has of its own is in the way: data exceptions, integrity constraints, RAISE in a trigger; a
        // column that is computed; a view or a constraint on what is changed; more columns than a table may have.
        case _ where sqlState == "428C9" || ["22", "23", "P0", "0A", "2B", "54"].contains(String(sqlState.prefix(2))):
            return .valueRefused(table: table, column: column, cause: cause)
        // Insufficient resources, system errors, object in use, insufficient privilege, unknown database.
        case _ where ["53", "58", "55", "28", "3D"].contains(String(sqlState.prefix(2))), "42501":
            return .unavailable(cause: cause)
        default: return .fault(cause: cause)
        }
    }

    /// The columns of `Key (email, region)=(a@b.c, 7) already exists.`; none where the server does not tell.
    private var keyColumns: [String] {
        guard let open = detail.firstIndex(of: "("), let close = detail.firstRange(of: ")=(") else { return [] }
        guard open < close.lowerBound else { return [] }
        return Self.identifiers(detail[detail.index(after: open)..<close.lowerBound])
    }

    /// Splits a list of identifiers, of which those with unusual characters are in quotes.
    private static func identifiers(_ list: Substring) -> [String] {
        var names: [String] = []
        var name = String.UnicodeScalarView()
        var isQuoted = false
        var wasQuote = false
        for scalar in list.unicodeScalars {
            defer { wasQuote = scalar == "\"" && !wasQuote }
            switch scalar {
            case "\"":
                // Two in a row stand for one.
                if wasQuote, !isQuoted { name.append(scalar) }
                isQuoted.toggle()
            case "," where !isQuoted:
                names.append(String(name))
                name = String.UnicodeScalarView()
            case " " where !isQuoted: break
            default: name.append(scalar)
            }
        }
        return names + [String(name)]
    }
}
