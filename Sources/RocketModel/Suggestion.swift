/// `; did you mean "status"?` where one of `known` is close to `name`, else nothing.
package func suggestion(for name: String, among known: some Sequence<String>) -> String {
    nearestName(to: name, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
}

/// The known name that a typing mistake most likely meant, or nil where none is close.
package func nearestName(to name: String, among known: some Sequence<String>) -> String? {
    let wanted = Array(name.lowercased().utf8.prefix(64))
    let bound = max(1, wanted.count / 3)
    let distances = known.map { (name: $0, distance: editDistance(wanted, Array($0.lowercased().utf8.prefix(64)))) }
    return distances.filter { $0.distance <= bound }.min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
}

/// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours each cost one.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for row in 0..<left.count {
        var current = [row + 1]
        for column in 0..<right.count {
            var best = min(
                last[column] + (left[row] == right[column] ? 0 : 1),
                last[column + 1] + 1,
                current[column] + 1
            )
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                best = min(best, beforeLast[column - 1] + 1)
            }
            current.append(best)
        }
        beforeLast = last
        last = current
    }
    return last[right.count]
}
