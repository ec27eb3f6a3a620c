import GRDB
import GRDBSQLite
import RocketModel
import RocketPlanning

/// What SQLite lacks and the dialect relies on: decimals compared by value, and `ilike` for all of Unicode.
enum SQLiteFunctions {
    static func register(on database: Database, _ deadline: StatementDeadline) throws {
        try registerDecimalCollation(on: database)
        registerILike(on: database, deadline)
    }

    private static func registerDecimalCollation(on database: Database) throws {
        let code = sqlite3_create_collation_v2(
            database.sqliteConnection,
            SQLDialect.decimalCollation,
            SQLITE_UTF8,
            nil,
            { _, leftCount, left, rightCount, right in
                let left = UnsafeBufferPointer(start: left?.assumingMemoryBound(to: UInt8.self), count: Int(leftCount))
                let right = UnsafeBufferPointer(
                    start: right?.assumingMemoryBound(to: UInt8.self),
                    count: Int(rightCount)
                )
                return Int32(compareDecimalText(left, right))
            },
            nil
        )
        guard code == SQLITE_OK else { throw DatabaseFailure.fault(cause: "collation: \(code)") }
    }

    private static func registerILike(on database: Database, _ deadline: StatementDeadline) {
        database.add(
            function: DatabaseFunction(SQLDialect.ilikeFunction, argumentCount: 2, pure: true) { values in
                guard let text = String.fromDatabaseValue(values[0]), let pattern = String.fromDatabaseValue(values[1])
                else {
                    return nil
                }
                return try LikePattern(pattern, ignoresCase: true).matches(text) { deadline.isOver }
            }
        )
    }
}
