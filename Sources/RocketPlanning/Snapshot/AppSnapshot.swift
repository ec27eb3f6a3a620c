import RocketExpression
package import RocketModel

/// What an app is at one moment: all metadata, compiled. A request takes one snapshot when it begins and never
/// looks at another. It is immutable, and handed along as one reference.
package final class AppSnapshot: Sendable {
    /// Grows by one with every change of the metadata.
    package let version: Int64
    package let definitions: DefinitionSet
    package let dialect: SQLDialect
    private let entities: [String: EntityModel]
    private let logics: [String: EntityLogic]
    private let policies: [String: [RecordAction: [Policy]]]
    /// What expressions know of each entity's records; only where there are rules or state machines.
    let recordTypes: [String: ObjectType]

    init(
        version: Int64,
        definitions: DefinitionSet,
        dialect: SQLDialect,
        entities: [String: EntityModel],
        logics: [String: EntityLogic] = [:],
        policies: [String: [RecordAction: [Policy]]] = [:],
        recordTypes: [String: ObjectType] = [:],
        workflows: [StoredWorkflow] = []
    ) {
        self.version = version
        self.definitions = definitions
        self.dialect = dialect
        self.entities = entities
        self.logics = logics
        self.policies = policies
        readsAttributes = Self.readsAttributes(logics, policies)
        self.recordTypes = recordTypes
        self.workflows = workflows
        makesWork = logics.values.contains(where: \.makesWork)
        awaitsCalls = logics.values.contains(where: \.awaitsCalls)
        hasFiles = entities.values.contains { !$0.fileFields.isEmpty }
    }

    package static func empty(_ dialect: SQLDialect) -> AppSnapshot {
        AppSnapshot(version: 0, definitions: DefinitionSet(), dialect: dialect, entities: [:])
    }

    package func entity(_ name: String) throws(RequestFailure) -> EntityModel {
        guard let model = entities[name] else { throw .unknownEntity(name, known: entities.keys) }
        return model
    }

    package func model(_ name: String) -> EntityModel? { entities[name] }

    /// The rules and state machines of an entity; nil where it has none.
    package func logic(of entity: EntityModel) -> EntityLogic? {
        logics.isEmpty ? nil : logics[entity.name]
    }

    /// Whether writes may leave work for after their commit.
    package let makesWork: Bool
    /// Whether some entity has fields for uploaded files.
    let hasFiles: Bool
    /// Whether writes may have to wait for calls.
    package let awaitsCalls: Bool

    /// In the order of their age.
    package let workflows: [StoredWorkflow]

    /// The workflows that an event starts.
    package func workflows(startedBy event: String) -> [StoredWorkflow] {
        workflows.filter { workflow in
            if case .event(event, _) = workflow.definition.trigger { workflow.definition.isActive } else { false }
        }
    }

    /// The workflows that start by themselves.
    package var scheduled: [(workflow: StoredWorkflow, schedule: WorkflowSchedule)] {
        workflows.compactMap { workflow in
            guard case .schedule(let schedule) = workflow.definition.trigger, workflow.definition.isActive else {
                return nil
            }
            return (workflow, schedule)
        }
    }

    /// A webhook that is active; nil where there is none of this id.
    package func webhook(_ id: String) -> Webhook? {
        for logic in logics.values {
            if let webhook = logic.webhooks.first(where: { $0.id == id }) { return webhook }
        }
        return nil
    }

    /// Whether rules or policies look at the attributes of users, which are read for a request only then.
    package let readsAttributes: Bool

    private static func readsAttributes(
        _ logics: [String: EntityLogic],
        _ policies: [String: [RecordAction: [Policy]]]
    ) -> Bool {
        logics.values.contains(where: \.readsAttributes)
            || policies.values.contains { $0.values.contains { $0.contains(where: \.readsAttributes) } }
    }

    /// The policies that may allow an action, in the order of their age.
    func policies(for action: RecordAction, on entity: EntityModel) -> [Policy] {
        policies[entity.name]?[action] ?? []
    }

    /// A rule that is not saved, by itself.
    func trial(of rule: RuleDefinition) -> (logic: EntityLogic?, violations: [FailureDetail]) {
        RuleCompiler.trial(rule, entities)
    }

    /// The columns of an index of the tables that the metadata makes; none where it is not known.
    package func columns(ofIndex name: String) -> [String] {
        let schema = DesiredSchema(definitions)
        if let index = schema.indexes.first(where: { $0.name == name }) { return index.columns.map(\.field) }
        // PostgreSQL's own name for the index of a key.
        return schema.tables.first { "\($0.name)_pkey" == name }?.key ?? []
    }
}
