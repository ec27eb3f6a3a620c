import RocketModel
import Testing

/// A number, the count of fraction digits that is asked for, and what comes of it.
struct RescaleRow: Sendable {
    let text: String
    let scale: Int
    let result: String?

    init(_ text: String, _ scale: Int, _ result: String?) {
        self.text = text
        self.scale = scale
        self.result = result
    }
}

/// `number` divided by ten as often as `scale` says: `(-5, 2)` is `-0.05`.
private func fractionText(_ number: Int, scale: Int) -> String {
    var digits = String(abs(number))
    while digits.utf8.count <= scale { digits = "0" + digits }
    let whole = String(digits.dropLast(scale))
    let fraction = String(digits.suffix(scale))
    let sign = number < 0 ? "-" : ""
    return scale == 0 ? sign + whole : sign + whole + "." + fraction
}

private func textOrder(_ left: String, _ right: String) -> Int {
    Array(left.utf8).withUnsafeBufferPointer { leftBytes in
        Array(right.utf8).withUnsafeBufferPointer { rightBytes in
            compareDecimalText(leftBytes, rightBytes).signum()
        }
    }
}

private func valueOrder(_ left: DecimalNumber, _ right: DecimalNumber) -> Int {
    left == right ? 0 : (left < right ? -1 : 1)
}

private func randomDecimal(using generator: inout SeededGenerator) -> String {
    var text = Bool.random(using: &generator) ? "-" : ""
    let wholeDigits = Int.random(in: 1...6, using: &generator)
    for index in 0..<wholeDigits {
        let lowest = index == 0 && wholeDigits > 1 ? 1 : 0
        text += String(Int.random(in: lowest...9, using: &generator))
    }
    let fractionDigits = Int.random(in: 0...20, using: &generator)
    if fractionDigits > 0 { text += "." }
    for _ in 0..<fractionDigits { text += String(Int.random(in: 0...9, using: &generator)) }
    return text
}

struct DecimalNumberTests {
    // MARK: reading and writing

    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("0.0", "0.0"), ("-0.00", "0.00"), ("0e5", "0"), ("0e-3", "0.000"), ("0.00e1", "0.0"),
        ("1", "1"), ("-1", "-1"), ("10", "10"), ("1.50", "1.50"), ("0.5", "0.5"), ("0.05", "0.05"),
        ("-0.050", "-0.050"),
        ("1e2", "100"), ("1E+2", "100"), ("1e-2", "0.01"), ("1.5e1", "15"), ("1.50e1", "15.0"), ("1.5e-3", "0.0015"),
        ("12e-1", "1.2"), ("120e-1", "12.0"), ("-1.25E1", "-12.5"), ("0.001e3", "1"), ("0.001e5", "100"),
        ("1e000000002", "100"),
        ("123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"),
    ])
    func writesTheNumberOutWithoutAnExponent(text: String, written: String) {
        #expect(DecimalNumber(text)?.description == written)
    }

    @Test(arguments: [
        "", " ", "-", "+", "+1", "--1", "-+1", ".5", "-.5", "1.", "1.e2", ".", "e5", "1e", "1e+", "1e-", "1e1.5",
        "1e1e1", "1ee1",
        "1.2.3", "1..2", "1-", " 1", "1 ", "1_000", "1,5", "0x10", "1f", "NaN", "inf", "Infinity", "\u{0661}",
        "\u{FF11}", "1\u{301}",
        "1\u{0}", "½",
    ])
    func refusesAnythingButANumber(text: String) {
        #expect(DecimalNumber(text) == nil)
    }

    @Test(arguments: ["01", "-01", "00", "007", "00.5", "-00.5", "01e2"])
    func refusesLeadingZerosAsJSONDoes(text: String) {
        #expect(DecimalNumber(text) == nil)
    }

    @Test(
        arguments: [
            ("1.50", 2), ("1.5", 1), ("1", 0), ("100", 0), ("0.00", 2), ("1e2", 0), ("1.50e1", 1), ("1e-5", 5),
        ] as [(String, Int)]
    )
    func keepsItsScale(text: String, scale: Int) {
        #expect(DecimalNumber(text)?.scale == scale)
    }

    @Test(
        arguments: [
            ("1.500", 1), ("1.50", 1), ("1.5", 1), ("1.00", 0), ("100", 0), ("0.00", 0), ("0", 0), ("0.050", 2),
            ("10.10", 1),
            ("1e-5", 5), ("100.001", 3),
        ] as [(String, Int)]
    )
    func knowsItsSignificantScale(text: String, scale: Int) {
        #expect(DecimalNumber(text)?.significantScale == scale)
    }

    @Test(
        arguments: [("0", 0), ("0.5", 0), ("0.05", 0), ("1", 1), ("12.3", 2), ("100", 3), ("-100.25", 3), ("1e5", 6)]
            as [(String, Int)]
    )
    func countsTheDigitsBeforeThePoint(text: String, count: Int) {
        #expect(DecimalNumber(text)?.integerDigits == count)
    }

    @Test func zeroIsNeverNegative() {
        #expect(DecimalNumber("-0.00")?.isNegative == false)
        #expect(DecimalNumber("-0.01")?.isNegative == true)
    }

    // MARK: value

    @Test(arguments: [
        ["1", "1.0", "1.00", "1e0", "10e-1", "0.1e1"], ["100", "1e2", "100.0", "10e1"],
        ["0", "-0", "0.00", "-0.0", "0e9", "0e-9"],
        ["-0.5", "-0.50", "-5e-1"], ["0.001", "1e-3", "0.0010"],
    ])
    func equalValuesAreEqualAndHashAlikeWhateverTheirScale(texts: [String]) {
        let numbers = texts.compactMap { DecimalNumber($0) }
        #expect(numbers.count == texts.count)
        #expect(Set(numbers).count == 1)
        #expect(numbers.allSatisfy { $0 == numbers[0] && !($0 < numbers[0]) && !($0 > numbers[0]) })
    }

    @Test(arguments: [("1", "-1"), ("1", "1.0000001"), ("0.1", "0.01"), ("10", "1"), ("0", "0.0001"), ("12", "1.2")])
    func differentValuesAreNotEqual(left: String, right: String) throws {
        let left = try #require(DecimalNumber(left))
        let right = try #require(DecimalNumber(right))
        #expect(left != right)
        #expect((left < right) != (right < left))
    }

    /// Every pair of some hundred fractions, against the same comparison done with whole numbers.
    @Test func ordersByValueAsWholeNumbersDo() throws {
        let numbers = Array(-21...21) + [-1000, -999, -101, -100, -99, 99, 100, 101, 110, 999, 1000]
        var fractions: [(thousandths: Int, text: String, number: DecimalNumber)] = []
        for (scale, factor) in [(0, 1000), (1, 100), (2, 10), (3, 1)] {
            for number in numbers {
                let text = fractionText(number, scale: scale)
                let decimal = try #require(DecimalNumber(text))
                fractions.append((number * factor, text, decimal))
            }
        }
        var wrong: [String] = []
        for left in fractions {
            for right in fractions {
                let order = (left.thousandths - right.thousandths).signum()
                if valueOrder(left.number, right.number) != order { wrong.append("\(left.text) <> \(right.text)") }
                let textual = textOrder(left.number.description, right.number.description)
                if textual != order { wrong.append("text \(left.text) <> \(right.text)") }
            }
        }
        #expect(wrong == [])
    }

    @Test func comparesTextsAsItComparesNumbers() throws {
        var generator = SeededGenerator(seed: 11)
        var wrong: [String] = []
        for _ in 0..<10_000 {
            let left = try #require(DecimalNumber(randomDecimal(using: &generator)))
            let right = try #require(DecimalNumber(randomDecimal(using: &generator)))
            if textOrder(left.description, right.description) != valueOrder(left, right) {
                wrong.append("\(left) <> \(right)")
            }
            if textOrder(left.description, left.description) != 0 { wrong.append("\(left)") }
        }
        #expect(wrong == [])
    }

    @Test(arguments: [
        ("1", "1.0"), ("1.0", "1"), ("1.5", "1.500"), ("-1", "-1.00"), ("0", "0.00"), ("12.30", "12.3"),
    ])
    func comparesTextsOfDifferentScale(left: String, right: String) {
        #expect(textOrder(left, right) == 0)
    }

    @Test func keepsItsValueThroughItsText() throws {
        var generator = SeededGenerator(seed: 13)
        for _ in 0..<2000 {
            let number = try #require(DecimalNumber(randomDecimal(using: &generator)))
            let again = try #require(DecimalNumber(number.description))
            #expect(again == number)
            #expect(again.description == number.description)
            #expect(again.scale == number.scale)
        }
    }

    // MARK: scaling

    @Test(arguments: [
        RescaleRow("1.5", 2, "1.50"), RescaleRow("1.50", 2, "1.50"), RescaleRow("1.50", 1, "1.5"),
        RescaleRow("1.55", 1, nil),
        RescaleRow("1.005", 2, nil), RescaleRow("1", 2, "1.00"), RescaleRow("1.00", 0, "1"),
        RescaleRow("-1.0", 0, "-1"),
        RescaleRow("0.5", 0, nil), RescaleRow("0", 3, "0.000"), RescaleRow("0.000", 0, "0"),
        RescaleRow("0.00", 1, "0.0"),
        RescaleRow("100", 0, "100"), RescaleRow("1e3", 2, "1000.00"), RescaleRow("0.05", 1, nil),
        RescaleRow("0.05", 3, "0.050"),
        RescaleRow("0.050", 2, "0.05"), RescaleRow("-0.050", 4, "-0.0500"),
    ])
    func rescalesWithoutLosingADigit(row: RescaleRow) throws {
        let number = try #require(DecimalNumber(row.text))
        let scaled = number.rescaled(to: row.scale)
        #expect(scaled?.description == row.result)
        #expect(scaled == nil || scaled == number)
    }

    @Test(
        arguments: [
            ("0", 0), ("-0.0", 0), ("1.0", 1), ("1e3", 1000), ("-1.50e1", -15), ("9223372036854775807", Int64.max),
            ("-9223372036854775808", Int64.min), ("9223372036854775807.000", Int64.max),
        ] as [(String, Int64)]
    )
    func isAnInt64WhereItIsWhole(text: String, whole: Int64) {
        #expect(DecimalNumber(text)?.int64 == whole)
    }

    @Test(arguments: ["0.5", "1.01", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "1e500"])
    func isNoInt64WhereItIsNotWholeOrTooLarge(text: String) throws {
        #expect(try #require(DecimalNumber(text)).int64 == nil)
    }

    // MARK: bounds

    @Test func takesThousandDigitsOnEitherSideOfThePointAndNoMore() {
        let thousand = String(repeating: "9", count: 1000)
        #expect(DecimalNumber(thousand)?.description == thousand)
        #expect(DecimalNumber("-" + thousand)?.description == "-" + thousand)
        #expect(DecimalNumber(thousand + "." + thousand)?.description == thousand + "." + thousand)
        #expect(DecimalNumber(thousand + "9") == nil)
        #expect(DecimalNumber("0." + thousand)?.scale == 1000)
        #expect(DecimalNumber("0." + thousand + "9") == nil)
    }

    @Test func boundsWhatAnExponentMayCost() {
        #expect(DecimalNumber("1e999")?.integerDigits == 1000)
        #expect(DecimalNumber("1e1000") == nil)
        #expect(DecimalNumber("1e-1000")?.scale == 1000)
        #expect(DecimalNumber("1e-1001") == nil)
        #expect(DecimalNumber("10e-1001") == nil)
        #expect(DecimalNumber("0.01e1001")?.integerDigits == 1000)
        #expect(DecimalNumber("1e999999999999999999999999") == nil)
        #expect(DecimalNumber("1e-999999999999999999999999") == nil)
        #expect(DecimalNumber("0e999999999999999999999999")?.description == "0")
    }
}
