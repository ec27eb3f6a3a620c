extension FieldValue {
    /// How two values of one type stand to each other, as both databases have it: text by code point, the rest by value.
    ///
    /// - Returns: -1, 0 or 1; nil where one is null, or the type has no order.
    package static func order(_ left: FieldValue, _ right: FieldValue) -> Int? {
        func compared<Value: Comparable>(_ a: Value, _ b: Value) -> Int { a < b ? -1 : a == b ? 0 : 1 }
        switch (left, right) {
        case (.text(let a), .text(let b)):
            if a.utf8.elementsEqual(b.utf8) { return 0 }
            return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
        case (.whole(let a), .whole(let b)): return compared(a, b)
        case (.double(let a), .double(let b)): return compared(a, b)
        case (.decimal(let a), .decimal(let b)): return compared(a, b)
        case (.boolean(let a), .boolean(let b)): return compared(a ? 1 : 0, b ? 1 : 0)
        case (.uuid(let a), .uuid(let b)): return compared(a.text, b.text)
        case (.timestamp(let a), .timestamp(let b)): return compared(a, b)
        case (.date(let a), .date(let b)): return compared(a, b)
        default: return nil
        }
    }
}
