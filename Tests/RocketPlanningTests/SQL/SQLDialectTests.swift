import RocketModel
import RocketPlanning
import Testing

/// A field's type, its column in each database.
struct ColumnTypeRow: Sendable {
    let shape: ValueShape
    let sqlite: String
    let postgres: String

    init(_ type: FieldType, precision: Int? = nil, _ sqlite: String, _ postgres: String) {
        shape = ValueShape(type: type, precision: precision)
        self.sqlite = sqlite
        self.postgres = postgres
    }
}

/// A field's value as JSON, and what is stored of it in each database.
struct StoredValueRow: Sendable, CustomTestStringConvertible {
    let shape: ValueShape
    let json: JSONValue
    let sqlite: SQLValue
    let postgres: SQLValue

    init(_ type: FieldType, precision: Int? = nil, _ json: JSONValue, _ sqlite: SQLValue, _ postgres: SQLValue? = nil) {
        shape = ValueShape(type: type, precision: precision)
        self.json = json
        self.sqlite = sqlite
        self.postgres = postgres ?? sqlite
    }

    var testDescription: String { "\(shape.type.rawValue) \(json.jsonText)" }
}

/// What a column of an adopted table may hold that the field's type does not know.
struct ForeignValueRow: Sendable {
    let type: FieldType
    let stored: SQLValue

    init(_ type: FieldType, _ stored: SQLValue) {
        self.type = type
        self.stored = stored
    }
}

private let columnTypes: [ColumnTypeRow] = [
    .init(.string, "TEXT", #"TEXT COLLATE "C""#),
    .init(.text, "TEXT", #"TEXT COLLATE "C""#),
    .init(.int, "INTEGER", "INTEGER"),
    .init(.bigint, "INTEGER", "BIGINT"),
    .init(.float, "REAL", "DOUBLE PRECISION"),
    .init(.decimal, "TEXT COLLATE ROCKET_DECIMAL", "NUMERIC"),
    .init(.decimal, precision: 2, "TEXT COLLATE ROCKET_DECIMAL", "NUMERIC(20,2)"),
    .init(.decimal, precision: 0, "TEXT COLLATE ROCKET_DECIMAL", "NUMERIC(18,0)"),
    .init(.boolean, "INTEGER", "BOOLEAN"),
    .init(.uuid, "TEXT", "UUID"),
    .init(.timestamp, "TEXT", "TIMESTAMPTZ"),
    .init(.date, "TEXT", "DATE"),
    .init(.json, "TEXT", "JSONB"),
    .init(.file, "TEXT", "JSONB"),
]

private let storedValues: [StoredValueRow] = [
    .init(.string, "a\"b'c\\", .text("a\"b'c\\")),
    .init(.text, "", .text("")),
    .init(.int, .integer(-5), .integer(-5)),
    .init(.bigint, "9223372036854775807", .integer(.max)),
    .init(.float, .number(JSONNumber(unchecked: "1.5")), .double(1.5)),
    .init(.decimal, "12345678901234567890.50", .text("12345678901234567890.50")),
    .init(.decimal, precision: 2, 3, .text("3.00")),
    .init(.boolean, true, .integer(1), .text("true")),
    .init(.boolean, false, .integer(0), .text("false")),
    .init(.uuid, "0190B1C2-7D4E-7A3B-8C5D-1E2F3A4B5C6D", .text("0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d")),
    .init(.timestamp, "2026-02-05T01:00:00+01:00", .text("2026-02-05T00:00:00.000000Z")),
    .init(.date, "2026-02-05", .text("2026-02-05")),
    .init(.json, ["b": [1, .null], "a": "x"], .text(#"{"a":"x","b":[1,null]}"#)),
    .init(.file, ["id": "x"], .text(#"{"id":"x"}"#)),
    .init(.string, .null, .null),
]

private let foreignValues: [ForeignValueRow] = [
    .init(.string, .integer(5)), .init(.int, .text("5")), .init(.int, .double(5)), .init(.bigint, .text("x")),
    .init(.float, .text("1.5")), .init(.decimal, .text("abc")), .init(.decimal, .double(1.5)),
    .init(.boolean, .double(1)),
    .init(.uuid, .text("x")), .init(.timestamp, .text("yesterday")), .init(.timestamp, .integer(0)),
    .init(.date, .text("2026-02-30")),
    .init(.json, .text("{")), .init(.json, .integer(1)), .init(.file, .text("")),
]

struct SQLDialectTests {
    @Test func everyTypeHasAColumnInTheTable() {
        #expect(Set(columnTypes.map(\.shape.type)) == Set(FieldType.allCases))
        #expect(Set(storedValues.map(\.shape.type)) == Set(FieldType.allCases))
    }

    @Test(arguments: columnTypes)
    func spellsTheColumnOfAType(row: ColumnTypeRow) {
        #expect(SQLDialect.sqlite.columnType(row.shape) == row.sqlite)
        #expect(SQLDialect.postgres.columnType(row.shape) == row.postgres)
    }

    @Test(arguments: storedValues)
    func storesAValueInTheFormOfTheDatabase(row: StoredValueRow) throws {
        let value = try row.shape.value(of: row.json)
        #expect(SQLDialect.sqlite.bindable(value) == row.sqlite)
        #expect(SQLDialect.postgres.bindable(value) == row.postgres)
    }

    @Test(arguments: storedValues)
    func readsBackWhatItStores(row: StoredValueRow) throws {
        let value = try row.shape.value(of: row.json)
        #expect(SQLDialect.sqlite.fieldValue(row.sqlite, row.shape) == value)
    }

    @Test(arguments: foreignValues)
    func aValueThatTheTypeDoesNotKnowReadsAsNull(row: ForeignValueRow) {
        #expect(SQLDialect.sqlite.fieldValue(row.stored, ValueShape(type: row.type)) == .null)
    }

    @Test func readsWholeNumbersOfColumnsThatHoldFractions() throws {
        let one = try #require(DecimalNumber("1"))
        #expect(SQLDialect.sqlite.fieldValue(.integer(1), ValueShape(type: .float)) == .double(1))
        #expect(SQLDialect.sqlite.fieldValue(.integer(1), ValueShape(type: .decimal)) == .decimal(one))
        #expect(SQLDialect.sqlite.fieldValue(.integer(7), ValueShape(type: .boolean)) == .boolean(true))
    }

    @Test func numbersItsPlaceholders() {
        #expect(SQLDialect.sqlite.placeholder(12) == "?12")
        #expect(SQLDialect.postgres.placeholder(12) == "$12")
    }

    @Test(arguments: [
        ("a", "\"a\""), ("", "\"\""), ("select", "\"select\""), ("a\"b", "\"a\"\"b\""), ("\"", "\"\"\"\""),
        ("a'b;--", "\"a'b;--\""),
        ("\"\u{301}", "\"\"\"\u{301}\""),
    ])
    func putsAnIdentifierInQuotesAndDoublesThoseInIt(identifier: String, quoted: String) {
        #expect(Array(SQLDialect.sqlite.quote(identifier).utf8) == Array(quoted.utf8))
        #expect(Array(SQLDialect.postgres.quote(identifier).utf8) == Array(quoted.utf8))
    }
}

struct SQLStatementTests {
    @Test func countsItsBindsInOrder() {
        var sqlite = SQLBuilder(.sqlite)
        sqlite.append("SELECT ")
        sqlite.bind(.text("a"))
        sqlite.append(", ")
        sqlite.bind(stored: .integer(1))
        #expect(sqlite.statement() == SQLStatement("SELECT ?1, ?2", binds: [.text("a"), .integer(1)], output: .none))

        var postgres = SQLBuilder(.postgres)
        postgres.bind(.boolean(true))
        postgres.append(" ")
        postgres.bind(.null)
        #expect(postgres.statement(.values) == SQLStatement("$1 $2", binds: [.text("true"), .null], output: .values))
    }

    @Test func aListOfNullsAndOfNothingKeepsItsForm() {
        var sqlite = SQLBuilder(.sqlite)
        sqlite.isMember("\"a\"", of: [.null, .whole(1)], ValueShape(type: .int))
        #expect(sqlite.statement().binds == [.text("[null,1]")])
        var postgres = SQLBuilder(.postgres)
        postgres.isMember("\"a\"", of: [.null, .text("NULL")], ValueShape(type: .string))
        #expect(postgres.statement().binds == [.text(#"{NULL,"NULL"}"#)])
        var empty = SQLBuilder(.postgres)
        empty.isMember("\"a\"", of: [], ValueShape(type: .decimal, precision: 2))
        #expect(empty.statement().text == "\"a\" = ANY($1::NUMERIC[])")
        #expect(empty.statement().binds == [.text("{}")])
    }

    @Test func writesTheNameOfAColumnAsJSON() {
        #expect(ColumnShape(name: "title", type: .text).member == Array("\"title\":".utf8))
        #expect(ColumnShape(name: "a\"b", type: .text).member == Array("\"a\\\"b\":".utf8))
    }

    @Test(
        arguments: [
            (FieldType.string, ColumnCoding.string), (.text, .string), (.int, .number), (.bigint, .number),
            (.decimal, .number), (.float, .double),
            (.boolean, .boolean), (.uuid, .quoted), (.timestamp, .quoted), (.date, .quoted), (.json, .json),
            (.file, .json),
        ] as [(FieldType, ColumnCoding)]
    )
    func codesAColumnByItsType(type: FieldType, coding: ColumnCoding) {
        #expect(ColumnCoding(type) == coding)
    }
}
