package import RocketModel

/// What a client asks a list for, in names: whether they mean anything is the planner's question.
package struct RecordQuery: Sendable, Hashable {
    package struct Filter: Sendable, Hashable {
        package let field: String
        package let comparison: FilterOperator
        package let value: String
        /// The parameter's name as it was sent, for error messages.
        package let parameter: String
    }

    package struct SortKey: Sendable, Hashable {
        package let field: String
        package let isDescending: Bool
    }

    package enum DeletedRows: String, Sendable, CaseIterable {
        case only
        case with
    }

    package var filters: [Filter] = []
    package var sort: [SortKey] = []
    package var page = 1
    package var perPage = RecordQuery.defaultPerPage
    package var countsTotal = true
    package var fields: [String]?
    package var deleted: DeletedRows?

    package static let defaultPerPage = 25
    package static let maximumPerPage = 100
    package static let maximumFilters = 50
    package static let maximumSortKeys = 8

    /// The names that a list takes beside `filter[…]`.
    package static let parameterNames = ["sort", "page", "per_page", "count", "fields", "deleted"]
}

/// The comparisons of filters, as clients spell them.
package enum FilterOperator: String, Sendable, CaseIterable {
    case equal = "eq"
    case notEqual = "neq"
    case greater = "gt"
    case greaterOrEqual = "gte"
    case less = "lt"
    case lessOrEqual = "lte"
    case isIn = "in"
    case isNotIn = "not_in"
    case like
    case ilike
    case contains
    case startsWith = "starts_with"
    case isNull = "is_null"
}

extension RecordQuery {
    /// - Throws: 400 `INVALID_PARAMETER` for what is not a parameter, a page, a direction or an operator.
    package static func parse(_ query: QueryString) throws(RequestFailure) -> RecordQuery {
        var result = RecordQuery()
        var others: [QueryString.Parameter] = []
        for parameter in query.parameters {
            if parameter.name.utf8.starts(with: "filter[".utf8), parameter.name.utf8.last == UInt8(ascii: "]") {
                result.filters.append(try filter(parameter))
            } else {
                others.append(parameter)
            }
        }
        guard result.filters.count <= maximumFilters else {
            throw .parameter("filter", "A list takes at most \(maximumFilters) filters")
        }
        try result.read(QueryString.values(others))
        return result
    }

    private mutating func read(_ values: [String: String]) throws(RequestFailure) {
        if let text = values["sort"] { sort = try Self.sortKeys(text) }
        if let text = values["page"] { page = try Self.positive(text, "page") }
        if let text = values["per_page"] { perPage = min(try Self.positive(text, "per_page"), Self.maximumPerPage) }
        if let text = values["count"] {
            guard text == "none" || text == "exact" else {
                throw .parameter("count", "\"count\" is exact or none, not \"\(text)\"")
            }
            countsTotal = text == "exact"
        }
        if let text = values["fields"] { fields = try Self.names(text, "fields") }
        if let text = values["deleted"] {
            guard let rows = DeletedRows(rawValue: text) else {
                throw .parameter("deleted", "\"deleted\" is only or with, not \"\(text)\"")
            }
            deleted = rows
        }
        guard page <= Int.max / perPage else { throw .parameter("page", "The page \(page) is out of range") }
    }

    private static func filter(_ parameter: QueryString.Parameter) throws(RequestFailure) -> Filter {
        // By byte: a bracket or a dot that a combining mark follows is one Character with it.
        let inside = Substring(parameter.name.utf8.dropFirst("filter[".utf8.count).dropLast())
        let pieces = inside.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard !pieces.contains(""), !pieces.isEmpty else {
            throw .parameter(parameter.name, "\"\(parameter.name)\" names no field: filter[field] or filter[field.op]")
        }
        guard pieces.count > 1 else {
            return Filter(field: pieces[0], comparison: .equal, value: parameter.value, parameter: parameter.name)
        }
        guard pieces.count == 2 else {
            throw .parameter(parameter.name, "\"\(parameter.name)\" is too deep: filter[field] or filter[field.op]")
        }
        guard let comparison = FilterOperator(rawValue: pieces[1]) else {
            let names = FilterOperator.allCases.map(\.rawValue)
            let wrong = pieces[1]
            throw .parameter(
                parameter.name,
                "\"\(wrong)\" is no operator: \(names.joined(separator: ", "))" + suggestion(for: wrong, among: names)
            )
        }
        return Filter(field: pieces[0], comparison: comparison, value: parameter.value, parameter: parameter.name)
    }

    private static func sortKeys(_ text: String) throws(RequestFailure) -> [SortKey] {
        let names = try names(text, "sort")
        guard names.count <= maximumSortKeys else {
            throw .parameter("sort", "A list sorts by at most \(maximumSortKeys) fields")
        }
        var keys: [SortKey] = []
        for name in names {
            let key = SortKey(
                field: name.hasPrefix("-") ? String(name.dropFirst()) : name,
                isDescending: name.hasPrefix("-")
            )
            guard !key.field.isEmpty, !key.field.hasPrefix("-"), !key.field.hasPrefix("+") else {
                throw .parameter("sort", "\"\(name)\" is no sort key: a field's name, with - in front to turn it round")
            }
            guard !keys.contains(where: { $0.field == key.field }) else {
                throw .parameter("sort", "\"\(key.field)\" is sorted by twice")
            }
            keys.append(key)
        }
        return keys
    }

    package static func names(_ text: String, _ parameter: String) throws(RequestFailure) -> [String] {
        let names = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard !names.contains("") else { throw .parameter(parameter, "\"\(parameter)\" has an empty name in its list") }
        return names
    }

    /// A whole number from 1; one that is longer than any `Int` counts as the greatest.
    private static func positive(_ text: String, _ name: String) throws(RequestFailure) -> Int {
        let isWhole = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let value = isWhole ? Int(text) ?? .max : 0
        guard value > 0 else { throw .parameter(name, "\"\(name)\" is a whole number from 1, not \"\(text)\"") }
        return value
    }
}

extension QueryString {
    fileprivate static func values(_ parameters: [Parameter]) throws(RequestFailure) -> [String: String] {
        try QueryString(unchecked: parameters).values(of: RecordQuery.parameterNames)
    }
}

extension RequestFailure {
    /// 400 for one parameter of the query.
    package static func parameter(_ name: String, _ message: String) -> RequestFailure {
        RequestFailure(.invalidParameter, message, details: [FailureDetail(field: name, message: message)])
    }

    /// 400 for a name that the entity does not have.
    package static func unknownField(_ name: String, of entity: EntityModel, parameter: String) -> RequestFailure {
        let message = "\"\(entity.name)\" has no field \"\(name)\"" + suggestion(for: name, among: entity.fieldNames)
        return RequestFailure(
            .unknownField,
            message,
            details: [FailureDetail(field: parameter, rule: .unknown, message: message)]
        )
    }
}
