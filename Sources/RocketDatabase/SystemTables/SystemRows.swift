import RocketModel
import RocketPlanning

extension SQLDialect {
    /// Rows of one statement; well under SQLite's bound of 32,766 parameters.
    private static let maximumRows = 500

    /// The statements that put rows into a table of the system; none for no rows.
    ///
    /// - Parameter otherwise: what follows the values, for rows that are there already.
    func inserts(
        _ table: String,
        _ columns: [String],
        _ rows: [[SQLValue]],
        otherwise: String = ""
    ) -> [SQLStatement] {
        rows.chunks(of: Self.maximumRows).map { chunk in
            var sql = SQLBuilder(self)
            let list = columns.map(quote).joined(separator: ", ")
            sql.append("INSERT INTO \(quote(table)) (\(list)) VALUES ")
            for (index, row) in chunk.enumerated() {
                sql.append(index > 0 ? ", (" : "(")
                for (position, value) in row.enumerated() {
                    if position > 0 { sql.append(", ") }
                    sql.bind(stored: value)
                }
                sql.append(")")
            }
            sql.append(otherwise)
            return sql.statement()
        }
    }
}

extension Cause {
    /// Reads the columns `depth` and `trace`.
    init(_ depth: SQLValue, _ trace: SQLValue) {
        self.init(
            depth: Int(depth.integerValue ?? 0),
            trace: trace.textValue.flatMap(TraceContext.init(stored:))
        )
    }

    var storedDepth: SQLValue { .integer(Int64(depth)) }
    var storedTrace: SQLValue { trace.map { .text($0.stored) } ?? .null }
}
