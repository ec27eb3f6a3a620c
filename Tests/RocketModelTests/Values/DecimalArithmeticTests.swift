import RocketModel
import Testing

/// Two operands and what comes of them, as Python's `decimal` computes it: exactly, and a quotient with a precision
/// of 34 and `ROUND_HALF_EVEN`.
struct ArithmeticRow: Sendable {
    let left: String
    let right: String
    let result: String

    init(_ left: String, _ right: String, _ result: String) {
        self.left = left
        self.right = right
        self.result = result
    }
}

struct PowerRow: Sendable {
    let base: String
    let exponent: Int
    let result: String

    init(_ base: String, _ exponent: Int, _ result: String) {
        self.base = base
        self.exponent = exponent
        self.result = result
    }
}

struct RoundingRow: Sendable {
    let text: String
    let fractionDigits: Int
    let awayFromZero: String
    let toEven: String

    init(_ text: String, _ fractionDigits: Int, _ awayFromZero: String, _ toEven: String) {
        self.text = text
        self.fractionDigits = fractionDigits
        self.awayFromZero = awayFromZero
        self.toEven = toEven
    }
}

struct WholeRow: Sendable {
    let text: String
    let floor: String
    let ceiling: String
    let truncated: String

    init(_ text: String, floor: String, ceiling: String, truncated: String) {
        self.text = text
        self.floor = floor
        self.ceiling = ceiling
        self.truncated = truncated
    }
}

private func decimal(_ text: String) throws -> DecimalNumber {
    try #require(DecimalNumber(text), "no decimal: \(text)")
}

/// Says whether `result` has the value that `text` writes, and is written without trailing zeros and negative zero.
private func expect(
    _ result: DecimalNumber?,
    is text: String,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let expected = try decimal(text)
    #expect(result == expected, sourceLocation: sourceLocation)
    #expect(result?.scale == expected.significantScale, sourceLocation: sourceLocation)
    #expect(result?.digits.first != 0, sourceLocation: sourceLocation)
    #expect(result?.description.hasPrefix("-0") != true || result?.sign == -1, sourceLocation: sourceLocation)
}

/// Runs of nines and zeros are likely: they make carries, borrows and wrong estimates of a quotient's limb.
private func randomDigits(_ count: Int, using generator: inout SeededGenerator) -> String {
    let alphabets = ["0123456789", "9", "09", "0000000001", "4567"].map { Array($0) }
    let alphabet = alphabets[Int.random(in: 0..<alphabets.count, using: &generator)]
    return String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
}

/// A decimal of up to `digits` digits before and after the point, each; every second one is small.
private func randomDecimal(digits: Int, using generator: inout SeededGenerator) throws -> DecimalNumber {
    let most = Bool.random(using: &generator) ? min(9, digits) : digits
    let whole = randomDigits(Int.random(in: 0...most, using: &generator), using: &generator)
    let fraction = randomDigits(Int.random(in: 0...most, using: &generator), using: &generator)
    let sign = Bool.random(using: &generator) ? "-" : ""
    return try decimal(sign + "1" + whole + (fraction.isEmpty ? "" : "." + fraction)).subtracting(
        decimal(Bool.random(using: &generator) ? "0" : sign + "1" + String(repeating: "0", count: whole.count))
    )
}

private let nines = String(repeating: "9", count: 1000)

struct DecimalArithmeticTests {
    // MARK: operations

    @Test(arguments: [
        ArithmeticRow("0", "0", "0"),
        ArithmeticRow("0", "-0.00", "0"),
        ArithmeticRow("0", "1.50", "1.5"),
        ArithmeticRow("-1.50", "0", "-1.5"),
        ArithmeticRow("0.1", "0.2", "0.3"),
        ArithmeticRow("1.50", "0.50", "2"),
        ArithmeticRow("1.5", "-1.50", "0"),
        ArithmeticRow("-0.1", "-0.2", "-0.3"),
        ArithmeticRow("0.1", "-0.2", "-0.1"),
        ArithmeticRow("-0.3", "0.1", "-0.2"),
        ArithmeticRow("19.99", "0.01", "20"),
        ArithmeticRow("999999999", "1", "1000000000"),
        ArithmeticRow("999999999999999999", "1", "1000000000000000000"),
        ArithmeticRow("-999999999999999999", "-999999999999999999", "-1999999999999999998"),
        ArithmeticRow("999999999999999999", "0.1", "999999999999999999.1"),
        ArithmeticRow("999999999999999999999999999", "1", "1000000000000000000000000000"),
        ArithmeticRow("1000000000000000000000000000", "-1", "999999999999999999999999999"),
        ArithmeticRow("1000000000000000000000000000", "-0.000000001", "999999999999999999999999999.999999999"),
        ArithmeticRow("-1000000000000000000", "0.000000000000000001", "-999999999999999999.999999999999999999"),
        ArithmeticRow("999999999.999999999999999999", "0.000000000000000001", "1000000000"),
        ArithmeticRow("123456789012345678901234567890", "-123456789012345678901234567890.0", "0"),
        ArithmeticRow("1e30", "1e-30", "1000000000000000000000000000000.000000000000000000000000000001"),
        ArithmeticRow("-1e30", "1e-30", "-999999999999999999999999999999.999999999999999999999999999999"),
        ArithmeticRow("5e-324", "5e-324", "1e-323"),
        ArithmeticRow("0e900", "1e-20", "0.00000000000000000001"),
        ArithmeticRow("12345678901234567890123456789.5", "-12345678901234567890123456789", "0.5"),
        ArithmeticRow("1", "12345678901234567890123456789", "12345678901234567890123456790"),
        ArithmeticRow("1", "-12345678901234567890123456789", "-12345678901234567890123456788"),
    ])
    func addsExactly(row: ArithmeticRow) throws {
        try expect(decimal(row.left).adding(decimal(row.right)), is: row.result)
        try expect(decimal(row.right).adding(decimal(row.left)), is: row.result)
    }

    @Test(arguments: [
        ArithmeticRow("0", "0", "0"),
        ArithmeticRow("0", "1.50", "-1.5"),
        ArithmeticRow("0", "-0.5", "0.5"),
        ArithmeticRow("0.3", "0.1", "0.2"),
        ArithmeticRow("1.50", "1.5", "0"),
        ArithmeticRow("-1", "-1.0", "0"),
        ArithmeticRow("1", "-1", "2"),
        ArithmeticRow("100", "99.99", "0.01"),
        ArithmeticRow("1000000000", "0.000000001", "999999999.999999999"),
        ArithmeticRow("1000000000000000000000000000", "1", "999999999999999999999999999"),
        ArithmeticRow("1", "1000000000000000000000000000", "-999999999999999999999999999"),
        ArithmeticRow("-9223372036854775808", "9223372036854775808", "-18446744073709551616"),
    ])
    func subtractsExactly(row: ArithmeticRow) throws {
        let difference = try decimal(row.left).subtracting(decimal(row.right))
        try expect(difference, is: row.result)
        #expect(try decimal(row.right).subtracting(decimal(row.left)) == difference.negated)
    }

    @Test(arguments: [
        ArithmeticRow("0", "-5", "0"),
        ArithmeticRow("-0.00", "1e900", "0"),
        ArithmeticRow("1.50", "2", "3"),
        ArithmeticRow("-1.50", "2.0", "-3"),
        ArithmeticRow("-0.5", "-0.5", "0.25"),
        ArithmeticRow("0.1", "0.1", "0.01"),
        ArithmeticRow("19.99", "3", "59.97"),
        ArithmeticRow("0.05", "20", "1"),
        ArithmeticRow("999999999", "999999999", "999999998000000001"),
        ArithmeticRow("999999999999999999", "999999999999999999", "999999999999999998000000000000000001"),
        ArithmeticRow("-999999999999999999", "1000000000000000001", "-999999999999999999999999999999999999"),
        ArithmeticRow("1000000000", "1000000000", "1000000000000000000"),
        ArithmeticRow(
            "999999999999999999999999999",
            "999999999999999999999999999",
            "999999999999999999999999998000000000000000000000000001"
        ),
        ArithmeticRow("123456789.123456789", "-987654321.987654321", "-121932631356500531.347203169112635269"),
        ArithmeticRow("1e500", "1e-500", "1"),
        ArithmeticRow("1e-500", "1e-500", "1e-1000"),
        ArithmeticRow("1e499", "1e500", "1e999"),
        ArithmeticRow("12345678901234567890.5", "2", "24691357802469135781"),
        ArithmeticRow("0.000000001", "1000000000000000000000", "1000000000000"),
    ])
    func multipliesExactly(row: ArithmeticRow) throws {
        try expect(decimal(row.left).multiplied(by: decimal(row.right)), is: row.result)
        try expect(decimal(row.right).multiplied(by: decimal(row.left)), is: row.result)
    }

    @Test(arguments: [
        ArithmeticRow("0", "7", "0"),
        ArithmeticRow("-0.00", "-7", "0"),
        ArithmeticRow("1", "2", "0.5"),
        ArithmeticRow("1", "3", "0.3333333333333333333333333333333333"),
        ArithmeticRow("-2", "3", "-0.6666666666666666666666666666666667"),
        ArithmeticRow("2", "-3", "-0.6666666666666666666666666666666667"),
        ArithmeticRow("-1", "-8", "0.125"),
        ArithmeticRow("1.50", "0.50", "3"),
        ArithmeticRow("10", "4", "2.5"),
        ArithmeticRow("100", "1e2", "1"),
        ArithmeticRow("19.99", "3", "6.663333333333333333333333333333333"),
        ArithmeticRow("1", "7", "0.1428571428571428571428571428571429"),
        ArithmeticRow("1", "999999999999999999", "0.000000000000000001000000000000000001"),
        ArithmeticRow("999999999999999999", "7", "142857142857142857"),
        ArithmeticRow("1", "1e30", "0.000000000000000000000000000001"),
        ArithmeticRow("1e30", "1e-30", "1000000000000000000000000000000000000000000000000000000000000"),
        ArithmeticRow("1", "1e999", "1e-999"),
        ArithmeticRow("1e999", "3", "3.333333333333333333333333333333333e998"),
        ArithmeticRow("2e999", "3", "6.666666666666666666666666666666667e998"),
        ArithmeticRow("1", "6e900", "1.666666666666666666666666666666667e-901"),
        ArithmeticRow("22", "7e-300", "3.142857142857142857142857142857143e300"),
        ArithmeticRow(
            "12345678901234567890123456789012345678901234567890",
            "1",
            "12345678901234567890123456789012350000000000000000"
        ),
        ArithmeticRow("12345678901234567890123456789012345", "10", "1234567890123456789012345678901234"),
        ArithmeticRow("1000000000000000000000000000000000", "3", "333333333333333333333333333333333.3"),
        ArithmeticRow("12345678901234567890123456789012345", "1", "12345678901234567890123456789012340"),
        ArithmeticRow("12345678901234567890123456789012335", "1", "12345678901234567890123456789012340"),
        ArithmeticRow("12345678901234567890123456789012345.000000001", "1", "12345678901234567890123456789012350"),
        ArithmeticRow("-12345678901234567890123456789012335", "1", "-12345678901234567890123456789012340"),
        ArithmeticRow("24691357802469135780246913578024671", "2", "12345678901234567890123456789012340"),
        ArithmeticRow("24691357802469135780246913578024669", "2", "12345678901234567890123456789012330"),
        ArithmeticRow("99999999999999999999999999999999995", "1", "100000000000000000000000000000000000"),
        ArithmeticRow("99999999999999999999999999999999994", "1", "99999999999999999999999999999999990"),
        ArithmeticRow("99999999999999999999999999999999999", "0.001", "100000000000000000000000000000000000000"),
        ArithmeticRow("1e40", "7", "1428571428571428571428571428571429000000"),
        ArithmeticRow(
            "123456789012345678901234567890",
            "987654321098765432109876543210",
            "0.124999998860937500014238281249822"
        ),
        ArithmeticRow("1", "1000000000000000000000000001", "0.000000000000000000000000000999999999999999999999999999"),
        ArithmeticRow(
            "999999999999999999999999999998500000001",
            "999999999999999999999999999",
            "1000000000000.0000000000000009985"
        ),
        ArithmeticRow("1e36", "999999999999999999999999999", "1000000000.000000000000000001"),
    ])
    func dividesToThirtyFourDigitsHalfToEven(row: ArithmeticRow) throws {
        try expect(decimal(row.left).divided(by: decimal(row.right)), is: row.result)
    }

    @Test(arguments: [
        ArithmeticRow("0", "3", "0"),
        ArithmeticRow("7", "3", "1"),
        ArithmeticRow("-7", "3", "-1"),
        ArithmeticRow("7", "-3", "1"),
        ArithmeticRow("-7", "-3", "-1"),
        ArithmeticRow("6", "3", "0"),
        ArithmeticRow("-6", "3", "0"),
        ArithmeticRow("5.5", "2", "1.5"),
        ArithmeticRow("-5.5", "2", "-1.5"),
        ArithmeticRow("0.3", "0.1", "0"),
        ArithmeticRow("1", "0.3", "0.1"),
        ArithmeticRow("1.00", "0.3000", "0.1"),
        ArithmeticRow("2", "5", "2"),
        ArithmeticRow("-2", "5", "-2"),
        ArithmeticRow("1e30", "7", "1"),
        ArithmeticRow("1e999", "7", "6"),
        ArithmeticRow("1e999", "1e-1000", "0"),
        ArithmeticRow("1e-1000", "1e999", "1e-1000"),
        ArithmeticRow("1e999", "0.0000000000000000007", "0.0000000000000000004"),
        ArithmeticRow("123456789012345678901234567890.123", "1000000000000000000.01", "345678900000000000.003"),
        ArithmeticRow("18446744073709551616", "10000000000", "3709551616"),
        ArithmeticRow("499999999000000000000000000", "1000000000000000001", "999999999500000002"),
        ArithmeticRow("1500000001500000000000000001", "500000000500000000999999999", "500000000499999998000000003"),
        ArithmeticRow(
            "999999999999999999999999998999999998",
            "999999999999999999999999999",
            "999999999999999999999999997"
        ),
        ArithmeticRow(
            "-999999999999999999999999998999999999",
            "999999999999999999999999999",
            "-999999999999999999999999998"
        ),
    ])
    func leavesARemainderWithTheSignOfTheDividend(row: ArithmeticRow) throws {
        try expect(decimal(row.left).remainder(dividingBy: decimal(row.right)), is: row.result)
    }

    @Test(arguments: ["0", "-0.00", "1", "-1.5", "1e999", "1e-1000"])
    func hasNeitherQuotientNorRemainderByZero(text: String) throws {
        #expect(try decimal(text).divided(by: .zero) == nil)
        #expect(try decimal(text).remainder(dividingBy: decimal("0.000")) == nil)
    }

    @Test(arguments: [
        PowerRow("0", 0, "1"),
        PowerRow("5", 0, "1"),
        PowerRow("-2.50", 0, "1"),
        PowerRow("0", 5, "0"),
        PowerRow("1.50", 1, "1.5"),
        PowerRow("-1.50", 2, "2.25"),
        PowerRow("-1.5", 3, "-3.375"),
        PowerRow("2", 64, "18446744073709551616"),
        PowerRow("2", 128, "340282366920938463463374607431768211456"),
        PowerRow("0.5", 10, "0.0009765625"),
        PowerRow("10", 20, "100000000000000000000"),
        PowerRow("1e-3", 3, "0.000000001"),
        PowerRow("1.05", 12, "1.795856326022129150390625"),
        PowerRow("10", 999, "1e999"),
        PowerRow("0.1", 1000, "1e-1000"),
        PowerRow("1", 9223372036854775807, "1"),
        PowerRow("-1", 9223372036854775807, "-1"),
        PowerRow("-1", -9223372036854775808, "1"),
        PowerRow("0", 9223372036854775807, "0"),
        PowerRow("2", -1, "0.5"),
        PowerRow("2", -3, "0.125"),
        PowerRow("3", -1, "0.3333333333333333333333333333333333"),
        PowerRow("-3", -3, "-0.03703703703703703703703703703703704"),
        PowerRow("0.1", -3, "1000"),
        PowerRow("0.1", -999, "1e999"),
        PowerRow("7.0", -2, "0.02040816326530612244897959183673469"),
    ])
    func raisesToAWholePower(row: PowerRow) throws {
        try expect(decimal(row.base).raised(toWhole: row.exponent), is: row.result)
    }

    @Test(arguments: [-1, -2, Int.min])
    func hasNoNegativePowerOfZero(exponent: Int) throws {
        #expect(try DecimalNumber.zero.raised(toWhole: exponent) == nil)
    }

    // MARK: rounding

    @Test(arguments: [
        RoundingRow("0", 0, "0", "0"),
        RoundingRow("0.00", 1, "0", "0"),
        RoundingRow("2.5", 0, "3", "2"),
        RoundingRow("-2.5", 0, "-3", "-2"),
        RoundingRow("3.5", 0, "4", "4"),
        RoundingRow("-3.5", 0, "-4", "-4"),
        RoundingRow("2.49", 0, "2", "2"),
        RoundingRow("2.51", 0, "3", "3"),
        RoundingRow("-2.500001", 0, "-3", "-3"),
        RoundingRow("0.5", 0, "1", "0"),
        RoundingRow("-0.5", 0, "-1", "0"),
        RoundingRow("0.4", 0, "0", "0"),
        RoundingRow("-0.4", 0, "0", "0"),
        RoundingRow("0.05", 0, "0", "0"),
        RoundingRow("0.05", 1, "0.1", "0"),
        RoundingRow("1.005", 2, "1.01", "1"),
        RoundingRow("1.015", 2, "1.02", "1.02"),
        RoundingRow("-1.005", 2, "-1.01", "-1"),
        RoundingRow("19.995", 2, "20", "20"),
        RoundingRow("1.50", 5, "1.5", "1.5"),
        RoundingRow("1.50", 1, "1.5", "1.5"),
        RoundingRow("1.50", -1, "0", "0"),
        RoundingRow("5", -1, "10", "0"),
        RoundingRow("15", -1, "20", "20"),
        RoundingRow("14.99", -1, "10", "10"),
        RoundingRow("-25", -1, "-30", "-20"),
        RoundingRow("25.1", -1, "30", "30"),
        RoundingRow("50", -2, "100", "0"),
        RoundingRow("49", -2, "0", "0"),
        RoundingRow("50", -3, "0", "0"),
        RoundingRow("50", -9223372036854775808, "0", "0"),
        RoundingRow("50.10", 9223372036854775807, "50.1", "50.1"),
        RoundingRow("99.95", 1, "100", "100"),
        RoundingRow("999999999999999999.5", 0, "1000000000000000000", "1000000000000000000"),
        RoundingRow("0.0000000000000000000000000000000000005", 36, "0.000000000000000000000000000000000001", "0"),
        RoundingRow("1e999", -999, "1e999", "1e999"),
    ])
    func roundsToFractionDigits(row: RoundingRow) throws {
        let number = try decimal(row.text)
        try expect(number.rounded(toFractionDigits: row.fractionDigits), is: row.awayFromZero)
        try expect(number.rounded(toFractionDigits: row.fractionDigits, half: .awayFromZero), is: row.awayFromZero)
        try expect(number.rounded(toFractionDigits: row.fractionDigits, half: .toEven), is: row.toEven)
    }

    @Test(arguments: [
        WholeRow("0", floor: "0", ceiling: "0", truncated: "0"),
        WholeRow("0.00", floor: "0", ceiling: "0", truncated: "0"),
        WholeRow("1", floor: "1", ceiling: "1", truncated: "1"),
        WholeRow("-1", floor: "-1", ceiling: "-1", truncated: "-1"),
        WholeRow("1.5", floor: "1", ceiling: "2", truncated: "1"),
        WholeRow("-1.5", floor: "-2", ceiling: "-1", truncated: "-1"),
        WholeRow("0.5", floor: "0", ceiling: "1", truncated: "0"),
        WholeRow("-0.5", floor: "-1", ceiling: "0", truncated: "0"),
        WholeRow("0.001", floor: "0", ceiling: "1", truncated: "0"),
        WholeRow("-0.001", floor: "-1", ceiling: "0", truncated: "0"),
        WholeRow("2.00", floor: "2", ceiling: "2", truncated: "2"),
        WholeRow("-2.00", floor: "-2", ceiling: "-2", truncated: "-2"),
        WholeRow(
            "999999999999999999.1",
            floor: "999999999999999999",
            ceiling: "1000000000000000000",
            truncated: "999999999999999999"
        ),
        WholeRow("-999999999.9", floor: "-1000000000", ceiling: "-999999999", truncated: "-999999999"),
        WholeRow(
            "123456789012345678901234567890.5",
            floor: "123456789012345678901234567890",
            ceiling: "123456789012345678901234567891",
            truncated: "123456789012345678901234567890"
        ),
        WholeRow(
            "-99999999999999999999999.01",
            floor: "-100000000000000000000000",
            ceiling: "-99999999999999999999999",
            truncated: "-99999999999999999999999"
        ),
        WholeRow("1e-1000", floor: "0", ceiling: "1", truncated: "0"),
        WholeRow("-1e-1000", floor: "-1", ceiling: "0", truncated: "0"),
        WholeRow("100.0", floor: "100", ceiling: "100", truncated: "100"),
        WholeRow(
            "1e20",
            floor: "100000000000000000000",
            ceiling: "100000000000000000000",
            truncated: "100000000000000000000"
        ),
    ])
    func cutsToAWholeNumber(row: WholeRow) throws {
        let number = try decimal(row.text)
        try expect(number.floor, is: row.floor)
        try expect(number.ceiling, is: row.ceiling)
        try expect(number.truncated, is: row.truncated)
    }

    // MARK: values

    @Test(
        arguments: [
            ("0", 0, "0", "0"), ("-0.00", 0, "0", "0"), ("1.50", 1, "-1.5", "1.5"), ("-1.50", -1, "1.5", "1.5"),
            ("1e-1000", 1, "-1e-1000", "1e-1000"), ("-100", -1, "100", "100"),
        ] as [(String, Int, String, String)]
    )
    func knowsItsSignAndMagnitude(text: String, sign: Int, negated: String, magnitude: String) throws {
        let number = try decimal(text)
        #expect(number.sign == sign)
        try expect(number.negated, is: negated)
        try expect(number.magnitude, is: magnitude)
        try expect(number.canonical, is: text)
    }

    @Test(
        arguments: [
            ("0", true), ("0.00", true), ("1.00", true), ("-100", true), ("1e999", true), ("0.5", false),
            ("-1.01", false), ("1e-1000", false),
        ] as [(String, Bool)]
    )
    func knowsWhetherItIsWhole(text: String, isWhole: Bool) throws {
        #expect(try decimal(text).isWhole == isWhole)
    }

    @Test(arguments: [0, 1, -1, 10, 1_000_000_000, Int64.max, Int64.min])
    func isMadeOfAWord(whole: Int64) {
        #expect(DecimalNumber(whole).description == String(whole))
        #expect(DecimalNumber(whole).int64 == whole)
    }

    @Test(
        arguments: [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.1, "0.1"),
            (-0.1, "-0.1"),
            (0.2, "0.2"),
            (0.30000000000000004, "0.30000000000000004"),
            (1.5, "1.5"),
            (100.25, "100.25"),
            (1e15, "1000000000000000"),
            (123456789012345680.0, "123456789012345680"),
            (9007199254740991.0, "9007199254740991"),
            (9007199254740992.0, "9007199254740992"),
            (9007199254740994.0, "9007199254740994"),
            (-9007199254740994.0, "-9007199254740994"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (1.7e-6, "0.0000017"),
            (123456.789, "123456.789"),
            (-1.2345678901234567e-5, "-0.000012345678901234568"),
            (3.141592653589793, "3.141592653589793"),
            (1e23, "100000000000000000000000"),
            (18014398509481984.0, "18014398509481984"),
        ] as [(Double, String)]
    )
    func isMadeOfTheShortestDigitsOfADouble(double: Double, text: String) throws {
        try expect(DecimalNumber(double), is: text)
        #expect(try #require(DecimalNumber(double)).doubleValue == double)
    }

    @Test func takesTheLeastAndTheLargestDouble() throws {
        try expect(DecimalNumber(Double.leastNonzeroMagnitude), is: "5e-324")
        try expect(DecimalNumber(-Double.greatestFiniteMagnitude), is: "-1.7976931348623157e308")
    }

    @Test(arguments: [Double.nan, .signalingNaN, .infinity, -.infinity])
    func isNotMadeOfADoubleThatIsNotFinite(double: Double) {
        #expect(DecimalNumber(double) == nil)
    }

    @Test(
        arguments: [
            ("0.00", 0), ("1.50", 1.5), ("-1.50", -1.5), ("0.1", 0.1), ("0.3", 0.3),
            ("123456789012345", 123456789012345),
            ("9007199254740993", 9007199254740992), ("9007199254740993.0000000000000000001", 9007199254740994),
            ("0.1000000000000000055511151231257827", 0.1), ("1e-22", 1e-22), ("1e-23", 1e-23), ("1e308", 1e308),
            ("-1e309", -.infinity), ("1e999", .infinity), ("5e-324", .leastNonzeroMagnitude), ("2e-324", 0),
            ("1e-1000", 0),
        ] as [(String, Double)]
    )
    func isReadAsTheNearestDouble(text: String, double: Double) throws {
        #expect(try decimal(text).doubleValue == double)
    }

    // MARK: bounds

    @Test func takesAThousandDigitsInAllAndNoMore() throws {
        let one = DecimalNumber(Int64(1))
        let largest = try decimal(nines)
        #expect(throws: DecimalOverflow()) { try largest.adding(one) }
        #expect(throws: DecimalOverflow()) { try largest.negated.subtracting(one) }
        #expect(throws: DecimalOverflow()) { try largest.adding(decimal("0.1")) }
        #expect(try largest.subtracting(one).integerDigits == 1000)
        let finest = try decimal("0." + nines)
        #expect(try finest.subtracting(decimal("1e-1000")).scale == 1000)
        #expect(try finest.adding(decimal("1e-1000")) == one)
        #expect(throws: DecimalOverflow()) { try finest.adding(one) }
        #expect(throws: DecimalOverflow()) { try one.adding(decimal("1e-1000")) }
        #expect(try one.adding(decimal("1e-999")).digits.count == 1000)
    }

    @Test func boundsProductsAndQuotients() throws {
        #expect(try decimal("1e500").multiplied(by: decimal("1e499")).digits.count == 1000)
        #expect(throws: DecimalOverflow()) { try decimal("1e500").multiplied(by: decimal("1e500")) }
        #expect(throws: DecimalOverflow()) { try decimal("1e-500").multiplied(by: decimal("1e-501")) }
        #expect(throws: DecimalOverflow()) { try decimal("1e-1000").multiplied(by: decimal("-0.1")) }
        #expect(throws: DecimalOverflow()) { try decimal(nines).multiplied(by: decimal("1." + nines)) }
        #expect(throws: DecimalOverflow()) { try decimal("1e999").divided(by: decimal("0.1")) }
        #expect(throws: DecimalOverflow()) { try decimal("1e999").divided(by: decimal("1e-1000")) }
        #expect(throws: DecimalOverflow()) { try decimal("1e-1000").divided(by: decimal("1e999")) }
        #expect(throws: DecimalOverflow()) { try decimal("1e-967").divided(by: decimal("3")) }
        #expect(try decimal("1e-966").divided(by: decimal("3"))?.scale == 1000)
    }

    @Test(
        arguments: [
            ("10", 1000), ("0.1", 1001), ("2", 3322), ("99", 600), ("1.0000001", 1000), ("2", Int.max),
            ("0.5", Int.max),
            ("-1e999", 2), ("10", -1000), ("2", Int.min), ("1e-1000", Int.max), ("-0.999", 1_000_000_000),
        ] as [(String, Int)]
    )
    func boundsPowersWhateverTheExponent(base: String, exponent: Int) throws {
        #expect(throws: DecimalOverflow()) { try decimal(base).raised(toWhole: exponent) }
    }

    @Test func boundsWhatIsRoundedUp() throws {
        let number = try decimal(nines + ".5")
        #expect(number.truncated.description == nines)
        #expect(try number.floor == number.truncated)
        #expect(try number.negated.ceiling == number.truncated.negated)
        #expect(throws: DecimalOverflow()) { try number.ceiling }
        #expect(throws: DecimalOverflow()) { try number.negated.floor }
        #expect(throws: DecimalOverflow()) { try number.rounded(toFractionDigits: 0) }
        #expect(throws: DecimalOverflow()) { try number.rounded(toFractionDigits: 1) }
        #expect(throws: DecimalOverflow()) { try number.rounded(toFractionDigits: -1000) }
        #expect(try number.rounded(toFractionDigits: -1001) == .zero)
    }

    /// A field may hold 1,000 digits on either side of the point, which is more than a result may have.
    @Test func computesWithOperandsThatAreLongerThanAResult() throws {
        let long = try decimal(nines + "." + nines)
        #expect(try long.subtracting(long) == .zero)
        #expect(try long.divided(by: long) == DecimalNumber(Int64(1)))
        #expect(try long.remainder(dividingBy: long) == .zero)
        #expect(try long.multiplied(by: .zero) == .zero)
        #expect(long.negated.negated == long)
        #expect(throws: DecimalOverflow()) { try long.adding(.zero) }
        #expect(throws: DecimalOverflow()) { try long.raised(toWhole: 1) }
        #expect(throws: DecimalOverflow()) { try long.multiplied(by: long) }
    }

    // MARK: laws

    @Test(arguments: [9, 18, 40, 150])
    func obeysTheLawsOfArithmetic(digits: Int) throws {
        var generator = SeededGenerator(seed: UInt64(digits))
        for _ in 0..<300 {
            let a = try randomDecimal(digits: digits, using: &generator)
            let b = try randomDecimal(digits: digits, using: &generator)
            let c = try randomDecimal(digits: digits, using: &generator)
            let sum = try a.adding(b)
            let product = try a.multiplied(by: b)
            try #require(try sum.subtracting(b) == a, "(\(a) + \(b)) - \(b)")
            try #require(try b.adding(a) == sum, "\(b) + \(a)")
            try #require(try a.subtracting(b) == b.subtracting(a).negated, "\(a) - \(b)")
            try #require(try b.multiplied(by: a) == product, "\(b) * \(a)")
            let parts = try a.multiplied(by: c).adding(b.multiplied(by: c))
            try #require(try sum.multiplied(by: c) == parts, "(\(a) + \(b)) * \(c)")
            let canonicalScales = [sum, product, parts].allSatisfy { $0.scale == $0.significantScale }
            try #require(canonicalScales, "\(a), \(b), \(c)")
        }
    }

    @Test(arguments: [9, 18, 40, 150])
    func dividesSoThatTheProductIsCloseToTheDividend(digits: Int) throws {
        var generator = SeededGenerator(seed: UInt64(digits) + 1)
        // Half a unit of the 34th digit: at most 5e-34 of the quotient.
        let tolerance = try decimal("5e-34")
        for _ in 0..<300 {
            let a = try randomDecimal(digits: digits, using: &generator)
            let b = try randomDecimal(digits: digits, using: &generator)
            guard let quotient = try a.divided(by: b) else { continue }
            let error = try quotient.multiplied(by: b).subtracting(a).magnitude
            let bound = try a.magnitude.multiplied(by: tolerance)
            try #require(try error <= bound.multiplied(by: decimal("1.1")), "\(a) / \(b)")
        }
    }

    @Test(arguments: [9, 18, 40, 150])
    func isAWholeMultipleOfTheDivisorAndTheRemainder(digits: Int) throws {
        var generator = SeededGenerator(seed: UInt64(digits) + 2)
        for _ in 0..<300 {
            let b = try randomDecimal(digits: digits, using: &generator)
            guard b.sign != 0 else { continue }
            let times = try randomDecimal(digits: 15, using: &generator)
            let a = try b.multiplied(by: times).adding(randomDecimal(digits: digits, using: &generator))
            let rest = try #require(try a.remainder(dividingBy: b))
            try #require(rest.magnitude < b.magnitude, "\(a) % \(b)")
            try #require(rest.sign == 0 || rest.sign == a.sign, "\(a) % \(b)")
            let whole = try #require(try a.subtracting(rest).divided(by: b))
            // A longer one would be rounded.
            guard whole.digits.count <= DecimalNumber.quotientDigits else { continue }
            try #require(whole.isWhole, "\(a) % \(b)")
            try #require(try whole.multiplied(by: b).adding(rest) == a, "\(a) % \(b)")
        }
    }

    @Test func roundsBetweenFloorAndCeiling() throws {
        var generator = SeededGenerator(seed: 5)
        let half = try decimal("0.5")
        for _ in 0..<1000 {
            let number = try randomDecimal(digits: 30, using: &generator)
            let rounded = try number.rounded(toFractionDigits: 0)
            try #require(try number.floor <= number && number <= number.ceiling, "\(number)")
            try #require(try rounded == number.floor || rounded == number.ceiling, "\(number)")
            try #require(try rounded.subtracting(number).magnitude <= half, "\(number)")
            try #require(try number.truncated == (number.sign < 0 ? number.ceiling : number.floor), "\(number)")
        }
    }

    @Test func readsBackTheDoubleThatItIsMadeOf() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<5000 {
            let double = Double(bitPattern: generator.next())
            guard double.isFinite else { continue }
            let number = try #require(DecimalNumber(double))
            try #require(number.doubleValue == double, "\(double)")
            try #require(number.scale == number.significantScale, "\(double)")
        }
    }
}
