import HTTPTypes
import RocketModel
import RocketTestSupport
import Testing

/// Rules and state machines as an administrator keeps them.
struct RuleAdminTests {
    @Test(arguments: TestStore.allCases)
    func aRuleIsMadeReadListedReplacedAndDeleted(store: TestStore) async throws {
        try await Till.run(store) { app in
            let rule: JSONValue = [
                "entity": "sale", "type": "field",
                "definition": ["field": "title", "operator": "max_length", "value": 9, "message": "Too long"],
            ]
            let made = try await app.post("_admin/rules", rule)
            let id = try #require(made["data"]["id"].string)
            #expect(made.status == 201 && made.headers[.location] == "/api/till/_admin/rules/\(id)", "\(made)")
            #expect(
                made["data"]
                    == TestJSON([
                        "id": .string(id), "entity": "sale", "hook": "before_write", "type": "field",
                        "definition": [
                            "field": "title", "operator": "max_length", "value": 9, "message": "Too long",
                            "stop_on_fail": false,
                        ], "priority": 0, "active": true,
                    ])
            )
            let read = try await app.get("_admin/rules/\(id)")
            #expect(read["data"] == made["data"])
            let list = try await app.get("_admin/rules")["data"].array
            #expect(list.count == 2 && list.last == made["data"])
            let tag = try #require(read.headers[.eTag])
            let stale = try await app.put("_admin/rules/\(id)", rule, headers: [.ifMatch: "\"x\""])
            #expect(stale.status == 412)
            var changed = rule.objectValue ?? [:]
            changed["priority"] = 7
            let put = try await app.put("_admin/rules/\(id)", .object(changed), headers: [.ifMatch: tag])
            #expect(put.status == 200 && put["data"]["priority"] == 7 && put["data"]["id"].string == id, "\(put)")
            #expect(try await app.delete("_admin/rules/\(id)", headers: [.ifMatch: tag]).status == 412)
            #expect(try await app.delete("_admin/rules/\(id)").status == 200)
            let gone = [
                try await app.get("_admin/rules/\(id)"), try await app.delete("_admin/rules/\(id)"),
                try await app.put("_admin/rules/\(id)", rule), try await app.get("_admin/state-machines/nothing"),
            ]
            for answer in gone {
                #expect(answer.status == 404 && answer.code == "NOT_FOUND", "\(answer)")
            }
        }
    }

    @Test(arguments: TestStore.allCases)
    func aStateMachineIsMadeReadListedReplacedAndDeleted(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.machine()
            let read = try await app.get("_admin/state-machines/\(id)")
            #expect(read["data"]["definition"]["transitions"][0]["from"].array == ["draft"], "\(read)")
            #expect(try await app.get("_admin/state-machines")["data"].array == [read["data"]])
            #expect(try await app.put("_admin/state-machines/\(id)", Till.machine)["data"] == read["data"])
            var rest = Till.machine.objectValue ?? [:]
            rest["active"] = false
            #expect(try await app.put("_admin/state-machines/\(id)", .object(rest)).status == 200)
            #expect(try await app.post("sale", ["state": "paid"]).status == 201)
            #expect(try await app.delete("_admin/state-machines/\(id)").status == 200)
            #expect(try await app.get("_admin/state-machines")["data"].array.isEmpty)
        }
    }

    @Test(arguments: TestStore.allCases)
    func onlyAdministratorsKeepThem(store: TestStore) async throws {
        try await Till.run(store) { app in
            for path in ["rules", "state-machines", "rules/test"] {
                let answer = try await app.server.post("/api/till/_admin/\(path)", [:])
                #expect(answer.status == 401)
            }
            #expect(try await app.server.get("/api/till/_admin/rules").status == 401)
        }
    }

    // MARK: what is refused at save

    struct Fault: Sendable, CustomTestStringConvertible {
        let path: String
        let body: JSONValue
        /// `field rule` of each detail.
        let details: [String]
        let words: String

        init(_ path: String, _ body: JSONValue, _ details: [String], _ words: String) {
            self.path = path
            self.body = body
            self.details = details
            self.words = words
        }

        var testDescription: String { body.jsonText }
    }

    private static func rule(_ type: String, _ definition: JSONValue, _ more: JSONObject = [:]) -> JSONValue {
        var object: JSONObject = ["entity": "sale", "type": .string(type), "definition": definition]
        for member in more.members { object[member.name] = member.value }
        return .object(object)
    }

    private static func machine(_ transition: JSONValue, initial: String = "draft") -> JSONValue {
        [
            "entity": "sale", "field": "state",
            "definition": ["initial": .string(initial), "transitions": [transition]],
        ]
    }

    private static func action(_ action: JSONValue) -> JSONValue {
        machine(["from": "draft", "to": "sent", "actions": [action]])
    }

    private static let place = "definition.transitions[0]"

    static let faults: [Fault] = [
        Fault(
            "rules",
            rule("field", ["field": "title", "operator": "min", "value": 3]),
            ["definition.operator type"],
            "use min_length"
        ),
        Fault(
            "rules",
            rule("field", ["field": "count", "operator": "max", "value": "many"]),
            ["definition.value type"],
            "expected a whole number"
        ),
        Fault(
            "rules",
            rule("field", ["field": "count", "operator": "pattern", "value": "a"]),
            ["definition.operator type"],
            "which is int"
        ),
        Fault(
            "rules",
            rule("field", ["field": "title", "operator": "pattern", "value": "a(b"]),
            ["definition.value pattern"],
            ""
        ),
        Fault(
            "rules",
            rule("field", ["field": "state", "operator": "in", "value": ["sent", "snet"]]),
            ["definition.value[1] enum"],
            "did you mean \\\"sent\\\"?"
        ),
        Fault(
            "rules",
            rule("field", ["field": "count", "operator": "in", "value": 5]),
            ["definition.value type"],
            "expected an array"
        ),
        Fault(
            "rules",
            rule("field", ["field": "count", "operator": "at_least", "value": 5]),
            ["definition.operator enum"],
            "min, max"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "record.totl > 1"]),
            ["definition.expression expression"],
            "did you mean \\\"total\\\"?"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "record.total >"]),
            ["definition.expression expression"],
            "line 1, column 15"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "record.state == 'snet'"]),
            ["definition.expression expression"],
            "did you mean \\\"sent\\\"?"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "changes.titel"]),
            ["definition.expression expression"],
            "did you mean \\\"title\\\"?"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "related.lines.length > 1"]),
            ["definition.expression expression"],
            "related_load"
        ),
        Fault(
            "rules",
            rule(
                "expression",
                [
                    "expression": "related.lines.some(l => l.qyt > 1)", "related_load": [["relation": "lines"]],
                ]
            ),
            ["definition.expression expression"],
            "did you mean \\\"qty\\\"?"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "1", "related_load": [["relation": "liens"]]]),
            ["definition.related_load[0].relation unknown"],
            "did you mean \\\"lines\\\"?"
        ),
        Fault(
            "rules",
            rule(
                "expression",
                ["expression": "1", "related_load": [["relation": "lines", "filter": ["qty.above": 1, "nme": 2]]]]
            ),
            ["definition.related_load[0].filter.qty.above type", "definition.related_load[0].filter.nme type"],
            "is no operator"
        ),
        Fault(
            "rules",
            rule("expression", ["expression": "1", "field": "titel"]),
            ["definition.field unknown"],
            "did you mean \\\"title\\\"?"
        ),
        Fault(
            "rules",
            rule("computed", ["field": "id", "expression": "1"]),
            ["definition.field type"],
            "written by the engine alone"
        ),
        Fault(
            "rules",
            rule("computed", ["field": "updated_at", "expression": "now"]),
            ["definition.field type"],
            "written by the engine alone"
        ),
        Fault(
            "rules",
            rule("computed", ["field": "total", "expression": "1"], ["hook": "before_delete"]),
            ["hook enum"],
            "nothing to compute"
        ),
        Fault(
            "rules",
            rule("computed", ["field": "total", "expression": "1", "message": "no"]),
            ["definition.message unknown"],
            ""
        ),
        Fault(
            "rules",
            rule("computed", ["field": "count", "expression": "`${record.title}`"]),
            ["definition.expression type"],
            "this is text"
        ),
        Fault(
            "state-machines",
            action([
                "type": "webhook", "url": "https://x",
                "headers": [
                    "X\r\nEvil": "1", "Host": "h", "": "e", "X-A": "a\r\nB: c", "X-B": 5, "X-C": "fine {{env.A}}",
                ],
            ]),
            [
                "\(place).actions[0].headers.X\r\nEvil type", "\(place).actions[0].headers.Host type",
                "\(place).actions[0].headers. type", "\(place).actions[0].headers.X-A type",
                "\(place).actions[0].headers.X-B type",
            ],
            "is written by the server itself"
        ),
        Fault(
            "state-machines",
            ["entity": "sale", "field": "total", "definition": ["initial": "a", "transitions": []]],
            ["field type"],
            "a state is text"
        ),
        Fault(
            "state-machines",
            machine(["from": ["draft", "snet"], "to": "payed"], initial: "new"),
            ["definition.initial enum", "\(place).from[1] enum", "\(place).to enum"],
            "did you mean \\\"sent\\\"?"
        ),
        Fault(
            "state-machines",
            machine(["from": "draft", "to": "sent", "guard": "record.lines"]),
            ["\(place).guard expression"],
            "has no field \\\"lines\\\""
        ),
        Fault(
            "state-machines",
            machine(["from": [], "to": "*", "roles": []]),
            ["\(place).from required", "\(place).to type", "\(place).roles type"],
            ""
        ),
        Fault(
            "state-machines",
            action(["type": "set_field", "field": "paid_at", "value": "later"]),
            ["\(place).actions[0].value type"],
            "expected"
        ),
        Fault(
            "state-machines",
            action(["type": "set_field", "field": "state", "value": "void"]),
            ["\(place).actions[0].field state_machine"],
            "its own state machine"
        ),
        Fault(
            "state-machines",
            action(["type": "set_field", "field": "count", "value": 1, "expression": "2"]),
            ["\(place).actions[0].value required"],
            "either"
        ),
        Fault(
            "state-machines",
            action(["type": "create_record", "entity": "jornal", "values": [:]]),
            ["\(place).actions[0].entity unknown"],
            "did you mean \\\"journal\\\"?"
        ),
        Fault(
            "state-machines",
            action(["type": "create_record", "entity": "journal", "values": ["txt": "a", "amount": "x"]]),
            [
                "\(place).actions[0].values.txt unknown", "\(place).actions[0].values.amount type",
                "\(place).actions[0].values required",
            ],
            "did you mean \\\"text\\\"?"
        ),
        Fault(
            "state-machines",
            action(["type": "create_record", "entity": "journal", "values": ["text": ["expression": "recrd.title"]]]),
            ["\(place).actions[0].values.text expression"],
            "did you mean \\\"record\\\"?"
        ),
        Fault(
            "state-machines",
            action(["type": "webhook", "url": "ftp://x", "method": "HEAD"]),
            ["\(place).actions[0].url type", "\(place).actions[0].method enum"],
            "http"
        ),
        Fault(
            "state-machines",
            action(["type": "send_mail", "to": "x"]),
            ["\(place).actions[0].type enum"],
            "set_field"
        ),
    ]

    @Test func whatCantBeRightIsRefusedAtSaveWithItsPlace() async throws {
        try await Till.run(.sqlite) { app in
            for fault in Self.faults {
                let answer = try await app.post("_admin/\(fault.path)", fault.body)
                #expect(answer.status == 422 && answer.details == fault.details, "\(fault): \(answer)")
                #expect(answer.text.contains(fault.words), "\(fault): \(answer)")
            }
            #expect(try await app.get("_admin/rules")["data"].array.count == 1)
            #expect(try await app.get("_admin/state-machines")["data"].array.isEmpty)
            // The same in an import, with its place there.
            let file: JSONValue = ["version": 1, "rules": [Self.rule("expression", ["expression": "record.totl"])]]
            let imported = try await app.post("_admin/import", file)
            #expect(imported.details == ["rules[0].definition.expression expression"], "\(imported)")
        }
    }

    @Test(arguments: TestStore.allCases)
    func aFieldHasOneStateMachine(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.machine()
            #expect(try await app.post("_admin/state-machines", Till.machine).details == ["field state_machine"])
            var rest = Till.machine.objectValue ?? [:]
            rest["active"] = false
            #expect(try await app.put("_admin/state-machines/\(id)", .object(rest)).status == 200)
            #expect(try await app.post("_admin/state-machines", Till.machine).status == 201)
            #expect(try await app.put("_admin/state-machines/\(id)", Till.machine).status == 409)
        }
    }

    @Test(arguments: TestStore.allCases)
    func statesThatNothingLeadsToAreReported(store: TestStore) async throws {
        try await Till.run(store) { app in
            let answer = try await app.post(
                "_admin/state-machines",
                Self.machine(["from": ["draft", "void"], "to": "sent"])
            )
            #expect(answer.status == 201)
            let warnings = answer["meta"]["warnings"].array.compactMap(\.string)
            #expect(warnings.count == 1 && warnings[0].contains("\"void\", \"paid\""), "\(answer)")
            #expect(try await app.post("_admin/rules", Self.rule("expression", ["expression": "false"]))["meta"].isNull)
        }
    }

    // MARK: what else they meet

    @Test(arguments: TestStore.allCases)
    func whatRulesRelyOnCantBeTakenAwayUnasked(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "related.lines.some(l => l.price > record.total)",
                    "related_load": [["relation": "lines"]],
                ]
            )
            let machine = try await app.machine()
            func entity(_ name: String, _ change: (inout [JSONValue]) -> Void) async throws -> JSONValue {
                var entity = try #require(try await app.get("_admin/entities/\(name)")["data"].value.objectValue)
                var fields = entity["fields"]?.arrayValue ?? []
                change(&fields)
                entity["fields"] = .array(fields)
                return .object(entity)
            }
            func without(_ field: String, _ name: String) async throws -> JSONValue {
                try await entity(name) { fields in fields.removeAll { $0.objectValue?["name"]?.stringValue == field } }
            }
            for (field, name) in [("price", "line"), ("total", "sale"), ("paid_at", "sale"), ("text", "journal")] {
                let answer = try await app.put("_admin/entities/\(name)", try await without(field, name))
                #expect(answer.status == 409 && answer.code == "CONFLICT", "\(field): \(answer)")
            }
            let narrowed = try await entity("sale") { fields in
                for index in fields.indices where fields[index].objectValue?["name"] == "state" {
                    fields[index] = ["name": "state", "type": "string", "enum": ["draft", "sent", "paid"]]
                }
            }
            let answer = try await app.put("_admin/entities/sale", narrowed)
            #expect(answer.status == 409 && answer.text.contains("state_machines[0].definition"), "\(answer)")
            let relation = try await app.delete("_admin/relations/lines")
            #expect(relation.status == 409 && relation.text.contains("rule \(id)"), "\(relation)")
            let journal = try await app.delete("_admin/entities/journal")
            #expect(journal.status == 409 && journal.text.contains("state machine \(machine)"), "\(journal)")
            #expect(try await app.delete("_admin/relations/lines?cascade=true").status == 200)
            #expect(try await app.get("_admin/rules/\(id)").status == 404)
            #expect(try await app.delete("_admin/entities/journal?cascade=true").status == 200)
            #expect(try await app.get("_admin/state-machines/\(machine)").status == 404)
            #expect(try await app.post("sale", ["state": "paid"]).status == 201)
        }
    }

    @Test(arguments: TestStore.allCases)
    func bothAreExportedAndImportedAgain(store: TestStore) async throws {
        try await Till.run(store) { app in
            try await app.machine()
            try await app.rule(
                "sale",
                "expression",
                [
                    "expression": "related.lines.length > 1", "message": "m", "field": "title", "stop_on_fail": true,
                    "related_load": [["relation": "lines", "filter": ["qty.in": [1, 2]]]],
                ],
                more: ["priority": 3, "hook": "before_delete"]
            )
            var export = try #require(try await app.get("_admin/export")["data"].value.objectValue)
            let copy = try await app.server.makeApp("copy")
            let imported = try await copy.post("_admin/import", .object(export))
            #expect(imported["data"]["summary"]["rules"] == 2 && imported["data"]["summary"]["state_machines"] == 1)
            var again = try #require(try await copy.get("_admin/export")["data"].value.objectValue)
            export["exported_at"] = nil
            again["exported_at"] = nil
            #expect(JSONValue.object(export).jsonText == JSONValue.object(again).jsonText)
            export["version"] = 1
            #expect(try await copy.post("_admin/import", .object(export))["data"]["summary"]["rules"] == 0)
            #expect(try await copy.post("sale", ["state": "paid"]).status == 422)
        }
    }

    // MARK: trying a rule

    @Test(arguments: TestStore.allCases)
    func aRuleIsTriedBeforeItIsSaved(store: TestStore) async throws {
        try await Till.run(store) { app in
            func test(_ body: JSONObject) async throws -> TestAnswer {
                var all: JSONObject = ["entity": "sale"]
                for member in body.members { all[member.name] = member.value }
                return try await app.post("_admin/rules/test", .object(all))
            }
            let violated = try await test([
                "type": "expression", "definition": ["expression": "record.total > 100 && old.total < 100"],
                "record": ["total": "100.01"], "old": ["total": 5],
            ])
            #expect(
                violated["data"] == TestJSON(["result": true, "violated": true, "reads": ["total"]]),
                "\(violated)"
            )
            let roles = try await test([
                "type": "expression", "definition": ["expression": "!('clerk' in user.roles) && changes.title"],
                "record": ["title": "b"], "old": ["title": "a"], "user": ["roles": ["clerk"]],
            ])
            #expect(roles["data"] == TestJSON(["result": false, "violated": false, "reads": ["title"]]), "\(roles)")
            let computed = try await test([
                "type": "computed", "definition": ["field": "count", "expression": "record.total / 2"],
                "record": ["total": 3],
            ])
            #expect(computed["data"]["result"].digits == "1.5" && computed["data"]["violated"] == true, "\(computed)")
            #expect(computed["data"]["error"].string?.contains("whole number") == true)
            let field = try await test([
                "type": "field", "definition": ["field": "title", "operator": "min_length", "value": 3],
                "record": ["title": "ab"],
            ])
            #expect(field["data"] == TestJSON(["result": "ab", "violated": true, "reads": ["title"]]), "\(field)")
            let nothing = try await test([
                "type": "expression", "definition": ["expression": "1 / 0"], "record": [:],
            ])
            #expect(nothing["data"] == TestJSON(["result": nil, "violated": true, "reads": []]), "\(nothing)")
            let failing = try await test([
                "type": "expression", "definition": ["expression": "'x'.repeat(1e9)"], "record": [:],
            ])
            #expect(failing["data"]["violated"] == true && failing["data"]["error"].string != nil, "\(failing)")
            let bad = try await test([
                "type": "expression", "definition": ["expression": "record.totl"],
                "record": ["titel": 1, "count": "x"],
                "usr": [:],
            ])
            #expect(bad.status == 422 && bad.details == ["usr unknown"], "\(bad)")
            let wrong = try await test([
                "type": "expression", "definition": ["expression": "record.totl"],
                "record": ["titel": 1, "count": "x"],
            ])
            #expect(
                wrong.details == ["definition.expression expression", "record.titel unknown", "record.count type"],
                "\(wrong)"
            )
            #expect(try await app.get("_admin/rules")["data"].array.count == 1)
        }
    }

    @Test(arguments: TestStore.allCases)
    func aTriedRuleSeesTheStoredRelatedRecords(store: TestStore) async throws {
        try await Till.run(store) { app in
            let id = try await app.make("sale", ["lines": [["qty": 2], ["qty": 5]]])
            let answer = try await app.post(
                "_admin/rules/test",
                [
                    "entity": "sale", "type": "expression",
                    "definition": [
                        "expression": "sum(related.lines, 'qty')", "related_load": [["relation": "lines"]],
                    ], "record": ["id": .string(id)],
                    "old": ["id": .string(id)],
                ]
            )
            #expect(answer["data"]["result"] == 7, "\(answer)")
        }
    }
}
