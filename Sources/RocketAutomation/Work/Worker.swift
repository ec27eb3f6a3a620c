import Logging
package import RocketEngine
import RocketModel
import Synchronization

/// Does the work that waits in apps: what a commit has just left, what falls due, and what a crash has left.
package final class Worker: Sendable {
    private let apps: AppRegistry
    private let kinds: [any AppWork]
    /// The apps that are being looked at, and whether each must be looked at again.
    private let looks = Mutex<[String: Bool]>([:])
    /// The apps that are on the list of those with work, and must be taken off it where they have none.
    private let listed = Mutex<Set<String>>([])
    /// How many looks at each app have work that runs.
    private let working = Mutex<[String: Int]>([:])
    /// When each app is looked at next.
    private let alarms = Mutex<[String: Timestamp]>([:])
    private let hints: AsyncStream<Hint>
    private let hint: AsyncStream<Hint>.Continuation
    private var dependencies: EngineDependencies { apps.dependencies }

    private enum Hint {
        case look(String)
        case alarm(String, Timestamp)
    }

    package init(apps: AppRegistry, kinds: [any AppWork]) {
        self.apps = apps
        self.kinds = kinds
        (hints, hint) = AsyncStream.makeStream()
    }

    /// How often the list of apps is asked which have work: a hint may be lost, and a server with it.
    private static let sweepInterval = Duration.seconds(30)
    private static let sweepsBetweenTidying = 20

    /// Works until it is cancelled; what is being done then is given back.
    package func work() async {
        apps.listenForWork { [weak self] app in self?.look(app) }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.sweep() }
            for await hint in hints {
                switch hint {
                case .look(let app): group.addTask { await self.lookAndWork(app) }
                case .alarm(let app, let instant): group.addTask { await self.wait(for: instant, app) }
                }
            }
            group.cancelAll()
        }
    }

    private func sweep() async {
        var sweeps = 0
        var clock = WallClockWatch()
        while !Task.isCancelled {
            do {
                let soon = dependencies.now().adding(seconds: AppRegistry.leadSeconds)
                // One after the other: there may be thousands, and only so many may be open.
                let mayRewind = clock.mayRewind(dependencies.now())
                let steadiness = clock.steadiness(dependencies.now())
                for app in try await apps.namesWithWork(before: soon) {
                    await visit(app)
                    // While it is open.
                    if mayRewind { await rewind(app, steadyFor: steadiness) }
                }
                sweeps += 1
                if mayRewind { await rewind(steadyFor: steadiness) }
                if sweeps % Self.sweepsBetweenTidying == 0 { await tidy(steadyFor: steadiness) }
            } catch {
                dependencies.logger.debug("the apps with work can't be listed", metadata: ["cause": "\(error)"])
            }
            do { try await Task.sleep(for: Self.sweepInterval) } catch { break }
        }
        hint.finish()
    }

    /// Brings nearer what a clock put off that was ahead, this server's or another's; for a clock that is known to be right.
    ///
    /// - Parameter steadiness: for how long this clock was seen to go steadily.
    package func rewind(steadyFor steadiness: Duration) async {
        for app in apps.openNames { await rewind(app, steadyFor: steadiness) }
    }

    private func rewind(_ app: String, steadyFor steadiness: Duration) async {
        do {
            try await apps.withApp(app, isUse: false) { try await apps.rewind($0, steadyFor: steadiness) }
            // Its alarm may be set for what was put off.
            look(app)
        } catch {
            dependencies.logger.debug("work waits", metadata: ["app": "\(app)", "cause": "\(error)"])
        }
    }

    private func visit(_ app: String) async {
        listed.withLock { _ = $0.insert(app) }
        do {
            // Open when the look comes, which others wait for then.
            try await apps.withApp(app, isUse: false) { _ in }
            look(app)
        } catch {
            dependencies.logger.debug("work waits", metadata: ["app": "\(app)", "cause": "\(error)"])
        }
    }

    /// Removes what is kept no longer, by a clock that is taken for right: to one that is ahead all is old.
    ///
    /// - Parameter steadiness: for how long this clock was seen to go steadily.
    package func tidy(steadyFor steadiness: Duration) async {
        for app in apps.openNames {
            do {
                try await apps.withApp(app, isUse: false) { context in
                    guard try await context.trustsClock(steadyFor: steadiness, dependencies) else { return }
                    for kind in kinds { try await kind.tidy(context) }
                    try await context.pruneRequestKeys(now: dependencies.now())
                    try await context.pruneHistory(
                        before: dependencies.now().adding(seconds: -apps.settings.historyDays * 86_400)
                    )
                    try await AppFiles(context, dependencies).sweep()
                }
            } catch {
                dependencies.logger.warning("an app was not tidied", metadata: ["app": "\(app)", "cause": "\(error)"])
            }
        }
    }

    // MARK: one app

    /// How long an app whose database does not answer is left alone.
    private static let pauseSeconds: Int64 = 2

    private func look(_ app: String) {
        // One look that has not begun sees all there is.
        let isFirst = looks.withLock { looks in
            defer { looks[app] = looks[app] != nil }
            return looks[app] == nil
        }
        if isFirst { hint.yield(.look(app)) }
    }

    /// Looks again where something has come meanwhile.
    private func endLook(_ app: String) {
        let isWanted = looks.withLock { looks in looks.removeValue(forKey: app) ?? false }
        if isWanted { look(app) }
    }

    /// How long a look that has found nothing to do lasts at least: under load each write asks for one.
    private static let emptyLook = Duration.milliseconds(20)

    private func lookAndWork(_ app: String) async {
        guard enter(app) else {
            setAlarm(app, dependencies.now().adding(seconds: Self.pauseSeconds))
            return endLook(app)
        }
        defer { leave(app) }
        var isLooking = true
        do {
            try await apps.withApp(app, isUse: false) { context in
                let jobs = try await claim(context)
                if jobs.isEmpty {
                    if listed.withLock({ $0.remove(app) }) != nil { try await apps.settleWork(of: context) }
                    do { try await Task.sleep(for: Self.emptyLook) } catch {}
                }
                endLook(app)
                isLooking = false
                await run(jobs, context)
            }
        } catch {
            dependencies.logger.debug("work waits", metadata: ["app": "\(app)", "cause": "\(error)"])
            let isGone = (error as? RequestFailure)?.code == .appNotFound
            if !isGone, !Task.isCancelled { setAlarm(app, dependencies.now().adding(seconds: Self.pauseSeconds)) }
        }
        if isLooking { endLook(app) }
    }

    /// Until all jobs are done; where the app is deleted meanwhile, they are cancelled.
    private func run(_ jobs: [AppJob], _ context: AppContext) async {
        guard !jobs.isEmpty else { return }
        let name = context.name
        let work = Task {
            await withDiscardingTaskGroup { group in
                for job in jobs {
                    group.addTask {
                        await job()
                        self.look(name)
                    }
                }
            }
        }
        context.work.begins(work)
        await withTaskCancellationHandler {
            await work.value
        } onCancel: {
            work.cancel()
        }
        context.work.ends(work)
    }

    /// Work keeps its app open, and must leave room for those that somebody asks for.
    private func enter(_ app: String) -> Bool {
        working.withLock { working in
            guard working[app] != nil || working.count < apps.maximumWorking else { return false }
            working[app, default: 0] += 1
            return true
        }
    }

    private func leave(_ app: String) {
        working.withLock { working in
            let left = (working[app] ?? 1) - 1
            working[app] = left > 0 ? left : nil
        }
    }

    /// Each kind by itself: what one has claimed is done, though another can't say what it has.
    ///
    /// - Throws: what the first kind threw that failed, where none has anything to do.
    private func claim(_ context: AppContext) async throws -> [AppJob] {
        var jobs: [AppJob] = []
        var next: Timestamp?
        var problem: (any Error)?
        for kind in kinds {
            do {
                let claimed = try await kind.claim(in: context)
                jobs += claimed.jobs
                if let instant = claimed.next { next = min(next ?? instant, instant) }
            } catch {
                problem = problem ?? error
                let again = dependencies.now().adding(seconds: Self.pauseSeconds)
                next = min(next ?? again, again)
            }
        }
        if let problem {
            guard !jobs.isEmpty else { throw problem }
            // Nobody else hears of it while the others go on.
            let facts: Logger.Metadata = ["app": "\(context.name)", "cause": "\(problem)"]
            dependencies.logger.warning("a part of the work can't be looked for", metadata: facts)
        }
        context.work.looked(next: jobs.isEmpty ? next : dependencies.now())
        if let next { setAlarm(context.name, next) }
        return jobs
    }

    /// Does all that is due now, by and by, and comes back when nothing is; for tests, which turn the clock.
    package func workOff(_ app: AppContext) async throws {
        while true {
            let jobs = try await claim(app)
            guard !jobs.isEmpty else { return }
            await withDiscardingTaskGroup { group in
                for job in jobs { group.addTask { await job() } }
            }
        }
    }

    // MARK: alarms

    private func setAlarm(_ app: String, _ instant: Timestamp) {
        let isSooner = alarms.withLock { alarms in
            if let known = alarms[app], known <= instant { return false }
            alarms[app] = instant
            return true
        }
        if isSooner { hint.yield(.alarm(app, instant)) }
    }

    /// No longer at once than this: the clock of the wall may be set.
    private static let longestSleep: Int64 = 30_000_000

    private func wait(for instant: Timestamp, _ app: String) async {
        while true {
            let left = instant.microseconds - dependencies.now().microseconds
            guard left > 0 else { break }
            do { try await Task.sleep(for: .microseconds(min(left, Self.longestSleep))) } catch { return }
            // One that was set for an earlier instant has taken its place.
            guard alarms.withLock({ $0[app] == instant }) else { return }
        }
        alarms.withLock { alarms in if alarms[app] == instant { alarms[app] = nil } }
        look(app)
    }
}
