import Foundation

/// What the disk under the files did not do.
struct FileFailure: Error, CustomStringConvertible {
    let cause: String

    /// - Parameter code: `errno`.
    init(_ code: Int32) {
        cause = String(cString: strerror(code))
    }

    init(_ error: any Error) {
        cause = (error as? FileFailure)?.cause ?? error.localizedDescription
    }

    var description: String { "files: \(cause)" }
}
