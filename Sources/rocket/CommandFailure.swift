/// A failure that a person can act on: one line, and an exit code (sysexits(3)).
struct CommandFailure: Error, CustomStringConvertible {
    enum ExitStatus: Int32 {
        case failure = 1
        /// EX_DATAERR: a bad file.
        case badData = 65
        /// EX_UNAVAILABLE: a port in use, a database that is not there.
        case unavailable = 69
        /// EX_CONFIG.
        case configuration = 78
    }

    let description: String
    let status: ExitStatus

    init(_ description: String, _ status: ExitStatus = .failure) {
        self.description = description
        self.status = status
    }
}

func firstLine(_ text: String) -> String {
    String(text.prefix { $0 != "\n" })
}
