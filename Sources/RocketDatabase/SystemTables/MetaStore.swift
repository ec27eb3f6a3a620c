package import RocketPlanning

/// The counts in `_meta` by which servers that share a database see that another one has changed something.
package enum MetaKey: String, Sendable, CaseIterable {
    /// Grows with every change of an app's metadata.
    case definitionsVersion = "definitions_version"
    /// Grows when access tokens are ended before their time.
    case accountsVersion = "accounts_version"
    /// In the management database: grows when an app is made or deleted.
    case appsVersion = "apps_version"
}

/// The statements on `_meta`.
package enum MetaStore {
    /// Every count: rows of key and value.
    package static let versions = SQLStatement(
        "SELECT \"key\", \"value\" FROM \"_meta\"",
        output: .values,
        isBrief: true
    )

    /// Reads what ``versions`` gave.
    package static func read(_ result: StatementResult) -> [MetaKey: Int64] {
        var versions: [MetaKey: Int64] = [:]
        for row in result.rows {
            if let key = row.first?.textValue.flatMap(MetaKey.init(rawValue:)) { versions[key] = row[1].integerValue }
        }
        return versions
    }

    package static func raise(_ key: MetaKey) -> SQLStatement {
        SQLStatement("UPDATE \"_meta\" SET \"value\" = \"value\" + 1 WHERE \"key\" = '\(key.rawValue)'")
    }
}
