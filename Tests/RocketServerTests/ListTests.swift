import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Lists: filters, order, pages, projections. The same answers on both stores.
struct ListTests {
    private static func words(_ store: TestStore, _ test: (TestApp) async throws -> Void) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity(
                "word",
                fields: [
                    ["name": "text", "type": "string"], ["name": "rank", "type": "int"],
                    ["name": "price", "type": "decimal"],
                    ["name": "on", "type": "boolean"], ["name": "at", "type": "timestamp"],
                    ["name": "day", "type": "date"],
                    ["name": "size", "type": "float"], ["name": "big", "type": "bigint"],
                    ["name": "ref", "type": "uuid"],
                ]
            )
            let rows: [String] = [
                #"{"text":"apple","rank":1,"price":9.5,"on":true,"at":"2026-01-01T00:00:00Z","day":"2026-01-01","size":0.5,"big":1}"#,
                #"{"text":"Apple","rank":2,"price":10,"on":false,"at":"2026-01-02T00:00:00Z","day":"2026-01-02","size":-1.5}"#,
                #"{"text":"Ärger","rank":3,"price":100.25,"on":true,"at":"2026-01-03T00:00:00.000001Z","size":1e10}"#,
                #"{"text":"ärger 100%_x","rank":-4,"price":-0.05,"day":"2025-12-31","big":9223372036854775807}"#,
                #"{"rank":null,"ref":"00000000-0000-4000-8000-000000000001"}"#,
                #"{"text":"a\\b","rank":10,"price":9.50}"#,
            ]
            for row in rows {
                let answer = try await app.send(.post, "word", body: Array(row.utf8))
                #expect(answer.status == 201, "\(answer)")
            }
            try await test(app)
        }
    }

    private static func texts(_ answer: TestAnswer) -> [String] {
        answer["data"].array.map { $0["text"].string ?? "-" }
    }

    @Test(arguments: TestStore.allCases)
    func aFieldNamedCountIsSortedByBesideTheTotal(store: TestStore) async throws {
        try await TestServer.run(store) { server async throws in
            let app = try await server.makeApp()
            try await app.makeEntity("box", fields: [["name": "count", "type": "int"]])
            for count in [2, 1] { #expect(try await app.post("box", ["count": .integer(count)]).status == 201) }
            let list = try await app.get("box?sort=count")
            #expect(list["data"].array.map { $0["count"] } == [1, 2] && list["meta"]["total"] == 2, "\(list)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyOperatorFindsItsRows(store: TestStore) async throws {
        try await Self.words(store) { app async throws in
            let cases: [(String, [String])] = [
                ("filter[text]=apple", ["apple"]),
                ("filter[text.eq]=Apple", ["Apple"]),
                ("filter[text.neq]=apple", ["Apple", "Ärger", "ärger 100%_x", "-", "a\\b"]),
                ("filter[rank.gt]=2", ["Ärger", "a\\b"]),
                ("filter[rank.gte]=2", ["Apple", "Ärger", "a\\b"]),
                ("filter[rank.lt]=2", ["apple", "ärger 100%_x"]),
                ("filter[rank.lte]=2", ["apple", "Apple", "ärger 100%_x"]),
                ("filter[rank.in]=1,3,99", ["apple", "Ärger"]),
                ("filter[rank.not_in]=1,3", ["Apple", "ärger 100%_x", "-", "a\\b"]),
                ("filter[text.in]=apple,Apple", ["apple", "Apple"]),
                ("filter[text.like]=%25pple", ["apple", "Apple"]),
                ("filter[text.like]=a%25", ["apple", "a\\b"]),
                ("filter[text.like]=a____", ["apple"]),
                ("filter[text.like]=%25100%5C%25%5C_%25", ["ärger 100%_x"]),
                ("filter[text.like]=a%5C%5Cb", ["a\\b"]),
                ("filter[text.ilike]=APPLE", ["apple", "Apple"]),
                ("filter[text.ilike]=%C3%84RGER%25", ["Ärger", "ärger 100%_x"]),
                ("filter[text.contains]=pp", ["apple", "Apple"]),
                ("filter[text.contains]=%25_", ["ärger 100%_x"]),
                ("filter[text.contains]=A", ["Apple"]),
                ("filter[text.starts_with]=a", ["apple", "a\\b"]),
                ("filter[text.starts_with]=%C3%84", ["Ärger"]),
                ("filter[text.starts_with]=%25", []),
                ("filter[text.is_null]=true", ["-"]),
                ("filter[text.is_null]=false", ["apple", "Apple", "Ärger", "ärger 100%_x", "a\\b"]),
                ("filter[price]=9.50", ["apple", "a\\b"]),
                ("filter[price.gt]=9.5", ["Apple", "Ärger"]),
                ("filter[price.lt]=0", ["ärger 100%_x"]),
                ("filter[price.in]=10.00,100.250", ["Apple", "Ärger"]),
                ("filter[price.not_in]=9.5,10", ["Ärger", "ärger 100%_x", "-"]),
                ("filter[on]=true", ["apple", "Ärger"]),
                ("filter[on.neq]=true", ["Apple", "ärger 100%_x", "-", "a\\b"]),
                ("filter[at.gte]=2026-01-02T01:00:00%2B01:00", ["Apple", "Ärger"]),
                ("filter[at.gt]=2026-01-03T00:00:00Z", ["Ärger"]),
                ("filter[day.lt]=2026-01-01", ["ärger 100%_x"]),
                ("filter[size.gt]=0.5", ["Ärger"]),
                ("filter[size]=-1.5", ["Apple"]),
                ("filter[big]=9223372036854775807", ["ärger 100%_x"]),
                ("filter[ref]=00000000-0000-4000-8000-000000000001", ["-"]),
                ("filter[rank.gt]=0&filter[rank.lt]=3", ["apple", "Apple"]),
                ("filter[text.contains]=pp&filter[on]=false", ["Apple"]),
                ("filter[text]=', \" OR 1=1 --", []),
            ]
            for (query, expected) in cases {
                let answer = try await app.get(
                    "word?sort=id&\(query.replacing(" ", with: "%20").replacing("\"", with: "%22"))"
                )
                #expect(Self.texts(answer) == expected, "\(query): \(answer)")
                #expect(answer["meta"]["total"].int == expected.count, "\(query)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func textSortsByCodePointWithNullsFirst(store: TestStore) async throws {
        try await Self.words(store) { app async throws in
            let ascending = ["-", "Apple", "a\\b", "apple", "Ärger", "ärger 100%_x"]
            #expect(Self.texts(try await app.get("word?sort=text")) == ascending)
            #expect(Self.texts(try await app.get("word?sort=-text")) == ascending.reversed())
        }
    }

    @Test(arguments: TestStore.allCases)
    func decimalsSortByValueAndTiesByKey(store: TestStore) async throws {
        try await Self.words(store) { app in
            let texts = Self.texts(try await app.get("word?sort=price"))
            #expect(texts == ["-", "ärger 100%_x", "apple", "a\\b", "Apple", "Ärger"])
            #expect(
                Self.texts(try await app.get("word?sort=-price,-rank")) == [
                    "Ärger", "Apple", "a\\b", "apple", "ärger 100%_x", "-",
                ]
            )
        }
    }

    @Test(arguments: TestStore.allCases)
    func pagesNeverOverlapAndTellTheTotal(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("item", fields: [["name": "group", "type": "int"]])
            for index in 0..<60 { _ = try await app.post("item", ["group": .integer(index % 3)]) }
            var seen: [String] = []
            for page in 1...4 {
                let answer = try await app.get("item?sort=group&per_page=17&page=\(page)")
                #expect(answer["meta"].names == ["page", "per_page", "total"])
                #expect(
                    answer["meta"]["total"] == 60 && answer["meta"]["page"].int == page
                        && answer["meta"]["per_page"] == 17
                )
                seen += answer["data"].array.compactMap { $0["id"].string }
            }
            #expect(seen.count == 60 && Set(seen).count == 60)
            #expect(try await app.get("item")["data"].array.count == 25)
            #expect(try await app.get("item?per_page=1000")["meta"]["per_page"] == 100)
            let beyond = try await app.get("item?page=50")
            #expect(beyond["data"].array.isEmpty && beyond["meta"]["total"] == 60)
            let uncounted = try await app.get("item?count=none")
            #expect(uncounted["meta"].names == ["page", "per_page"])
            let empty = try await app.get("item?filter[group]=7")
            #expect(empty.text == #"{"data":[],"meta":{"page":1,"per_page":25,"total":0}}"#)
        }
    }

    @Test(arguments: TestStore.allCases)
    func fieldsProjectTheRowsInTheOrderOfTheMetadata(store: TestStore) async throws {
        try await Self.words(store) { app in
            let answer = try await app.get("word?fields=rank,text&filter[rank]=1")
            #expect(answer.text == #"{"data":[{"text":"apple","rank":1}],"meta":{"page":1,"per_page":25,"total":1}}"#)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aSoftDeleteColumnThatIsNotNamedIsNoField(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp()
            try await app.makeEntity("item", fields: [["name": "n", "type": "int"]], softDelete: true)
            let created = try await app.post("item", ["n": 1])
            #expect(created["data"].names == ["id", "n"])
            #expect(try await app.get("item?filter[deleted_at.is_null]=true").code == "UNKNOWN_FIELD")
            #expect(try await app.post("item", ["deleted_at": nil]).details == ["deleted_at unknown"])
        }
    }
}
