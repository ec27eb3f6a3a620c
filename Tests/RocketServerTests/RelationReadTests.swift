import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Includes, filters and order through relations.
struct RelationReadTests {
    private static func numbers(_ answer: TestAnswer) -> [Int] {
        answer["data"].array.compactMap { $0["number"].int }
    }

    @Test(arguments: TestStore.allCases)
    func includesReadBothWaysAndAtAnyDepth(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let list = try await app.get("order?include=items.product,customer.profile,tags&sort=number")
            #expect(list.status == 200 && list["meta"]["total"] == 4, "\(list)")
            let first = list["data"][0]
            #expect(first["items"].array.map { $0["name"].string } == ["a", "b", "c"])
            #expect(first["items"].array.map { $0["product"]["name"].string } == ["Pen", "Ink", nil])
            #expect(first["items"][2]["product"].isNull && first["items"][2].names.contains("product"))
            #expect(first["customer"]["name"] == "Ada" && first["customer"]["profile"]["bio"] == "first")
            #expect(first["tags"].array.map { $0["label"].string } == ["red", "blue"])
            let last = list["data"][3]
            #expect(last["items"].array.isEmpty && last["customer"].isNull && last["tags"].array.isEmpty)
            #expect(list["data"][2]["customer"]["profile"].isNull)
            let one = try await app.get("order/\(Bazaar.id(3, 1))?include=items.product,customer.profile,tags")
            #expect(one["data"] == first)
            let tag = try await app.get("tag/\(Bazaar.id(6, 1))?include=orders.customer")
            #expect(tag["data"]["orders"].array.map { $0["customer"]["name"].string } == ["Ada", "Ada"])
            let tree = try await app.get("category/\(Bazaar.id(7, 2))?include=children,parent.children.children")
            #expect(tree["data"]["parent"]["children"][0]["children"][0]["title"] == "twig")
            #expect(tree["data"]["children"][0]["title"] == "twig")
        }
    }

    @Test(arguments: TestStore.allCases)
    func whatIsDeletedShowsInNoIncludeFilterOrOrder(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            #expect(try await app.get("order?filter[tags.label]=gone")["meta"]["total"] == 0)
            #expect(try await app.delete("note/\(Bazaar.id(5, 1))").status == 200)
            let item = try await app.get("item/\(Bazaar.id(4, 1))?include=notes")
            #expect(item["data"]["notes"].array.isEmpty)
            #expect(try await app.get("item?filter[notes.is_null]=false")["meta"]["total"] == 0)
            #expect(try await app.get("item?filter[notes.text]=n")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func anIncludeTakesALimitAnOrderAFilterAndFieldsOfItsOwn(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let limited = try await app.get(
                "order?sort=number&include=items&include[items][limit]=2&include[items][sort]=-qty,name&include[items][fields]=name,qty"
            )
            #expect(limited.status == 200, "\(limited)")
            #expect(limited["data"][0]["items"].array.map { $0["name"].string } == ["b", "c"])
            #expect(limited["data"][0]["items"][0].names == ["name", "qty"])
            #expect(limited["data"][1]["items"].array.map { $0["name"].string } == ["d"])
            let one = try await app.get(
                "order/\(Bazaar.id(3, 1))?include=items&include[items][limit]=1&include[items][sort]=-price"
            )
            #expect(one["data"]["items"].array.map { $0["name"].string } == ["b"])
            let filtered = try await app.get(
                "order?sort=number&fields=number&include=items&include[items][filter][qty.gte]=3&include[items][filter][product.name]=Ink"
            )
            #expect(filtered["data"][0].names == ["number", "items"])
            #expect(filtered["data"][0]["items"].array.map { $0["name"].string } == ["b"])
            let byProduct = try await app.get(
                "order/\(Bazaar.id(3, 1))?include[items][sort]=product.name&include=items"
            )
            #expect(byProduct["data"]["items"].array.map { $0["name"].string } == ["c", "b", "a"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFilterThroughARelationFindsRowsOnceAndBothWays(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let cases: [(String, [Int])] = [
                ("filter[customer.name]=Ada", [1, 2]), ("filter[customer.level.gt]=2", [1, 2]),
                ("filter[customer.name.neq]=Ada", [3]), ("filter[items.qty]=5", [1, 2]),
                ("filter[items.qty.gt]=0", [1, 2]), ("filter[items.product.name]=Pen", [1, 2]),
                ("filter[items.product.name]=Ink", [1]), ("filter[tags.label]=red", [1, 2]),
                ("filter[tags.label]=blue", [1]), ("filter[customer.profile.bio.contains]=irs", [1, 2]),
                ("filter[items.notes.text]=n", [1]), ("filter[customer.orders.items.qty]=3", [1, 2]),
                ("filter[items.is_null]=true", [3, 4]), ("filter[customer.is_null]=true", [4]),
                ("filter[customer.is_null]=false&filter[items.is_null]=true", [3]),
                // Two filters through one relation speak of one record.
                ("filter[items.qty.gte]=2&filter[items.qty.lte]=4", [1]),
                ("filter[items.qty.gt]=1&filter[items.name]=a", []),
                ("filter[items.price.gte]=9.5&filter[items.price.lt]=9.51", [1]),
                ("filter[state]=paid&filter[items.product.name.in]=Pen,Ink", [2]),
            ]
            for (filter, expected) in cases {
                let answer = try await app.get("order?sort=number&\(filter)")
                #expect(Self.numbers(answer) == expected, "\(filter): \(answer)")
                #expect(answer["meta"]["total"] == TestJSON(.integer(expected.count)), "\(filter)")
            }
            let self1 = try await app.get("category?filter[parent.parent.title]=root")
            #expect(self1["data"].array.map { $0["title"].string } == ["twig"])
            let self2 = try await app.get("category?filter[children.children.title]=twig")
            #expect(self2["data"].array.map { $0["title"].string } == ["root"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aListSortsByAFieldOfTheOneRelatedRecord(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            #expect(Self.numbers(try await app.get("order?sort=-customer.name,-number")) == [3, 2, 1, 4])
            #expect(Self.numbers(try await app.get("order?sort=customer.name,number")) == [4, 1, 2, 3])
            #expect(Self.numbers(try await app.get("order?sort=customer.profile.bio,-number")) == [4, 3, 2, 1])
            let items = try await app.get("item?sort=order.customer.name,-product.name,name")
            #expect(items["data"].array.map { $0["name"].string } == ["a", "d", "b", "c"])
        }
    }

    @Test(arguments: TestStore.allCases)
    func aMistakeIsToldAndNeverWidensWhatIsRead(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let cases: [(String, String, String)] = [
                ("order?include=itmes", "UNKNOWN_FIELD", "did you mean \\\"items\\\""),
                ("order?include=number", "UNKNOWN_FIELD", "has no relation"),
                ("order?include=items.nope", "UNKNOWN_FIELD", "\\\"item\\\" has no relation"),
                ("order/\(Bazaar.id(3, 1))?include=nope", "UNKNOWN_FIELD", "nope"),
                ("order?filter[custmer.name]=x", "UNKNOWN_FIELD", "did you mean \\\"customer\\\""),
                ("order?filter[customer.nam]=x", "UNKNOWN_FIELD", "did you mean \\\"name\\\""),
                ("order?filter[customer]=x", "INVALID_PARAMETER", "is a relation"),
                ("order?filter[customer.level]=x", "INVALID_PARAMETER", "level"),
                ("order?filter[customer.level.gtt]=1", "INVALID_PARAMETER", "no operator"),
                ("order?filter[number.gt.x]=1", "INVALID_PARAMETER", "goes on"),
                ("order?filter[items.is_null]=maybe", "INVALID_PARAMETER", "true or false"),
                ("order?sort=items.qty", "INVALID_PARAMETER", "many records"),
                ("order?sort=customer", "UNKNOWN_FIELD", "no field"),
                ("order?sort=custom.name", "UNKNOWN_FIELD", "no relation"),
                ("order?include=customer&include[customer][limit]=1", "INVALID_PARAMETER", "one record"),
                ("order?include[items][limit]=0&include=items", "INVALID_PARAMETER", "whole number"),
                ("order?include=items&include[items][fields]=nope", "UNKNOWN_FIELD", "nope"),
                ("order?include=items&include[items][filter][nope]=1", "UNKNOWN_FIELD", "nope"),
                ("order?include=items&include[items][size]=1", "INVALID_PARAMETER", "include[relation][limit]"),
                ("order/\(Bazaar.id(3, 1))?filter[number]=1", "INVALID_PARAMETER", "no parameter"),
            ]
            for (path, code, words) in cases {
                let answer = try await app.get(path)
                #expect(answer.status == 400 && answer.code == code, "\(path): \(answer)")
                #expect(answer.text.contains(words), "\(path): \(answer)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func anEagerRelationIsReadUnbidden(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let eager = Bazaar.relation(
                "items",
                "one_to_many",
                "order",
                "item",
                by: "order_id",
                onDelete: "cascade",
                more: ["inverse": "order", "fetch": "eager"]
            )
            #expect(try await app.put("_admin/relations/items", eager).status == 200)
            #expect(try await app.get("order?sort=number")["data"][0]["items"].array.count == 3)
            let one = try await app.get("order/\(Bazaar.id(3, 1))")
            #expect(one["data"]["items"].array.count == 3)
            let few = try await app.get("order/\(Bazaar.id(3, 1))?include=items&include[items][limit]=1")
            #expect(few["data"]["items"].array.count == 1)
            #expect(try await app.get("order/\(Bazaar.id(3, 1))?fields=number")["data"].names == ["number"])
            #expect(try await app.get("item/\(Bazaar.id(4, 1))")["data"]["order"].isNull)
            // The version is the row's own, whatever is read beside it.
            let bare = try await app.get("order/\(Bazaar.id(3, 1))?fields=number")
            #expect(bare.headers[.eTag] == one.headers[.eTag])
        }
    }
}
