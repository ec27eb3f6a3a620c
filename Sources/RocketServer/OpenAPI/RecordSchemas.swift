import RocketModel
import RocketPlanning

/// The schemas of an entity: what is read of it, and what is written.
struct RecordSchemas {
    private let outline: EntityOutline
    private let entity: EntityModel

    init(_ outline: EntityOutline) {
        self.outline = outline
        entity = outline.entity
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
        for field in outline.writable { properties[field.name] = .object(Self.schema(of: field, isWritten: true)) }
        for side in outline.relations where side.isSource && properties[side.name] == nil {
            properties[side.name] =
                side.isMany ? ["type": "array", "items": ["type": "object"]] : ["type": ["object", "null"]]
        }
        return ["type": "object", "properties": .object(properties), "additionalProperties": false]
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

    private static func schema(of shape: ValueShape, isWritten: Bool) -> JSONObject {
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
