import RocketModel
import Testing

@testable import RocketPlanning

/// Orders with items, and rules of every kind, compiled for a dialect.
private enum Orders {
    static let entity = EntityDefinition(
        name: "order",
        table: "orders",
        primaryKey: .init(field: "id", type: .uuid, generated: true),
        softDelete: false,
        fields: [
            FieldDefinition(name: "id", type: .uuid), FieldDefinition(name: "total", type: .decimal),
            FieldDefinition(name: "state", type: .string), FieldDefinition(name: "closed_at", type: .timestamp),
        ]
    )

    static let item = EntityDefinition(
        name: "item",
        table: "items",
        primaryKey: .init(field: "id", type: .uuid, generated: true),
        softDelete: true,
        fields: [
            FieldDefinition(name: "id", type: .uuid), FieldDefinition(name: "order_id", type: .uuid),
            FieldDefinition(name: "qty", type: .int),
        ]
    )

    static let items = RelationDefinition(
        name: "items",
        kind: .oneToMany,
        source: "order",
        target: "item",
        link: .foreignKey(sourceKey: "id", targetKey: "order_id"),
        onDelete: .cascade
    )

    static func rule(_ number: Int, _ text: String) throws -> StoredDefinition {
        StoredDefinition(
            kind: .rules,
            id: "r\(number)",
            content: try JSONParser.parse(Array(text.utf8)).objectValue ?? [:]
        )
    }

    static func machine(_ transitions: String) throws -> StoredDefinition {
        let text = #"{"entity":"order","field":"state","definition":{"initial":"new","transitions":[\#(transitions)]}}"#
        let content = try JSONParser.parse(Array(text.utf8)).objectValue ?? [:]
        return StoredDefinition(kind: .stateMachines, id: "m", content: content)
    }

    static func expression(_ number: Int, _ expression: String, load: String = "") throws -> StoredDefinition {
        let loads = load.isEmpty ? "" : #","related_load":[\#(load)]"#
        return try rule(
            number,
            #"{"entity":"order","type":"expression","definition":{"expression":"\#(expression)"\#(loads)}}"#
        )
    }

    static func snapshot(_ others: [StoredDefinition], _ dialect: SQLDialect = .sqlite) throws -> AppSnapshot {
        let definitions = DefinitionSet(entities: [entity, item], relations: [items], others: others)
        return try SnapshotCompiler.compile(definitions, version: 1, dialect: dialect)
    }

    static let key = "00000000-0000-4000-8000-000000000001"

    /// An update of the order, with the row that is stored.
    static func update(
        _ payload: JSONObject,
        _ snapshot: AppSnapshot,
        state: SQLValue = .text("new")
    ) throws -> WriteTree {
        let entity = try snapshot.entity("order")
        let grant = try Access(Desk.admin, to: snapshot, at: Desk.now).grant(.update, on: entity)
        var tree = try WriteTree.update(payload, id: key, in: entity, grant: grant, now: Desk.now) {
            UniqueID.version7(at: Desk.now, random: 0)
        }
        tree.takeStored([.text(key), .text("5"), state, .null])
        return tree
    }

    static func row(_ snapshot: AppSnapshot, to state: String) throws -> PlannedRow {
        var row = PlannedRow.stored([.text(key), .text("5"), .text("new"), .null], of: try snapshot.entity("order"))
        row.values[2] = .text(state)
        return row
    }
}

struct RuleTests {
    @Test(arguments: [SQLDialect.sqlite, .postgres])
    func manyRulesOnOneRelationAreOneStatement(dialect: SQLDialect) throws {
        let loads = [#"{"relation":"items"}"#, #"{"relation":"items","filter":{"qty.gt":1}}"#]
        let rules = try (0..<10).map {
            try Orders.expression($0, "related.items.length > \($0 + 100)", load: loads[$0 % 2])
        }
        var tree = try Orders.update(["total": 6], try Orders.snapshot(rules, dialect))
        #expect(try tree.factStatements().isEmpty)
        let statements = tree.relatedStatements()
        #expect(statements.count == 1)
        #expect(statements[0].text.contains("\"deleted_at\" IS NULL"))
        tree.takeRelated([StatementResult(rowCount: 0)])
        try tree.judge()
        #expect(tree.isJudged && tree.relatedStatements().isEmpty)
    }

    @Test func filtersOfAllLoadsAreAskedOfTheDatabase() throws {
        let rules = [
            try Orders.expression(1, "related.items.length > 3", load: #"{"relation":"items","filter":{"qty.gt":1}}"#),
            try Orders.expression(2, "related.items.length > 3", load: #"{"relation":"items","filter":{"qty":0}}"#),
        ]
        var tree = try Orders.update(["total": 6], try Orders.snapshot(rules, .postgres))
        _ = try tree.factStatements()
        let text = tree.relatedStatements()[0].text
        #expect(text.contains("AND ((_t.\"qty\" > $2) OR (_t.\"qty\" = $3))"), "\(text)")
    }

    @Test func tooManyRelatedRecordsAreAViolation() throws {
        let rules = [try Orders.expression(1, "related.items.length > 3", load: #"{"relation":"items"}"#)]
        var tree = try Orders.update(["total": 6], try Orders.snapshot(rules))
        _ = try tree.factStatements()
        _ = tree.relatedStatements()
        tree.takeRelated([StatementResult(rowCount: 50_001)])
        let refused = failure { try tree.judge() }
        #expect(refused?.code == .validationFailed)
        #expect(refused?.details.first?.message.contains("more than 50000 records") == true)
    }

    @Test func anEntityWithoutRulesAsksForNothing() throws {
        var tree = try Orders.update(["total": 6], try Orders.snapshot([]))
        _ = try tree.factStatements()
        #expect(tree.relatedStatements().isEmpty && tree.snapshot.logic(of: tree.entity) == nil)
    }

    /// A definition that an older Rocket let pass must neither stop the app nor let writes pass unjudged.
    @Test func whatCantBeRunRefusesEveryWriteAndStopsNobodyFromStarting() throws {
        let snapshot = try Orders.snapshot([try Orders.expression(1, "record.totl > 1")])
        let entity = try snapshot.entity("order")
        let grant = try Access(Desk.admin, to: snapshot, at: Desk.now).grant(.create, on: entity)
        let refused = failure {
            try WritePlanner.create([:], in: entity, grant: grant, now: Desk.now) {
                UniqueID.version7(at: Desk.now, random: 0)
            }
        }
        #expect(refused?.code == .validationFailed)
        #expect(refused?.details.first?.message.contains("rule r1 can't be run") == true)
        #expect(SnapshotCompiler.broken(in: snapshot.definitions).map(\.path) == ["rules[0]"])
    }

    /// What is answered after the commit can't be refused for its size any more.
    @Test func aWriteKnowsWhetherItsAnswerIsSurelySmall() throws {
        let snapshot = try Desk.snapshot()
        let entity = try snapshot.entity("ticket")
        let grant = try Access(Desk.admin, to: snapshot, at: Desk.now).grant(.create, on: entity)
        func isSmall(_ payload: JSONObject) throws -> Bool {
            try WriteTree.create(payload, in: entity, grant: grant, now: Desk.now) {
                UniqueID.version7(at: Desk.now, random: 0)
            }.isSmall
        }
        #expect(try isSmall(["title": "a"]))
        #expect(try !isSmall(["title": "a", "body": .string(String(repeating: "\u{1}", count: 12 << 20))]))
        let long = JSONValue.number(JSONNumber(unchecked: String(repeating: "9", count: 1000)))
        #expect(try !isSmall(["title": "a", "meta": .array(Array(repeating: long, count: 70_000))]))
    }

    @Test func recordsAreMadeAloneUnlessTheirRulesLookAtOthers() throws {
        let alone = try Orders.snapshot([try Orders.expression(1, "record.total > 1")])
        #expect(alone.logic(of: try alone.entity("order"))?.createsAlone == true)
        let beside = try Orders.snapshot([try Orders.expression(1, "related.items", load: #"{"relation":"items"}"#)])
        #expect(beside.logic(of: try beside.entity("order"))?.createsAlone == false)
    }
}

struct TransitionTests {
    private static let agent = Principal(userID: "u", email: "a@x.example", roles: ["Agent"])
    private static let clerk = Principal(userID: "c", email: "c@x.example", roles: ["clerk"])

    private static func verdict(
        _ transitions: String,
        to state: String,
        _ principal: Principal
    ) throws -> RuleRun.Verdict {
        let snapshot = try Orders.snapshot([try Orders.machine(transitions)])
        let logic = try #require(snapshot.logic(of: try snapshot.entity("order")))
        var run = RuleRun(Access(principal, to: snapshot, at: Desk.now), now: Desk.now)
        return run.judge(logic.machines[0], 0, in: [try Orders.row(snapshot, to: state)], logic)
    }

    @Test func aRoleOpensATransitionWhateverItsCaseAndAdministratorsPass() throws {
        let way = #"{"from":"new","to":"done","roles":["agent","LEAD"]}"#
        for principal in [Self.agent, Desk.admin] {
            guard case .moves = try Self.verdict(way, to: "done", principal) else {
                Issue.record("\(principal.roles) can't pass")
                continue
            }
        }
        guard case .forbidden(let failure) = try Self.verdict(way, to: "done", Self.clerk) else {
            Issue.record("a clerk passes")
            return
        }
        #expect(failure.code == .forbidden && failure.message.contains("agent"))
        #expect(failure.details.map(\.field) == ["state"])
    }

    @Test func ofSeveralWaysTheFirstThatIsOpenAndAllowedIsTaken() throws {
        let ways = #"""
            {"from":"new","to":"done","roles":["lead"],"actions":[{"type":"send_event","event":"a"}]},
            {"from":"new","to":"done","guard":"record.total > 9","actions":[{"type":"send_event","event":"b"}]},
            {"from":"*","to":"done","guard":"record.total > 4","actions":[{"type":"send_event","event":"c"}]}
            """#
        guard case .moves(let taken) = try Self.verdict(ways, to: "done", Self.clerk),
            case .sendEvent(let event, _)? = taken.actions.first
        else {
            Issue.record("no way is taken")
            return
        }
        #expect(event == "c")
    }

    @Test func administratorsMeetGuardsAsEveryoneDoes() throws {
        let way = #"{"from":"new","to":"done","guard":"false"}"#
        guard case .refused(let detail) = try Self.verdict(way, to: "done", Desk.admin) else {
            Issue.record("the guard is passed over")
            return
        }
        #expect(detail.rule == .stateMachine && detail.field == "state")
    }

    @Test func theStatesThatAreShownAreThoseThatThisCallerCanReach() throws {
        let ways = #"""
            {"from":"new","to":"done","roles":["agent"]}, {"from":"new","to":"held","guard":"record.total < 5"},
            {"from":"new","to":"sent","guard":"record.state == 'sent' && old.state == 'new'"}, {"from":"done","to":"void"}
            """#
        let policies = try ["read", "update"].map { action in
            StoredDefinition(
                kind: .permissions,
                id: action,
                content: try JSONParser.parse(
                    Array(#"{"entity":"order","action":"\#(action)","roles":["*"]}"#.utf8)
                ).objectValue ?? [:]
            )
        }
        let snapshot = try Orders.snapshot([try Orders.machine(ways)] + policies)
        let entity = try snapshot.entity("order")
        func states(_ principal: Principal) -> JSONValue? {
            var states = ReachableStates(of: entity, Access(principal, to: snapshot, at: Desk.now), now: Desk.now)
            states.begin([.text(Orders.key), .text("5"), .text("new"), .null])
            return states.json["state"]
        }
        #expect(states(Self.agent) == ["done", "sent"])
        #expect(states(Self.clerk) == ["sent"])
    }

    @Test func effectsAreNotedOnlyForWhatIsWritten() throws {
        let way =
            #"{"from":"new","to":"done","actions":[{"type":"send_event","event":"a","payload":{"at":{"expression":"now"}}}]}"#
        let snapshot = try Orders.snapshot([try Orders.machine(way)])
        var tree = try Orders.update(["state": "done"], snapshot)
        _ = try tree.factStatements()
        try tree.judge()
        guard case .event("a", let payload, 0)? = tree.effects.first, tree.effects.count == 1 else {
            Issue.record("\(tree.effects)")
            return
        }
        #expect(payload == ["at": "2026-03-01T12:00:00.000000Z"])
        var same = try Orders.update(["state": "done"], snapshot, state: .text("done"))
        _ = try same.factStatements()
        try same.judge()
        #expect(same.effects.isEmpty)
    }

    @Test func statesThatNothingLeadsToAreFound() throws {
        let machine = try Orders.machine(#"{"from":"new","to":"a"},{"from":"b","to":"c"},{"from":"c","to":"a"}"#)
        let definitions = DefinitionSet(entities: [Orders.entity, Orders.item], others: [machine])
        let warnings = StateReachability.warnings(from: DefinitionSet(), to: definitions)
        #expect(warnings == [#"the state machine of order.state never leads from "new" to "b", "c""#])
        #expect(StateReachability.warnings(from: definitions, to: definitions).isEmpty)
    }
}

/// Related records are filtered in memory as the databases filter theirs.
struct RelatedFilterTests {
    private static func holds(_ name: String, _ json: JSONValue, _ value: FieldValue) throws -> Bool {
        try FieldCondition(name, json, of: try Desk.entity("ticket")).holds(of: value)
    }

    @Test func comparisonsHoldAsTheyDoInTheDatabases() throws {
        #expect(try Self.holds("title", "a", .text("a")))
        #expect(try !Self.holds("title", "a", .text("A")) && Self.holds("title.neq", "a", .null))
        #expect(try !Self.holds("title", "a", .null) && Self.holds("title.not_in", ["a"], .null))
        #expect(try Self.holds("title.in", ["a", "b"], .text("b")) && !Self.holds("title.not_in", ["a"], .text("a")))
        #expect(try Self.holds("title.gt", "Z", .text("a")) && Self.holds("title.lt", "\u{1F600}", .text("\u{FFFD}")))
        #expect(try Self.holds("price.gte", "1.50", .decimal(DecimalNumber("1.5") ?? DecimalNumber(0))))
        #expect(try Self.holds("priority.lte", 3, .whole(3)) && !Self.holds("priority.lt", 3, .whole(3)))
        #expect(try Self.holds("title.like", "a%b_", .text("axxbc")) && !Self.holds("title.like", "A%", .text("ab")))
        #expect(try Self.holds("title.ilike", "Ä%", .text("äb")) && Self.holds("title.contains", "b", .text("abc")))
        #expect(
            try Self.holds("title.starts_with", "ab", .text("abc")) && !Self.holds("title.contains", "B", .text("abc"))
        )
        #expect(try Self.holds("title.is_null", true, .null) && Self.holds("title.is_null", false, .text("")))
        #expect(
            try Self.holds("urgent", true, .boolean(true))
                && Self.holds("due.lt", "2026-01-02", .date(CalendarDate(days: 0)))
        )
    }

    @Test(
        arguments: [
            ("nothing", 1), ("title.above", "a"), ("title", 5), ("title", .null), ("title.in", "a"), ("title.in", []),
            ("meta", "a"), ("urgent.gt", true), ("title.like", "a\\"), ("due.is_null", "yes"), ("title.eq.eq", "a"),
        ] as [(String, JSONValue)]
    )
    func whatFitsNoFieldIsRefused(name: String, json: JSONValue) throws {
        #expect(throws: CoercionFailure.self) { try FieldCondition(name, json, of: try Desk.entity("ticket")) }
    }
}
