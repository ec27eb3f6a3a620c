import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Many operations in one transaction.
struct BatchTests {
    private static func operation(_ method: String, _ path: String, _ body: JSONValue? = nil) -> JSONValue {
        var object: JSONObject = ["method": .string(method), "path": .string(path)]
        if let body { object["body"] = body }
        return .object(object)
    }

    private static func send(_ app: TestApp, _ operations: [JSONValue]) async throws -> TestAnswer {
        try await app.post("_batch", ["operations": .array(operations)])
    }

    @Test(arguments: TestStore.allCases)
    func laterOperationsUseEarlierResults(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let answer = try await Self.send(
                app,
                [
                    Self.operation("POST", "/customer", ["name": "Zoe", "profile": ["bio": "$$0.id"]]),
                    Self.operation(
                        "POST",
                        "order",
                        ["number": 77, "customer_id": "$0.id", "items": [["name": "$0.name"], ["name": "$x"]]]
                    ),
                    Self.operation("PUT", "/api/bazaar/item/$1.items.0.id", ["qty": 9]),
                    Self.operation(
                        "PATCH",
                        "/order/$1.id",
                        ["state": "paid", "tags": [["id": .string(Bazaar.id(6, 1))]]]
                    ),
                    Self.operation("DELETE", "/item/$1.items.1.id"),
                    Self.operation("DELETE", "/note/\(Bazaar.id(5, 1))?purge=true"),
                    Self.operation("POST", "/tag/\(Bazaar.id(6, 3))/restore"),
                    Self.operation("POST", "/bin", ["label": "$4.id"]),
                    Self.operation("POST", "/part", ["bin_id": "$7.id"]),
                ]
            )
            #expect(answer.status == 200, "\(answer)")
            let data = answer["data"]
            #expect(data.array.map { $0["status"].int } == [201, 201, 200, 200, 200, 200, 200, 201, 201])
            #expect(data[0]["data"]["profile"]["bio"] == "$0.id")
            #expect(data[1]["data"]["customer_id"] == data[0]["data"]["id"])
            #expect(data[1]["data"]["items"].array.map { $0["name"].string } == ["Zoe", "$x"])
            #expect(data[2]["data"]["qty"] == 9)
            #expect(data[8]["data"]["bin_id"] == data[7]["data"]["id"])
            let id = data[1]["data"]["id"].string ?? ""
            let read = try await app.get("order/\(id)?include=items,tags")
            #expect(read["data"]["state"] == "paid" && read["data"]["items"].array.count == 1)
            #expect(read["data"]["tags"].array.count == 1)
            #expect(read.headers[.eTag] == data[3]["etag"].string)
            #expect(try await app.get("note?deleted=with")["meta"]["total"] == 0)
            #expect(try await app.get("tag")["meta"]["total"] == 3)
        }
    }

    @Test(arguments: TestStore.allCases)
    func oneFailureUndoesAllAndIsToldWithItsPlace(store: TestStore) async throws {
        try await Bazaar.withRows(store) { app async throws in
            let first = Self.operation("POST", "/customer", ["name": "Zoe"])
            let cases: [(JSONValue, Int, String, [String])] = [
                (
                    Self.operation("POST", "/order", ["number": "x", "items": [["qty": "y"]]]), 422,
                    "VALIDATION_FAILED",
                    ["operations[1].body.number type", "operations[1].body.items[0].qty type"]
                ),
                (Self.operation("DELETE", "/order/\(Bazaar.id(3, 9))"), 404, "NOT_FOUND", ["operations[1]"]),
                (
                    Self.operation("DELETE", "/customer/\(Bazaar.id(1, 1))"), 409, "CONFLICT",
                    ["operations[1].orders relation"]
                ),
                (Self.operation("POST", "/nothing", [:]), 404, "UNKNOWN_ENTITY", ["operations[1]"]),
                (
                    Self.operation("POST", "/order", ["number": 1, "customer_id": "$0.idd"]), 422, "VALIDATION_FAILED",
                    ["operations[1].body.customer_id unknown"]
                ),
                (Self.operation("PUT", "/order/$0.level", [:]), 422, "VALIDATION_FAILED", ["operations[1].path type"]),
                (Self.operation("POST", "/tag", ["label": "red"]), 409, "CONFLICT", ["operations[1].body.label"]),
                (
                    [
                        "method": "PUT", "path": .string("/order/\(Bazaar.id(3, 1))"), "body": ["number": 5],
                        "if_match": "\"old\"",
                    ], 412, "PRECONDITION_FAILED", ["operations[1]"]
                ),
            ]
            for (second, status, code, details) in cases {
                let answer = try await Self.send(app, [first, second])
                #expect(answer.status == status && answer.code == code, "\(answer)")
                #expect(answer.details == details, "\(answer)")
            }
            #expect(try await app.get("customer?filter[name]=Zoe")["meta"]["total"] == 0)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aBatchOfTheWrongShapeIsTold(store: TestStore) async throws {
        try await Bazaar.run(store) { app async throws in
            let many = Array(repeating: Self.operation("POST", "/tag", ["label": "x"]), count: 101)
            let cases: [(JSONValue, String)] = [
                ([:], "operations required"), (["operations": "x"], "operations type"),
                (["operations": []], "operations type"), (["operations": .array(many)], "operations type"),
                (["operations": [5]], "operations[0] type"), (["operations": [], "dry": true], "dry unknown"),
                (["operations": [["path": "/tag"]]], "operations[0].method required"),
                (["operations": [Self.operation("GET", "/tag")]], "operations[0].method enum"),
                (["operations": [Self.operation("POST", "/tag/5")]], "operations[0].path type"),
                (["operations": [Self.operation("PUT", "/tag")]], "operations[0].path type"),
                (["operations": [Self.operation("DELETE", "/_admin/entities")]], "operations[0].path type"),
                (["operations": [Self.operation("POST", "/auth/login/restore")]], "operations[0].path type"),
                (["operations": [Self.operation("DELETE", "/tag/5?purg=true")]], "operations[0].path type"),
                (["operations": [Self.operation("PUT", "/tag/5?purge=true")]], "operations[0].path type"),
                (["operations": [Self.operation("POST", "/tag", [])]], "operations[0].body type"),
                (["operations": [Self.operation("POST", "/tag", ["label": "$0.id"])]], "operations[0] unknown"),
                (["operations": [Self.operation("PUT", "/tag/$3.id")]], "operations[0] unknown"),
                (["operations": [["method": "POST", "path": "/tag", "bdy": [:]]]], "operations[0].bdy unknown"),
            ]
            for (body, detail) in cases {
                let answer = try await app.post("_batch", body)
                #expect(
                    answer.status == 422 && answer.details.contains(detail),
                    "\(body.jsonText.prefix(99)): \(answer)"
                )
            }
            #expect(try await app.get("_batch").status == 405)
            #expect(try await app.server.post("/api/bazaar/_batch", ["operations": []]).status == 401)
        }
    }
}
