import Foundation

/// What files and backups ask of the system; all of it waits for the disk.
enum Disk {
    static func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) throws(FileFailure) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw FileFailure(errno)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// fsync(2), which takes a folder as well as a file.
    static func sync(_ path: String) throws(FileFailure) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure(errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFailure(errno) }
    }
}
