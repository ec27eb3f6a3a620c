import Foundation
import RocketTestSupport

/// Programs that others have written, of the Python Package Index, which `scripts/setup.sh --test` installs.
enum PythonProgram {
    /// - Returns: the lines that it prints.
    static func run(_ program: String, input: String) throws -> [String] {
        let python = TestFiles.root.appendingPathComponent(".build/python/bin/python")
        let directory = try TemporaryDirectory()
        defer { try? directory.remove() }
        let (source, output) = (
            directory.url.appendingPathComponent("in"), directory.url.appendingPathComponent("out")
        )
        try input.write(to: source, atomically: true, encoding: .utf8)
        try Data().write(to: output)
        let process = Process()
        process.executableURL = python
        process.arguments = ["-c", program]
        process.standardInput = try FileHandle(forReadingFrom: source)
        process.standardOutput = try FileHandle(forWritingTo: output)
        do { try process.run() } catch {
            throw TestFailure("\(python.path) is not there: scripts/setup.sh --test installs it")
        }
        process.waitUntilExit()
        let text = try String(contentsOf: output, encoding: .utf8)
        guard process.terminationStatus == 0 else { throw TestFailure("the program failed: \(text)") }
        return text.split(separator: "\n").map(String.init)
    }
}
