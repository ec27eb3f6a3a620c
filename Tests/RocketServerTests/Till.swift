import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport

/// An app to try rules on: sales with lines of products, a customer and labels, and a journal.
enum Till {
    static func run(
        _ store: TestStore,
        callTimeout: Duration = TestServer.callTimeout,
        _ test: (TestApp) async throws -> Void
    ) async throws {
        try await TestServer.run(store, callTimeout: callTimeout) { server in
            let app = try await server.makeApp("till")
            let answer = try await app.post("_admin/import", definitions)
            guard answer.status == 200 else { throw TestFailure("import: \(answer)") }
            try await test(app)
        }
    }

    private static func entity(_ name: String, softDelete: Bool = false, _ fields: [JSONValue]) -> JSONValue {
        [
            "name": .string(name), "table": .string(name + "s"),
            "primary_key": ["field": "id", "type": "uuid", "generated": true], "soft_delete": .boolean(softDelete),
            "fields": .array([["name": "id", "type": "uuid"]] + fields),
        ]
    }

    private static let definitions: JSONValue = [
        "version": 1,
        "entities": [
            entity(
                "customer",
                softDelete: true,
                [
                    ["name": "name", "type": "string", "required": true], ["name": "limit", "type": "decimal"],
                    ["name": "vip", "type": "boolean", "default": false],
                ]
            ),
            entity(
                "sale",
                softDelete: true,
                [
                    ["name": "title", "type": "string"], ["name": "customer_id", "type": "uuid"],
                    ["name": "state", "type": "string", "enum": ["draft", "sent", "paid", "void"]],
                    ["name": "total", "type": "decimal", "precision": 2], ["name": "count", "type": "int"],
                    ["name": "due", "type": "date"], ["name": "paid_at", "type": "timestamp"],
                    ["name": "note", "type": "text"], ["name": "updated_at", "type": "timestamp", "auto": "update"],
                ]
            ),
            entity(
                "line",
                [
                    ["name": "sale_id", "type": "uuid", "required": true], ["name": "name", "type": "string"],
                    ["name": "qty", "type": "int", "required": true, "default": 1],
                    ["name": "price", "type": "decimal", "precision": 2],
                    ["name": "amount", "type": "decimal", "precision": 2, "required": true],
                    ["name": "state", "type": "string", "enum": ["open", "packed"]],
                ]
            ),
            entity("label", [["name": "text", "type": "string", "unique": true], ["name": "rank", "type": "int"]]),
            entity(
                "journal",
                [
                    ["name": "sale_id", "type": "uuid"], ["name": "text", "type": "string", "required": true],
                    ["name": "at", "type": "timestamp"], ["name": "state", "type": "string"],
                    ["name": "amount", "type": "decimal"],
                ]
            ),
        ],
        "relations": [
            Bazaar.relation(
                "sales",
                "one_to_many",
                "customer",
                "sale",
                by: "customer_id",
                onDelete: "cascade",
                more: ["inverse": "customer"]
            ),
            Bazaar.relation(
                "lines",
                "one_to_many",
                "sale",
                "line",
                by: "sale_id",
                onDelete: "cascade",
                more: ["inverse": "sale"]
            ),
            Bazaar.relation("entries", "one_to_many", "sale", "journal", by: "sale_id", onDelete: "set_null"),
            [
                "name": "labels", "type": "many_to_many", "source": "sale", "target": "label",
                "join_table": "sale_labels", "source_join_key": "sale_id", "target_join_key": "label_id",
                "on_delete": "cascade", "inverse": "sales",
            ],
        ],
        // A line must have an amount, which is computed.
        "rules": [
            [
                "entity": "line", "type": "computed",
                "definition": ["field": "amount", "expression": "record.qty * (record.price ?? 0)"],
            ]
        ],
    ]

    static let machine: JSONValue = [
        "entity": "sale", "field": "state",
        "definition": [
            "initial": "draft",
            "transitions": [
                ["from": "draft", "to": "sent", "guard": "record.total > 0"],
                [
                    "from": ["draft", "sent"], "to": "paid",
                    "actions": [
                        ["type": "set_field", "field": "paid_at", "value": "now"],
                        ["type": "set_field", "field": "note", "expression": "`${old.state} to ${record.state}`"],
                        [
                            "type": "create_record", "entity": "journal",
                            "values": [
                                "text": "paid", "sale_id": ["expression": "record.id"], "at": "now",
                                "amount": ["expression": "record.total"],
                            ],
                        ],
                        [
                            "type": "send_event", "event": "sale_paid",
                            "payload": ["sum": ["expression": "record.total"]],
                        ],
                        ["type": "webhook", "url": "https://hooks.example.com/paid", "headers": ["X-A": "b"]],
                    ],
                ],
                ["from": "*", "to": "void"],
            ],
        ],
    ]
}

extension TestApp {
    /// Makes a rule.
    ///
    /// - Returns: its id.
    @discardableResult
    func rule(_ entity: String, _ type: String, _ definition: JSONValue, more: JSONObject = [:]) async throws -> String
    {
        var object: JSONObject = ["entity": .string(entity), "type": .string(type), "definition": definition]
        for member in more.members { object[member.name] = member.value }
        let answer = try await post("_admin/rules", .object(object))
        guard answer.status == 201, let id = answer["data"]["id"].string else { throw TestFailure("rule: \(answer)") }
        return id
    }

    /// Makes a state machine.
    @discardableResult
    func machine(_ definition: JSONValue = Till.machine) async throws -> String {
        let answer = try await post("_admin/state-machines", definition)
        guard answer.status == 201, let id = answer["data"]["id"].string else {
            throw TestFailure("machine: \(answer)")
        }
        return id
    }

    /// Makes a record.
    ///
    /// - Returns: its id.
    func make(_ entity: String, _ payload: JSONValue) async throws -> String {
        let answer = try await post(entity, payload)
        guard answer.status == 201, let id = answer["data"]["id"].string else { throw TestFailure("make: \(answer)") }
        return id
    }

    /// Rows of one of the engine's own tables.
    func systemRows(_ sql: String) async throws -> [[String]] {
        let result = try await server.apps.withApp(name) { context in
            try await context.database.read([SQLStatement(sql, output: .values)])
        }
        return result[0].rows.map { row in
            row.map { value in
                switch value {
                case .null: "null"
                case .integer(let whole): String(whole)
                case .double(let double): "\(double)"
                case .text(let text): text
                }
            }
        }
    }
}
