import Logging
import RocketModel

/// One line per event, as text for people or as JSON for machines.
struct LineLogHandler: LogHandler {
    enum Format: String {
        case text
        case json
    }

    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    private let format: Format
    private let sink: LogSink
    private let now: @Sendable () -> Timestamp

    init(level: Logger.Level, format: Format, sink: LogSink, now: @escaping @Sendable () -> Timestamp) {
        logLevel = level
        self.format = format
        self.sink = sink
        self.now = now
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = event.metadata.map { metadata.merging($0) { _, new in new } } ?? metadata
        let pairs = all.sorted { $0.key < $1.key }
        var writer = JSONWriter(capacity: 256)
        switch format {
        case .json:
            writer.raw("{\"time\":\"\(now().rfc3339)\",\"level\":\"\(event.level.rawValue)\",\"message\":")
            writer.string(event.message.description)
            for (key, value) in pairs {
                writer.raw(",")
                writer.string(key)
                writer.raw(":")
                writer.string(value.description)
            }
            writer.raw("}")
        case .text:
            writer.raw("\(now().rfc3339) \(event.level.rawValue) \(escaped(event.message.description))")
            for (key, value) in pairs { writer.raw(" \(key)=\(escaped(value.description))") }
        }
        sink.write(String(decoding: writer.bytes, as: UTF8.self))
    }

    /// Control characters would let what a client sends begin a line of its own.
    private func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
        return text.unicodeScalars.map {
            $0.value < 0x20 || $0.value == 0x7F ? "\\u{\(String($0.value, radix: 16))}" : String($0)
        }
        .joined()
    }
}
