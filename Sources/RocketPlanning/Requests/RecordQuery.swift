package import RocketModel

/// What a client asks a list for, in names: whether they mean anything is the planner's question.
package struct RecordQuery: Sendable, Hashable {
    package struct Filter: Sendable, Hashable {
        /// Relations on the way, the field, and the operator where one is given: which is which, the metadata tells.
        package let path: [String]
        package let value: String
        /// The parameter's name as it was sent, for error messages.
        package let parameter: String

        package init(path: [String], value: String, parameter: String) {
            self.path = path
            self.value = value
            self.parameter = parameter
        }
    }

    package struct SortKey: Sendable, Hashable {
        /// Relations on the way and the field.
        package let path: [String]
        package let isDescending: Bool

        package init(path: [String], isDescending: Bool) {
            self.path = path
            self.isDescending = isDescending
        }
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
    package var view = RecordView()
    /// The expression of `where`.
    package var condition: String?
    package var deleted: DeletedRows?

    package static let defaultPerPage = 25
    package static let maximumPerPage = 100
    package static let maximumFilters = 50
    package static let maximumSortKeys = 8

    /// The names that a list takes beside `filter[…]`.
    package static let parameterNames =
        ["sort", "page", "per_page", "count", "deleted", "where"] + RecordView.parameterNames
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
            if let path = parameter.name.inside("filter") {
                result.filters.append(try filter(path, parameter))
            } else if let path = parameter.name.inside("include") {
                try result.view.addOption(path, parameter)
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
        let place = try PageRequest(values)
        page = place.page
        perPage = place.perPage
        if let text = values["count"] {
            guard text == "none" || text == "exact" else {
                throw .parameter("count", "\"count\" is exact or none, not \"\(text)\"")
            }
            countsTotal = text == "exact"
        }
        condition = values["where"]
        try view.read(values)
        if let text = values["deleted"] {
            guard let rows = DeletedRows(rawValue: text) else {
                throw .parameter("deleted", "\"deleted\" is only or with, not \"\(text)\"")
            }
            deleted = rows
        }
    }

    static func filter(
        _ path: Substring,
        _ parameter: QueryString.Parameter
    ) throws(RequestFailure) -> Filter {
        let pieces = pieces(path)
        guard !pieces.contains(""), pieces.count <= maximumPath else {
            throw .parameter(
                parameter.name,
                "\"\(parameter.name)\" names no field: filter[field], filter[field.op] or filter[relation.field.op]"
            )
        }
        return Filter(path: pieces, value: parameter.value, parameter: parameter.name)
    }

    /// The names between the dots. By byte: a dot that a combining mark follows is one Character with it.
    static func pieces(_ path: Substring) -> [String] {
        path.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { String(Substring($0)) }
    }

    /// How many names a path may have; what is longer names nothing that anybody means.
    static let maximumPath = 32

    static func sortKeys(_ text: String, _ parameter: String = "sort") throws(RequestFailure) -> [SortKey] {
        let names = try names(text, parameter)
        guard names.count <= maximumSortKeys else {
            throw .parameter(parameter, "A list sorts by at most \(maximumSortKeys) fields")
        }
        var keys: [SortKey] = []
        for name in names {
            let isDescending = name.utf8.first == UInt8(ascii: "-")
            let path = Substring(name.utf8.dropFirst(isDescending ? 1 : 0))
            let key = SortKey(path: pieces(path), isDescending: isDescending)
            guard !key.path.contains(""), key.path.count <= maximumPath, !path.hasPrefix("-"), !path.hasPrefix("+")
            else {
                throw .parameter(
                    parameter,
                    "\"\(name)\" is no sort key: a field's name, with - in front to turn it round"
                )
            }
            guard !keys.contains(where: { $0.path == key.path }) else {
                throw .parameter(parameter, "\"\(path)\" is sorted by twice")
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
    static func positive(_ text: String, _ name: String) throws(RequestFailure) -> Int {
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
    static func unknownField(_ name: String, of entity: EntityModel, _ access: Access, parameter: String)
        -> RequestFailure
    {
        unknownName("field", name, of: entity, among: access.fieldNames(entity), parameter)
    }

    /// 400 for a name that may be a field's or a relation's and is neither.
    static func unknownPath(_ name: String, of entity: EntityModel, _ access: Access, parameter: String)
        -> RequestFailure
    {
        let known = access.fieldNames(entity) + entity.relations.map(\.name)
        return unknownName("field or relation", name, of: entity, among: known, parameter)
    }

    /// 400 for a relation that the entity does not have.
    static func unknownRelation(_ name: String, of entity: EntityModel, parameter: String) -> RequestFailure {
        unknownName("relation", name, of: entity, among: entity.relations.map(\.name), parameter)
    }

    private static func unknownName(
        _ kind: String,
        _ name: String,
        of entity: EntityModel,
        among known: [String],
        _ parameter: String
    ) -> RequestFailure {
        let message = "\"\(entity.name)\" has no \(kind) \"\(name)\"" + suggestion(for: name, among: known)
        return RequestFailure(
            .unknownField,
            message,
            details: [FailureDetail(field: parameter, rule: .unknown, message: message)]
        )
    }
}
