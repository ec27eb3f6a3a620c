import Foundation
import RocketDatabase

/// A file that is open for reading. It stays readable though it is removed meanwhile.
package final class FileReader: Sendable {
    private let descriptor: Int32
    private let queue: BlockingQueue

    init(descriptor: Int32, _ queue: BlockingQueue) {
        self.descriptor = descriptor
        self.queue = queue
    }

    deinit { close(descriptor) }

    /// - Returns: at most `count` bytes from an offset; fewer at the end, none behind it.
    package func read(_ count: Int, at offset: Int64) async throws -> [UInt8] {
        try await queue.run { [self] in
            try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                while true {
                    let got = pread(descriptor, buffer.baseAddress, count, off_t(offset))
                    if got >= 0 {
                        filled = got
                        return
                    }
                    guard errno == EINTR else { throw FileFailure(errno) }
                }
            }
        }
    }
}
