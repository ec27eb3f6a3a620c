/// The statements that a connection has prepared, by their text; bounded, since clients can vary filters without end.
struct PreparedStatements {
    private struct Entry {
        let name: String
        var lastUse: UInt64
    }

    /// What must be sent before a statement can be run by its name.
    struct Preparation: Equatable {
        let name: String
        /// Whether it was prepared for an earlier use.
        let isKnown: Bool
        /// A statement to forget, to keep the bound.
        let evicted: String?
    }

    private var entries: [String: Entry] = [:]
    private var uses: UInt64 = 0
    /// Statements of the batch that is being sent were used after this.
    private var batchStart: UInt64 = 0
    private var lastName = 0
    private let capacity: Int

    init(capacity: Int = 250) {
        self.capacity = capacity
    }

    /// A batch's own statements are not evicted while it is sent, so a large one may exceed the bound until the next.
    mutating func beginBatch() {
        batchStart = uses
    }

    mutating func use(_ text: String) -> Preparation {
        uses += 1
        if let index = entries.index(forKey: text) {
            entries.values[index].lastUse = uses
            return Preparation(name: entries.values[index].name, isKnown: true, evicted: nil)
        }
        var evicted: String?
        if entries.count >= capacity, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }),
            oldest.value.lastUse <= batchStart
        {
            evicted = oldest.value.name
            entries[oldest.key] = nil
        }
        lastName += 1
        let name = "s\(lastName)"
        entries[text] = Entry(name: name, lastUse: uses)
        return Preparation(name: name, isKnown: false, evicted: evicted)
    }

    /// Prepares the text anew at its next use. The old name is left to the server until the connection ends, for
    /// others that are on their way may still use it.
    mutating func forget(_ text: String) {
        entries[text] = nil
    }
}
