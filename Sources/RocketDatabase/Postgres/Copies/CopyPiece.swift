import RocketModel

/// What a copy of a database is made of, in the order in which another database is made of it. PostgreSQL has no call that
/// copies a database which others work on, so a copy is taken in SQL.
enum CopyPiece: Sendable, Equatable {
    /// A sequence that a column's default names.
    case sequence(name: String, type: String)
    case table(CopiedTable)
    /// Rows of the table before: each a JSON array with the text of each column.
    case rows([String])
    /// What is due when all rows are there: constraints, indexes, where sequences stand.
    case afterwards([String])
}

extension CopyPiece {
    /// Whether its statements are of the kinds that a copy has. It is no judgement of what they do: a copy is as trusted as
    /// who keeps it.
    var isPlausible: Bool {
        switch self {
        case .rows: true
        case .sequence(_, let type): ["smallint", "integer", "bigint"].contains(type)
        case .table(let table):
            table.create.hasPrefix("CREATE TABLE \"")
                && table.columns.allSatisfy { column in
                    column.type.utf8.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: " "), UInt8(ascii: "("),
                            UInt8(ascii: ")"), UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]"),
                            UInt8(ascii: "\""), UInt8(ascii: "_"):
                            true
                        default: false
                        }
                    }
                }
        case .afterwards(let statements):
            statements.allSatisfy { statement in
                Self.kinds.contains { statement.hasPrefix($0) }
            }
        }
    }

    private static let kinds = [
        "ALTER TABLE \"", "ALTER SEQUENCE \"", "CREATE INDEX ", "CREATE UNIQUE INDEX ", "SELECT setval(",
    ]
}

struct CopiedTable: Sendable, Equatable {
    struct Column: Sendable, Equatable {
        let name: String
        let type: String
    }

    let name: String
    /// The statement that makes it, without constraints.
    let create: String
    /// Those that have values of their own.
    let columns: [Column]
}

/// A copy as a file: a line of JSON for each piece and for each row.
enum CopyText {
    static let head: JSONObject = ["rocket_copy": 1, "store": "postgres"]

    /// - Parameter rows: how many lines are rows, by which a file that was cut off is told.
    static func end(rows: Int) -> JSONObject { ["end": true, "rows": .integer(rows)] }

    static func lines(of piece: CopyPiece) -> [String] {
        switch piece {
        case .rows(let rows): rows
        case .sequence(let name, let type): [text(["sequence": .string(name), "type": .string(type)])]
        case .table(let table):
            [
                text([
                    "table": .string(table.name), "create": .string(table.create),
                    "columns": .array(table.columns.map { .array([.string($0.name), .string($0.type)]) }),
                ])
            ]
        case .afterwards(let statements): [text(["afterwards": .array(statements.map(JSONValue.string))])]
        }
    }

    private static func text(_ object: JSONObject) -> String { JSONValue.object(object).jsonText }

    /// The piece of a line that is no row; nil for what is none.
    static func piece(_ object: JSONObject) -> CopyPiece? {
        if let name = object["sequence"]?.stringValue, let type = object["type"]?.stringValue {
            return .sequence(name: name, type: type)
        }
        if let name = object["table"]?.stringValue, let create = object["create"]?.stringValue {
            let columns = (object["columns"]?.arrayValue ?? []).compactMap { column -> CopiedTable.Column? in
                guard let parts = column.arrayValue?.compactMap(\.stringValue), parts.count == 2 else { return nil }
                return CopiedTable.Column(name: parts[0], type: parts[1])
            }
            return .table(CopiedTable(name: name, create: create, columns: columns))
        }
        guard let statements = object["afterwards"]?.arrayValue else { return nil }
        return .afterwards(statements.compactMap(\.stringValue))
    }
}

/// Where a copy goes.
protocol CopySink: Sendable {
    func take(_ pieces: [CopyPiece]) async throws
}
