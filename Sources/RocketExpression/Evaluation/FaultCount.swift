import Synchronization

/// How many expressions could not be evaluated since the process began. Nothing is decided by it: it is for those who
/// watch a server.
package enum FaultCount {
    private static let count = Atomic<UInt64>(0)

    package static var value: UInt64 { count.load(ordering: .relaxed) }
    static func raise() { count.wrappingAdd(1, ordering: .relaxed) }
}
