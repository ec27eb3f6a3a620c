import Foundation
import RocketDatabase

/// A file that is being written by one task. Whoever has it must finish or abandon it, and do nothing more with it then.
package struct FileDraft: Sendable {
    private let descriptor: Int32
    private let path: String
    private let final: String
    private let folder: String
    private let queue: BlockingQueue

    init(descriptor: Int32, path: String, final: String, folder: String, _ queue: BlockingQueue) {
        self.descriptor = descriptor
        self.path = path
        self.final = final
        self.folder = folder
        self.queue = queue
    }

    /// - Throws: 503 where the disk refuses, as when it is full.
    package func write(_ bytes: [UInt8]) async throws {
        try await queue.run { [descriptor] in try Disk.writeAll(bytes[...], to: descriptor) }
    }

    /// When this returns, the file is on the disk under its own name; when it throws, what was written is gone.
    func finish() async throws {
        try await queue.run { [self] in
            var isWritten = fsync(descriptor) == 0
            var problem = errno
            close(descriptor)
            if isWritten {
                isWritten = rename(path, final) == 0
                problem = errno
            }
            guard isWritten else {
                unlink(path)
                throw FileFailure(problem)
            }
            try Disk.sync(folder)
        }
    }

    /// Whatever was written is gone.
    package func abandon() async {
        do {
            try await queue.run { [descriptor, path] in
                close(descriptor)
                unlink(path)
            }
        } catch {
            // What is left is an old draft one day, and swept.
            return
        }
    }
}
