/// A list, ready to run.
package struct ListPlan: Sendable {
    package let page: Int
    package let perPage: Int
    /// The rows of the page as JSON; with the total where ``carriesTotal`` says so.
    package let rows: SQLStatement
    /// Whether every row brings the total with it. No rows on the first page are a total of zero.
    package let carriesTotal: Bool
    /// One row with the total; nil where the client did not ask for it.
    package let count: SQLStatement?
    package let includes: Includes
    /// What takes out of each row what may not be read of it; nil where the columns say it all.
    package let mask: RowMask?
}

/// One record, ready to be read.
package struct ReadOnePlan: Sendable {
    /// Statements to try in turn: by key, then by slug. Each gives the whole row.
    package let attempts: [SQLStatement]
    /// The columns that the client asked for, as indexes into the entity's fields; nil for all.
    package let projection: [Int]?
    package let includes: Includes
    /// The states that the record can go to now; nil where nobody asks.
    package let transitions: ReachableStates?
    /// What takes out of the row what may not be read of it; nil for nothing.
    package let mask: RowMask?
}
