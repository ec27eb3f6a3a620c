import RocketModel
import RocketPlanning

/// The schemas of an entity: what is read of it, and what is written.
struct RecordSchemas {
    private let outline: EntityOutline
    private let entity: EntityModel
    private let rules: [RuleDefinition]

    /// - Parameter rules: those of the entity.
    init(_ outline: EntityOutline, _ rules: [RuleDefinition]) {
        self.outline = outline
        entity = outline.entity
        self.rules = rules
    }

    /// The name of a schema: `Ticket`, `TicketCreate`, `TicketUpdate`.
    static func name(_ entity: String, _ suffix: String = "") -> String {
        TypeNames.pascal(entity) + suffix
    }

    var all: [(String, JSONObject)] {
        var all: [(String, JSONObject)] = []
        if outline.actions.contains(.read) || !outline.readable.isEmpty {
            all.append((Self.name(entity.name), record))
        }
        if outline.actions.contains(.create) { all.append((Self.name(entity.name, "Create"), create)) }
        if outline.actions.contains(.update) { all.append((Self.name(entity.name, "Update"), update)) }
        return all
    }

    /// No property is required: `fields` leaves some out, and a policy may hide others row by row.
    private var record: JSONObject {
        var properties = JSONObject()
        for field in outline.readable { properties[field.name] = .object(Self.schema(of: field, isWritten: false)) }
        if entity.definition.softDelete, properties[EntityDefinition.deletedAt] == nil {
            properties[EntityDefinition.deletedAt] = ["type": ["string", "null"], "format": "date-time"]
        }
        for side in outline.relations where properties[side.name] == nil {
            let other: JSONValue = ["$ref": .string("#/components/schemas/\(Self.name(side.other))")]
            properties[side.name] =
                side.isMany ? ["type": "array", "items": other] : ["oneOf": [other, ["type": "null"]]]
        }
        return ["type": "object", "properties": .object(properties)]
    }

    private var create: JSONObject {
        let required = outline.writable.filter {
            $0.definition.isMandatory && $0.definition.defaultValue == nil && entity.slugField?.name != $0.name
        }
        var schema = written
        if !required.isEmpty { schema["required"] = .array(required.map { .string($0.name) }) }
        return schema
    }

    private var update: JSONObject { written }

    private var written: JSONObject {
        var properties = JSONObject()
        for field in outline.writable { properties[field.name] = .object(written(field)) }
        for side in outline.relations where side.isSource && properties[side.name] == nil {
            let row: JSONValue = ["$ref": .string("#/components/schemas/\(Self.name(side.other))")]
            // Rows that are there are named by their key, others are made; what either takes is the other entity's say.
            let words =
                "Rows below this record, written with it: as \(Self.name(side.other)), with their key where they are there"
            properties[side.name] =
                side.isMany
                ? ["type": "array", "description": .string(words), "items": ["allOf": [["type": "object"], row]]]
                : ["description": .string(words), "oneOf": [row, ["type": "null"]]]
        }
        return ["type": "object", "properties": .object(properties), "additionalProperties": false]
    }

    /// A field with what the rules say of it by itself.
    private func written(_ field: FieldModel) -> JSONObject {
        var schema = Self.schema(of: field, isWritten: true)
        for rule in rules where rule.isActive && rule.hook == .beforeWrite {
            guard case .field(field.name, let comparison, let value) = rule.content else { continue }
            switch comparison {
            case .min: schema["minimum"] = value
            case .max: schema["maximum"] = value
            case .minLength: schema["minLength"] = value
            case .maxLength: schema["maxLength"] = value
            // JavaScript's patterns, as JSON Schema has them; text holds no NUL whatever they say.
            case .pattern: schema["pattern"] = value
            case .equal, .notEqual, .greater, .greaterOrEqual, .less, .lessOrEqual, .isIn, .isNotIn, .notEmpty: break
            }
        }
        return schema
    }

    // MARK: fields

    static func schema(of field: FieldModel, isWritten: Bool) -> JSONObject {
        let definition = field.definition
        let isNullable = !definition.isMandatory && !field.isPrimaryKey
        if let allowed = definition.allowedValues {
            return ["enum": .array(allowed + (isNullable ? [.null] : []))]
        }
        var schema = schema(of: field.shape, isWritten: isWritten)
        if isNullable, let type = schema["type"]?.stringValue { schema["type"] = [.string(type), "null"] }
        if isWritten, definition.isMandatory, field.shape.type.isText { schema["minLength"] = 1 }
        if field.isEngineOwned { schema["readOnly"] = true }
        if let fallback = definition.defaultValue { schema["default"] = fallback }
        return schema
    }

    static func schema(of shape: ValueShape, isWritten: Bool) -> JSONObject {
        switch shape.type {
        // Text holds every character but NUL.
        case .string, .text: isWritten ? ["type": "string", "pattern": "^[^\\u0000]*$"] : ["type": "string"]
        case .int:
            ["type": "integer", "format": "int32", "minimum": .integer(Int32.min), "maximum": .integer(Int32.max)]
        case .bigint:
            ["type": "integer", "format": "int64", "minimum": .integer(Int64.min), "maximum": .integer(Int64.max)]
        case .float: ["type": "number", "format": "double"]
        case .decimal: ["type": "number", "description": .string("A decimal: all of its digits count")]
        case .boolean: ["type": "boolean"]
        case .uuid: ["type": "string", "format": "uuid"]
        case .timestamp: ["type": "string", "format": "date-time"]
        case .date: ["type": "string", "format": "date"]
        case .json: JSONObject()
        case .file: ["$ref": "#/components/schemas/File"]
        }
    }
}
