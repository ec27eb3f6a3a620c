/// A rule, as metadata describes it: what must hold of a record that is written or deleted, or what a field of it is
/// computed as.
package struct RuleDefinition: Sendable, Hashable {
    package enum Hook: String, Sendable, CaseIterable {
        case beforeWrite = "before_write"
        case beforeDelete = "before_delete"
    }

    /// In the order in which rules run.
    package enum Kind: String, Sendable, CaseIterable {
        case field
        case expression
        case computed
    }

    /// What a rule of a field compares its value with.
    package enum Comparison: String, Sendable, CaseIterable {
        case min
        case max
        case minLength = "min_length"
        case maxLength = "max_length"
        case pattern
        case equal = "eq"
        case notEqual = "neq"
        case greater = "gt"
        case greaterOrEqual = "gte"
        case less = "lt"
        case lessOrEqual = "lte"
        case isIn = "in"
        case isNotIn = "not_in"
        case notEmpty = "not_empty"
    }

    /// Related records that a rule looks at.
    package struct RelatedLoad: Sendable, Hashable {
        package let relation: String
        /// `field.op` and what it is compared with.
        package let filter: JSONObject
    }

    package enum Content: Sendable, Hashable {
        case field(String, Comparison, JSONValue)
        /// A truthy value means that the rule is violated; the field, where there is one, is the one to blame.
        case expression(String, field: String?)
        case computed(field: String, String)
    }

    package let entity: String
    package let hook: Hook
    package let content: Content
    package let message: String?
    package let stopsOnFail: Bool
    package let loads: [RelatedLoad]
    /// The lowest comes first.
    package let priority: Int
    package let isActive: Bool

    package var kind: Kind {
        switch content {
        case .field: .field
        case .expression: .expression
        case .computed: .computed
        }
    }

    /// Reads a rule that was checked when it was saved.
    package init(stored content: JSONObject) {
        var reader = DefinitionReader(content)
        self = Self.read(&reader, [:])
    }

    private init(
        entity: String,
        hook: Hook,
        content: Content,
        message: String?,
        stopsOnFail: Bool,
        loads: [RelatedLoad],
        priority: Int,
        isActive: Bool
    ) {
        self.entity = entity
        self.hook = hook
        self.content = content
        self.message = message
        self.stopsOnFail = stopsOnFail
        self.loads = loads
        self.priority = priority
        self.isActive = isActive
    }

    /// - Parameter fields: the field names of each entity, to find dangling names with.
    static func read(_ reader: inout DefinitionReader, _ fields: [String: [String]]) -> RuleDefinition {
        let entity = reader.entity(in: fields)
        let hook = reader.word("hook", as: Hook.self) ?? .beforeWrite
        let kind = reader.requiredWord("type", as: Kind.self)
        let object = reader.requiredObject("definition")
        var inner = DefinitionReader(object ?? JSONObject(), path: reader.path(to: "definition"))
        var content = Content.expression("", field: nil)
        if object != nil, let kind {
            content = readContent(kind, &inner, entity, fields)
            if kind == .computed, hook == .beforeDelete {
                reader.violate("hook", .enum, "a record that is deleted has nothing to compute: use before_write")
            }
        }
        let loads = kind == .field || kind == nil ? [] : readLoads(&inner)
        let isVerdict = kind != nil && kind != .computed
        let message = isVerdict ? inner.string("message") : nil
        let stopsOnFail = isVerdict && inner.boolean("stop_on_fail", default: false)
        if object != nil, kind != nil { inner.refuseUnknownMembers() }
        reader.include(inner.violations)
        return RuleDefinition(
            entity: entity,
            hook: hook,
            content: content,
            message: message,
            stopsOnFail: stopsOnFail,
            loads: loads,
            priority: reader.whole("priority", in: -1_000_000...1_000_000) ?? 0,
            isActive: reader.boolean("active", default: true)
        )
    }

    /// Reads a rule that is tried before it is saved, among what it is tried on.
    package static func readTrial(_ reader: inout DefinitionReader, _ fields: [String: [String]]) -> RuleDefinition {
        var trial = JSONObject()
        for name in ["entity", "hook", "type", "definition"] { trial[name] = reader.value(name) }
        var inner = DefinitionReader(trial)
        let rule = read(&inner, fields)
        reader.include(inner.violations)
        return rule
    }

    private static func readContent(
        _ kind: Kind,
        _ inner: inout DefinitionReader,
        _ entity: String,
        _ fields: [String: [String]]
    ) -> Content {
        switch kind {
        case .field:
            let field = inner.fieldName("field", of: entity, fields)
            let comparison = inner.requiredWord("operator", as: Comparison.self)
            let value = inner.value("value") ?? .null
            if let comparison { check(value, comparison, &inner) }
            return .field(field, comparison ?? .notEmpty, value)
        case .expression:
            let field = inner.object["field"] ?? .null == .null ? nil : inner.fieldName("field", of: entity, fields)
            _ = inner.value("field")
            return .expression(inner.requiredString("expression"), field: field)
        case .computed:
            let field = inner.fieldName("field", of: entity, fields)
            return .computed(field: field, inner.requiredString("expression"))
        }
    }

    /// What of a value can be judged without knowing the field.
    private static func check(_ value: JSONValue, _ comparison: Comparison, _ inner: inout DefinitionReader) {
        switch comparison {
        case .notEmpty:
            if value != .null, value != .boolean(true) {
                inner.violate("value", .type, "\"not_empty\" takes no value")
            }
            return
        case .minLength, .maxLength:
            if value != .null { _ = inner.whole("value", in: 0...Int(Int32.max)) }
        case .pattern:
            if value != .null { _ = inner.string("value") }
        case .isIn, .isNotIn:
            if value != .null, value.arrayValue?.isEmpty ?? true {
                let got = value.arrayValue == nil ? value.kind : "an empty one"
                inner.violate("value", .type, "expected an array of values, got \(got)")
            }
        default: break
        }
        if value == .null { inner.violate("value", .required, "is required") }
    }

    private static func readLoads(_ inner: inout DefinitionReader) -> [RelatedLoad] {
        var loads: [RelatedLoad] = []
        for (object, path) in inner.objects("related_load") ?? [] {
            var load = DefinitionReader(object, path: path)
            let relation = load.requiredString("relation")
            let filter = load.object("filter") ?? JSONObject()
            if loads.contains(where: { $0.relation == relation }) {
                load.violate("relation", .relation, "\"\(relation)\" is given twice")
            }
            load.refuseUnknownMembers()
            inner.include(load.violations)
            loads.append(RelatedLoad(relation: relation, filter: filter))
        }
        return loads
    }

    /// The definition with its defaults filled in, as it is stored and answered.
    package var json: JSONObject {
        var definition = JSONObject()
        switch content {
        case .field(let field, let comparison, let value):
            definition["field"] = .string(field)
            definition["operator"] = .string(comparison.rawValue)
            if comparison != .notEmpty { definition["value"] = value }
        case .expression(let expression, let field):
            definition["expression"] = .string(expression)
            definition["field"] = field.map(JSONValue.string)
        case .computed(let field, let expression):
            definition["field"] = .string(field)
            definition["expression"] = .string(expression)
        }
        definition["message"] = message.map(JSONValue.string)
        if kind != .computed { definition["stop_on_fail"] = .boolean(stopsOnFail) }
        if !loads.isEmpty {
            definition["related_load"] = .array(
                loads.map { load in
                    var object: JSONObject = ["relation": .string(load.relation)]
                    if !load.filter.members.isEmpty { object["filter"] = .object(load.filter) }
                    return .object(object)
                }
            )
        }
        return [
            "entity": .string(entity), "hook": .string(hook.rawValue), "type": .string(kind.rawValue),
            "definition": .object(definition), "priority": .integer(priority), "active": .boolean(isActive),
        ]
    }
}
