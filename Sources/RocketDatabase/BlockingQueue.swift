import Dispatch

/// Where work runs that blocks its thread: files, mostly. The threads of tasks are few, and must not be.
package struct BlockingQueue: Sendable {
    private let queue: DispatchQueue

    /// - Parameter isConcurrent: whether pieces of work run beside each other.
    package init(_ label: String, isConcurrent: Bool = false) {
        queue = DispatchQueue(label: label, attributes: isConcurrent ? .concurrent : [])
    }

    package func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: work)) }
        }
    }
}
