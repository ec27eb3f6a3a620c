#if os(Linux)
    import CEpoll
    import Glibc

    /// Watches sockets for one thread: epoll(7), and an eventfd(2) by which others wake it.
    final class SocketWatch {
        private let epoll: Int32
        private let wakeUp: WakeUp
        private var events = [epoll_event](repeating: epoll_event(), count: 256)
        private static let wakeUpToken = UInt64(1) << 63

        /// - Throws: ``DatabaseFailure/unavailable(cause:)`` where the process has no descriptors left.
        init(_ wakeUp: WakeUp) throws(DatabaseFailure) {
            self.wakeUp = wakeUp
            epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
            guard epoll >= 0 else { throw DatabaseFailure.unavailable(cause: "epoll_create1: \(errorText(errno))") }
            var event = epoll_event()
            event.events = EPOLLIN.rawValue
            event.data.u64 = Self.wakeUpToken
            epoll_ctl(epoll, EPOLL_CTL_ADD, wakeUp.descriptor, &event)
        }

        deinit {
            close(epoll)
        }

        /// Watches a socket, anew where it is watched already: libpq may have made another one of the same number.
        func watch(_ descriptor: Int32, token: Int, toWrite: Bool) {
            guard descriptor >= 0 else { return }
            var event = epoll_event()
            event.events = EPOLLIN.rawValue | (toWrite ? EPOLLOUT.rawValue : 0)
            event.data.u64 = UInt64(bitPattern: Int64(token))
            if epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) != 0 {
                epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
            }
        }

        /// Closing a socket ends its watch too; this is for one that stays open a little longer.
        func forget(_ descriptor: Int32) {
            guard descriptor >= 0 else { return }
            var event = epoll_event()
            epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
        }

        /// Waits for sockets to be ready or for a wake-up, and calls `body` with the token of each socket.
        func wait(milliseconds: Int32, _ body: (Int) -> Void) {
            let count = epoll_wait(epoll, &events, Int32(events.count), milliseconds)
            guard count > 0 else { return }
            for event in events[..<Int(count)] {
                if event.data.u64 == Self.wakeUpToken {
                    wakeUp.clear()
                } else {
                    body(Int(Int64(bitPattern: event.data.u64)))
                }
            }
        }
    }

    /// Wakes a thread that waits in a ``SocketWatch``.
    final class WakeUp: Sendable {
        let descriptor: Int32

        init() throws(DatabaseFailure) {
            descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
            guard descriptor >= 0 else { throw DatabaseFailure.unavailable(cause: "eventfd: \(errorText(errno))") }
        }

        deinit {
            close(descriptor)
        }

        func signal() {
            var one: UInt64 = 1
            // It fails only where the count is at its end, and then the thread is awake.
            _ = write(descriptor, &one, 8)
        }

        fileprivate func clear() {
            var count: UInt64 = 0
            _ = read(descriptor, &count, 8)
        }
    }
#else
    import Darwin

    /// Watches sockets for one thread: poll(2), and a pipe by which others wake it.
    final class SocketWatch {
        private let wakeUp: WakeUp
        private var watched: [Int32: (token: Int, toWrite: Bool)] = [:]

        init(_ wakeUp: WakeUp) throws(DatabaseFailure) {
            self.wakeUp = wakeUp
        }

        func watch(_ descriptor: Int32, token: Int, toWrite: Bool) {
            if descriptor >= 0 { watched[descriptor] = (token, toWrite) }
        }

        func forget(_ descriptor: Int32) {
            watched[descriptor] = nil
        }

        func wait(milliseconds: Int32, _ body: (Int) -> Void) {
            var list = [pollfd(fd: wakeUp.descriptor, events: Int16(POLLIN), revents: 0)]
            for (descriptor, state) in watched {
                list.append(
                    pollfd(fd: descriptor, events: Int16(POLLIN | (state.toWrite ? POLLOUT : 0)), revents: 0)
                )
            }
            guard poll(&list, nfds_t(list.count), milliseconds) > 0 else { return }
            if list[0].revents != 0 { wakeUp.clear() }
            for entry in list.dropFirst() where entry.revents != 0 {
                if let state = watched[entry.fd] { body(state.token) }
            }
        }
    }

    /// Wakes a thread that waits in a ``SocketWatch``.
    final class WakeUp: Sendable {
        let descriptor: Int32
        private let writer: Int32

        init() throws(DatabaseFailure) {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw DatabaseFailure.unavailable(cause: "pipe: \(errorText(errno))") }
            (descriptor, writer) = (ends[0], ends[1])
            for end in ends {
                _ = fcntl(end, F_SETFL, O_NONBLOCK)
                _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            }
        }

        deinit {
            close(descriptor)
            close(writer)
        }

        func signal() {
            var one: UInt8 = 1
            _ = write(writer, &one, 1)
        }

        fileprivate func clear() {
            var bytes = [UInt8](repeating: 0, count: 256)
            while read(descriptor, &bytes, bytes.count) > 0 {}
        }
    }
#endif

func errorText(_ code: Int32) -> String {
    String(cString: strerror(code))
}
