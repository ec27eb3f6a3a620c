import RocketModel

/// The operations on uploaded files.
enum FilePaths {
    static let paths: [(String, JSONObject)] = [
        ("/_files/upload", ["post": upload]),
        ("/_files/{id}", ["parameters": [id], "get": download, "delete": delete]),
    ]

    private static let id: JSONValue = [
        "name": "id", "in": "path", "required": true, "schema": ["type": "string", "format": "uuid"],
    ]

    private static let upload: JSONValue = [
        "operationId": "upload_file", "tags": ["files"],
        "summary": "Upload a file; a file field of a record takes its id within a day",
        "requestBody": [
            "required": true,
            "content": [
                "multipart/form-data": [
                    "schema": [
                        "type": "object", "required": ["file"], "additionalProperties": false,
                        "properties": ["file": ["type": "string", "format": "binary"]],
                    ]
                ]
            ],
        ],
        "responses": .object(
            OpenAPIDocument.answers(
                ["201": SharedParts.answer("It is stored", "UploadedFile")],
                [400, 401, 413, 415, 422, 429]
            )
        ),
    ]

    private static let download: JSONValue = {
        let bytes: JSONValue = ["*/*": ["schema": ["type": "string", "format": "binary"]]]
        let saved: JSONValue = [
            "name": "download", "in": "query", "description": "Whether browsers are to save it",
            "schema": ["type": "boolean", "default": false],
        ]
        let own: JSONObject = [
            "200": ["description": "The file", "content": bytes],
            "206": ["description": "The range that was asked for", "content": bytes],
            "304": ["description": "It is as If-None-Match says"],
            "416": ["description": "The file is shorter than the range"],
        ]
        return [
            "operationId": "get_file", "tags": ["files"], "summary": "Download a file of a readable record",
            "parameters": [saved], "responses": .object(OpenAPIDocument.answers(own, [400, 401, 404])),
        ]
    }()

    private static let delete: JSONValue = {
        let gone: JSONValue = ["type": "object", "required": ["id"], "properties": ["id": ["type": "string"]]]
        return [
            "operationId": "delete_file", "tags": ["files"], "summary": "Delete a file that no record uses",
            "responses": .object(
                OpenAPIDocument.answers(
                    ["200": SharedParts.answer("It is gone", data: gone)],
                    [400, 401, 403, 404, 409]
                )
            ),
        ]
    }()
}
