/// What something comes of that was done: how many writes have set each other off before it, and the trace that it is
/// part of.
package struct Cause: Sendable, Hashable {
    package var depth: Int
    package var trace: TraceContext?

    package init(depth: Int = 0, trace: TraceContext? = nil) {
        self.depth = depth
        self.trace = trace
    }

    /// A cause of its own.
    package static let none = Cause()

    /// That of what this sets off.
    package var next: Cause { Cause(depth: depth + 1, trace: trace) }
}

/// Where a request stands in a trace over several systems (W3C Trace Context, https://www.w3.org/TR/trace-context/).
package struct TraceContext: Sendable, Hashable {
    /// 32 hexadecimal digits.
    package let traceID: String
    /// 16 hexadecimal digits: the part of the trace that others come below.
    package let spanID: String
    private let flags: String
    /// What other systems keep in it; nil for nothing.
    package let state: String?

    private static let maximumState = 512

    /// Reads the headers `traceparent` and `tracestate`; nil for what is no trace, which starts none.
    package init?(traceparent: String, tracestate: String? = nil) {
        let parts = traceparent.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        // A later version may have more parts than the four that all of them have.
        guard parts.count >= 4, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            zip(parts, [2, 32, 16, 2]).allSatisfy({ $0.utf8.count == $1 && $0.utf8.allSatisfy(Self.isDigit) }),
            parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" })
        else { return nil }
        (traceID, spanID, flags) = (parts[1], parts[2], parts[3])
        state = tracestate.flatMap { $0.isEmpty || $0.utf8.count > Self.maximumState ? nil : $0 }
    }

    private init(_ parent: TraceContext, spanID: String) {
        (traceID, flags, state) = (parent.traceID, parent.flags, parent.state)
        self.spanID = spanID
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// A part of the same trace, below this one.
    ///
    /// - Parameter chance: a number that nobody else has; zero is none.
    package func child(_ chance: UInt64) -> TraceContext {
        let digits = String(max(1, chance), radix: 16)
        return TraceContext(self, spanID: String(repeating: "0", count: 16 - digits.utf8.count) + digits)
    }

    /// The header that hands it on.
    package var traceparent: String { "00-\(traceID)-\(spanID)-\(flags)" }

    // MARK: as it is stored

    /// Both headers, with a line's end between them.
    package var stored: String { state.map { "\(traceparent)\n\($0)" } ?? traceparent }

    package init?(stored: String) {
        let parts = stored.split(separator: "\n", maxSplits: 1).map(String.init)
        guard let first = parts.first else { return nil }
        self.init(traceparent: first, tracestate: parts.count > 1 ? parts[1] : nil)
    }
}
