/// What flag i without flag u holds equal: code units with the same upper case, as JavaScript's `Canonicalize` has it.
///
/// That is not Unicode's case folding (which flag u uses, and RE2): nothing outside of ASCII equals anything in it, so
/// that `/[\u0100-\uFFFF]/i` does not match "s" because of U+017F. RE2 can't be told so, and classes are written out
/// instead.
enum CaseFolding {
    private struct Entry {
        let value: UInt32
        let others: [UInt32]
    }

    /// The characters that have others, by value. Made once: some thousands of look-ups in the standard library's
    /// tables.
    private static let entries: [Entry] = {
        var classes: [UInt32: [UInt32]] = [:]
        // Astral characters are two code units, neither of which has a case.
        for value in UInt32(0)...0xFFFF {
            guard let scalar = Unicode.Scalar(value), scalar.properties.changesWhenUppercased else { continue }
            let upper = scalar.properties.uppercaseMapping.unicodeScalars
            guard upper.count == 1, let canonical = upper.first?.value, canonical <= 0xFFFF else { continue }
            if value >= 0x80, canonical < 0x80 { continue }
            classes[canonical, default: [canonical]].append(value)
        }
        return classes.values
            .flatMap { members in members.map { value in Entry(value: value, others: members.filter { $0 != value }) } }
            .sorted { $0.value < $1.value }
    }()

    /// The ranges and all that equals something in them. The ranges are sorted and do not overlap; the result is
    /// neither.
    static func closure(of ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var closure = ranges
        for range in ranges {
            var index = firstEntry(from: range.lowerBound)
            while index < entries.count, entries[index].value <= range.upperBound {
                for other in entries[index].others where !range.contains(other) { closure.append(other...other) }
                index += 1
            }
        }
        return closure
    }

    private static func firstEntry(from value: UInt32) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].value < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
