import RocketModel
import RocketTestSupport

/// An app with every kind of relation: customers with a profile (one to one) and orders (one to many), orders with
/// items and tags (many to many), items of products whose keys the client gives, categories in a tree, bins whose
/// keys the database numbers with parts in them.
enum Bazaar {
    static func run(_ store: TestStore, _ test: (TestApp) async throws -> Void) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeApp("bazaar")
            let answer = try await app.post("_admin/import", definitions)
            guard answer.status == 200 else { throw TestFailure("import: \(answer)") }
            try await test(app)
        }
    }

    private static func entity(
        _ name: String,
        softDelete: Bool = false,
        key: JSONValue = ["field": "id", "type": "uuid", "generated": true],
        _ fields: [JSONValue]
    ) -> JSONValue {
        let keyName = key.objectValue?["field"] ?? "id"
        let keyField: JSONValue = ["name": keyName, "type": key.objectValue?["type"] ?? "uuid"]
        return [
            "name": .string(name), "table": .string(name + "s"), "primary_key": key,
            "soft_delete": .boolean(softDelete),
            "fields": .array([keyField] + fields),
        ]
    }

    static func relation(
        _ name: String,
        _ type: String,
        _ source: String,
        _ target: String,
        by key: String,
        onDelete: String,
        more: JSONObject = [:]
    ) -> JSONValue {
        var object: JSONObject = [
            "name": .string(name), "type": .string(type), "source": .string(source), "target": .string(target),
            "source_key": "id", "target_key": .string(key), "on_delete": .string(onDelete),
        ]
        for member in more.members { object[member.name] = member.value }
        return .object(object)
    }

    static let definitions: JSONValue = [
        "version": 1,
        "entities": [
            entity(
                "customer",
                softDelete: true,
                [
                    ["name": "name", "type": "string", "required": true], ["name": "level", "type": "int"],
                ]
            ),
            entity(
                "profile",
                [
                    ["name": "customer_id", "type": "uuid", "required": true], ["name": "bio", "type": "text"],
                ]
            ),
            entity(
                "order",
                softDelete: true,
                [
                    ["name": "number", "type": "int", "required": true], ["name": "customer_id", "type": "uuid"],
                    ["name": "state", "type": "string", "enum": ["open", "paid"], "default": "open"],
                ]
            ),
            entity(
                "item",
                [
                    ["name": "order_id", "type": "uuid", "required": true], ["name": "name", "type": "string"],
                    ["name": "qty", "type": "int", "required": true, "default": 1],
                    ["name": "price", "type": "decimal", "precision": 2], ["name": "product_sku", "type": "string"],
                    ["name": "updated_at", "type": "timestamp", "auto": "update"],
                ]
            ),
            entity(
                "note",
                softDelete: true,
                [
                    ["name": "item_id", "type": "uuid"], ["name": "text", "type": "text", "required": true],
                ]
            ),
            entity(
                "product",
                key: ["field": "sku", "type": "string", "generated": false],
                [
                    ["name": "name", "type": "string", "required": true]
                ]
            ),
            entity(
                "variant",
                key: ["field": "code", "type": "string", "generated": false],
                [
                    ["name": "product_sku", "type": "string"], ["name": "color", "type": "string"],
                ]
            ),
            entity("tag", softDelete: true, [["name": "label", "type": "string", "required": true, "unique": true]]),
            entity(
                "category",
                softDelete: true,
                [
                    ["name": "title", "type": "string", "required": true], ["name": "parent_id", "type": "uuid"],
                ]
            ),
            entity(
                "bin",
                key: ["field": "id", "type": "int", "generated": true],
                [
                    ["name": "label", "type": "string"]
                ]
            ),
            entity(
                "part",
                key: ["field": "id", "type": "bigint", "generated": true],
                [
                    ["name": "bin_id", "type": "int", "required": true], ["name": "label", "type": "string"],
                ]
            ),
            entity(
                "screw",
                key: ["field": "id", "type": "int", "generated": true],
                [
                    ["name": "part_id", "type": "bigint"], ["name": "size", "type": "int"],
                ]
            ),
        ],
        "relations": [
            relation(
                "profile",
                "one_to_one",
                "customer",
                "profile",
                by: "customer_id",
                onDelete: "cascade",
                more: [
                    "inverse": "customer"
                ]
            ),
            relation(
                "orders",
                "one_to_many",
                "customer",
                "order",
                by: "customer_id",
                onDelete: "restrict",
                more: [
                    "inverse": "customer"
                ]
            ),
            relation(
                "items",
                "one_to_many",
                "order",
                "item",
                by: "order_id",
                onDelete: "cascade",
                more: [
                    "inverse": "order"
                ]
            ),
            relation(
                "notes",
                "one_to_many",
                "item",
                "note",
                by: "item_id",
                onDelete: "cascade",
                more: [
                    "inverse": "item"
                ]
            ),
            relation(
                "sold",
                "one_to_many",
                "product",
                "item",
                by: "product_sku",
                onDelete: "set_null",
                more: [
                    "source_key": "sku", "inverse": "product",
                ]
            ),
            relation(
                "variants",
                "one_to_many",
                "product",
                "variant",
                by: "product_sku",
                onDelete: "cascade",
                more: [
                    "source_key": "sku", "inverse": "product",
                ]
            ),
            [
                "name": "tags", "type": "many_to_many", "source": "order", "target": "tag", "join_table": "order_tags",
                "source_join_key": "order_id", "target_join_key": "tag_id", "on_delete": "cascade", "inverse": "orders",
            ],
            relation(
                "children",
                "one_to_many",
                "category",
                "category",
                by: "parent_id",
                onDelete: "cascade",
                more: [
                    "inverse": "parent"
                ]
            ),
            relation(
                "parts",
                "one_to_many",
                "bin",
                "part",
                by: "bin_id",
                onDelete: "cascade",
                more: ["inverse": "bin"]
            ),
            relation(
                "screws",
                "one_to_many",
                "part",
                "screw",
                by: "part_id",
                onDelete: "cascade",
                more: [
                    "inverse": "part"
                ]
            ),
        ],
    ]

    /// A key that is easy to read in a failed test.
    static func id(_ kind: Int, _ number: Int) -> String {
        let tail = String(number)
        return "\(kind)0000000-0000-4000-8000-\(String(repeating: "0", count: 12 - tail.count))\(tail)"
    }

    /// Three customers, of whom the last is deleted; their orders with items, tags and notes.
    static let rows: JSONValue = [
        "sample_data": [
            "customer": [
                ["id": .string(id(1, 1)), "name": "Ada", "level": 3], ["id": .string(id(1, 2)), "name": "Bob"],
            ],
            "profile": [["id": .string(id(2, 1)), "customer_id": .string(id(1, 1)), "bio": "first"]],
            "order": [
                ["id": .string(id(3, 1)), "number": 1, "customer_id": .string(id(1, 1))],
                ["id": .string(id(3, 2)), "number": 2, "customer_id": .string(id(1, 1)), "state": "paid"],
                ["id": .string(id(3, 3)), "number": 3, "customer_id": .string(id(1, 2))],
                ["id": .string(id(3, 4)), "number": 4],
            ],
            "product": [["sku": "pen", "name": "Pen"], ["sku": "ink", "name": "Ink"]],
            "item": [
                [
                    "id": .string(id(4, 1)), "order_id": .string(id(3, 1)), "name": "a", "qty": 1, "price": "9.50",
                    "product_sku": "pen",
                ],
                [
                    "id": .string(id(4, 2)), "order_id": .string(id(3, 1)), "name": "b", "qty": 5, "price": 10,
                    "product_sku": "ink",
                ],
                ["id": .string(id(4, 3)), "order_id": .string(id(3, 1)), "name": "c", "qty": 3],
                ["id": .string(id(4, 4)), "order_id": .string(id(3, 2)), "name": "d", "qty": 5, "product_sku": "pen"],
            ],
            "note": [["id": .string(id(5, 1)), "item_id": .string(id(4, 1)), "text": "n"]],
            "tag": [
                ["id": .string(id(6, 1)), "label": "red"], ["id": .string(id(6, 2)), "label": "blue"],
                ["id": .string(id(6, 3)), "label": "gone"],
            ],
            "order_tags": [
                ["order_id": .string(id(3, 1)), "tag_id": .string(id(6, 1))],
                ["order_id": .string(id(3, 1)), "tag_id": .string(id(6, 2))],
                ["order_id": .string(id(3, 2)), "tag_id": .string(id(6, 1))],
                ["order_id": .string(id(3, 1)), "tag_id": .string(id(6, 3))],
            ],
            "category": [
                ["id": .string(id(7, 1)), "title": "root"],
                ["id": .string(id(7, 2)), "title": "leaf", "parent_id": .string(id(7, 1))],
                ["id": .string(id(7, 3)), "title": "twig", "parent_id": .string(id(7, 2))],
            ],
        ]
    ]

    /// The same with rows in it; the tag `gone` is deleted.
    static func withRows(_ store: TestStore, _ test: (TestApp) async throws -> Void) async throws {
        try await run(store) { app in
            let answer = try await app.post("_admin/import", rows)
            guard answer.status == 200 else { throw TestFailure("rows: \(answer)") }
            guard try await app.delete("tag/\(id(6, 3))").status == 200 else { throw TestFailure("tag") }
            try await test(app)
        }
    }
}
