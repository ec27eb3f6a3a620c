import CLibpq

extension PostgresSettings {
    /// Reads a URL (`postgres://user:password@host:5432/name?sslmode=require`) or a list of keywords
    /// (`host=localhost dbname=rocket`), by libpq's own rules (manual, 34.1.1).
    ///
    /// - Throws: ``ConnectionTextFailure``, which holds nothing of the text: there may be a password in it.
    package init(connectionText text: String) throws(ConnectionTextFailure) {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(text, &message) else {
            PQfreemem(message)
            throw ConnectionTextFailure()
        }
        defer { PQconninfoFree(options) }
        var parameters: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { parameters[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        let name = parameters.removeValue(forKey: "dbname") ?? "rocket"
        // What stands behind an @ that is not escaped is taken for the host, and is a part of the password.
        guard parameters["host"]?.contains("@") != true else { throw ConnectionTextFailure() }
        guard (1...63).contains(name.utf8.count), !name.contains("/"), !name.hasPrefix("template") else {
            throw ConnectionTextFailure()
        }
        self.init(parameters: parameters, managementDatabase: name)
    }
}

/// The text is neither a URL nor a list of keywords that libpq takes.
package struct ConnectionTextFailure: Error, CustomStringConvertible {
    package let description =
        "expected postgres://user:password@host:5432/name, with %40 for @ and %2F for / in a password, and a name of at"
        + " most 63 bytes without / that is no template"
}
