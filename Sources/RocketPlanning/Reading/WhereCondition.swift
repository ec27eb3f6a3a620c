import RocketExpression
import RocketModel

/// A condition that was written as an expression, for a database: the same for every record as the expression itself.
///
/// A value that is missing is what the language makes of null (0 among numbers, nothing among texts), so every part is
/// true or false, and never unknown.
package struct WhereCondition: Sendable {
    /// What the text of a condition is, with the place of each value that is bound.
    enum Piece: Sendable {
        case sql(String)
        case bind(FieldValue)
        case bindNumber(ExpressionValue)
        case member(String, [FieldValue], ValueShape)
    }

    let pieces: [Piece]
    /// Tables of related records of which the caller sees some rows only.
    let tables: VisibleTables

    func append(to sql: inout SQLBuilder) {
        tables.define(in: &sql)
        for piece in pieces {
            switch piece {
            case .sql(let text): sql.append(text)
            case .bind(let value): sql.bind(value)
            case .bindNumber(let value): sql.bindNumber(value)
            case .member(let column, let values, let shape): sql.isMember(column, of: values, shape)
            }
        }
    }

    /// Relations of all paths together: a database plans each.
    private static let maximumHops = 60
    /// What SQLite's parser takes, with room.
    private static let maximumLevels = 24

    /// Reads `where=…`.
    ///
    /// - Throws: 400 that says which part is no expression, names nothing, or can't be asked of the database; 403 where
    ///   a relation leads to an entity that the caller can't read.
    static func resolve(
        _ source: String,
        _ entity: EntityModel,
        _ access: Access,
        now: Timestamp
    ) throws(RequestFailure) -> WhereCondition {
        let constants: [(name: String, type: ExpressionType, value: ExpressionValue)] = [
            ("now", .date, .date(DateValue(now))), ("user", .object(.user), access.principal.expressionValue),
        ]
        let term: WhereTerm
        do throws(ExpressionProblems) {
            term = try WhereTerm.read(
                source,
                constants: constants.filter { entity.field($0.name) == nil && entity.relation($0.name) == nil },
                now: DateValue(now)
            )
        } catch {
            throw .parameter("where", error.shown.joined(separator: "\n"))
        }
        guard term.hops <= maximumHops else {
            throw .parameter("where", "The condition leads through more than \(maximumHops) relations")
        }
        guard term.levels <= maximumLevels else {
            throw .parameter("where", "The condition has more than \(maximumLevels) levels of ( ), ! and + - *")
        }
        var writer = WhereWriter(source: source, entity: entity, access: access)
        let pieces = try writer.condition(term)
        return WhereCondition(pieces: pieces, tables: writer.sources.tables)
    }
}

/// Spells a condition for the database of an entity.
private struct WhereWriter {
    typealias Pieces = [WhereCondition.Piece]

    /// A field of the record or of the one related record, as a column or a subquery.
    private struct Column {
        let sql: String
        let field: FieldModel
        /// Whether there is a related record; nil for a field of the record's own.
        let exists: String?
    }

    /// What columns of related records are read from, gathered while they are spelled.
    final class Sources {
        var tables = VisibleTables()
    }

    let source: String
    let entity: EntityModel
    let access: Access
    let sources = Sources()

    private var dialect: SQLDialect { entity.dialect }

    private func refused(_ message: String, at offset: Int) -> RequestFailure {
        .parameter("where", SyntaxProblem(message, at: offset).shown(in: source))
    }

    private func truth(_ flag: Bool) -> Pieces { [.sql(flag ? SQLDialect.always : SQLDialect.never)] }

    // MARK: conditions

    mutating func condition(_ term: WhereTerm) throws(RequestFailure) -> Pieces {
        switch term {
        case .constant(let value): return truth(value.isTruthy)
        case .and: return try join(term.operands, " AND ")
        case .or: return try join(term.operands, " OR ")
        case .not(.not(let operand)): return try condition(operand)
        case .not(let operand): return [.sql("NOT (")] + (try condition(operand)) + [.sql(")")]
        case .path(let path, let offset): return try truthiness(try column(path, offset), offset)
        case .comparison(let comparison, let left, let right, let isStrict, let offset):
            if isStrict, let strict = try strictly(comparison, left, right, offset) { return strict }
            return try compare(comparison, left, right, offset)
        case .membership(let term, let items, let offset): return try membership(term, items, offset)
        case .text(let test, let term, let part, let offset): return try text(test, term, part, offset)
        case .arithmetic(_, _, _, let offset):
            let number = try number(term, offset)
            return [.sql("(")] + number + [.sql(") <> 0")]
        }
    }

    /// A chain of one operator is one level, however long it is.
    private mutating func join(_ operands: [WhereTerm], _ word: String) throws(RequestFailure) -> Pieces {
        var pieces: Pieces = [.sql("(")]
        for (index, operand) in operands.enumerated() {
            if index > 0 { pieces.append(.sql(word)) }
            pieces += try condition(operand)
        }
        return pieces + [.sql(")")]
    }

    private func truthiness(_ column: Column, _ offset: Int) throws(RequestFailure) -> Pieces {
        let test: String
        switch column.field.shape.type {
        case .boolean: test = dialect == .sqlite ? " <> 0" : ""
        case .string, .text: test = " <> ''"
        case .int, .bigint, .float: test = " <> 0"
        case .decimal: test = dialect == .sqlite ? " <> '0'" : " <> 0"
        case .uuid, .timestamp, .date: return [.sql("\(column.sql) IS NOT NULL")]
        case .json, .file:
            throw refused("\"\(column.field.name)\" is JSON, which the database is not asked about", at: offset)
        }
        return [.sql("(\(column.sql) IS NOT NULL AND \(column.sql)\(test))")]
    }

    // MARK: columns

    private func column(_ path: [String], _ offset: Int) throws(RequestFailure) -> Column {
        var entity = entity
        var rows: RelatedRows?
        var row = RowName.only(entity)
        for (index, name) in path.enumerated() {
            if index == path.count - 1 {
                guard let field = try access.field(name, of: entity) else { throw unknown(name, entity, offset) }
                return spell(field, rows, row)
            }
            guard try access.field(name, of: entity) == nil else {
                throw refused("\"\(path[index + 1])\" of \"\(name)\" can't be asked of the database", at: offset)
            }
            guard let side = entity.relation(name) else { throw unknown(name, entity, offset) }
            guard !side.isMany else {
                throw refused("\"\(name)\" leads to many records: filter[\(name).…] asks about them", at: offset)
            }
            let (other, grant) = try access.related(.read, through: side, of: entity)
            var further = side.relatedRows(of: row, entity, other, from: sources.tables.source(other, grant))
            further.tables = (rows?.tables ?? []) + further.tables
            further.conditions = (rows?.conditions ?? []) + further.conditions
            rows = further
            row = further.row
            entity = other
        }
        throw refused("a field is due", at: offset)
    }

    private func spell(_ field: FieldModel, _ rows: RelatedRows?, _ row: RowName) -> Column {
        let collation =
            dialect == .sqlite && field.shape.type == .decimal ? " COLLATE \(SQLDialect.decimalCollation)" : ""
        guard let rows else {
            return Column(sql: "\(row.reference)\(field.column)\(collation)", field: field, exists: nil)
        }
        let from = "FROM \(rows.tables.joined(separator: ", ")) WHERE \(rows.conditions.joined(separator: " AND "))"
        return Column(
            sql: "(SELECT \(row.prefix)\(field.column) \(from))\(collation)",
            field: field,
            exists: "EXISTS (SELECT 1 \(from))"
        )
    }

    private func unknown(_ name: String, _ entity: EntityModel, _ offset: Int) -> RequestFailure {
        let known = access.fieldNames(entity) + entity.relations.map(\.name) + ["now", "user"]
        let message = "\"\(entity.name)\" has no field \"\(name)\"" + suggestion(for: name, among: known)
        let shown = SyntaxProblem(message, at: offset).shown(in: source)
        return RequestFailure(
            .unknownField,
            shown,
            details: [FailureDetail(field: "where", rule: .unknown, message: message)]
        )
    }

    // MARK: comparisons

    /// `===` where null and undefined are two things: a field is never undefined, and one of a record that is not there
    /// is never null. Nil where it is the same as `==`.
    private func strictly(
        _ comparison: WhereTerm.Comparison,
        _ left: WhereTerm,
        _ right: WhereTerm,
        _ offset: Int
    ) throws(RequestFailure) -> Pieces? {
        let paths = [left, right].compactMap { term -> [String]? in
            if case .path(let path, _) = term { path } else { nil }
        }
        let values = [left, right].compactMap { term -> ExpressionValue? in
            if case .constant(let value) = term { value } else { nil }
        }
        let reachesOther = paths.contains { $0.count > 1 }
        if case .undefined? = values.first, paths.count == 1 {
            if !reachesOther { return truth(comparison == .notEqual) }
        } else if case .null? = values.first, paths.count == 1 {
            if !reachesOther { return nil }
        } else if paths.count < 2 || !reachesOther {
            return nil
        }
        throw refused("the database does not tell null from undefined; write == and !=", at: offset)
    }

    private mutating func compare(
        _ comparison: WhereTerm.Comparison,
        _ left: WhereTerm,
        _ right: WhereTerm,
        _ offset: Int
    ) throws(RequestFailure) -> Pieces {
        switch (left, right) {
        case (.constant(let a), .constant(let b)): return truth(WhereTerm.holds(comparison, a, b))
        case (.path(let path, let at), .constant(let value)):
            return try compare(comparison, try column(path, at), value, offset)
        case (.constant(let value), .path(let path, let at)):
            return try compare(comparison.turned, try column(path, at), value, offset)
        case (.path(let a, let atA), .path(let b, let atB)):
            return try compare(comparison, try column(a, atA), try column(b, atB), offset)
        case (.arithmetic, _), (_, .arithmetic):
            return try number(left, offset) + [.sql(" \(comparison.sql) ")] + number(right, offset)
        default:
            throw refused("a truth can't be compared in the database; write && and ||", at: offset)
        }
    }

    private func compare(
        _ comparison: WhereTerm.Comparison,
        _ column: Column,
        _ value: ExpressionValue,
        _ offset: Int
    ) throws(RequestFailure) -> Pieces {
        if value.isNullish {
            switch comparison {
            case .equal: return [.sql("\(column.sql) IS NULL")]
            case .notEqual: return [.sql("\(column.sql) IS NOT NULL")]
            default: throw refused("null has no order in the database", at: offset)
            }
        }
        let holdsForNull = WhereTerm.holds(comparison, .null, value)
        if let certain = beyondWholeNumbers(comparison, column, value, holdsForNull) { return certain }
        guard let bound = try bindable(value, column.field, comparison, offset) else {
            // A value that the field can't have.
            return truth(comparison == .notEqual)
        }
        let test: Pieces = [.sql("\(column.sql) \(comparison.within(value, column.field).sql) "), bound]
        guard holdsForNull else { return [.sql("(\(column.sql) IS NOT NULL AND ")] + test + [.sql(")")] }
        // A record that is not there has no field at all, which is less than null.
        let missing =
            column.exists.flatMap { exists in
                WhereTerm.holds(comparison, .undefined, value) ? nil : " AND \(exists)"
            } ?? ""
        return [.sql("((\(column.sql) IS NULL\(missing)) OR (\(column.sql) IS NOT NULL AND ")] + test + [.sql("))")]
    }

    /// What a comparison with a number says that no whole number of 64 bits reaches; nil for any other.
    private func beyondWholeNumbers(
        _ comparison: WhereTerm.Comparison,
        _ column: Column,
        _ value: ExpressionValue,
        _ holdsForNull: Bool
    ) -> Pieces? {
        guard column.field.shape.type.isWhole, let exact = value.exactDecimal, exact.isWhole, exact.int64 == nil else {
            return nil
        }
        let holds =
            switch comparison {
            case .equal: false
            case .notEqual: true
            case .less, .lessOrEqual: !exact.isNegative
            case .greater, .greaterOrEqual: exact.isNegative
            }
        let missing = comparison == .notEqual ? "" : column.exists.map { " AND \($0)" } ?? ""
        let ofNull = holdsForNull ? " OR (\(column.sql) IS NULL\(missing))" : ""
        return [.sql("(\(holds ? "\(column.sql) IS NOT NULL" : "FALSE")\(ofNull))")]
    }

    /// The value as the field's column is compared with it; nil for one that the field can't have.
    private func bindable(
        _ value: ExpressionValue,
        _ field: FieldModel,
        _ comparison: WhereTerm.Comparison,
        _ offset: Int
    ) throws(RequestFailure) -> WhereCondition.Piece? {
        let isOrder = comparison != .equal && comparison != .notEqual
        switch (field.shape.type, value) {
        case (.string, .string(let text)), (.text, .string(let text)):
            guard !text.utf8.contains(0) else {
                guard !isOrder else { throw refused("the database has no order for NUL", at: offset) }
                return nil
            }
            // Databases order by code point, and the language by UTF-16 unit; below the surrogates it is the same.
            guard !isOrder || text.unicodeScalars.allSatisfy({ $0.value < 0xD800 }) else {
                throw refused("the database has another order for such characters", at: offset)
            }
            return .bind(.text(text))
        case (.uuid, .string(let text)):
            guard let id = UniqueID(text), id.text == text else {
                guard !isOrder else { throw refused("\"\(text)\" is no UUID in lower case", at: offset) }
                return nil
            }
            return .bind(.uuid(id))
        case (.boolean, .boolean(let flag)) where !isOrder: return .bind(.boolean(flag))
        case (.timestamp, .date), (.timestamp, .string), (.date, .date), (.date, .string):
            return try instant(value, field, isOrder, offset)
        case (.int, .number), (.bigint, .number), (.float, .number), (.decimal, .number), (.decimal, .decimal),
            (.bigint, .decimal), (.int, .decimal), (.float, .decimal):
            if case .number(let number) = value, !number.isFinite {
                throw refused("a number without an end is not asked of the database", at: offset)
            }
            if field.shape.type.isWhole, dialect == .sqlite, let whole = value.exactDecimal?.int64 {
                return .bind(.whole(whole))
            }
            return field.shape.type == .float ? .bind(.double(value.nearestDouble)) : .bindNumber(value)
        default:
            throw refused(
                "\"\(field.name)\" is \(field.shape.type.rawValue), and is compared with \(value.kind)",
                at: offset
            )
        }
    }

    /// What the databases keep: the years 1 to 9999, in microseconds since 1970.
    private static let years: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

    private func instant(
        _ value: ExpressionValue,
        _ field: FieldModel,
        _ isOrder: Bool,
        _ offset: Int
    ) throws(RequestFailure) -> WhereCondition.Piece? {
        let date: DateValue
        switch value {
        case .date(let given): date = given
        case .string(let text): date = DateValue(text: text)
        default: date = .invalid
        }
        guard let microseconds = date.microseconds else {
            throw refused("\"\(field.name)\" is a date, and this is none", at: offset)
        }
        guard Self.years.contains(microseconds) else {
            throw refused("the date is outside the years 1 to 9999", at: offset)
        }
        let timestamp = Timestamp(microseconds: microseconds)
        guard field.shape.type == .date else { return .bind(.timestamp(timestamp)) }
        let day = timestamp.date
        guard DateValue(day).microseconds == microseconds else {
            guard !isOrder else {
                throw refused("\"\(field.name)\" is a day, and this is an instant within one", at: offset)
            }
            return nil
        }
        return .bind(.date(day))
    }

    private func compare(
        _ comparison: WhereTerm.Comparison,
        _ left: Column,
        _ right: Column,
        _ offset: Int
    ) throws(RequestFailure) -> Pieces {
        let (a, b) = (left.field.shape.type, right.field.shape.type)
        let isNumber = { (type: FieldType) in [.int, .bigint, .float].contains(type) }
        let isSame = a == b || (a.isText && b.isText) || (isNumber(a) && isNumber(b) && a != .float && b != .float)
        guard isSame, a != .json, a != .file else {
            throw refused("\"\(left.field.name)\" and \"\(right.field.name)\" are not of one kind", at: offset)
        }
        switch comparison {
        case .equal, .notEqual:
            let word = dialect == .sqlite ? "IS" : "IS NOT DISTINCT FROM"
            return [.sql("\(comparison == .notEqual ? "NOT " : "")(\(left.sql) \(word) \(right.sql))")]
        default:
            guard isNumber(a), left.exists == nil, right.exists == nil else {
                throw refused("the database orders two fields only where they are whole numbers or floats", at: offset)
            }
            return [.sql("COALESCE(\(left.sql), 0) \(comparison.sql) COALESCE(\(right.sql), 0)")]
        }
    }

    // MARK: numbers

    /// The largest that a computation can come to; nil for what is none.
    private func magnitude(_ term: WhereTerm) -> Double? {
        switch term {
        case .constant(.number(let number)): return abs(number) == 0 || abs(number) >= 1e-6 ? abs(number) : nil
        case .path: return 2_147_483_648
        case .arithmetic(let op, let left, let right, _):
            guard let a = magnitude(left), let b = magnitude(right) else { return nil }
            // Fractions of fractions end in nothing, which one of the databases refuses.
            if op == .multiply, (a > 0 && a < 1) || (b > 0 && b < 1) { return nil }
            return op == .multiply ? a * b : a + b
        default: return nil
        }
    }

    /// Whole numbers, computed as the language does, in doubles.
    private mutating func number(_ term: WhereTerm, _ offset: Int) throws(RequestFailure) -> Pieces {
        guard let most = magnitude(term), most <= 0x1p66 else {
            throw refused("the numbers could grow too large, or too small, for the database", at: offset)
        }
        let type = dialect == .sqlite ? "REAL" : "DOUBLE PRECISION"
        switch term {
        case .constant(.number(let number)) where abs(number) < 1e9: return [.bind(.double(number))]
        case .path(let path, let at):
            let column = try column(path, at)
            guard column.field.shape.type == .int, column.exists == nil else {
                throw refused("the database computes with whole numbers of 32 bits of the record's own only", at: at)
            }
            return [.sql("CAST(COALESCE(\(column.sql), 0) AS \(type))")]
        case .arithmetic(let op, let left, let right, let at):
            return [.sql("(")] + (try number(left, at)) + [.sql(" \(op.rawValue) ")] + (try number(right, at)) + [
                .sql(")")
            ]
        default: throw refused("the database computes with whole numbers of 32 bits only", at: offset)
        }
    }

    // MARK: lists and texts

    private func membership(
        _ term: WhereTerm,
        _ items: [ExpressionValue],
        _ offset: Int
    ) throws(RequestFailure) -> Pieces {
        guard case .path(let path, let at) = term else { throw refused("in asks about a field here", at: offset) }
        let column = try column(path, at)
        var values: [FieldValue] = []
        var hasNull = false
        for item in items {
            if case .null = item {
                hasNull = true
            } else if let value = member(item, column.field) {
                values.append(value)
            }
        }
        guard column.field.shape.type.isComparable, column.field.shape.type != .float else {
            throw refused(
                "\"\(column.field.name)\" is \(column.field.shape.type.rawValue), and no member of a list",
                at: offset
            )
        }
        // A record that is not there has no null.
        let null = column.exists.map { "(\(column.sql) IS NULL AND \($0))" } ?? "\(column.sql) IS NULL"
        guard !values.isEmpty else { return hasNull ? [.sql(null)] : truth(false) }
        let test: Pieces = [
            .sql("(\(column.sql) IS NOT NULL AND "), .member(column.sql, values, column.field.shape), .sql(")"),
        ]
        return hasNull ? [.sql("(\(null) OR ")] + test + [.sql(")")] : test
    }

    /// The element as a value of the field; nil for one that the field can't have.
    private func member(_ item: ExpressionValue, _ field: FieldModel) -> FieldValue? {
        switch (field.shape.type, item) {
        case (.string, .string(let text)), (.text, .string(let text)): return text.utf8.contains(0) ? nil : .text(text)
        case (.uuid, .string(let text)): return UniqueID(text).flatMap { $0.text == text ? .uuid($0) : nil }
        case (.boolean, .boolean(let flag)): return .boolean(flag)
        case (.int, .number), (.bigint, .number), (.int, .decimal), (.bigint, .decimal):
            return item.exactDecimal?.int64.map(FieldValue.whole)
        case (.decimal, .number), (.decimal, .decimal): return item.exactDecimal.map(FieldValue.decimal)
        case (.timestamp, .date(let date)): return timestamp(date)
        case (.timestamp, .string(let text)): return timestamp(DateValue(text: text))
        case (.date, .date(let date)): return day(date)
        case (.date, .string(let text)): return day(DateValue(text: text))
        default: return nil
        }
    }

    /// The day that begins at the instant; nil where none does.
    private func day(_ date: DateValue) -> FieldValue? {
        guard let microseconds = date.microseconds, Self.years.contains(microseconds) else { return nil }
        let day = Timestamp(microseconds: microseconds).date
        return DateValue(day).microseconds == microseconds ? .date(day) : nil
    }

    private func timestamp(_ date: DateValue) -> FieldValue? {
        guard let microseconds = date.microseconds, Self.years.contains(microseconds) else { return nil }
        return .timestamp(Timestamp(microseconds: microseconds))
    }

    private func text(
        _ test: WhereTerm.TextTest,
        _ term: WhereTerm,
        _ part: String,
        _ offset: Int
    ) throws(RequestFailure) -> Pieces {
        guard case .path(let path, let at) = term else { throw refused("a field is due", at: offset) }
        let column = try column(path, at)
        guard column.field.shape.type.isText else {
            throw refused("\"\(column.field.name)\" is \(column.field.shape.type.rawValue), and no text", at: at)
        }
        guard !part.utf8.contains(0) else { return truth(false) }
        guard !part.isEmpty else { return [.sql("\(column.sql) IS NOT NULL")] }
        let value = WhereCondition.Piece.bind(.text(part))
        let condition: Pieces
        switch (test, dialect) {
        case (.includes, .sqlite): condition = [.sql("instr(\(column.sql), "), value, .sql(") > 0")]
        case (.includes, .postgres): condition = [.sql("strpos(\(column.sql), "), value, .sql(") > 0")]
        case (.startsWith, .sqlite):
            condition = [.sql("substr(\(column.sql), 1, length("), value, .sql(")) = "), value]
        case (.startsWith, .postgres): condition = [.sql("starts_with(\(column.sql), "), value, .sql(")")]
        case (.endsWith, .sqlite): condition = [.sql("substr(\(column.sql), -length("), value, .sql(")) = "), value]
        case (.endsWith, .postgres):
            condition = [.sql("right(\(column.sql), length("), value, .sql("::TEXT)) = "), value, .sql("::TEXT")]
        }
        return [.sql("(\(column.sql) IS NOT NULL AND ")] + condition + [.sql(")")]
    }
}

extension WhereTerm {
    /// The operands of a chain of one operator.
    fileprivate var operands: [WhereTerm] {
        var operands: [WhereTerm] = []
        var rest = [self]
        while let term = rest.popLast() {
            switch (self, term) {
            case (.and, .and(let left, let right)), (.or, .or(let left, let right)): rest += [right, left]
            default: operands.append(term)
            }
        }
        return operands
    }

    /// How many parentheses stand within each other.
    fileprivate var levels: Int {
        switch self {
        case .and, .or: 1 + (operands.map(\.levels).max() ?? 0)
        case .not(.not(let operand)): operand.levels
        case .not(let operand): 1 + operand.levels
        case .comparison(_, let left, let right, _, _), .arithmetic(_, let left, let right, _):
            1 + max(left.levels, right.levels)
        case .constant, .path, .membership, .text: 1
        }
    }

    /// How many relations all paths lead through.
    fileprivate var hops: Int {
        switch self {
        case .path(let path, _): path.count - 1
        case .and, .or: operands.reduce(0) { $0 + $1.hops }
        case .not(let operand): operand.hops
        case .comparison(_, let left, let right, _, _), .arithmetic(_, let left, let right, _): left.hops + right.hops
        case .membership(let term, _, _), .text(_, let term, _, _): term.hops
        case .constant: 0
        }
    }
}

extension WhereTerm.Comparison {
    fileprivate var sql: String {
        switch self {
        case .equal: "="
        case .notEqual: "<>"
        case .less, .lessOrEqual, .greater, .greaterOrEqual: rawValue
        }
    }

    /// For a day beside an instant within one: `day < t` holds for the day of `t` too.
    fileprivate func within(_ value: ExpressionValue, _ field: FieldModel) -> WhereTerm.Comparison {
        guard field.shape.type == .date else { return self }
        let date: DateValue
        switch value {
        case .date(let given): date = given
        case .string(let text): date = DateValue(text: text)
        default: return self
        }
        guard let microseconds = date.microseconds, microseconds % 86_400_000_000 != 0 else { return self }
        switch self {
        case .less, .lessOrEqual: return .lessOrEqual
        case .greater, .greaterOrEqual: return .greater
        case .equal, .notEqual: return self
        }
    }

    /// The same with its sides exchanged.
    fileprivate var turned: WhereTerm.Comparison {
        switch self {
        case .equal, .notEqual: self
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        }
    }
}

extension ExpressionValue {
    fileprivate var exactDecimal: DecimalNumber? {
        switch self {
        case .number(let number): DecimalNumber(number)
        case .decimal(let number): number
        default: nil
        }
    }

    fileprivate var nearestDouble: Double {
        switch self {
        case .number(let number): number
        case .decimal(let number): number.doubleValue
        default: .nan
        }
    }
}

extension SQLBuilder {
    /// A number as the language has it: by its shortest digits.
    fileprivate mutating func bindNumber(_ value: ExpressionValue) {
        guard let exact = value.exactDecimal else { return bind(.null) }
        switch dialect {
        case .sqlite: bind(.decimal(exact))
        case .postgres:
            bind(.decimal(exact))
            append("::NUMERIC")
        }
    }
}
