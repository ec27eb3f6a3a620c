import NIOCore
import RocketEngine

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
