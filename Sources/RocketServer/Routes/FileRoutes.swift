import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import RocketEngine
import RocketModel
import RocketPlanning

/// Uploaded files.
enum FileRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.post, "/api/:app/_files/upload", .app, upload)
        table.add(.get, "/api/:app/_files", .appAdmin, list)
        table.add(.get, "/api/:app/_files/:id", .appOrAnonymous, download)
        table.add(.delete, "/api/:app/_files/:id", .app, delete)
    }

    private static func files(_ call: Call) throws(RequestFailure) -> AppFiles {
        AppFiles(try call.requireApp(), call.services.dependencies)
    }

    /// `multipart/form-data` with one part called `file`.
    @Sendable private static func upload(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let (files, principal) = (try files(call), try call.requirePrincipal())
        var upload = try FileUpload(call, files, principal)
        let user = "\(try call.requireApp().name) \(principal.userID)"
        try call.services.uploads.take(for: user)
        defer { call.services.uploads.giveBack(of: user) }
        let reserved = try await files.reserve(
            upload.largestBytes,
            for: principal,
            ofBytesPerDay: call.services.settings.fileBytesPerDay
        )
        let file: StoredFile
        do {
            file = try await upload.receive(call.request.body)
        } catch {
            try await files.settle(reserved, used: 0)
            throw error
        }
        try await files.settle(reserved, used: file.size)
        let location = "/api/\(try call.requireApp().name)/_files/\(file.id.text)"
        return Reply(.created, headers: [.location: location], data: .object(file.json))
    }

    @Sendable private static func list(_ call: Call) async throws -> Reply {
        let place = try PageRequest(try call.query().values(of: PageRequest.parameterNames))
        let found = try await files(call).page(place)
        return Reply(
            data: .array(
                found.files.map { file in
                    var object = file.json
                    object["uploaded_by"] = .string(file.owner)
                    return .object(object)
                }
            ),
            meta: [
                "page": .integer(place.page), "per_page": .integer(place.perPage), "total": .integer(found.total),
            ]
        )
    }

    @Sendable private static func delete(_ call: Call) async throws -> Reply {
        try call.refuseParameters()
        let id = try call.parameter("id")
        try await files(call).remove(id, for: try call.access(to: try call.requireApp()))
        return Reply(data: ["id": .string(id)])
    }

    /// `?download=true` makes browsers save it, whatever it is.
    @Sendable private static func download(_ call: Call) async throws -> Reply {
        let isSaved = try call.flag("download")
        let files = try files(call)
        let file = try await files.file(try call.parameter("id"), for: try call.access(to: try call.requireApp()))
        // The bytes of an id never change.
        let tag = "\"\(file.id.text)\""
        var headers: HTTPFields = [.eTag: tag, .acceptRanges: "bytes"]
        if names(tag, in: call.headers[.ifNoneMatch]) {
            return Reply(.notModified, headers: headers, body: ByteBuffer())
        }
        headers[.contentType] = file.mimeType == "text/plain" ? "text/plain; charset=utf-8" : file.mimeType
        headers[.contentDisposition] = ContentDisposition.header(
            file.filename,
            isShown: !isSaved && FileType.isShownInline(file.mimeType)
        )
        // Whatever it is, it runs nothing in the name of this origin.
        headers[.contentSecurityPolicy] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        // Ranges are GET's alone (RFC 9110 part 14.2).
        let isOfThisVersion = call.request.method == .get && (call.headers[.ifRange].map { $0 == tag } ?? true)
        let bytes: Range<Int64>
        var status = HTTPResponse.Status.ok
        switch isOfThisVersion ? ByteRange(call.headers[.range], size: file.size) : .all {
        case .all: bytes = 0..<file.size
        case .part(let range):
            status = .partialContent
            headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound)/\(file.size)"
            bytes = range.lowerBound..<range.upperBound + 1
        case .unsatisfiable:
            var reply = Reply(RequestFailure(.invalidParameter, "The file has \(file.size) bytes"))
            reply.status = .rangeNotSatisfiable
            reply.headers[.contentRange] = "bytes */\(file.size)"
            return reply
        }
        guard let reader = try await files.reader(of: file) else {
            throw RequestFailure(.notFound, "The bytes of this file are gone from the disk")
        }
        return Reply(status, headers: headers, stream: stream(bytes, of: reader))
    }

    private static let pieceBytes: Int64 = 128 * 1024

    /// A piece at a time, each when the one before is on its way.
    private static func stream(_ bytes: Range<Int64>, of reader: FileReader) -> ResponseBody {
        ResponseBody(contentLength: Int(bytes.count)) { writer in
            var offset = bytes.lowerBound
            while offset < bytes.upperBound {
                let count = Int(min(pieceBytes, bytes.upperBound - offset))
                let piece = try await reader.read(count, at: offset)
                // A file that is shorter than its row says ends the connection: an answer must not end whole.
                guard !piece.isEmpty else { throw FileIsCut() }
                try await writer.write(ByteBuffer(bytes: piece))
                offset += Int64(piece.count)
            }
            try await writer.finish(nil)
        }
    }

    private struct FileIsCut: Error {}

    /// `If-None-Match` (RFC 9110 part 13.1.2), which compares weakly.
    private static func names(_ tag: String, in header: String?) -> Bool {
        guard let header else { return false }
        let tags = header.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" } }
        return ["*", tag, "W/\(tag)"].contains(where: tags.contains)
    }
}

extension StoredFile {
    fileprivate var json: JSONObject {
        [
            "id": .string(id.text), "filename": .string(filename), "size": .integer(size),
            "mime_type": .string(mimeType), "created_at": .string(createdAt.rfc3339),
        ]
    }
}
