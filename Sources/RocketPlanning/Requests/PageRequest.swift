package import RocketModel

/// Which page of a list is asked for.
package struct PageRequest: Sendable, Hashable {
    /// From 1.
    package let page: Int
    /// From 1 to ``RecordQuery/maximumPerPage``.
    package let perPage: Int

    package static let parameterNames = ["page", "per_page"]

    /// How many rows come before the page.
    package var offset: Int { (page - 1) * perPage }

    /// - Throws: 400 `INVALID_PARAMETER` for what is no whole number from 1, and a page that no row can be on.
    package init(_ values: [String: String]) throws(RequestFailure) {
        var number = 1
        var size = RecordQuery.defaultPerPage
        if let text = values["page"] { number = try RecordQuery.positive(text, "page") }
        if let text = values["per_page"] {
            size = min(try RecordQuery.positive(text, "per_page"), RecordQuery.maximumPerPage)
        }
        guard number <= Int.max / size else { throw .parameter("page", "The page \(number) is out of range") }
        page = number
        perPage = size
    }
}
