import Logging
import RocketDatabase
package import RocketModel
package import RocketPlanning

/// Where the instances of an app are moved, told and read.
package struct WorkflowDesk: Sendable {
    private let app: AppContext
    private let calls: SynchronousCalls
    private let dependencies: EngineDependencies
    private let store: WorkflowStore

    package init(_ app: AppContext, _ calls: SynchronousCalls, _ dependencies: EngineDependencies) {
        self.app = app
        self.calls = calls
        self.dependencies = dependencies
        store = WorkflowStore(app.database.dialect)
    }

    /// Who writes for workflows: the engine, which may do everything.
    private static let engine = Principal(userID: "workflow", email: "", roles: ["admin"])

    // MARK: the worker's

    /// What is due: instances, and whether events wait; and when there is more.
    package func due(limit: Int) async throws -> (ids: [String], hasEvents: Bool, next: Timestamp?) {
        let results = try await app.database.read(store.due(at: dependencies.now(), limit: limit) + [store.hasEvents])
        return (
            results[0].rows.compactMap { $0.first?.textValue }, !results[2].rows.isEmpty,
            results[1].rows.first?.first?.integerValue.map(Timestamp.init(microseconds:))
        )
    }

    /// How long an instance is left alone whose transaction failed and could not be told so.
    package static let pauseSeconds: Int64 = 2

    /// Tells an instance something, in one transaction, or that its step can't be done.
    ///
    /// - Throws: what the database throws where not even that could be stored.
    package func move(_ id: String, _ input: InstanceInput, leaseSeconds: Int64) async throws -> InstanceOutcome {
        let progress = InstanceProgress()
        do {
            return try await run(id, input, progress, leaseSeconds)
        } catch let refused as StepFailure {
            let failure = refused.failure
            return try await stop(id, progress, Self.words(failure), isFinal: true, leaseSeconds, or: failure)
        } catch let failure as RequestFailure where failure.code == .webhookFailed || failure.code == .unavailable {
            // It may agree another time.
            return try await stop(id, progress, failure.message, isFinal: false, leaseSeconds, or: failure)
        } catch let failure as DatabaseFailure {
            if case .outcomeUnknown = failure { return .goOn }
            let told = FailureTranslation.requestFailure(
                for: failure,
                snapshot: app.snapshots.current,
                logger: dependencies.logger
            )
            let isFinal = told.map { $0.code == .conflict || $0.code == .validationFailed } ?? false
            let words = told.map(Self.words) ?? "the database did not take it"
            return try await stop(id, progress, words, isFinal: isFinal, leaseSeconds, or: failure)
        }
    }

    private func stop(
        _ id: String,
        _ progress: InstanceProgress,
        _ problem: String,
        isFinal: Bool,
        _ leaseSeconds: Int64,
        or error: any Error
    ) async throws -> InstanceOutcome {
        guard let place = progress.current else { throw error }
        let input = InstanceInput.stopped(place, problem: problem, isFinal: isFinal)
        return try await run(id, input, InstanceProgress(), leaseSeconds)
    }

    private static func words(_ failure: RequestFailure) -> String {
        let details = failure.details.prefix(5).map {
            [$0.field, $0.message].compactMap(\.self).joined(separator: ": ")
        }
        return details.isEmpty ? failure.message : "\(failure.message) (\(details.joined(separator: "; ")))"
    }

    private func run(
        _ id: String,
        _ input: InstanceInput,
        _ progress: InstanceProgress,
        _ leaseSeconds: Int64
    ) async throws -> InstanceOutcome {
        let slugs = MadeSlugs()
        let access = Access(Self.engine, to: app.snapshots.current, at: dependencies.now())
        var setting = OperationSetting(access: access, dependencies: dependencies, slugs: slugs)
        setting.attachesFiles = false
        let script = InstanceScript(id, input, setting, app.plans, progress, leaseSeconds: leaseSeconds)
        await app.expectWork(dependencies)
        return try await RecordWriter.retryingSlugs(slugs) {
            let journal = AwaitedCallJournal(calls, access, in: app, now: dependencies.now)
            return try await app.write(script, journal, dependencies)
        }
    }

    // MARK: starts

    /// Starts what the oldest events start.
    package func takeEvents(limit: Int) async throws {
        let script = EventScript(app.snapshots.current, store, dependencies, limit: limit)
        // Who listens is known by now where another server has changed it.
        if try await !app.database.write(script) { try await app.look() }
    }

    /// Starts what starts by itself and is due.
    ///
    /// - Returns: when the next one is; nil for never.
    package func startScheduled() async throws -> Timestamp? {
        let scheduled = app.snapshots.current.scheduled
        guard !scheduled.isEmpty else { return nil }
        let now = dependencies.now()
        var known: [String: (version: String, next: Timestamp)] = [:]
        for row in try await app.database.read([store.schedules])[0].rows where row.count == 3 {
            guard let id = row[0].textValue, let version = row[1].textValue, let next = row[2].integerValue else {
                continue
            }
            known[id] = (version, Timestamp(microseconds: next))
        }
        var instants: [Timestamp] = []
        for (workflow, schedule) in scheduled {
            let noted = known[workflow.id].flatMap { $0.version == workflow.version ? $0.next : nil }
            if let noted, noted > now {
                instants.append(noted)
                continue
            }
            guard let next = schedule.next(after: now) else { continue }
            instants.append(next)
            let trigger: JSONObject = ["scheduled_at": .string((noted ?? next).rfc3339)]
            var starts: [WorkflowStore.Start] = []
            if noted != nil { starts = EventScript.starts(workflow, trigger, now, dependencies) }
            let move = store.schedule(workflow.id, workflow.version, from: noted, to: next)
            _ = try await app.database.write(
                ScheduleScript(
                    version: app.snapshots.current.version,
                    DefinitionStore(app.database.dialect).version,
                    move: move,
                    starts: store.inserts(starts, now: now)
                )
            )
        }
        return instants.min()
    }

    /// Removes instances that ended long ago, and what only they needed.
    package func prune(before instant: Timestamp, limit: Int) async throws {
        while !Task.isCancelled {
            let results = try await app.database.write(store.prune(before: instant, limit: limit))
            guard results[2].changes == limit else { return }
        }
    }

    /// Sends an event from outside.
    ///
    /// - Throws: 403 where the caller may not, for events that nobody listens for as well.
    package func send(_ event: String, _ payload: JSONObject, by principal: Principal, cause: Cause) async throws {
        let listeners = app.snapshots.current.workflows(startedBy: event)
        // All of them start, so the caller must be allowed each.
        let mayAll =
            !listeners.isEmpty
            && listeners.allSatisfy { workflow in
                guard case .event(_, let roles) = workflow.definition.trigger else { return false }
                return roles.contains { $0 == "*" || principal.hasRole($0) }
            }
        guard principal.isAdmin || mayAll else {
            throw RequestFailure(.forbidden, "No permission allows you to send the event \"\(event.prefix(100))\"")
        }
        await app.expectWork(dependencies)
        let outbox = OutboxStore(app.database.dialect)
        let roles = principal.appRoles.map(JSONValue.string)
        let row = OutboxStore.Event(
            id: dependencies.newID().text,
            name: event,
            payload: payload,
            entity: "",
            recordID: "",
            record: JSONObject(),
            user: ["id": .string(principal.userID), "roles": .array(roles)],
            cause: cause
        )
        _ = try await app.database.write(outbox.inserts([row], now: dependencies.now()))
        app.workIsDue()
    }

    // MARK: people's

    /// - Throws: 404 for one that the caller may not read.
    package func instance(_ id: String, for principal: Principal) async throws -> JSONObject {
        let id = try Self.canonical(id)
        let person = WorkflowMachine.Person(principal)
        let results = try await app.database.read([
            store.one(id), store.history(of: [id]), store.isAsked(person.id, person.roles, by: id),
        ])
        guard person.isAdmin || !results[2].rows.isEmpty, let row = results[0].rows.first else {
            throw Self.notFound(id)
        }
        return store.json([row], results[1])[0]
    }

    /// What a list may be filtered by, with the columns that hold it.
    private static let columns = [
        "status": "status", "workflow": "workflow_name", "entity": "entity", "record_id": "record_id",
    ]
    package static var filters: [String] { columns.keys.sorted() }

    /// One page, newest first, and how many there are.
    package func page(_ filters: [String: String], _ place: PageRequest) async throws -> (
        rows: [JSONObject], total: Int64
    ) {
        var filter = WorkflowStore.Filter()
        for (name, value) in filters.sorted(by: { $0.key < $1.key }) {
            if let column = Self.columns[name] { filter.columns.append((column, value)) }
        }
        return try await page(filter, place)
    }

    /// What waits for somebody.
    ///
    /// - Parameter principal: nil for what waits for anybody.
    package func pending(for principal: Principal?, _ place: PageRequest) async throws -> (
        rows: [JSONObject], total: Int64
    ) {
        var filter = WorkflowStore.Filter()
        filter.isPending = true
        if let principal {
            let person = WorkflowMachine.Person(principal)
            filter.pendingFor = (person.id, person.roles)
        }
        return try await page(filter, place)
    }

    private func page(_ filter: WorkflowStore.Filter, _ place: PageRequest) async throws -> (
        rows: [JSONObject], total: Int64
    ) {
        let results = try await app.database.read(store.page(filter, limit: place.perPage, offset: place.offset))
        let ids = results[0].rows.compactMap { $0.first?.textValue }
        let history = ids.isEmpty ? nil : try await app.database.read([store.history(of: ids)])[0]
        return (store.json(results[0].rows, history), results[1].rows.first?.first?.integerValue ?? 0)
    }

    /// The instances of a record, without what they remember.
    package func instances(of entity: String, _ id: String) async throws -> [JSONObject] {
        let rows = try await app.database.read([store.ofRecord(entity, id, limit: 50)])[0].rows
        return store.json(rows, nil).map { object in
            JSONObject(uniqueMembers: object.members.filter { $0.name != "context" })
        }
    }

    /// Tells an instance what somebody says.
    ///
    /// - Throws: 404, and what the instance's state and the caller's part in it do not allow.
    package func tell(_ id: String, _ input: InstanceInput, by principal: Principal) async throws -> JSONObject {
        let id = try Self.canonical(id)
        if case .absent = try await run(id, input, InstanceProgress(), 0) { throw Self.notFound(id) }
        app.workIsDue()
        return try await instance(id, for: principal)
    }

    private static func canonical(_ id: String) throws(RequestFailure) -> String {
        guard let known = UniqueID(id) else { throw notFound(id) }
        return known.text
    }

    private static func notFound(_ id: String) -> RequestFailure {
        RequestFailure(.notFound, "There is no workflow instance \"\(id.prefix(100))\"")
    }
}
