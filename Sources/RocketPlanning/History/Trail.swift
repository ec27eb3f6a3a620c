package import RocketModel

/// What happened to a record.
package enum TrailAction: String, Sendable {
    case create
    case update
    case delete
    /// A soft-deleted record came back.
    case restore
}

/// The audit trail of a write: an entry for each record that it changes, written in its transaction. An entry keeps what
/// the fields were and what they became as JSON objects of the fields, in the form in which answers show them.
///
/// What is known beforehand is bound; what only the database knows, the old values of a row that nobody has read or the
/// number that a new one gets, is taken by the statement that keeps the entry, so that no entry costs a round trip.
package struct Trail: Sendable {
    private let dialect: SQLDialect
    private let user: String?
    private let requestID: String?
    private let at: Timestamp

    package init(_ dialect: SQLDialect, _ principal: Principal, requestID: String?, at now: Timestamp) {
        self.dialect = dialect
        user = Self.user(principal)
        self.requestID = requestID
        at = now
    }

    private static func user(_ principal: Principal) -> String? {
        guard !principal.isAnonymous else { return nil }
        var writer = JSONWriter(capacity: 80)
        writer.raw("{\"id\":")
        writer.string(principal.userID)
        writer.raw(",\"roles\":")
        writer.value(.array(principal.appRoles.map(JSONValue.string)))
        writer.raw("}")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// One change of one record, known before it is written.
    struct Entry {
        let entity: EntityModel
        let key: FieldValue
        let action: TrailAction
        /// JSON objects.
        let old: String?
        let new: String?
    }

    private static let head = """
        INSERT INTO "_history" ("entity", "record_id", "action", "old", "new", "user", "request_id", "created_at")
        """

    // MARK: known beforehand

    /// Parameters of one statement; well under SQLite's bound of 32,766.
    private static let maximumEntries = 1000

    func keep(_ entries: [Entry]) -> [SQLStatement] {
        guard !entries.isEmpty else { return [] }
        switch dialect {
        case .postgres: return [keepByArrays(entries)]
        case .sqlite: return entries.chunks(of: Self.maximumEntries).map(keepByTuples)
        }
    }

    private func keepByTuples(_ entries: [Entry]) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.head) VALUES ")
        for (index, entry) in entries.enumerated() {
            sql.append(index > 0 ? ", (" : "(")
            for text in [entry.entity.name, entry.key.keyText, entry.action.rawValue, entry.old, entry.new] {
                sql.bind(stored: text.map(SQLValue.text) ?? .null)
                sql.append(", ")
            }
            appendCircumstances(&sql)
            sql.append(")")
        }
        return sql.statement()
    }

    /// The same text for any number of entries.
    private func keepByArrays(_ entries: [Entry]) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.head) SELECT _e.*, ")
        appendCircumstances(&sql)
        sql.append(" FROM unnest(")
        let columns: [(Entry) -> String?] = [
            { $0.entity.name }, { $0.key.keyText }, { $0.action.rawValue }, { $0.old }, { $0.new },
        ]
        for (position, column) in columns.enumerated() {
            if position > 0 { sql.append(", ") }
            sql.bindArray(entries.map { column($0).map(FieldValue.text) ?? .null }, ValueShape(type: .text))
        }
        sql.append(") AS _e")
        return sql.statement()
    }

    /// Who, by which request, and when.
    private func appendCircumstances(_ sql: inout SQLBuilder) {
        bindText(user, &sql)
        sql.append(", ")
        bindText(requestID, &sql)
        sql.append(", ")
        sql.bind(stored: .integer(at.microseconds))
        if dialect == .postgres { sql.append("::bigint") }
    }

    /// In a SELECT PostgreSQL has to be told what a parameter is.
    private func bindText(_ text: String?, _ sql: inout SQLBuilder) {
        sql.bind(stored: text.map(SQLValue.text) ?? .null)
        if dialect == .postgres { sql.append("::text") }
    }

    // MARK: taken from the rows

    /// Entries of rows that are about to change, with what their fields are now.
    ///
    /// - Parameters:
    ///   - fields: whose values are kept, by index.
    ///   - new: what the fields become, where it is known.
    ///   - condition: appends which rows. They are locked, so that nobody changes them in between.
    func keep(
        _ action: TrailAction,
        of entity: EntityModel,
        old fields: [Int],
        new: String?,
        where condition: (inout SQLBuilder) -> Void
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.head) SELECT ")
        appendWhat(action, entity, key: entity.key.column, &sql)
        sql.append(fields.isEmpty ? "NULL" : Self.object(fields, of: entity))
        sql.append(", ")
        bindText(new, &sql)
        sql.append(", ")
        appendCircumstances(&sql)
        sql.append(" FROM \(entity.table) WHERE ")
        condition(&sql)
        if dialect == .postgres { sql.append(" FOR UPDATE OF \(entity.table)") }
        return sql.statement()
    }

    private func appendWhat(_ action: TrailAction, _ entity: EntityModel, key: String, _ sql: inout SQLBuilder) {
        bindText(entity.name, &sql)
        sql.append(", CAST(\(key) AS TEXT), ")
        bindText(action.rawValue, &sql)
        sql.append(", ")
    }

    /// Entries of records whose links in a join table go, with the keys that they were linked to.
    func keepUnlinking(
        _ relation: String,
        of entity: EntityModel,
        in joinTable: String,
        source: String,
        target: String,
        where condition: (inout SQLBuilder) -> Void
    ) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.head) SELECT ")
        appendWhat(.update, entity, key: source, &sql)
        let keys =
            dialect == .postgres
            ? "string_agg(to_jsonb(\(target))::text, ',' ORDER BY \(target))" : "group_concat(json_quote(\(target)))"
        sql.append("'{\"\(relation)\":[' || \(keys) || ']}', NULL, ")
        appendCircumstances(&sql)
        sql.append(" FROM \(joinTable) WHERE ")
        condition(&sql)
        sql.append(" GROUP BY \(source)")
        return sql.statement()
    }

    /// All rows of some keys, as they are.
    func keepDeletion(
        of entity: EntityModel,
        where condition: (inout SQLBuilder) -> Void
    ) -> SQLStatement {
        let fields = entity.fields.indices.filter { $0 != entity.keyIndex }
        return keep(.delete, of: entity, old: fields, new: nil, where: condition)
    }

    /// Entries of rows that have just been made.
    package func keepCreations(of keys: [FieldValue], _ entity: EntityModel) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.head) SELECT ")
        appendWhat(.create, entity, key: entity.key.column, &sql)
        sql.append("NULL, \(Self.object(entity.fields.indices.filter { $0 != entity.keyIndex }, of: entity)), ")
        appendCircumstances(&sql)
        sql.append(" FROM \(entity.table) WHERE ")
        sql.isMember(entity.key.column, of: keys, entity.key.shape)
        return sql.statement()
    }

    /// The entry of a row that the statement before has made on SQLite, where it has.
    func keepCreation(of entity: EntityModel, _ values: [Int: FieldValue]) -> SQLStatement {
        var sql = SQLBuilder(dialect)
        sql.append("\(Self.head) SELECT ")
        bindText(entity.name, &sql)
        sql.append(", ")
        if let key = values[entity.keyIndex], !key.isNull {
            bindText(key.keyText, &sql)
        } else {
            sql.append("CAST(last_insert_rowid() AS TEXT)")
        }
        sql.append(", ")
        bindText(TrailAction.create.rawValue, &sql)
        sql.append(", NULL, ")
        bindText(Self.json(values, of: entity), &sql)
        sql.append(", ")
        appendCircumstances(&sql)
        sql.append(" WHERE changes() > 0")
        return sql.statement()
    }

    /// An INSERT with the entry of the row that it makes, on PostgreSQL.
    ///
    /// - Parameters:
    ///   - insert: the statement without its `RETURNING`; it must give a row.
    ///   - columns: what is returned.
    func wrap(
        _ sql: inout SQLBuilder,
        insertOf entity: EntityModel,
        _ values: [Int: FieldValue],
        returning columns: String,
        _ insert: (inout SQLBuilder) -> Void
    ) {
        sql.append("WITH _w AS (")
        insert(&sql)
        sql.append(" RETURNING \(columns)), _h AS (\(Self.head) SELECT ")
        appendWhat(.create, entity, key: "_w.\(entity.key.column)", &sql)
        sql.append("NULL, ")
        bindText(Self.json(values, of: entity), &sql)
        sql.append(", ")
        appendCircumstances(&sql)
        sql.append(" FROM _w) SELECT \(columns) FROM _w")
    }

    /// The same of many rows that the database numbers, in the order of their numbers.
    ///
    /// - Parameter rows: the values of each.
    func wrap(
        _ sql: inout SQLBuilder,
        insertOf entity: EntityModel,
        numbered rows: [[Int: FieldValue]],
        _ insert: (inout SQLBuilder) -> Void
    ) {
        let key = entity.key.column
        sql.append("WITH _w AS (")
        insert(&sql)
        sql.append(" RETURNING \(key)), _h AS (\(Self.head) SELECT ")
        appendWhat(.create, entity, key: "_n._k", &sql)
        sql.append("NULL, _e._v, ")
        appendCircumstances(&sql)
        sql.append(" FROM (SELECT \(key) AS _k, row_number() OVER (ORDER BY \(key)) AS _i FROM _w) AS _n JOIN unnest(")
        sql.bindArray(rows.map { .text(Self.json($0, of: entity)) }, ValueShape(type: .text))
        sql.append(") WITH ORDINALITY AS _e(_v, _i) ON _n._i = _e._i) SELECT \(key) FROM _w")
    }

    // MARK: JSON

    /// What fields become: all but nulls, the key, and what the engine notes by itself at each update.
    static func json(_ values: [Int: FieldValue], of entity: EntityModel, withNulls: Bool = false) -> String {
        var writer = JSONWriter(capacity: 256)
        writer.raw("{")
        for index in values.keys.sorted() where index != entity.keyIndex {
            guard let value = values[index], withNulls || !value.isNull else { continue }
            if withNulls, entity.fields[index].definition.auto == .update { continue }
            if writer.bytes.count > 1 { writer.raw(",") }
            writer.string(entity.fields[index].name)
            writer.raw(":")
            writer.field(value)
        }
        writer.raw("}")
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// An expression that is a JSON object of a row's fields. SQLite bounds how deep an expression may be, and so the
    /// parts are put together in groups.
    private static func object(_ fields: [Int], of entity: EntityModel) -> String {
        guard !fields.isEmpty else { return "'{}'" }
        let members = fields.enumerated().map { position, index in
            let field = entity.fields[index]
            return "'\(position > 0 ? "," : "")\"\(field.name)\":' || \(json(field, entity.dialect))"
        }
        return "'{' || " + members.chunks(of: 50).map { "(\($0.joined(separator: " || ")))" }.joined(separator: " || ")
            + " || '}'"
    }

    /// An expression that is a column's value as JSON text.
    private static func json(_ field: FieldModel, _ dialect: SQLDialect) -> String {
        let column = field.column
        guard dialect == .sqlite else { return "COALESCE(to_jsonb(\(column))::text, 'null')" }
        // What JSON can't hold is as nothing.
        let quoted = "CASE WHEN typeof(\(column)) = 'blob' THEN 'null' ELSE json_quote(\(column)) END"
        return switch field.shape.type {
        case .boolean: "CASE WHEN \(column) IS NULL THEN 'null' WHEN \(column) = 0 THEN 'false' ELSE 'true' END"
        // json_quote rounds to fifteen digits.
        case .float:
            "CASE WHEN typeof(\(column)) <> 'real' THEN \(quoted) WHEN abs(\(column)) > 1.7976931348623157e308 THEN 'null'"
                + " ELSE printf('%!.17g', \(column)) END"
        case .decimal, .json, .file:
            "CASE WHEN typeof(\(column)) <> 'blob' AND json_valid(\(column)) THEN \(column) ELSE \(quoted) END"
        case .string, .text, .int, .bigint, .uuid, .timestamp, .date: quoted
        }
    }
}

extension FieldValue {
    /// A key as paths have it.
    package var keyText: String {
        switch self {
        case .text(let text): text
        case .whole(let number): String(number)
        case .uuid(let id): id.text
        default: json.stringValue ?? json.jsonText
        }
    }
}

extension JSONWriter {
    /// A field's value as answers show it.
    fileprivate mutating func field(_ value: FieldValue) {
        switch value {
        case .null: raw("null")
        case .text(let text): string(text)
        case .whole(let number): integer(number)
        case .double(let number): double(number)
        case .boolean(let flag): boolean(flag)
        case .uuid(let id): string(id.text)
        default: self.value(value.json)
        }
    }
}

extension Access {
    /// What keeps entries of changes of an entity's records; nil where none are kept.
    func trail(of entity: EntityModel) -> Trail? {
        guard entity.definition.history else { return nil }
        return Trail(entity.dialect, principal, requestID: requestID, at: now)
    }
}

extension PlannedRow {
    /// The entry of a row that is made or changed; nil where nothing of it is.
    var trailEntry: Trail.Entry? {
        guard let key else { return nil }
        switch action {
        case .create:
            return Trail.Entry(
                entity: entity,
                key: key,
                action: .create,
                old: nil,
                new: Trail.json(values, of: entity)
            )
        case .update:
            let fields = changes.filter { entity.fields[$0].definition.auto != .update }
            guard !fields.isEmpty else { return nil }
            let object = { (value: (Int) -> FieldValue?) in
                let values = fields.map { ($0, value($0) ?? .null) }
                return Trail.json(Dictionary(uniqueKeysWithValues: values), of: entity, withNulls: true)
            }
            return Trail.Entry(
                entity: entity,
                key: key,
                action: .update,
                old: object(storedValue),
                new: object(value)
            )
        case .delete: return nil
        }
    }
}
