/// Finds a part in a sequence in time that grows with both lengths and no faster (Knuth, Morris, Pratt 1977).
struct TextSearch<Unit: Equatable & Sendable> {
    private let part: [Unit]
    /// For each place of the part, how much of it goes on where the place does not match.
    private let fallback: [Int]

    init(_ part: [Unit]) {
        self.part = part
        var fallback = Array(repeating: 0, count: part.count)
        var length = 0
        for index in part.indices.dropFirst() {
            while length > 0, part[index] != part[length] { length = fallback[length - 1] }
            if part[index] == part[length] { length += 1 }
            fallback[index] = length
        }
        self.fallback = fallback
    }

    /// Where the part begins at or behind a place; nil where it does not.
    func first(in units: [Unit], from start: Int) -> Int? {
        guard !part.isEmpty else { return start <= units.count ? start : nil }
        var length = 0
        var index = start
        while index < units.count {
            while length > 0, units[index] != part[length] { length = fallback[length - 1] }
            if units[index] == part[length] { length += 1 }
            index += 1
            if length == part.count { return index - length }
        }
        return nil
    }
}
