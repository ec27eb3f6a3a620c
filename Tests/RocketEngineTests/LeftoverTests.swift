import Foundation
import Logging
import RocketDatabase
import RocketEngine
import RocketModel
import RocketPlanning
import RocketTestSupport
import Synchronization
import Testing

/// What a full disk leaves of an app that was being made.
struct LeftoverTests {
    @Test(arguments: [DiskFault.atRename, .atDrop])
    func aMakingThatFailedHoldsItsNameNoLongerThanTheDiskIsFull(fault: DiskFault) async throws {
        try await Self.run { apps, disk in
            disk.fault.withLock { $0 = fault }
            await #expect(throws: (any Error).self) {
                try await apps.create(name: "shop", displayName: nil, driver: nil)
            }
            await #expect(throws: (any Error).self) {
                try await apps.create(name: "shop", displayName: nil, driver: nil)
            }
            #expect(try await apps.all().isEmpty)
            disk.fault.withLock { $0 = nil }
            #expect(try await apps.create(name: "shop", displayName: "Shop", driver: nil).displayName == "Shop")
            #expect(try await apps.all().map(\.name) == ["shop"])
            try await apps.withApp("shop") { _ in }
        }
    }

    /// Each looks for what is left; none takes away what another has made meanwhile.
    @Test func manyThatComeBackAtOnceMakeOneApp() async throws {
        try await Self.run { apps, disk in
            for round in 0..<10 {
                let name = "shop\(round)"
                disk.fault.withLock { $0 = .atDrop }
                await #expect(throws: (any Error).self) {
                    try await apps.create(name: name, displayName: nil, driver: nil)
                }
                disk.fault.withLock { $0 = nil }
                let made = await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            do {
                                _ = try await apps.create(name: name, displayName: nil, driver: nil)
                                return true
                            } catch {
                                return false
                            }
                        }
                    }
                    return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
                #expect(made == 1)
                try await apps.withApp(name) { _ in }
            }
        }
    }

    private static func run(_ test: (AppRegistry, FullDisk) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let disk = FullDisk(try SQLiteProvider(directory: directory.url, logger: .silent))
        var settings = AppSettings()
        settings.bcryptCost = 4
        settings.filesDirectory = directory.url.appendingPathComponent("files").path
        let apps = try await AppRegistry(provider: disk, settings: settings, dependencies: .system(logger: .silent))
        do {
            try await test(apps, disk)
        } catch {
            await apps.close()
            throw error
        }
        await apps.close()
        try directory.remove()
    }
}

enum DiskFault: Sendable {
    /// Where the app's database gets its name, and where it is taken back.
    case atRename
    /// The app is whole but for its name, which another file seems to have; it can't be taken back.
    case atDrop
}

/// A provider whose disk is full at times.
private final class FullDisk: DatabaseProvider {
    let fault = Mutex<DiskFault?>(nil)
    private let inner: any DatabaseProvider

    init(_ inner: any DatabaseProvider) { self.inner = inner }

    private func fail(_ faults: DiskFault...) throws {
        guard let fault = fault.withLock({ $0 }), faults.contains(fault) else { return }
        throw DatabaseFailure.unavailable(cause: "database or disk is full")
    }

    func rename(_ databaseName: String, to newName: String) async throws -> Bool {
        try fail(.atRename)
        return fault.withLock { $0 } == nil ? try await inner.rename(databaseName, to: newName) : false
    }

    func drop(_ databaseName: String) async throws {
        try fail(.atRename, .atDrop)
        try await inner.drop(databaseName)
    }

    var driver: String { inner.driver }
    var isShared: Bool { inner.isShared }
    func databaseName(ofApp name: String) -> String { inner.databaseName(ofApp: name) }
    func draftName(_ identity: String) -> String { inner.draftName(identity) }
    func openManagement() async throws -> any AppDatabase { try await inner.openManagement() }
    func exists(_ databaseName: String) async throws -> Bool { try await inner.exists(databaseName) }
    func create(_ databaseName: String) async throws -> Bool { try await inner.create(databaseName) }
    func isSame(_ databaseName: String, _ otherName: String) async throws -> Bool {
        try await inner.isSame(databaseName, otherName)
    }
    func open(_ databaseName: String) async throws -> any AppDatabase { try await inner.open(databaseName) }
    func backUp(_ databaseName: String, to path: String) async throws -> [String] {
        try await inner.backUp(databaseName, to: path)
    }
    func restore(_ databaseName: String, from path: String) async throws -> Bool {
        try await inner.restore(databaseName, from: path)
    }
    func copy(_ databaseName: String, to newName: String) async throws -> Bool {
        try await inner.copy(databaseName, to: newName)
    }
    func announce(_ hint: String) async { await inner.announce(hint) }
    func listen(_ body: @escaping @Sendable (String) -> Void) async { await inner.listen(body) }
    func close() async { await inner.close() }
}
