import Foundation

/// What the headers of a part say.
struct MultipartHeaders: Equatable {
    let name: String
    /// Nil for a field that is no file.
    let filename: String?

    /// Nil where they are those of no part of a form.
    init?(_ text: String) {
        var disposition: [String: String]?
        for line in text.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            guard line[..<colon].lowercased() == "content-disposition" else { continue }
            guard disposition == nil else { return nil }
            disposition = HeaderParameters.read(String(line[line.index(after: colon)...]), kind: "form-data")
        }
        guard let disposition, let name = disposition["name"] else { return nil }
        self.name = name
        let extended = disposition["filename*"].flatMap(HeaderParameters.extended)
        // Browsers escape three characters (HTML, part 4.10.21.8), and nothing else.
        let plain = disposition["filename"].map {
            $0.replacing("%22", with: "\"").replacing("%0D", with: "\r").replacing("%0A", with: "\n")
        }
        filename = extended ?? plain
    }
}
