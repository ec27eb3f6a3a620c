/// An uploaded file, as far as the database knows it; its bytes are in the app's folder.
package struct StoredFile: Sendable, Hashable {
    package let id: UniqueID
    /// What the client called it, less what no file should be called.
    package let filename: String
    /// In bytes.
    package let size: Int64
    /// What its bytes look like, whatever the client said.
    package let mimeType: String
    /// The user who has uploaded it.
    package let owner: String
    package let createdAt: Timestamp
    /// Since when no record has been known to use it; nil while one does.
    package let unusedSince: Timestamp?

    package init(
        id: UniqueID,
        filename: String,
        size: Int64,
        mimeType: String,
        owner: String,
        createdAt: Timestamp,
        unusedSince: Timestamp?
    ) {
        self.id = id
        self.filename = filename
        self.size = size
        self.mimeType = mimeType
        self.owner = owner
        self.createdAt = createdAt
        self.unusedSince = unusedSince
    }

    /// What a record keeps of it, in the order in which databases keep the members of objects.
    package var reference: JSONValue {
        [
            "id": .string(id.text), "size": .integer(size), "filename": .string(filename),
            "mime_type": .string(mimeType),
        ]
    }

    /// How long a file is kept that no record uses.
    package static let unusedSeconds: Int64 = 24 * 3600
}
