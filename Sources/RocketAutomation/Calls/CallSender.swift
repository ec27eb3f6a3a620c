import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
package import RocketEngine
package import RocketModel
import Synchronization

/// Makes calls. A host is resolved here and its addresses are checked; the connection then goes to that address and to
/// none that the name may lead to a moment later. Redirects are not followed.
package final class CallSender: OutsideCaller {
    private struct Place: Hashable {
        let host: String
        let address: String
    }

    private struct Client {
        let client: HTTPClient
        var users: Int
        var lastUse: ContinuousClock.Instant
    }

    private let addresses: CallAddresses
    private let templates: HeaderTemplate
    private let secretBox: SecretBox
    private let now: @Sendable () -> Timestamp
    /// The address is a client's own, so there is one for each.
    private let clients = Mutex<[Place: Client]>([:])

    package init(
        addresses: CallAddresses,
        templates: HeaderTemplate,
        secretBox: SecretBox,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.addresses = addresses
        self.templates = templates
        self.secretBox = secretBox
        self.now = now
    }

    /// Clients that are kept for the next call to the same place.
    private static let maximumIdle = 64
    /// To one host and address.
    private static let maximumConnections = 512
    /// What is kept of an answer.
    private static let maximumAnswer = 64 * 1024

    package func send(_ call: OutgoingCall) async -> CallOutcome {
        do {
            let request = try prepare(call)
            let deadline = NIODeadline.now() + .nanoseconds(Self.nanoseconds(call.timeout))
            let host = Self.host(of: request)
            var outcome = CallOutcome.failed("the host \"\(host)\" has no address")
            let found = await Self.within(call.timeout) { [addresses] in await addresses.lookUp(host) }
            guard let found else { return .failed("no answer in time: the host \"\(host)\" was not found so soon") }
            for address in try found.get().prefix(3) {
                let attempt = await send(
                    request,
                    to: Place(host: host, address: address),
                    deadline,
                    needsAll: call.needsWholeAnswer
                )
                outcome = attempt.outcome
                guard attempt.mayTryElsewhere else { break }
            }
            return outcome
        } catch let refusal as CallAddresses.Refusal {
            return .failed(refusal.message)
        } catch let missing as HeaderTemplate.Missing {
            return .failed("a header names the variable \(missing.name), which is not there or may not be sent")
        } catch is NoAddress {
            return .failed("its url is no address that can be called")
        } catch let unreadable as UnreadableSecret {
            return .failed(unreadable.message)
        } catch {
            return .failed(Self.words(error))
        }
    }

    /// How long a name is looked up that a definition calls; one that takes longer is judged when it is called.
    private static let longestLookUp = Duration.seconds(3)

    package func refusal(of url: String) async -> String? {
        guard addresses.refusesSome else { return nil }
        return await Self.within(Self.longestLookUp) { await self.judged(url) } ?? nil
    }

    /// What `body` gives, or nil where that takes too long, or the caller is cancelled; nobody waits for the rest of it.
    private static func within<Value: Sendable>(
        _ limit: Duration,
        _ body: @escaping @Sendable () async -> Value
    ) async -> Value? {
        let (answers, answer) = AsyncStream<Value>.makeStream(bufferingPolicy: .bufferingOldest(1))
        Task {
            answer.yield(await body())
            answer.finish()
        }
        let timer = Task {
            do { try await Task.sleep(for: limit) } catch { return }
            answer.finish()
        }
        defer { timer.cancel() }
        for await value in answers { return value }
        return nil
    }

    private func judged(_ url: String) async -> String? {
        do {
            return await addresses.refusal(of: Self.host(of: try HTTPClient.Request(url: url)))
        } catch {
            // What is no address of a host is told as such where the definition is read.
            return nil
        }
    }

    /// As the client reads it: what is checked must be what it connects to.
    private static func host(of request: HTTPClient.Request) -> String {
        request.host.filter { $0 != "[" && $0 != "]" }
    }

    private struct UnreadableSecret: Error {
        let message = "the webhook's secret was sealed with another encryption_key: give it a new one"
    }

    private struct NoAddress: Error {}

    private func prepare(_ call: OutgoingCall) throws -> HTTPClient.Request {
        // What was stored before this was checked, or by other hands.
        guard WebhookCall.isAddress(call.call.url) else { throw NoAddress() }
        let hasBody = call.call.method != "GET"
        let body = hasBody ? Array(call.body.utf8) : []
        var request = try HTTPClient.Request(
            url: call.call.url,
            method: .init(rawValue: call.call.method),
            body: hasBody ? .bytes(body) : nil
        )
        for member in call.call.headers.members {
            request.headers.replaceOrAdd(name: member.name, value: try templates.fill(member.value.stringValue ?? ""))
        }
        if hasBody { request.headers.replaceOrAdd(name: "Content-Type", value: "application/json") }
        if !request.headers.contains(name: "User-Agent") { request.headers.add(name: "User-Agent", value: "Rocket") }
        request.headers.replaceOrAdd(name: "Idempotency-Key", value: call.idempotencyKey)
        request.headers.replaceOrAdd(name: "Rocket-Depth", value: String(call.cause.depth + 1))
        if let trace = call.cause.trace {
            request.headers.replaceOrAdd(name: "traceparent", value: trace.traceparent)
            if let state = trace.state { request.headers.replaceOrAdd(name: "tracestate", value: state) }
        }
        let now = now()
        request.headers.replaceOrAdd(name: "webhook-id", value: call.idempotencyKey)
        request.headers.replaceOrAdd(name: "webhook-timestamp", value: String(WebhookSignature.seconds(now)))
        guard let sealed = call.sealedSecret else { return request }
        guard let key = secretBox.open(sealed).flatMap(WebhookSecret.key) else { throw UnreadableSecret() }
        let signature = WebhookSignature.sign(body, id: call.idempotencyKey, at: now, key: key)
        request.headers.replaceOrAdd(name: "webhook-signature", value: signature)
        return request
    }

    private func send(
        _ request: HTTPClient.Request,
        to place: Place,
        _ deadline: NIODeadline,
        needsAll: Bool
    ) async -> (outcome: CallOutcome, mayTryElsewhere: Bool) {
        let client = take(place)
        let result = await Self.exchange(request, client, deadline, needsAll: needsAll)
        await give(place)
        switch result {
        case .success(let answer):
            let retryAfter = answer.head.headers.first(name: "Retry-After").flatMap { Self.seconds($0, now()) }
            let text = Self.text(answer.body)
            return (.answered(status: Int(answer.head.status.code), body: text, retryAfter: retryAfter), false)
        case .failure(let error):
            return (.failed(Self.words(error)), !Self.hasConnected(error) && NIODeadline.now() < deadline)
        }
    }

    private static func hasConnected(_ error: any Error) -> Bool {
        if let error = error as? HTTPClientError { return error != .connectTimeout }
        return !(error is NIOConnectionError || error is ChannelError || error is IOError)
    }

    private static func exchange(
        _ request: HTTPClient.Request,
        _ client: HTTPClient,
        _ deadline: NIODeadline,
        needsAll: Bool
    ) async -> Result<Answer, any Error> {
        let collector = AnswerCollector(atMost: maximumAnswer, needsAll: needsAll)
        let task = client.execute(request: request, delegate: collector, deadline: deadline)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                task.futureResult.whenComplete { result in
                    continuation.resume(returning: result.flatMapError { error in collector.collected(or: error) })
                }
            }
        } onCancel: {
            task.cancel()
        }
    }

    /// As text that both stores take, and within the bound also where what is no UTF-8 was written out.
    private static func text(_ body: [UInt8]) -> String {
        let text = String(decoding: body, as: UTF8.self).replacing("\0", with: "\u{FFFD}")
        guard text.utf8.count > maximumAnswer else { return text }
        return String(decoding: text.utf8.prefix(maximumAnswer - 3), as: UTF8.self)
    }

    /// `Retry-After` (RFC 9110 part 10.2.3): seconds, or a date.
    private static func seconds(_ text: String, _ now: Timestamp) -> Int64? {
        if let seconds = Int64(text), seconds >= 0 { return seconds }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        guard let date = format.date(from: text) else { return nil }
        return max(0, Int64(date.timeIntervalSince1970) - now.microseconds / 1_000_000)
    }

    private static func words(_ error: any Error) -> String {
        let text = "\(error)"
        if let error = error as? HTTPClientError {
            switch error {
            case .deadlineExceeded, .readTimeout, .writeTimeout: return "no answer in time"
            case .connectTimeout: return "no connection in time"
            case .remoteConnectionClosed: return "the connection was closed before the answer"
            default: break
            }
            // It tells the values, which may be of the environment.
            if text.contains("invalidHeaderFieldValues") { return "a header's value has control characters" }
        }
        if error is NIOConnectionError || error is IOError { return "no connection" }
        return String(text.prefix(500)).replacing("\0", with: "")
    }

    private static func nanoseconds(_ duration: Duration) -> Int64 {
        duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000
    }

    // MARK: clients

    private func take(_ place: Place) -> HTTPClient {
        clients.withLock { clients in
            if var known = clients[place] {
                known.users += 1
                known.lastUse = .now
                clients[place] = known
                return known.client
            }
            var configuration = HTTPClient.Configuration(
                redirectConfiguration: .disallow,
                timeout: .init(connect: .seconds(10))
            )
            configuration.dnsOverride = [place.host: place.address]
            // Whoever waits is told at once, and deliveries are tried again anyhow.
            configuration.connectionPool.retryConnectionEstablishment = false
            // Webhooks of one host wait for each other in their lanes alone.
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.maximumConnections
            configuration.httpVersion = .http1Only
            configuration.http1_1ConnectionDebugInitializer = StatusGuard.add
            let client = HTTPClient(
                eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton),
                configuration: configuration
            )
            clients[place] = Client(client: client, users: 1, lastUse: .now)
            return client
        }
    }

    private func give(_ place: Place) async {
        let idle = clients.withLock { clients -> [HTTPClient] in
            clients[place]?.users -= 1
            guard clients.count > Self.maximumIdle else { return [] }
            let unused = clients.filter { $0.value.users == 0 }.sorted { $0.value.lastUse < $1.value.lastUse }
            let surplus = unused.prefix(clients.count - Self.maximumIdle)
            for entry in surplus { clients[entry.key] = nil }
            return surplus.map(\.value.client)
        }
        for client in idle { await Self.shutDown(client) }
    }

    /// Ends all connections; no call is made afterwards.
    package func close() async {
        let all = clients.withLock { clients in
            defer { clients = [:] }
            return clients.values.map(\.client)
        }
        for client in all { await Self.shutDown(client) }
    }

    private static func shutDown(_ client: HTTPClient) async {
        do {
            try await client.shutdown()
        } catch {
            // Calls that still run are cancelled, which is all that was wanted.
        }
    }
}

private struct Answer: Sendable {
    let head: HTTPResponseHead
    let body: [UInt8]
}

/// What comes of an answer, up to a bound. Its status has said what matters: a body that breaks off stays as far as it came.
private final class AnswerCollector: HTTPClientResponseDelegate {
    typealias Response = Answer

    private let bound: Int
    private let needsAll: Bool
    private let answer = Mutex<(head: HTTPResponseHead?, body: [UInt8], isWhole: Bool)>((nil, [], false))

    init(atMost bound: Int, needsAll: Bool) {
        self.bound = bound
        self.needsAll = needsAll
    }

    func didReceiveHead(task: HTTPClient.Task<Response>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        answer.withLock { $0.head = head }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Response>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let isFull = answer.withLock { answer in
            answer.body.append(contentsOf: buffer.readableBytesView.prefix(bound - answer.body.count))
            return answer.body.count >= bound
        }
        return isFull ? task.eventLoop.makeFailedFuture(Full()) : task.eventLoop.makeSucceededVoidFuture()
    }

    private struct Full: Error {}

    func didFinishRequest(task: HTTPClient.Task<Response>) throws -> Response {
        answer.withLock { $0.isWhole = true }
        return try collected(or: HTTPClientError.remoteConnectionClosed).get()
    }

    /// Fails with `error` where not even the status has come, or all of the answer is needed, as far as it is kept.
    func collected(or error: any Error) -> Result<Answer, any Error> {
        answer.withLock { answer in
            guard let head = answer.head, !needsAll || answer.isWhole || answer.body.count >= bound else {
                return .failure(error)
            }
            return .success(Answer(head: head, body: answer.body))
        }
    }
}
