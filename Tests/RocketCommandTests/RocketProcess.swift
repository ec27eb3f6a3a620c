import Foundation
import RocketTestSupport
import Synchronization

/// The built program, run as a person or an init system runs it.
struct RocketProcess {
    struct Result {
        let status: Int32
        let output: String
        let errors: String
    }

    /// The program stands beside the tests.
    private static var executable: URL {
        get throws {
            let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("rocket")
        }
    }

    private static func process(_ arguments: [String], _ environment: [String: String], in directory: URL) throws
        -> Process
    {
        let process = Process()
        process.executableURL = try executable
        process.arguments = arguments
        process.currentDirectoryURL = directory
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let cheap = ["PATH": path, "ROCKET_AUTH_BCRYPT_COST": "4"]
        process.environment = cheap.merging(environment) { _, given in given }
        return process
    }

    /// Runs a command to its end.
    static func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String = "",
        in directory: URL
    ) async throws -> Result {
        let process = try process(arguments, environment, in: directory)
        let (output, errors, standardInput) = (Pipe(), Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = standardInput
        try process.run()
        standardInput.fileHandleForWriting.write(Data(input.utf8))
        try standardInput.fileHandleForWriting.close()
        // What should have ended and has not is a failure, not a hang.
        let watchdog = Task {
            try await Task.sleep(for: .seconds(60))
            kill(process.processIdentifier, SIGKILL)
        }
        defer { watchdog.cancel() }
        return try await onThread {
            let outputData = output.fileHandleForReading.readDataToEndOfFile()
            let errorData = errors.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return Result(
                status: process.terminationStatus,
                output: String(decoding: outputData, as: UTF8.self),
                errors: String(decoding: errorData, as: UTF8.self)
            )
        }
    }

    // MARK: a server

    private let process: Process
    private let log: Log

    /// The most that it has had, in megabytes.
    var peakMemory: Int {
        get throws {
            let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
            return status.firstMatch(of: #/VmHWM:\s+([0-9]+)/#).flatMap { Int($0.1) }.map { $0 / 1024 } ?? 0
        }
    }

    private final class Log: Sendable {
        private let text = Mutex("")

        var value: String { text.withLock { $0 } }
        func append(_ data: Data) { text.withLock { $0 += String(decoding: data, as: UTF8.self) } }
    }

    /// Starts `serve` on a free port, and waits until it listens.
    ///
    /// - Parameter namesDirectory: false where the environment says where the data is.
    static func serve(
        _ directory: URL,
        environment: [String: String] = [:],
        namesDirectory: Bool = true
    ) async throws -> RocketProcess {
        let arguments = ["serve", "--port", "0"] + (namesDirectory ? ["--data-dir", directory.path] : [])
        let process = try process(arguments, environment, in: directory)
        let errors = Pipe()
        process.standardError = errors
        let log = Log()
        errors.fileHandleForReading.readabilityHandler = { log.append($0.availableData) }
        try process.run()
        let server = RocketProcess(process: process, log: log)
        for _ in 0..<1000 {
            if log.value.contains("listening on") { return server }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TestFailure("the server did not come up: \(log.value)")
    }

    var logText: String { log.value }

    var port: UInt16 {
        let text = log.value
        return text.firstMatch(of: #/listening on http://127\.0\.0\.1:([0-9]+)/#).flatMap { UInt16($0.1) } ?? 0
    }

    func send(_ signal: Int32) {
        kill(process.processIdentifier, signal)
    }

    func waitForEnd() async throws -> Int32 {
        let process = process
        return try await Self.onThread {
            process.waitUntilExit()
            return process.terminationStatus
        }
    }

    /// Waiting for a process blocks, and the threads of tasks are few.
    static func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Swift.Result(catching: work)) }
        }
    }
}

/// A client that takes its time: a connection with a small window, read piece by piece.
struct SlowReader: Sendable {
    private let descriptor: Int32

    init(port: UInt16, _ request: String) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var size: Int32 = 32_768
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        let bytes = Array(request.utf8)
        guard connected == 0, write(descriptor, bytes, bytes.count) == bytes.count else {
            throw TestFailure("can't connect to \(port)")
        }
    }

    private final class Bytes: Sendable {
        let all = Mutex<[UInt8]>([])
    }

    private let bytes = Bytes()

    /// - Returns: all that has been read by now.
    func read(atLeast count: Int) async throws -> [UInt8] {
        try await RocketProcess.onThread { [descriptor, bytes] in
            var piece = [UInt8](repeating: 0, count: 65_536)
            while bytes.all.withLock({ $0.count }) < count {
                let got = Foundation.read(descriptor, &piece, piece.count)
                guard got > 0 else { break }
                bytes.all.withLock { $0 += piece[..<got] }
            }
            return bytes.all.withLock { $0 }
        }
    }

    /// Sends on and on until the server ends the connection.
    ///
    /// - Returns: whether it did before this many bytes.
    func flood(upTo maximum: Int) async throws -> Bool {
        try await RocketProcess.onThread { [descriptor] in
            let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 65_536)
            var sent = 0
            while sent < maximum {
                let taken = send(descriptor, piece, piece.count, Int32(MSG_NOSIGNAL))
                guard taken > 0 else { return true }
                sent += taken
            }
            return false
        }
    }

    /// Leaves without a word.
    func end() {
        close(descriptor)
    }

    func readToEnd() async throws -> [UInt8] {
        let all = try await read(atLeast: .max)
        close(descriptor)
        return all
    }
}
