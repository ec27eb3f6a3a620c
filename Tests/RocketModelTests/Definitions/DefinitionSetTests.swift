import RocketModel
import Testing

private func entity(_ name: String, _ fields: [String]) -> EntityDefinition {
    EntityDefinition(
        name: name,
        table: name,
        primaryKey: .init(field: "id", type: .uuid, generated: true),
        fields: (["id"] + fields).map { FieldDefinition(name: $0, type: .string) }
    )
}

private func stored(_ kind: DefinitionKind, _ id: String, _ text: String) throws -> StoredDefinition {
    StoredDefinition(kind: kind, id: id, content: try readObject(text))
}

private func definitions() throws -> DefinitionSet {
    DefinitionSet(
        entities: [
            entity("ticket", ["status", "owner", "customer_id"]), entity("customer", ["code"]), entity("tag", []),
        ],
        relations: [
            RelationDefinition(
                name: "tickets",
                kind: .oneToMany,
                source: "customer",
                target: "ticket",
                link: .foreignKey(sourceKey: "code", targetKey: "customer_id"),
                onDelete: .restrict
            ),
            RelationDefinition(
                name: "tags",
                kind: .manyToMany,
                source: "ticket",
                target: "tag",
                link: .joinTable(.init(table: "ticket_tags", sourceKey: "status", targetKey: "tag_id")),
                onDelete: .cascade
            ),
        ],
        others: [
            try stored(.rules, "r1", #"{"entity":"ticket","type":"field","definition":{"field":"status"}}"#),
            try stored(.rules, "r2", #"{"entity":"customer","type":"field","definition":{"field":"status"}}"#),
            try stored(.stateMachines, "s1", #"{"entity":"ticket","field":"status","definition":{"initial":"open"}}"#),
            try stored(.workflows, "w1", #"{"name":"escalate","trigger":{"entity":"ticket","field":"status"}}"#),
            try stored(.workflows, "w2", #"{"name":"nightly","trigger":{"type":"schedule"}}"#),
            try stored(.permissions, "p1", #"{"entity":"ticket","conditions":[{"field":"owner"}]}"#),
            try stored(.permissions, "p2", #"{"entity":"ticket","conditions":[],"check":[{"field":"status"}]}"#),
            try stored(.webhooks, "h1", #"{"entity":"ticket","url":"https://x"}"#),
        ]
    )
}

struct DefinitionSetTests {
    @Test func namesEverythingThatUsesAnEntity() throws {
        let set = try definitions()
        #expect(
            set.users(ofEntity: "ticket") == [
                "relation \"tickets\"", "relation \"tags\"", "rule r1", "state machine s1", "workflow \"escalate\"",
                "permission p1", "permission p2", "webhook h1",
            ]
        )
        #expect(set.users(ofEntity: "customer") == ["relation \"tickets\"", "rule r2"])
        #expect(set.users(ofEntity: "tag") == ["relation \"tags\""])
        #expect(set.users(ofEntity: "nothing") == [])
    }

    @Test func namesEverythingThatUsesAField() throws {
        let set = try definitions()
        #expect(
            set.users(ofField: "status", entity: "ticket") == [
                "rule r1", "state machine s1", "workflow \"escalate\"", "permission p2",
            ]
        )
        #expect(set.users(ofField: "owner", entity: "ticket") == ["permission p1"])
        #expect(set.users(ofField: "customer_id", entity: "ticket") == ["relation \"tickets\""])
        #expect(set.users(ofField: "code", entity: "customer") == ["relation \"tickets\""])
        #expect(set.users(ofField: "customer_id", entity: "customer") == [])
        #expect(set.users(ofField: "title", entity: "ticket") == [])
    }

    @Test func takesAnEntityOutWithEverythingThatNamesIt() throws {
        let rest = try definitions().removingEntity("ticket")
        #expect(rest.entities.map(\.name) == ["customer", "tag"])
        #expect(rest.relations == [])
        #expect(rest.others.map(\.id) == ["r2", "w2"])
    }

    @Test func listsTheFieldsOfEachEntity() throws {
        let names = try definitions().fieldNames
        #expect(names["ticket"] == ["id", "status", "owner", "customer_id"])
        #expect(names["tag"] == ["id"])
        #expect(names.count == 3)
    }
}
