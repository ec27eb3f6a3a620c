import RocketModel

// Statements that write many rows of one shape at once: their number grows with the number of shapes, not of rows.

enum RowStatements {
    /// Parameters of one statement; well under SQLite's bound of 32,766.
    private static let maximumBinds = 8000

    /// INSERTs of rows that have values for the same columns. Where `returnsKeys`, every statement gives the keys that
    /// the database has numbered, which grow in the order of the rows.
    ///
    /// - Returns: statements, each with how many of the rows it writes.
    static func inserts(
        _ rows: [[FieldValue]],
        columns: [Int],
        of entity: EntityModel,
        returnsKeys: Bool,
        trail: Trail? = nil
    ) -> [(statement: SQLStatement, count: Int)] {
        if let trail { return [(insert(rows, columns: columns, of: entity, trail), rows.count)] }
        let output: StatementOutput = returnsKeys ? .values : .none
        let returning = returnsKeys ? " RETURNING \(entity.key.column)" : ""
        let list = columns.map { entity.fields[$0].column }.joined(separator: ", ")
        guard !columns.isEmpty else {
            let text = "INSERT INTO \(entity.table) DEFAULT VALUES\(returning)"
            return rows.map { _ in (SQLStatement(text, output: output), 1) }
        }
        if entity.dialect == .postgres, rows.count > 1 {
            var sql = SQLBuilder(entity.dialect)
            appendInsert(rows, columns: columns, of: entity, to: &sql)
            sql.append(returning)
            return [(sql.statement(output), rows.count)]
        }
        return rows.chunks(of: max(1, maximumBinds / columns.count)).map { chunk in
            var sql = SQLBuilder(entity.dialect)
            sql.append("INSERT INTO \(entity.table) (\(list)) VALUES ")
            appendTuples(chunk, to: &sql)
            sql.append(returning)
            return (sql.statement(output), chunk.count)
        }
    }

    /// An INSERT of rows that the database numbers, on PostgreSQL, with an entry of each.
    private static func insert(
        _ rows: [[FieldValue]],
        columns: [Int],
        of entity: EntityModel,
        _ trail: Trail
    ) -> SQLStatement {
        var sql = SQLBuilder(entity.dialect)
        let values = rows.map { Dictionary(uniqueKeysWithValues: zip(columns, $0)) }
        trail.wrap(&sql, insertOf: entity, numbered: values) { sql in
            if columns.isEmpty {
                // Several rows of defaults can't be told apart: the sequence gives each its number.
                let sequence = "pg_get_serial_sequence('\(entity.table)', '\(entity.key.name)')"
                sql.append("INSERT INTO \(entity.table) (\(entity.key.column)) SELECT nextval(\(sequence))")
                sql.append(" FROM generate_series(1, ")
                sql.bind(stored: .integer(Int64(rows.count)))
                sql.append(")")
            } else {
                appendInsert(rows, columns: columns, of: entity, to: &sql)
            }
        }
        return sql.statement(.values)
    }

    private static func appendInsert(
        _ rows: [[FieldValue]],
        columns: [Int],
        of entity: EntityModel,
        to sql: inout SQLBuilder
    ) {
        let list = columns.map { entity.fields[$0].column }.joined(separator: ", ")
        let names = columns.indices.map { "c\($0)" }.joined(separator: ", ")
        sql.append("INSERT INTO \(entity.table) (\(list)) SELECT \(names) FROM ")
        appendArrays(rows, columns, entity, to: &sql)
        sql.append(" WITH ORDINALITY AS _v(\(names), n) ORDER BY n")
    }

    /// UPDATEs of rows that get values for the same columns.
    ///
    /// - Parameter rows: the key of each row, then its values in the order of the columns.
    static func updates(
        _ rows: [[FieldValue]],
        columns: [Int],
        of entity: EntityModel
    ) -> [(statement: SQLStatement, count: Int)] {
        let living = entity.softDelete ? " AND \(entity.table).\(entity.deletedAtColumn) IS NULL" : ""
        let all = [entity.keyIndex] + columns
        if rows.count == 1 {
            var sql = SQLBuilder(entity.dialect)
            sql.append("UPDATE \(entity.table) SET ")
            for (position, column) in columns.enumerated() {
                sql.append("\(position > 0 ? ", " : "")\(entity.fields[column].column) = ")
                sql.bind(rows[0][position + 1])
            }
            sql.append(" WHERE \(entity.key.column) = ")
            sql.bind(rows[0][0])
            sql.append(living)
            return [(sql.statement(), 1)]
        }
        switch entity.dialect {
        case .postgres:
            var sql = SQLBuilder(entity.dialect)
            let names = all.indices.map { "c\($0)" }
            sql.append("UPDATE \(entity.table) SET ")
            sql.append(
                columns.indices.map { "\(entity.fields[columns[$0]].column) = _v.c\($0 + 1)" }.joined(separator: ", ")
            )
            sql.append(" FROM ")
            appendArrays(rows, all, entity, to: &sql)
            sql.append(
                " AS _v(\(names.joined(separator: ", "))) WHERE \(entity.table).\(entity.key.column) = _v.c0\(living)"
            )
            return [(sql.statement(), rows.count)]
        case .sqlite:
            return rows.chunks(of: max(1, maximumBinds / all.count)).map { chunk in
                var sql = SQLBuilder(entity.dialect)
                sql.append("UPDATE \(entity.table) SET ")
                sql.append(
                    columns.indices.map { "\(entity.fields[columns[$0]].column) = _v.column\($0 + 2)" }
                        .joined(separator: ", ")
                )
                sql.append(" FROM (VALUES ")
                appendTuples(chunk, to: &sql)
                sql.append(") AS _v WHERE \(entity.table).\(entity.key.column) = _v.column1\(living)")
                return (sql.statement(), chunk.count)
            }
        }
    }

    /// Rows of a join table that are made; a link that is there already stays.
    static func links(
        _ pairs: [(own: FieldValue, theirs: FieldValue)],
        _ join: RelationSide.Join,
        _ own: EntityModel,
        _ other: EntityModel
    ) -> [SQLStatement] {
        let head = "INSERT INTO \(join.table) (\(join.own), \(join.theirs)) "
        let tail = " ON CONFLICT DO NOTHING"
        if own.dialect == .postgres, pairs.count > 1 {
            var sql = SQLBuilder(own.dialect)
            sql.append("\(head)SELECT * FROM unnest(")
            sql.bindArray(pairs.map(\.own), own.key.shape)
            sql.append(", ")
            sql.bindArray(pairs.map(\.theirs), other.key.shape)
            sql.append(")\(tail)")
            return [sql.statement()]
        }
        return pairs.chunks(of: maximumBinds / 2).map { chunk in
            var sql = SQLBuilder(own.dialect)
            sql.append("\(head)VALUES ")
            appendTuples(chunk.map { [$0.own, $0.theirs] }, to: &sql)
            sql.append(tail)
            return sql.statement()
        }
    }

    /// Rows of a join table that are removed.
    static func unlinks(
        _ pairs: [(own: FieldValue, theirs: FieldValue)],
        _ join: RelationSide.Join,
        _ own: EntityModel,
        _ other: EntityModel
    ) -> [SQLStatement] {
        pairs.chunks(of: maximumBinds / 2).map { chunk in
            var sql = SQLBuilder(own.dialect)
            sql.append("DELETE FROM \(join.table) WHERE (\(join.own), \(join.theirs)) IN (")
            switch own.dialect {
            case .sqlite:
                sql.append("VALUES ")
                appendTuples(chunk.map { [$0.own, $0.theirs] }, to: &sql)
            case .postgres:
                sql.append("SELECT * FROM unnest(")
                sql.bindArray(chunk.map(\.own), own.key.shape)
                sql.append(", ")
                sql.bindArray(chunk.map(\.theirs), other.key.shape)
                sql.append(")")
            }
            sql.append(")")
            return sql.statement()
        }
    }

    private static func appendTuples(_ rows: [[FieldValue]], to sql: inout SQLBuilder) {
        for (index, row) in rows.enumerated() {
            sql.append(index > 0 ? ", (" : "(")
            for (position, value) in row.enumerated() {
                if position > 0 { sql.append(", ") }
                sql.bind(value)
            }
            sql.append(")")
        }
    }

    /// `unnest($1::UUID[], $2::TEXT[])`: the same text for any number of rows.
    private static func appendArrays(
        _ rows: [[FieldValue]],
        _ columns: [Int],
        _ entity: EntityModel,
        to sql: inout SQLBuilder
    ) {
        sql.append("unnest(")
        for (position, column) in columns.enumerated() {
            if position > 0 { sql.append(", ") }
            sql.bindArray(rows.map { $0[position] }, entity.fields[column].shape)
        }
        sql.append(")")
    }
}

extension Array {
    /// Pieces of at most `size` elements.
    package func chunks(of size: Int) -> [[Element]] {
        // Most often there is but one piece.
        guard count > size else { return isEmpty ? [] : [self] }
        return stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
