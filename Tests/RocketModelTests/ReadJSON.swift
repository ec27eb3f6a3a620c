import RocketModel

// JSON that a test itself wrote.

func readJSON(_ text: String) throws -> JSONValue {
    try JSONParser.parse(text)
}

func readObject(_ text: String) throws -> JSONObject {
    guard case .object(let object) = try JSONParser.parse(text) else { throw NotAnObject(text: text) }
    return object
}

struct NotAnObject: Error {
    let text: String
}
