import RocketModel
import Testing

/// One member of a definition that is right but for it, and the one violation that it brings.
struct DefinitionFault: Sendable, CustomTestStringConvertible {
    let member: String
    /// The member's JSON; nil takes the member out.
    let value: String?
    let path: String
    let rule: ViolatedRule
    let words: String

    init(_ member: String, _ value: String?, _ path: String, _ rule: ViolatedRule, _ words: String) {
        self.member = member
        self.value = value
        self.path = path
        self.rule = rule
        self.words = words
    }

    var testDescription: String { "\(member): \(value ?? "absent")" }

    /// `definition` with the fault in it.
    func put(into definition: String) throws -> JSONObject {
        var object = try readObject(definition)
        object[member] = try value.map { try readJSON($0) }
        return object
    }

    /// Whether `violations` is the expected one and nothing else.
    func isOnlyViolation(in violations: [FailureDetail], under prefix: String = "") -> Bool {
        violations.count == 1 && violations[0].field == prefix + path && violations[0].rule == rule
            && violations[0].message.contains(words)
    }
}

private let ticket = #"""
    {"name": "ticket", "table": "tickets", "primary_key": {"field": "id", "type": "uuid", "generated": true},
     "fields": [{"name": "id", "type": "uuid"}, {"name": "title", "type": "string"},
                {"name": "slug", "type": "string", "unique": true}, {"name": "priority", "type": "int"},
                {"name": "meta", "type": "json"}, {"name": "code", "type": "string", "unique": true}]}
    """#

private let faults: [DefinitionFault] = [
    .init("name", nil, "name", .required, "is required"),
    .init("name", "null", "name", .required, "is required"),
    .init("name", #""""#, "name", .required, "is required"),
    .init("name", "5", "name", .type, "expected a string, got a number"),
    .init("name", #""Ticket""#, "name", .type, #""Ticket" is no name"#),
    .init("name", #""_ticket""#, "name", .type, "is no name"),
    .init("name", #""9lives""#, "name", .type, "is no name"),
    .init("name", #""two words""#, "name", .type, "is no name"),
    .init("name", #""tïcket""#, "name", .type, "is no name"),
    .init("name", #""auth""#, "name", .type, "auth"),
    .init("table", #""_tickets""#, "table", .type, "is no name"),
    .init("table", #""sqlite_tickets""#, "table", .type, "to the databases"),
    .init("table", #""pg_tickets""#, "table", .type, "to the databases"),
    .init("table", #""pragma_x""#, "table", .type, "to the databases"),
    .init("table", #""json_each""#, "table", .type, "to the databases"),
    .init("table", "[]", "table", .type, "expected a string, got an array"),
    .init("primary_key", nil, "primary_key", .required, "is required"),
    .init("primary_key", "null", "primary_key", .required, "is required"),
    .init("primary_key", #""id""#, "primary_key", .type, "expected an object, got a string"),
    .init("primary_key", #"{"type": "uuid"}"#, "primary_key.field", .required, "is required"),
    .init("primary_key", #"{"field": "id"}"#, "primary_key.type", .required, "is required"),
    .init("primary_key", #"{"field": "idd", "type": "uuid"}"#, "primary_key.field", .unknown, #"did you mean "id"?"#),
    .init(
        "primary_key",
        #"{"field": "id", "type": "guid"}"#,
        "primary_key.type",
        .enum,
        "none of uuid, int, bigint, string"
    ),
    .init("primary_key", #"{"field": "id", "type": "int"}"#, "primary_key.type", .type, #"the field "id" is uuid"#),
    .init(
        "primary_key",
        #"{"field": "code", "type": "string", "generated": true}"#,
        "primary_key.generated",
        .type,
        "given by the client"
    ),
    .init(
        "primary_key",
        #"{"field": "id", "type": "uuid", "generated": 1}"#,
        "primary_key.generated",
        .type,
        "true or false"
    ),
    .init(
        "primary_key",
        #"{"field": "id", "type": "uuid", "auto": true}"#,
        "primary_key.auto",
        .unknown,
        "is not known here"
    ),
    .init("soft_delete", "1", "soft_delete", .type, "expected true or false, got a number"),
    .init("soft_delte", "true", "soft_delte", .unknown, #"did you mean "soft_delete"?"#),
    .init("feilds", "[]", "feilds", .unknown, #"did you mean "fields"?"#),
    .init("slug", #""slug""#, "slug", .type, "expected an object"),
    .init("slug", "{}", "slug.field", .required, "is required"),
    .init("slug", #"{"field": "title"}"#, "slug.field", .type, "a slug is a unique string or text field"),
    .init("slug", #"{"field": "priority"}"#, "slug.field", .type, "a slug is a unique string or text field"),
    .init("slug", #"{"field": "slgu"}"#, "slug.field", .unknown, #"did you mean "slug"?"#),
    .init("slug", #"{"field": "slug", "source": "priority"}"#, "slug.source", .type, "string or text field"),
    .init("slug", #"{"field": "slug", "source": "titel"}"#, "slug.source", .unknown, #"did you mean "title"?"#),
    .init("slug", #"{"field": "slug", "regenerate_on_update": true}"#, "slug.regenerate_on_update", .type, "source"),
    .init("slug", #"{"field": "slug", "sources": "title"}"#, "slug.sources", .unknown, #"did you mean "source"?"#),
    .init("indexes", "{}", "indexes", .type, "expected an array, got an object"),
    .init("indexes", "[5]", "indexes[0]", .type, "expected an object, got a number"),
    .init("indexes", "[{}]", "indexes[0].fields", .required, "at least one field"),
    .init("indexes", #"[{"fields": ["title", 5]}]"#, "indexes[0].fields[1]", .type, "expected a string, got a number"),
    .init("indexes", #"[{"fields": ["-titel"]}]"#, "indexes[0].fields[0]", .unknown, #"did you mean "title"?"#),
    .init("indexes", #"[{"fields": ["meta"]}]"#, "indexes[0].fields[0]", .type, "a json field can't be indexed"),
    .init(
        "indexes",
        #"[{"fields": ["title", "-title"]}]"#,
        "indexes[0].fields[1]",
        .unknown,
        #""title" is given twice"#
    ),
    .init("indexes", #"[{"fields": ["title"]}, {"fields": ["title"]}]"#, "indexes[1].fields", .unknown, "given twice"),
    .init(
        "indexes",
        #"[{"fields": ["title"], "uniqe": true}]"#,
        "indexes[0].uniqe",
        .unknown,
        #"did you mean "unique"?"#
    ),
    .init("indexes", #"[{"fields": ["title"], "unique": "yes"}]"#, "indexes[0].unique", .type, "true or false"),
]

struct EntityDefinitionTests {
    @Test func readsEverythingThatADefinitionSays() throws {
        let object = try readObject(
            #"""
            {"name": "article", "table": "articles", "primary_key": {"field": "id", "type": "bigint", "generated": false},
             "soft_delete": false, "slug": {"field": "slug", "source": "title", "regenerate_on_update": true},
             "indexes": [{"fields": ["title", "-id"], "unique": true}],
             "fields": [{"name": "id", "type": "bigint"}, {"name": "title", "type": "text"},
                        {"name": "slug", "type": "text", "unique": true}]}
            """#
        )

        let (entity, violations) = EntityDefinition.read(object)

        #expect(violations == [])
        #expect(entity.name == "article")
        #expect(entity.table == "articles")
        #expect(entity.primaryKey == .init(field: "id", type: .bigint, generated: false))
        #expect(!entity.softDelete)
        #expect(entity.slug == .init(field: "slug", source: "title", regenerateOnUpdate: true))
        let columns = [
            EntityDefinition.Index.Column(field: "title", isDescending: false),
            EntityDefinition.Index.Column(field: "id", isDescending: true),
        ]
        #expect(entity.indexes == [.init(columns: columns, unique: true)])
        #expect(entity.fields.map(\.name) == ["id", "title", "slug"])
        #expect(entity.field("slug")?.unique == true)
        #expect(entity.field("nothing") == nil)
    }

    @Test func fillsInItsDefaults() throws {
        let object = try readObject(
            #"{"name":"note","primary_key":{"field":"id","type":"uuid"},"fields":[{"name":"id","type":"uuid"}]}"#
        )
        let (entity, violations) = EntityDefinition.read(object)
        #expect(violations == [])
        #expect(
            entity.json.jsonText
                == #"""
                {"name":"note","table":"note","primary_key":{"field":"id","type":"uuid","generated":true},\#
                "soft_delete":true,"history":true,"indexes":[],"fields":[{"name":"id","type":"uuid","required":false,\#
                "unique":false,"nullable":false}]}
                """#
        )
    }

    @Test func aStringKeyIsGivenByTheClientUnlessItSaysOtherwise() throws {
        let object = try readObject(
            #"{"name":"note","primary_key":{"field":"id","type":"string"},"fields":[{"name":"id","type":"string"}]}"#
        )
        let (entity, violations) = EntityDefinition.read(object)
        #expect(violations == [])
        #expect(entity.primaryKey == .init(field: "id", type: .string, generated: false))
    }

    @Test func takesIntegerForTheTypeOfAKey() throws {
        let object = try readObject(
            #"{"name":"note","primary_key":{"field":"id","type":"integer"},"fields":[{"name":"id","type":"int"}]}"#
        )
        let (entity, violations) = EntityDefinition.read(object)
        #expect(violations == [])
        #expect(entity.primaryKey == .init(field: "id", type: .int, generated: true))
    }

    @Test(arguments: [
        ticket,
        #"{"name":"note","primary_key":{"field":"id","type":"integer"},"fields":[{"name":"id","type":"integer"}]}"#,
        #"""
        {"name": "article", "table": "articles", "primary_key": {"field": "id", "type": "string"}, "soft_delete": false,
         "slug": {"field": "slug"}, "indexes": [{"fields": ["-price", "id"]}, {"fields": ["price"], "unique": true}],
         "fields": [{"name": "id", "type": "string"}, {"name": "slug", "type": "string", "unique": true},
                    {"name": "price", "type": "decimal", "precision": 2, "enum": [1.50, "2"], "default": 1.5},
                    {"name": "meta", "type": "json", "default": {"a": [1, null]}, "nullable": true},
                    {"name": "seen_at", "type": "timestamp", "auto": "update", "required": true}]}
        """#,
    ])
    func readsBackWhatItWrites(text: String) throws {
        let (entity, violations) = EntityDefinition.read(try readObject(text))
        let written = try #require(entity.json.objectValue)
        let (again, laterViolations) = EntityDefinition.read(written)
        #expect(violations == [])
        #expect(laterViolations == [])
        #expect(again == entity)
        #expect(again.json == entity.json)
    }

    @Test(arguments: faults)
    func namesTheOneFault(fault: DefinitionFault) throws {
        let (_, violations) = EntityDefinition.read(try fault.put(into: ticket))
        #expect(fault.isOnlyViolation(in: violations), "\(violations)")
    }

    @Test(arguments: faults)
    func putsThePathOfTheDefinitionInFront(fault: DefinitionFault) throws {
        let (_, violations) = EntityDefinition.read(try fault.put(into: ticket), path: "entities[2]")
        #expect(fault.isOnlyViolation(in: violations, under: "entities[2]."), "\(violations)")
    }

    @Test func namesEveryFaultAtOnce() throws {
        let object = try readObject(
            #"""
            {"name": "Ticket", "table": "sqlite_tickets", "soft_delete": "no",
             "primary_key": {"field": "idd", "type": "serial", "generated": "yes", "auto": 1},
             "indexes": [{"fields": []}, {"fields": ["-nope"]}],
             "fields": [{"name": "id", "type": "uuid"}, {"name": "rowid", "type": "int"}, {"name": "id", "type": "string"},
                        {"name": "status", "type": "strng"}, {"type": "int"}, 5],
             "slugg": {}}
            """#
        )

        let (_, violations) = EntityDefinition.read(object)

        let expected = [
            "fields[1].name", "fields[2].name", "fields[3].type", "fields[4].name", "fields[5]", "indexes[0].fields",
            "indexes[1].fields[0]", "name", "primary_key.auto", "primary_key.field", "primary_key.generated",
            "primary_key.type", "slugg", "soft_delete", "table",
        ]
        #expect(violations.compactMap(\.field).sorted() == expected)
        let byField = Dictionary(
            violations.map { ($0.field ?? "", $0.message) },
            uniquingKeysWith: { first, _ in first }
        )
        #expect(byField["fields[2].name"] == "\"id\" is given twice")
        #expect(byField["fields[3].type"]?.hasSuffix("did you mean \"string\"?") == true)
        #expect(byField["slugg"]?.hasSuffix("did you mean \"slug\"?") == true)
    }

    @Test(arguments: ["[]", "null", nil] as [String?])
    func asksForAtLeastOneField(value: String?) throws {
        var object = try readObject(#"{"name":"note","primary_key":{"field":"id","type":"uuid"}}"#)
        object["fields"] = try value.map { try readJSON($0) }
        let (_, violations) = EntityDefinition.read(object)
        #expect(violations.contains { $0.field == "fields" && $0.rule == .required })
    }

    @Test func takes500FieldsAndNoMore() throws {
        let others = (1...499).map { "{\"name\":\"f\($0)\",\"type\":\"int\"}" }
        var object = try readObject(ticket)
        let all = ["{\"name\":\"id\",\"type\":\"uuid\"}"] + others
        object["fields"] = try readJSON("[\(all.joined(separator: ","))]")
        #expect(EntityDefinition.read(object).violations == [])

        let oneMore = all + ["{\"name\":\"last\",\"type\":\"int\"}"]
        object["fields"] = try readJSON("[\(oneMore.joined(separator: ","))]")
        let violation = EntityDefinition.read(object).violations.first { $0.field == "fields" }
        #expect(violation?.message.contains("at most 500 fields, got 501") == true)
    }

    @Test func asksForAnArrayOfFields() throws {
        let object = try readObject(
            #"{"name":"note","primary_key":{"field":"id","type":"uuid"},"fields":{"id":"uuid"}}"#
        )
        let (_, violations) = EntityDefinition.read(object)
        #expect(violations.filter { $0.field == "fields" }.map(\.message) == ["expected an array, got an object"])
    }

    @Test func twoFieldsWithoutANameAreNotTheSameField() throws {
        var object = try readObject(ticket)
        object["fields"] = try readJSON(#"[{"name":"id","type":"uuid"},{"type":"int"},{"type":"int"}]"#)
        let (_, violations) = EntityDefinition.read(object)
        #expect(violations.map(\.field) == ["fields[1].name", "fields[2].name"])
    }

    @Test func aNamedDeletedAtOfSoftDeletesIsATimestamp() throws {
        var object = try readObject(ticket)
        object["fields"] = try readJSON(#"[{"name":"id","type":"uuid"},{"name":"deleted_at","type":"date"}]"#)
        #expect(EntityDefinition.read(object).violations.map(\.field) == ["fields"])

        object["soft_delete"] = false
        #expect(EntityDefinition.read(object).violations == [])

        object["soft_delete"] = true
        object["fields"] = try readJSON(#"[{"name":"id","type":"uuid"},{"name":"deleted_at","type":"timestamp"}]"#)
        #expect(EntityDefinition.read(object).violations == [])
    }

    @Test(arguments: ["select", "order", "user", "group", "table", "a", "x_1", "data"])
    func takesKeywordsOfSQLForNames(name: String) throws {
        var object = try readObject(ticket)
        object["name"] = .string(name)
        object["table"] = .string(name)
        let (entity, violations) = EntityDefinition.read(object)
        #expect(violations == [])
        #expect(entity.table == name)
    }

    @Test func takesNamesOf63CharactersAndNoLonger() {
        #expect(isValidName("a" + String(repeating: "b", count: 62)))
        #expect(!isValidName("a" + String(repeating: "b", count: 63)))
        #expect(!isValidName(""))
    }
}
