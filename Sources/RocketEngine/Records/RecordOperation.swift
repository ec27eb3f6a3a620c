import RocketDatabase
package import RocketModel
package import RocketPlanning

/// One thing that a client does to a record.
package struct RecordOperation: Sendable {
    package enum Kind: Sendable {
        case create(JSONObject)
        case update(id: String, JSONObject)
        case delete(id: String, purges: Bool)
        case restore(id: String)
    }

    package let entity: String
    package let kind: Kind
    package let precondition: Precondition?

    package init(entity: String, kind: Kind, precondition: Precondition? = nil) {
        self.entity = entity
        self.kind = kind
        self.precondition = precondition
    }
}

/// What an operation left.
package enum OperationOutcome: Sendable {
    case stored(StoredRecord)
    /// The key of the record that is gone.
    case deleted(FieldValue)
}

/// What operations are planned with.
struct OperationSetting: Sendable {
    let access: Access
    let dependencies: EngineDependencies
    let slugs: MadeSlugs
    /// What the expressions of the operation may take together.
    var steps = OperationSetting.maximumSteps
    var cause = Cause.none
    /// Whether files may be put into records that do not have them: a workflow would do so for whoever has set it off.
    var attachesFiles = true

    static let maximumSteps = 2_000_000

    /// The same with files that may be put into records.
    func attaching(_ files: some Sequence<JSONValue>) -> OperationSetting {
        OperationSetting(
            access: access.attaching(files),
            dependencies: dependencies,
            slugs: slugs,
            steps: steps,
            cause: cause,
            attachesFiles: attachesFiles
        )
    }
}

extension RecordOperation {
    /// Plans the operation.
    ///
    /// - Throws: 403, 404 for an id that can't be a key, and for a create without relations 422.
    func script(_ setting: OperationSetting) throws -> any AnnouncingScript<OperationOutcome> {
        guard let payload = kind.payload else { return try scriptOfResolved(setting) }
        let model = try setting.access.snapshot.entity(entity)
        guard let mentions = FileMentions(payload, of: model, setting.access.snapshot) else {
            return try scriptOfResolved(setting)
        }
        if case .create = kind {
            _ = try setting.access.grant(.create, on: model)
        } else {
            _ = try setting.access.grant(.update, on: model)
        }
        return FileScript(mentions, of: self, setting)
    }

    /// The same where nothing needs to be known of the files that a payload names.
    func scriptOfResolved(_ setting: OperationSetting) throws -> any AnnouncingScript<OperationOutcome> {
        let model = try setting.access.snapshot.entity(entity)
        switch kind {
        case .create(let payload):
            return try createScript(payload, model, setting)
        case .update(let id, let payload):
            return try updateScript(payload, id, model, setting)
        case .delete(let id, let purges):
            let plan = try WritePlanner.delete(
                id: id,
                in: model,
                grant: try setting.access.grant(.delete, on: model),
                precondition: precondition,
                purges: purges,
                now: setting.access.now,
                steps: setting.steps
            )
            return DeleteScript(plan: plan, id: id, setting)
        case .restore(let id):
            let grant = try setting.access.grant(.delete, on: model)
            return RestoreScript(try WritePlanner.restore(id: id, in: model, grant: grant), id: id, of: model, setting)
        }
    }

    private func createScript(
        _ payload: JSONObject,
        _ model: EntityModel,
        _ setting: OperationSetting
    ) throws -> any AnnouncingScript<OperationOutcome> {
        let grant = try setting.access.grant(.create, on: model)
        let (now, newID) = (setting.access.now, setting.dependencies.newID)
        let logic = setting.access.snapshot.logic(of: model)
        let isAlone = logic.map { $0.createsAlone && !$0.announcesWrites } ?? true
        guard model.isNested(payload) || !isAlone || !setting.access.writesFreely(grant, model)
        else {
            let plan = try WritePlanner.create(
                payload,
                in: model,
                grant: grant,
                now: now,
                steps: setting.steps,
                newID: newID
            )
            return CreateScript(plan: plan, slugs: setting.slugs)
        }
        let tree = try WriteTree.create(payload, in: model, grant: grant, now: now, steps: setting.steps, newID: newID)
        return TreeScript(tree: tree, id: "", precondition: nil, setting)
    }

    private func updateScript(
        _ payload: JSONObject,
        _ id: String,
        _ model: EntityModel,
        _ setting: OperationSetting
    ) throws -> any AnnouncingScript<OperationOutcome> {
        let grant = try setting.access.grant(.update, on: model)
        let (now, newID) = (setting.access.now, setting.dependencies.newID)
        let isJudged = setting.access.snapshot.logic(of: model).map { $0.judgesWrites || $0.announcesWrites } ?? false
        let isFree = setting.access.writesFreely(grant, model)
        guard isJudged || !isFree || model.isNested(payload) || model.changesLinks(payload) else {
            let plan = try WritePlanner.update(payload, id: id, in: model, grant: grant, precondition: precondition)
            return UpdateScript(plan: plan, id: id, now: now, slugs: setting.slugs)
        }
        let tree = try WriteTree.update(
            payload,
            id: id,
            in: model,
            grant: grant,
            now: now,
            steps: setting.steps,
            newID: newID
        )
        return TreeScript(tree: tree, id: id, precondition: precondition, setting)
    }
}
