import RocketModel
import RocketPlanning

/// The operations on the records of an entity that a caller may use.
struct RecordPaths {
    private let outline: EntityOutline
    private let entity: EntityModel

    init(_ outline: EntityOutline) {
        self.outline = outline
        entity = outline.entity
    }

    private static let readErrors = [400, 401, 403, 404]
    private static let writeErrors = [400, 401, 403, 404, 409, 413, 415, 422, 502]

    var paths: [(String, JSONObject)] {
        var collection = JSONObject()
        var record: JSONObject = ["parameters": [id]]
        let actions = outline.actions
        if actions.contains(.read) {
            collection["get"] = list
            record["get"] = read
        }
        if actions.contains(.create) { collection["post"] = create }
        if actions.contains(.update) {
            record["put"] = update("put", "Update")
            record["patch"] = update("patch", "Change")
        }
        if actions.contains(.delete) { record["delete"] = delete }
        var paths: [(String, JSONObject)] = []
        if !collection.isEmpty { paths.append(("/\(entity.name)", collection)) }
        if record.count > 1 { paths.append(("/\(entity.name)/{id}", record)) }
        if actions.contains(.delete), entity.definition.softDelete {
            paths.append(("/\(entity.name)/{id}/restore", ["parameters": [id], "post": restore]))
        }
        if actions.contains(.read) {
            paths.append(("/\(entity.name)/{id}/history", ["parameters": [id], "get": history]))
        }
        return paths
    }

    // MARK: operations

    private func operation(
        _ verb: String,
        _ summary: String,
        _ parameters: [JSONValue],
        body: JSONValue? = nil,
        _ answers: JSONObject
    ) -> JSONValue {
        var operation: JSONObject = [
            "operationId": .string("\(verb)_\(entity.name)"), "tags": [.string(entity.name)],
            "summary": .string(summary),
        ]
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        operation["requestBody"] = body
        operation["responses"] = .object(answers)
        return .object(operation)
    }

    private var recordSchema: String { RecordSchemas.name(entity.name) }

    /// Those who can't read get what they wrote, less what they can't see.
    private var data: JSONValue {
        outline.actions.contains(.read) ? ["$ref": .string("#/components/schemas/\(recordSchema)")] : ["type": "object"]
    }

    private var list: JSONValue {
        let shared = ["Page", "PerPage", "Count", "Where"].map(Self.parameter)
        let rows: JSONValue = ["type": "array", "items": data]
        let answer = SharedParts.answer(
            "A page of records",
            data: rows,
            meta: ["$ref": "#/components/schemas/PageMeta"]
        )
        return operation(
            "list",
            "List \(entity.name) records",
            shared + [sort] + view + filters,
            OpenAPIDocument.answers(["200": answer], Self.readErrors)
        )
    }

    private var read: JSONValue {
        operation(
            "get",
            "Read one \(entity.name)",
            view,
            OpenAPIDocument.answers(["200": one("The record")], Self.readErrors)
        )
    }

    private var create: JSONValue {
        var headers = SharedParts.etag
        headers["Location"] = ["description": "Where it is", "schema": ["type": "string"]]
        return operation(
            "create",
            "Make one \(entity.name), with what is below it",
            [Self.parameter("IdempotencyKey")],
            body: SharedParts.body(["$ref": .string("#/components/schemas/\(recordSchema)Create")]),
            OpenAPIDocument.answers(
                ["201": SharedParts.answer("It is made", data: data, headers: headers)],
                Self.writeErrors
            )
        )
    }

    private func update(_ verb: String, _ word: String) -> JSONValue {
        operation(
            verb,
            "\(word) the fields that are given",
            [Self.parameter("IfMatch")],
            body: SharedParts.body(["$ref": .string("#/components/schemas/\(recordSchema)Update")]),
            OpenAPIDocument.answers(["200": one("The record as it is now")], Self.writeErrors + [412])
        )
    }

    private var delete: JSONValue {
        let purge: JSONValue = [
            "name": "purge", "in": "query", "description": "For good, where deleted records are kept",
            "schema": ["type": "boolean", "default": false],
        ]
        let gone: JSONValue = [
            "type": "object", "required": ["id"], "properties": ["id": JSONValue.object(JSONObject())],
        ]
        return operation(
            "delete",
            "Delete one \(entity.name)",
            [Self.parameter("IfMatch")] + (entity.definition.softDelete ? [purge] : []),
            OpenAPIDocument.answers(
                ["200": SharedParts.answer("It is gone", data: gone)],
                [400, 401, 403, 404, 409, 412, 422, 502]
            )
        )
    }

    private var restore: JSONValue {
        operation(
            "restore",
            "Bring a deleted \(entity.name) back",
            [Self.parameter("IdempotencyKey")],
            OpenAPIDocument.answers(["200": one("The record")], [400, 401, 403, 404, 409, 422, 502])
        )
    }

    private var history: JSONValue {
        let entries: JSONValue = ["type": "array", "items": ["$ref": "#/components/schemas/HistoryEntry"]]
        let answer = SharedParts.answer(
            "A page of entries, newest first",
            data: entries,
            meta: ["$ref": "#/components/schemas/PageMeta"]
        )
        return operation(
            "history",
            "What has happened to one \(entity.name)",
            ["Page", "PerPage"].map(Self.parameter),
            OpenAPIDocument.answers(["200": answer], Self.readErrors)
        )
    }

    private func one(_ words: String) -> JSONValue {
        SharedParts.answer(words, data: data, headers: SharedParts.etag)
    }

    // MARK: parameters

    private static func parameter(_ name: String) -> JSONValue {
        ["$ref": .string("#/components/parameters/\(name)")]
    }

    private var id: JSONValue {
        let schema = RecordSchemas.schema(of: entity.key, isWritten: false)
        let bare: JSONObject = JSONObject(uniqueMembers: schema.members.filter { $0.name != "readOnly" })
        return [
            "name": "id", "in": "path", "required": true,
            "description": .string(entity.slugField == nil ? "The key" : "The key or the slug"),
            "schema": entity.slugField == nil ? .object(bare) : ["type": "string", "minLength": 1],
        ]
    }

    private var sortable: [FieldModel] { outline.readable.filter { $0.shape.type.isComparable } }

    private var sort: JSONValue {
        [
            "name": "sort", "in": "query", "style": "form", "explode": false,
            "description": "With - for descending; fields of related records go as well: customer.name",
            "schema": [
                "type": "array", "minItems": 1, "maxItems": 8,
                "items": ["enum": .array(sortable.flatMap { [.string($0.name), .string("-\($0.name)")] })],
            ],
        ]
    }

    private var view: [JSONValue] {
        let fields: JSONValue = [
            "name": "fields", "in": "query", "style": "form", "explode": false, "description": "Only these",
            "schema": [
                "type": "array", "minItems": 1,
                "items": ["enum": .array(outline.readable.map { .string($0.name) })],
            ],
        ]
        guard !outline.relations.isEmpty else { return [fields] }
        return [
            fields,
            [
                "name": "include", "in": "query", "style": "form", "explode": false,
                "description": "Related records along with each; a.b goes on",
                "schema": [
                    "type": "array", "minItems": 1,
                    "items": ["enum": .array(outline.relations.map { .string($0.name) })],
                ],
            ],
        ]
    }

    /// `filter[field]`, and `filter[field.op]` for each operator that the type takes.
    private var filters: [JSONValue] {
        outline.readable.flatMap { field -> [JSONValue] in
            FilterOperator.allCases.filter { $0.isAllowed(on: field.shape.type) }.map { comparison in
                let name = comparison == .equal ? field.name : "\(field.name).\(comparison.rawValue)"
                let isList = comparison == .isIn || comparison == .isNotIn
                let words: JSONObject = isList ? ["style": "form", "explode": false] : [:]
                let parameter: JSONObject = [
                    "name": .string("filter[\(name)]"), "in": "query",
                    "schema": .object(Self.schema(of: comparison, field.shape)),
                ]
                return .object(JSONObject(uniqueMembers: parameter.members + words.members))
            }
        }
    }

    /// A filter takes what the type takes: a value that no record has finds none.
    private static func schema(of comparison: FilterOperator, _ shape: ValueShape) -> JSONObject {
        switch comparison {
        case .isNull: ["type": "boolean"]
        // A lone backslash at the end would escape nothing.
        case .like, .ilike: ["type": "string", "pattern": "^[^\\\\\\u0000]*$"]
        case .contains, .startsWith: RecordSchemas.schema(of: shape, isWritten: true)
        case .isIn, .isNotIn:
            ["type": "array", "minItems": 1, "items": .object(RecordSchemas.schema(of: shape, isWritten: true))]
        case .equal, .notEqual, .greater, .greaterOrEqual, .less, .lessOrEqual:
            RecordSchemas.schema(of: shape, isWritten: true)
        }
    }
}
