package import RocketModel

/// A statement of a change of the tables, as it is shown to who asks for it.
package struct SchemaStep: Sendable, Hashable {
    package let text: String
    /// What it keeps from going on, or how much it writes; nil where that is next to nothing.
    package let risk: String?

    package var json: JSONValue {
        var object: JSONObject = ["text": .string(text)]
        object["risk"] = risk.map(JSONValue.string)
        return .object(object)
    }

    /// Judges the statements of one change: what is done to a table that the change itself makes, nobody notices.
    package static func steps(_ texts: [String], _ dialect: SQLDialect) -> [SchemaStep] {
        let made = Set(texts.filter { $0.hasPrefix("CREATE TABLE ") }.compactMap { quotedName(in: $0.dropFirst(13)) })
        return texts.map { text in
            let table = ["ALTER TABLE ", "UPDATE ", " ON "].lazy.compactMap { mark in
                text.firstRange(of: mark).flatMap { quotedName(in: text[$0.upperBound...]) }
            }.first
            let isNew = table.map(made.contains) ?? false
            return SchemaStep(text: text, risk: isNew ? nil : risk(of: text, dialect))
        }
    }

    private static func quotedName(in text: Substring) -> Substring? {
        guard text.hasPrefix("\"") else { return nil }
        return text.dropFirst().prefix { $0 != "\"" }
    }

    private static func risk(of text: String, _ dialect: SQLDialect) -> String? {
        if text.hasPrefix("UPDATE \"") { return "writes every row of the table" }
        if text.hasPrefix("ALTER TABLE "), text.contains(" ALTER COLUMN "), text.contains(" TYPE ") {
            return "writes the table anew; nobody reads or writes it meanwhile"
        }
        if text.hasPrefix("CREATE INDEX ") || text.hasPrefix("CREATE UNIQUE INDEX ") {
            return "reads every row; who writes to the table waits"
        }
        if text.hasPrefix("ALTER TABLE "), text.contains(" DROP COLUMN ") { return "writes every row of the table" }
        if dialect == .postgres, text.hasPrefix("ALTER TABLE "), text.contains(" FOREIGN KEY (") {
            return "checks every row; who writes to either table waits"
        }
        return nil
    }
}
