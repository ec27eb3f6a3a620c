import RocketModel
import Testing

/// A definition that is kept as it is, and what is stored of it: with its defaults filled in.
struct StoredRow: Sendable, CustomTestStringConvertible {
    let kind: DefinitionKind
    let given: String
    let stored: String

    init(_ kind: DefinitionKind, _ given: String, _ stored: String) {
        self.kind = kind
        self.given = given
        self.stored = stored
    }

    var testDescription: String { "\(kind.rawValue) \(given)" }
}

/// A definition with one fault.
struct StoredFault: Sendable, CustomTestStringConvertible {
    let kind: DefinitionKind
    let given: String
    let path: String
    let rule: ViolatedRule
    let words: String

    init(_ kind: DefinitionKind, _ given: String, _ path: String, _ rule: ViolatedRule, _ words: String) {
        self.kind = kind
        self.given = given
        self.path = path
        self.rule = rule
        self.words = words
    }

    var testDescription: String { "\(kind.rawValue) \(given)" }
}

private let fields = ["ticket": ["id", "title", "status", "priority"], "customer": ["id", "name"]]

private let rows: [StoredRow] = [
    .init(
        .rules,
        #"{"entity":"ticket","type":"field","definition":{"field":"title","operator":"min_length","value":5}}"#,
        #"""
        {"entity":"ticket","hook":"before_write","type":"field",\#
        "definition":{"field":"title","operator":"min_length","value":5,"stop_on_fail":false},"priority":0,"active":true}
        """#
    ),
    .init(
        .rules,
        #"""
        {"id":"r1","entity":"ticket","hook":"before_delete","type":"expression","priority":-5,"active":false,\#
        "definition":{"expression":"record.status == 'open'","message":"No","stop_on_fail":true,"related_load":[{"relation":"items","filter":{}}]}}
        """#,
        #"""
        {"entity":"ticket","hook":"before_delete","type":"expression",\#
        "definition":{"expression":"record.status == 'open'","message":"No","stop_on_fail":true,\#
        "related_load":[{"relation":"items"}]},\#
        "priority":-5,"active":false}
        """#
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"computed","definition":{"field":"priority","expression":"1 + 1"}}"#,
        #"""
        {"entity":"ticket","hook":"before_write","type":"computed",\#
        "definition":{"field":"priority","expression":"1 + 1"},"priority":0,"active":true}
        """#
    ),
    .init(
        .stateMachines,
        #"""
        {"entity":"ticket","field":"status","definition":{"initial":"open","transitions":[\#
        {"from":"open","to":"closed"},{"from":["open","closed"],"to":"open","roles":["agent"],"guard":"true",\#
        "actions":[{"type":"set_field","field":"priority","value":"now"},{"type":"webhook","url":"https://x"},\#
        {"type":"create_record","entity":"customer","values":{"name":{"expression":"record.title"}}},\#
        {"type":"send_event","event":"opened"}]}]}}
        """#,
        #"""
        {"entity":"ticket","field":"status","definition":{"initial":"open","transitions":[\#
        {"from":["open"],"to":"closed","actions":[]},\#
        {"from":["open","closed"],"to":"open","roles":["agent"],"guard":"true",\#
        "actions":[{"type":"set_field","field":"priority","value":"now"},\#
        {"type":"webhook","url":"https://x","method":"POST","headers":{}},\#
        {"type":"create_record","entity":"customer","values":{"name":{"expression":"record.title"}}},\#
        {"type":"send_event","event":"opened","payload":{}}]}]},"active":true}
        """#
    ),
    .init(
        .workflows,
        #"{"name":"escalate","trigger":{"type":"record","entity":"ticket","action":"create"},"steps":[{"id":"a","type":"action","then":{"goto":"end"}}]}"#,
        #"""
        {"name":"escalate","trigger":{"type":"record","entity":"ticket","action":"create"},"context":{},\#
        "steps":[{"id":"a","type":"action","then":{"goto":"end"}}],"active":true}
        """#
    ),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"read"}"#,
        #"{"entity":"ticket","action":"read","roles":[],"conditions":[]}"#
    ),
    .init(
        .permissions,
        #"""
        {"entity":"ticket","action":"update","roles":["agent"],"conditions":[{"field":"status","operator":"eq","value":"open"}],\#
        "check":[{"field":"status","operator":"in","value":["open"]}]}
        """#,
        #"""
        {"entity":"ticket","action":"update","roles":["agent"],"conditions":[{"field":"status","operator":"eq","value":"open"}],\#
        "check":[{"field":"status","operator":"in","value":["open"]}]}
        """#
    ),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"https://hooks.example.com/x"}"#,
        #"""
        {"entity":"ticket","hook":"after_write","url":"https://hooks.example.com/x","method":"POST","headers":{},\#
        "condition":"","async":true,"retry":{"max_attempts":3,"backoff":"exponential"},"active":true}
        """#
    ),
    .init(
        .webhooks,
        #"""
        {"entity":"ticket","hook":"before_delete","url":"http://x","method":"PUT","headers":{"X-A":"1"},"condition":"true",\#
        "async":false,"retry":{"max_attempts":10,"backoff":"linear"},"active":false}
        """#,
        #"""
        {"entity":"ticket","hook":"before_delete","url":"http://x","method":"PUT","headers":{"X-A":"1"},"condition":"true",\#
        "async":false,"retry":{"max_attempts":10,"backoff":"linear"},"active":false}
        """#
    ),
]

private let faults: [StoredFault] = [
    .init(.permissions, #"{"action":"read"}"#, "entity", .required, "is required"),
    .init(
        .permissions,
        #"{"entity":"tickt","action":"read"}"#,
        "entity",
        .unknown,
        #"no entity "tickt"; did you mean "ticket"?"#
    ),
    .init(.permissions, #"{"entity":"ticket"}"#, "action", .required, "one of read, create, update, delete"),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"list"}"#,
        "action",
        .enum,
        "none of read, create, update, delete"
    ),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"read","roles":["a",5]}"#,
        "roles[1]",
        .type,
        "expected a string"
    ),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"read","conditions":[5]}"#,
        "conditions[0]",
        .type,
        "expected an object"
    ),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"read","conditions":[{"field":"id","operator":"lk","value":1}]}"#,
        "conditions[0].operator",
        .enum,
        "none of eq, neq"
    ),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"update","check":[{"operator":"eq","value":1}]}"#,
        "check[0].field",
        .required,
        "is required"
    ),
    .init(
        .permissions,
        #"{"entity":"ticket","action":"read","condition":[]}"#,
        "condition",
        .unknown,
        #"did you mean "conditions"?"#
    ),
    .init(.rules, #"{"entity":"ticket","type":"field"}"#, "definition", .required, "is required"),
    .init(
        .rules,
        #"{"entity":"ticket","type":"field","definition":[]}"#,
        "definition",
        .type,
        "expected an object, got an array"
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"field","definition":{"field":"titel","operator":"max","value":1}}"#,
        "definition.field",
        .unknown,
        #""ticket" has no field "titel"; did you mean "title"?"#
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"field","definition":{"field":"title"}}"#,
        "definition.operator",
        .required,
        "is required"
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"expression","definition":{"message":"No"}}"#,
        "definition.expression",
        .required,
        "is required"
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"computed","definition":{"expression":"1"}}"#,
        "definition.field",
        .required,
        "is required"
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"expression","definition":{"expression":"1","mesage":"No"}}"#,
        "definition.mesage",
        .unknown,
        #"did you mean "message"?"#
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"expression","hook":"after_write","definition":{"expression":"1"}}"#,
        "hook",
        .enum,
        "none of before_write, before_delete"
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"expression","priority":1.5,"definition":{"expression":"1"}}"#,
        "priority",
        .type,
        "expected a whole number"
    ),
    .init(
        .rules,
        #"{"entity":"ticket","type":"expression","activ":true,"definition":{"expression":"1"}}"#,
        "activ",
        .unknown,
        #"did you mean "active"?"#
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"stat","definition":{"initial":"a","transitions":[]}}"#,
        "field",
        .unknown,
        #""ticket" has no field "stat""#
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"status","definition":{"transitions":[]}}"#,
        "definition.initial",
        .required,
        "is required"
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"status","definition":{"initial":"a"}}"#,
        "definition.transitions",
        .required,
        "is required"
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"status","definition":{"initial":"a","transitions":null}}"#,
        "definition.transitions",
        .required,
        "is required"
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"status","definition":{"initial":"a","transitions":[{"from":"a","to":"b"},{"to":"c"}]}}"#,
        "definition.transitions[1].from",
        .required,
        "a state, or an array of states"
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"status","definition":{"initial":"a","transitions":[{"from":"a"}]}}"#,
        "definition.transitions[0].to",
        .required,
        "is required"
    ),
    .init(
        .stateMachines,
        #"{"entity":"ticket","field":"status","definition":{"initial":"a","transitions":[{"from":"a","to":"b","role":["x"]}]}}"#,
        "definition.transitions[0].role",
        .unknown,
        #"did you mean "roles"?"#
    ),
    .init(
        .workflows,
        #"{"trigger":{"type":"event","event":"e"},"steps":[{"id":"a","type":"wait","duration":"1h"}]}"#,
        "name",
        .required,
        "is required"
    ),
    .init(
        .workflows,
        #"{"name":"w","steps":[{"id":"a","type":"wait","duration":"1h"}]}"#,
        "trigger",
        .required,
        "is required"
    ),
    .init(.workflows, #"{"name":"w","trigger":{"type":"event","event":"e"}}"#, "steps", .required, "at least one step"),
    .init(
        .workflows,
        #"{"name":"w","trigger":{"type":"event","event":"e"},"steps":[]}"#,
        "steps",
        .required,
        "at least one step"
    ),
    .init(
        .workflows,
        #"{"name":"w","trigger":{"type":"cron"},"steps":[{"id":"a","type":"wait","duration":"1h"}]}"#,
        "trigger.type",
        .enum,
        "none of state_change, record, event, schedule"
    ),
    .init(
        .workflows,
        #"{"name":"w","trigger":{"type":"record","entity":"custmer","action":"create"},"steps":[{"id":"a","type":"wait","duration":"1h"}]}"#,
        "trigger.entity",
        .unknown,
        #"did you mean "customer"?"#
    ),
    .init(
        .workflows,
        #"{"name":"w","trigger":{"type":"state_change","entity":"ticket","field":"prio","to":"x"},"steps":[{"id":"a","type":"wait","duration":"1h"}]}"#,
        "trigger.field",
        .unknown,
        #""ticket" has no field "prio""#
    ),
    .init(
        .workflows,
        #"{"name":"w","trigger":{"type":"event","event":"e"},"steps":[{"id":"a","type":"wait","duration":"1h"},{"id":"a","type":"wait","duration":"1h"}]}"#,
        "steps[1].id",
        .unknown,
        #""a" is given twice"#
    ),
    .init(
        .workflows,
        #"{"name":"w","trigger":{"type":"event","event":"e"},"steps":[{"id":"a","type":"aproval"}]}"#,
        "steps[0].type",
        .enum,
        #"did you mean "approval"?"#
    ),
    .init(.webhooks, #"{"entity":"ticket"}"#, "url", .required, "is required"),
    .init(.webhooks, #"{"entity":"ticket","url":"ftp://x"}"#, "url", .type, "http or https"),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"http://x","hook":"on_write"}"#,
        "hook",
        .enum,
        "none of after_write, before_write"
    ),
    .init(.webhooks, #"{"entity":"ticket","url":"http://x","method":"HEAD"}"#, "method", .enum, "none of POST, PUT"),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"http://x","headers":{"X-A":1}}"#,
        "headers.X-A",
        .type,
        "expected a string, got a number"
    ),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"http://x","async":false}"#,
        "async",
        .type,
        "after_write webhook is asynchronous"
    ),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"http://x","hook":"before_write","async":true}"#,
        "async",
        .type,
        "before_write webhook is synchronous"
    ),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"http://x","retry":{"max_attempts":0}}"#,
        "retry.max_attempts",
        .type,
        "expected a whole number from 1 to 100"
    ),
    .init(
        .webhooks,
        #"{"entity":"ticket","url":"http://x","retry":{"backoff":"none"}}"#,
        "retry.backoff",
        .enum,
        "exponential, linear"
    ),
]

struct StoredDefinitionTests {
    @Test(arguments: rows)
    func isStoredWithItsDefaultsFilledIn(row: StoredRow) throws {
        let (content, violations) = StoredDefinition.read(
            try readObject(row.given),
            kind: row.kind,
            path: "",
            fields: fields
        )
        #expect(violations == [])
        #expect(JSONValue.object(content).jsonText == row.stored)
    }

    @Test(arguments: rows)
    func isStoredTheSameOnceMore(row: StoredRow) throws {
        let (content, violations) = StoredDefinition.read(
            try readObject(row.stored),
            kind: row.kind,
            path: "",
            fields: fields
        )
        #expect(violations == [])
        #expect(JSONValue.object(content).jsonText == row.stored)
    }

    @Test(arguments: faults)
    func namesTheOneFault(fault: StoredFault) throws {
        let (_, violations) = StoredDefinition.read(
            try readObject(fault.given),
            kind: fault.kind,
            path: "\(fault.kind.rawValue)[1]",
            fields: fields
        )
        #expect(violations.map(\.field) == ["\(fault.kind.rawValue)[1].\(fault.path)"])
        #expect(violations.map(\.rule) == [fault.rule])
        #expect(violations.first?.message.contains(fault.words) == true, "\(violations)")
    }

    @Test func namesEveryFaultAtOnce() throws {
        let object = try readObject(
            #"{"entity":"tickt","hook":"x","type":"field","definition":{"operator":5,"other":1},"priority":"high","active":1,"n":0}"#
        )
        let (_, violations) = StoredDefinition.read(object, kind: .rules, path: "rules[0]", fields: fields)
        let paths = [
            "active", "definition.field", "definition.operator", "definition.other", "entity", "hook", "n", "priority",
        ]
        #expect(violations.compactMap(\.field).sorted() == paths.map { "rules[0].\($0)" })
    }

    @Test func knowsItsNameAndTheEntityThatItBelongsTo() {
        let rule = StoredDefinition(kind: .rules, id: "r1", content: ["entity": "ticket"])
        let workflow = StoredDefinition(
            kind: .workflows,
            id: "w1",
            content: ["name": "escalate", "trigger": ["entity": "customer"]]
        )
        #expect(rule.entity == "ticket")
        #expect(rule.name == nil)
        #expect(workflow.entity == "customer")
        #expect(workflow.name == "escalate")
    }
}
