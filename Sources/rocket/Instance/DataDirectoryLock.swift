import Foundation

/// One process owns a data directory. The lock is the kernel's, so it ends with the process, however that ends.
final class DataDirectoryLock: Sendable {
    private let descriptor: Int32

    /// - Returns: nil where another process holds the directory.
    /// - Throws: ``CommandFailure`` where the directory can't be written.
    init?(directory: URL) throws {
        do {
            try FileManager.default.createDirectory(
                at: directory,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw CommandFailure(
                "\(directory.path): can't make the data directory: \(error.localizedDescription)",
                .unavailable
            )
        }
        let path = directory.appendingPathComponent("rocket.lock").path
        descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure("\(path): \(String(cString: strerror(errno)))", .unavailable)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let cause = errno
            close(descriptor)
            if cause == EWOULDBLOCK { return nil }
            throw CommandFailure(
                "\(path): can't lock the data directory: \(String(cString: strerror(cause)))",
                .unavailable
            )
        }
    }

    func release() {
        close(descriptor)
    }
}
