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
            guard descriptor >= 0 else { throw Self.failure(errno) }
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
                throw Self.failure(errno)
            }
            return FileReader(descriptor: descriptor, queue)
        }
    }

    // MARK: removing

    /// A file that is not there is fine.
    package func remove(_ ids: [UniqueID]) async throws {
        let paths = ids.map { place(of: $0).file.path }
        try await queue.run {
            for path in paths where unlink(path) != 0 && errno != ENOENT { throw Self.failure(errno) }
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
        do { return try FileManager.default.contentsOfDirectory(atPath: path) } catch { throw failure(error) }
    }

    /// Makes a folder and those that it stands in. When this returns, they are on the disk.
    private static func make(_ path: String) throws {
        guard access(path, F_OK) != 0 else { return }
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        if parent != path { try make(parent) }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure(errno) }
        try sync(parent)
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
            do { try FileManager.default.removeItem(atPath: path) } catch { throw Self.failure(error) }
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
                    guard lstat("\(path)/\(folder)/\(name)", &status) == 0 else { throw Self.failure(errno) }
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
                try Self.sync("\(target)/\(folder)")
            }
            return (count, bytes)
        }
    }

    /// - Returns: the bytes; nil where the file is gone.
    private static func copy(_ source: String, _ target: String, _ isLinked: Bool) throws -> Int64? {
        var status = stat()
        guard lstat(source, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw failure(errno)
        }
        // What stands there is of a copy that was broken off.
        unlink(target)
        if isLinked, link(source, target) == 0 { return Int64(status.st_size) }
        let input = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard input >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(errno)
        }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw failure(errno) }
        defer { close(output) }
        var piece = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(input, &piece, piece.count)
            guard count > 0 else {
                if count == 0 { break }
                if errno == EINTR { continue }
                throw failure(errno)
            }
            try writeAll(piece[..<count], to: output)
        }
        guard fsync(output) == 0 else { throw failure(errno) }
        return Int64(status.st_size)
    }

    // MARK: the system

    fileprivate static func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw failure(errno)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// fsync(2), which takes a folder as well as a file.
    fileprivate static func sync(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure(errno) }
    }

    fileprivate static func failure(_ code: Int32) -> FileFailure {
        FileFailure(cause: String(cString: strerror(code)))
    }

    private static func failure(_ error: any Error) -> FileFailure {
        FileFailure(cause: error.localizedDescription)
    }
}

/// What the disk under the files did not do.
struct FileFailure: Error, CustomStringConvertible {
    let cause: String

    var description: String { "files: \(cause)" }
}

/// A file that is being written by one task. Whoever has it must finish or abandon it, and do nothing more with it then.
package struct FileDraft: Sendable {
    private let descriptor: Int32
    private let path: String
    private let final: String
    private let folder: String
    private let queue: BlockingQueue

    fileprivate init(descriptor: Int32, path: String, final: String, folder: String, _ queue: BlockingQueue) {
        self.descriptor = descriptor
        self.path = path
        self.final = final
        self.folder = folder
        self.queue = queue
    }

    /// - Throws: 503 where the disk refuses, as when it is full.
    package func write(_ bytes: [UInt8]) async throws {
        try await queue.run { [descriptor] in try FileFolder.writeAll(bytes[...], to: descriptor) }
    }

    /// When this returns, the file is on the disk under its own name; when it throws, what was written is gone.
    func finish() async throws {
        try await queue.run { [self] in
            let isWritten = fsync(descriptor) == 0
            let problem = errno
            close(descriptor)
            guard isWritten else {
                unlink(path)
                throw FileFolder.failure(problem)
            }
            guard rename(path, final) == 0 else { throw FileFolder.failure(errno) }
            try FileFolder.sync(folder)
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

/// A file that is open for reading. It stays readable though it is removed meanwhile.
package final class FileReader: Sendable {
    private let descriptor: Int32
    private let queue: BlockingQueue

    fileprivate init(descriptor: Int32, _ queue: BlockingQueue) {
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
                    guard errno == EINTR else { throw FileFolder.failure(errno) }
                }
            }
        }
    }
}
