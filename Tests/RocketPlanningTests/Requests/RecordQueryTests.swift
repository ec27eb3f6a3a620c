import RocketModel
import RocketPlanning
import Testing

/// A query that is refused, the parameter that is to blame and words of the message.
struct RefusedQuery: Sendable, CustomTestStringConvertible {
    let query: String
    let parameter: String
    let words: String

    init(_ query: String, _ parameter: String, _ words: String) {
        self.query = query
        self.parameter = parameter
        self.words = words
    }

    var testDescription: String { query }
}

private func parse(_ text: String) throws -> RecordQuery {
    try RecordQuery.parse(try QueryString(text))
}

private let refusedQueries: [RefusedQuery] = [
    .init("page=0", "page", #""page" is a whole number from 1, not "0""#),
    .init("page=-1", "page", #"not "-1""#),
    .init("page=%2B1", "page", #"not "+1""#),
    .init("page=1.0", "page", #"not "1.0""#),
    .init("page=1e1", "page", #"not "1e1""#),
    .init("page=", "page", #"not """#),
    .init("page=one", "page", #"not "one""#),
    .init("page=%D9%A1", "page", "whole number"),
    .init("page=99999999999999999999", "page", "out of range"),
    .init("page=9223372036854775807", "page", "out of range"),
    .init("per_page=0", "per_page", #""per_page" is a whole number from 1, not "0""#),
    .init("per_page=abc", "per_page", #"not "abc""#),
    .init("per_page=-5", "per_page", #"not "-5""#),
    .init("count=some", "count", #""count" is exact or none, not "some""#),
    .init("count=", "count", "exact or none"),
    .init("deleted=yes", "deleted", #""deleted" is only or with, not "yes""#),
    .init("deleted=true", "deleted", "only or with"),
    .init("fields=", "fields", "empty name"),
    .init("fields=a,,b", "fields", "empty name"),
    .init("fields=a,", "fields", "empty name"),
    .init("sort=", "sort", "empty name"),
    .init("sort=a,,b", "sort", "empty name"),
    .init("sort=-", "sort", #""-" is no sort key"#),
    .init("sort=--a", "sort", #""--a" is no sort key"#),
    .init("sort=%2Ba", "sort", #""+a" is no sort key"#),
    .init("sort=a,-a", "sort", #""a" is sorted by twice"#),
    .init("sort=a,b,c,d,e,f,g,h,i", "sort", "at most 8 fields"),
    .init("filter[]=1", "filter[]", "names no field"),
    .init("filter[.eq]=1", "filter[.eq]", "names no field"),
    .init("filter[a.]=1", "filter[a.]", "names no field"),
    .init("filter[a..eq]=1", "filter[a..eq]", "names no field"),
    .init("filter[a.=]=1", "filter[a.", "There is no parameter"),
    .init("filter=1", "filter", "There is no parameter"),
    .init("filter[a=1", "filter[a", "There is no parameter"),
    .init("Filter[a]=1", "Filter[a]", "There is no parameter"),
    .init("perpage=1", "perpage", #"did you mean "per_page"?"#),
    .init("limit=1", "limit", "There is no parameter"),
    .init("offset=1", "offset", "There is no parameter"),
    .init("page=1&page=1", "page", "given twice"),
    .init("sort=a&sort=b", "sort", "given twice"),
]

struct RecordQueryTests {
    @Test func asksForTheFirst25WithTheirTotalUnlessItSaysOtherwise() throws {
        let query = try parse("")
        #expect(query.page == 1)
        #expect(query.perPage == 25)
        #expect(query.countsTotal)
        #expect(query.filters.isEmpty)
        #expect(query.sort.isEmpty)
        #expect(query.view.fields == nil)
        #expect(query.deleted == nil)
    }

    @Test func readsEveryParameter() throws {
        let query = try parse("sort=-a,b&page=3&per_page=10&count=none&fields=x,y&deleted=only&filter[c.gt]=5")
        #expect(query.sort.map(\.path) == [["a"], ["b"]])
        #expect(query.sort.map(\.isDescending) == [true, false])
        #expect(query.page == 3)
        #expect(query.perPage == 10)
        #expect(!query.countsTotal)
        #expect(query.view.fields == ["x", "y"])
        #expect(query.deleted == .only)
        #expect(query.filters.map(\.path) == [["c", "gt"]])
        #expect(try parse("count=exact").countsTotal)
        #expect(try parse("deleted=with").deleted == .with)
    }

    @Test(arguments: FilterOperator.allCases)
    func readsEveryOperator(comparison: FilterOperator) throws {
        let filters = try parse("filter[name.\(comparison.rawValue)]=a.b,c").filters
        #expect(filters.map(\.path) == [["name", comparison.rawValue]])
        #expect(filters.map(\.value) == ["a.b,c"])
        #expect(filters.map(\.parameter) == ["filter[name.\(comparison.rawValue)]"])
    }

    @Test func aFilterWithoutAnOperatorMeansEqual() throws {
        let filters = try parse("filter%5Bname%5D=a%26b").filters
        #expect(filters.map(\.path) == [["name"]])
        #expect(filters.map(\.value) == ["a&b"])
    }

    @Test func filtersMayBeRepeatedAndKeepTheirOrder() throws {
        let filters = try parse("filter[a]=1&filter[b]=2&page=1&filter[a]=1&filter[a]=3").filters
        #expect(filters.map(\.path) == [["a"], ["b"], ["a"], ["a"]])
        #expect(filters.map(\.value) == ["1", "2", "1", "3"])
    }

    @Test func takes50FiltersAndNoMore() throws {
        let all = Array(repeating: "filter[a]=1", count: 50).joined(separator: "&")
        #expect(try parse(all).filters.count == 50)
        #expect(failure { try parse(all + "&filter[b]=1") }?.message.contains("at most 50 filters") == true)
    }

    @Test(
        arguments: [("1", 1), ("100", 100), ("101", 100), ("9223372036854775807", 100), ("007", 7)] as [(String, Int)]
    )
    func perPageOver100CountsAs100(text: String, count: Int) throws {
        #expect(try parse("per_page=\(text)").perPage == count)
    }

    @Test func perPageOver100CountsAs100HoweverLongItIs() throws {
        #expect(try parse("per_page=99999999999999999999").perPage == 100)
    }

    @Test func takesTheLastPageThatCanBeCounted() throws {
        let last = Int.max / 25
        #expect(try parse("page=\(last)").page == last)
        #expect(failure { try parse("page=\(last + 1)") }?.code == .invalidParameter)
        #expect(failure { try parse("page=\(last)&per_page=26") }?.code == .invalidParameter)
        #expect(try parse("page=\(last)&per_page=1").page == last)
    }

    @Test(arguments: refusedQueries)
    func refusesWhatIsNoQueryAndNamesTheParameter(row: RefusedQuery) {
        let refused = failure { try parse(row.query) }
        #expect(refused?.code == .invalidParameter)
        #expect(refused?.message.contains(row.words) == true, "\(refused?.message ?? "")")
        #expect(refused?.details.map(\.field) == [row.parameter])
    }

    @Test func readsPathsOfRelations() throws {
        let query = try parse("filter[account.owner.name.eq]=x&sort=-account.name")
        #expect(query.filters.map(\.path) == [["account", "owner", "name", "eq"]])
        #expect(query.sort.map(\.path) == [["account", "name"]])
    }

    @Test func readsWhatIsAskedOfAnInclude() throws {
        let view = try parse(
            "include=items,items.product&include[items][limit]=3&include[items][sort]=-qty"
                + "&include[items][filter][qty.gt]=1&include[items.product][fields]=name&include[items][filter[sku]]=a"
        ).view
        #expect(view.includes == [["items"], ["items", "product"]])
        #expect(view.options.map(\.path) == [["items"], ["items"], ["items"], ["items", "product"], ["items"]])
        #expect(
            view.options.map(\.kind) == [
                .limit(3), .sort([.init(path: ["qty"], isDescending: true)]),
                .filter(.init(path: ["qty", "gt"], value: "1", parameter: "include[items][filter][qty.gt]")),
                .fields(["name"]), .filter(.init(path: ["sku"], value: "a", parameter: "include[items][filter[sku]]")),
            ]
        )
    }

    @Test(arguments: [
        "include=", "include=a,,b", "include=a..b", "include[a]=1", "include[]=1", "include[][limit]=1",
        "include[a][limit]=0", "include[a][limit]=x", "include[a][limit]=1&include[a][limit]=2", "include[a][page]=1",
        "include[a][filter]=1", "include[a][filter][]=1", "include[a][filter][b][c]=1", "include[a][sort]=",
    ])
    func refusesWhatIsNoInclude(query: String) {
        #expect(failure { try parse(query) }?.code == .invalidParameter)
    }

    /// U+0301 and U+0600 join the bracket before or after them to one character.
    @Test func readsTheNameOfAFieldByItsBytes() throws {
        let accented = try parse("filter[%CC%81name]=x").filters
        #expect(accented.map { Array($0.path[0].utf8) } == [Array("\u{301}name".utf8)])
        let prefixed = try parse("filter[name%D8%80]=x").filters
        #expect(prefixed.map { Array($0.path[0].utf8) } == [Array("name\u{600}".utf8)])
    }
}
