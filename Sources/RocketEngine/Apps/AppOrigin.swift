/// What a new app begins with.
package enum AppOrigin: Sendable {
    case nothing
    /// The definitions of another app, and none of its rows and users.
    case definitions(of: String)
    /// All that is in another app at one moment. What waits there to be sent or done is not done here.
    case everything(of: String)
    /// What is in a file that ``DatabaseProvider/backUp(_:to:)`` has written.
    ///
    /// - keepsWork: whether what waited in the app to be done is done here.
    case file(path: String, keepsWork: Bool)

    var source: String? {
        switch self {
        case .definitions(let name), .everything(let name): name
        case .nothing, .file: nil
        }
    }

    /// Whether a database is copied, which may take long.
    var isCopy: Bool {
        switch self {
        case .nothing, .definitions: false
        case .everything, .file: true
        }
    }
}
