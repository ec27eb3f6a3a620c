import Crypto
import Foundation
import RocketDatabase
import RocketModel

/// A backup on the disk: a folder with `manifest.json` and a file for each app in `apps/`. It is written under another
/// name and gets its own when all of it is on the disk, so that a folder which is there is whole.
struct BackupFolder: Sendable {
    let url: URL
    private let files = BlockingQueue("rocket.backup")

    init(path: String) {
        url = URL(fileURLWithPath: path, isDirectory: true)
    }

    static let version = 1

    private var manifestURL: URL { url.appendingPathComponent("manifest.json") }

    func file(of app: String) -> URL {
        // The name of an app has no dots and no slashes.
        url.appendingPathComponent("apps").appendingPathComponent("\(app).copy")
    }

    /// Where the uploaded files of an app are, beside its copy.
    static func files(beside path: String) -> URL {
        URL(fileURLWithPath: path).deletingPathExtension().appendingPathExtension("files")
    }

    // MARK: writing

    /// - Parameter chance: makes the name of the draft one that nobody else has.
    /// - Returns: where the folder is while it is written.
    /// - Throws: 409 where something is at its place already.
    func begin(_ chance: [UInt8]) async throws -> BackupFolder {
        let path = url.path
        let mark = chance.hexadecimal
        let draft = BackupFolder(path: "\(path).partial-\(mark)")
        try await files.run {
            guard !FileManager.default.fileExists(atPath: path) else {
                throw RequestFailure(.conflict, "\(path) is there already; name a folder that is not")
            }
            do {
                try FileManager.default.createDirectory(
                    at: draft.url.appendingPathComponent("apps"),
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700]
                )
            } catch {
                throw Self.failure(draft.url.path, error)
            }
        }
        return draft
    }

    /// Writes the manifest and gives the folder its name.
    func finish(_ manifest: JSONObject, as final: BackupFolder) async throws {
        let (manifestURL, url) = (manifestURL, url)
        try await files.run {
            do {
                try Data((JSONValue.object(manifest).jsonText + "\n").utf8).write(to: manifestURL)
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: manifestURL.path)
                for item in [manifestURL, url.appendingPathComponent("apps"), url] { try Disk.sync(item.path) }
                try FileManager.default.moveItem(at: url, to: final.url)
                try Disk.sync(final.url.deletingLastPathComponent().path)
            } catch {
                throw Self.failure(final.url.path, error)
            }
        }
    }

    /// Removes what was written, where it was begun here.
    func remove() async { await remove(url) }

    /// A copy that failed, with what its store has left beside it.
    func removeFile(of app: String) async {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            await remove(URL(fileURLWithPath: file(of: app).path + suffix))
        }
        await remove(Self.files(beside: file(of: app).path))
    }

    private func remove(_ url: URL) async {
        do {
            try await files.run { try FileManager.default.removeItem(at: url) }
        } catch {
            // Its name says that it is a part of a copy, and whoever keeps the disk may remove it.
            return
        }
    }

    // MARK: reading

    /// - Throws: 422 for a folder that is no backup.
    func manifest() async throws -> JSONObject {
        let (url, path) = (manifestURL, url.path)
        let data = try await files.run { FileManager.default.contents(atPath: url.path) }
        guard let data else {
            throw RequestFailure.validation([FailureDetail(field: "folder", message: "\(path) is no backup")])
        }
        let manifest: JSONObject
        do throws(JSONSyntaxError) {
            manifest = try JSONParser.parse([UInt8](data)).objectValue ?? JSONObject()
        } catch {
            let message = "the manifest of \(path) is damaged: \(error)"
            throw RequestFailure.validation([FailureDetail(field: "folder", message: message)])
        }
        guard manifest["rocket_backup"] == .integer(Self.version) else {
            let message = "\(path) is no backup of version \(Self.version)"
            throw RequestFailure.validation([FailureDetail(field: "folder", message: message)])
        }
        return manifest
    }

    /// The length and the SHA-256 of an app's file.
    func digest(of app: String) async throws -> (bytes: Int, sha256: String) {
        let url = file(of: app)
        return try await files.run {
            // What is no plain file may never end.
            let attributes = try? FileManager.default.attributesOfItem(atPath: url.path)
            guard attributes?[.type] as? FileAttributeType == .typeRegular,
                let handle = FileHandle(forReadingAtPath: url.path)
            else {
                let message = "\(url.path) is not there, or no file"
                throw RequestFailure.validation([FailureDetail(field: "folder", message: message)])
            }
            defer { try? handle.close() }
            var hash = SHA256()
            var count = 0
            do {
                while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
                    hash.update(data: piece)
                    count += piece.count
                }
            } catch {
                throw Self.failure(url.path, error)
            }
            return (count, hash.finalize().hexadecimal)
        }
    }

    private static func failure(_ path: String, _ error: any Error) -> RequestFailure {
        RequestFailure(.unavailable, "\(path): \(FileFailure(error).cause)")
    }
}
