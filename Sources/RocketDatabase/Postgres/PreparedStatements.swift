/// The statements that a connection has prepared, by their text; bounded, since clients can vary filters without end.
struct PreparedStatements {
    private struct Entry {
        let name: String
        let preparedAt: UInt64
        var lastUse: UInt64
    }

    /// What must be sent before a statement can be run by its name.
    struct Preparation: Equatable {
        let name: String
        /// Whether it is prepared, or will be by what is on its way.
        let isKnown: Bool
        /// Whether it was prepared for an earlier batch, so that the tables may have changed since.
        let isFromEarlier: Bool
        /// A statement to forget, to keep the bound.
        let evicted: String?
    }

    private var entries: [String: Entry] = [:]
    private var uses: UInt64 = 0
    /// Statements of the batch that is being sent were used after this.
    private var batchStart: UInt64 = 0
    private var lastName = 0
    private var retired: [String] = []
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
            let entry = entries.values[index]
            let isFromEarlier = entry.preparedAt <= batchStart
            return Preparation(name: entry.name, isKnown: true, isFromEarlier: isFromEarlier, evicted: nil)
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
        entries[text] = Entry(name: name, preparedAt: uses, lastUse: uses)
        return Preparation(name: name, isKnown: false, isFromEarlier: false, evicted: evicted)
    }

    /// It was never prepared after all.
    mutating func forget(_ text: String) {
        entries[text] = nil
    }

    /// It is of no use any more: it is prepared anew at its next use, and the server is to forget the old one.
    mutating func retire(_ text: String) {
        if let entry = entries.removeValue(forKey: text) { retired.append(entry.name) }
    }

    /// What the server is to forget, once.
    mutating func takeRetired() -> [String] {
        defer { retired = [] }
        return retired
    }
}
