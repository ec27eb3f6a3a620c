package import RocketModel

/// What of each record a client wants to see, in names: fields, and related records beside them.
package struct RecordView: Sendable, Hashable {
    /// What is asked of one include, in the manner of a list's own parameters.
    package struct IncludeOption: Sendable, Hashable {
        package enum Kind: Sendable, Hashable {
            case limit(Int)
            case sort([RecordQuery.SortKey])
            case filter(RecordQuery.Filter)
            case fields([String])
        }

        /// The relations that lead to the include.
        package let path: [String]
        package let kind: Kind
        /// The parameter's name as it was sent, for error messages.
        package let parameter: String
    }

    package var fields: [String]?
    /// Paths of relations, as `include` names them.
    package var includes: [[String]] = []
    package var options: [IncludeOption] = []

    /// The names that a view takes beside `include[…]`.
    package static let parameterNames = ["fields", "include"]
    /// How many relations one request may include.
    package static let maximumIncludes = 50
    private static let maximumOptions = 100

    package init() {}

    /// What a read of one record may ask for beside the record.
    package struct Extras: Sendable, Hashable {
        package var transitions = false
        package var workflows = false

        package init() {}
    }

    /// A view by itself, as a read of one record takes it.
    ///
    /// - Throws: 400 `INVALID_PARAMETER` for what is not a parameter of a view.
    package static func parse(_ query: QueryString) throws(RequestFailure) -> (view: RecordView, extras: Extras) {
        var view = RecordView()
        var others: [QueryString.Parameter] = []
        for parameter in query.parameters {
            if let path = parameter.name.inside("include") {
                try view.addOption(path, parameter)
            } else {
                others.append(parameter)
            }
        }
        let values = try QueryString(unchecked: others).values(of: parameterNames + ["transitions", "workflows"])
        try view.read(values)
        var extras = Extras()
        extras.transitions = try flag("transitions", values)
        extras.workflows = try flag("workflows", values)
        return (view, extras)
    }

    private static func flag(_ name: String, _ values: [String: String]) throws(RequestFailure) -> Bool {
        switch values[name] {
        case "true": true
        case "false", nil: false
        case let value?: throw .parameter(name, "\"\(name)\" is true or false, not \"\(value)\"")
        }
    }

    mutating func read(_ values: [String: String]) throws(RequestFailure) {
        if let text = values["fields"] { fields = try RecordQuery.names(text, "fields") }
        guard let text = values["include"] else { return }
        for name in try RecordQuery.names(text, "include") {
            let path = RecordQuery.pieces(Substring(name))
            guard !path.contains(""), path.count <= RecordQuery.maximumPath else {
                throw .parameter("include", "\"\(name)\" is no path of relations: include=items,items.product")
            }
            includes.append(path)
        }
    }

    /// Reads `include[path][limit]`, `[sort]`, `[fields]` and `[filter][field.op]`.
    mutating func addOption(_ inside: Substring, _ parameter: QueryString.Parameter) throws(RequestFailure) {
        let parts = inside.split(brackets: "][")
        let path = RecordQuery.pieces(parts[0])
        guard options.count < Self.maximumOptions else {
            throw .parameter("include", "Includes take at most \(Self.maximumOptions) parameters of their own")
        }
        guard !path.contains(""), path.count <= RecordQuery.maximumPath, parts.count > 1 else {
            throw .parameter(parameter.name, "\"\(parameter.name)\" \(Self.usage)")
        }
        let kind = try kind(parts.dropFirst(), parameter)
        if case .filter = kind {
        } else if options.contains(where: { $0.parameter == parameter.name }) {
            throw .parameter(parameter.name, "The parameter \"\(parameter.name)\" is given twice")
        }
        options.append(IncludeOption(path: path, kind: kind, parameter: parameter.name))
    }

    private static let usage =
        "is none of include[relation][limit], [sort], [fields] and [filter][field.op]"

    private func kind(
        _ parts: ArraySlice<Substring>,
        _ parameter: QueryString.Parameter
    ) throws(RequestFailure) -> IncludeOption.Kind {
        let words = Array(parts)
        switch words[0] {
        case "limit" where words.count == 1:
            return .limit(try RecordQuery.positive(parameter.value, parameter.name))
        case "sort" where words.count == 1:
            return .sort(try RecordQuery.sortKeys(parameter.value, parameter.name))
        case "fields" where words.count == 1:
            return .fields(try RecordQuery.names(parameter.value, parameter.name))
        case "filter" where words.count == 2:
            return .filter(try RecordQuery.filter(words[1], parameter))
        default:
            // filter[field.op] with its own brackets inside ours means the same.
            if words.count == 1, let path = String(words[0]).inside("filter") {
                return .filter(try RecordQuery.filter(path, parameter))
            }
            throw .parameter(parameter.name, "\"\(parameter.name)\" \(Self.usage)")
        }
    }
}

extension String {
    /// What stands in the brackets of `name[…]`; nil where this is none. By byte, as brackets may have marks.
    func inside(_ name: String) -> Substring? {
        guard utf8.starts(with: name.utf8), utf8.dropFirst(name.utf8.count).first == UInt8(ascii: "["),
            utf8.last == UInt8(ascii: "]")
        else { return nil }
        return Substring(utf8.dropFirst(name.utf8.count + 1).dropLast())
    }
}

extension Substring {
    fileprivate func split(brackets separator: String) -> [Substring] {
        var parts: [Substring] = []
        var start = utf8.startIndex
        var index = utf8.startIndex
        while index < utf8.endIndex {
            if utf8[index...].starts(with: separator.utf8) {
                parts.append(self[start..<index])
                index = utf8.index(index, offsetBy: separator.utf8.count)
                start = index
            } else {
                index = utf8.index(after: index)
            }
        }
        return parts + [self[start...]]
    }
}
