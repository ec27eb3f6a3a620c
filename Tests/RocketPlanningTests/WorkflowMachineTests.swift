import RocketModel
import RocketPlanning
import Synchronization
import Testing

/// Instances without a database: whatever they are told in whatever order, they stay legal and end.
struct WorkflowMachineTests {
    private static let start = Timestamp(rfc3339: "2026-03-01T12:00:00Z") ?? Timestamp(microseconds: 0)

    private static let definition = WorkflowDefinition(
        stored: [
            "name": "all", "trigger": ["type": "event", "event": "go"],
            "steps": [
                [
                    "id": "first", "type": "condition", "expression": "context.n % 2 === 0", "on_true": "split",
                    "on_false": "tell",
                ],
                [
                    "id": "split", "type": "parallel", "branches": [["rest", "ask"], ["tell2"], ["child"]], "join": 2,
                    "then": "tell",
                ],
                ["id": "rest", "type": "wait", "duration": "1m"],
                [
                    "id": "ask", "type": "approval", "assignee": ["type": "role", "role": "lead"], "timeout": "1h",
                    "on_timeout": "end",
                ],
                ["id": "tell2", "type": "action", "actions": [["type": "webhook", "url": "http://x/"]]],
                ["id": "child", "type": "call", "workflow": "all"],
                [
                    "id": "tell", "type": "action",
                    "actions": [
                        ["type": "send_event", "event": "e"], ["type": "webhook", "url": "http://x/", "result": "r"],
                        ["type": "create_record", "entity": "item", "values": ["n": "context.n"], "result": "made"],
                    ],
                ],
            ],
        ]
    )

    private struct Dice {
        var state: UInt64

        mutating func roll(_ count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(count))
        }
    }

    /// As if it had been stored and read again.
    private static func stored(_ instance: WorkflowInstance) -> WorkflowInstance {
        WorkflowInstance(
            id: instance.id,
            workflowID: instance.workflowID,
            workflowName: instance.workflowName,
            version: instance.version,
            status: instance.status,
            context: instance.context,
            state: instance.state,
            cause: instance.cause,
            parent: instance.parent,
            entryCount: instance.entryCount + instance.entries.count
        )
    }

    @Test(arguments: 0..<400)
    func whateverItIsToldItEndsLegally(seed: Int) throws {
        var dice = Dice(state: UInt64(seed) &* 7919 &+ 1)
        let plan = WorkflowPlan(Self.definition)
        var now = Self.start
        let ids = Mutex<UInt64>(0)
        let newID: @Sendable () -> UniqueID = {
            .version7(
                at: Self.start,
                random: ids.withLock {
                    $0 += 1; return UInt64($0)
                }
            )
        }
        var instance = WorkflowInstance(
            id: "i",
            workflowID: "w",
            workflowName: "all",
            version: "v",
            context: ["n": .integer(seed)],
            cause: Cause(depth: 1)
        )
        let lead = WorkflowMachine.Person(Principal(userID: "u", email: "", roles: ["lead"]))
        var calls: [WorkflowCall] = []
        var keys: Set<String> = []
        var (writes, entries, rounds) = (0, 0, 0)
        while instance.status == .running, rounds < 500 {
            rounds += 1
            var machine = WorkflowMachine(
                instance,
                plan,
                .empty(.sqlite),
                now: now,
                leaseSeconds: 45,
                newID: newID
            )
            machine.wake()
            if let call = calls.last, dice.roll(2) == 0 {
                calls.removeLast()
                let problem: String? = dice.roll(3) == 0 ? "it answered 500" : nil
                machine.called(call.token, fence: call.fence, problem: problem, answer: .null, retryAfter: nil)
            }
            if dice.roll(3) == 0 {
                do throws(RequestFailure) {
                    try machine.decide(
                        dice.roll(2) == 0,
                        by: lead,
                        step: nil,
                        comment: nil,
                        form: JSONObject(),
                        active: []
                    )
                } catch {
                    #expect(error.code == .invalidState || error.code == .forbidden)
                }
            }
            var isStored = true
            loop: while true {
                switch machine.need() {
                case .write(let write):
                    #expect(write.entity == "item")
                    // A transaction that does not commit leaves nothing.
                    if dice.roll(3) == 0 {
                        isStored = false
                        break loop
                    }
                    writes += 1
                    machine.wrote(["id": 1])
                case .look(let child): machine.saw(dice.roll(2) == 0 ? .running : .completed, JSONObject(), child)
                case .call(let call):
                    calls.append(call)
                    #expect(call.key.hasPrefix("wf_i_"))
                    keys.insert(call.key)
                    break loop
                case .commit, .rest: break loop
                }
            }
            if isStored {
                entries += machine.instance.entries.count
                instance = Self.stored(machine.instance)
            } else {
                calls = []
            }
            #expect(instance.entryCount == entries)
            // What runs has something to come, or somebody to be asked.
            let isAsking = instance.tokens.contains { if case .asking = $0.state { true } else { false } }
            let isFollowing = instance.tokens.contains { if case .following = $0.state { true } else { false } }
            #expect(instance.status != .running || instance.due != nil || isAsking || isFollowing)
            now = now.adding(seconds: Int64(dice.roll(200)))
        }
        #expect(
            instance.status == .completed || instance.status == .failed,
            "\(instance.status) after \(rounds) rounds"
        )
        #expect(instance.status != .completed || instance.tokens.isEmpty)
        #expect(instance.due == nil && keys.count <= 2)
        if instance.status == .completed { #expect(instance.context["made"] != nil && writes >= 1) }
    }

    @Test(arguments: [
        ("0 8 * * 1-5", "2026-03-02T08:00:00Z"), ("*/15 * * * *", "2026-03-01T12:15:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"), ("30 6 1,15 * *", "2026-03-15T06:30:00Z"),
        ("0 0 13 * 5", "2026-03-06T00:00:00Z"), ("59 23 31 12 *", "2026-12-31T23:59:00Z"),
        ("0 12 * * 7", "2026-03-08T12:00:00Z"), ("5-10/5 * * * *", "2026-03-01T12:05:00Z"),
    ])
    func patternsOfTimeAreReadAsCrontabDoes(text: String, next: String) throws {
        let pattern = try #require(CronPattern(text))
        #expect(pattern.next(after: Self.start) == Timestamp(rfc3339: next))
    }

    @Test(arguments: [
        "", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
        "1-0 * * * *", "*/0 * * * *", "1,,2 * * * *",
    ])
    func whatIsNoPatternIsRefused(text: String) {
        #expect(CronPattern(text) == nil)
    }

    @Test func aPatternThatNoDayHasHasNoNext() throws {
        #expect(try #require(CronPattern("0 0 30 2 *")).next(after: Self.start) == nil)
    }
}
