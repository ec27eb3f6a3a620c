import HTTPTypes
import Hummingbird
import NIOCore
import RocketEngine
import RocketModel
import RocketPlanning

/// An upload on its way from the wire to the disk. What is in memory of it is what has just arrived.
struct FileUpload {
    private let files: AppFiles
    private let principal: Principal
    private let maximumBytes: Int
    /// What it may come to, as far as that is known.
    let largestBytes: Int64
    private var parser: MultipartParser
    private var current: Current?
    private var received: Current?

    private struct Current {
        let id: UniqueID
        let draft: FileDraft
        let filename: String
        var size = 0
        var sample: [UInt8] = []
    }

    /// What comes beside the file: boundaries and headers.
    private static let overhead = 64 * 1024

    /// - Throws: 413 for what says beforehand that it is too large, 415 for what is no form.
    init(_ call: Call, _ files: AppFiles, _ principal: Principal) throws(RequestFailure) {
        self.files = files
        self.principal = principal
        maximumBytes = call.services.settings.maximumFileBytes
        let type = call.headers[.contentType] ?? ""
        guard let boundary = HeaderParameters.read(type, kind: "multipart/form-data")?["boundary"],
            (1...70).contains(boundary.utf8.count), boundary.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else {
            let got = type.isEmpty ? "no Content-Type" : "\"\(type.prefix(80))\""
            throw RequestFailure(
                .unsupportedMediaType,
                "A file is sent as multipart/form-data with a boundary, in a part called \"file\"; got \(got)"
            )
        }
        if let coding = call.headers[.contentEncoding], coding.lowercased() != "identity" {
            throw RequestFailure(.unsupportedMediaType, "A file is sent as it is, without Content-Encoding")
        }
        parser = MultipartParser(boundary: boundary)
        let length = call.announcedBytes
        largestBytes = Int64(min(length ?? maximumBytes, maximumBytes))
        if let length, length > maximumBytes + Self.overhead { throw tooLarge }
    }

    private var tooLarge: RequestFailure {
        RequestFailure(.payloadTooLarge, "A file has at most \(maximumBytes) bytes (files.max_bytes)")
    }

    /// - Throws: 400 for a body that is no form, or did not arrive whole; 413; 422 for a form without a file or with
    ///   more than one.
    mutating func receive(_ body: RequestBody) async throws -> StoredFile {
        do {
            try await take(body)
        } catch {
            await current?.draft.abandon()
            await received?.draft.abandon()
            throw error
        }
        guard let file = received else { throw RequestFailure(.internalError, "an upload has no file") }
        return try await files.keep(
            file.draft,
            id: file.id,
            filename: file.filename,
            size: Int64(file.size),
            sample: file.sample,
            by: principal
        )
    }

    private mutating func take(_ body: RequestBody) async throws {
        var hasEnded = false
        var total = 0
        var iterator = body.makeAsyncIterator()
        while true {
            let arrived: ByteBuffer?
            do {
                arrived = try await iterator.next()
            } catch {
                // The client broke off, or framed its body wrongly; nothing of ours is at fault.
                throw RequestFailure(.invalidPayload, "The body did not arrive whole")
            }
            guard let buffer = arrived else { break }
            total += buffer.readableBytes
            guard total <= maximumBytes + Self.overhead else { throw tooLarge }
            parser.append(Array(buffer.readableBytesView))
            hasEnded = try await takeEvents() || hasEnded
        }
        guard hasEnded else {
            throw RequestFailure(.invalidPayload, "The form has no end: its last boundary did not arrive")
        }
        guard received != nil else {
            throw RequestFailure.validation([
                FailureDetail(field: "file", rule: .required, message: "is required: a part with a file name")
            ])
        }
    }

    /// - Returns: whether the form has come to its end.
    private mutating func takeEvents() async throws -> Bool {
        while true {
            let event: MultipartParser.Event?
            do throws(MultipartParser.Malformed) {
                event = try parser.next()
            } catch {
                throw RequestFailure(.invalidPayload, "The body is not multipart/form-data: \(error.reason)")
            }
            switch event {
            case nil: return false
            case .end: return true
            case .part(let headers): try await begin(headers)
            case .content(let bytes): try await write(bytes)
            case .partEnd:
                if let file = current {
                    received = file
                    current = nil
                }
            }
        }
    }

    private mutating func begin(_ headers: MultipartHeaders) async throws {
        guard headers.name == "file", let filename = headers.filename, received == nil else {
            // Nothing that may still come makes it right.
            let message = "the form takes one part, called \"file\", with a file name"
            throw RequestFailure.validation([
                FailureDetail(field: String(headers.name.prefix(100)), rule: .unknown, message: message)
            ])
        }
        let id = files.newID()
        current = Current(id: id, draft: try await files.draft(of: id), filename: filename)
    }

    private mutating func write(_ bytes: [UInt8]) async throws {
        guard var file = current else { return }
        file.size += bytes.count
        guard file.size <= maximumBytes else { throw tooLarge }
        let missing = FileType.sampleBytes - file.sample.count
        if missing > 0 { file.sample += bytes.prefix(missing) }
        current = file
        try await file.draft.write(bytes)
    }
}
