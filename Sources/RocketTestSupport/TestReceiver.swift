import Foundation
import NIOCore
import NIOPosix
import RocketModel
import Synchronization

/// A server on loopback that notes what it is sent and answers as a test says.
package final class TestReceiver: Sendable {
    package struct Received: Sendable {
        package let method: String
        package let path: String
        /// By lower-case name.
        package let headers: [String: String]
        package let body: String

        package var json: TestJSON { TestJSON((try? JSONParser.parse(body)) ?? .null) }
    }

    package enum Reaction: Sendable {
        case answer(Int, headers: [String: String] = [:], body: String = "")
        /// Answers after some milliseconds.
        case late(Int64, Int)
        /// Never answers.
        case hang
        /// Closes the connection without an answer.
        case reset
        /// Begins an answer and does not end it.
        case stall(Int)
    }

    private struct State {
        var received: [Received] = []
        var reactions: [Reaction] = []
    }

    private let state = Mutex(State())
    private let channel = Mutex<(any Channel)?>(nil)

    /// Runs a test beside a receiver.
    package static func run(_ test: (TestReceiver) async throws -> Void) async throws {
        let receiver = TestReceiver()
        let bound = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(receiver))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        receiver.channel.withLock { $0 = bound }
        do {
            try await test(receiver)
        } catch {
            try await bound.close()
            throw error
        }
        try await bound.close()
    }

    package var url: String {
        "http://127.0.0.1:\(channel.withLock { $0?.localAddress?.port } ?? 0)"
    }

    package var received: [Received] { state.withLock { $0.received } }

    /// What comes next, one for each request; 200 when they are used up.
    package func react(_ reactions: [Reaction]) {
        state.withLock { $0.reactions += reactions }
    }

    fileprivate func take(_ request: Received) -> Reaction {
        state.withLock { state in
            state.received.append(request)
            return state.reactions.isEmpty ? .answer(200) : state.reactions.removeFirst()
        }
    }

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let receiver: TestReceiver
        private var bytes: [UInt8] = []

        init(_ receiver: TestReceiver) {
            self.receiver = receiver
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes.append(contentsOf: unwrapInboundIn(data).readableBytesView)
            while let request = next() {
                switch receiver.take(request) {
                case .answer(let status, let headers, let body):
                    let lines = headers.map { "\($0.key): \($0.value)\r\n" }.joined()
                    write("HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\(lines)\r\n\(body)", context)
                case .late(let milliseconds, let status):
                    let channel = context.channel
                    context.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) {
                        let text = "HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n"
                        channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                    }
                case .hang: break
                case .reset: context.close(promise: nil)
                case .stall(let status): write("HTTP/1.1 \(status) X\r\nContent-Length: 100\r\n\r\nbegun", context)
                }
            }
        }

        private func write(_ text: String, _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        private func next() -> Received? {
            let text = String(decoding: bytes, as: UTF8.self)
            guard let end = text.range(of: "\r\n\r\n") else { return nil }
            let lines = text[..<end.lowerBound].split(separator: "\r\n").map(String.init)
            let start = lines[0].split(separator: " ").map(String.init)
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1).map { String($0) }
                if parts.count == 2 { headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces) }
            }
            let length = Int(headers["content-length"] ?? "0") ?? 0
            let headLength = text[..<end.upperBound].utf8.count
            guard bytes.count >= headLength + length else { return nil }
            let body = String(decoding: bytes[headLength..<headLength + length], as: UTF8.self)
            bytes.removeFirst(headLength + length)
            return Received(method: start[0], path: start[1], headers: headers, body: body)
        }
    }
}
