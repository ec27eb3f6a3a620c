import RocketDatabase
package import RocketModel
package import RocketPlanning

/// Reads the audit trail of a record.
package enum RecordHistory {
    /// A page of what happened to a record that the caller may read, newest first, and how many entries there are.
    /// Administrators see the history of records that are gone, too, and of earlier ones with the same key.
    ///
    /// - Throws: 404 `NOT_FOUND` for a record that the caller can't read, or that never was.
    package static func page(
        of id: String,
        _ entity: EntityModel,
        grant: Grant,
        on place: PageRequest,
        in app: AppContext
    ) async throws -> (entries: [JSONObject], total: Int64) {
        let found = try await record(id, entity, grant, app)
        guard let key = found?.key ?? ReadPlanner.keyValue(id, entity)?.keyText else {
            throw RequestFailure.recordNotFound(entity, id)
        }
        // What was kept once may be of an earlier record, and nothing tells.
        guard entity.definition.history || grant.isAdministrator else { return ([], 0) }
        let store = HistoryStore(app.database.dialect)
        let view = HistoryView(of: entity, grant.access, fields: found?.fields)
        let results = try await app.database.read(
            store.page(
                of: key,
                entity: entity.name,
                isWhole: grant.isAdministrator,
                names: grant.isAdministrator ? nil : view.visibleNames,
                limit: place.perPage,
                offset: place.offset
            )
        )
        let total = results[1].rows.first?.first?.integerValue ?? 0
        guard found != nil || total > 0 else { throw RequestFailure.recordNotFound(entity, id) }
        return (results[0].rows.compactMap(store.read).map(view.json), total)
    }

    /// The key and the readable fields of a record that the caller may read; nil where there is none and an administrator
    /// asks.
    private static func record(
        _ id: String,
        _ entity: EntityModel,
        _ grant: Grant,
        _ app: AppContext
    ) async throws -> (key: String, fields: Set<String>)? {
        let plan: ReadOnePlan
        let stored: StoredRecord
        do {
            plan = try ReadPlanner.one(id: id, view: RecordView(), of: entity, grant: grant)
            stored = try await RecordReader.one(plan, id: id, of: entity, from: app.database)
        } catch let failure as RequestFailure where failure.code == .notFound && grant.isAdministrator {
            return nil
        }
        guard let record = try JSONParser.parse(stored.json, maximumDepth: 512).objectValue,
            let key = record[entity.key.name]
        else { throw RequestFailure.recordNotFound(entity, id) }
        return (key.stringValue ?? key.jsonText, Set(record.names))
    }
}

extension AppContext {
    /// Removes entries of the audit trail that are older than they are kept.
    package func pruneHistory(before instant: Timestamp) async throws {
        let prune = HistoryStore(database.dialect).prune(before: instant, limit: 500)
        while try await database.write([prune])[0].changes > 0, !Task.isCancelled {}
    }
}
