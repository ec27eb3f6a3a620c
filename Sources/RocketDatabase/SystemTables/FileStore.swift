package import RocketModel
package import RocketPlanning

/// The statements on `_files`.
package struct FileStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    private static let columns = ["id", "filename", "size", "mime_type", "owner", "created_at", "unused_since"]
    private static let select = "SELECT \(columns.map { "\"\($0)\"" }.joined(separator: ", ")) FROM \"_files\""

    package func insert(_ file: StoredFile) -> SQLStatement {
        dialect.inserts(
            "_files",
            Self.columns,
            [
                [
                    .text(file.id.text), .text(file.filename), .integer(file.size), .text(file.mimeType),
                    .text(file.owner), .integer(file.createdAt.microseconds),
                    file.unusedSince.map { .integer($0.microseconds) } ?? .null,
                ]
            ]
        )[0]
    }

    package enum Lock: Sendable {
        case none
        /// So that nobody removes them before the transaction ends.
        case forUse
        /// So that nobody begins to use them before the transaction ends.
        case forRemoval
    }

    package func files(_ ids: [UniqueID], lock: Lock) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.select) WHERE ")
        sql.isMember("\"id\"", of: ids.map { .text($0.text) }, ValueShape(type: .text))
        if dialect == .postgres, lock != .none {
            sql.append(" ORDER BY \"id\"\(lock == .forUse ? " FOR KEY SHARE" : " FOR UPDATE")")
        }
        return sql.statement(.values)
    }

    /// A page, newest first, and how many there are in all.
    package func page(limit: Int, offset: Int) -> [SQLStatement] {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.select) ORDER BY \"created_at\" DESC, \"id\" DESC LIMIT ")
        sql.bind(stored: .integer(Int64(limit)))
        sql.append(" OFFSET ")
        sql.bind(stored: .integer(Int64(offset)))
        return [sql.statement(.values), SQLStatement("SELECT count(*) FROM \"_files\"", output: .values)]
    }

    /// Adds to what a user has uploaded on a day; its result is the sum.
    package func addUpload(by owner: String, day: Int64, bytes: Int64) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("INSERT INTO \"_file_uploads\" (\"owner\", \"day\", \"bytes\") VALUES (")
        sql.bind(stored: .text(owner))
        sql.append(", ")
        sql.bind(stored: .integer(day))
        sql.append(", ")
        sql.bind(stored: .integer(bytes))
        sql.append(") ON CONFLICT (\"owner\", \"day\") DO UPDATE SET \"bytes\" = \"_file_uploads\".\"bytes\"")
        sql.append(" + excluded.\"bytes\" RETURNING \"bytes\"")
        return sql.statement(.values)
    }

    package func forgetUploads(before day: Int64) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_file_uploads\" WHERE \"day\" < ")
        sql.bind(stored: .integer(day))
        return sql.statement()
    }

    /// Those that have been without use since an instant, oldest first.
    package func unused(since instant: Timestamp, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.select) WHERE \"unused_since\" <= ")
        sql.bind(stored: .integer(instant.microseconds))
        sql.append(" ORDER BY \"unused_since\" LIMIT \(limit)")
        return sql.statement(.values)
    }

    /// Some of those that were in use when they were last looked at.
    package func inUse(after id: String, limit: Int) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.select) WHERE \"unused_since\" IS NULL AND \"id\" > ")
        sql.bind(stored: .text(id))
        sql.append(" ORDER BY \"id\" LIMIT \(limit)")
        return sql.statement(.values)
    }

    package func note(_ ids: [UniqueID], unusedSince instant: Timestamp?) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_files\" SET \"unused_since\" = ")
        sql.bind(stored: instant.map { .integer($0.microseconds) } ?? .null)
        sql.append(" WHERE ")
        sql.isMember("\"id\"", of: ids.map { .text($0.text) }, ValueShape(type: .text))
        return sql.statement()
    }

    package func remove(_ ids: [UniqueID]) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("DELETE FROM \"_files\" WHERE ")
        sql.isMember("\"id\"", of: ids.map { .text($0.text) }, ValueShape(type: .text))
        return sql.statement()
    }

    package func read(_ row: [SQLValue]) -> StoredFile? {
        guard row.count == Self.columns.count, let id = row[0].textValue.flatMap(UniqueID.init),
            let filename = row[1].textValue, let size = row[2].integerValue, let type = row[3].textValue,
            let owner = row[4].textValue, let created = row[5].integerValue
        else { return nil }
        return StoredFile(
            id: id,
            filename: filename,
            size: size,
            mimeType: type,
            owner: owner,
            createdAt: Timestamp(microseconds: created),
            unusedSince: row[6].integerValue.map(Timestamp.init(microseconds:))
        )
    }
}
