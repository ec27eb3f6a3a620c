import HTTPTypes
import RocketEngine
import RocketModel

/// Backups, for the user who runs the server: they name folders of its machine.
enum BackupRoutes {
    static func add(to table: inout RouteTable) {
        table.add(.post, "/_control/backup", .control, backUp)
        table.add(.post, "/_control/restore", .control, restore)
    }

    /// `{"folder", "apps"?: []}`
    @Sendable private static func backUp(_ call: Call) async throws -> Reply {
        var reader = DefinitionReader(try await call.object())
        let (folder, apps) = chosen(&reader)
        try requireNone(reader)
        return Reply(.created, data: try await call.services.apps.backUp(apps, to: folder).json)
    }

    /// `{"folder", "apps"?: [], "as"?}`
    @Sendable private static func restore(_ call: Call) async throws -> Reply {
        var reader = DefinitionReader(try await call.object())
        let (folder, apps) = chosen(&reader)
        let newName = reader.string("as")
        try requireNone(reader)
        let report = try await call.services.apps.restore(apps, as: newName, from: folder, call.services.secretBox)
        return Reply(.created, data: report.json)
    }

    private static func chosen(_ reader: inout DefinitionReader) -> (folder: String, apps: [String]?) {
        let folder = reader.requiredString("folder")
        if !folder.isEmpty, !folder.hasPrefix("/") { reader.violate("folder", .type, "is an absolute path") }
        return (folder, reader.strings("apps"))
    }

    private static func requireNone(_ reader: DefinitionReader) throws(RequestFailure) {
        var reader = reader
        reader.refuseUnknownMembers()
        guard reader.violations.isEmpty else { throw .validation(reader.violations) }
    }
}
