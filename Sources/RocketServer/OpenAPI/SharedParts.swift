import RocketModel
import RocketPlanning

/// What the operations of an OpenAPI document share.
enum SharedParts {
    static func body(_ schema: JSONValue) -> JSONValue {
        ["required": true, "content": ["application/json": ["schema": schema]]]
    }

    /// `{"data": schema}`
    static func answer(_ words: String, _ schema: String, headers: JSONObject = JSONObject()) -> JSONValue {
        answer(words, data: ["$ref": .string("#/components/schemas/\(schema)")], headers: headers)
    }

    static func answer(
        _ words: String,
        data: JSONValue,
        meta: JSONValue? = nil,
        headers: JSONObject = JSONObject()
    ) -> JSONValue {
        var properties: JSONObject = ["data": data]
        properties["meta"] = meta ?? ["type": "object"]
        var answer: JSONObject = [
            "description": .string(words),
            "content": [
                "application/json": [
                    "schema": ["type": "object", "required": ["data"], "properties": .object(properties)]
                ]
            ],
        ]
        if !headers.isEmpty { answer["headers"] = .object(headers) }
        return .object(answer)
    }

    static let etag: JSONObject = [
        "ETag": ["description": "The version, for If-Match", "schema": ["type": "string"]]
    ]

    static let responses: JSONObject = {
        var responses = JSONObject()
        for (status, words) in errors {
            var response: JSONObject = [
                "description": .string(words),
                "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
            ]
            if status == 429 || status == 503 {
                response["headers"] = [
                    "Retry-After": ["description": "Seconds", "schema": ["type": "integer"]]
                ]
            }
            responses["E\(status)"] = .object(response)
        }
        return responses
    }()

    private static let errors: [(Int, String)] = [
        (400, "The body is no JSON object, or a parameter can't be"), (401, "No token, or one that is not valid"),
        (403, "The caller may not do that"), (404, "There is no such record, or the caller may not know of it"),
        (409, "A value that is taken, or a key that names no record"), (412, "If-Match names another version"),
        (413, "The body is too large"), (415, "The body is no application/json"),
        (422, "Every violation, with its path, in details"), (429, "Too many attempts"),
        (502, "A webhook that the write waits for has not agreed"), (503, "Too busy, or a database is away; try again"),
    ]

    private static let batchCreate: JSONValue = [
        "type": "object", "required": ["method", "path", "body"], "additionalProperties": false,
        "properties": [
            "method": ["const": "POST"], "path": ["type": "string", "pattern": "^/[a-z][a-z0-9_]{0,40}$"],
            "body": ["type": "object"],
        ],
    ]

    private static let batchChange: JSONValue = [
        "type": "object", "required": ["method", "path", "body"], "additionalProperties": false,
        "properties": [
            "method": ["enum": ["PUT", "PATCH"]],
            "path": ["type": "string", "pattern": "^/[a-z][a-z0-9_]{0,40}/[A-Za-z0-9_.~-]{1,64}$"],
            "body": ["type": "object"], "if_match": ["type": "string"],
        ],
    ]

    private static let batchDelete: JSONValue = [
        "type": "object", "required": ["method", "path"], "additionalProperties": false,
        "properties": [
            "method": ["const": "DELETE"],
            "path": ["type": "string", "pattern": "^/[a-z][a-z0-9_]{0,40}/[A-Za-z0-9_.~-]{1,64}$"],
            "if_match": ["type": "string"],
        ],
    ]

    static let schemas: JSONObject = [
        "Error": [
            "type": "object", "required": ["error"],
            "properties": [
                "error": [
                    "type": "object", "required": ["code", "message"],
                    "properties": [
                        "code": ["enum": .array(ErrorCode.allCases.map { .string($0.rawValue) })],
                        "message": ["type": "string"],
                        "details": [
                            "type": "array",
                            "items": [
                                "type": "object", "required": ["message"],
                                "properties": [
                                    "field": ["type": "string"], "rule": ["type": "string"],
                                    "message": ["type": "string"],
                                ],
                            ],
                        ],
                    ],
                ]
            ],
        ],
        "Tokens": [
            "type": "object", "required": ["access_token", "refresh_token"],
            "properties": ["access_token": ["type": "string"], "refresh_token": ["type": "string"]],
        ],
        "Message": [
            "type": "object", "required": ["message"], "properties": ["message": ["type": "string"]],
        ],
        "Caller": [
            "type": "object", "required": ["id", "email", "roles"],
            "properties": [
                "id": ["type": "string"], "email": ["type": "string"],
                "roles": ["type": "array", "items": ["type": "string"]],
            ],
        ],
        "PageMeta": [
            "type": "object", "required": ["page", "per_page"],
            "properties": [
                "page": ["type": "integer"], "per_page": ["type": "integer"], "total": ["type": "integer"],
            ],
        ],
        "HistoryEntry": [
            "type": "object", "required": ["id", "action", "changes", "user", "request_id", "at"],
            "properties": [
                "id": ["type": "integer"], "action": ["enum": ["create", "update", "delete", "restore"]],
                "changes": [
                    "description":
                        "By field; by relation the keys that were unlinked and linked; null where they are too large for the page",
                    "type": ["object", "null"],
                    "additionalProperties": ["type": "object", "required": ["old", "new"]],
                ],
                "user": [
                    "type": ["object", "null"],
                    "properties": [
                        "id": ["type": "string"], "roles": ["type": "array", "items": ["type": "string"]],
                    ],
                ],
                "request_id": ["type": ["string", "null"]], "at": ["type": "string", "format": "date-time"],
            ],
        ],
        "File": [
            "description": "What is known of an uploaded file; to write it, its id alone is enough",
            "anyOf": [
                ["type": "string", "format": "uuid"],
                [
                    "type": "object", "required": ["id"],
                    "properties": [
                        "id": ["type": "string", "format": "uuid"], "filename": ["type": "string"],
                        "size": ["type": "integer"], "mime_type": ["type": "string"],
                    ],
                ], ["type": "null"],
            ],
        ],
        "UploadedFile": [
            "type": "object", "required": ["id", "filename", "size", "mime_type", "created_at"],
            "properties": [
                "id": ["type": "string", "format": "uuid"], "filename": ["type": "string"],
                "size": ["type": "integer"], "mime_type": ["type": "string"],
                "created_at": ["type": "string", "format": "date-time"],
            ],
        ],
        "Batch": [
            "type": "object", "required": ["operations"], "additionalProperties": false,
            "properties": [
                "operations": [
                    "type": "array", "minItems": 1, "maxItems": 100,
                    "items": ["oneOf": .array([batchCreate, batchChange, batchDelete])],
                ]
            ],
        ],
        "BatchResult": [
            "type": "array",
            "items": [
                "type": "object", "required": ["status", "data"],
                "properties": [
                    "status": ["type": "integer"], "etag": ["type": "string"], "data": ["type": "object"],
                ],
            ],
        ],
    ]

    static let parameters: JSONObject = [
        "IdempotencyKey": [
            "name": "Idempotency-Key", "in": "header",
            "description": "Makes it safe to send the request again: within a day it is carried out once",
            "schema": ["type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"],
        ],
        "IfMatch": [
            "name": "If-Match", "in": "header", "description": "The ETag of the version that is meant",
            "schema": ["type": "string", "pattern": "^(\\*|\"[!#-~]*\"(, *\"[!#-~]*\")*)$"],
        ],
        "Page": ["name": "page", "in": "query", "schema": ["type": "integer", "minimum": 1, "default": 1]],
        "PerPage": [
            "name": "per_page", "in": "query",
            "description": .string("More than \(RecordQuery.maximumPerPage) counts as so many"),
            "schema": ["type": "integer", "minimum": 1, "default": .integer(RecordQuery.defaultPerPage)],
        ],
        "Count": [
            "name": "count", "in": "query", "description": "none leaves the total out",
            "schema": ["enum": ["exact", "none"], "default": "exact"],
        ],
        "Where": [
            "name": "where", "in": "query",
            "description": "A condition in the expression language over the record's fields",
            "schema": ["type": "string"], "example": "id != null",
        ],
    ]
}
