import RocketModel
import Synchronization

/// The definitions that a change began with, kept for the summary of what it did.
final class DefinitionsSeen: Sendable {
    private let seen = Mutex(DefinitionSet())

    var definitions: DefinitionSet { seen.withLock { $0 } }

    func note(_ definitions: DefinitionSet) {
        seen.withLock { $0 = definitions }
    }
}
