import RocketModel

/// What the WHERE clause of a request says, resolved against the entity: fields that exist, values that fit.
package struct RowCondition: Sendable {
    let field: FieldModel
    let comparison: FilterOperator
    let values: [FieldValue]

    /// - Throws: 400 `UNKNOWN_FIELD`, or `INVALID_PARAMETER` for an operator or a value that the field's type does
    ///   not take.
    static func resolve(_ filter: RecordQuery.Filter, _ entity: EntityModel) throws(RequestFailure) -> RowCondition {
        guard let field = entity.field(filter.field) else {
            throw .unknownField(filter.field, of: entity, parameter: filter.parameter)
        }
        let type = field.shape.type
        let isAllowed =
            switch filter.comparison {
            case .equal, .notEqual, .isIn, .isNotIn: type.isComparable
            case .greater, .greaterOrEqual, .less, .lessOrEqual: type.isOrdered
            case .like, .ilike, .contains, .startsWith: type.isText
            case .isNull: true
            }
        guard isAllowed else {
            throw .parameter(
                filter.parameter,
                "\"\(filter.comparison.rawValue)\" does not go with \"\(field.name)\", which is \(type.rawValue)"
            )
        }
        return RowCondition(field: field, comparison: filter.comparison, values: try values(filter, field))
    }

    private static func values(_ filter: RecordQuery.Filter, _ field: FieldModel) throws(RequestFailure) -> [FieldValue]
    {
        switch filter.comparison {
        case .isNull:
            guard filter.value == "true" || filter.value == "false" else {
                throw .parameter(filter.parameter, "\"is_null\" takes true or false, not \"\(filter.value)\"")
            }
            return [.boolean(filter.value == "true")]
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
    private static let maximumPatternLength = 1000

    private static func endsInEscape(_ pattern: String) -> Bool {
        pattern.utf8.reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
    }

    /// `neq` and `not_in` hold for null; every other comparison but `is_null` does not.
    func append(to sql: inout SQLBuilder) {
        let column = field.comparable
        switch comparison {
        case .equal: binary("=", &sql)
        case .notEqual: binary(sql.dialect == .sqlite ? "IS NOT" : "IS DISTINCT FROM", &sql)
        case .greater: binary(">", &sql)
        case .greaterOrEqual: binary(">=", &sql)
        case .less: binary("<", &sql)
        case .lessOrEqual: binary("<=", &sql)
        case .isIn:
            sql.isMember(column, of: values, field.shape)
        case .isNotIn:
            sql.append("(\(column) IS NULL OR NOT ")
            sql.isMember(column, of: values, field.shape)
            sql.append(")")
        case .like:
            binary("LIKE", &sql)
            sql.append(" ESCAPE '\\'")
        case .ilike: ilike(&sql)
        case .contains:
            sql.append(sql.dialect == .sqlite ? "instr(\(column), " : "strpos(\(column), ")
            sql.bind(values[0])
            sql.append(") > 0")
        case .startsWith: startsWith(&sql)
        case .isNull:
            sql.append(values[0] == .boolean(true) ? "\(column) IS NULL" : "\(column) IS NOT NULL")
        }
    }

    private func binary(_ spelling: String, _ sql: inout SQLBuilder) {
        sql.append("\(field.comparable) \(spelling) ")
        sql.bind(values[0])
    }

    private func ilike(_ sql: inout SQLBuilder) {
        switch sql.dialect {
        case .sqlite:
            sql.append("\(SQLDialect.ilikeFunction)(\(field.column), ")
            sql.bind(values[0])
            sql.append(")")
        case .postgres:
            binary("ILIKE", &sql)
            sql.append(" COLLATE \"und-x-icu\" ESCAPE '\\'")
        }
    }

    private func startsWith(_ sql: inout SQLBuilder) {
        switch sql.dialect {
        case .sqlite:
            sql.append("substr(\(field.column), 1, length(")
            sql.bind(values[0])
            sql.append(")) = ")
            sql.bind(values[0])
        case .postgres:
            sql.append("starts_with(\(field.column), ")
            sql.bind(values[0])
            sql.append(")")
        }
    }
}
