import CLibpq
import RocketModel
import RocketPlanning

/// One connection of libpq in pipeline mode, never blocking. It lives on the reactor's thread and nowhere else.
final class PostgresSession {
    /// What a batch gave, or why it gave nothing.
    enum Outcome {
        case completed([StatementResult])
        case refused(PostgresError, wasPreparedEarlier: Bool)
        /// Never run, for another one on its way with it was refused.
        case skipped
    }

    /// What has happened since the session was last asked.
    enum Event {
        case connected
        /// The oldest batch on its way has ended.
        case ended(Outcome)
        case notified(String)
        /// The connection is of no use any more; batches on their way are lost.
        case broken(String)
    }

    private enum State {
        case connecting
        case settingUp
        case ready
        case broken
    }

    /// What the server will answer next.
    private enum Expectation {
        case preparation(of: String)
        case result(StatementOutput, text: String, wasPreparedEarlier: Bool)
        /// A result that nobody wants: BEGIN, COMMIT, settings.
        case nothing
        /// The last result of reads that end in a sync with others.
        case readsEnd
        /// What failed before it does not keep what follows from running.
        case sync
        case batchEnd
    }

    let id: SessionID
    let pool: PoolID?
    private let connection: OpaquePointer
    private var state = State.connecting
    private var statements = PreparedStatements()
    /// The names of the batch that is being sent; kept for its memory.
    private var named: [PreparedStatements.Preparation] = []
    private var expectations: [Expectation] = []
    private var expected = 0
    private var results: [StatementResult] = []
    private var refusal: (error: PostgresError, wasPreparedEarlier: Bool)?
    private var needsFlush = false
    /// Whether reads are on their way that no sync ends yet.
    private var needsSync = false
    private var isSkipping = false
    /// When the batch that is on its way is given up for good; nil while there is none.
    var deadline: ContinuousClock.Instant?

    /// Begins to connect.
    ///
    /// - Parameter parameters: with `hostaddr` where `host` is a name: libpq would block to resolve it.
    /// - Throws: ``PostgresError`` where it can't even begin.
    init(id: SessionID, pool: PoolID?, parameters: [(keyword: String, value: String)]) throws(PostgresError) {
        self.id = id
        self.pool = pool
        let pointer = withCStrings(parameters.map(\.keyword)) { keywords in
            withCStrings(parameters.map(\.value)) { values in PQconnectStartParams(keywords, values, 0) }
        }
        guard let pointer else { throw PostgresError(sqlState: "53200", message: "out of memory") }
        connection = pointer
        if PQstatus(pointer) == CONNECTION_BAD {
            let message = Self.lastMessage(pointer)
            PQfinish(pointer)
            throw PostgresError(sqlState: "08001", message: message)
        }
        rocket_silence_notices(pointer)
    }

    /// Ends the connection. The session is not used any more.
    func end() {
        state = .broken
        PQfinish(connection)
    }

    /// -1 where there is none.
    var descriptor: Int32 { PQsocket(connection) }

    /// Whether the socket must be watched for room to write.
    private(set) var wantsToWrite = true

    var isBusy: Bool { expected < expectations.count }

    /// Asks the server to end what runs, from another thread: libpq's cancelling blocks.
    func makeCancel() -> PostgresCancel? {
        PQgetCancel(connection).map(PostgresCancel.init)
    }

    // MARK: the socket

    /// The socket can be read from or written to.
    func proceed(_ events: inout [Event]) {
        switch state {
        case .connecting: proceedConnecting(&events)
        case .settingUp, .ready:
            guard PQconsumeInput(connection) == 1 else { return fail(&events) }
            receive(&events)
            flush(&events)
        case .broken: break
        }
    }

    private func proceedConnecting(_ events: inout [Event]) {
        switch PQconnectPoll(connection) {
        case PGRES_POLLING_READING: wantsToWrite = false
        case PGRES_POLLING_WRITING: wantsToWrite = true
        case PGRES_POLLING_OK:
            guard PQsetnonblocking(connection, 1) == 0, PQenterPipelineMode(connection) == 1 else {
                return fail(&events)
            }
            state = .settingUp
            wantsToWrite = false
            setUp(&events)
        default: fail(&events)
        }
    }

    /// What every connection is told first, so that answers have one form whatever the server's configuration.
    private static let settings = [
        ("timezone", "UTC"), ("datestyle", "ISO, YMD"), ("extra_float_digits", "1"), ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"), ("jit", "off"),
    ]

    /// Milliseconds; set by the owner before the connection is made.
    var statementLimitMilliseconds: Int64 = 0
    var lockLimitMilliseconds: Int64 = 0

    private func setUp(_ events: inout [Event]) {
        let limit = ("statement_timeout", String(statementLimitMilliseconds))
        // A server that vanishes in the middle of a transaction holds its locks no longer than this.
        let idle = ("idle_in_transaction_session_timeout", "300000")
        let lock = ("lock_timeout", String(lockLimitMilliseconds))
        let calls =
            (Self.settings + [limit, idle, lock]).map { "set_config('\($0.0)', '\($0.1)', false)" }
            // An answer of 2xx is on the disk, whatever the default of the database.
            + [
                "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
                    + " ELSE current_setting('synchronous_commit') END, false)"
            ]
        let batch = StatementBatch(
            opening: [SQLStatement("SELECT \(calls.joined(separator: ", "))")],
            isPrepared: false
        )
        send(batch, &events)
    }

    private func fail(_ events: inout [Event]) {
        fail(Self.lastMessage(connection), &events)
    }

    private func fail(_ cause: String, _ events: inout [Event]) {
        guard state != .broken else { return }
        state = .broken
        events.append(.broken(cause))
    }

    /// libpq's last message on one line.
    private static func lastMessage(_ connection: OpaquePointer) -> String {
        let lines = String(cString: PQerrorMessage(connection)).split(whereSeparator: \.isNewline)
        return lines.map { $0.drop { $0 == "\t" } }.joined(separator: "; ")
    }

    // MARK: sending

    /// Puts a batch on its way. It is one transaction by itself unless it, or one before it, has a BEGIN.
    func send(_ batch: StatementBatch, _ events: inout [Event]) {
        guard state != .broken else { return }
        let isSent = batch.isPrepared ? sendPrepared(batch) : sendParsed(batch)
        guard isSent, expectSync(.batchEnd) else { return fail(&events) }
        needsFlush = true
    }

    /// Puts brief reads on their way, in one sync with others that are sent before the next ``flush(_:)``. That is
    /// one system call and one transaction for all of them on either side. Where one is refused, those behind it are
    /// skipped and can be sent again.
    func sendReads(_ batch: StatementBatch, _ events: inout [Event]) {
        guard state != .broken else { return }
        guard sendPrepared(batch) else { return fail(&events) }
        expectations.append(.readsEnd)
        (needsFlush, needsSync) = (true, true)
    }

    /// Sends what was put on its way; what the socket does not take now waits for room in it.
    func flush(_ events: inout [Event]) {
        guard needsFlush, state != .broken, state != .connecting else { return }
        if needsSync, !expectSync(.sync) { return fail(&events) }
        switch PQflush(connection) {
        case 0: (needsFlush, wantsToWrite) = (false, false)
        case 1: wantsToWrite = true
        default: fail(&events)
        }
    }

    private func sendParsed(_ batch: StatementBatch) -> Bool {
        let wanted = batch.wanted
        for (index, statement) in batch.all.enumerated() {
            let isSent = BoundValues.with(statement.binds) { count, values in
                PQsendQueryParams(connection, statement.text, count, nil, values, nil, nil, 0)
            }
            guard isSent == 1 else { return false }
            expectations.append(
                wanted.contains(index)
                    ? .result(statement.output, text: statement.text, wasPreparedEarlier: false) : .nothing
            )
        }
        return true
    }

    private func sendPrepared(_ batch: StatementBatch) -> Bool {
        // All that is missing is prepared first: a batch without BEGIN must not be cut in two.
        named.removeAll(keepingCapacity: true)
        var hasPrepared = false
        statements.beginBatch()
        for name in statements.takeRetired() where !sendForgetting(name) { return false }
        let all = batch.all
        for statement in all {
            let preparation = statements.use(statement.text)
            if let evicted = preparation.evicted, !sendForgetting(evicted) { return false }
            if !preparation.isKnown {
                guard PQsendPrepare(connection, preparation.name, statement.text, 0, nil) == 1 else { return false }
                expectations.append(.preparation(of: statement.text))
                hasPrepared = true
            }
            named.append(preparation)
        }
        if hasPrepared, !expectSync(.sync) { return false }
        let wanted = batch.wanted
        for (index, preparation) in named.enumerated() {
            let statement = all[index]
            let isSent = BoundValues.with(statement.binds) { count, values in
                PQsendQueryPrepared(connection, preparation.name, count, values, nil, nil, 0)
            }
            guard isSent == 1 else { return false }
            expectations.append(
                wanted.contains(index)
                    ? .result(statement.output, text: statement.text, wasPreparedEarlier: preparation.isFromEarlier)
                    : .nothing
            )
        }
        return true
    }

    private func sendForgetting(_ name: String) -> Bool {
        expectations.append(.nothing)
        return PQsendQueryParams(connection, "DEALLOCATE \(name)", 0, nil, nil, nil, nil, 0) == 1
    }

    private func expectSync(_ expectation: Expectation) -> Bool {
        expectations.append(expectation)
        needsSync = false
        return rocket_pipeline_sync(connection) == 1
    }

    // MARK: receiving

    /// Takes the results that are here. Each statement's are followed by a null, a sync's is not.
    private func receive(_ events: inout [Event]) {
        var hasEnded = false
        while state != .broken, PQisBusy(connection) == 0 {
            guard let result = PQgetResult(connection) else {
                // Two in a row: there is nothing more, whatever was expected.
                if hasEnded || expected == expectations.count { break }
                hasEnded = true
                continue
            }
            hasEnded = false
            take(result, &events)
            PQclear(result)
            while expected < expectations.count, case .readsEnd = expectations[expected] {
                advance()
                endReads(&events)
            }
        }
        takeNotifications(&events)
        if PQstatus(connection) == CONNECTION_BAD { fail(&events) }
    }

    private func take(_ result: OpaquePointer, _ events: inout [Event]) {
        guard expected < expectations.count else { return }
        let expectation = expectations[expected]
        let status = PQresultStatus(result)
        switch (expectation, status) {
        case (.batchEnd, PGRES_PIPELINE_SYNC):
            advance()
            endBatch(&events)
        case (.sync, PGRES_PIPELINE_SYNC): advance()
        case (.batchEnd, PGRES_FATAL_ERROR), (.sync, PGRES_FATAL_ERROR):
            // The commit that a sync is can fail, and the sync still follows; or the server ends the connection.
            let error = Self.error(result)
            guard error.remedy(wasPreparedEarlier: false) != .connectionLost else {
                return fail(error.message, &events)
            }
            // Reads and preparations commit nothing, and what follows them is another batch's.
            if case .batchEnd = expectation, refusal == nil { refusal = (error, false) }
        case (.batchEnd, _), (.sync, _), (.readsEnd, _), (_, PGRES_PIPELINE_SYNC):
            fail("the answers do not fit the questions", &events)
        case (.result(let output, _, _), PGRES_TUPLES_OK), (.result(let output, _, _), PGRES_COMMAND_OK):
            advance()
            results.append(ResultReader.read(result, output))
        case (.preparation, PGRES_COMMAND_OK), (.nothing, PGRES_COMMAND_OK), (.nothing, PGRES_TUPLES_OK): advance()
        case (_, PGRES_PIPELINE_ABORTED):
            // What was to be prepared after a failure was not.
            if case .preparation(let text) = expectation { statements.forget(text) }
            isSkipping = true
            advance()
        default:
            advance()
            takeError(Self.error(result), expectation)
        }
    }

    private func takeError(_ error: PostgresError, _ expectation: Expectation) {
        var wasPreparedEarlier = false
        switch expectation {
        case .preparation(let text): statements.forget(text)
        case .result(_, let text, let wasEarlier):
            wasPreparedEarlier = wasEarlier
            if error.sqlState == PostgresError.noSuchStatement {
                statements.forget(text)
            } else if error.remedy(wasPreparedEarlier: wasEarlier) == .prepareAgain {
                statements.retire(text)
            }
        case .nothing, .readsEnd, .sync, .batchEnd: break
        }
        // What follows the first error follows from it.
        if refusal == nil { refusal = (error, wasPreparedEarlier) }
    }

    private func advance() {
        expected += 1
        if expected == expectations.count {
            expectations.removeAll(keepingCapacity: true)
            expected = 0
        } else if expected > 512 {
            expectations.removeFirst(expected)
            expected = 0
        }
    }

    private func endBatch(_ events: inout [Event]) {
        if state == .settingUp {
            if let refusal { return fail(refusal.error.message, &events) }
            state = .ready
            events.append(.connected)
            return
        }
        end(&events)
    }

    private func endReads(_ events: inout [Event]) {
        if isSkipping, refusal == nil {
            results = []
            isSkipping = false
            events.append(.ended(.skipped))
        } else {
            end(&events)
        }
    }

    private func end(_ events: inout [Event]) {
        if let refusal {
            events.append(.ended(.refused(refusal.error, wasPreparedEarlier: refusal.wasPreparedEarlier)))
        } else {
            events.append(.ended(.completed(results)))
        }
        refusal = nil
        isSkipping = false
        results = []
    }

    private static func error(_ result: OpaquePointer) -> PostgresError {
        let field = { (code: Character) -> String in
            guard let value = PQresultErrorField(result, Int32(code.asciiValue ?? 0)) else { return "" }
            return String(cString: value)
        }
        // https://www.postgresql.org/docs/current/libpq-exec.html#LIBPQ-PQRESULTERRORFIELD
        let state = field("C")
        return PostgresError(
            sqlState: state.isEmpty ? "08006" : state,
            message: field("M").isEmpty ? String(cString: PQresultErrorMessage(result)) : field("M"),
            detail: field("D"),
            table: field("t"),
            column: field("c"),
            constraint: field("n")
        )
    }

    private func takeNotifications(_ events: inout [Event]) {
        while let notification = PQnotifies(connection) {
            events.append(.notified(String(cString: notification.pointee.extra)))
            PQfreemem(notification)
        }
    }
}

/// Ends what a connection runs.
///
/// `@unchecked Sendable`: libpq lets any thread cancel with this object (manual, 34.7), and nothing changes it.
struct PostgresCancel: @unchecked Sendable {
    private let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    /// Blocks until the server has taken the request, and frees this object: it is called once.
    func send() {
        var message = [CChar](repeating: 0, count: 256)
        PQcancel(handle, &message, Int32(message.count))
        PQfreeCancel(handle)
    }
}

/// The bound values of a statement as libpq takes them: texts that end in NUL, or null.
private enum BoundValues {
    static func with<Result>(
        _ values: [SQLValue],
        _ body: (Int32, UnsafePointer<UnsafePointer<CChar>?>?) -> Result
    ) -> Result {
        guard !values.isEmpty else { return body(0, nil) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count * 40)
        var offsets: [Int] = []
        offsets.reserveCapacity(values.count)
        for value in values {
            offsets.append(value == .null ? -1 : bytes.count)
            switch value {
            case .null: continue
            case .integer(let whole): append(String(whole), to: &bytes)
            case .double(let double): append(doubleText(double), to: &bytes)
            case .text(let text): append(text, to: &bytes)
            }
            bytes.append(0)
        }
        return bytes.withUnsafeBytes { raw in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: offsets.count) { pointers in
                for (index, offset) in offsets.enumerated() {
                    let start = offset < 0 ? nil : raw.baseAddress?.advanced(by: offset)
                    pointers.initializeElement(at: index, to: start?.assumingMemoryBound(to: CChar.self))
                }
                return body(Int32(offsets.count), UnsafePointer(pointers.baseAddress))
            }
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        text.withUTF8 { bytes.append(contentsOf: $0) }
    }
}

/// Texts as C's list of strings that ends in null.
private func withCStrings<Result>(
    _ texts: [String],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for text in texts {
        offsets.append(bytes.count)
        bytes.append(contentsOf: text.utf8CString)
    }
    return bytes.withUnsafeBufferPointer { buffer in
        var pointers: [UnsafePointer<CChar>?] = offsets.map { offset in buffer.baseAddress.map { $0 + offset } }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { list in
            guard let start = list.baseAddress else { preconditionFailure("a list that ends in null is not empty") }
            return body(start)
        }
    }
}
