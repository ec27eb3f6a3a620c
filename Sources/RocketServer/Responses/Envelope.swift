import NIOCore
import RocketEngine
import RocketModel

/// Records as bytes between the envelope's own: the rows are JSON already.
enum Envelope {
    /// `{"data":{…}}`
    static func record(_ json: [UInt8]) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: json.count + 9)
        buffer.writeStaticString("{\"data\":")
        buffer.writeBytes(json)
        buffer.writeStaticString("}")
        return buffer
    }

    /// `{"data":{…},"meta":{"transitions":{…}}}`
    static func record(_ json: [UInt8], transitions: JSONObject) -> ByteBuffer {
        record(json, meta: ["transitions": .object(transitions)])
    }

    /// `{"data":{…},"meta":{…}}`
    static func record(_ json: [UInt8], meta: JSONObject) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeStaticString("{\"data\":")
        buffer.writeBytes(json)
        buffer.writeStaticString(",\"meta\":")
        buffer.writeBytes(JSONValue.object(meta).jsonBytes)
        buffer.writeStaticString("}")
        return buffer
    }

    /// `{"data":[{"status":201,"etag":"…","data":{…}},{"status":200,"data":{"id":…}}]}`
    static func batch(_ outcomes: [OperationOutcome], isCreated: [Bool]) -> ByteBuffer {
        var writer = JSONWriter()
        writer.raw("{\"data\":[")
        for (index, outcome) in outcomes.enumerated() {
            writer.raw(index > 0 ? ",{\"status\":" : "{\"status\":")
            writer.integer(isCreated[index] ? 201 : 200)
            switch outcome {
            case .stored(let record):
                writer.raw(",\"etag\":")
                writer.string(record.tag)
                writer.raw(",\"data\":")
                writer.bytes += record.json
            case .deleted(let key):
                writer.raw(",\"data\":")
                writer.value(["id": key.json])
            }
            writer.raw("}")
        }
        writer.raw("]}")
        return ByteBuffer(bytes: writer.bytes)
    }

    /// `{"data":[…],"meta":{"page":1,"per_page":25,"total":3}}`
    static func page(_ page: RecordPage) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: page.rows.count + 64)
        buffer.writeStaticString("{\"data\":[")
        buffer.writeBytes(page.rows)
        buffer.writeString("],\"meta\":{\"page\":\(page.page),\"per_page\":\(page.perPage)")
        if let total = page.total { buffer.writeString(",\"total\":\(total)") }
        buffer.writeStaticString("}}")
        return buffer
    }
}
