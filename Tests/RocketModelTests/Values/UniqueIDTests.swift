import RocketModel
import Testing

struct UniqueIDTests {
    @Test(arguments: [
        "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d", "0190B1C2-7D4E-7A3B-8C5D-1E2F3A4B5C6D",
        "0190b1C2-7D4e-7A3b-8c5D-1e2F3a4B5c6D",
    ])
    func takesAnyCaseAndKeepsLowerCase(text: String) {
        #expect(UniqueID(text)?.text == "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d")
        #expect(UniqueID(text) == UniqueID("0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d"))
    }

    @Test(arguments: ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"])
    func takesEveryVersion(text: String) {
        #expect(UniqueID(text)?.text == text)
    }

    @Test(arguments: [
        "", "x", "0190b1c27d4e7a3b8c5d1e2f3a4b5c6d", "{0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d}",
        "urn:uuid:0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d", "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6",
        "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6dd",
        " 190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6d", "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6g",
        "0190b1c2_7d4e_7a3b_8c5d_1e2f3a4b5c6d",
        "0190b1c-27d4e-7a3b-8c5d-1e2f3a4b5c6d", "0190b1c2-7d4e-7a3b-8c5d1-e2f3a4b5c6d",
        "------------------------------------",
        "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6\u{0}", "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5cé",
        "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6@", "0190b1c2-7d4e-7a3b-8c5d-1e2f3a4b5c6`",
    ])
    func refusesAnyOtherText(text: String) {
        #expect(UniqueID(text) == nil)
    }

    /// The example of RFC 9562, appendix A.6, but for the bits that are random there and part of the time here.
    @Test func makesTheVersion7OfTheStandardsExample() {
        let id = UniqueID.version7(
            at: Timestamp(microseconds: 1_645_557_742_000_000),
            random: 0x18C4_DC0C_0C07_398F
        )
        #expect(id.text == "017f22e2-79b0-7000-98c4-dc0c0c07398f")
    }

    @Test func setsVersionAndVariantWhateverTheRandomBits() {
        let instant = Timestamp(microseconds: 0)
        #expect(UniqueID.version7(at: instant, random: 0).text == "00000000-0000-7000-8000-000000000000")
        let ones = UniqueID.version7(at: instant, random: .max)
        #expect(ones.text == "00000000-0000-7000-bfff-ffffffffffff")
    }

    @Test func makesIDsThatReadBack() {
        var generator = SeededGenerator(seed: 17)
        for _ in 0..<200 {
            let instant = Timestamp(microseconds: Int64.random(in: 0...4_000_000_000_000_000, using: &generator))
            let id = UniqueID.version7(at: instant, random: generator.next())
            #expect(UniqueID(id.text) == id)
        }
    }

    @Test func sortsByTime() {
        var generator = SeededGenerator(seed: 19)
        var previous = ""
        for step in Int64(0)..<500 {
            let instant = Timestamp(microseconds: 1_700_000_000_000_000 + step * step * 1000 + step * 1000)
            let id = UniqueID.version7(at: instant, random: generator.next())
            #expect(previous < id.text)
            previous = id.text
        }
    }

    @Test func sortsByTheMicrosecondWhateverTheRandomBits() {
        var previous = ""
        for microsecond in Int64(0)..<3000 {
            let instant = Timestamp(microseconds: 1_700_000_000_000_000 + microsecond)
            let id = UniqueID.version7(at: instant, random: microsecond % 2 == 0 ? .max : 0)
            #expect(previous < id.text)
            previous = id.text
        }
    }

    @Test func takesAnInstantBefore1970ForTheFirst() {
        let id = UniqueID.version7(at: Timestamp(microseconds: -5_000_000), random: 0)
        #expect(id.text == "00000000-0000-7000-8000-000000000000")
    }
}
