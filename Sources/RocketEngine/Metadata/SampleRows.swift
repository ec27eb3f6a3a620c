import RocketDatabase
import RocketModel
package import RocketPlanning
import Synchronization

/// How many rows an import made; it is counted inside the transaction and read after the commit.
package final class RowCounter: Sendable {
    private let count = Mutex(0)

    package init() {}

    package var value: Int { count.withLock { $0 } }

    fileprivate func reset() { count.withLock { $0 = 0 } }
    fileprivate func add(_ rows: Int) { count.withLock { $0 += rows } }
}

/// Writes an import's sample rows as they are given, ids included: types, enums, keys and references are checked;
/// rows whose key is there already are skipped. References are resolved over the whole file, so rows may come in
/// any order.
package struct SampleRows: RowImport {
    private enum State {
        case start
        case inserted
        case referencesChecked([(path: String, message: String)])
        case done
    }

    private let data: JSONObject
    private let now: Timestamp
    private let newID: @Sendable () -> UniqueID
    private let counter: RowCounter
    private var state = State.start
    private var written: [(entity: EntityModel, name: String, keys: [FieldValue], paths: [String])] = []

    init(data: JSONObject, now: Timestamp, newID: @escaping @Sendable () -> UniqueID, counter: RowCounter) {
        self.data = data
        self.now = now
        self.newID = newID
        self.counter = counter
    }

    package mutating func next(_ results: [StatementResult], _ snapshot: AppSnapshot) throws -> [SQLStatement] {
        switch state {
        case .start:
            counter.reset()
            let statements = try inserts(snapshot)
            state = statements.isEmpty ? .done : .inserted
            return statements
        case .inserted:
            counter.add(results.reduce(0) { $0 + $1.changes })
            let checks = try referenceChecks(snapshot)
            state = checks.isEmpty ? .done : .referencesChecked(checks.map { ($0.path, $0.message) })
            return checks.map(\.statement)
        case .referencesChecked(let checks):
            var details: [FailureDetail] = []
            for (check, result) in zip(checks, results) {
                for row in result.rows {
                    let value = row.first.map(String.init(describing:)) ?? ""
                    details.append(
                        FailureDetail(field: check.path, rule: .relation, message: "\(value) \(check.message)")
                    )
                }
            }
            guard details.isEmpty else {
                throw RequestFailure(.conflict, "Sample rows name records that do not exist", details: details)
            }
            state = .done
            return []
        case .done:
            return []
        }
    }

    // MARK: inserting

    private mutating func inserts(_ snapshot: AppSnapshot) throws -> [SQLStatement] {
        var statements: [SQLStatement] = []
        var violations: [FailureDetail] = []
        for member in data.members {
            let path = "sample_data.\(member.name)"
            guard case .array(let rows) = member.value else {
                violations.append(
                    FailureDetail(
                        field: path,
                        rule: .type,
                        message: "expected an array of rows, got \(member.value.kind)"
                    )
                )
                continue
            }
            if let entity = snapshot.model(member.name) {
                statements += inserts(rows, of: entity, at: path, &violations)
            } else if let join = SampleJoin(table: member.name, snapshot) {
                statements += join.inserts(rows, at: path, snapshot.dialect, &violations)
            } else {
                let known = snapshot.definitions.entities.map(\.name) + SampleJoin.tables(snapshot)
                let hint = suggestion(for: member.name, among: known)
                violations.append(
                    FailureDetail(field: path, rule: .unknown, message: "is neither an entity nor a join table\(hint)")
                )
            }
        }
        guard violations.isEmpty else { throw RequestFailure.validation(violations) }
        return statements
    }

    /// Rows that share one INSERT; its parameters stay well under SQLite's bound of 32,766.
    private static let maximumBinds = 8000

    private mutating func inserts(
        _ rows: [JSONValue],
        of entity: EntityModel,
        at path: String,
        _ violations: inout [FailureDetail]
    ) -> [SQLStatement] {
        var valid: [[FieldValue]] = []
        var keys: [FieldValue] = []
        var paths: [String] = []
        let keyIndex = entity.index(of: entity.key.name) ?? 0
        for (index, row) in rows.enumerated() {
            guard case .object(let object) = row else {
                violations.append(
                    FailureDetail(
                        field: "\(path)[\(index)]",
                        rule: .type,
                        message: "expected an object, got \(row.kind)"
                    )
                )
                continue
            }
            let values = self.values(object, of: entity, at: "\(path)[\(index)]", &violations)
            valid.append(values)
            keys.append(values[keyIndex])
            paths.append("\(path)[\(index)]")
        }
        written.append((entity, entity.name, keys, paths))
        let perStatement = max(1, Self.maximumBinds / max(1, entity.fields.count))
        // The database numbers rows that come without a key: they leave the column out.
        let numbered = valid.filter { $0[keyIndex].isNull }
        let given = valid.filter { !$0[keyIndex].isNull }
        let withoutKey = entity.fields.indices.filter { $0 != keyIndex }
        return given.chunks(of: perStatement).map { insert($0, Array(entity.fields.indices), entity) }
            + numbered.chunks(of: perStatement).map { insert($0, withoutKey, entity) }
    }

    private func insert(_ rows: [[FieldValue]], _ columns: [Int], _ entity: EntityModel) -> SQLStatement {
        var sql = SQLBuilder(entity.dialect)
        sql.append(
            "INSERT INTO \(entity.table) (\(columns.map { entity.fields[$0].column }.joined(separator: ", "))) VALUES "
        )
        for (rowIndex, row) in rows.enumerated() {
            sql.append(rowIndex > 0 ? ", (" : "(")
            for (position, column) in columns.enumerated() {
                if position > 0 { sql.append(", ") }
                sql.bind(row[column])
            }
            sql.append(")")
        }
        sql.append(" ON CONFLICT (\(entity.key.column)) DO NOTHING")
        return sql.statement()
    }

    private func values(
        _ object: JSONObject,
        of entity: EntityModel,
        at path: String,
        _ violations: inout [FailureDetail]
    ) -> [FieldValue] {
        for name in object.names where entity.index(of: name) == nil {
            let hint = suggestion(for: name, among: entity.fieldNames)
            violations.append(
                FailureDetail(
                    field: "\(path).\(name)",
                    rule: .unknown,
                    message: "\"\(entity.name)\" has no such field\(hint)"
                )
            )
        }
        return entity.fields.map { field in
            let fieldPath = "\(path).\(field.name)"
            guard let json = object[field.name] else { return absentValue(field, entity, fieldPath, &violations) }
            do throws(CoercionFailure) {
                let value = try field.shape.value(of: json)
                if !value.isNull, let allowed = field.allowedValues, !allowed.contains(value) {
                    let list = allowed.map { $0.json.jsonText }.joined(separator: ", ")
                    violations.append(
                        FailureDetail(field: fieldPath, rule: .enum, message: "\(json.jsonText) is none of \(list)")
                    )
                }
                if value.isNull, field.definition.isMandatory { violations.append(.required(fieldPath)) }
                return value
            } catch {
                violations.append(FailureDetail(field: fieldPath, rule: .type, message: error.message))
                return .null
            }
        }
    }

    private func absentValue(
        _ field: FieldModel,
        _ entity: EntityModel,
        _ path: String,
        _ violations: inout [FailureDetail]
    ) -> FieldValue {
        if field.definition.auto != nil { return field.value(at: now) }
        if field.isPrimaryKey, entity.definition.primaryKey.generated {
            return field.shape.type == .uuid ? .uuid(newID()) : .null
        }
        if let fallback = field.defaultValue { return fallback }
        if field.definition.isMandatory || field.isPrimaryKey { violations.append(.required(path)) }
        return .null
    }

    // MARK: references

    private func referenceChecks(_ snapshot: AppSnapshot) throws -> [(
        path: String, message: String, statement: SQLStatement
    )] {
        var checks: [(path: String, message: String, statement: SQLStatement)] = []
        for relation in snapshot.definitions.relations {
            switch relation.link {
            case .foreignKey(let sourceKey, let targetKey):
                guard let source = snapshot.model(relation.source), let target = snapshot.model(relation.target),
                    let rows = written.first(where: { $0.name == relation.target }), let field = target.field(targetKey)
                else { continue }
                let sourceColumn = snapshot.dialect.quote(sourceKey)
                let condition =
                    "\(field.column) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \(source.table) AS \"_source\""
                    + " WHERE \"_source\".\(sourceColumn) = \(target.table).\(field.column)) AND "
                var sql = SQLBuilder(snapshot.dialect)
                sql.append("SELECT DISTINCT \(field.column) FROM \(target.table) WHERE \(condition)")
                sql.isMember(target.key.column, of: rows.keys.filter { !$0.isNull }, target.key.shape)
                sql.append(" LIMIT 20")
                checks.append(
                    ("sample_data.\(target.name).\(targetKey)", "names no \(source.name)", sql.statement(.values))
                )
            case .joinTable(let join):
                guard data[join.table] != nil else { continue }
                for (column, entity) in [(join.sourceKey, relation.source), (join.targetKey, relation.target)] {
                    guard let model = snapshot.model(entity) else { continue }
                    let table = snapshot.dialect.quote(join.table)
                    let name = snapshot.dialect.quote(column)
                    let text =
                        "SELECT DISTINCT \(name) FROM \(table) WHERE NOT EXISTS (SELECT 1 FROM \(model.table) AS \"_source\""
                        + " WHERE \"_source\".\(model.key.column) = \(table).\(name)) LIMIT 20"
                    checks.append(
                        (
                            "sample_data.\(join.table).\(column)", "names no \(entity)",
                            SQLStatement(text, output: .values)
                        )
                    )
                }
            }
        }
        return checks
    }
}

/// The rows of a join table in an import.
private struct SampleJoin {
    private let table: String
    private let columns: [(name: String, shape: ValueShape)]

    static func tables(_ snapshot: AppSnapshot) -> [String] {
        snapshot.definitions.relations.compactMap { relation in
            if case .joinTable(let join) = relation.link { join.table } else { nil }
        }
    }

    init?(table: String, _ snapshot: AppSnapshot) {
        for relation in snapshot.definitions.relations {
            guard case .joinTable(let join) = relation.link, join.table == table,
                let source = snapshot.model(relation.source), let target = snapshot.model(relation.target)
            else { continue }
            self.table = table
            columns = [(join.sourceKey, source.key.shape), (join.targetKey, target.key.shape)]
            return
        }
        return nil
    }

    func inserts(
        _ rows: [JSONValue],
        at path: String,
        _ dialect: SQLDialect,
        _ violations: inout [FailureDetail]
    ) -> [SQLStatement] {
        var valid: [[FieldValue]] = []
        for (index, row) in rows.enumerated() {
            guard case .object(let object) = row else {
                violations.append(
                    FailureDetail(
                        field: "\(path)[\(index)]",
                        rule: .type,
                        message: "expected an object, got \(row.kind)"
                    )
                )
                continue
            }
            for name in object.names where !columns.contains(where: { $0.name == name }) {
                violations.append(
                    FailureDetail(
                        field: "\(path)[\(index)].\(name)",
                        rule: .unknown,
                        message: "is no column of the join table"
                    )
                )
            }
            valid.append(
                columns.map { column in
                    let fieldPath = "\(path)[\(index)].\(column.name)"
                    do throws(CoercionFailure) {
                        let value = try column.shape.value(of: object[column.name] ?? .null)
                        if value.isNull { violations.append(.required(fieldPath)) }
                        return value
                    } catch {
                        violations.append(FailureDetail(field: fieldPath, rule: .type, message: error.message))
                        return .null
                    }
                }
            )
        }
        return valid.chunks(of: 1000).map { chunk in
            var sql = SQLBuilder(dialect)
            let names = columns.map { dialect.quote($0.name) }.joined(separator: ", ")
            sql.append("INSERT INTO \(dialect.quote(table)) (\(names)) VALUES ")
            for (index, row) in chunk.enumerated() {
                sql.append(index > 0 ? ", (" : "(")
                sql.bind(row[0])
                sql.append(", ")
                sql.bind(row[1])
                sql.append(")")
            }
            sql.append(" ON CONFLICT DO NOTHING")
            return sql.statement()
        }
    }
}

extension FailureDetail {
    fileprivate static func required(_ path: String) -> FailureDetail {
        FailureDetail(field: path, rule: .required, message: "is required")
    }
}

extension Array {
    fileprivate func chunks(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}
