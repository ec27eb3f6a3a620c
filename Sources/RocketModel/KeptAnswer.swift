/// An answer that is kept for whoever sends the same request again.
package struct KeptAnswer: Sendable, Hashable {
    package let status: Int
    package let headers: [String: String]
    package let body: String

    package init(status: Int, headers: [String: String], body: String) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}
