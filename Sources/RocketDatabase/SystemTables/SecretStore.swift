package import RocketPlanning

/// The statements on `_secrets`: what servers that share a management database sign with.
package struct SecretStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// Stores a secret unless there is one of this name.
    package func keep(_ name: String, _ value: String) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("INSERT INTO \"_secrets\" (\"name\", \"value\") VALUES (")
        sql.bind(stored: .text(name))
        sql.append(", ")
        sql.bind(stored: .text(value))
        sql.append(") ON CONFLICT (\"name\") DO NOTHING")
        return sql.statement()
    }

    package let all = SQLStatement("SELECT \"name\", \"value\" FROM \"_secrets\"", output: .values)

    package func read(_ result: StatementResult) -> [String: String] {
        let pairs = result.rows.compactMap { row in
            row.first?.textValue.flatMap { name in row[1].textValue.map { (name, $0) } }
        }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }
}
