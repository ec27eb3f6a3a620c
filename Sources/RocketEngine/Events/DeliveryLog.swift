import RocketDatabase
package import RocketModel
package import RocketPlanning

/// The log of an app's calls, as its administrators see it.
package struct DeliveryLog: Sendable {
    private let app: AppContext
    private let store: DeliveryStore

    package init(_ app: AppContext) {
        self.app = app
        store = DeliveryStore(app.database.dialect)
    }

    /// What a list may be filtered by.
    package static let filters = ["webhook_id", "status", "entity"]

    /// One page, newest first, and how many there are.
    package func page(_ filters: [String: String], _ place: PageRequest) async throws -> (
        rows: [JSONValue], total: Int64
    ) {
        let chosen = filters.sorted { $0.key < $1.key }.map { (column: $0.key, value: $0.value) }
        let statements = store.page(chosen, limit: place.perPage, offset: place.offset)
        let results = try await app.database.read([statements.page, statements.total])
        return (
            results[0].rows.map { .object(store.json($0)) }, results[1].rows.first?.first?.integerValue ?? 0
        )
    }

    /// - Throws: 404.
    package func row(_ id: String) async throws -> JSONValue {
        let id = try Self.canonical(id)
        guard let row = try await app.database.read([store.log(id: id)])[0].rows.first else { throw Self.notFound(id) }
        return .object(store.json(row))
    }

    /// Sends a delivery once more.
    ///
    /// - Throws: 404, and 422 for one that is neither failed nor waits to be tried again.
    package func retry(_ id: String, _ dependencies: EngineDependencies) async throws -> JSONValue {
        let id = try Self.canonical(id)
        if let webhook = try await row(id).objectValue?["webhook_id"]?.stringValue,
            app.snapshots.current.webhook(webhook) == nil
        {
            let message = "its webhook is not there any more, or not active, so it can't be sent"
            throw RequestFailure.validation([FailureDetail(field: "webhook_id", message: message)])
        }
        await app.expectWork(dependencies)
        let now = dependencies.now()
        let changes = try await app.database.write([store.retry(id: id, now: now)])[0].changes
        let row = try await row(id)
        guard changes > 0 else {
            throw RequestFailure.validation([FailureDetail(field: "status", message: Self.words(row))])
        }
        app.workIsDue()
        return row
    }

    private static func words(_ row: JSONValue) -> String {
        let (status, hook) = (row.objectValue?["status"]?.stringValue, row.objectValue?["hook"]?.stringValue)
        guard hook.flatMap(WebhookDefinition.Hook.init)?.isSynchronous != true else {
            return "a call that a write has waited for is not sent again: write again, and it is made anew"
        }
        return "a delivery that has failed, or waits to be tried again, is sent once more; this one is \(status ?? "")"
    }

    private static func canonical(_ id: String) throws(RequestFailure) -> String {
        guard let known = UniqueID(id) else { throw notFound(id) }
        return known.text
    }

    private static func notFound(_ id: String) -> RequestFailure {
        RequestFailure(.notFound, "There is no webhook log \"\(id.prefix(100))\"")
    }
}
