import RocketModel
import RocketPlanning

/// The API of an app as its caller may use it: an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from
/// the metadata in force and the caller's permissions.
struct OpenAPIDocument {
    private let access: Access
    private let app: StoredApp
    private let entities: [EntityOutline]

    init(_ access: Access, _ app: StoredApp) {
        self.access = access
        self.app = app
        entities = access.outline
    }

    var json: JSONObject {
        var paths = Self.accountPaths
        for outline in entities {
            let record = RecordPaths(outline)
            for (path, item) in record.paths { paths[path] = .object(item) }
        }
        if entities.contains(where: \.hasFiles) { for (path, item) in FilePaths.paths { paths[path] = .object(item) } }
        if !entities.isEmpty { paths["/_batch"] = .object(Self.batch) }
        var schemas = SharedParts.schemas
        let rules = Dictionary(
            grouping: access.snapshot.definitions.others.filter { $0.kind == .rules }.map {
                RuleDefinition(stored: $0.content)
            },
            by: \.entity
        )
        for outline in entities {
            for (name, schema) in RecordSchemas(outline, rules[outline.entity.name] ?? []).all {
                schemas[name] = .object(schema)
            }
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": .string(app.displayName), "version": .string(String(access.snapshot.version)),
                "description":
                    "Errors are {\"error\": {\"code\", \"message\", \"details\"}}. What is shown here is what the caller may use.",
            ],
            "servers": [["url": .string("/api/\(app.name)")]],
            "security": [["bearer": []]],
            "tags": .array(
                [["name": "accounts"], ["name": "files"]] + entities.map { ["name": .string($0.entity.name)] }
            ),
            "paths": .object(paths),
            "components": [
                "securitySchemes": ["bearer": ["type": "http", "scheme": "bearer", "bearerFormat": "JWT"]],
                "schemas": .object(schemas), "responses": .object(SharedParts.responses),
                "parameters": .object(SharedParts.parameters),
            ],
        ]
    }

    // MARK: paths that every app has

    private static let accountPaths: JSONObject = [
        "/auth/login": account("login", "Sign in", ["email", "password"], "Tokens"),
        "/auth/refresh": account("refresh", "Get new tokens for a refresh token", ["refresh_token"], "Tokens"),
        "/auth/logout": account("logout", "End a refresh token", ["refresh_token"], "Message"),
        "/auth/forgot": account("forgot", "Ask for a password reset", ["email"], "Message"),
        "/auth/reset": account("reset", "Set a password by a reset token", ["token", "password"], "Message"),
        "/auth/me": [
            "get": [
                "operationId": "me", "tags": ["accounts"], "summary": "Who am I",
                "responses": .object(answers(["200": SharedParts.answer("The caller", "Caller")], [401])),
            ]
        ],
    ]

    private static func account(
        _ name: String,
        _ summary: String,
        _ members: [String],
        _ schema: String
    ) -> JSONValue {
        let properties = JSONObject(uniqueMembers: members.map { .init(name: $0, value: ["type": "string"]) })
        return [
            "post": [
                "operationId": .string(name), "tags": ["accounts"], "summary": .string(summary), "security": [],
                "requestBody": SharedParts.body([
                    "type": "object", "required": .array(members.map(JSONValue.string)),
                    "properties": .object(properties), "additionalProperties": false,
                ]),
                "responses": .object(
                    answers(["200": SharedParts.answer(summary, schema)], [400, 401, 413, 415, 422, 429])
                ),
            ]
        ]
    }

    private static let batch: JSONObject = [
        "post": [
            "operationId": "batch", "summary": "Many operations in one transaction",
            "parameters": [["$ref": "#/components/parameters/IdempotencyKey"]],
            "requestBody": SharedParts.body(["$ref": "#/components/schemas/Batch"]),
            "responses": .object(
                answers(
                    ["200": SharedParts.answer("What each operation left", "BatchResult")],
                    [400, 401, 403, 404, 409, 412, 413, 415, 422, 502]
                )
            ),
        ]
    ]

    /// The answers of an operation: its own, and the errors that it may have.
    static func answers(_ own: JSONObject, _ errors: [Int]) -> JSONObject {
        var answers = own
        for status in errors + [503] {
            answers[String(status)] = ["$ref": .string("#/components/responses/E\(status)")]
        }
        return answers
    }
}

extension EntityOutline {
    fileprivate var hasFiles: Bool { (readable + writable).contains { $0.shape.type == .file } }
}
