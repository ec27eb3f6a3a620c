import GRDBSQLite

/// What SQLite may keep in memory of the pages that it has read.
enum SQLiteMemory {
    /// A table that does not fit is read from the system anew by every scan, to the last page: the oldest page goes first,
    /// and it is the one that comes next.
    static let kilobytesPerConnection = 16_000

    /// All connections of the process together: when so much is used, each takes its next page from its own oldest
    /// (https://www.sqlite.org/c3ref/hard_heap_limit64.html).
    private static let bytesInAll: Int64 = 128 * 1024 * 1024

    /// Sets the bound, once for the process.
    static let bound: Void = {
        sqlite3_soft_heap_limit64(bytesInAll)
    }()
}
