/// A workflow, as metadata describes it: what starts it, what it remembers, and its steps.
package struct WorkflowDefinition: Sendable, Hashable {
    /// What starts an instance.
    package enum Trigger: Sendable, Hashable {
        /// A field becomes a value, by an update or in a new record.
        case stateChange(entity: String, field: String, to: JSONValue)
        case record(entity: String, RecordAction)
        /// - Parameter roles: who may send the event from outside, beside administrators.
        case event(String, roles: [String])
        case schedule(WorkflowSchedule)
    }

    package let name: String
    package let trigger: Trigger
    /// An expression whose truthy value starts it; nil to start always.
    package let condition: String?
    /// What an instance begins to remember, by name.
    package let context: [(name: String, path: ContextPath)]
    package let steps: [WorkflowStep]
    package let isActive: Bool

    /// Reads a workflow that was checked when it was saved.
    package init(stored content: JSONObject) {
        var reader = DefinitionReader(content)
        self = Self.read(&reader, [:])
    }

    private init(
        name: String,
        trigger: Trigger,
        condition: String?,
        context: [(name: String, path: ContextPath)],
        steps: [WorkflowStep],
        isActive: Bool
    ) {
        self.name = name
        self.trigger = trigger
        self.condition = condition
        self.context = context
        self.steps = steps
        self.isActive = isActive
    }

    package static func == (left: WorkflowDefinition, right: WorkflowDefinition) -> Bool {
        left.name == right.name && left.trigger == right.trigger && left.condition == right.condition
            && left.steps == right.steps && left.isActive == right.isActive
            && left.context.elementsEqual(right.context) { $0 == $1 }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(steps)
    }

    package func step(_ id: String) -> WorkflowStep? { steps.first { $0.id == id } }

    package static let maximumSteps = 500

    // MARK: reading

    private enum TriggerType: String, CaseIterable {
        case stateChange = "state_change"
        case record
        case event
        case schedule
    }

    /// - Parameter fields: the field names of each entity, to find dangling names with.
    static func read(_ reader: inout DefinitionReader, _ fields: [String: [String]]) -> WorkflowDefinition {
        let name = reader.requiredString("name")
        var trigger = Trigger.event("", roles: [])
        var condition: String?
        if let object = reader.requiredObject("trigger") {
            var inner = DefinitionReader(object, path: reader.path(to: "trigger"))
            trigger = readTrigger(&inner, fields) ?? trigger
            condition = inner.string("condition")
            inner.refuseUnknownMembers()
            reader.include(inner.violations)
        }
        var context: [(name: String, path: ContextPath)] = []
        for member in (reader.object("context") ?? JSONObject()).members {
            guard let text = member.value.stringValue, let path = ContextPath(ofTrigger: text) else {
                reader.violate(
                    "context.\(member.name)",
                    .type,
                    "expected a path such as record.title, record_id, user.id or trigger.payload.sum"
                )
                continue
            }
            context.append((member.name, path))
        }
        var steps: [WorkflowStep] = []
        for (object, path) in reader.objects("steps") ?? [] {
            var inner = DefinitionReader(object, path: path)
            if let step = WorkflowStep.read(&inner) {
                if steps.contains(where: { $0.id == step.id }) {
                    inner.violate("id", .unknown, "\"\(step.id)\" is given twice")
                }
                steps.append(step)
            }
            reader.include(inner.violations)
        }
        if steps.count > maximumSteps {
            reader.violate("steps", .type, "a workflow has at most \(maximumSteps) steps")
        }
        if reader.object["steps"] ?? .null == .null || reader.object["steps"] == .array([]) {
            reader.violate("steps", .required, "a workflow has at least one step")
        }
        return WorkflowDefinition(
            name: name,
            trigger: trigger,
            condition: condition?.isEmpty == true ? nil : condition,
            context: context,
            steps: steps,
            isActive: reader.boolean("active", default: true)
        )
    }

    private static func readTrigger(_ reader: inout DefinitionReader, _ fields: [String: [String]]) -> Trigger? {
        guard let type = reader.requiredWord("type", as: TriggerType.self) else {
            for name in reader.object.names { _ = reader.value(name) }
            return nil
        }
        switch type {
        case .stateChange:
            let entity = reader.entity(in: fields)
            let field = reader.fieldName("field", of: entity, fields)
            if reader.object["to"] ?? .null == .null { reader.violate("to", .required, "is required") }
            return .stateChange(entity: entity, field: field, to: reader.value("to") ?? .null)
        case .record:
            let entity = reader.entity(in: fields)
            let words = [RecordAction.create, .update, .delete].map(\.rawValue)
            let action = RecordAction(rawValue: reader.oneOf("action", words, default: nil)) ?? .create
            return .record(entity: entity, action)
        case .event:
            let roles = reader.strings("roles") ?? []
            if roles.contains("anonymous") {
                reader.violate("roles", .type, "who has not signed in sends no events")
            }
            return .event(reader.requiredString("event"), roles: roles)
        case .schedule:
            let (every, cron) = (reader.string("every"), reader.string("cron"))
            guard (every == nil) != (cron == nil) else {
                reader.violate("every", .required, "a schedule has either \"every\" or \"cron\"")
                return nil
            }
            if let every {
                guard let span = WorkflowSpan(every), span.seconds >= WorkflowSchedule.shortest else {
                    reader.violate("every", .type, "expected a time such as 10s, 30m, 72h or 2d")
                    return nil
                }
                return .schedule(.every(span))
            }
            guard let cron = cron.flatMap(CronPattern.init), cron.next(after: Timestamp(microseconds: 0)) != nil else {
                reader.violate("cron", .type, "expected five fields such as \"0 8 * * 1-5\", in UTC")
                return nil
            }
            return .schedule(.cron(cron))
        }
    }

    /// The content as it is stored: as it was given, with its defaults.
    static func content(of object: JSONObject) -> JSONObject {
        var content: JSONObject = ["name": object["name"] ?? .null, "trigger": object["trigger"] ?? .null]
        content["context"] = object["context"] ?? .object(JSONObject())
        content["steps"] = object["steps"] ?? .array([])
        content["active"] = object["active"] ?? true
        return content
    }
}

/// A length of time as definitions write it: `10s`, `30m`, `72h`, `2d`.
package struct WorkflowSpan: Sendable, Hashable {
    package let seconds: Int64

    private static let longest: Int64 = 3650 * 86_400
    static let none = WorkflowSpan(seconds: 0)

    private init(seconds: Int64) {
        self.seconds = seconds
    }

    package init?(_ text: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()), count >= 0,
            count <= Self.longest / unit, text.dropLast().utf8.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        seconds = count * unit
    }
}

/// When a workflow starts by itself.
package enum WorkflowSchedule: Sendable, Hashable {
    case every(WorkflowSpan)
    case cron(CronPattern)

    /// In seconds.
    static let shortest: Int64 = 1

    /// The first instant after one.
    package func next(after instant: Timestamp) -> Timestamp? {
        switch self {
        case .every(let span):
            // On the clock, so that all servers mean the same instants.
            let step = span.seconds * 1_000_000
            return Timestamp(microseconds: (instant.microseconds / step + 1) * step)
        case .cron(let pattern): return pattern.next(after: instant)
        }
    }
}

extension WorkflowDefinition.Trigger {
    /// Whose rows start it; nil where something else does.
    package var entity: String? {
        switch self {
        case .stateChange(let entity, _, _), .record(let entity, _): entity
        case .event, .schedule: nil
        }
    }
}
