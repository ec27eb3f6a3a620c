package import RocketModel

/// A comparison of a field, resolved against the entity: a field that exists, values that fit.
package struct FieldCondition: Sendable {
    let field: FieldModel
    let comparison: FilterOperator
    let values: [FieldValue]

    /// - Parameter rest: what the filter's path says after the field: an operator or nothing.
    /// - Throws: 400 `INVALID_PARAMETER` for an operator or a value that the field's type does not take.
    static func resolve(
        _ filter: RecordQuery.Filter,
        _ field: FieldModel,
        _ rest: ArraySlice<String>
    ) throws(RequestFailure) -> FieldCondition {
        let type = field.shape.type
        let comparison = try comparison(rest, filter)
        guard comparison.isAllowed(on: type) else {
            throw .parameter(
                filter.parameter,
                "\"\(comparison.rawValue)\" does not go with \"\(field.name)\", which is \(type.rawValue)"
            )
        }
        return FieldCondition(field: field, comparison: comparison, values: try values(filter, comparison, field))
    }

    private static func comparison(
        _ rest: ArraySlice<String>,
        _ filter: RecordQuery.Filter
    ) throws(RequestFailure) -> FilterOperator {
        guard let word = rest.first else { return .equal }
        guard rest.count == 1 else {
            throw .parameter(filter.parameter, "\"\(filter.parameter)\" goes on after the operator \"\(word)\"")
        }
        guard let comparison = FilterOperator(rawValue: word) else {
            let names = FilterOperator.allCases.map(\.rawValue)
            throw .parameter(
                filter.parameter,
                "\"\(word)\" is no operator: \(names.joined(separator: ", "))" + suggestion(for: word, among: names)
            )
        }
        return comparison
    }

    /// The yes or no of `is_null`.
    static func isNull(_ filter: RecordQuery.Filter) throws(RequestFailure) -> Bool {
        guard filter.value == "true" || filter.value == "false" else {
            throw .parameter(filter.parameter, "\"is_null\" takes true or false, not \"\(filter.value)\"")
        }
        return filter.value == "true"
    }

    private static func values(
        _ filter: RecordQuery.Filter,
        _ comparison: FilterOperator,
        _ field: FieldModel
    ) throws(RequestFailure) -> [FieldValue] {
        switch comparison {
        case .isNull:
            return [.boolean(try isNull(filter))]
        case .isIn, .isNotIn:
            var values: [FieldValue] = []
            // By byte: a comma that a combining mark follows is one Character with it.
            for text in filter.value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                values.append(try value(String(Substring(text)), filter, field))
            }
            return values
        case .like, .ilike:
            guard filter.value.utf8.count <= maximumPatternLength else {
                throw .parameter(filter.parameter, "A pattern has at most \(maximumPatternLength) bytes")
            }
            guard !endsInEscape(filter.value) else {
                throw .parameter(filter.parameter, "A pattern can't end in a single \\, which escapes what follows")
            }
            return [try value(filter.value, filter, field)]
        default:
            return [try value(filter.value, filter, field)]
        }
    }

    private static func value(
        _ text: String,
        _ filter: RecordQuery.Filter,
        _ field: FieldModel
    ) throws(RequestFailure) -> FieldValue {
        // A filter may ask for more fraction digits than the field keeps: no row has them.
        let shape = ValueShape(type: field.shape.type)
        do throws(CoercionFailure) {
            return try shape.value(ofText: text)
        } catch {
            throw .parameter(filter.parameter, "\"\(field.name)\": \(error.message)")
        }
    }

    /// Matching costs up to the product of both lengths.
    static let maximumPatternLength = 1000

    static func isBadPattern(_ pattern: String) -> Bool {
        pattern.utf8.count > maximumPatternLength || endsInEscape(pattern)
    }

    private static func endsInEscape(_ pattern: String) -> Bool {
        pattern.utf8.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
    }

    /// `neq` and `not_in` hold for null; every other comparison but `is_null` does not.
    func append(to sql: inout SQLBuilder, of row: RowName) {
        let column = row.prefix + field.comparable
        switch comparison {
        case .equal: binary(column, "=", &sql)
        case .notEqual: binary(column, sql.dialect == .sqlite ? "IS NOT" : "IS DISTINCT FROM", &sql)
        case .greater: binary(column, ">", &sql)
        case .greaterOrEqual: binary(column, ">=", &sql)
        case .less: binary(column, "<", &sql)
        case .lessOrEqual: binary(column, "<=", &sql)
        case .isIn:
            sql.isMember(column, of: values, field.shape)
        case .isNotIn:
            sql.append("(\(column) IS NULL OR NOT ")
            sql.isMember(column, of: values, field.shape)
            sql.append(")")
        case .like:
            binary(column, "LIKE", &sql)
            sql.append(" ESCAPE '\\'")
        case .ilike: ilike(column, &sql)
        case .contains:
            sql.append(sql.dialect == .sqlite ? "instr(\(column), " : "strpos(\(column), ")
            sql.bind(values[0])
            sql.append(") > 0")
        case .startsWith: startsWith(column, &sql)
        case .isNull:
            sql.append(values[0] == .boolean(true) ? "\(column) IS NULL" : "\(column) IS NOT NULL")
        }
    }

    private func binary(_ column: String, _ spelling: String, _ sql: inout SQLBuilder) {
        sql.append("\(column) \(spelling) ")
        sql.bind(values[0])
    }

    private func ilike(_ column: String, _ sql: inout SQLBuilder) {
        switch sql.dialect {
        case .sqlite:
            sql.append("\(SQLDialect.ilikeFunction)(\(column), ")
            sql.bind(values[0])
            sql.append(")")
        case .postgres:
            binary(column, "ILIKE", &sql)
            sql.append(" COLLATE \"und-x-icu\" ESCAPE '\\'")
        }
    }

    private func startsWith(_ column: String, _ sql: inout SQLBuilder) {
        switch sql.dialect {
        case .sqlite:
            sql.append("substr(\(column), 1, length(")
            sql.bind(values[0])
            sql.append(")) = ")
            sql.bind(values[0])
        case .postgres:
            sql.append("starts_with(\(column), ")
            sql.bind(values[0])
            sql.append(")")
        }
    }
}

extension FilterOperator {
    /// Whether fields of a type can be compared so.
    package func isAllowed(on type: FieldType) -> Bool {
        switch self {
        case .equal, .notEqual, .isIn, .isNotIn: type.isComparable
        case .greater, .greaterOrEqual, .less, .lessOrEqual: type.isOrdered
        case .like, .ilike, .contains, .startsWith: type.isText
        case .isNull: true
        }
    }
}
