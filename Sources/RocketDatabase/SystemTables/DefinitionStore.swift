package import RocketModel
package import RocketPlanning

/// The statements on `_definitions`: where an app's metadata is kept, each definition as its JSON.
package struct DefinitionStore: Sendable {
    private let dialect: SQLDialect

    package init(_ dialect: SQLDialect) {
        self.dialect = dialect
    }

    /// Two statements: the version, then every definition, oldest first within its kind.
    package var load: [SQLStatement] {
        [
            version,
            SQLStatement(
                "SELECT \"kind\", \"id\", \"content\" FROM \"_definitions\" ORDER BY \"position\"",
                output: .values
            ),
        ]
    }

    package var version: SQLStatement {
        SQLStatement("SELECT \"value\" FROM \"_meta\" WHERE \"key\" = 'definitions_version'", output: .values)
    }

    /// Reads what ``load`` gave.
    ///
    /// - Throws: ``DatabaseFailure/unavailable(cause:)`` where a stored definition can't be read.
    package func definitions(_ results: [StatementResult]) throws -> (version: Int64, definitions: DefinitionSet) {
        var set = DefinitionSet()
        for row in results[1].rows {
            guard row.count == 3, let kind = row[0].textValue.flatMap(DefinitionKind.init(rawValue:)),
                let id = row[1].textValue, let text = row[2].textValue
            else { throw DatabaseFailure.unavailable(cause: "a row of _definitions can't be read") }
            let content: JSONObject
            do throws(JSONSyntaxError) {
                content = try JSONParser.parse(text).objectValue ?? JSONObject()
            } catch {
                throw DatabaseFailure.unavailable(cause: "the definition \(kind.rawValue)/\(id) is no JSON: \(error)")
            }
            switch kind {
            case .entities: set.entities.append(EntityDefinition.read(content).entity)
            case .relations: set.relations.append(RelationDefinition.read(content).relation)
            default: set.others.append(StoredDefinition(kind: kind, id: id, content: content))
            }
        }
        return (results[0].rows.first?.first?.integerValue ?? 0, set)
    }

    /// The statements that turn one stored set into another, and raise the version.
    package func change(from old: DefinitionSet, to new: DefinitionSet, now: Timestamp) -> [SQLStatement] {
        let before = rows(of: old)
        let after = rows(of: new)
        var statements: [SQLStatement] = []
        // Instances go on by the text that they began with, also on a server that does not know it yet.
        for workflow in old.others + new.others where workflow.kind == .workflows {
            let key = Key(kind: .workflows, id: workflow.id)
            if before[key]?.content != after[key]?.content {
                statements.append(WorkflowStore(dialect).archive(workflow))
            }
        }
        for (key, _) in before where after[key] == nil {
            var sql = SQLBuilder(dialect)
            sql.append("DELETE FROM \"_definitions\" WHERE \"kind\" = ")
            sql.bind(stored: .text(key.kind.rawValue))
            sql.append(" AND \"id\" = ")
            sql.bind(stored: .text(key.id))
            statements.append(sql.statement())
        }
        for (key, row) in after.sorted(by: { $0.value.position < $1.value.position })
        where before[key]?.content != row.content {
            statements.append(before[key] == nil ? insert(key, row.content, now) : update(key, row.content, now))
        }
        statements.append(MetaStore.raise(.definitionsVersion))
        return statements
    }

    private struct Key: Hashable {
        let kind: DefinitionKind
        let id: String
    }

    private func rows(of set: DefinitionSet) -> [Key: (content: String, position: Int)] {
        var rows: [Key: (content: String, position: Int)] = [:]
        for entity in set.entities {
            rows[Key(kind: .entities, id: entity.name)] = (entity.json.jsonText, rows.count)
        }
        for relation in set.relations {
            rows[Key(kind: .relations, id: relation.name)] = (relation.json.jsonText, rows.count)
        }
        for other in set.others {
            rows[Key(kind: other.kind, id: other.id)] = (JSONValue.object(other.content).jsonText, rows.count)
        }
        return rows
    }

    private func insert(_ key: Key, _ content: String, _ now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append(
            "INSERT INTO \"_definitions\" (\"kind\", \"id\", \"position\", \"content\", \"created_at\", \"updated_at\")"
        )
        sql.append(" SELECT ")
        for text in [key.kind.rawValue, key.id] {
            sql.bind(stored: .text(text))
            sql.append(", ")
        }
        sql.append("COALESCE(max(\"position\"), 0) + 1, ")
        sql.bind(stored: .text(content))
        sql.append(", ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(", ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" FROM \"_definitions\"")
        return sql.statement()
    }

    private func update(_ key: Key, _ content: String, _ now: Timestamp) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("UPDATE \"_definitions\" SET \"content\" = ")
        sql.bind(stored: .text(content))
        sql.append(", \"updated_at\" = ")
        sql.bind(stored: .integer(now.microseconds))
        sql.append(" WHERE \"kind\" = ")
        sql.bind(stored: .text(key.kind.rawValue))
        sql.append(" AND \"id\" = ")
        sql.bind(stored: .text(key.id))
        return sql.statement()
    }
}

extension DefinitionStore {
    /// The version, locked until the transaction ends: changes of the metadata come one after the other.
    package var lockedVersion: SQLStatement {
        dialect == .postgres ? SQLStatement(version.text + " FOR UPDATE", output: .values) : version
    }
}
