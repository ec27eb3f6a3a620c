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
        case referencesChecked([ReferenceCheck])
        case recorded
        case done
    }

    private let data: JSONObject
    private let now: Timestamp
    private let newID: @Sendable () -> UniqueID
    private let counter: RowCounter
    private var state = State.start
    /// What the INSERTs give back of the rows that they made, in the order of the statements; nil for a statement
    /// that is no INSERT.
    private var returned: [[ReturnedReference]?] = []
    /// The entity whose keys each of them gives at last; nil for rows of a join table.
    private var made: [EntityModel?] = []
    private let trail: Trail?
    private var entries: [SQLStatement] = []

    /// - Parameter trail: what keeps entries of the rows that are made; nil for none.
    init(
        data: JSONObject,
        now: Timestamp,
        newID: @escaping @Sendable () -> UniqueID,
        counter: RowCounter,
        trail: Trail?
    ) {
        self.data = data
        self.trail = trail
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
            counter.add(zip(returned, results).reduce(0) { $0 + ($1.0 == nil ? 0 : $1.1.rowCount) })
            let checks = referenceChecks(results)
            entries = trailEntries(results)
            guard !checks.isEmpty else { return record() }
            state = .referencesChecked(checks)
            return checks.map { $0.lookup(snapshot.dialect) }
        case .referencesChecked(let checks):
            let details = zip(checks, results).flatMap { check, result in check.dangling(result) }
            guard details.isEmpty else {
                throw RequestFailure(.conflict, "Sample rows name records that do not exist", details: details)
            }
            return record()
        case .recorded, .done:
            state = .done
            return []
        }
    }

    private mutating func record() -> [SQLStatement] {
        state = entries.isEmpty ? .done : .recorded
        return entries
    }

    /// Entries of the rows that were made; those that were skipped have theirs.
    private func trailEntries(_ results: [StatementResult]) -> [SQLStatement] {
        guard let trail else { return [] }
        return zip(made, results).compactMap { entity, result in
            guard let entity, entity.definition.history, result.rowCount > 0 else { return nil }
            let keys = result.rows.compactMap { $0.last }.map { entity.dialect.fieldValue($0, entity.key.shape) }
            return trail.keepCreations(of: keys, entity)
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
                statements += inserts(rows, of: entity, at: path, snapshot, &violations)
            } else if let join = SampleJoin(table: member.name, snapshot) {
                let inserts = join.inserts(rows, at: path, snapshot.dialect, &violations)
                returned += inserts.map { _ in join.references(at: path) }
                made += inserts.map { _ in nil }
                statements += inserts
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
        _ snapshot: AppSnapshot,
        _ violations: inout [FailureDetail]
    ) -> [SQLStatement] {
        var valid: [[FieldValue]] = []
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
            if entity.definition.primaryKey.generated, entity.key.shape.exhausts(values[keyIndex]) {
                violations.append(
                    FailureDetail(
                        field: "\(path)[\(index)].\(entity.key.name)",
                        rule: .type,
                        message: "leaves no number for further rows"
                    )
                )
            }
            valid.append(values)
        }
        let perStatement = max(1, Self.maximumBinds / max(1, entity.fields.count))
        // The database numbers rows that come without a key: they leave the column out.
        let numbered = valid.filter { $0[keyIndex].isNull }
        let given = valid.filter { !$0[keyIndex].isNull }
        let withoutKey = entity.fields.indices.filter { $0 != keyIndex }
        let references = entity.references.enumerated().compactMap { index, reference in
            ReturnedReference(reference, column: index, of: entity, at: path, snapshot)
        }
        let first = given.chunks(of: perStatement).map { insert($0, Array(entity.fields.indices), entity) }
        let counting = given.isEmpty ? [] : Self.countOn(entity)
        let last = numbered.chunks(of: perStatement).map { insert($0, withoutKey, entity) }
        returned += first.map { _ in references } + counting.map { _ in nil } + last.map { _ in references }
        made += first.map { _ in entity } + counting.map { _ in nil } + last.map { _ in entity }
        return first + counting + last
    }

    /// After rows with numbers of their own PostgreSQL goes on with the next number that is free; SQLite does so by
    /// itself. Nobody inserts meanwhile, so no number is given twice.
    private static func countOn(_ entity: EntityModel) -> [SQLStatement] {
        guard entity.dialect == .postgres, entity.definition.primaryKey.generated, entity.key.shape.type.isWhole else {
            return []
        }
        let sequence = "pg_get_serial_sequence($1, $2)"
        return [
            SQLStatement("LOCK TABLE \(entity.table) IN SHARE ROW EXCLUSIVE MODE"),
            SQLStatement(
                "SELECT setval(\(sequence), GREATEST(max(\(entity.key.column)), nextval(\(sequence))))"
                    + " FROM \(entity.table)",
                binds: [.text(entity.table), .text(entity.key.name)]
            ),
        ]
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
        let returned = entity.references.map { entity.fields[$0.field].column } + [entity.key.column]
        sql.append(
            " ON CONFLICT (\(entity.key.column)) DO NOTHING RETURNING \(returned.joined(separator: ", "))"
        )
        return sql.statement(.values)
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

    /// Which values each reference of the rows that were made has; rows that were skipped are not judged again.
    private func referenceChecks(_ results: [StatementResult]) -> [ReferenceCheck] {
        var checks: [ReferenceCheck] = []
        for (references, result) in zip(returned, results) {
            for reference in references ?? [] {
                let values = Set(result.rows.map { $0[reference.column] }.filter { $0 != .null })
                if let index = checks.firstIndex(where: { $0.reference.path == reference.path }) {
                    checks[index].values.formUnion(values)
                } else {
                    checks.append(ReferenceCheck(reference: reference, values: values))
                }
            }
        }
        return checks.filter { !$0.values.isEmpty }
    }
}

/// A column of what an INSERT gives back that names rows of another entity.
private struct ReturnedReference {
    let path: String
    let column: Int
    let source: EntityModel
    let key: FieldModel

    init(path: String, column: Int, source: EntityModel, key: FieldModel) {
        self.path = path
        self.column = column
        self.source = source
        self.key = key
    }

    init?(_ reference: ReferenceModel, column: Int, of entity: EntityModel, at path: String, _ snapshot: AppSnapshot) {
        guard let source = snapshot.model(reference.targetEntity), let key = source.field(reference.targetKey) else {
            return nil
        }
        self.init(path: "\(path).\(entity.fields[reference.field].name)", column: column, source: source, key: key)
    }
}

/// The values of one reference, and the rows that they must name.
private struct ReferenceCheck {
    let reference: ReturnedReference
    var values: Set<SQLValue>

    /// Tells which of the values are there.
    func lookup(_ dialect: SQLDialect) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        let key = reference.key
        sql.append("SELECT DISTINCT \(key.column) FROM \(reference.source.table) WHERE ")
        sql.isMember(key.column, of: values.map { dialect.fieldValue($0, key.shape) }, key.shape)
        return sql.statement(.values)
    }

    func dangling(_ result: StatementResult) -> [FailureDetail] {
        // By value: a decimal may be written in several ways.
        let (dialect, shape) = (reference.source.dialect, reference.key.shape)
        let present = Set(result.rows.compactMap { $0.first.map { dialect.fieldValue($0, shape) } })
        let missing = values.filter { !present.contains(dialect.fieldValue($0, shape)) }
            .map { $0.textValue ?? $0.integerValue.map(String.init) ?? "" }
        return missing.sorted().prefix(20).map { value in
            FailureDetail(
                field: reference.path,
                rule: .relation,
                message: "\"\(value)\" names no \(reference.source.name)"
            )
        }
    }
}

extension ValueShape {
    /// Whether a numbered key of this value would be the last that the type has.
    fileprivate func exhausts(_ value: FieldValue) -> Bool {
        switch (type, value) {
        case (.int, .whole(let number)): number >= Int64(Int32.max)
        case (.bigint, .whole(let number)): number == Int64.max
        default: false
        }
    }
}

/// The rows of a join table in an import.
private struct SampleJoin {
    private let table: String
    private let columns: [(name: String, shape: ValueShape)]
    private let sources: [EntityModel]

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
            sources = [source, target]
            return
        }
        return nil
    }

    func references(at path: String) -> [ReturnedReference] {
        sources.enumerated().map { index, source in
            ReturnedReference(path: "\(path).\(columns[index].name)", column: index, source: source, key: source.key)
        }
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
            sql.append(" ON CONFLICT DO NOTHING RETURNING \(names)")
            return sql.statement(.values)
        }
    }
}

extension FailureDetail {
    fileprivate static func required(_ path: String) -> FailureDetail {
        FailureDetail(field: path, rule: .required, message: "is required")
    }
}
