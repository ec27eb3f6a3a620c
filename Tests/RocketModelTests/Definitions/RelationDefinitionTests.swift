import RocketModel
import Testing

private let oneToMany = #"""
    {"name": "tickets", "type": "one_to_many", "source": "customer", "target": "ticket", "source_key": "id",
     "target_key": "customer_id", "on_delete": "restrict"}
    """#

private let manyToMany = #"""
    {"name": "tags", "type": "many_to_many", "source": "ticket", "target": "tag", "join_table": "ticket_tags",
     "source_join_key": "ticket_id", "target_join_key": "tag_id", "on_delete": "cascade"}
    """#

private let keyFaults: [DefinitionFault] = [
    .init("name", nil, "name", .required, "is required"),
    .init("name", #""_tickets""#, "name", .type, "is no name"),
    .init("type", nil, "type", .required, "one of one_to_one, one_to_many, many_to_many"),
    .init("type", "null", "type", .required, "one of one_to_one, one_to_many, many_to_many"),
    .init("type", #""one_to_mny""#, "type", .enum, #"did you mean "one_to_many"?"#),
    .init("type", "1", "type", .type, "expected a string"),
    .init("source", nil, "source", .required, "is required"),
    .init("target", #""""#, "target", .required, "is required"),
    .init("source_key", nil, "source_key", .required, "is required"),
    .init("target_key", "5", "target_key", .type, "expected a string, got a number"),
    .init("on_delete", nil, "on_delete", .required, "one of cascade, restrict, set_null, detach"),
    .init("on_delete", #""delete""#, "on_delete", .enum, "none of cascade, restrict, set_null, detach"),
    .init("on_delete", #""setnull""#, "on_delete", .enum, #"did you mean "set_null"?"#),
    .init("inverse", #""Customer""#, "inverse", .type, "is no name"),
    .init("inverse", "null", "inverse", .required, "is required"),
    .init("ownership", #""both""#, "ownership", .enum, "none of source, target, none"),
    .init("fetch", #""always""#, "fetch", .enum, "none of lazy, eager"),
    .init("write_mode", #""merge""#, "write_mode", .enum, "none of diff, replace, append"),
    .init("ondelete", #""cascade""#, "ondelete", .unknown, #"did you mean "on_delete"?"#),
    .init("join_table", #""x""#, "join_table", .unknown, "a one_to_many relation has source_key, target_key"),
    .init("target_join_key", #""x""#, "target_join_key", .unknown, "a one_to_many relation has source_key, target_key"),
]

private let joinFaults: [DefinitionFault] = [
    .init("join_table", nil, "join_table", .required, "is required"),
    .init("join_table", #""Tags""#, "join_table", .type, "is no name"),
    .init("join_table", #""_tags""#, "join_table", .type, "is no name"),
    .init("join_table", #""pg_tags""#, "join_table", .type, "to the databases"),
    .init("join_table", #""sqlite_tags""#, "join_table", .type, "to the databases"),
    .init("source_join_key", nil, "source_join_key", .required, "is required"),
    .init("target_join_key", #""ticket_id""#, "target_join_key", .type, "two names"),
    .init(
        "source_key",
        #""id""#,
        "source_key",
        .unknown,
        "a many_to_many relation has join_table, source_join_key, target_join_key"
    ),
]

struct RelationDefinitionTests {
    @Test func fillsInItsDefaults() throws {
        let (relation, violations) = RelationDefinition.read(try readObject(oneToMany))
        #expect(violations == [])
        #expect(
            relation.json.jsonText
                == #"""
                {"name":"tickets","type":"one_to_many","source":"customer","target":"ticket","source_key":"id",\#
                "target_key":"customer_id","inverse":"tickets","ownership":"source","on_delete":"restrict",\#
                "fetch":"lazy","write_mode":"diff"}
                """#
        )
    }

    @Test func readsEverythingThatADefinitionSays() throws {
        var object = try readObject(manyToMany)
        object["inverse"] = "tagged"
        object["ownership"] = "none"
        object["fetch"] = "eager"
        object["write_mode"] = "append"

        let (relation, violations) = RelationDefinition.read(object)

        #expect(violations == [])
        let join = RelationDefinition.JoinTable(table: "ticket_tags", sourceKey: "ticket_id", targetKey: "tag_id")
        #expect(
            relation
                == RelationDefinition(
                    name: "tags",
                    kind: .manyToMany,
                    source: "ticket",
                    target: "tag",
                    link: .joinTable(join),
                    inverse: "tagged",
                    ownership: .none,
                    onDelete: .cascade,
                    fetch: .eager,
                    writeMode: .append
                )
        )
    }

    @Test(arguments: [oneToMany, manyToMany])
    func readsBackWhatItWrites(text: String) throws {
        let (relation, violations) = RelationDefinition.read(try readObject(text))
        let (again, laterViolations) = RelationDefinition.read(try #require(relation.json.objectValue))
        #expect(violations == [])
        #expect(laterViolations == [])
        #expect(again.json == relation.json)
    }

    @Test func theOtherSideHasTheSameNameUnlessItSaysOtherwise() throws {
        var object = try readObject(oneToMany)
        #expect(RelationDefinition.read(object).relation.inverseName == "tickets")
        object["inverse"] = "owner"
        #expect(RelationDefinition.read(object).relation.inverseName == "owner")
    }

    @Test func aRelationOfAnEntityToItselfHasItsParentForAnInverse() throws {
        var object = try readObject(oneToMany)
        object["name"] = "replies"
        object["source"] = "ticket"
        #expect(RelationDefinition.read(object).relation.inverseName == "replies_parent")
        object["inverse"] = "answers"
        #expect(RelationDefinition.read(object).relation.inverseName == "answers")
    }

    @Test(arguments: keyFaults)
    func namesTheOneFaultOfARelationByKey(fault: DefinitionFault) throws {
        let (_, violations) = RelationDefinition.read(try fault.put(into: oneToMany), path: "relations[1]")
        #expect(fault.isOnlyViolation(in: violations, under: "relations[1]."), "\(violations)")
    }

    @Test(arguments: joinFaults)
    func namesTheOneFaultOfARelationByJoinTable(fault: DefinitionFault) throws {
        let (_, violations) = RelationDefinition.read(try fault.put(into: manyToMany))
        #expect(fault.isOnlyViolation(in: violations), "\(violations)")
    }

    @Test func namesEveryFaultAtOnce() throws {
        let object = try readObject(#"{"name":"X","type":"many","source":"","fetch":"never","joins":1}"#)
        let (_, violations) = RelationDefinition.read(object)
        let expected = ["fetch", "joins", "name", "on_delete", "source", "source_key", "target", "target_key", "type"]
        #expect(violations.compactMap(\.field).sorted() == expected)
    }
}
