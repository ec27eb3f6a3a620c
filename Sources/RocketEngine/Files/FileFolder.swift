import Foundation
import RocketDatabase
package import RocketModel
import RocketPlanning

/// Where the bytes of an app's files lie: one file for each, under its id and never under a name that a client gave, in
/// folders by the last two digits of the id.
///
/// A file is written under a draft's name and gets its own when all of it is on the disk. It never changes after that.
package struct FileFolder: Sendable {
    let url: URL
    private let queue: BlockingQueue

    /// - Parameter queue: where the work is done that waits for the disk.
    init(_ url: URL, _ queue: BlockingQueue) {
        self.url = url
        self.queue = queue
    }

    private static let draftSuffix = ".part"

    private func place(of id: UniqueID) -> (folder: URL, file: URL) {
        let folder = url.appendingPathComponent(String(id.text.suffix(2)), isDirectory: true)
        return (folder, folder.appendingPathComponent(id.text, isDirectory: false))
    }

    // MARK: writing

    /// A file that is being written.
    ///
    /// - Throws: 503 where the disk refuses.
    package func draft(of id: UniqueID) async throws -> FileDraft {
        let (folder, file) = place(of: id)
        let path = file.path + Self.draftSuffix
        let descriptor = try await queue.run {
            try Self.make(folder.path)
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw FileFailure(errno) }
            return descriptor
        }
        return FileDraft(descriptor: descriptor, path: path, final: file.path, folder: folder.path, queue)
    }

    // MARK: reading

    /// - Returns: nil where the file is not there.
    package func reader(of id: UniqueID) async throws -> FileReader? {
        let path = place(of: id).file.path
        return try await queue.run { [queue] in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                if errno == ENOENT { return nil }
                throw FileFailure(errno)
            }
            return FileReader(descriptor: descriptor, queue)
        }
    }

    // MARK: removing

    /// A file that is not there is fine.
    package func remove(_ ids: [UniqueID]) async throws {
        let paths = ids.map { place(of: $0).file.path }
        try await queue.run {
            for path in paths where unlink(path) != 0 && errno != ENOENT { throw FileFailure(errno) }
        }
    }

    /// All files that were written before an instant, and the drafts that were begun before it, in pieces.
    func forEachOld(
        before instant: Timestamp,
        _ body: (_ ids: [UniqueID], _ drafts: [String]) async throws -> Void
    ) async throws {
        let url = url
        let folders = try await queue.run { try Self.names(in: url.path) }
        for folder in folders.sorted() {
            let path = url.appendingPathComponent(folder).path
            let names = try await queue.run {
                try Self.names(in: path).filter { Self.isOld("\(path)/\($0)", before: instant) }
            }
            for piece in names.chunks(of: 500) {
                let drafts = piece.filter { $0.hasSuffix(Self.draftSuffix) }.map { "\(path)/\($0)" }
                try await body(piece.compactMap(UniqueID.init), drafts)
            }
        }
    }

    func removeDrafts(_ paths: [String]) async throws {
        try await queue.run { for path in paths { unlink(path) } }
    }

    private static func names(in path: String) throws -> [String] {
        // A folder that is not there has none.
        guard access(path, F_OK) == 0 || errno != ENOENT else { return [] }
        do { return try FileManager.default.contentsOfDirectory(atPath: path) } catch { throw FileFailure(error) }
    }

    /// Makes a folder and those that it stands in. When this returns, they are on the disk.
    private static func make(_ path: String) throws {
        guard access(path, F_OK) != 0 else { return }
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        if parent != path { try make(parent) }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw FileFailure(errno) }
        try Disk.sync(parent)
    }

    private static func isOld(_ path: String, before instant: Timestamp) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        return Int64(status.st_mtim.tv_sec) < instant.microseconds / 1_000_000
    }

    // MARK: the folder as a whole

    /// Removes all of it.
    func removeAll() async throws {
        let path = url.path
        try await queue.run {
            guard FileManager.default.fileExists(atPath: path) else { return }
            do { try FileManager.default.removeItem(atPath: path) } catch { throw FileFailure(error) }
        }
    }

    /// How many files there are, and their bytes.
    func count() async throws -> (count: Int, bytes: Int64) {
        let path = url.path
        return try await queue.run {
            var (count, bytes) = (0, Int64(0))
            for folder in try Self.names(in: path) {
                for name in try Self.names(in: "\(path)/\(folder)") where UniqueID(name) != nil {
                    var status = stat()
                    guard lstat("\(path)/\(folder)/\(name)", &status) == 0 else { throw FileFailure(errno) }
                    count += 1
                    bytes += Int64(status.st_size)
                }
            }
            return (count, bytes)
        }
    }

    /// Copies all files to another folder, which is made; drafts are left out. One that is removed meanwhile is not copied.
    ///
    /// - Parameter isLinked: whether both may be names of the same bytes: they never change.
    /// - Returns: how many there are, and their bytes.
    @discardableResult
    func copy(to other: FileFolder, isLinked: Bool) async throws -> (count: Int, bytes: Int64) {
        let source = url.path
        let target = other.url.path
        return try await queue.run {
            var (count, bytes) = (0, Int64(0))
            for folder in try Self.names(in: source).sorted() {
                let names = try Self.names(in: "\(source)/\(folder)").filter { UniqueID($0) != nil }
                guard !names.isEmpty else { continue }
                try Self.make("\(target)/\(folder)")
                for name in names {
                    guard
                        let size = try Self.copy("\(source)/\(folder)/\(name)", "\(target)/\(folder)/\(name)", isLinked)
                    else { continue }
                    count += 1
                    bytes += size
                }
                try Disk.sync("\(target)/\(folder)")
            }
            return (count, bytes)
        }
    }

    /// - Returns: the bytes; nil where the file is gone.
    private static func copy(_ source: String, _ target: String, _ isLinked: Bool) throws -> Int64? {
        var status = stat()
        guard lstat(source, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw FileFailure(errno)
        }
        // What stands there is of a copy that was broken off.
        unlink(target)
        if isLinked, link(source, target) == 0 { return Int64(status.st_size) }
        let input = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard input >= 0 else {
            if errno == ENOENT { return nil }
            throw FileFailure(errno)
        }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw FileFailure(errno) }
        defer { close(output) }
        var piece = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(input, &piece, piece.count)
            guard count > 0 else {
                if count == 0 { break }
                if errno == EINTR { continue }
                throw FileFailure(errno)
            }
            try Disk.writeAll(piece[..<count], to: output)
        }
        guard fsync(output) == 0 else { throw FileFailure(errno) }
        return Int64(status.st_size)
    }
}
