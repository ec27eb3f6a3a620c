import Logging
import RocketDatabase
package import RocketEngine
package import RocketModel
import RocketPlanning
import Synchronization

package struct WorkflowSettings: Sendable {
    /// How long a call may take.
    package var timeout = Duration.seconds(30)
    /// Instances of one app at work at once.
    package var perApp = 16
    /// How long instances are kept that have ended.
    package var logDays: Int64 = 365

    package init() {}
}

/// Moves the instances of apps: those that are due, what events and schedules start, and the calls of their steps. A step
/// is a transaction; only for calls does a lease hold, which ends when the token of the call is due again.
package final class WorkflowRunner: AppWork {
    private struct Place: Hashable {
        let app: String
        let instance: String
    }

    private let caller: any OutsideCaller
    private let calls: SynchronousCalls
    private let dependencies: EngineDependencies
    private let settings: WorkflowSettings
    private let running = Mutex<Set<Place>>([])

    /// - Parameter calls: for the webhooks that writes of workflows wait for.
    package init(
        caller: any OutsideCaller,
        calls: SynchronousCalls,
        dependencies: EngineDependencies,
        settings: WorkflowSettings = WorkflowSettings()
    ) {
        self.caller = caller
        self.calls = calls
        self.dependencies = dependencies
        self.settings = settings
    }

    private static let eventsAtOnce = 100
    private static let absence = Duration.milliseconds(200)
    /// Steps of an instance before others have a turn.
    private static let stepsAtOnce = 50
    /// Longer than a call can take.
    private var leaseSeconds: Int64 { settings.timeout.components.seconds + 15 }

    package func claim(in app: AppContext) async throws -> (jobs: [AppJob], next: Timestamp?) {
        let desk = WorkflowDesk(app, calls, dependencies)
        let scheduled = try await desk.startScheduled()
        let identity = app.stored.identity
        let busy = running.withLock { running in running.count { $0.app == identity } }
        let due = try await desk.due(limit: settings.perApp + busy)
        var jobs: [AppJob] = []
        if due.hasEvents, enter(Place(app: identity, instance: "events")) {
            jobs.append {
                await self.takeEvents(desk, app)
                self.leave(Place(app: identity, instance: "events"))
            }
        }
        for id in due.ids where busy + jobs.count < settings.perApp {
            guard enter(Place(app: identity, instance: id)) else { continue }
            jobs.append {
                await self.drive(id, desk, app)
                self.leave(Place(app: identity, instance: id))
            }
        }
        return (jobs, [scheduled, due.next].compactMap(\.self).min())
    }

    private func enter(_ place: Place) -> Bool { running.withLock { $0.insert(place).inserted } }
    private func leave(_ place: Place) { running.withLock { _ = $0.remove(place) } }

    private func takeEvents(_ desk: WorkflowDesk, _ app: AppContext) async {
        do {
            try await desk.takeEvents(limit: Self.eventsAtOnce)
        } catch {
            log("events wait", app, error)
            await pause()
        }
    }

    /// Until the instance rests.
    private func drive(_ id: String, _ desk: WorkflowDesk, _ app: AppContext) async {
        var input = InstanceInput.proceed
        for _ in 0..<Self.stepsAtOnce {
            // A step that has begun ends; a call that was made is told.
            if case .proceed = input, Task.isCancelled { return }
            do {
                let move = try await desk.move(id, input, leaseSeconds: leaseSeconds)
                dependencies.metrics.noteTurn()
                switch move {
                case .goOn: input = .proceed
                case .call(let call): input = .called(call, await make(call))
                case .rest: return
                case .absent:
                    // Somebody else is at it; it must not be asked for again at once.
                    do { try await Task.sleep(for: Self.absence) } catch {}
                    return
                }
            } catch {
                log("a workflow waits", app, error)
                return await pause()
            }
        }
    }

    private func make(_ call: WorkflowCall) async -> CallOutcome {
        defer { dependencies.faults.pass(.afterStepEffect) }
        return await caller.send(
            OutgoingCall(
                call: call.call,
                body: JSONValue.object(call.body).jsonText,
                idempotencyKey: call.key,
                sealedSecret: nil,
                cause: call.cause,
                timeout: settings.timeout
            )
        )
    }

    /// The work of the app is looked at again when this job ends, and must not be at once.
    private func pause() async {
        do { try await Task.sleep(for: .seconds(WorkflowDesk.pauseSeconds)) } catch {}
    }

    private func log(_ what: Logger.Message, _ app: AppContext, _ error: any Error) {
        dependencies.logger.warning(what, metadata: ["app": "\(app.name)", "cause": "\(error)"])
    }

    package func tidy(_ app: AppContext) async throws {
        let before = dependencies.now().adding(seconds: -settings.logDays * 86_400)
        try await WorkflowDesk(app, calls, dependencies).prune(before: before, limit: 500)
    }
}
