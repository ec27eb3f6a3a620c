import RocketPlanning

/// A store that tells of each commit before whoever asked for it knows: what tests of crashes hook into.
package struct WatchedProvider: DatabaseProvider {
    private let base: any DatabaseProvider
    private let onCommit: @Sendable () -> Void

    package init(_ base: any DatabaseProvider, onCommit: @escaping @Sendable () -> Void) {
        self.base = base
        self.onCommit = onCommit
    }

    package var driver: String { base.driver }
    package var isShared: Bool { base.isShared }
    package func databaseName(ofApp name: String) -> String { base.databaseName(ofApp: name) }
    package func draftName(_ identity: String) -> String { base.draftName(identity) }
    package func exists(_ databaseName: String) async throws -> Bool { try await base.exists(databaseName) }
    package func create(_ databaseName: String) async throws -> Bool { try await base.create(databaseName) }
    package func drop(_ databaseName: String) async throws { try await base.drop(databaseName) }
    package func announce(_ hint: String) async { await base.announce(hint) }
    package func listen(_ body: @escaping @Sendable (String) -> Void) async { await base.listen(body) }
    package func close() async { await base.close() }

    package func openManagement() async throws -> any AppDatabase {
        WatchedDatabase(try await base.openManagement(), onCommit)
    }

    package func open(_ databaseName: String) async throws -> any AppDatabase {
        WatchedDatabase(try await base.open(databaseName), onCommit)
    }

    package func rename(_ databaseName: String, to newName: String) async throws -> Bool {
        try await base.rename(databaseName, to: newName)
    }

    package func isSame(_ databaseName: String, _ otherName: String) async throws -> Bool {
        try await base.isSame(databaseName, otherName)
    }

    package func backUp(_ databaseName: String, to path: String) async throws -> [String] {
        try await base.backUp(databaseName, to: path)
    }

    package func restore(_ databaseName: String, from path: String) async throws -> Bool {
        try await base.restore(databaseName, from: path)
    }

    package func copy(_ databaseName: String, to newName: String) async throws -> Bool {
        try await base.copy(databaseName, to: newName)
    }
}

private struct WatchedDatabase: AppDatabase {
    private let base: any AppDatabase
    private let onCommit: @Sendable () -> Void

    init(_ base: any AppDatabase, _ onCommit: @escaping @Sendable () -> Void) {
        self.base = base
        self.onCommit = onCommit
    }

    var dialect: SQLDialect { base.dialect }
    var isRemote: Bool { base.isRemote }
    func load() async -> DatabaseLoad { await base.load() }
    func close() async { await base.close() }

    func read<Script: TransactionScript>(_ script: Script) async throws -> Script.Outcome {
        try await base.read(script)
    }

    func write<Script: TransactionScript>(_ script: Script, mode: WriteMode) async throws -> Script.Outcome {
        let outcome = try await base.write(script, mode: mode)
        onCommit()
        return outcome
    }
}
