import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Testing

/// The API described for programs: OpenAPI of what the caller may use, and TypeScript's types.
struct OpenAPITests {
    private static let validator = """
        import json, sys
        from openapi_spec_validator import OpenAPIV31SpecValidator
        for line in sys.stdin:
            print(len([print(str(e.message)[:300], list(e.absolute_path)) for e in
                OpenAPIV31SpecValidator(json.loads(line)).iter_errors()]))
        """

    private static func problems(_ document: TestAnswer) throws -> [String] {
        let lines = try PythonProgram.run(validator, input: document.json.value.jsonText + "\n")
        return lines == ["0"] ? [] : lines
    }

    /// Every `$ref` of a document.
    private static func references(_ value: JSONValue) -> Set<String> {
        switch value {
        case .object(let object):
            object.members.reduce(into: []) { found, member in
                if member.name == "$ref", let text = member.value.stringValue { found.insert(text) }
                found.formUnion(references(member.value))
            }
        case .array(let items): items.reduce(into: []) { $0.formUnion(references($1)) }
        default: []
        }
    }

    @Test(arguments: TestStore.allCases)
    func theDocumentOfTheHelpDeskIsValidAndComplete(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let document = try await app.get("_openapi.json")
            #expect(document.status == 200 && document["openapi"] == "3.1.0")
            #expect(try Self.problems(document) == [])
            let paths = document["paths"].names
            for entity in try await app.get("_admin/entities")["data"].array.compactMap({ $0["name"].string }) {
                #expect(paths.contains("/\(entity)") && paths.contains("/\(entity)/{id}"), "\(entity)")
            }
            #expect(document["paths"]["/ticket"].names == ["get", "post"])
            #expect(document["paths"]["/ticket/{id}"].names == ["parameters", "get", "put", "patch", "delete"])
            let create = document["components"]["schemas"]["TicketCreate"]
            #expect(create["additionalProperties"] == false && create["required"].array.contains("title"))
            #expect(!create["properties"].names.contains("created_at"))
            let priority = document["components"]["schemas"]["Ticket"]["properties"]["priority"]
            #expect(priority["enum"].array.contains("high"))
            let names = document["paths"]["/ticket"]["get"]["parameters"].array.compactMap { $0["name"].string }
            #expect(names.contains("filter[status]") && names.contains("filter[created_at.gte]"))
            #expect(!names.contains("filter[status.gt]") || names.contains("filter[status.like]"))
            // Whatever it refers to is there.
            for reference in Self.references(document.json.value) {
                let place = reference.split(separator: "/").dropFirst().reduce(document.json) { $0[String($1)] }
                #expect(!place.isNull, "\(reference)")
            }
            // Each operation has a name of its own.
            let operations = document["paths"].names.flatMap { path in
                document["paths"][path].names.compactMap { document["paths"][path][$0]["operationId"].string }
            }
            #expect(Set(operations).count == operations.count && operations.count > 20)
        }
    }

    @Test(arguments: TestStore.allCases)
    func everyTypeAndRelationHasASchemaThatIsValid(store: TestStore) async throws {
        try await WebhookTests.run(store) { _, app, _ in
            try await StoreAgreementTests.makeThing(app)
            let document = try await app.get("_openapi.json")
            #expect(try Self.problems(document) == [])
            let thing = document["components"]["schemas"]["Thing"]["properties"]
            #expect(thing["a_bigint"]["maximum"].digits == "9223372036854775807")
            #expect(thing["a_date"]["format"] == "date" && thing["a_json"].names.isEmpty)
            #expect(thing["a_boolean"]["type"][1] == "null")
        }
    }

    @Test(arguments: TestStore.allCases)
    func itShowsWhatTheCallerMayUseAndNothingElse(store: TestStore) async throws {
        try await TestServer.run(store) { server in
            let app = try await server.makeHelpdesk()
            let policy: JSONValue = [
                "entity": "ticket", "action": "read", "roles": ["reader"], "fields": ["title", "status"],
            ]
            #expect(try await app.post("_admin/permissions", policy).status == 201)
            let user: JSONValue = ["email": "r@x.example", "password": "password1", "roles": ["reader"]]
            #expect(try await app.post("_admin/users", user).status == 201)
            let token = try await server.login("helpdesk", "r@x.example", "password1")
            let document = try await server.get("/api/helpdesk/_openapi.json", token: token)
            #expect(try Self.problems(document) == [])
            let records = document["paths"].names.filter { !$0.hasPrefix("/auth") && $0 != "/_batch" }
            #expect(records == ["/ticket", "/ticket/{id}", "/ticket/{id}/history"])
            #expect(document["paths"]["/ticket"].names == ["get"])
            let schemas = document["components"]["schemas"]
            #expect(!schemas.names.contains("TicketCreate") && !schemas.names.contains("Customer"))
            #expect(!document.text.contains("customer_id") && !document.text.contains("priority"))
            #expect(try await server.get("/api/helpdesk/_openapi.json").status == 401)
            #expect(try await server.get("/api/helpdesk/_openapi.json?x=1", token: token).status == 400)
        }
    }

    // MARK: TypeScript

    private static let parser = """
        import sys
        import tree_sitter_typescript
        from tree_sitter import Language, Parser
        tree = Parser(Language(tree_sitter_typescript.language_typescript())).parse(sys.stdin.buffer.read())
        def walk(node):
            if node.type == "ERROR" or node.is_missing: print("error at", node.start_point)
            for child in node.children: walk(child)
        walk(tree.root_node)
        for node in tree.root_node.children:
            if node.type == "export_statement": print(node.child_by_field_name("declaration").child_by_field_name("name").text.decode())
        """

    @Test func theTypesAreTypeScript() async throws {
        try await TestServer.run(.sqlite) { server in
            let app = try await server.makeHelpdesk()
            try await StoreAgreementTests.makeThing(app)
            let definitions = try await server.apps.withApp("helpdesk") { $0.snapshots.current.definitions }
            let text = TypeScriptTypes(definitions).text
            let lines = try PythonProgram.run(Self.parser, input: text)
            let names = definitions.entities.flatMap { entity in
                ["", "Create", "Update"].map { TypeNames.pascal(entity.name) + $0 }
            }
            #expect(lines == ["FileInfo"] + names + ["Entities"], "\(lines)")
            #expect(text.contains("  title: string;\n") && text.contains("\"high\""))
            #expect(text.contains("  a_decimal: number | null;\n") && text.contains("  a_json: unknown | null;\n"))
            // What it must not let through is told by the parser.
            #expect(
                try PythonProgram.run(Self.parser, input: "export interface A { a: ; }").first?.hasPrefix("error")
                    ?? false
            )
        }
    }
}
